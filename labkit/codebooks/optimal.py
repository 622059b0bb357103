"""The best k levels there are: exact, since weights lie on a line.

In an optimal solution each cluster is a run of neighbours among the sorted values. So with the
squared error of a run around its own mean,

    cost(i, j) = sum x^2 - (sum x)^2 / (j - i)          over the sorted values i, ..., j - 1     (1)

the best error of the first j values in c clusters follows from that in c - 1:

    best(c, j) = min over i of  best(c - 1, i) + cost(i, j)                                      (2)

`optimal_levels_by_trying` says just that. `optimal_levels` uses that the best i never moves to the
left as j moves to the right: once it is known for every second j, those between need not look
beyond their neighbours', and a whole row of (2) costs n log n instead of n^2.

Sources: Wang and Song, "Ckmeans.1d.dp", R Journal 2011; Grønlund et al. 2017, arXiv:1701.07204.
"""

import copy
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from labkit.codebooks.levels import number_of_levels
from labkit.validation import real_tensor

__all__ = ["optimal_levels", "optimal_levels_by_trying"]

AT_ONCE = 1 << 15  # candidates: what a processor's cache holds


class Costs:
    """Running sums of sorted values, from which (1) is a few differences.

    Parameters
    ----------
    values : ndarray
        float64, increasing.
    counts : ndarray
        How often each occurs.
    """

    def __init__(self, values: np.ndarray, counts: np.ndarray) -> None:
        # Around their mean: the differences below lose fewer digits.
        self.mean = float(np.average(values, weights=counts))
        centred = values - self.mean
        self.weight = _running(counts.astype(np.float64))
        self.sum = _running(counts * centred)
        self.square = _running(counts * centred**2)

    def of(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Return (1) for all pairs of places i < j."""
        total = self.sum[j] - self.sum[i]
        return self.square[j] - self.square[i] - total**2 / (self.weight[j] - self.weight[i])

    def between(self, ends: np.ndarray) -> "Costs":
        """Return the costs of runs that end at one of `ends` only, which count as places then."""
        fewer = copy.copy(self)
        fewer.weight, fewer.sum, fewer.square = (
            running[ends] for running in (self.weight, self.sum, self.square)
        )
        return fewer

    def levels(self, ends: np.ndarray) -> np.ndarray:
        """Return the mean of each run between neighbouring `ends`."""
        return self.mean + np.diff(self.sum[ends]) / np.diff(self.weight[ends])


def optimal_levels(x: Tensor, k: int) -> Tensor:
    """Return the k levels with the smallest squared error, by dynamic programming.

    Parameters
    ----------
    x : Tensor
        Real values, any shape.
    k : int
        How many levels; 1 or more.

    Returns
    -------
    Tensor
        Increasing levels: k of them, or as many as `x` has different values. float32, or float64
        if `x` is. Codes: `nearest`.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty real tensor, or `k` not a whole number above 0.

    Notes
    -----
    Time k n log n and memory k n for n different values.
    """
    x, values, costs = _sorted(x, k)
    if costs is None:
        return torch.from_numpy(values).to(x.dtype)
    return torch.from_numpy(costs.levels(best_ends(costs, k))).to(x.dtype).unique()


def best_ends(costs: Costs, k: int) -> np.ndarray:
    """Return where the best k runs begin, and the last one ends: k + 1 places, from 0 to n."""
    n = len(costs.weight) - 1
    best = np.concatenate([[0.0], costs.of(np.zeros(n, dtype=int), np.arange(1, n + 1))])
    splits = [np.zeros(n + 1, dtype=np.int64)]
    for clusters in range(2, k + 1):
        best, split = _row(costs, best, splits[-1], clusters, only_last=clusters == k)
        splits.append(split)
    return _walked_back(splits, n)


def optimal_levels_by_trying(x: Tensor, k: int) -> Tensor:
    """Return what `optimal_levels` returns, by (1) and (2) as they stand: time k n^2."""
    x, values, costs = _sorted(x, k)
    if costs is None:
        return torch.from_numpy(values).to(x.dtype)
    n = len(values)
    best, splits = np.full(n + 1, np.inf), []
    best[0] = 0.0
    for _ in range(k):
        row, split = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=np.int64)
        for j in range(1, n + 1):
            i = np.arange(j)
            errors = best[i] + costs.of(i, np.full(j, j))
            split[j] = errors.argmin()
            row[j] = errors[split[j]]
        best = row
        splits.append(split)
    return torch.from_numpy(costs.levels(_walked_back(splits, n))).to(x.dtype).unique()


def _sorted(x: Tensor, k: int) -> tuple[Tensor, np.ndarray, Costs | None]:
    """Return `x`, its different values, and their costs unless each can have its own level."""
    x, k = real_tensor(x, "x"), number_of_levels(k)
    values, counts = np.unique(x.double().numpy(), return_counts=True)
    return x, values, Costs(values, counts) if len(values) > k else None


def _row(
    costs: Costs, before: np.ndarray, earlier: np.ndarray, clusters: int, only_last: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Do one row of (2): for all j with stride 2^m first, then for those halfway between."""
    n, first = len(before) - 1, clusters - 1  # fewer values than that fill no such clusters
    row, split = np.full(n + 1, np.inf), np.full(n + 1, first, dtype=np.int64)
    stride, places, right = 1 << (n - 1).bit_length(), np.array([n]), np.array([n - 1])
    left = np.maximum(earlier[places], first)
    _fill(costs, before, row, split, places, left, right)
    while stride > 1 and not only_last:
        half = stride // 2
        places = np.arange(half, n, stride)
        places = places[places > first]
        # More clusters: the last one begins further to the right, or at the same place.
        left = np.maximum(split[places - half], np.maximum(earlier[places], first))
        left = np.minimum(left, places - 1)
        right = np.minimum(split[np.minimum(places + half, n)], places - 1)
        _fill(costs, before, row, split, places, left, np.maximum(left, right))
        stride = half
    return row, split


def _fill(
    costs: Costs,
    before: np.ndarray,
    row: np.ndarray,
    split: np.ndarray,
    places: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
) -> None:
    """Find the best i between left and right for each j of `places`, many at once."""
    lengths = right - left + 1
    bounds = np.searchsorted(np.cumsum(lengths), np.arange(0, lengths.sum(), AT_ONCE))
    for start, stop in pairwise([*np.unique(bounds), len(places)]):
        part = slice(start, stop)
        _search(costs, before, row, split, places[part], left[part], lengths[part])


def _search(
    costs: Costs,
    before: np.ndarray,
    row: np.ndarray,
    split: np.ndarray,
    places: np.ndarray,
    left: np.ndarray,
    lengths: np.ndarray,
) -> None:
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    i = np.arange(lengths.sum()) - np.repeat(starts - left, lengths)
    errors = before[i] + costs.of(i, np.repeat(places, lengths))
    least = np.minimum.reduceat(errors, starts)
    is_least = np.where(errors == np.repeat(least, lengths), i, len(before))
    row[places], split[places] = least, np.minimum.reduceat(is_least, starts)


def _walked_back(splits: list[np.ndarray], n: int) -> np.ndarray:
    """Return where each run begins, found from the last one backwards."""
    ends = [n]
    for split in reversed(splits):
        ends.append(int(split[ends[-1]]))
    return np.array(ends[::-1])


def _running(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(values)])
