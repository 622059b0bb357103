"""The range that loses the least information: TensorRT's search by Kullback-Leibler divergence.

`h` counts values in B equal bins, |x| for a symmetric scheme. Clipping at the end of bin i keeps i
bins and piles what lies beyond onto the last of them; quantizing to L levels merges those i bins
into L runs, of which each keeps only its sum. The candidate with the smallest divergence wins::

    P(i) = h[0], ..., h[i-2], h[i-1] + sum(h[i:])         the clipped distribution
    Q(i) = h[:i] merged, each run's sum spread evenly over those of its bins that are not empty
    KL(i) = sum over the bins of P log(P / Q),            both normalized to 1, i = L, ..., B

Bin k is in run floor(k L / i). Within a run Q is one number, so the sum over its bins needs only
the run's sums of h, of h log h and of bins that are not empty: differences of cumulative sums.

The divergence compares P with Q, both clipped: if all that is kept lies in one bin, it is 0. So a
candidate that clips more than a small share of the values, `CLIPPED`, is none.

Source: Migacz, "8-bit Inference with TensorRT", GTC 2017.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from labkit.calibration.buckets import Floats
from labkit.calibration.histogram import Histogram
from labkit.qparams import Scheme
from labkit.validation import instance_of

__all__ = ["BINS", "CLIPPED", "entropy_range", "kl_divergences", "kl_threshold"]

BINS = 2048
"""Bins from 0 to the largest |x|, as in TensorRT."""

CLIPPED = 0.003
"""The largest share of the values, zeros apart, that may be clipped."""

_TIE = 1e-12  # divergences this close differ by rounding only


def entropy_range(histogram: Histogram, scheme: Scheme, bins: int = BINS) -> tuple[float, float]:
    """Return the range of smallest KL divergence between the values and the values quantized.

    Parameters
    ----------
    histogram : Histogram
        The values. Exact zeros are left out: they have a code of their own in every scheme.
    scheme : Scheme
        Symmetric: the search runs over |x|, with the levels of one side, 2^(bits-1). Affine: over
        both sides of zero, with all 2^bits levels; first the longer side is clipped.
    bins : int
        How many equal bins to search over from 0 to the largest |x|. With no more bins than levels
        nothing is clipped.

    Returns
    -------
    (float, float)
        Symmetric: (-t, t). Affine: within what was observed. No more than `CLIPPED` of the values
        lie outside. A single value is its own range.

    Raises
    ------
    ValueError
        If nothing was observed yet.
    """
    instance_of(scheme, Scheme, "scheme", "Scheme(bits=8)")
    search = _symmetric if scheme.symmetric else _affine
    if histogram.total and histogram.min == histogram.max:
        return histogram.min, histogram.max
    return search(histogram, scheme.bits, bins)


def _symmetric(histogram: Histogram, bits: int, bins: int) -> tuple[float, float]:
    counts, width = histogram.magnitudes(bins)
    largest = max(abs(histogram.min), abs(histogram.max))
    kept = bins - _clipped(counts, 2 ** (bits - 1), bins, CLIPPED * counts.sum())
    threshold = min(kept * width, largest)
    return -threshold, threshold


def _affine(histogram: Histogram, bits: int, bins: int) -> tuple[float, float]:
    counts, below, width = histogram.both_sides(bins)
    ends = {-1: below, 1: len(counts) - below}  # of each side, in bins from 0
    allowed = CLIPPED * counts.sum()
    for side in sorted(ends, key=lambda side: -ends[side]):
        # The range always holds 0, so that no more than one side of it can be clipped.
        clipped = _clipped(counts[::side], 2**bits, ends[side], allowed)
        kept, beyond = np.split(counts[::side], [len(counts) - clipped])
        counts, allowed = kept[::side], allowed - beyond.sum()
        ends[side] -= clipped
    low, high = -ends[-1] * width, ends[1] * width
    return min(max(low, histogram.min), histogram.max), max(min(high, histogram.max), histogram.min)


def _clipped(counts: Floats, levels: int, most: int, allowed: float) -> int:
    """Return how many bins to clip at the end: at most so many, with at most so many values."""
    if len(counts) <= levels or not counts.any():
        return 0
    beyond = np.append(np.cumsum(counts[::-1])[::-1], 0.0)
    least = max(len(counts) - most, int(np.argmax(beyond <= allowed)))
    return len(counts) - kl_threshold(counts, levels, least)


def kl_threshold(counts: Floats, levels: int, least: int = 0) -> int:
    """Return how many bins to keep: the number with the smallest KL divergence.

    Of several that are equally good the largest, which clips least. With no more bins than levels
    all of them.

    Parameters
    ----------
    counts, levels
        As in `kl_divergences`, which raises the same errors.
    least : int
        Keep at least so many.
    """
    if len(_usable(counts, levels)) <= max(levels, least):
        return len(counts)
    skipped = max(0, least - levels)
    divergences = kl_divergences(counts, levels)[skipped:]
    best = np.flatnonzero(divergences <= divergences.min() + _TIE)[-1]
    return levels + skipped + int(best)


def kl_divergences(counts: Floats, levels: int) -> Floats:
    """Return the KL divergence of every candidate threshold, in nats.

    Parameters
    ----------
    counts : float array [B]
        The histogram of |x|.
    levels : int
        L, the number of levels after quantization, 1 to B.

    Returns
    -------
    float64 array [B - L + 1]
        KL(i) for i = L, ..., B kept bins. Infinite where the last kept bin is empty but values lie
        beyond it, since Q has nothing there.

    Raises
    ------
    ValueError
        If a count is negative or not finite, all are 0, or there are fewer bins than levels.
    """
    counts = _usable(counts, levels)
    if len(counts) < levels:
        raise ValueError(
            f"there are {len(counts)} bins for {levels} levels; expected at least one bin a level. "
            "Use more bins."
        )
    total = counts.sum()
    kept = np.arange(levels, len(counts) + 1)
    # Run j of i bins begins at the first k with floor(k L / i) = j.
    starts = -(-np.arange(levels + 1) * kept[:, None] // levels)
    # Differences of whole numbers are exact, so divide after them.
    mass = np.diff(_up_to(counts)[starts], axis=1) / total
    filled = np.diff(_up_to(counts > 0)[starts], axis=1)
    inside = _up_to(counts)[kept] / total
    beyond = _up_to(counts[::-1])[::-1][kept] / total
    p = counts / total
    last = p[kept - 1]
    log_q = _log(mass) - _log(filled) - _log(inside)[:, None]
    p_log_p = _up_to(p * _log(p))[kept - 1] + (last + beyond) * _log(last + beyond)
    p_log_q = (mass * log_q).sum(axis=1) + beyond * log_q[:, -1]
    nothing_there = (last == 0) & (beyond > 0)
    return np.where(nothing_there, np.inf, np.maximum(p_log_p - p_log_q, 0.0))


def _usable(counts: Floats, levels: int) -> Floats:
    counts = np.asarray(counts, dtype=np.float64)
    if counts.ndim != 1 or not np.isfinite(counts).all() or counts.min(initial=0) < 0:
        raise ValueError("counts is no histogram; expected one row of numbers, none below 0.")
    if not counts.any():
        raise ValueError("all bins are empty; expected a histogram of some values other than 0.")
    if levels < 1:
        raise ValueError(f"levels is {levels}; expected 1 or more.")
    return counts


def _up_to(amounts: npt.NDArray[Any]) -> Floats:
    """Return the cumulative sums, with the empty one in front."""
    return np.append(0.0, np.cumsum(amounts, dtype=np.float64))


def _log(x: Floats) -> Floats:
    """Return log x, and 0 where x is 0: there it is only ever multiplied by 0."""
    return np.log(np.where(x > 0, x, 1.0))
