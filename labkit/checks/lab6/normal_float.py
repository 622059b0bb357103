"""Exercise 6.7: NF4 from quantiles."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import permutations, product

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


def _shares(offset: float, count: int) -> Tensor:
    return torch.linspace(offset, 0.5, count, dtype=torch.float64)


def _built(
    bits: int,
    offset: float,
    *,
    side: Callable[[int], int] = lambda bits: 2 ** (bits - 1),
    quantiles: Callable[[Tensor], Tensor] = _quantiles,
    shares: Callable[[float, int], Tensor] = _shares,
    above: int = 1,
    below: int = 0,
    kept: slice = slice(None, -1),
    sign: int = -1,
    opposite: Callable[[Tensor, Tensor], Tensor] = lambda negative, positive: negative,
    zero: bool = True,
    arranged: Callable[[Tensor], Tensor] = lambda levels: levels.sort().values,
    over: Callable[[Tensor], Tensor | float] = lambda levels: levels.abs().max(),
) -> Tensor:
    half = side(bits)
    positive = quantiles(shares(offset, half + above))[kept]
    negative = sign * quantiles(shares(offset, half + below))[kept]
    negative = opposite(negative, positive)
    middle = torch.zeros(int(zero), dtype=torch.float64)
    levels = arranged(torch.cat([negative, middle, positive]))
    return (levels / over(levels)).float()


def _cases(rng: torch.Generator) -> list[Case]:
    return [
        Case(f"{bits} bits", (bits, uniform(rng, 0.9, 0.99)))
        for bits in (2, 3, 4, 4, one(rng, 5, 7), 8)
    ]


def _even(bits: int, offset: float) -> Tensor:
    levels = _quantiles(torch.linspace(1 - offset, offset, 2**bits, dtype=torch.float64))
    return (levels / levels.abs().max()).float()


def _of_equal_shares(bits: int, offset: float) -> Tensor:
    levels = _quantiles((torch.arange(2**bits).double() + 0.5) / 2**bits)
    return (levels / levels.max()).float()


def _unsorted(levels: Tensor, order: Sequence[int], turned: Sequence[bool]) -> Tensor:
    """Put the sides below 0, at 0 and above 0 one behind the other, each as made or turned."""
    sides = levels[levels < 0], levels[levels == 0], levels[levels > 0]
    made = [side.flip(0) if turn else side for side, turn in zip(sides, turned, strict=True)]
    return torch.cat([made[place] for place in order])


# As they are made, the levels below 0 rise towards it, and those above it fall.
RISING, FALLING = ((0, 1, 2), (False, False, True)), ((2, 1, 0), (True, False, False))
UNSORTED = [
    partial(_unsorted, order=order, turned=turned)
    for turned in product((False, True), (False,), (False, True))
    for order in permutations(range(3))
    if (order, turned) not in (RISING, FALLING)
]


def _largest_last(order: Sequence[int], turned: Sequence[bool]) -> bool:
    return order[-1] == 2 and turned[2]


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
        *(
            Misconception(
                "takes quantiles in equal steps from end to end",
                wrong,
                "That has no 0 among its levels, and a weight of 0 could not be stored. The two "
                "halves are made apart, and 0 is put between them.",
            )
            for wrong in (_even, _of_equal_shares)
        ),
        Misconception(
            "does not scale to 1",
            partial(_built, over=lambda levels: 1.0),
            "The largest weight of a block has the code 15, and is 1 after dividing by it: divide "
            "by the largest level.",
        ),
        Misconception(
            "divides by the sum of the levels",
            partial(_built, over=lambda levels: levels.sum()),
            "The largest level becomes 1: divide by the maximum.",
        ),
        Misconception(
            "has the level more below 0",
            partial(_built, above=0, below=1),
            "2^(bits-1) levels lie above 0 and one less below it.",
        ),
        Misconception(
            "leaves out 0",
            partial(_built, zero=False),
            "0 must be among the levels: a weight that is 0 stays 0.",
        ),
        Misconception(
            "has as many levels above as below, and so one too few",
            partial(_built, above=0),
            "2^bits levels: 0, 2^(bits-1) above it and 2^(bits-1) - 1 below it.",
        ),
        Misconception(
            "has as many levels below as above, and so one too many",
            partial(_built, below=1),
            "2^bits levels: 0, 2^(bits-1) above it and 2^(bits-1) - 1 below it.",
        ),
        Misconception(
            "has one level more on both sides",
            partial(_built, above=2, below=1),
            "2^bits levels: 0, 2^(bits-1) above it and 2^(bits-1) - 1 below it.",
        ),
        Misconception(
            "spaces the levels evenly",
            partial(_built, quantiles=lambda shares: shares - 0.5),
            "The shares are evenly spaced, the levels are not: take their quantiles, "
            "torch.special.ndtri.",
        ),
        Misconception(
            "has the levels in falling order",
            partial(_built, arranged=lambda levels: levels.sort(descending=True).values),
            "Code 0 is the lowest level: sort them.",
        ),
        Misconception(
            "keeps the 0 at the end of both rows",
            partial(_built, kept=slice(None)),
            "Both rows end at Q(0.5), which is 0: drop their last element, or 0 is there three "
            "times.",
        ),
        Misconception(
            "drops the first of each row",
            partial(_built, kept=slice(1, None)),
            "Both rows begin at Q(offset), their largest, and end at Q(0.5), which is 0: drop the "
            "last, [:-1].",
        ),
        Misconception(
            "leaves out 0",
            partial(_built, below=1, zero=False),
            "0 must be among the levels: a weight that is 0 stays 0. So the side below it has one "
            "level less.",
        ),
        Misconception(
            "forgets the minus below 0",
            partial(_built, sign=1),
            "The negative levels are made as the positive ones, and then get a minus.",
        ),
        *(
            Misconception(
                "does not sort",
                partial(_built, arranged=arranged),
                "Both rows begin at their outer end, so the positive ones fall. Code 0 is the "
                "lowest level: sort them all after you have put them together.",
            )
            for arranged in UNSORTED
        ),
        *(
            Misconception(
                "divides unsorted levels by one that is not the largest",
                partial(_built, arranged=arranged, over=lambda levels: levels[-1]),
                "Both rows begin at their outer end, so the positive ones fall, and what comes "
                "last is not the largest. Sort all levels, then divide by the last.",
            )
            for arranged in UNSORTED
            if not _largest_last(**arranged.keywords) and arranged.keywords["order"][-1] != 1
        ),
        Misconception(
            "takes the distribution function for its inverse",
            partial(_built, quantiles=torch.special.ndtr),
            "ndtr makes a share of a value. Levels are values, made of shares: "
            "torch.special.ndtri.",
        ),
        Misconception(
            "takes the inverse of the error function for the quantile",
            partial(_built, quantiles=lambda shares: torch.erfinv(shares.clamp(max=1 - 1e-12))),
            "erfinv is made for shares from -1 to 1. The quantile of the normal distribution is "
            "torch.special.ndtri.",
        ),
        Misconception(
            "takes NF4's offset whatever `offset` is",
            partial(_built, shares=lambda offset, count: _shares(0.9677083, count)),
            "Another offset makes other levels: begin at `offset`.",
        ),
        Misconception(
            "makes four bits whatever `bits` is",
            lambda bits, offset: normal_float(4, offset),
            "2^bits levels: take half = 2**(bits - 1) for the 8 of four bits.",
        ),
        Misconception(
            "makes the levels of one bit more",
            partial(_built, side=lambda bits: 2**bits),
            "2^bits levels are both sides together: each of them has about 2^(bits - 1).",
        ),
        Misconception(
            "ends one step before one half",
            partial(_built, shares=lambda offset, count: _shares(offset, count + 1)[:-1]),
            "The last share is one half, whose quantile is 0, and that is what is dropped.",
        ),
        *(
            Misconception(
                "mirrors the positive levels",
                partial(_built, opposite=opposite),
                "The row below 0 has one share less and reaches from end to end all the same, in "
                "wider steps: make it of its own linspace.",
            )
            for opposite in (
                lambda negative, positive: -positive[:-1],
                lambda negative, positive: -positive[1:],
            )
        ),
        Misconception(
            "begins at 1 instead of the offset",
            partial(_built, shares=lambda offset, count: _shares(1 - 1e-4, count)),
            "The quantile of 1 is infinite. The outermost share is `offset`.",
        ),
        Misconception(
            "begins at 1 instead of the offset",
            partial(_built, shares=lambda offset, count: _shares(1.0, count)),
            "The quantile of 1 is infinite. The outermost share is `offset`.",
        ),
        Misconception(
            "goes to 0 instead of one half",
            partial(
                _built,
                shares=lambda offset, count: torch.linspace(offset, 0, count).double(),
            ),
            "Half of all weights lie below 0: Q(0.5) is 0, and each row of shares ends there.",
        ),
    ),
    minutes=(9, 14),
)
