"""The pictures of lab 1, linear quantization."""

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from labkit.plots.picture import Picture
from labkit.plots.style import COLOURS, new_axes, students_own, styled

FAR_STEPS = 150  # codes so far outside do not fit into 8 bits: cast too early, they wrap
# Where a scale or zero point usually goes wrong: no 0 inside, codes below 0, one value alone.
HARD_RANGES = ((0.5, 2.0, 0, 15), (-1.4, 2.0, -8, 7), (1.7, 1.7, 0, 15))


@students_own
def rulers(
    scale_and_zero_point: Callable[..., tuple[float, int]],
    rmin: float,
    rmax: float,
    qmin: int,
    qmax: int,
    ax: Axes,
) -> Axes:
    """Draw the codes that a student's scale and zero point lay under a range, and hard ones."""
    ranges = [(rmin, rmax, qmin, qmax), *HARD_RANGES]
    names = []
    for row, ends in enumerate(ranges):
        scale, zero_point = (float(v) for v in scale_and_zero_point(*ends))
        _ruler(ax, -2.6 * row, ends, scale, zero_point)
        names.append(f"[{ends[0]:g}, {ends[1]:g}]\nS {scale:.3g}, Z {zero_point:g}")
        if not row:
            title = f"scale {scale:.4g}, zero point {zero_point:g}"
    ax.axvline(0, color=COLOURS["ink"], ls=":", lw=1)
    ax.set_yticks([0.5 - 2.6 * row for row in range(len(ranges))], names)
    ax.set_ylim(0.1 - 2.6 * len(ranges) + 1.3, 1.9)
    ax.set_xlabel("x, and the value (q - zero_point) · scale of each code")
    ax.set_title(f"{title}; below it three ranges that are easy to get wrong")
    return ax


def _ruler(
    ax: Axes, y: float, ends: tuple[float, float, int, int], scale: float, zero_point: float
) -> None:
    """Draw a real range, the codes below it, and a ring where 0.0 should have its code."""
    rmin, rmax, qmin, qmax = ends
    codes = np.arange(qmin, qmax + 1)
    values = (codes - zero_point) * scale
    every = max(1, len(codes) // 8)
    blue = COLOURS["real"]
    ax.plot([rmin, rmax], [y + 1, y + 1], marker="|", color=blue, lw=5, solid_capstyle="butt")
    ax.plot(values, np.full(len(values), y), "|", color=COLOURS["codes"], ms=11)
    for code, value in zip(codes[::every], values[::every], strict=True):
        ax.text(value, y - 0.35, f"{code}", ha="center", va="top", color=COLOURS["ink"], size=8)
    exact = bool(np.isclose(values, 0, atol=1e-6 * scale).any())
    colour = COLOURS["rounding" if exact else "error"]
    ax.plot(0, y, "o", color=colour, ms=11, mfc="none", mew=2)


@students_own
def staircase(
    quantize: Callable[..., Tensor],
    scale: float,
    zero_point: int,
    qmin: int,
    qmax: int,
    ax: Axes,
) -> Axes:
    """Draw what comes back from a student's codes against x, with the range that they reach."""
    low, high = (qmin - zero_point) * scale, (qmax - zero_point) * scale
    margin = 0.35 * (high - low)
    x = torch.linspace(low - margin, high + margin, 1201)
    q = torch.as_tensor(quantize(x, scale, zero_point, qmin, qmax))
    back = (q.to(torch.float32) - zero_point) * scale
    ax.plot(x, x, "--", color=COLOURS["faint"], label="x itself")
    ax.plot(x, back, color=COLOURS["codes"], label="your round trip x'")
    ax.plot(x, back - x, color=COLOURS["error"], lw=1, label="error x' - x")
    ax.axvspan(low, high, color=COLOURS["rounding"], alpha=0.1, label="range of the codes")
    far = torch.tensor([low - FAR_STEPS * scale, high + FAR_STEPS * scale])
    codes = torch.as_tensor(quantize(far, scale, zero_point, qmin, qmax))
    label = f"x' of {far[0]:.3g} and {far[1]:.3g}, far outside"
    ends = (codes.to(torch.float32) - zero_point) * scale
    ax.plot([float(x[0]), float(x[-1])], ends, "D", color=COLOURS["clipping"], label=label)
    ax.set_xlabel("x")
    ax.set_ylabel("x' and error, in units of x")
    ax.legend(fontsize=9)
    return ax


@students_own
def four_panels(
    quantize: Callable[..., Tensor],
    dequantize: Callable[..., Tensor],
    w: Tensor,
    scale: float,
    ax: Axes,
) -> Axes:
    """Draw a matrix, its 8-bit codes, what comes back, and the error, as four images."""
    q = torch.as_tensor(quantize(w, scale, 0, -128, 127))
    back = torch.as_tensor(dequantize(q, scale, 0))
    limit = float(w.abs().max())
    panels = [
        ("real w", w, limit),
        ("codes q", q, 128),
        ("back again w'", back, limit),
        ("error w' - w", back - w, scale / 2),
    ]
    ax.set_axis_off()
    for place, (title, values, bound) in enumerate(panels):
        panel = ax.inset_axes((0.02 + place * 0.255, 0.16, 0.215, 0.8))
        image = panel.imshow(values.numpy(), cmap="PuOr", vmin=-bound, vmax=bound)
        panel.set_title(title, size=10)
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_xlabel("column", size=9)
        bar = panel.inset_axes((0, -0.24, 1, 0.05))
        ax.figure.colorbar(image, cax=bar, orientation="horizontal")
        # One number at each end, inside it, so that neighbours do not run into each other.
        bar.set_xticks([-bound, bound], [f"{-bound:.3g}", f"{bound:.3g}"], size=8)
        first, last = bar.get_xticklabels()
        first.set_horizontalalignment("left")
        last.set_horizontalalignment("right")
    ax.child_axes[0].set_ylabel("row", size=9)
    return ax


@students_own
def tie_drift(round_half_even: Callable[[Tensor], Tensor], ax: Axes) -> Axes:
    """Draw how far the sum of rounded halves drifts from the true sum, for two tie rules."""
    halves = torch.arange(0, 60) * 0.5
    even = torch.cumsum(torch.as_tensor(round_half_even(halves)) - halves, 0)
    up = torch.cumsum(torch.floor(halves + 0.5) - halves, 0)
    ax.plot(up, "--", color=COLOURS["clipping"], label="ties go up, floor(x + 0.5)")
    ax.plot(even, color=COLOURS["rounding"], label="your rule")
    ax.set_xlabel("how many of 0, 0.5, 1, 1.5, ... were added")
    ax.set_ylabel("rounded sum - true sum")
    ax.legend(fontsize=9)
    return ax


@students_own
def error_against_threshold(
    quantization_error: Callable[..., tuple[float, float, float]],
    x: Tensor,
    bits: int,
    ax: Axes,
) -> Axes:
    """Draw clipping, rounding and total error of symmetric codes against the largest value kept."""
    qmax = 2 ** (bits - 1) - 1
    thresholds = torch.linspace(0.05, 1.0, 60) * float(x.abs().max())
    errors = [quantization_error(x, float(t) / qmax, 0, -qmax, qmax)[:2] for t in thresholds]
    clipping, rounding = np.array(errors, dtype=float).T
    total = clipping + rounding
    best = int(total.argmin())
    ax.semilogy(thresholds, clipping, "--", color=COLOURS["clipping"], label="clipping")
    ax.semilogy(thresholds, rounding, "-.", color=COLOURS["rounding"], label="rounding")
    ax.semilogy(thresholds, total, color=COLOURS["ink"], lw=2, label="total")
    ax.set_ylim(float(total.min()) / 30, 2 * float(total.max()))  # either part may fall to 0
    ax.plot(thresholds[best], total[best], "o", color=COLOURS["codes"], ms=9)
    ax.set_xlabel("clipping threshold: the largest |x| that keeps its value")
    ax.set_ylabel("mean squared error")
    ax.set_title(f"{bits} bits: the least error lies at {float(thresholds[best]):.3g}")
    ax.legend(fontsize=9)
    return ax


def channel_ranges(w: Tensor, bits: int, ax: Axes | None = None) -> Axes:
    """Draw the largest magnitude of each output channel, and one step of a scale for all."""
    ax = new_axes() if ax is None else ax
    largest = w.flatten(1).abs().amax(1)
    step = float(largest.max()) / (2 ** (bits - 1) - 1)
    ax.bar(
        np.arange(len(largest)), largest.clamp(min=1e-6).numpy(), color=COLOURS["real"], width=0.9
    )
    ax.axhline(
        step, color=COLOURS["codes"], label=f"one step of {bits}-bit codes for all: {step:.3g}"
    )
    ax.axhline(step / 2, color=COLOURS["codes"], ls="--", label="half a step: below it all is 0")
    ax.set_yscale("log")
    ax.set_xlabel("output channel")
    ax.set_ylabel("largest |w| in the channel")
    ax.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return ax


def collapsing_histogram(w: Tensor, versions: dict[str, Tensor], size: float = 1.9) -> Axes:
    """Draw the histogram of `w` above those of its quantized versions, on one axis."""
    rows = {"real": w, **versions}
    _, axes = plt.subplots(
        len(rows),
        1,
        figsize=(8, size * len(rows)),
        sharex=True,
        layout="constrained",
        FigureClass=Picture,
    )
    for ax, (name, values) in zip(axes, rows.items(), strict=True):
        colour = COLOURS["real"] if name == "real" else COLOURS["codes"]
        if name == "real":
            styled(ax).hist(values.flatten().numpy(), bins=201, color=colour)
        else:
            places, counts = values.flatten().unique(return_counts=True)
            styled(ax).vlines(places, 0, counts, color=colour, lw=2)
        ax.set_ylim(bottom=0)
        ax.set_ylabel("weights")
        ax.set_title(f"{name}: {len(values.unique()):,} different values", size=10, loc="left")
    axes[-1].set_xlabel("weight")
    axes[0].figure.align_ylabels()
    return axes[-1]


@students_own
def bytes_of(pack: Callable[[Tensor, int], Tensor], q: Tensor, bits: int, ax: Axes) -> Axes:
    """Draw the bits of the bytes that a student's function packs `q` into, one row a byte."""
    packed = [int(byte) for byte in torch.as_tensor(pack(q, bits))]
    per_byte = 8 // bits
    shades = [COLOURS["real"], COLOURS["codes"], COLOURS["rounding"], COLOURS["error"]]
    for row, byte in enumerate(packed):
        ax.text(-0.2, 0.28 - row, f"byte {row} = {byte}", ha="right", va="center")
        for bit in range(8):
            shade = shades[bit // bits]
            ax.add_patch(plt.Rectangle((7 - bit, -row), 1, 0.56, color=shade, alpha=0.3))
            ax.text(7.5 - bit, 0.28 - row, str(byte >> bit & 1), ha="center", va="center")
        for field in range(per_byte):
            i, middle = row * per_byte + field, 8 - (field + 0.5) * bits
            name = f"q[{i}] = {int(q[i])}" if i < len(q) else "filled up"
            ax.text(middle, 0.6 - row, name, ha="center", va="bottom", size=9)
    ax.set_xlim(-1.8, 8.2)
    ax.set_ylim(0.9 - len(packed), 1.0)
    ax.set_axis_off()
    listed = ", ".join(str(byte) for byte in packed)
    ax.set_title(f"bytes {listed}: bit 7 (left) to bit 0 (right), one colour a code", size=10)
    return ax


def accuracy_against_bits(
    results: dict[str, Sequence[tuple[int, float, float]]], fp32: float, ax: Axes | None = None
) -> Axes:
    """Draw accuracy with its standard error against bits, a line a method.

    Parameters
    ----------
    results : dict
        Method to (bits, accuracy, standard error), accuracies as shares of 1.
    fp32 : float
        Accuracy of the network that was not quantized.
    ax : Axes, optional
        Where to draw.
    """
    ax = new_axes() if ax is None else ax
    ax.axhline(100 * fp32, color=COLOURS["ink"], ls="--", label="FP32")
    ax.axhline(10, color=COLOURS["faint"], ls=":", label="guessing")
    colours = [COLOURS["codes"], COLOURS["real"], COLOURS["rounding"], COLOURS["error"]]
    for (name, points), colour, marker in zip(results.items(), colours, "os^D", strict=False):
        bits, mean, error = np.array(points, dtype=float).T
        ax.errorbar(
            bits, 100 * mean, 100 * error, marker=marker, color=colour, label=name, capsize=3
        )
    ax.set_xlabel("bits of a weight")
    ax.set_ylabel("accuracy in %, with standard error")
    ax.set_ylim(0, 100)
    ax.xaxis.set_major_locator(plt.MaxNLocator(integer=True))
    ax.legend(fontsize=9, loc="lower right")
    return ax
