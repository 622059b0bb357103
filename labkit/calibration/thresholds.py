"""The ways to choose a range from what was observed, by name.

A method is a function of a `Histogram` and a `Scheme` that returns (rmin, rmax) in units of `x`.
The two that search for the best range have modules of their own.
"""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from labkit.calibration.buckets import Counts, Floats
from labkit.calibration.entropy import entropy_range
from labkit.calibration.histogram import Histogram, nothing_observed
from labkit.calibration.mse import mse_range
from labkit.qparams import Scheme
from labkit.validation import instance_of

__all__ = ["METHODS", "Method", "minmax_range", "percentile_range"]

Method = Callable[[Histogram, Scheme], tuple[float, float]]


def minmax_range(histogram: Histogram, scheme: Scheme) -> tuple[float, float]:
    """Return the smallest and the largest value: nothing is clipped, whatever the scheme.

    Raises
    ------
    ValueError
        If nothing was observed yet.
    """
    if histogram.total == 0:
        raise nothing_observed()
    return histogram.min, histogram.max


def percentile_range(
    histogram: Histogram, scheme: Scheme, percent: float = 99.99
) -> tuple[float, float]:
    """Return the range that `percent` percent of the values lie in.

    Symmetric: (-t, t), where t is that percentile of |x|. Affine: as much is cut from either end;
    but if all values are on one side of zero, all is cut from the far end, since the range is
    widened to zero anyway. The p-th percentile of n values is the smallest that at least
    ``p / 100 * n`` of them do not exceed.

    Parameters
    ----------
    histogram : Histogram
        The values.
    scheme : Scheme
        The integers to use.
    percent : float
        Above 0, at most 100.

    Returns
    -------
    (float, float)
        The full range where only zeros would be left of it, since a range of zeros loses all else.

    Raises
    ------
    ValueError
        If nothing was observed yet, or `percent` is out of range.

    Notes
    -----
    Wu et al., "Integer Quantization for Deep Learning Inference: Principles and Empirical
    Evaluation", 2020, section 4.1.
    """
    instance_of(scheme, Scheme, "scheme", "Scheme(bits=8)")
    inside = percent_as_fraction(percent)
    values, counts = histogram.points()
    low, high = histogram.min, histogram.max
    if scheme.symmetric:
        order = np.argsort(np.abs(values), kind="stable")
        threshold = _smallest_covering(inside, np.abs(values)[order], counts[order])
        largest = max(abs(low), abs(high))
        threshold = min(threshold, largest) or largest
        return -threshold, threshold
    if low < 0 < high:
        inside = (1 + inside) / 2
    cut_low = -_smallest_covering(inside, -values[::-1], counts[::-1]) if low < 0 else low
    cut_high = _smallest_covering(inside, values, counts) if high > 0 else high
    return (cut_low, cut_high) if cut_low or cut_high else (low, high)


def percent_as_fraction(percent: float) -> Fraction:
    """Return `percent` / 100 without rounding: 99.9 means 999/1000.

    Raises
    ------
    ValueError
        If it is not above 0 and at most 100.
    """
    if not 0 < percent <= 100:
        raise ValueError(f"percent is {percent}; expected more than 0 and at most 100.")
    return Fraction(str(float(percent))) / 100


def _smallest_covering(share: Fraction, values: Floats, counts: Counts) -> float:
    """Return the smallest value that at least `share` of all (ascending) values do not exceed."""
    up_to = np.cumsum(counts)
    rank = math.ceil(share * int(up_to[-1]))
    return float(values[np.searchsorted(up_to, rank)])


METHODS: dict[str, Method] = {
    "minmax": minmax_range,
    "percentile": percentile_range,
    "entropy": entropy_range,
    "mse": mse_range,
}
"""The methods that `report` compares, each with its usual settings."""
