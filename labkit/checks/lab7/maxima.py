"""Exercise 7.2: where the outliers sit."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import neat
from labkit.checks.lab7.drawing import outlying, real_piece
from labkit.checks.rules import Rule


def maxima(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest magnitude of each channel, and of each token."""
    return x.abs().amax(0), x.abs().amax(1)


def _cases(rng: torch.Generator) -> list[Case]:
    return [
        Case("three tokens, two channels", (neat(rng, 3, 2),)),
        Case("as many tokens as channels", (neat(rng, 5, 5),)),
        Case("an outlier channel", (outlying(rng, 6, 9),)),
        Case("all values negative", (-neat(rng, 4, 3).abs() - 0.5,)),
        Case("one token", (neat(rng, 1, 4),)),
        Case("a real layer", (real_piece(rng, "down", 5, 8)[0],)),
    ]


MAXIMA = Exercise(
    id="7.2",
    title="Where the outliers sit",
    points=1,
    reference=maxima,
    cases=_cases,
    rules=(Rule(relative=1e-6), Rule(relative=1e-6)),
    names=("channels", "tokens"),
    hints=(
        "Which axis has to go so that one number a channel is left?",
        "Rows are tokens, columns are channels. amax(0) goes down the rows: one number a column.",
        "return x.abs().amax(0), x.abs().amax(1).",
    ),
    misconceptions=(
        Misconception(
            "has channels and tokens the wrong way round",
            lambda x: maxima(x)[::-1],
            "amax(0) takes the axis of the tokens away and leaves one number a channel.",
        ),
        Misconception(
            "forgets the sign",
            lambda x: (x.amax(0), x.amax(1)),
            "An outlier may be negative: abs() before the maximum.",
        ),
        Misconception(
            "takes the magnitude of the largest",
            lambda x: (x.amax(0).abs(), x.amax(1).abs()),
            "The largest of the magnitudes: abs() comes before the maximum, not after it.",
        ),
        Misconception(
            "takes the mean of the magnitudes",
            lambda x: (x.abs().mean(0), x.abs().mean(1)),
            "A grid has to reach the largest value, however rare it is.",
        ),
        Misconception(
            "takes the range",
            lambda x: (x.amax(0) - x.amin(0), x.amax(1) - x.amin(1)),
            "A symmetric grid reaches as far on both sides: the largest magnitude counts.",
        ),
        Misconception(
            "gives the largest of all everywhere",
            lambda x: (x.abs().max().expand(x.shape[1]), x.abs().max().expand(len(x))),
            "One number for each channel and each token: give the maximum an axis.",
        ),
        Misconception(
            "returns values and their places",
            lambda x: (tuple(x.abs().max(0)), tuple(x.abs().max(1))),
            "max(dim) gives a pair, the values and where they stand: take .values, or amax(dim).",
        ),
    ),
    minutes=(4, 6),
)
