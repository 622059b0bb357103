"""The histogram of a stream: it needs no range beforehand and is never re-binned.

A bucket holds the float32 numbers that agree in their upper 18 bits: sign, exponent and the first
nine bits of the mantissa. So the buckets are fixed before any data is seen, 512 to the octave at
every size, and finding a value's bucket is one shift of its bits. Counts are whole numbers: in
whatever order the batches come and wherever they are counted, the sum is the same to the last bit.

A short stream is not binned at all. Its values are kept as they are until there are more than
`KEPT`, and everything computed from it is exact.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from labkit.validation import finite, real_tensor

__all__ = ["KEPT", "Histogram", "nothing_observed"]

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]

KEPT = 2**20
"""How many values are kept as they are: 4 MiB of float32."""

TOO_LARGE = "Scale down what is that large before it is quantized."

_DROPPED_BITS = 14
_BUCKETS = 2 ** (32 - _DROPPED_BITS)
_NEGATIVE = _BUCKETS // 2  # the sign is the topmost bit, so the upper half is negative
_PIECE = 2**18  # how many values are counted at a time


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
    Memory: at most 4 MiB for the values that are kept, or 2 MiB for the counts.
    """

    def __init__(self) -> None:
        self.total = 0
        self.min = float("inf")
        self.max = float("-inf")
        self._kept: list[Float32s] = []
        self._counts: Counts | None = None

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
        values, low, high = _finite_float32(x)
        self._add([values.copy() if self.total + values.size <= KEPT else values], values.size)
        self.min, self.max = min(self.min, low), max(self.max, high)

    def merge(self, other: "Histogram") -> None:
        """Add what another histogram has counted: the same, to the bit, as seeing its batches.

        Raises
        ------
        TypeError
            If `other` is not a Histogram.
        """
        if not isinstance(other, Histogram):
            raise TypeError(f"other is a {type(other).__name__}; expected a Histogram.")
        if other._counts is None:
            self._add(list(other._kept), other.total)
        else:
            self._bucket_counts()[:] += other._counts
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
        magnitude = occupied % _NEGATIVE
        inner, outer = _lower_edges(magnitude), _lower_edges(magnitude + 1)
        outer[magnitude == 0] = 0.0
        negative = occupied >= _NEGATIVE
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
            counts = self._counts[:_NEGATIVE] + self._counts[_NEGATIVE:]
            top = int(_buckets(np.array([largest], np.float32)))
            bucket_edges = np.append(_lower_edges(np.arange(top + 1)), largest)
            below = np.interp(edges, bucket_edges, np.append(0, np.cumsum(counts[: top + 1])))
            below[0] = counts[0]
        return np.diff(np.maximum.accumulate(below)), largest / bins

    def _add(self, batches: list[Float32s], size: int) -> None:
        if self._counts is None and self.total + size <= KEPT:
            self._kept += batches
        else:
            counts = self._bucket_counts()
            for batch in batches:
                _count_into(counts, batch)
        self.total += size

    def _bucket_counts(self) -> Counts:
        """Return the counts by bucket, moving what was kept until now into them."""
        if self._counts is None:
            self._counts = np.zeros(_BUCKETS, np.int64)
            for kept in self._kept:
                _count_into(self._counts, kept)
            self._kept = []
        return self._counts


def nothing_observed() -> ValueError:
    """Return the error of asking for a range before there is data."""
    return ValueError("nothing was observed yet; call observe(x) with a batch first.")


def _finite_float32(x: Tensor) -> tuple[Float32s, float, float]:
    """Return the values of `x` in one row, their minimum and their maximum."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.numel() == 0:
        real_tensor(x, "x")
    values = x.detach().to("cpu", torch.float32).reshape(-1).numpy()
    low, high = float(values.min()) + 0.0, float(values.max()) + 0.0  # never -0.0
    if not (np.isfinite(low) and np.isfinite(high)):
        finite(real_tensor(x, "x"), "x", torch.float32, TOO_LARGE)
    return values, low, high


def _buckets(values: Float32s) -> Tensor:
    return torch.from_numpy(np.right_shift(values.view(np.uint32), _DROPPED_BITS).view(np.int32))


def _lower_edges(magnitude: npt.NDArray[np.integer]) -> Floats:
    return np.left_shift(magnitude.astype(np.uint32), _DROPPED_BITS).view(np.float32).astype(float)


def _count_into(counts: Counts, values: Float32s) -> None:
    one = torch.ones((), dtype=torch.int64)
    # In pieces that stay in the cache. index_add_, unlike bincount, needs no look at the buckets
    # beforehand and no second array, and one thread does not wait for others on a busy machine.
    for start in range(0, values.size, _PIECE):
        buckets = _buckets(values[start : start + _PIECE])
        torch.from_numpy(counts).index_add_(0, buckets, one.expand(len(buckets)))
