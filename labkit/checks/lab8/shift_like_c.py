"""Exercise 8.4: division and shifts of negative numbers, in C and in Python."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.rules import Codes

Three = tuple[Tensor, Tensor, Tensor]


def shift_like_c(x: Tensor, shift: int) -> Three:
    """Return C's x / 2**shift, its x >> shift, and the shift rounded to nearest, ties up."""
    wide = x.long()
    half = (1 << shift) >> 1
    return _quotient(wide, shift), wide >> shift, (wide + half) >> shift


def _quotient(x: Tensor, shift: int) -> Tensor:
    return torch.div(x.long(), 1 << shift, rounding_mode="trunc")


def _cases(rng: torch.Generator) -> list[Case]:
    def numbers(most: int, count: int = 12) -> Tensor:
        return whole(rng, -most, most, count).to(torch.int32)

    ties = (2 * whole(rng, -20, 20, 8) + 1) * 4
    ends = torch.tensor([-(2**31), -(2**31) + 1, 2**31 - 1, 2**31 - 2])
    return [
        Case("small numbers", (torch.tensor([-7, 7, -8, 8, -1, 1], dtype=torch.int32), 1)),
        Case("more of them", (numbers(90), 2)),
        Case("ties on both sides of zero", (ties.to(torch.int32), 3)),
        Case("negative numbers", (-numbers(900).abs() - 1, 4)),
        Case("no shift at all", (numbers(90), 0)),
        Case("large numbers", (numbers(2**31 - 1), 6)),
        Case("the ends of int32", (ends.to(torch.int32), 1)),
        Case("a far shift", (numbers(2**31 - 1), 30)),
    ]


def _but(place: int, value: Callable[[Tensor, int], Tensor]) -> Callable[[Tensor, int], Three]:
    """Return the answer of which one of the three is another."""

    def wrong(x: Tensor, shift: int) -> Three:
        quotient, shifted, rounded = shift_like_c(x, shift)
        other = value(x.long(), shift)
        return (
            other if place == 0 else quotient,
            other if place == 1 else shifted,
            other if place == 2 else rounded,
        )

    return wrong


def _away(x: Tensor, shift: int) -> Tensor:
    return x.sign() * ((x.abs() + ((1 << shift) >> 1)) >> shift)


def _to_even(x: Tensor, shift: int) -> Tensor:
    return torch.round(x.double() / (1 << shift)).long()


def _magnitude_in_int32(x: Tensor, shift: int) -> Tensor:
    """Shift the magnitude, of which -2**31 has none in int32, and put the sign back."""
    x = x.to(torch.int32)
    return x.sign() * (x.abs() >> shift)


def _away_in_int32(x: Tensor, shift: int) -> Tensor:
    x, half = x.to(torch.int32), torch.tensor((1 << shift) >> 1, dtype=torch.int32)
    return x.sign() * ((x.abs() + half) >> shift)


def _in_float32(x: Tensor, shift: int) -> Tensor:
    return x.float() / 2**shift


def _overflows(x: Tensor, shift: int) -> Three:
    half = torch.tensor((1 << shift) >> 1, dtype=torch.int32)
    quotient, shifted, _ = shift_like_c(x, shift)
    return quotient, shifted, (x.to(torch.int32) + half) >> shift


SHIFT_LIKE_C = Exercise(
    id="8.4",
    title="Shifts of negative numbers",
    points=2,
    reference=shift_like_c,
    cases=_cases,
    rules=(Codes(), Codes(), Codes()),
    names=("quotient", "shifted", "rounded"),
    hints=(
        "Three ways to make a whole number of -7 / 2. C's / drops the fraction: -3. A shift drops "
        "the lowest bits, which rounds down: -4. And for the nearest, add half a step before.",
        "The first is torch.div(x, 2**shift, rounding_mode='trunc'), the second x >> shift. The "
        "third is (x + half) >> shift with half = 2**shift / 2, and 0 for no shift. Convert to "
        "int64 first: x + half may leave int32.",
        "wide = x.long(); half = (1 << shift) >> 1; return torch.div(wide, 1 << shift, "
        "rounding_mode='trunc'), wide >> shift, (wide + half) >> shift.",
    ),
    misconceptions=(
        Misconception(
            "divides as Python does",
            _but(0, lambda x, shift: x >> shift),
            "Python's // rounds down, to -4 for -7 // 2. C's / drops the fraction: -3.",
        ),
        Misconception(
            "shifts towards zero",
            _but(1, _quotient),
            "A shift drops the lowest bits, and what is left of a negative number is lower: "
            "-7 >> 1 is -4. It is no division.",
        ),
        Misconception(
            "shifts zeros in",
            _but(1, lambda x, shift: (x & 0xFFFFFFFF) >> shift),
            "That is the shift of an unsigned number. Of a signed one, copies of the sign come in "
            "from the left, so it stays negative.",
        ),
        Misconception(
            "does not round the third",
            _but(2, lambda x, shift: x >> shift),
            "A shift alone rounds down, by half a step on average: every layer would come out "
            "darker. Add half a step before it.",
        ),
        Misconception(
            "rounds ties away from zero",
            _but(2, _away),
            "That is the rule of 3.6. Here ties go up, on both sides of zero: -3.5 becomes -3. "
            "Half is added to negative numbers as well.",
        ),
        Misconception(
            "rounds ties to even",
            _but(2, _to_even),
            "torch.round sends ties to even. Here they go up: add half, then shift.",
        ),
        Misconception(
            "lets x + half overflow",
            _overflows,
            "Near the end of int32 the sum x + half wraps around and turns negative: convert to "
            "int64 before you add.",
        ),
        Misconception(
            "divides in float32",
            _but(0, lambda x, shift: (x.float() / 2**shift).trunc().long()),
            "float32 has 24 bits, an accumulator has 32: large numbers lose their last digits. "
            "Stay in integers.",
        ),
        Misconception(
            "takes the magnitude of the lowest int32",
            _but(0, _magnitude_in_int32),
            "-2**31 has no counterpart in int32: its magnitude does not fit, and abs() and minus "
            "leave it negative. Convert to int64 first.",
        ),
        Misconception(
            "shifts in float32",
            _but(1, lambda x, shift: _in_float32(x, shift).floor().long()),
            "float32 has 24 bits, an accumulator has 32: large numbers lose their last digits. "
            "Stay in integers: x >> shift.",
        ),
        *(
            Misconception(
                "rounds in float32",
                _but(2, rounded),
                "float32 has 24 bits, an accumulator has 32: large numbers lose their last digits. "
                "Stay in integers: (x.long() + half) >> shift, which sends ties up as well.",
            )
            for rounded in (
                lambda x, shift: (_in_float32(x, shift) + 0.5).floor().long(),
                lambda x, shift: _in_float32(x, shift).round().long(),
            )
        ),
        Misconception(
            "rounds ties away from zero, and takes the magnitude of the lowest int32",
            _but(2, _away_in_int32),
            "Ties go up here, on both sides of zero: add half to negative numbers as well. And "
            "abs() of -2**31 does not fit in int32: convert to int64 first.",
        ),
        Misconception(
            "rounds up",
            _but(2, lambda x, shift: (x + (1 << shift) - 1) >> shift),
            "That is the next whole number above. The nearest: add half a step, then shift.",
        ),
        Misconception(
            "rounds the quotient",
            _but(0, lambda x, shift: _to_even(x, shift)),
            "C's / does not round, it drops the fraction: 7 / 2 is 3.",
        ),
        Misconception(
            "adds the half after the shift",
            _but(2, lambda x, shift: (x >> shift) + ((1 << shift) >> 1)),
            "Half a step is half of 2**shift before the shift. After it a step is 1: add first, "
            "then shift.",
        ),
        Misconception(
            "adds a whole step",
            _but(2, lambda x, shift: (x + (1 << shift)) >> shift),
            "Half a step is half of 2**shift: (1 << shift) >> 1.",
        ),
        Misconception(
            "cuts off after it has added the half",
            _but(2, lambda x, shift: _quotient(x + ((1 << shift) >> 1), shift)),
            "A negative sum has to be rounded down, as a shift does: (x + half) >> shift, not /.",
        ),
        Misconception(
            "sends ties down",
            _but(2, lambda x, shift: (x + max(((1 << shift) >> 1) - 1, 0)) >> shift),
            "Ties go up: add half a step, not one less.",
        ),
        Misconception(
            "subtracts the half from negative numbers",
            _but(2, lambda x, shift: (x + x.sign() * ((1 << shift) >> 1)) >> shift),
            "Half is added to negative numbers as well: a shift rounds down on both sides of zero.",
        ),
        Misconception(
            "adds 1 where nothing is shifted",
            _but(2, lambda x, shift: (x + (1 << max(shift - 1, 0))) >> shift),
            "Half of 2**0 is 0: for shift 0 nothing is added. (1 << shift) >> 1 gives that by "
            "itself.",
        ),
    ),
    minutes=(6, 10),
)
