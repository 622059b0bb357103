"""Exercise 1.5: the tie rule."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Rule


def round_half_even(x: Tensor) -> Tensor:
    """Return `x` rounded to the nearest integer, and to the even one at a tie."""
    below = torch.floor(x)
    rest = x - below
    up = (rest > 0.5) | ((rest == 0.5) & (below % 2 == 1))
    return below + up


def _tie_cases(rng: torch.Generator) -> list[Case]:
    def whole(most: int, count: int = 3) -> Tensor:
        return torch.randint(0, most, (count,), generator=rng).float()

    above_even, above_odd = 2 * whole(20) + 0.5, 2 * whole(20) + 1.5
    large = 2.0**23 + 1 + 2 * whole(2**22)  # odd: neighbours are 1 apart, and x + 0.5 is no number
    return [
        Case(
            "no ties",
            (torch.cat([whole(9) - torch.tensor([0.6, 7.3, 5.1]), torch.tensor([0.8, -0.7])]),),
        ),
        Case("ties above zero", (torch.cat([above_even, above_odd]),)),
        Case("ties below zero", (-torch.cat([above_even, above_odd]),)),
        Case("the largest float32 below one half", (torch.tensor([0.49999997]),)),
        Case("a hair beside a tie", (torch.cat([above_even - 2.0**-9, above_odd + 2.0**-9]),)),
        Case("a hair beside a tie, below zero", (2.0**-9 - torch.cat([above_odd, above_even]),)),
        Case("odd integers too large for decimals", (large * torch.tensor([1.0, -1.0, 1.0]),)),
        Case("ties and others", (torch.cat([-above_odd, whole(9) - 4.3]).reshape(2, 3),)),
    ]


def _odd(below: Tensor) -> Tensor:
    return below % 2 == 1


def _nearest(
    x: Tensor,
    *,
    start: Callable[[Tensor], Tensor] = torch.floor,
    above: Callable[[Tensor, Tensor], Tensor] = lambda rest, below: rest > 0.5,
    tie: Callable[[Tensor], Tensor] = lambda rest: rest == 0.5,
    up: Callable[[Tensor], Tensor] = _odd,
    kept: Callable[[Tensor], Tensor] = lambda y: y,
) -> Tensor:
    """Return the nearest integers, of which any part may be another one."""
    below = start(x)
    rest = x - below
    tied = tie(rest)
    return kept(below + torch.where(tied, up(below), above(rest, below)))


def _adds_half(x: Tensor) -> Tensor:
    up = torch.floor(x + 0.5)
    return torch.where((up - x == 0.5) & (up % 2 == 1), up - 1, up)


ROUND_HALF_EVEN = Exercise(
    id="1.5",
    title="The tie rule",
    points=2,
    minutes=(8, 12),
    extra=True,
    reference=round_half_even,
    cases=_tie_cases,
    rules=(Rule(dtype="real"),),
    hints=(
        "torch.floor(x) is the integer below, x - torch.floor(x) how far it is from there.",
        "Go up if the rest is above one half; at exactly one half go up only if the integer below "
        "is odd. torch.where, or a sum with a bool tensor, decides for all values at once.",
        "below = torch.floor(x); rest = x - below; up = (rest > 0.5) | ((rest == 0.5) & "
        "(below % 2 == 1)); return below + up.",
    ),
    misconceptions=(
        Misconception(
            "always goes up at a tie",
            partial(_nearest, up=torch.ones_like),
            "2.5 must become 2, the even neighbour. Going up every time shifts the mean of all "
            "values.",
        ),
        Misconception(
            "adds one half and rounds down",
            lambda x: torch.floor(x + 0.5),
            "At a tie that always goes up, and the sum x + 0.5 itself is rounded: 0.49999997 "
            "becomes 1.",
        ),
        Misconception(
            "goes away from zero at a tie",
            partial(_nearest, up=lambda below: below >= 0),
            "That is the rule of C's round(): 2.5 becomes 3. Here ties go to the even neighbour.",
        ),
        Misconception(
            "goes towards zero at a tie",
            partial(_nearest, up=lambda below: below < 0),
            "1.5 must become 2 and -1.5 must become -2: ties go to the even neighbour.",
        ),
        Misconception(
            "goes to the odd neighbour at a tie",
            partial(_nearest, up=lambda below: ~_odd(below)),
            "At a tie go up where the integer below is odd, so that the result is even: floor(x) "
            "% 2 == 1.",
        ),
        Misconception(
            "takes negative odd integers for even",
            partial(_nearest, up=lambda below: torch.fmod(below, 2) == 1),
            "fmod(-3, 2) is -1, as in C. torch.remainder and % give 1: below % 2 == 1.",
        ),
        Misconception(
            "adds one half first",
            _adds_half,
            "In float32 the sum x + 0.5 is itself rounded, which moves 0.49999997 to 1. Compare "
            "x - floor(x) with 0.5 instead.",
        ),
        Misconception(
            "takes what is near a tie for a tie",
            partial(_nearest, tie=lambda rest: (rest - 0.5).abs() < 0.01),
            "2.502 has one nearest integer, 3. Halves are exact in binary: compare with == 0.5.",
        ),
        Misconception(
            "converts to an integer dtype",
            partial(_nearest, kept=lambda y: y.to(torch.int32)),
            "The result keeps a real dtype, as torch.round's does.",
        ),
        Misconception("cuts off decimals", torch.trunc, "Nearest means that 0.8 becomes 1, not 0."),
        Misconception("rounds down", torch.floor, "Nearest means that 0.8 becomes 1, not 0."),
        Misconception("rounds up", torch.ceil, "Nearest means that 0.3 becomes 0, not 1."),
        Misconception(
            "goes away from zero at a tie",
            lambda x: torch.sign(x) * torch.floor(x.abs() + 0.5),
            "That is the rule of round() in C: 2.5 becomes 3. Here ties go to the even neighbour. "
            "(And the sum |x| + 0.5 is itself rounded.)",
        ),
        Misconception(
            "always goes down at a tie",
            partial(_nearest, up=torch.zeros_like),
            "1.5 must become 2, the even neighbour: go up at a tie if the integer below, floor(x), "
            "is odd. (Of x itself the parity tells nothing: 1.5 is neither.)",
        ),
        Misconception(
            "subtracts one half and rounds up",
            lambda x: torch.ceil(x - 0.5),
            "At a tie that always goes down: 1.5 must become 2, the even neighbour. And the "
            "difference x - 0.5 is itself rounded.",
        ),
        Misconception(
            "gives even integers only",
            lambda x: 2 * torch.floor(x / 2 + 0.5),
            "Only a tie goes to the even neighbour; 2.8 has one nearest integer, 3.",
        ),
        Misconception(
            "goes up from odd integers only, even where the decimals are above one half",
            partial(_nearest, above=lambda rest, below: (rest > 0.5) & _odd(below)),
            "Whether the integer below is odd counts at a tie alone: (rest > 0.5) | ((rest == 0.5) "
            "& (below % 2 == 1)).",
        ),
        Misconception(
            "begins with the integer towards zero",
            partial(_nearest, start=torch.trunc),
            "Below 0, trunc gives the integer above, and x - trunc(x) is negative: begin with "
            "torch.floor.",
        ),
        Misconception(
            "adds one half and cuts off",
            lambda x: torch.trunc(x + 0.5),
            "Cutting off goes towards 0: -2.3 + 0.5 becomes -1, where -2 is nearest. And at a "
            "tie it always goes up.",
        ),
        Misconception(
            "loses the sign",
            partial(_nearest, kept=torch.abs),
            "-2.5 becomes -2: the sign stays.",
        ),
        Misconception(
            "leaves ties as they are",
            lambda x: torch.where(x - torch.floor(x) == 0.5, x, _nearest(x)),
            "A tie must become an integer, too: the even one of its two neighbours.",
        ),
        Misconception(
            "goes down where the decimals are above one half",
            partial(_nearest, above=lambda rest, below: rest < 0.5),
            "What is behind the point is above one half where the integer above is nearer: rest "
            "> 0.5.",
        ),
    ),
)
