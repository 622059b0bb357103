"""The observers that stand on a histogram, or with `axis` on one for each channel.

So they need constant memory and give the same answer, to the bit, in whatever order the batches
come and however these are spread over observers that are merged afterwards.
"""

from abc import abstractmethod
from typing import Self

import torch
from torch import Tensor

from labkit.calibration.entropy import BINS, entropy_range
from labkit.calibration.histogram import Histogram, nothing_observed
from labkit.calibration.mse import mse_range
from labkit.calibration.observers import Observer, Range
from labkit.calibration.thresholds import percent_as_fraction, percentile_range
from labkit.qparams import Scheme
from labkit.validation import whole_number

__all__ = ["MSE", "Entropy", "Percentile"]


class _HistogramObserver(Observer):
    """An observer that chooses the range from a histogram, or from one for each channel."""

    def __init__(self, axis: int | None = None) -> None:
        super().__init__(axis)
        self._histograms = [Histogram()] if axis is None else []

    def range(self, scheme: Scheme) -> Range:
        """Return (rmin, rmax) for a scheme; see `Observer.range`."""
        if not self._histograms:
            raise nothing_observed()
        ranges = [self._range_of(histogram, scheme) for histogram in self._histograms]
        if self.axis is None:
            return ranges[0]
        low, high = torch.tensor(ranges, dtype=torch.float64).T
        return low, high

    @property
    def nbytes(self) -> int:
        """How much memory the histograms take."""
        return sum(histogram.nbytes for histogram in self._histograms)

    def compact(self) -> None:
        """Let go of the histograms' empty buckets; see `Observer.compact`."""
        for histogram in self._histograms:
            histogram.compact()

    @abstractmethod
    def _range_of(self, histogram: Histogram, scheme: Scheme) -> tuple[float, float]: ...

    def _observe(self, x: Tensor) -> None:
        rows = [x] if self.axis is None else list(x)
        self._histograms = self._histograms or [Histogram() for _ in rows]
        for histogram, row in zip(self._histograms, rows, strict=True):
            histogram.observe(row)

    def _merge(self, other: Self) -> None:
        self._histograms = self._histograms or [Histogram() for _ in other._histograms]
        for histogram, others in zip(self._histograms, other._histograms, strict=False):
            histogram.merge(others)


class Percentile(_HistogramObserver):
    """The range that `percent` percent of the values lie in; see `percentile_range`.

    Parameters
    ----------
    percent : float
        Above 0, at most 100.
    axis : int, optional
        As in `Observer`.

    Raises
    ------
    ValueError
        If `percent` is out of range.
    """

    def __init__(self, percent: float = 99.99, axis: int | None = None) -> None:
        super().__init__(axis)
        percent_as_fraction(percent)
        self.percent = float(percent)

    def _range_of(self, histogram: Histogram, scheme: Scheme) -> tuple[float, float]:
        return percentile_range(histogram, scheme, self.percent)


class Entropy(_HistogramObserver):
    """The range that loses the least information, by KL divergence; see `entropy_range`.

    Parameters
    ----------
    bins : int
        How many equal bins from 0 to the largest |x| the search runs over.
    axis : int, optional
        As in `Observer`.

    Raises
    ------
    TypeError, ValueError
        If `bins` is no whole number, or less than 1.
    """

    def __init__(self, bins: int = BINS, axis: int | None = None) -> None:
        super().__init__(axis)
        if whole_number(bins, "bins") < 1:
            raise ValueError(f"bins is {bins}; expected 1 or more.")
        self.bins = int(bins)

    def _range_of(self, histogram: Histogram, scheme: Scheme) -> tuple[float, float]:
        return entropy_range(histogram, scheme, self.bins)


class MSE(_HistogramObserver):
    """The range of the smallest mean squared error, clipping and rounding; see `mse_range`.

    Parameters
    ----------
    axis : int, optional
        As in `Observer`.
    """

    def _range_of(self, histogram: Histogram, scheme: Scheme) -> tuple[float, float]:
        return mse_range(histogram, scheme)
