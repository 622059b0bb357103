"""The pictures of lab 3, integer kernels."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from labkit.plots.style import COLOURS, SIZE, new_axes, say, students_own

GIGA = 1e9


@students_own
def overflowing_sum(
    overflow_length: Callable[[int, int, int], int],
    largest_x: int,
    largest_w: int,
    bits: int,
    ax: Axes,
) -> Axes:
    """Draw a growing sum of products as integers of `bits` bits hold it, and where it must fail.

    Parameters
    ----------
    overflow_length : callable
        The student's.
    largest_x, largest_w : int
        The factors of each product.
    bits : int
        Of the accumulator, at most 32.
    """
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    fits = float(overflow_length(largest_x, largest_w, bits))
    terms = np.arange(0, 2 * (highest // (largest_x * largest_w)) + 6)
    exact = terms * largest_x * largest_w
    wrapped = (exact - lowest) % 2**bits + lowest
    ax.plot(terms, exact, "o-", color=COLOURS["real"], label="exact")
    ax.plot(terms, wrapped, "s--", color=COLOURS["codes"], label=f"int{bits} that wraps")
    ax.plot(
        terms,
        exact.clip(lowest, highest),
        "D:",
        color=COLOURS["clipping"],
        label=f"int{bits} that saturates",
    )
    ax.axvspan(-0.2, fits + 0.2, color=COLOURS["rounding"], alpha=0.15, label="your length: safe")
    ax.set_xlabel(f"products of {largest_x} · {largest_w} added up")
    ax.set_ylabel("sum")
    ax.legend(fontsize=9)
    return ax


@students_own
def four_terms(
    gemm_with_zero_points: Callable[[Tensor, Tensor, int, int], Tensor],
    q_lhs: Tensor,
    q_rhs: Tensor,
    lhs_zero_point: int,
    rhs_zero_point: int,
    ax: Axes,
) -> Axes:
    """Draw the product of the codes, its three corrections, and a student's sum of them."""
    lhs, rhs = q_lhs.long(), q_rhs.long()
    raw = lhs @ rhs
    rows = -rhs_zero_point * lhs.sum(1, keepdim=True).expand_as(raw)
    columns = -lhs_zero_point * rhs.sum(0, keepdim=True).expand_as(raw)
    corner = torch.full_like(raw, lhs.shape[1] * lhs_zero_point * rhs_zero_point)
    yours = gemm_with_zero_points(q_lhs, q_rhs, lhs_zero_point, rhs_zero_point)
    panels = [
        ("product of codes", raw),
        ("$-Z_{rhs}$ · row sums", rows),
        ("$-Z_{lhs}$ · column sums", columns),
        ("$K Z_{lhs} Z_{rhs}$", corner),
        ("your result", torch.as_tensor(yours)),
    ]
    limit = max(float(panel.abs().max()) for _, panel in panels[:4])
    _lower(ax, 2.6)
    for place, (title, values) in enumerate(panels):
        panel = ax.inset_axes((place * 0.2, 0.22, 0.17, 0.78))
        image = panel.imshow(values.numpy(), cmap="PuOr", vmin=-limit, vmax=limit)
        panel.set_title(title, size=9)
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_xlabel("column n", size=9)
        if not place:
            panel.set_ylabel("row m", size=9)
    bar = ax.inset_axes((0, 0, 0.97, 0.06))
    label = "accumulator, in steps of $S_{lhs} S_{rhs}$"
    ax.figure.colorbar(image, cax=bar, orientation="horizontal", label=label)
    return ax


@students_own
def multiplier_error(
    quantize_multiplier: Callable[[float], tuple[int, int]], smallest: float, ax: Axes
) -> Axes:
    """Draw the relative error of a student's mantissa and shift, from `smallest` to 2."""
    multipliers = np.geomspace(smallest, 2, 300)
    pairs = [quantize_multiplier(float(m)) for m in multipliers]
    back = np.array([float(mantissa) * 2.0 ** -(31 + float(shift)) for mantissa, shift in pairs])
    error = np.abs(back / multipliers - 1).clip(1e-13)
    ax.loglog(multipliers, error, ".", color=COLOURS["codes"], ms=4, label="your pair")
    ax.axhline(2.0**-31, color=COLOURS["rounding"], label="$2^{-31}$: half a step of the mantissa")
    ax.axhline(2.0**-24, color=COLOURS["real"], ls="--", label="$2^{-24}$: what float32 may lose")
    ax.set_xlabel("multiplier m")
    ax.set_ylabel("relative error")
    ax.legend(fontsize=9)
    return ax


@students_own
def rounding_rules(
    rounding_right_shift: Callable[[Tensor, int], Tensor], shift: int, ax: Axes
) -> Axes:
    """Draw a student's rounded division by 2^shift beside a shift alone; ties are marked."""
    x = torch.arange(-3 << shift, (3 << shift) + 1)
    yours = torch.as_tensor(rounding_right_shift(x, shift)).to(torch.float64)
    real, ties = x / 2**shift, x % (1 << shift) == 1 << (shift - 1)
    ax.step(real, x >> shift, where="post", color=COLOURS["faint"], label="x >> shift alone")
    ax.plot(real, real, ":", color=COLOURS["real"], label="exact")
    ax.plot(real, yours, ".", color=COLOURS["codes"], label="yours")
    ax.plot(real[ties], yours[ties], "o", color=COLOURS["error"], ms=9, mfc="none", label="ties")
    ax.set_xlabel("x / 2^shift")
    ax.set_ylabel("rounded")
    ax.legend(fontsize=9)
    return ax


@students_own
def activation_curves(
    activation_range: Callable[..., tuple[int, int]],
    requantize: Callable[..., Tensor],
    scale: float,
    zero_point: int,
    ax: Axes,
) -> Axes:
    """Draw what int8 codes stand for against the real sum, clamped for each activation.

    Parameters
    ----------
    activation_range, requantize : callable
        The student's.
    scale, zero_point : float, int
        Of the result. The accumulator counts in steps of scale / 32.
    """
    mantissa, shift, steps = 2**30, 4, 32
    acc = torch.arange(int(-5 / scale * steps), int(9 / scale * steps), 7, dtype=torch.int32)
    styles = {"none": ("-", "real"), "relu": ("--", "codes"), "relu6": (":", "rounding")}
    for activation, (style, colour) in styles.items():
        low, high = (int(q) for q in activation_range(activation, scale, zero_point, -128, 127))
        q = torch.as_tensor(requantize(acc, mantissa, shift, zero_point, low, high))
        y = (q.to(torch.float64) - zero_point) * scale
        label = f"{activation}: [{low}, {high}]"
        ax.plot(acc * scale / steps, y, style, color=COLOURS[colour], lw=2, label=label)
    ax.axhline(0, color=COLOURS["faint"], lw=1)
    ax.set_xlabel("sum before the activation, in units of y")
    ax.set_ylabel("y = (q - Z) · S")
    ax.legend(fontsize=9, title="clamped to")
    return ax


@students_own
def patches_as_columns(
    im2col: Callable[[Tensor, int, int, int, int], Tensor],
    image: Tensor,
    kernel_size: int,
    zero_point: int,
    ax: Axes,
) -> Axes:
    """Draw an image of one channel, padded by one pixel, and a student's columns beside it."""
    columns = torch.as_tensor(im2col(image, kernel_size, 1, 1, zero_point))
    padded = torch.nn.functional.pad(image[0].long(), (1, 1, 1, 1), value=zero_point)
    low, high = int(padded.min()), int(padded.max())
    _lower(ax, 3.0)
    left, right = ax.inset_axes((0, 0.1, 0.3, 0.8)), ax.inset_axes((0.36, 0, 0.64, 1))
    for panel, values, size in ((left, padded, 9), (right, columns, 7)):
        panel.imshow(values.numpy(), aspect="auto", cmap="cividis", vmin=low, vmax=high)
        for (row, column), value in np.ndenumerate(values.numpy()):
            colour = "white" if value < (low + high) / 2 else "black"
            panel.text(column, row, f"{value}", ha="center", va="center", size=size, color=colour)
        panel.set_yticks([])
        panel.set_xticks([])
    left.set_title(f"image, padded with {zero_point}", size=10)
    left.set_xlabel("column", size=9)
    left.set_ylabel("row", size=9)
    right.set_title("your columns: one for each position of the kernel", size=10)
    right.set_xlabel("position, along the rows of the image", size=9)
    right.set_ylabel("kernel row and column", size=9)
    return ax


def _lower(ax: Axes, inches: float) -> None:
    """Leave room for panels only: no axes of their own, and no empty strip above and below."""
    ax.set_axis_off()
    if isinstance(ax.figure, Figure) and ax.figure.axes == [ax]:
        ax.figure.set_size_inches(SIZE[0], inches)


def integer_against_real(real: Tensor, back: Tensor, scale: float, ax: Axes | None = None) -> Axes:
    """Draw how far the integer layer lies from the float one, in steps of its result."""
    ax = new_axes() if ax is None else ax
    if real.shape != back.shape or not bool(torch.isfinite(back).all()):
        shapes = f"{tuple(real.shape)} and {tuple(back.shape)}"
        return say(ax, f"No picture: expected finite numbers of one shape; got {shapes}.")
    steps = ((back - real) / scale).flatten().double().numpy()
    reach = max(1.0, float(np.abs(steps).max()))
    ax.hist(steps, bins=np.linspace(-reach, reach, 81).tolist(), color=COLOURS["codes"], zorder=2)
    ax.axvspan(
        -0.5, 0.5, color=COLOURS["rounding"], alpha=0.3, zorder=0, label="half a step: rounding y"
    )
    ax.set_yscale("log")
    ax.set_xlabel("integer layer - float layer, in steps of the result's scale")
    ax.set_ylabel("results")
    ax.legend(fontsize=9)
    return ax


def sqnr_of_channels(found: Mapping[str, Tensor], sizes: Tensor, ax: Axes | None = None) -> Axes:
    """Draw the SQNR of each output channel, the channel with the smallest weights first.

    Parameters
    ----------
    found : mapping
        Name to SQNR in dB, shape [out].
    sizes : Tensor
        The largest weight of each channel, shape [out].
    """
    ax = new_axes((8.0, 3.2)) if ax is None else ax
    order = sizes.argsort()
    colours = (COLOURS["rounding"], COLOURS["codes"], COLOURS["real"])
    for (name, sqnr), colour, marker in zip(found.items(), colours, "os^", strict=False):
        if sqnr.shape != sizes.shape or not bool(torch.isfinite(sqnr).all()):
            return say(ax, f"No picture: expected {len(sizes)} finite numbers for {name!r}.")
        ax.plot(sqnr[order].tolist(), marker, color=colour, markersize=5, label=name)
    ax.set_xlabel("output channels, smallest weights first")
    ax.set_ylabel("SQNR (dB)")
    ax.legend(fontsize=9)
    return ax


def roofline(
    measured: Mapping[str, Sequence[tuple[int, float, float]]],
    bandwidth: float,
    ax: Axes | None = None,
) -> Axes:
    """Draw measured speed against arithmetic intensity, under the roofs of this computer.

    Parameters
    ----------
    measured : mapping
        Name to (batch, operations per byte moved, operations per second).
    bandwidth : float
        Bytes per second from memory: the slope of the roof, or what a layer moved if it was more.

    Notes
    -----
    Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for
    multicore architectures", Communications of the ACM 2009. The flat roofs are the best speeds
    measured here, not those of a data sheet.
    """
    ax = new_axes((8.0, 4.2)) if ax is None else ax
    colours = (COLOURS["real"], COLOURS["codes"], COLOURS["rounding"])
    intensities = [point[1] for points in measured.values() for point in points]
    moved = max(point[2] / point[1] for points in measured.values() for point in points)
    slope = max(bandwidth, moved)
    reach = np.geomspace(min(intensities) / 2, max(intensities) * 2, 200)
    for (name, points), colour in zip(measured.items(), colours, strict=False):
        _, intensity, speed = np.array(points, dtype=float).T
        roof = np.minimum(slope * reach, speed.max()) / GIGA
        ax.loglog(reach, roof, "--", color=colour, lw=1)
        marker = "o" if colour == colours[0] else "s"
        ax.loglog(intensity, speed / GIGA, marker + "-", color=colour, label=name)
        for batch, x, y in points:
            ax.annotate(
                f"{batch}", (x, y / GIGA), (0, 6), textcoords="offset points", ha="center", size=8
            )
    ax.set_xlabel("arithmetic intensity: operations per byte moved")
    ax.set_ylabel("billion operations per second")
    source = "from memory" if slope == bandwidth else "moved by the fastest layer"
    ax.set_title(f"slope: {slope / GIGA:.3g} GB/s {source}; small numbers: batch", size=10)
    ax.legend(fontsize=9, loc="lower right")
    return ax
