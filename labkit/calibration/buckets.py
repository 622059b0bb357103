"""Buckets for any float32: fixed before any data is seen, and found by one shift of the bits.

A bucket holds the numbers that agree in their upper 18 bits: sign, exponent and the first nine bits
of the mantissa. That makes 512 buckets to the octave at every size. The sign is the topmost bit, so
the upper half of the buckets is negative, mirrored.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["BUCKETS", "NEGATIVE", "Counts", "Float32s", "Floats", "bucket", "count", "inner_edge"]

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]

_DROPPED_BITS = 14
_SHARE = 2**19  # how many values are worth a thread and a table of their own
_PIECE = 2**17  # how many values at a time: these and their buckets stay in the cache

BUCKETS = 2 ** (32 - _DROPPED_BITS)
"""How many buckets there are."""

NEGATIVE = BUCKETS // 2
"""The first bucket below zero; bucket b + NEGATIVE mirrors bucket b."""


def count(counts: Counts, values: Float32s, times: int = 1) -> tuple[float, float]:
    """Add `times` to the count of each value's bucket.

    Parameters
    ----------
    counts : int64 array [BUCKETS]
        Changed in place.
    values : float32 array [N]
        NaN and infinity have buckets, too.
    times : int
        -1 takes back what was counted.

    Returns
    -------
    (float, float)
        The smallest and the largest value; NaN if there is one.
    """
    threads = min(torch.get_num_threads(), len(values) // _SHARE)
    if threads < 2:
        return _count(counts, values, times)
    shares = np.array_split(values, threads)
    # Not torch.zeros, whose own threads wait for one another on a busy machine.
    tables = [counts, *(np.zeros(BUCKETS, np.int64) for _ in shares[1:])]
    with ThreadPoolExecutor(threads) as pool:
        extremes = list(pool.map(_count, tables, shares, repeat(times)))
    for table in tables[1:]:
        counts += table
    lows, highs = zip(*extremes, strict=True)
    return float(np.min(lows)), float(np.max(highs))


def _count(counts: Counts, values: Float32s, times: int) -> tuple[float, float]:
    low, high = np.float32(np.inf), np.float32(-np.inf)
    filled, step = torch.from_numpy(counts), torch.tensor(times)
    buckets = np.empty(min(_PIECE, len(values)), np.uint32)
    for start in range(0, len(values), _PIECE):
        piece = values[start : start + _PIECE]
        low, high = np.minimum(low, piece.min()), np.maximum(high, piece.max())
        found = torch.from_numpy(bucket(piece, buckets[: len(piece)]).view(np.int32))
        # Unlike bincount this needs no pass over the buckets beforehand, no second array to add
        # up, and none of torch's own threads.
        filled.index_add_(0, found, step.expand(len(piece)))
    return float(low), float(high)


def bucket(values: Float32s, out: npt.NDArray[np.uint32] | None = None) -> npt.NDArray[np.uint32]:
    """Return the bucket of each value, 0 to BUCKETS - 1."""
    return np.right_shift(values.view(np.uint32), _DROPPED_BITS, out=out)


def inner_edge(buckets: npt.NDArray[np.int64]) -> Floats:
    """Return the smallest number in each of the buckets, which are those of numbers above zero.

    A bucket ends where the next one begins.
    """
    return np.left_shift(buckets.astype(np.uint32), _DROPPED_BITS).view(np.float32).astype(float)
