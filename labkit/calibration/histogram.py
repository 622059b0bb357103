"""The histogram of a stream: it needs no range beforehand and is never re-binned.

Values are counted in the fixed buckets of `labkit.calibration.buckets`. Counts are whole numbers,
so in whatever order batches come and wherever they are counted, the sum is the same to the bit.

A short stream is not binned at all. Its values are kept as they are until there are more than
`KEPT`, and everything computed from it is exact.
"""

import numpy as np
import torch
from torch import Tensor

from labkit.calibration.buckets import (
    BUCKETS,
    NEGATIVE,
    Counts,
    Float32s,
    Floats,
    bucket,
    count,
    inner_edge,
)
from labkit.validation import finite, real_tensor

__all__ = ["KEPT", "Histogram", "nothing_observed", "within_float32"]

KEPT = 2**20
"""How many values are kept as they are: 4 MiB of float32."""


class Histogram:
    """Count the values of a stream of batches, in constant memory.

    Attributes
    ----------
    total : int
        How many values were seen.
    min, max : float
        The smallest and the largest of them, exact; inf and -inf before the first.

    Notes
    -----
    Memory: at most 4 MiB for the values that are kept, or 2 MiB for the counts; `compact` leaves
    about a tenth of the latter.
    """

    def __init__(self) -> None:
        self.total = 0
        self.min = float("inf")
        self.max = float("-inf")
        self._kept: list[Float32s] = []
        self._table: Counts | None = None
        self._occupied: tuple[Counts, Counts] | None = None  # in place of the table

    @property
    def nbytes(self) -> int:
        """How much memory the values or the counts take."""
        arrays = [*self._kept, *(self._occupied or ()), self._table]
        return sum(array.nbytes for array in arrays if array is not None)

    def compact(self) -> None:
        """Let go of empty buckets until the next batch; nothing else changes."""
        if self._table is not None:
            places = np.flatnonzero(self._table)
            self._occupied, self._table = (places, self._table[places]), None

    @property
    def _counts(self) -> Counts | None:
        """The count of every bucket; None while values are kept."""
        if self._occupied is not None:
            places, counts = self._occupied
            self._table, self._occupied = np.zeros(BUCKETS, np.int64), None
            self._table[places] = counts
        return self._table

    def observe(self, x: Tensor) -> None:
        """Count the values of a batch.

        Parameters
        ----------
        x : Tensor
            Any shape, floating-point dtype and device. Counted as float32, rounded to nearest.

        Raises
        ------
        TypeError, ValueError
            If `x` is not a finite, non-empty real tensor, or too large for float32. Nothing is
            counted then.
        """
        if not isinstance(x, Tensor) or not x.is_floating_point() or x.numel() == 0:
            real_tensor(x, "x")
        values = x.detach().to("cpu", torch.float32).reshape(-1).numpy()
        if self._keeps(values.size):
            low, high = float(values.min()), float(values.max())
            if not np.isfinite([low, high]).all():
                within_float32(x)
            self._kept.append(values.copy())
        else:
            counts = np.zeros(BUCKETS, np.int64) if self._counts is None else self._counts
            low, high = count(counts, values)
            if not np.isfinite([low, high]).all():
                count(counts, values, times=-1)
                within_float32(x)
            self._move_kept_into(counts)
        self.total += values.size
        # 0.0 and -0.0 are the same value: always name the first.
        self.min, self.max = min(self.min, low) + 0.0, max(self.max, high) + 0.0

    def merge(self, other: "Histogram") -> None:
        """Add what another histogram has counted: the same, to the bit, as seeing its batches.

        Raises
        ------
        TypeError
            If `other` is not a Histogram.
        """
        if not isinstance(other, Histogram):
            raise TypeError(f"other is a {type(other).__name__}; expected a Histogram.")
        kept = list(other._kept)
        if other._counts is None and self._keeps(other.total):
            self._kept += kept
        else:
            # Taken first: `other` may be this very histogram.
            added = np.zeros(BUCKETS, np.int64) if other._counts is None else other._counts.copy()
            for values in kept:
                count(added, values)
            if self._counts is not None:
                added += self._counts
            self._move_kept_into(added)
        self.total += other.total
        self.min, self.max = min(self.min, other.min), max(self.max, other.max)

    def buckets(self) -> tuple[Floats, Floats, Counts]:
        """Return the buckets that hold values, in ascending order.

        Returns
        -------
        lower, upper : float64 array [N]
            Where the bucket begins and ends, within [min, max]. Equal, each the exact value, while
            values are kept; afterwards ``upper - lower`` is at most 1/512 of the value, and what
            is smaller than 2^-135 counts as 0.
        counts : int64 array [N]
            How many values each holds.

        Raises
        ------
        ValueError
            If nothing was observed yet.
        """
        if self.total == 0:
            raise nothing_observed()
        if self._counts is None:
            kept, counts = np.unique(np.concatenate(self._kept), return_counts=True)
            values = kept.astype(np.float64) + 0.0  # never -0.0
            return values, values, counts
        occupied = np.flatnonzero(self._counts)
        magnitude = occupied % NEGATIVE
        inner, outer = inner_edge(magnitude), inner_edge(magnitude + 1)
        outer[magnitude == 0] = 0.0
        negative = occupied >= NEGATIVE
        lower = np.where(negative, -outer, inner).clip(self.min, self.max)
        upper = np.where(negative, -inner, outer).clip(self.min, self.max)
        order = np.argsort(lower, kind="stable")
        return lower[order], upper[order], self._counts[occupied[order]]

    def points(self) -> tuple[Floats, Counts]:
        """Return the values in ascending order, and how often each was seen.

        Returns
        -------
        values : float64 array [N]
            Exact while values are kept; afterwards the middle of each bucket.
        counts : int64 array [N]

        Raises
        ------
        ValueError
            If nothing was observed yet.
        """
        lower, upper, counts = self.buckets()
        return (lower + upper) / 2, counts

    def magnitudes(self, bins: int) -> tuple[Floats, float]:
        """Return a histogram of |x| in equal bins from 0 to max |x|, without the values that are 0.

        Zero has a code of its own in every scheme and costs nothing, however often it occurs.

        Returns
        -------
        counts : float64 array [bins]
            Whole numbers while values are kept; afterwards a bucket that a bin's edge cuts is
            shared out in proportion.
        width : float
            The width of a bin, in units of `x`.

        Raises
        ------
        ValueError
            If nothing was observed yet.
        """
        if self.total == 0:
            raise nothing_observed()
        largest = max(abs(self.min), abs(self.max))
        edges = np.linspace(0.0, largest, bins + 1)
        if self._counts is None:
            sizes = np.sort(np.abs(np.concatenate(self._kept))).astype(np.float64)
            below = np.searchsorted(sizes, edges).astype(np.float64)
            below[0] = np.searchsorted(sizes, 0.0, side="right")
            below[-1] = self.total
        else:
            counts = self._counts[:NEGATIVE] + self._counts[NEGATIVE:]
            top = int(bucket(np.array([largest], np.float32))[0])
            bucket_edges = np.append(inner_edge(np.arange(top + 1)), largest)
            below = np.interp(edges, bucket_edges, np.append(0, np.cumsum(counts[: top + 1])))
            below[0] = counts[0]
        return np.diff(np.maximum.accumulate(below)), largest / bins

    def both_sides(self, bins: int) -> tuple[Floats, int, float]:
        """Return a histogram of x in bins as wide as those of `magnitudes`, on both sides of 0.

        Returns
        -------
        counts : float64 array
            As in `magnitudes`; from the bin of the lowest value, or from 0, to that of the highest.
        below : int
            How many of the bins lie below 0.
        width : float
            The width of a bin, in units of `x`.

        Raises
        ------
        ValueError
            If nothing was observed yet.
        """
        lower, upper, counts = self.buckets()
        width = max(abs(self.min), abs(self.max)) / bins
        below, above = (int(np.ceil(max(end, 0.0) / width)) for end in (-self.min, self.max))
        edges = np.arange(-below, above + 1) * width
        # The outermost edges are those of the values, whatever is lost in rounding.
        edges[0], edges[-1] = min(edges[0], self.min), max(edges[-1], self.max)
        away = (lower != 0) | (upper != 0)
        lower, upper, counts = lower[away], upper[away], counts[away]
        if self._counts is None:
            found = np.histogram(lower, edges, weights=counts)[0].astype(np.float64)
        else:
            up_to = np.cumsum(counts)
            ends = np.stack([lower, upper], axis=1).ravel()
            sums = np.stack([up_to - counts, up_to], axis=1).ravel()
            found = np.diff(np.interp(edges, ends, sums))
        return found, below, width

    def _keeps(self, more: int) -> bool:
        return self._counts is None and self.total + more <= KEPT

    def _move_kept_into(self, counts: Counts) -> None:
        for values in self._kept:
            count(counts, values)
        self._kept, self._table = [], counts


def nothing_observed() -> ValueError:
    """Return the error of asking for a range before there is data."""
    return ValueError("nothing was observed yet; call observe(x) with a batch first.")


def within_float32(x: Tensor) -> Tensor:
    """Return `x` as `real_tensor` does, refused if it holds numbers too large for float32, too.

    Raises
    ------
    TypeError, ValueError
        If it is no such tensor; with the first value that is too large.
    """
    advice = "Scale down what is that large before it is quantized."
    return finite(real_tensor(x, "x"), "x", torch.float32, advice)
