"""Exercise 6.7: NF4 from quantiles."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, uniform
from labkit.checks.rules import Rule


def normal_float(bits: int, offset: float) -> Tensor:
    """Return the levels of NormalFloat, from -1 to 1, one more above 0; `bits`: 2 or more."""
    return _built(bits, offset)


def _quantiles(shares: Tensor) -> Tensor:
    return torch.special.ndtri(shares.double())


def _built(
    bits: int,
    offset: float,
    quantiles: Callable[[Tensor], Tensor] = _quantiles,
    above: int = 1,
    zero: bool = True,
) -> Tensor:
    half = 2 ** (bits - 1)
    positive = quantiles(torch.linspace(offset, 0.5, half + above, dtype=torch.float64))[:-1]
    negative = -quantiles(torch.linspace(offset, 0.5, half, dtype=torch.float64))[:-1]
    middle = torch.zeros(int(zero), dtype=torch.float64)
    levels = torch.cat([negative, middle, positive]).sort().values
    return (levels / levels.abs().max()).float()


def _cases(rng: torch.Generator) -> list[Case]:
    return [
        Case(f"{bits} bits", (bits, uniform(rng, 0.9, 0.99)))
        for bits in (2, 3, 4, 4, one(rng, 5, 7), 8)
    ]


def _even(bits: int, offset: float) -> Tensor:
    levels = _quantiles(torch.linspace(1 - offset, offset, 2**bits, dtype=torch.float64))
    return (levels / levels.abs().max()).float()


def _unscaled(bits: int, offset: float) -> Tensor:
    return normal_float(bits, offset) * float(_quantiles(torch.tensor(offset)))


def _halves(bits: int, offset: float, end: int | None = -1) -> tuple[Tensor, Tensor]:
    half = 2 ** (bits - 1)
    above, below = (torch.linspace(offset, 0.5, half + n, dtype=torch.float64) for n in (1, 0))
    return -_quantiles(below)[:end], _quantiles(above)[:end]


def _put_together(*parts: Tensor) -> Tensor:
    levels = torch.cat(parts)
    return (levels / levels.max()).float()


def _with_ends(bits: int, offset: float) -> Tensor:
    negative, positive = _halves(bits, offset, None)
    return _put_together(negative, torch.zeros(1), positive).sort().values


def _mirrored(bits: int, offset: float) -> Tensor:
    _, positive = _halves(bits, offset)
    return _put_together(-positive, positive).sort().values


def _in_order_of_making(bits: int, offset: float) -> Tensor:
    negative, positive = _halves(bits, offset)
    return _put_together(negative, torch.zeros(1), positive)


def _zero_last(bits: int, offset: float) -> Tensor:
    negative, positive = _halves(bits, offset)
    return _put_together(positive, negative, torch.zeros(1))


NORMAL_FLOAT = Exercise(
    id="6.7",
    title="NF4 from quantiles",
    points=3,
    reference=normal_float,
    cases=_cases,
    rules=(Rule(absolute=2e-5),),
    hints=(
        "Two halves, made alike: the positive levels from one row of shares, the negative ones "
        "from another with one share less. 0 is put between them.",
        "Q is torch.special.ndtri. Above 0: Q(linspace(offset, 0.5, 2**(bits - 1) + 1)) without "
        "its last, which is 0. Below 0: the same with one share less, and a minus.",
        "positive = Q(torch.linspace(offset, 0.5, half + 1))[:-1]; negative = "
        "-Q(torch.linspace(offset, 0.5, half))[:-1]; levels = torch.cat([negative, "
        "torch.zeros(1), positive]).sort().values; return levels / levels.max().",
    ),
    misconceptions=(
        Misconception(
            "takes quantiles in equal steps from end to end",
            _even,
            "That has no 0 among its levels, and a weight of 0 could not be stored. The two halves "
            "are made apart, and 0 is put between them.",
        ),
        Misconception(
            "does not scale to 1",
            _unscaled,
            "The largest weight of a block has the code 15, and is 1 after dividing by it: divide "
            "by the largest level.",
        ),
        Misconception(
            "has the level more below 0",
            lambda bits, offset: -normal_float(bits, offset).flip(0),
            "2^(bits-1) levels lie above 0 and one less below it.",
        ),
        Misconception(
            "leaves out 0",
            lambda bits, offset: _built(bits, offset, zero=False),
            "0 must be among the levels: a weight that is 0 stays 0.",
        ),
        Misconception(
            "has as many levels above as below, and so one too few",
            lambda bits, offset: _built(bits, offset, above=0),
            "2^bits levels: 0, 2^(bits-1) above it and 2^(bits-1) - 1 below it.",
        ),
        Misconception(
            "spaces the levels evenly",
            lambda bits, offset: _built(bits, offset, lambda shares: shares - 0.5),
            "The shares are evenly spaced, the levels are not: take their quantiles, "
            "torch.special.ndtri.",
        ),
        Misconception(
            "has the levels in falling order",
            lambda bits, offset: normal_float(bits, offset).flip(0),
            "Code 0 is the lowest level: sort them.",
        ),
        Misconception(
            "keeps the 0 at the end of both rows",
            _with_ends,
            "Both rows end at Q(0.5), which is 0: drop their last element, or 0 is there three "
            "times.",
        ),
        Misconception(
            "leaves out 0",
            _mirrored,
            "0 must be among the levels: a weight that is 0 stays 0. So the side below it has one "
            "level less.",
        ),
        Misconception(
            "does not sort",
            _in_order_of_making,
            "Both rows begin at their outer end, so the positive ones fall. Code 0 is the lowest "
            "level: sort them all.",
        ),
        Misconception(
            "does not sort",
            _zero_last,
            "Code 0 is the lowest level: sort them all after you have put them together.",
        ),
        Misconception(
            "takes the distribution function for its inverse",
            lambda bits, offset: _built(bits, offset, torch.special.ndtr),
            "ndtr makes a share of a value. Levels are values, made of shares: "
            "torch.special.ndtri.",
        ),
    ),
    minutes=(9, 14),
)
