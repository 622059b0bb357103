"""Exercise 2.3: a percentile."""

import math

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Rule


def percentile_threshold(x: Tensor, percent: float) -> float:
    """Return the smallest of the |x| that at least `percent` percent of them do not exceed."""
    sizes = x.abs().flatten().sort().values
    return float(sizes[math.ceil(percent / 100 * len(sizes)) - 1])


def _percentile_cases(rng: torch.Generator) -> list[Case]:
    # 100 k + 1 values: ranks counted and ranks interpolated (torch.quantile) then agree.
    normal = randn(rng, 101)
    outliers = torch.cat([randn(rng, 98), torch.tensor([40.0, -70.0, 90.0])])
    return [
        Case("half of five values", (torch.tensor([0.4, -0.1, 0.3, -0.5, 0.2]), 50)),
        Case("one value", (torch.tensor([-0.7]), 90)),
        Case("all of them", (torch.tensor([0.4, -2.5, 1.0]), 100)),
        Case("90 percent", (normal, 90)),
        Case("25 percent", (normal, 25)),
        Case("mostly negative values", (normal - 2, 95)),
        Case("three outliers", (outliers, 90)),
        Case("a matrix", (randn(rng, 7, 43), 80)),
        Case("after a ReLU", (randn(rng, 201).relu(), 97.5)),
        Case("99.9 percent", (randn(rng, 13, 77), 99.9)),
    ]


def _signed(x: Tensor, percent: float) -> float:
    values = x.flatten().sort().values
    return float(values[math.ceil(percent / 100 * len(values)) - 1])


PERCENTILE_THRESHOLD = Exercise(
    id="2.3",
    title="A percentile",
    points=2,
    reference=percentile_threshold,
    cases=_percentile_cases,
    rules=(Rule(relative=1e-3, absolute=1e-6),),
    hints=(
        "Line the magnitudes up by size. How far along the line do you have to walk?",
        "Of n sorted magnitudes, percent / 100 * n must not exceed the threshold; rounded up, "
        "that is a number of values. torch.quantile does it, too, for up to 16 million values.",
        "sizes = x.abs().flatten().sort().values; rank = math.ceil(percent / 100 * len(sizes)); "
        "return sizes[rank - 1].item(), since the first one has the index 0.",
    ),
    misconceptions=(
        Misconception(
            "sorts the values instead of their magnitudes",
            _signed,
            "A large negative value needs as long a range as a large positive one: take x.abs() "
            "first.",
        ),
        Misconception(
            "takes a share of the largest magnitude",
            lambda x, percent: float(x.abs().max()) * percent / 100,
            "One outlier would still decide everything. A percentile counts values.",
        ),
        Misconception(
            "clips the small values instead of the large ones",
            lambda x, percent: percentile_threshold(x, max(100 - percent, 1e-9)),
            "`percent` is the share that stays inside, not the share that is clipped.",
        ),
        Misconception(
            "leaves out only half of what should be clipped",
            lambda x, percent: percentile_threshold(x, (100 + percent) / 2),
            "Magnitudes have one end only: what is left out is all beyond the threshold.",
        ),
        Misconception(
            "ignores `percent`",
            lambda x, percent: float(x.abs().max()),
            "That is the largest magnitude of all: only 100 percent asks for it.",
        ),
    ),
)
