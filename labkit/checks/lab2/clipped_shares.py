"""Exercise 2.13: how much of new data lies outside of the calibrated ranges."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.lab2.draws import short
from labkit.checks.rules import Rule


def clipped_shares(ranges: Tensor, outputs: list[Tensor]) -> Tensor:
    """Return the share of each layer's outputs that lies outside of its range."""
    return _shares(ranges, outputs)


def _shares(
    ranges: Tensor,
    outputs: list[Tensor],
    *,
    outside: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda y, low, high: (
        (y < low) | (y > high)
    ),
    mean: Callable[[Tensor, int], Tensor] = lambda marked, layers: marked.double().mean(),
    given: Callable[[Tensor], Tensor] = lambda shares: shares,
) -> Tensor:
    """Return the share of each layer, of which any part may be another one."""
    pairs = zip(ranges, outputs, strict=True)
    return given(torch.stack([mean(outside(y, *ends), len(outputs)) for ends, y in pairs]))


def _cases(rng: torch.Generator) -> list[Case]:
    def layer(*shape: int) -> Tensor:
        return 2 * randn(rng, *shape)

    def ends(*pairs: tuple[float, float]) -> Tensor:
        return torch.tensor(pairs) * (0.9 + 0.2 * torch.rand(len(pairs), 1, generator=rng))

    three = [layer(4, 5), layer(4, 3, 2, 2).relu(), layer(4, 7)]
    few, low, high = short(rng, -0.5, 0.5, 4), short(rng, -2.0, -1.0, 1), short(rng, 1.0, 2.0, 1)
    at_the_ends = torch.cat([few, low, high, 2 * low, 3 * high])
    own = [torch.stack(y.aminmax()) for y in three]
    return [
        Case("one layer", (ends((-1.0, 1.0)), [layer(2, 3)])),
        Case("values at the ends themselves", (torch.stack([low, high], 1), [at_the_ends])),
        Case("nothing outside", (torch.stack(own), three)),
        Case("everything outside", (ends((0.5, 1.0)), [5 + layer(2, 2).abs()])),
        Case("ranges that differ", (ends((-1.0, 3.0), (0.0, 2.0), (-4.0, 0.5)), three)),
        Case("a range beside 0", (ends((0.5, 2.0), (-3.0, -0.5)), [layer(3, 4), layer(3, 6)])),
        Case("as many images as layers", (ends((-1.0, 1.0), (-0.5, 2.0)), [layer(2, 9)] * 2)),
    ]


def _of_images(ranges: Tensor, outputs: list[Tensor]) -> Tensor:
    shares = []
    for (low, high), y in zip(ranges, outputs, strict=True):
        outside = ((y < low) | (y > high)).flatten(1) if y.ndim > 1 else (y < low) | (y > high)
        shares.append((outside.any(1) if y.ndim > 1 else outside).double().mean())
    return torch.stack(shares)


def _counts(ranges: Tensor, outputs: list[Tensor]) -> Tensor:
    return clipped_shares(ranges, outputs) * torch.tensor([y.numel() for y in outputs])


def _total(ranges: Tensor, outputs: list[Tensor]) -> Tensor:
    return _counts(ranges, outputs).sum() / sum(y.numel() for y in outputs)


def _one_range(ranges: Tensor, outputs: list[Tensor]) -> Tensor:
    widest = torch.stack([ranges[:, 0].min(), ranges[:, 1].max()])
    return clipped_shares(widest.expand_as(ranges), outputs)


CLIPPED_SHARES = Exercise(
    id="2.13",
    title="Do the data fit?",
    points=2,
    minutes=(5, 8),
    extra=True,
    reference=clipped_shares,
    cases=_cases,
    rules=(Rule(relative=1e-4, absolute=1e-7),),
    hints=(
        "One layer first: which of its values would be clipped? Those below the lower end, and "
        "those above the upper one.",
        "(y < low) | (y > high) is True for each of them. The mean of True and False, as floats, "
        "is a share.",
        "torch.stack([((y < low) | (y > high)).float().mean() for (low, high), y in zip(ranges, "
        "outputs)]).",
    ),
    misconceptions=(
        Misconception(
            "looks at the upper end only",
            partial(_shares, outside=lambda y, low, high: y > high),
            "A range has two ends: y < low is clipped as well.",
        ),
        Misconception(
            "looks at the lower end only",
            partial(_shares, outside=lambda y, low, high: y < low),
            "A range has two ends: y > high is clipped as well.",
        ),
        Misconception(
            "counts what lies at the ends as outside",
            partial(_shares, outside=lambda y, low, high: (y <= low) | (y >= high)),
            "A value at an end has a code of its own: outside are y < low and y > high.",
        ),
        Misconception(
            "counts what lies inside",
            partial(_shares, outside=lambda y, low, high: (y >= low) & (y <= high)),
            "Asked is the share that is clipped: the rest of it.",
        ),
        Misconception(
            "asks for both at once",
            partial(_shares, outside=lambda y, low, high: (y < low) & (y > high)),
            "No value is below the lower and above the upper end: `|`, not `&`.",
        ),
        Misconception(
            "compares magnitudes with the upper end",
            partial(_shares, outside=lambda y, low, high: y.abs() > high),
            "The ranges are not symmetric: compare y itself with both ends.",
        ),
        Misconception(
            "gives percent",
            partial(_shares, given=lambda shares: 100 * shares),
            "A share lies between 0 and 1.",
        ),
        Misconception(
            "counts instead of dividing",
            partial(_shares, mean=lambda marked, layers: marked.double().sum()),
            "Divide by how many values the layer has put out: the mean of True and False.",
        ),
        Misconception(
            "divides by the number of images",
            partial(_shares, mean=lambda marked, layers: marked.double().sum() / len(marked)),
            "Divide by all values of the layer, y.numel(), not by its first dimension.",
        ),
        Misconception(
            "counts images instead of values",
            _of_images,
            "The share of values is asked: one clipped value does not make a whole image clipped.",
        ),
        Misconception(
            "takes all layers together",
            _total,
            "One share for each layer: a single one that does not fit would be lost in the sum.",
        ),
        Misconception(
            "uses the widest range for all layers",
            _one_range,
            "Each layer has its own row of `ranges`.",
        ),
        Misconception(
            "has the two columns of the ranges exchanged",
            partial(_shares, outside=lambda y, low, high: (y < high) | (y > low)),
            "Column 0 holds the lower ends, column 1 the upper ones.",
        ),
        Misconception(
            "divides by the number of layers",
            partial(_shares, mean=lambda marked, layers: marked.double().sum() / layers),
            "Divide by how many values the layer has put out, y.numel().",
        ),
    ),
)
