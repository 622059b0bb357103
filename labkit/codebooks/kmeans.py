"""K-means on weights: the levels that lie nearest to them, found step by step.

Wanted are k levels with the smallest squared error ``sum (x - levels[code])^2``. Lloyd's algorithm
repeats two steps, neither of which can make the error larger:

    code  = the nearest level of each value                                                      (1)
    level = the mean of the values that have its code                                            (2)

It ends where nothing moves, which need not be the best there is: where, depends on the start.
`labkit.codebooks.optimal_levels` finds the best. Source: Lloyd, "Least squares quantization in
PCM", IEEE Transactions on Information Theory 1982; for weights, Han, Mao and Dally 2016,
arXiv:1510.00149, section 3.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from labkit.codebooks.levels import increasing, nearest, number_of_levels
from labkit.codebooks.optimal import Costs, best_ends
from labkit.validation import real_tensor

__all__ = ["INITS", "kmeans", "lloyd_step", "squared_error"]

INITS = ("coarse", "quantile", "linear", "k-means++")
MOST_STEPS = 10_000
COARSE = 1024


def lloyd_step(x: Tensor, levels: Tensor) -> Tensor:
    """Do one step of Lloyd's algorithm, (1) and (2), in plain words.

    A level without values (an empty cluster) moves to the value that lies farthest from the mean of
    its own cluster, the smallest of those; of several empty ones each takes the next farthest.

    Parameters
    ----------
    x : Tensor
        Real values, any shape.
    levels : Tensor
        Real numbers [k], increasing.

    Returns
    -------
    Tensor
        float64 [k], sorted.

    Raises
    ------
    TypeError, ValueError
        As `nearest`.
    """
    x, levels = real_tensor(x, "x").double().flatten(), increasing(levels).double()
    codes = nearest(x, levels)
    counts = torch.bincount(codes, minlength=len(levels))
    sums = torch.zeros(len(levels), dtype=torch.float64).index_add(0, codes, x)
    moved = torch.where(counts > 0, sums / counts, levels)
    empty = (counts == 0).nonzero().flatten()
    values = x.unique()
    distances = (values - moved[nearest(values, levels)]).abs()
    farthest = distances.argsort(descending=True, stable=True)[: len(empty)]
    moved[empty[: len(farthest)]] = values[farthest]
    return moved.sort().values


def kmeans(
    x: Tensor, k: int, init: str = "coarse", seed: int = 0, steps: int = MOST_STEPS
) -> Tensor:
    """Find k levels by Lloyd's algorithm.

    Parameters
    ----------
    x : Tensor
        Real values, any shape.
    k : int
        How many levels; 1 or more.
    init : str
        Where they start. "linear": at equal distances from the smallest value to the largest.
        "quantile": with equally many values between them. "k-means++": at values drawn one after
        the other, with a chance proportional to the squared distance from those that are there.
        "coarse": at the best levels of clusters that may only end at about 2,000 places (see
        `labkit.codebooks.optimal_levels`); the others often end far from the best there is.
    seed : int
        Of the draws of "k-means++".
    steps : int
        The most steps; it ends earlier where no level moves.

    Returns
    -------
    Tensor
        Increasing levels: k of them, or as many as `x` has different values. float32, or float64
        if `x` is. Codes: `nearest`.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty real tensor, or an argument is not as described.

    Notes
    -----
    On sorted values a cluster is a run, and its sum the difference of two running sums: a step
    takes k searches and not a look at every value. k-means++: Arthur and Vassilvitskii, SODA 2007.
    """
    return kmeans_of_each([x], k, init, seed, steps)[0]


def kmeans_of_each(
    groups: Sequence[Tensor],
    k: int,
    init: str = "coarse",
    seed: int = 0,
    steps: int = MOST_STEPS,
) -> list[Tensor]:
    """Return what `kmeans` returns for each tensor, quicker if they are small."""
    k = number_of_levels(k)
    if init not in INITS:
        raise ValueError(f"init is {init!r}; expected one of {', '.join(INITS)}.")
    sorted_groups = [
        np.unique(real_tensor(x, "x").double().numpy(), return_counts=True) for x in groups
    ]
    starts = iter(_starts([g for g in sorted_groups if len(g[0]) > k], k, init, seed))
    return [
        torch.from_numpy(
            values if len(values) <= k else _settled(values, counts, next(starts), steps)
        )
        .to(x.dtype)
        .unique()
        for x, (values, counts) in zip(groups, sorted_groups, strict=True)
    ]


def squared_error(x: Tensor, levels: Tensor) -> float:
    """Return ``sum (x - levels[code])^2``, what k-means makes small, in float64."""
    x = real_tensor(x, "x").double()
    return float((x - levels.double()[nearest(x, levels.double())]).square().sum())


def _settled(values: np.ndarray, counts: np.ndarray, levels: np.ndarray, steps: int) -> np.ndarray:
    """Do steps until no level moves."""
    sums = np.concatenate([[0.0], np.cumsum(values * counts)])
    weights = np.concatenate([[0], np.cumsum(counts)])
    for _ in range(steps):
        moved = _moved(values, weights, sums, levels)
        if np.array_equal(moved, levels):
            break
        levels = moved
    return levels


def _starts(
    groups: Sequence[tuple[np.ndarray, np.ndarray]], k: int, init: str, seed: int
) -> list[np.ndarray]:
    """Return where the levels of each group start, of which we have values and counts."""
    if init == "coarse":
        return _coarse(groups, k)
    return [_start(values, counts, k, init, seed) for values, counts in groups]


def _start(values: np.ndarray, counts: np.ndarray, k: int, init: str, seed: int) -> np.ndarray:
    if init == "linear":
        return np.linspace(values[0], values[-1], k)
    if init == "quantile":
        places = np.searchsorted(np.cumsum(counts), (np.arange(k) + 0.5) / k * counts.sum())
        return _apart(values, np.unique(values[places]), k)
    rng = np.random.default_rng(seed)
    chosen = [rng.choice(values, p=counts / counts.sum())]
    distances = np.full(len(values), np.inf)
    for _ in range(k - 1):
        distances = np.minimum(distances, (values - chosen[-1]) ** 2)
        weights = counts * distances
        chosen.append(rng.choice(values, p=weights / weights.sum()))
    return np.sort(chosen)


def _coarse(groups: Sequence[tuple[np.ndarray, np.ndarray]], k: int) -> list[np.ndarray]:
    """Return the best levels of clusters that end at quantiles or at equal distances only."""
    ends = [_places(values, counts, k) for values, counts in groups]
    costs = [Costs(values, counts) for values, counts in groups]
    best = best_ends([c.between(e) for c, e in zip(costs, ends, strict=True)], k)
    return [c.levels(e[found]) for c, e, found in zip(costs, ends, best, strict=True)]


def _places(values: np.ndarray, counts: np.ndarray, k: int) -> np.ndarray:
    shares = np.linspace(0, counts.sum(), COARSE)
    equal_counts = np.searchsorted(np.cumsum(counts), shares)
    equal_distances = np.searchsorted(values, np.linspace(values[0], values[-1], COARSE))
    # Some places more, so that there are enough of them whatever the values are.
    few = np.arange(min(len(values), 2 * k))
    return np.unique([*few, *equal_counts, *equal_distances, len(values)])


def _apart(values: np.ndarray, levels: np.ndarray, k: int) -> np.ndarray:
    """Return k different levels: where quantiles coincide, values far from them are added."""
    while len(levels) < k:
        nearest_level = levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, values)]
        farthest = values[np.abs(values - nearest_level).argmax()]
        levels = np.sort(np.append(levels, farthest))
    return levels


def _moved(
    values: np.ndarray, weights: np.ndarray, sums: np.ndarray, levels: np.ndarray
) -> np.ndarray:
    """Do a step on sorted values: cluster i is the run from ends[i] to ends[i + 1]."""
    ends = np.searchsorted(values, (levels[1:] + levels[:-1]) / 2, side="right")
    ends = np.concatenate([[0], ends, [len(values)]])
    counts, totals = np.diff(weights[ends]), np.diff(sums[ends])
    if (counts > 0).all():
        return totals / counts
    # An empty cluster moves to the value farthest from the mean of its own.
    moved = np.where(counts > 0, totals / np.maximum(counts, 1), levels)
    distances = np.abs(values - np.repeat(moved, np.diff(ends)))
    empty = np.flatnonzero(counts == 0)
    moved[empty] = values[np.argsort(-distances, kind="stable")[: len(empty)]]
    return np.sort(moved)
