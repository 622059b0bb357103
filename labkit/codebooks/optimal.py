"""The best k levels there are: exact, since weights lie on a line.

In an optimal solution each cluster is a run of neighbours among the sorted values. So with the
squared error of a run around its own mean,

    cost(i, j) = sum x^2 - (sum x)^2 / (j - i)          over the sorted values i, ..., j - 1     (1)

the best error of the first j values in c clusters follows from that in c - 1:

    best(c, j) = min over i of  best(c - 1, i) + cost(i, j)                                      (2)

`optimal_levels_by_trying` says just that. `optimal_levels` uses that the best i never moves to the
left as j moves to the right: once it is known for every second j, those between need not look
beyond their neighbours', and a whole row of (2) costs n log n instead of n^2. The channels of a
layer are many small sets of values: they lie side by side in the same arrays, and take their steps
together.

Sources: Wang and Song, "Ckmeans.1d.dp", R Journal 2011; Grønlund et al. 2017, arXiv:1701.07204.
"""

import copy
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from labkit.codebooks.levels import number_of_levels
from labkit.validation import real_tensor

__all__ = ["optimal_levels", "optimal_levels_by_trying"]

AT_ONCE = 1 << 15  # candidates: what a processor's cache holds
SIDE_BY_SIDE = 1 << 22  # numbers kept for the way back


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

    @classmethod
    def side_by_side(cls, sets: "Sequence[Costs]") -> "Costs":
        """Return the costs of runs within several sets; places go on from set to set."""
        joined = copy.copy(sets[0])
        joined.weight, joined.sum, joined.square = (
            np.concatenate([getattr(costs, name) for costs in sets])
            for name in ("weight", "sum", "square")
        )
        return joined

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
    return optimal_levels_of_each([x], k)[0]


def optimal_levels_of_each(groups: Sequence[Tensor], k: int) -> list[Tensor]:
    """Return what `optimal_levels` returns for each tensor, quicker if they are small."""
    found = [_sorted(x, k) for x in groups]
    ends = iter(best_ends([costs for _, _, costs in found if costs is not None], k))
    levels = [values if costs is None else costs.levels(next(ends)) for _, values, costs in found]
    return [
        torch.from_numpy(found).to(x.dtype).unique()
        for (x, _, _), found in zip(found, levels, strict=True)
    ]


def best_ends(sets: Sequence[Costs], k: int) -> list[np.ndarray]:
    """Return where the best k runs of each set begin, and the last one ends.

    k + 1 places, from 0 to n, for each; a set has k values or more.
    """
    return [ends for some in _parts(sets, k) for ends in _Places(some).best_ends(k)]


def _parts(sets: Sequence[Costs], k: int) -> Iterator[list[Costs]]:
    """Give neighbouring sets together, as many as the memory is meant for; at least one."""
    part: list[Costs] = []
    for costs in sets:
        if part and k * sum(len(c.weight) for c in (*part, costs)) > SIDE_BY_SIDE:
            yield part
            part = []
        part.append(costs)
    if part:
        yield part


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
    (ends,) = _walked_back(splits, np.array([n]))
    return torch.from_numpy(costs.levels(ends)).to(x.dtype).unique()


def _sorted(x: Tensor, k: int) -> tuple[Tensor, np.ndarray, Costs | None]:
    """Return `x`, its different values, and their costs unless each can have its own level."""
    x, k = real_tensor(x, "x"), number_of_levels(k)
    values, counts = np.unique(x.double().numpy(), return_counts=True)
    return x, values, Costs(values, counts) if len(values) > k else None


class _Places:
    """Several sets side by side: place j of a set is `first` of the set + j, from 0 to its n.

    Parameters
    ----------
    sets : sequence of Costs
        One or more.
    """

    def __init__(self, sets: Sequence[Costs]) -> None:
        self.counts = np.array([len(costs.weight) - 1 for costs in sets])
        self.last = np.cumsum(self.counts + 1) - 1
        self.first = self.last - self.counts
        self.costs = Costs.side_by_side(sets)
        self.origin = np.repeat(self.first, self.counts + 1)

    def best_ends(self, k: int) -> list[np.ndarray]:
        """Return what `labkit.codebooks.optimal.best_ends` returns."""
        best, places = np.zeros(len(self.origin)), np.arange(len(self.origin))
        behind = places > self.origin
        best[behind] = self.costs.of(self.origin[behind], places[behind])
        splits = [self.origin]
        for clusters in range(2, k + 1):
            best, split = self._row(best, splits[-1], clusters, only_last=clusters == k)
            splits.append(split)
        return list(_walked_back(splits, self.last) - self.first[:, None])

    def _row(
        self, before: np.ndarray, earlier: np.ndarray, clusters: int, only_last: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Do one row of (2): for all j with stride 2^m first, then for those halfway between."""
        fewest = clusters - 1  # fewer values than that fill no such clusters
        row, split = np.full(len(before), np.inf), self.origin + fewest
        left = np.maximum(earlier[self.last], self.first + fewest)
        self._fill(before, row, split, self.last, left, self.last - 1)
        longest = int(self.counts.max())
        stride = 1 << (longest - 1).bit_length()
        while stride > 1 and not only_last:
            half = stride // 2
            steps = np.arange(half, longest, stride)
            which, step = np.nonzero((steps > fewest) & (steps < self.counts[:, None]))
            places, last = self.first[which] + steps[step], self.last[which]
            # More clusters: the last one begins further to the right, or at the same place.
            left = np.maximum(split[places - half], earlier[places])
            left = np.minimum(np.maximum(left, self.first[which] + fewest), places - 1)
            right = np.minimum(split[np.minimum(places + half, last)], places - 1)
            self._fill(before, row, split, places, left, np.maximum(left, right))
            stride = half
        return row, split

    def _fill(
        self,
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
            found = self._search(before, places[part], left[part], lengths[part])
            row[places[part]], split[places[part]] = found

    def _search(
        self, before: np.ndarray, places: np.ndarray, left: np.ndarray, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        i = np.arange(lengths.sum()) - np.repeat(starts - left, lengths)
        errors = before[i] + self.costs.of(i, np.repeat(places, lengths))
        least = np.minimum.reduceat(errors, starts)
        is_least = np.where(errors == np.repeat(least, lengths), i, len(before))
        return least, np.minimum.reduceat(is_least, starts)


def _walked_back(splits: list[np.ndarray], last: np.ndarray) -> np.ndarray:
    """Return where each run begins, found from the last one backwards: [sets, runs + 1]."""
    ends = [last]
    for split in reversed(splits):
        ends.append(split[ends[-1]])
    return np.stack(ends[::-1], axis=1)


def _running(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(values)])
