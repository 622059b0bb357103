"""Exercise 2.1: the extremes of a stream."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.lab2.draws import short
from labkit.checks.rules import Rule


def min_max_range(batches: list[Tensor]) -> tuple[float, float]:
    """Return the smallest and the largest value in all batches, widened to contain 0."""
    rmin = min(0.0, *(float(x.min()) for x in batches))
    return rmin, max(0.0, *(float(x.max()) for x in batches))


def _range_cases(rng: torch.Generator) -> list[Case]:
    drawn = [scale * randn(rng, 3, 5) for scale in (1.0, 4.0, 2.0)]
    inner, outer = short(rng, 0.2, 0.9, 2), short(rng, 2.0, 5.0, 2)
    ends = torch.tensor([-1.0, 1.0])
    return [
        Case("one batch", ([short(rng, -1.0, 1.0, 3)],)),
        Case("the extremes in one batch", ([outer * ends, inner],)),
        Case(
            "the smallest value first, the largest last",
            (
                [
                    torch.stack([-outer[0], inner[0]]),
                    inner * ends,
                    torch.stack([inner[1], outer[1]]),
                ],
            ),
        ),
        Case("all values positive", ([short(rng, 1.1, 2.9, 2), short(rng, 3.0, 4.0, 1)],)),
        Case("small values, all positive", ([short(rng, 0.02, 0.09, 2)],)),
        Case("all values negative", ([-short(rng, 1.1, 2.9, 1), -short(rng, 3.0, 4.0, 2)],)),
        Case("nothing but zeros", ([torch.zeros(2, 3), torch.zeros(4)],)),
        Case("an outlier in the middle", ([drawn[0], short(rng, 50, 99, 1, 1), -drawn[0]],)),
        Case("drawn at random", (drawn,)),
        Case("after a ReLU", ([x.relu() for x in drawn],)),
        Case("batches of several shapes", ([drawn[0], inner, drawn[1][:, :2].reshape(3, 1, 2)],)),
    ]


def _no_widening(batches: list[Tensor]) -> tuple[float, float]:
    return min(float(x.min()) for x in batches), max(float(x.max()) for x in batches)


def _mean_of_extremes(batches: list[Tensor]) -> tuple[float, float]:
    ranges = torch.tensor([min_max_range([x]) for x in batches])
    return float(ranges[:, 0].mean()), float(ranges[:, 1].mean())


def _symmetric(batches: list[Tensor]) -> tuple[float, float]:
    largest = max(float(x.abs().max()) for x in batches)
    return -largest, largest


def _sum_of_extremes(batches: list[Tensor]) -> tuple[float, float]:
    low, high = sum(float(x.min()) for x in batches), sum(float(x.max()) for x in batches)
    return min(0.0, low), max(0.0, high)


MIN_MAX_RANGE = Exercise(
    id="2.1",
    title="The extremes of a stream",
    points=1,
    minutes=(5, 8),
    reference=min_max_range,
    cases=_range_cases,
    rules=(Rule(relative=1e-6), Rule(relative=1e-6)),
    names=("rmin", "rmax"),
    hints=(
        "You see one batch at a time and may keep two numbers. Which two, and what are they "
        "before the first batch?",
        "The range must contain 0, so both numbers may start at 0.0. Each batch can only push "
        "them apart.",
        "rmin = rmax = 0.0; for every x in batches: rmin = min(rmin, x.min().item()) and rmax = "
        "max(rmax, x.max().item()).",
    ),
    misconceptions=(
        Misconception(
            "does not widen the range to contain 0",
            _no_widening,
            "0.0 needs a code of its own, so rmin is never above 0 and rmax never below it.",
        ),
        Misconception(
            "keeps only the last batch's extremes",
            lambda batches: min_max_range(batches[-1:]),
            "Compare each batch with what the batches before it gave.",
        ),
        Misconception(
            "keeps only the first batch's extremes",
            lambda batches: min_max_range(batches[:1]),
            "The loop must reach every batch: look at where your `return` stands.",
        ),
        Misconception(
            "averages the extremes of the batches",
            _mean_of_extremes,
            "Then some values lie outside the range. Min-max clips nothing.",
        ),
        Misconception(
            "makes the range the same on both sides",
            _symmetric,
            "That wastes codes where no values are. Keep both ends apart.",
        ),
        Misconception(
            "returns rmax first",
            lambda batches: min_max_range(batches)[::-1],
            "The lower end comes first: return rmin, rmax.",
        ),
        Misconception(
            "adds the extremes of the batches up",
            _sum_of_extremes,
            "The range holds the smallest and the largest of all values: compare, do not add.",
        ),
        Misconception(
            "widens the wrong way",
            lambda batches: (
                max(0.0, float(min(x.min() for x in batches))),
                min(0.0, float(max(x.max() for x in batches))),
            ),
            "0 must be inside: rmin = min(rmin, 0), rmax = max(rmax, 0).",
        ),
    ),
)
