"""Exercise 3.6: divide by a power of two and round, in integers."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, whole
from labkit.checks.rules import Codes


def rounding_right_shift(x: Tensor, shift: int) -> Tensor:
    """Return x / 2^shift rounded to nearest, ties away from zero, exact for every |x| <= 2^62."""
    x = x.to(torch.int64)
    return x.sign() * ((x.abs() + ((1 << shift) >> 1)) >> shift)


def _shift_cases(rng: torch.Generator) -> list[Case]:
    few, middle, many = one(rng, 1, 6), one(rng, 3, 6), one(rng, 8, 12)
    half = 1 << (middle - 1)
    off = torch.tensor([half - 1, half + 1, 1, -1, half + half // 2])
    beside = (whole(rng, 3, 30, 5) << middle) + off
    odd, ties = 2 * whole(rng, 0, 9, 4) + 1, 2 * whole(rng, -9, 8, 9) + 1
    wide = whole(rng, 2**29, 2**31)
    # Of two neighbours one is odd: float64 takes both for ties and rounds one of them up.
    wide_odd = torch.stack([wide, -wide]) * 2**30 + 1
    just_below = (torch.stack([wide, wide + 1]) << 30) + 2**29 - 1
    return [
        Case("positive, no ties", (beside, middle)),
        Case("negative, no ties", (-beside.flip(0), middle)),
        Case("ties above zero", (odd << (few - 1), few)),
        Case("ties below zero", (-odd[:3] << few, few + 1)),
        Case("ties on both sides", (ties << (many - 1), many)),
        Case("a shift by nothing", (whole(rng, 1, 9, 3) * torch.tensor([1, -1, 0]), 0)),
        Case("a shift by nothing, larger than float64 can tell", (wide_odd, 0)),
        Case("a 32-bit tensor", (torch.tensor([2**31 - 1, -(2**31), one(rng, 50, 99)]).int(), 4)),
        Case(
            "just below a tie, larger than float64 can tell",
            (torch.cat([just_below, -just_below]), 30),
        ),
        Case("up to 2^62", (torch.tensor([2**62, -(2**62), 2**62 - one(rng, 1, 2**40)]), 31)),
        Case("a shift by 62", (torch.tensor([2**61, -(2**61), 2**61 - 1, 2**62]), 62)),
        Case("drawn at random", (whole(rng, -(2**50), 2**50, 3, 4), one(rng, 3, 9))),
    ]


def _magnitude(x: Tensor) -> tuple[Tensor, Tensor | int]:
    return x.abs(), x.sign()


def _as_it_is(x: Tensor) -> tuple[Tensor, Tensor | int]:
    return x, 1


def _half(x: Tensor, shift: int) -> Tensor | int:
    return (1 << shift) >> 1


def _shifted(
    x: Tensor,
    shift: int,
    *,
    wide: Callable[[Tensor], Tensor] = lambda x: x.to(torch.int64),
    sides: Callable[[Tensor], tuple[Tensor, Tensor | int]] = _magnitude,
    added: Callable[[Tensor, int], Tensor | int] = _half,
    held: Callable[[Tensor], Tensor] = lambda total: total,
    by: Callable[[int], int] = lambda shift: shift,
    ended: Callable[[Tensor], Tensor] = lambda q: q,
) -> Tensor:
    """Return x / 2^shift, rounded, of which any part may be another one."""
    x = wide(x)
    size, sign = sides(x)
    return ended(sign * (held(size + added(x, shift)) >> by(shift)))


def _divided(
    x: Tensor,
    shift: int,
    *,
    real: Callable[[Tensor], Tensor] = torch.Tensor.double,
    turn: Callable[[Tensor], Tensor] = torch.round,
) -> Tensor:
    """Return x / 2^shift by way of real numbers, of which any part may be another one."""
    return turn(real(x) / 2**shift).to(torch.int64)


def _half_away_from_zero(real: Tensor) -> Tensor:
    return real.sign() * torch.floor(real.abs() + 0.5)


def _ties_to_even(x: Tensor, shift: int) -> Tensor | int:
    """Return what is added so that ties go to the even neighbour."""
    odd = (x.abs() >> shift) & 1
    return ((1 << shift) >> 1) - 1 + odd if shift else 0


ROUNDING_RIGHT_SHIFT = Exercise(
    id="3.6",
    title="Shift right and round",
    points=2,
    minutes=(8, 12),
    extra=True,
    reference=rounding_right_shift,
    cases=_shift_cases,
    rules=(Codes(dtype="int64"),),
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
            partial(_shifted, sides=_as_it_is, added=lambda x, shift: 0),
            "A shift rounds down: 7 >> 3 is 0, where 1 is nearest. Add half of the divisor first.",
        ),
        Misconception(
            "sends ties up",
            partial(_shifted, sides=_as_it_is),
            "-2.5 becomes -2 that way, and here it must become -3. Round x.abs(), then give the "
            "sign back.",
        ),
        Misconception(
            "sends ties down",
            partial(_shifted, sides=lambda x: (-x, -1)),
            "2.5 becomes 2 that way, and here it must become 3. Round x.abs(), then give the "
            "sign back.",
        ),
        Misconception(
            "sends ties towards zero",
            partial(_shifted, added=lambda x, shift: max((1 << shift) // 2 - 1, 0)),
            "2.5 must become 3 here: add the whole half of the divisor, (1 << shift) >> 1.",
        ),
        Misconception(
            "sends ties to the even neighbour",
            partial(_shifted, added=_ties_to_even),
            "2.5 must become 3 here, not 2: add (1 << shift) >> 1 to every magnitude.",
        ),
        Misconception(
            "rounds everything away from zero",
            partial(_shifted, added=lambda x, shift: (1 << shift) - 1),
            "Only ties go away from zero: 2.1 is nearest to 2. Add half of the divisor, not all, "
            "and once: rounding bit by bit makes ties of what was none.",
        ),
        Misconception(
            "adds the whole divisor",
            partial(_shifted, added=lambda x, shift: 1 << shift),
            "That makes every result larger by 1. Half of the divisor is (1 << shift) >> 1.",
        ),
        Misconception(
            "adds half of the shift, not half of the divisor",
            partial(_shifted, added=lambda x, shift: shift >> 1),
            "It divides by 2^shift: half of that is (1 << shift) >> 1. With shift 7 this is 64, "
            "not 3.",
        ),
        Misconception(
            "shifts by one too few",
            partial(_shifted, by=lambda shift: max(shift - 1, 0)),
            "x / 2^shift is x >> shift, and only what is added is half of 2^shift.",
        ),
        Misconception(
            "loses the sign",
            partial(_shifted, sides=lambda x: (x.abs(), 1)),
            "Treat x.abs(), then multiply by x.sign().",
        ),
        Misconception(
            "takes half away below zero and then shifts, which rounds down once more",
            partial(
                _shifted, sides=_as_it_is, added=lambda x, shift: x.sign() * ((1 << shift) >> 1)
            ),
            "Shift a magnitude, which is never negative, and give the sign back afterwards.",
        ),
        Misconception(
            "adds the half above zero only",
            partial(
                _shifted, sides=_as_it_is, added=lambda x, shift: (x > 0) * ((1 << shift) >> 1)
            ),
            "Below zero a shift alone rounds down, away from zero: round x.abs(), then give the "
            "sign back.",
        ),
        Misconception(
            "cuts off what is behind the point",
            partial(_shifted, added=lambda x, shift: 0),
            "Nearest means that 7 / 8 becomes 1. Add half of the divisor to the magnitude first.",
        ),
        Misconception(
            "divides real numbers with torch.round",
            _divided,
            "torch.round sends ties to the even neighbour, and float64 cannot hold 62 bits. Stay "
            "in integers.",
        ),
        Misconception(
            "goes through float32",
            partial(_divided, real=torch.Tensor.float),
            "float32 holds 24 bits, a product of accumulator and mantissa up to 62; and "
            "torch.round sends ties to the even neighbour. Stay in integers.",
        ),
        Misconception(
            "rounds in int32",
            partial(
                _shifted,
                sides=_as_it_is,
                held=lambda total: total.to(torch.int32),
                by=lambda shift: min(shift, 31),
                ended=lambda q: q.to(torch.int64),
            ),
            "The product of accumulator and mantissa has up to 62 bits: use int64 until the end.",
        ),
        Misconception(
            "returns int32",
            partial(_shifted, ended=lambda q: q.to(torch.int32)),
            "With a small shift the result needs more bits than 32 and wraps: return int64.",
        ),
        Misconception(
            "computes in the dtype of `x`",
            partial(_shifted, wide=lambda x: x),
            "In int32 the sum with half of the divisor wraps, and -2^31 has no magnitude. "
            "Convert x to int64 first.",
        ),
        Misconception(
            "takes one off below zero even where nothing is shifted",
            partial(
                _shifted,
                sides=_as_it_is,
                added=lambda x, shift: ((1 << shift) >> 1) - (x < 0).to(torch.int64),
            ),
            "With shift 0 there are no ties, and x must stay as it is: treat x.abs().",
        ),
        Misconception(
            "goes through float64",
            partial(_divided, turn=_half_away_from_zero),
            "float64 holds 53 bits, a product of accumulator and mantissa up to 62. Stay in "
            "integers.",
        ),
        Misconception(
            "divides in float32",
            partial(_divided, real=torch.Tensor.float, turn=_half_away_from_zero),
            "An integer tensor over a number is float32, which holds 24 bits; a product of "
            "accumulator and mantissa has up to 62. Stay in integers: >>.",
        ),
        Misconception(
            "takes half away below zero and then shifts, in the dtype of `x`",
            partial(
                _shifted,
                wide=lambda x: x,
                sides=_as_it_is,
                added=lambda x, shift: torch.where(x >= 0, 1, -1).to(x.dtype) * ((1 << shift) >> 1),
            ),
            "Shift a magnitude, and give the sign back afterwards. Convert to int64 first: "
            "adding the half may wrap round.",
        ),
    ),
)
