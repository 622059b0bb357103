"""Exercise 2.2: the moving average of the extremes."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn, uniform
from labkit.checks.lab2.draws import short
from labkit.checks.rules import Rule


def moving_average_range(batches: list[Tensor], momentum: float) -> tuple[float, float]:
    """Return the exponential moving averages of each batch's smallest and largest value."""
    rmin, rmax = batches[0].min(), batches[0].max()
    for x in batches[1:]:
        rmin = momentum * rmin + (1 - momentum) * x.min()
        rmax = momentum * rmax + (1 - momentum) * x.max()
    return float(rmin), float(rmax)


def _average_cases(rng: torch.Generator) -> list[Case]:
    ends = torch.tensor([-0.1, 0.1])
    drawn = [torch.cat([scale * randn(rng, 6), ends]) for scale in (1.0, 5.0, 0.5, 2.0, 3.0)]
    several = [x.flip(0)[: i + 4].reshape(1, -1) for i, x in enumerate(drawn[:4])]
    low, high, outlier = (short(rng, *r, 2) for r in ((0.5, 1.5), (2.0, 3.0), (50, 99)))
    first, second = torch.stack([-low[0], high[0]]), torch.stack([-high[1], low[1]])
    broken = torch.stack([-outlier[0], low[1]])
    return [
        Case("one batch", ([first], 0.9)),
        Case("two batches", ([first, second], 0.75)),
        Case("two batches the other way round", ([second, first], 0.75)),
        Case("an outlier in the last batch", ([first, second, broken], 0.9)),
        Case("an outlier in the first batch", ([broken, first, second], 0.9)),
        Case("momentum 0", ([first, second], 0.0)),
        Case("five batches", (drawn, 0.9)),
        Case("another momentum", (drawn, uniform(rng, 0.6, 0.8))),
        Case("batches of several sizes", (several, 0.7)),
        Case("all values positive", ([low, high, low + 0.5], 0.8)),
        Case("a smallest value of 0 at first", ([low - low.min(), second], 0.8)),
        Case("all values negative", ([-high, -low], 0.6)),
        Case("two batches once more", ([first, second], 0.75)),
    ]


Batches = list[Tensor]
Range = tuple[float, float]


def _weighed(old: float, new: float, before: float, momentum: float) -> float:
    return momentum * old + (1 - momentum) * new


def _averaged(
    batches: Batches,
    momentum: float,
    *,
    chosen: Callable[[Batches], Batches] = lambda batches: batches,
    low: Callable[[Tensor], Tensor] = torch.min,
    high: Callable[[Tensor], Tensor] = torch.max,
    start: Callable[[float], float] = lambda first: first,
    weight: Callable[[float, int], float] = lambda momentum, count: momentum,
    low_moved: Callable[..., float] = _weighed,
    high_moved: Callable[..., float] = _weighed,
    given: Callable[[float, float], Range] = lambda low, high: (low, high),
) -> Range:
    """Return both averages, of which any part may be another one."""
    some = chosen(batches)
    ends = []
    for end, moved in (low, low_moved), (high, high_moved):
        now = [float(end(x)) for x in some]
        average = start(now[0])
        for count, (before, new) in enumerate(pairwise(now), 1):
            average = moved(average, new, before, weight(momentum, count))
        ends.append(average)
    return given(ends[0], ends[1])


def _both(moved: Callable[..., float]) -> partial:
    """Return the answer in which both ends are moved in another way."""
    return partial(_averaged, low_moved=moved, high_moved=moved)


def _from_zero(batches: Batches, momentum: float) -> Range:
    return moving_average_range([torch.zeros(1), *batches], momentum)


def _as_adam(batches: Batches, momentum: float) -> Range:
    part = 1 - momentum ** len(batches)
    rmin, rmax = _from_zero(batches, momentum)
    return rmin / part, rmax / part


MOVING_AVERAGE_RANGE = Exercise(
    id="2.2",
    title="A moving average",
    points=2,
    minutes=(5, 8),
    extra=True,
    reference=moving_average_range,
    cases=_average_cases,
    rules=(Rule(relative=1e-4, absolute=1e-6), Rule(relative=1e-4, absolute=1e-6)),
    names=("rmin", "rmax"),
    hints=(
        "What does the average hold after the first batch, when there is nothing yet to average "
        "it with?",
        "Start from the first batch's own extremes, then loop over batches[1:]. The old average "
        "has the weight momentum, the new batch the rest.",
        "rmin = batches[0].min(); for x in batches[1:]: rmin = momentum * rmin + (1 - momentum) * "
        "x.min(). rmax likewise, with max.",
    ),
    misconceptions=(
        Misconception(
            "starts the average at 0",
            _from_zero,
            "0 then has a weight as if it had been a batch, and the range comes out too small. "
            "Start with the first batch's own extremes.",
        ),
        Misconception(
            "starts at 0 and leaves the first batch out",
            partial(_averaged, start=lambda first: 0.0),
            "The average starts as the first batch's own extremes, then loop over batches[1:].",
        ),
        Misconception(
            "takes an average of 0 for none",
            _both(
                lambda old, new, before, momentum: (
                    momentum * old + (1 - momentum) * new if old else new
                )
            ),
            "After a ReLU the smallest value is 0, and so is its average. Ask whether it is None, "
            "or whether it is the first batch.",
        ),
        Misconception(
            "gives the new batch the weight of the old average",
            partial(_averaged, weight=lambda momentum, count: 1 - momentum),
            "momentum is the weight of what was there before: 0.9 means that a batch moves the "
            "range by a tenth of the way.",
        ),
        Misconception(
            "takes the plain mean of all batches",
            partial(_averaged, weight=lambda momentum, count: count / (count + 1)),
            "A moving average forgets: each batch counts momentum times as much as the one after "
            "it.",
        ),
        Misconception(
            "keeps the extremes of all batches",
            partial(
                _averaged,
                low_moved=lambda old, new, before, momentum: min(old, new),
                high_moved=lambda old, new, before, momentum: max(old, new),
            ),
            "That is min-max, exercise 2.1, where one outlier stays for good.",
        ),
        Misconception(
            "averages with the batch before",
            _both(lambda old, new, before, momentum: momentum * before + (1 - momentum) * new),
            "The old average has the weight momentum, not the batch before: rmin = momentum * rmin "
            "+ (1 - momentum) * x.min().",
        ),
        Misconception(
            "goes through the batches from the last to the first",
            partial(_averaged, chosen=lambda batches: batches[::-1]),
            "The newest batch has the weight 1 - momentum. Go through the list from the front.",
        ),
        Misconception(
            "adds the whole new batch",
            _both(lambda old, new, before, momentum: momentum * old + new),
            "The two weights add up to 1: momentum for the old average, 1 - momentum for the new "
            "batch.",
        ),
        Misconception(
            "keeps the whole old average",
            _both(lambda old, new, before, momentum: old + (1 - momentum) * new),
            "The two weights add up to 1: momentum for the old average, 1 - momentum for the new "
            "batch.",
        ),
        Misconception(
            "subtracts instead of adding",
            _both(lambda old, new, before, momentum: momentum * old - (1 - momentum) * new),
            "The old average and the new batch are added, each with its weight.",
        ),
        Misconception(
            "ignores `momentum`",
            partial(_averaged, weight=lambda momentum, count: 0.9),
            "It is not always 0.9: use the argument.",
        ),
        Misconception(
            "gives both the same weight",
            partial(_averaged, weight=lambda momentum, count: 0.5),
            "The old average has the weight momentum, the new batch 1 - momentum.",
        ),
        Misconception(
            "raises momentum to the number of the batch",
            partial(_averaged, weight=lambda momentum, count: momentum**count),
            "The weight is the same in every step: momentum for the old average. That older "
            "batches count less comes by itself.",
        ),
        Misconception(
            "keeps only the last batch's extremes",
            partial(_averaged, chosen=lambda batches: batches[-1:]),
            "Each batch moves the average that the batches before have left.",
        ),
        Misconception(
            "stays at the first batch",
            partial(_averaged, chosen=lambda batches: batches[:1]),
            "Each later batch moves the average: does a return stand inside the loop, or is the "
            "new average never assigned?",
        ),
        Misconception(
            "leaves the last batch out",
            partial(_averaged, chosen=lambda batches: batches[:-1] or batches),
            "The last batch moves the average like every other one: does the loop end one too "
            "early?",
        ),
        Misconception(
            "stops after the second batch",
            partial(_averaged, chosen=lambda batches: batches[:2]),
            "The loop must reach every batch: look at where your `return` stands.",
        ),
        Misconception(
            "starts at 0 and corrects for it in the end, as Adam does",
            _as_adam,
            "That gives the first batches other weights. Here the average starts as the first "
            "batch's own extremes.",
        ),
        Misconception(
            "widens the range to contain 0",
            partial(_averaged, given=lambda low, high: (min(0.0, low), max(0.0, high))),
            "That comes later, when the scale is chosen. Here the averages stay as they are.",
        ),
        Misconception(
            "makes the range the same on both sides",
            partial(_averaged, given=lambda low, high: (-max(-low, high), max(-low, high))),
            "Both ends have an average of their own: keep them apart.",
        ),
        Misconception(
            "takes magnitudes for rmax",
            partial(_averaged, high=lambda x: x.abs().max()),
            "rmax follows the largest value itself, x.max().",
        ),
        Misconception(
            "averages the means of the batches",
            partial(_averaged, low=torch.mean, high=torch.mean),
            "Each batch gives its smallest and its largest value: x.min() and x.max().",
        ),
        Misconception(
            "returns rmax first",
            partial(_averaged, given=lambda low, high: (high, low)),
            "The lower end comes first: return rmin, rmax.",
        ),
        Misconception(
            "lets the range only grow",
            partial(
                _averaged,
                low_moved=lambda old, *rest: min(old, _weighed(old, *rest)),
                high_moved=lambda old, *rest: max(old, _weighed(old, *rest)),
            ),
            "A moving average may come back: leave out the min and max around it.",
        ),
        Misconception(
            "averages rmax alone",
            partial(_averaged, low_moved=lambda old, new, before, momentum: min(old, new)),
            "rmin is a moving average as well: momentum * rmin + (1 - momentum) * x.min().",
        ),
        Misconception(
            "averages rmin alone",
            partial(_averaged, high_moved=lambda old, new, before, momentum: max(old, new)),
            "rmax is a moving average as well: momentum * rmax + (1 - momentum) * x.max().",
        ),
    ),
)
