"""Exercise 4.9: cross-layer equalization."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Rule


def equalization_factors(w1: Tensor, w2: Tensor) -> Tensor:
    """Return s a channel: w1 / s and w2 * s have equal ranges; 1 where a side is all 0.

    The second layer is not depthwise: each of its outputs reads all channels.
    """
    r1, r2 = _ranges(w1, w2)
    return _or_one(torch.sqrt(r1 / r2), r1, r2)


def _ranges(w1: Tensor, w2: Tensor) -> tuple[Tensor, Tensor]:
    r1 = w1.abs().flatten(1).amax(1)
    return r1, w2.abs().transpose(0, 1).flatten(1).amax(1)


def _or_one(s: Tensor, r1: Tensor, r2: Tensor) -> Tensor:
    return torch.where((r1 > 0) & (r2 > 0), s, 1.0)


def _cases(rng: torch.Generator) -> list[Case]:
    def case(
        label: str, first: tuple[int, ...], second: tuple[int, ...], dead: tuple[int, ...] = ()
    ) -> Case:
        channels = first[0]
        w1, w2 = randn(rng, *first), randn(rng, *second)
        w1 *= (3 * randn(rng, channels)).exp().reshape(-1, *[1] * (len(first) - 1))
        if dead:
            w1[list(dead[:2])], w2[:, list(dead[1:])] = 0, 0
        return Case(label, (w1, w2))

    return [
        case("one channel", (1, 1), (1, 1)),
        case("two linear layers", (3, 2), (4, 3)),
        case("square layers", (3, 3), (3, 3)),
        case("two convolutions", (4, 2, 3, 3), (5, 4, 3, 3)),
        case("a depthwise convolution, then 1 x 1", (4, 1, 3, 3), (6, 4, 1, 1)),
        case("channels of zeros in one layer, and in both", (5, 3), (2, 5), (0, 1, 3)),
    ]


def _with(
    choose: Callable[[Tensor, Tensor], Tensor],
    ranges: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = _ranges,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the answer with factors, or ranges, chosen in another way."""

    def wrong(w1: Tensor, w2: Tensor) -> Tensor:
        r1, r2 = ranges(w1, w2)
        return _or_one(choose(r1, r2), r1, r2)

    return wrong


def _signed_ranges(w1: Tensor, w2: Tensor) -> tuple[Tensor, Tensor]:
    return w1.flatten(1).amax(1).abs(), w2.transpose(0, 1).flatten(1).amax(1).abs()


def _mean_ranges(w1: Tensor, w2: Tensor) -> tuple[Tensor, Tensor]:
    return w1.abs().flatten(1).mean(1), w2.abs().transpose(0, 1).flatten(1).mean(1)


def _where(w1: Tensor, w2: Tensor, usable: Tensor) -> Tensor:
    r1, r2 = _ranges(w1, w2)
    return torch.where(usable, torch.sqrt(r1 / r2), 1.0)


EQUALIZATION_FACTORS = Exercise(
    id="4.9",
    title="Cross-layer equalization",
    points=2,
    minutes=(8, 12),
    reference=equalization_factors,
    cases=_cases,
    rules=(Rule(relative=1e-4),),
    hints=(
        "Channel i has a range in w1, row i, and one in w2, column i. After w1 / s and w2 * s both "
        "should be the same: solve r1 / s = r2 * s.",
        "r1 = largest |w1| of each row; r2 = largest |w2| of each column, that is over dim 0 and "
        "all dims after 1. s = sqrt(r1 / r2), and 1 where either is 0.",
        "r1 = w1.abs().flatten(1).amax(1); r2 = w2.abs().transpose(0, 1).flatten(1).amax(1); "
        "return torch.where((r1 > 0) & (r2 > 0), torch.sqrt(r1 / r2), 1.0).",
    ),
    misconceptions=(
        Misconception(
            "turns the fraction upside down",
            _with(lambda r1, r2: torch.sqrt(r2 / r1)),
            "w1 is divided by s: where r1 is large, s must be large.",
        ),
        Misconception(
            "leaves out the square root",
            _with(lambda r1, r2: r1 / r2),
            "r1 / s = r2 * s gives s^2 = r1 / r2. Without the root the two ranges change places.",
        ),
        Misconception(
            "makes all ranges of the first layer 1",
            _with(lambda r1, r2: r1),
            "Then the second layer takes all of the imbalance. Share it: both ranges become "
            "sqrt(r1 r2).",
        ),
        Misconception(
            "takes ranges without abs()",
            _with(lambda r1, r2: torch.sqrt(r1 / r2), _signed_ranges),
            "The largest magnitude decides about a scale, whatever its sign.",
        ),
        Misconception(
            "divides by 0 at channels of zeros",
            lambda w1, w2: torch.sqrt(_ranges(w1, w2)[0] / _ranges(w1, w2)[1]),
            "Where one side is all 0 there is nothing to balance: s = 1.",
        ),
        Misconception(
            "multiplies the ranges",
            _with(lambda r1, r2: torch.sqrt(r1 * r2)),
            "That is what both ranges become. s is what gets them there: r1 / s = sqrt(r1 r2).",
        ),
        Misconception(
            "replaces NaN only",
            lambda w1, w2: torch.nan_to_num(
                torch.sqrt(_ranges(w1, w2)[0] / _ranges(w1, w2)[1]), 1.0
            ),
            "Where one side alone is 0, r1 / r2 is 0 or infinite, not NaN: ask for r1 > 0 and "
            "r2 > 0.",
        ),
        Misconception(
            "looks for zeros in the first layer only",
            lambda w1, w2: _where(w1, w2, _ranges(w1, w2)[0] > 0),
            "A column of the second layer may be all 0, too, and r1 / 0 is infinite.",
        ),
        Misconception(
            "looks for zeros in the second layer only",
            lambda w1, w2: _where(w1, w2, _ranges(w1, w2)[1] > 0),
            "A row of the first layer may be all 0, too. Dividing it by s = 0 gives NaN.",
        ),
        Misconception(
            "takes the mean of the magnitudes",
            _with(lambda r1, r2: torch.sqrt(r1 / r2), _mean_ranges),
            "A scale must reach the largest weight: a range is the largest magnitude.",
        ),
    ),
)
