"""Exercise 3.6: divide by a power of two and round, in integers."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Codes


def rounding_right_shift(x: Tensor, shift: int) -> Tensor:
    """Return x / 2^shift rounded to nearest, ties away from zero, exact for every |x| <= 2^62."""
    x = x.to(torch.int64)
    return x.sign() * ((x.abs() + ((1 << shift) >> 1)) >> shift)


def _shift_cases(rng: torch.Generator) -> list[Case]:
    ties = torch.arange(-7, 8, 2)
    just_below = torch.tensor([2**60 + 2**29 - 1, -(2**60) - 2**29 + 1])
    wide = torch.randint(-(2**50), 2**50, (3, 4), generator=rng)
    return [
        Case("positive, no ties", (torch.tensor([7, 9, 100, 3]), 3)),
        Case("negative, no ties", (torch.tensor([-7, -9, -100, -3]), 3)),
        Case("ties above zero", (torch.tensor([1, 3, 5, 7]), 1)),
        Case("ties below zero", (torch.tensor([-2, -6, -10]), 2)),
        Case("ties on both sides", (ties * 2**9, 10)),
        Case("a shift by nothing", (torch.tensor([5, -3, 0]), 0)),
        Case("a 32-bit tensor", (torch.tensor([2**31 - 1, -(2**31), 77]).int(), 4)),
        Case("just below a tie, larger than float64 can tell", (just_below, 30)),
        Case("drawn at random", (wide, 5)),
    ]


def _ties_up(x: Tensor, shift: int) -> Tensor:
    return (x.to(torch.int64) + ((1 << shift) >> 1)) >> shift


def _through_int32(x: Tensor, shift: int) -> Tensor:
    half = (1 << shift) >> 1
    return ((x.to(torch.int64) + half).to(torch.int32) >> min(shift, 31)).to(torch.int64)


ROUNDING_RIGHT_SHIFT = Exercise(
    id="3.6",
    title="Shift right and round",
    points=2,
    reference=rounding_right_shift,
    cases=_shift_cases,
    rules=(Codes(),),
    hints=(
        "x >> shift rounds down, towards minus infinity. What must be added to x first so that it "
        "rounds to the nearest?",
        "Half of the divisor: (1 << shift) >> 1. That sends ties up. To send them away from zero, "
        "compute with x.abs() and give the sign back at the end.",
        "x = x.to(torch.int64); return x.sign() * ((x.abs() + ((1 << shift) >> 1)) >> shift).",
    ),
    misconceptions=(
        Misconception(
            "only shifts",
            lambda x, shift: x.to(torch.int64) >> shift,
            "A shift rounds down: 7 >> 3 is 0, where 1 is nearest. Add half of the divisor first.",
        ),
        Misconception(
            "sends ties up",
            _ties_up,
            "-2.5 becomes -2 that way, and here it must become -3. Round x.abs(), then give the "
            "sign back.",
        ),
        Misconception(
            "cuts off what is behind the point",
            lambda x, shift: torch.div(x.to(torch.int64), 1 << shift, rounding_mode="trunc"),
            "Nearest means that 7 / 8 becomes 1. Add half of the divisor to the magnitude first.",
        ),
        Misconception(
            "divides real numbers with torch.round",
            lambda x, shift: torch.round(x.double() / 2**shift).to(torch.int64),
            "torch.round sends ties to the even neighbour, and float64 cannot hold 62 bits. "
            "Stay in integers.",
        ),
        Misconception(
            "goes through float32",
            lambda x, shift: torch.round(x.float() / 2**shift).to(torch.int64),
            "float32 holds 24 bits, a product of accumulator and mantissa up to 62. Stay in "
            "integers.",
        ),
        Misconception(
            "rounds in int32",
            _through_int32,
            "The product of accumulator and mantissa has up to 62 bits: use int64 until the end.",
        ),
    ),
)
