"""Exercise 4.9: cross-layer equalization."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import randn
from labkit.checks.lab4.equalization_factors_parts import of_columns, of_rows
from labkit.checks.lab4.equalization_factors_slips import MISCONCEPTIONS
from labkit.checks.rules import Rule


def equalization_factors(w1: Tensor, w2: Tensor) -> Tensor:
    """Return s a channel: w1 / s and w2 * s have equal ranges; 1 where a side is all 0.

    The second layer is not depthwise: each of its outputs reads all channels.
    """
    r1, r2 = of_rows(w1.abs()), of_columns(w2.abs())
    return torch.where((r1 > 0) & (r2 > 0), torch.sqrt(r1 / r2), 1.0)


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
    misconceptions=MISCONCEPTIONS,
)
