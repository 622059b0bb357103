"""Exercise 2.2: the moving average of the extremes."""

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
        Case("all values negative", ([-high, -low], 0.6)),
        Case("two batches once more", ([first, second], 0.75)),
    ]


def _from_zero(batches: list[Tensor], momentum: float) -> tuple[float, float]:
    return moving_average_range([torch.zeros(1), *batches], momentum)


def _plain_mean(batches: list[Tensor], momentum: float) -> tuple[float, float]:
    low, high = [x.min() for x in batches], [x.max() for x in batches]
    return float(torch.stack(low).mean()), float(torch.stack(high).mean())


def _extremes(batches: list[Tensor], momentum: float) -> tuple[float, float]:
    return min(float(x.min()) for x in batches), max(float(x.max()) for x in batches)


def _whole_batches(batches: list[Tensor], momentum: float) -> tuple[float, float]:
    rmin, rmax = batches[0].min(), batches[0].max()
    for x in batches[1:]:
        rmin, rmax = momentum * rmin + x.min(), momentum * rmax + x.max()
    return float(rmin), float(rmax)


def _as_adam(batches: list[Tensor], momentum: float) -> tuple[float, float]:
    part = 1 - momentum ** len(batches)
    rmin, rmax = _from_zero(batches, momentum)
    return rmin / part, rmax / part


def _only_grows(batches: list[Tensor], momentum: float) -> tuple[float, float]:
    rmin, rmax = float(batches[0].min()), float(batches[0].max())
    for x in batches[1:]:
        rmin = min(rmin, momentum * rmin + (1 - momentum) * float(x.min()))
        rmax = max(rmax, momentum * rmax + (1 - momentum) * float(x.max()))
    return rmin, rmax


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
            "gives the new batch the weight of the old average",
            lambda batches, momentum: moving_average_range(batches, 1 - momentum),
            "momentum is the weight of what was there before: 0.9 means that a batch moves the "
            "range by a tenth of the way.",
        ),
        Misconception(
            "takes the plain mean of all batches",
            _plain_mean,
            "A moving average forgets: each batch counts momentum times as much as the one after "
            "it.",
        ),
        Misconception(
            "keeps the extremes of all batches",
            _extremes,
            "That is min-max, exercise 2.1, where one outlier stays for good.",
        ),
        Misconception(
            "goes through the batches from the last to the first",
            lambda batches, momentum: moving_average_range(batches[::-1], momentum),
            "The newest batch has the weight 1 - momentum. Go through the list from the front.",
        ),
        Misconception(
            "adds the whole new batch",
            _whole_batches,
            "The two weights add up to 1: momentum for the old average, 1 - momentum for the new "
            "batch.",
        ),
        Misconception(
            "ignores `momentum`",
            lambda batches, momentum: moving_average_range(batches, 0.9),
            "It is not always 0.9: use the argument.",
        ),
        Misconception(
            "keeps only the last batch's extremes",
            lambda batches, momentum: moving_average_range(batches[-1:], momentum),
            "Each batch moves the average that the batches before have left.",
        ),
        Misconception(
            "stops after the second batch",
            lambda batches, momentum: moving_average_range(batches[:2], momentum),
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
            lambda batches, momentum: (
                min(0.0, moving_average_range(batches, momentum)[0]),
                max(0.0, moving_average_range(batches, momentum)[1]),
            ),
            "That comes later, when the scale is chosen. Here the averages stay as they are.",
        ),
        Misconception(
            "returns rmax first",
            lambda batches, momentum: moving_average_range(batches, momentum)[::-1],
            "The lower end comes first: return rmin, rmax.",
        ),
        Misconception(
            "lets the range only grow",
            _only_grows,
            "A moving average may come back: without min and max around it.",
        ),
    ),
)
