"""Exercise 2.1: the extremes of a stream."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.lab2.draws import short
from labkit.checks.rules import Rule

Ends = tuple[float, float]
STARTS: tuple[Callable[[Sequence[float], Sequence[float]], Ends], ...] = (
    lambda lows, highs: (0.0, 0.0),
    lambda lows, highs: (lows[0], highs[0]),
    lambda lows, highs: (math.inf, -math.inf),
)
"""What a loop over the batches may begin with."""


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


def _widened(low: float, high: float) -> Ends:
    return min(0.0, low), max(0.0, high)


def _mean(ends: Sequence[float]) -> float:
    return sum(ends) / len(ends)


def _moving_average(ends: Sequence[float]) -> float:
    average = ends[0]
    for end in ends[1:]:
        average = 0.9 * average + 0.1 * end
    return average


def _minimum_only(lows: Sequence[float], highs: Sequence[float], start: Ends) -> Ends:
    """Skip the maximum of every batch that brings a new minimum."""
    rmin, rmax = start
    for low, high in zip(lows, highs, strict=True):
        if low < rmin:
            rmin = low
        elif high > rmax:
            rmax = high
    return rmin, rmax


def _maximum_only(lows: Sequence[float], highs: Sequence[float], start: Ends) -> Ends:
    """Skip the minimum of every batch that brings a new maximum."""
    rmin, rmax = start
    for low, high in zip(lows, highs, strict=True):
        if high > rmax:
            rmax = high
        elif low < rmin:
            rmin = low
    return rmin, rmax


def _seen(
    batches: list[Tensor],
    *,
    chosen: Callable[[list[Tensor]], list[Tensor]] = lambda batches: batches,
    low: Callable[[Tensor], Tensor] = torch.min,
    high: Callable[[Tensor], Tensor] = torch.max,
    together: Callable[..., tuple] = lambda lows, highs: (min(lows), max(highs)),
    widened: Callable[[float, float], Ends] = _widened,
    given: Callable[[float, float], Ends] = lambda low, high: (low, high),
) -> tuple[float, float]:
    """Return the ends of the range, of which any part may be another one."""
    some = chosen(batches) or [torch.zeros(1)]
    lows, highs = [float(low(x)) for x in some], [float(high(x)) for x in some]
    return given(*widened(*together(lows, highs)))


def _symmetric(low: float, high: float) -> tuple[float, float]:
    return -max(-low, high), max(-low, high)


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
            partial(_seen, widened=lambda low, high: (low, high)),
            "0.0 needs a code of its own, so rmin is never above 0 and rmax never below it.",
        ),
        Misconception(
            "widens below 0 only",
            partial(_seen, widened=lambda low, high: (min(0.0, low), high)),
            "A range below 0 must reach 0, too: rmax = max(rmax, 0).",
        ),
        Misconception(
            "widens above 0 only",
            partial(_seen, widened=lambda low, high: (low, max(0.0, high))),
            "A range above 0 must reach 0, too: rmin = min(rmin, 0).",
        ),
        Misconception(
            "widens the wrong way",
            partial(_seen, widened=lambda low, high: (max(0.0, low), min(0.0, high))),
            "0 must be inside: rmin = min(rmin, 0), rmax = max(rmax, 0).",
        ),
        Misconception(
            "widens to -1 and 1",
            partial(_seen, widened=lambda low, high: (min(-1.0, low), max(1.0, high))),
            "The range must contain 0, no more: both ends start at 0.0.",
        ),
        Misconception(
            "keeps only the last batch's extremes",
            partial(_seen, chosen=lambda batches: batches[-1:]),
            "Compare each batch with what the batches before it gave.",
        ),
        Misconception(
            "keeps only the first batch's extremes",
            partial(_seen, chosen=lambda batches: batches[:1]),
            "The loop must reach every batch: look at where your `return` stands.",
        ),
        Misconception(
            "skips the first batch",
            partial(_seen, chosen=lambda batches: batches[1:]),
            "The first batch counts like every other one: loop over batches, not batches[1:].",
        ),
        Misconception(
            "skips the last batch",
            partial(_seen, chosen=lambda batches: batches[:-1]),
            "The last batch counts like every other one: does the loop end one too early?",
        ),
        *(
            Misconception(
                "skips the maximum of each batch that brings a new minimum",
                partial(_seen, together=lambda a, b, start=start: _minimum_only(a, b, start(a, b))),
                "One batch may push both ends apart: ask for the maximum with an `if` of its own, "
                "not with `elif`.",
            )
            for start in STARTS
        ),
        *(
            Misconception(
                "skips the minimum of each batch that brings a new maximum",
                partial(_seen, together=lambda a, b, start=start: _maximum_only(a, b, start(a, b))),
                "One batch may push both ends apart: ask for the minimum with an `if` of its own, "
                "not with `elif`.",
            )
            for start in STARTS
        ),
        Misconception(
            "averages the extremes of the batches",
            partial(_seen, together=lambda lows, highs: (_mean(lows), _mean(highs))),
            "Then some values lie outside the range. Min-max clips nothing.",
        ),
        Misconception(
            "averages the extremes of the batches, each widened to contain 0",
            partial(
                _seen,
                low=lambda x: x.min().clamp(max=0),
                high=lambda x: x.max().clamp(min=0),
                together=lambda lows, highs: (_mean(lows), _mean(highs)),
            ),
            "Then some values lie outside the range. Min-max clips nothing: compare, do not "
            "average.",
        ),
        Misconception(
            "takes a moving average",
            partial(
                _seen, together=lambda lows, highs: (_moving_average(lows), _moving_average(highs))
            ),
            "That is exercise 2.2. Here both ends keep the farthest value of all batches: min and "
            "max.",
        ),
        Misconception(
            "adds the extremes of the batches up",
            partial(_seen, together=lambda lows, highs: (sum(lows), sum(highs))),
            "The range holds the smallest and the largest of all values: compare, do not add.",
        ),
        Misconception(
            "keeps the narrowest extremes",
            partial(_seen, together=lambda lows, highs: (max(lows), min(highs))),
            "The range must hold the values of all batches: min of the minima, max of the maxima.",
        ),
        Misconception(
            "makes the range the same on both sides",
            partial(_seen, given=_symmetric),
            "That wastes codes where no values are. Keep both ends apart.",
        ),
        Misconception(
            "takes the largest magnitude for rmax",
            partial(_seen, high=lambda x: x.abs().max()),
            "rmax is the largest value itself, x.max(): what is far below 0 belongs to rmin.",
        ),
        Misconception(
            "gives the magnitude of rmin",
            partial(_seen, given=lambda low, high: (abs(low), high)),
            "rmin is the smallest value itself, with its sign: x.min().",
        ),
        Misconception(
            "leaves rmin at 0",
            partial(_seen, low=lambda x: torch.zeros(())),
            "rmin is the smallest value of all batches, with its sign: rmin = min(rmin, "
            "x.min().item()). (If you take x.abs() first, nothing is below 0.)",
        ),
        Misconception(
            "leaves rmax at 0",
            partial(_seen, high=lambda x: torch.zeros(())),
            "rmax is the largest value of all batches: rmax = max(rmax, x.max().item()).",
        ),
        Misconception(
            "returns rmax first",
            partial(_seen, given=lambda low, high: (high, low)),
            "The lower end comes first: return rmin, rmax.",
        ),
        Misconception(
            "looks at the first row of each batch only",
            partial(_seen, chosen=lambda batches: [x[:1] for x in batches]),
            "All values of a batch count: x.min() and x.max() of the whole tensor.",
        ),
        Misconception(
            "returns the ends as integers",
            partial(_seen, given=lambda low, high: (int(low), int(high))),
            "The ends are real values, and their decimals matter: x.min().item().",
        ),
    ),
)
