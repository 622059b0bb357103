"""The pictures of lab 2, calibration."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from torch import Tensor

from labkit.calibration.histogram import Histogram
from labkit.plots.style import COLOURS, new_axes, say, students_own, styled

_LINES = ("-", "--", "-.", ":")
_COLOURS = ("codes", "rounding", "error", "clipping", "ink")
_MARKERS = "os^Dv"


def thresholds(
    histogram: Histogram,
    ranges: Mapping[str, tuple[float, float]],
    ax: Axes | None = None,
    bins: int = 200,
) -> Axes:
    """Draw the histogram of a layer, counts on a log axis, and where each method's range ends.

    Parameters
    ----------
    histogram : Histogram
        What was observed.
    ranges : mapping of str to (float, float)
        rmin and rmax by the name of the method.
    ax : Axes, optional
        Where to draw; new axes by default.
    bins : int
        Bars from the smallest to the largest value.

    Returns
    -------
    Axes
    """
    ax = new_axes() if ax is None else ax
    values, counts = histogram.points()
    ax.hist(values, bins, weights=counts, color=COLOURS["real"], alpha=0.5, label="values")
    for i, (name, (low, high)) in enumerate(ranges.items()):
        colour, line = COLOURS[_COLOURS[i % len(_COLOURS)]], _LINES[i % len(_LINES)]
        label = f"{name}: {low:.4g} to {high:.4g}"
        for end in np.unique([low, high]):
            ax.axvline(end, color=colour, ls=line, lw=2, label=label)
            label = "_"
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.5)
    ax.set_xlabel("value")
    ax.set_ylabel("how many values")
    ax.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return ax


@students_own
def range_over_batches(
    functions: Mapping[str, Callable[[list[Tensor]], tuple[float, float]]],
    batches: list[Tensor],
    ax: Axes,
) -> Axes:
    """Draw each batch's extremes, and the range that students' functions have after each batch.

    Parameters
    ----------
    functions : mapping of str to callable
        From a list of batches to (rmin, rmax), by name.
    batches : list of Tensor
    ax : Axes
    """
    numbers = np.arange(1, len(batches) + 1)
    extremes = np.array([[float(x.min()), float(x.max())] for x in batches])
    ax.vlines(numbers, *extremes.T, color=COLOURS["real"], lw=6, alpha=0.4, label="one batch")
    for i, (name, function) in enumerate(functions.items()):
        ranges = _numbers([function(batches[:n]) for n in numbers], (len(batches), 2))
        colour, line = COLOURS[_COLOURS[i]], _LINES[i]
        ax.plot(numbers, ranges[:, 0], color=colour, ls=line)
        ax.plot(numbers, ranges[:, 1], color=colour, ls=line, label=name)
    ax.set_xlabel("batches seen")
    ax.set_ylabel("range of the activations")
    ax.xaxis.set_major_locator(plt.MaxNLocator(integer=True))
    ax.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    return ax


@students_own
def bucket_bars(
    bucket_counts: Callable[[list[Tensor], int], Tensor], x: Tensor, bits: int, ax: Axes
) -> Axes:
    """Draw a student's counts of the values above 0, each over its bucket, on log axes."""
    counts = _numbers(bucket_counts(list(x.chunk(2)), bits), (2**bits,))[: 2 ** (bits - 1)]
    filled = np.flatnonzero(counts)
    filled = filled[filled > 0]  # the first bucket holds 0, which a log axis does not have
    if not len(filled):
        return say(ax, "No picture: your counts hold no value above 0.")
    edges = _first_of_bucket(filled, bits)
    widths = _first_of_bucket(filled + 1, bits) - edges
    ax.bar(edges, counts[filled], widths, align="edge", color=COLOURS["real"])
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("value; a bar is as wide as its bucket")
    ax.set_ylabel("how many values")
    ax.set_title(f"{len(filled)} buckets above 0 are not empty")
    return ax


@students_own
def mse_curves(
    mse_curve: Callable[..., Tensor],
    values: Tensor,
    counts: Tensor,
    thresholds: Tensor,
    bits: Sequence[int],
    ax: Axes,
) -> Axes:
    """Draw a student's mean squared errors against the threshold, one curve a number of bits."""
    for i, b in enumerate(bits):
        errors = _numbers(mse_curve(values, counts, thresholds, b), thresholds.shape)
        best = int(errors.argmin())
        colour = COLOURS[_COLOURS[i]]
        label = f"{b} bits: least at {float(thresholds[best]):.3g}"
        ax.semilogy(thresholds, errors, color=colour, ls=_LINES[i], label=label)
        ax.plot(thresholds[best], errors[best], _MARKERS[i], color=colour, ms=8)
    ax.set_xlabel("clipping threshold")
    ax.set_ylabel("mean squared error")
    ax.legend(fontsize=9)
    return ax


@students_own
def kl_of_coins(kl_divergence: Callable[[Tensor, Tensor], float], ax: Axes) -> Axes:
    """Draw a student's divergence between a fair coin and every other, in both directions."""
    heads = np.linspace(0.02, 0.98, 97)
    fair, others = torch.tensor([1.0, 1.0]), [torch.tensor([h, 1 - h]) for h in heads]
    there = _numbers([float(kl_divergence(fair, other)) for other in others], heads.shape)
    back = _numbers([float(kl_divergence(other, fair)) for other in others], heads.shape)
    ax.plot(heads, there, color=COLOURS["codes"], label="KL(fair, coin)")
    ax.plot(heads, back, color=COLOURS["real"], ls="--", label="KL(coin, fair)")
    ax.set_xlabel("probability of heads of the other coin")
    ax.set_ylabel("divergence in nats")
    ax.legend(fontsize=9)
    return ax


@students_own
def merged_histogram(
    merge_levels: Callable[[Tensor, int], Tensor], counts: Tensor, levels: int, ax: Axes
) -> Axes:
    """Draw a histogram, and what a student's function leaves of it with a few levels."""
    merged = _numbers(merge_levels(counts, levels), counts.shape)
    edges = np.arange(len(counts) + 1)
    ax.bar(
        edges[:-1],
        counts.numpy(),
        1.0,
        align="edge",
        color=COLOURS["real"],
        alpha=0.4,
        label="counts",
    )
    ax.stairs(merged, edges, color=COLOURS["codes"], lw=2, label="seen through the levels")
    for level in range(1, levels):
        border = -(-level * len(counts) // levels)
        ax.axvline(border, color=COLOURS["ink"], ls=":", lw=1)
    ax.set_xlabel("bin; dotted lines part the levels")
    ax.set_ylabel("how many values")
    ax.legend(fontsize=9)
    return ax


@students_own
def kl_search(
    kl_curve: Callable[[Tensor, int], Tensor],
    counts: Tensor,
    width: float,
    levels: int,
    ax: Axes,
) -> Axes:
    """Draw a histogram, and below it a student's divergence for each threshold.

    Parameters
    ----------
    kl_curve : callable
        The student's.
    counts : Tensor
        How many magnitudes are in each of the equal bins.
    width : float
        The width of a bin, in units of the values.
    levels : int
        How many levels the codes have.
    ax : Axes
    """
    curve = _numbers(kl_curve(counts, levels), (len(counts) - levels + 1,), infinite=True)
    kept = np.arange(levels, len(counts) + 1) * width
    best = int(np.flatnonzero(curve == curve.min())[-1])
    ax.set_axis_off()
    above = styled(ax.inset_axes((0.0, 0.56, 1.0, 0.44)))
    below = styled(ax.inset_axes((0.0, 0.0, 1.0, 0.44), sharex=above))
    above.stairs(
        counts.numpy(), np.arange(len(counts) + 1) * width, fill=True, color=COLOURS["real"]
    )
    above.set_yscale("log")
    above.set_ylabel("how many")
    below.plot(kept, np.where(np.isfinite(curve), curve, np.nan), color=COLOURS["error"])
    below.plot(kept[best], curve[best], "o", color=COLOURS["codes"], ms=8)
    for panel in (above, below):
        panel.axvline(kept[best], color=COLOURS["codes"], ls="--")
    below.set_yscale("log", nonpositive="mask")
    below.set_ylabel("KL(P, Q), nats")
    below.set_xlabel("magnitude, and clipping threshold")
    above.set_title(f"{levels} levels: the least divergence lies at {kept[best]:.3g}", size=10)
    return ax


def codes_used(x: Tensor, bits: int, ax: Axes | None = None) -> Axes:
    """Draw how often each code occurs, symmetric signed above affine unsigned, nothing clipped.

    Parameters
    ----------
    x : Tensor
        Not all zeros.
    bits : int
        Of a code.
    ax : Axes, optional
        Where to draw; new axes by default.
    """
    ax = new_axes() if ax is None else ax
    ax.set_axis_off()
    largest = float(x.abs().max())
    rmin, rmax = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    half, steps = 2 ** (bits - 1), 2**bits - 1
    scale = (rmax - rmin) / steps
    schemes = {
        "symmetric, signed": (largest / (half - 1), 0, -half, half - 1),
        "affine, unsigned": (scale, round(-rmin / scale), 0, steps),
    }
    for place, (name, (step, zero_point, qmin, qmax)) in enumerate(schemes.items()):
        panel = styled(ax.inset_axes((0.0, 0.6 - 0.6 * place, 1.0, 0.36)))
        q = (torch.round(x.flatten() / step) + zero_point).clamp(qmin, qmax)
        codes, counts = q.unique(return_counts=True)
        panel.vlines(codes, 0.5, counts, color=COLOURS[_COLOURS[place]], lw=3)
        panel.set_yscale("log")
        panel.set_xlim(qmin - 0.7, qmax + 0.7)
        panel.set_ylabel("values")
        used = f"{len(codes)} of {qmax - qmin + 1} codes used"
        panel.set_title(f"{name}: zero point {zero_point}, {used}", size=10, loc="left")
    panel.set_xlabel("code")
    return ax


def _first_of_bucket(buckets: npt.NDArray[np.int64], bits: int) -> npt.NDArray[np.float64]:
    """Return the smallest number in each bucket above 0 of those that `bits` upper bits make."""
    return np.left_shift(buckets.astype(np.uint32), 32 - bits).view(np.float32).astype(float)


def _numbers(result: Any, shape: Sequence[int], infinite: bool = False) -> npt.NDArray[np.float64]:
    """Return what a student's function gave as an array, if it can be drawn."""
    numbers = np.asarray(result, dtype=np.float64)
    if numbers.shape != tuple(shape):
        raise ValueError(f"shape {numbers.shape} where {tuple(shape)} is needed.")
    if np.isnan(numbers).any() or (np.isinf(numbers).any() and not infinite):
        raise ValueError("numbers that are NaN or infinite.")
    if not np.isfinite(numbers).any():
        raise ValueError("no finite number.")
    return numbers
