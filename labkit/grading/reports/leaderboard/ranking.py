"""Ranks with ties: who cannot be told from the one above shares their rank.

All were measured on the same inputs, so two are compared input by input: with differences of mean
`d` and standard deviation `s` over `n` inputs, one is better if ``d > t s / sqrt(n)``, where `t` is
the quantile of Student's distribution (Student, "The probable error of a mean", 1908).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, fmean, stdev

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Standing:
    """Somebody's place.

    Attributes
    ----------
    name : str
        Who.
    rank : int
        One more than the number of those who are better beyond chance.
    mean : float
        What was reached on average, 0 to 1.
    margin : float
        Half the width of its confidence interval.
    """

    name: str
    rank: int
    mean: float
    margin: float


def standings(reached: Mapping[str, Sequence[float]]) -> list[Standing]:
    """Return everybody's place, the best first.

    Parameters
    ----------
    reached : mapping
        Name to what was reached on each input: the same inputs for all.
    """
    order = sorted(reached, key=lambda name: (-fmean(reached[name]), name))
    ranks = [1 + sum(_is_better(reached[one], reached[name]) for one in order) for name in order]
    for i in reversed(range(len(ranks) - 1)):
        # Nobody stands behind someone who has reached less on average.
        ranks[i] = min(ranks[i], ranks[i + 1])
    return [
        Standing(name, rank, fmean(reached[name]), _margin(reached[name]))
        for name, rank in zip(order, ranks, strict=True)
    ]


def _is_better(one: Sequence[float], other: Sequence[float]) -> bool:
    differences = [a - b for a, b in zip(one, other, strict=True)]
    return fmean(differences) > _margin(differences)


def _margin(values: Sequence[float]) -> float:
    """Return half the width of the confidence interval of a mean."""
    if len(values) < 2:
        return float("inf")
    return _quantile(len(values) - 1) * stdev(values) / sqrt(len(values))


def _quantile(degrees: int) -> float:
    """Return the two-sided quantile of Student's distribution, to 0.001 from 10 degrees on.

    The first terms of the expansion around the normal quantile (Abramowitz and Stegun, 26.7.5).
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3
