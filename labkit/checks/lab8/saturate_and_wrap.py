"""Exercise 8.5: a number that does not fit, saturated or wrapped."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.rules import Codes

Two = tuple[Tensor, Tensor]


def saturate_and_wrap(x: Tensor, bits: int) -> Two:
    """Return what a signed integer of `bits` bits keeps of x: saturated, and wrapped."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return x.long().clamp(low, high), (x.long() - low) % (1 << bits) + low


def _cases(rng: torch.Generator) -> list[Case]:
    def numbers(most: int, count: int = 12) -> Tensor:
        return whole(rng, -most, most, count).to(torch.int32)

    return [
        Case("around the ends of 8 bits", (torch.tensor([-130, -129, -128, 127, 128, 130]), 8)),
        Case("numbers that fit", (numbers(100), 8)),
        Case("numbers far away", (numbers(100_000), 8)),
        Case("16 bits", (numbers(2**20), 16)),
        Case("4 bits", (numbers(40), 4)),
        Case("numbers near the ends of int32", (numbers(2**31 - 1), 8)),
        Case("numbers of int64", (whole(rng, -(2**62), 2**62, 12), 8)),
        Case("the ends of 4 bits", (torch.tensor([-9, -8, 7, 8, 15, 16, -16, -17]), 4)),
    ]


def _but(place: int, value: Callable[[Tensor, int], Tensor]) -> Callable[[Tensor, int], Two]:
    def wrong(x: Tensor, bits: int) -> Two:
        saturated, wrapped = saturate_and_wrap(x, bits)
        other = value(x.long(), bits)
        return (other, wrapped) if place == 0 else (saturated, other)

    return wrong


def _once(x: Tensor, bits: int) -> Tensor:
    half = 1 << (bits - 1)
    x = torch.where(x >= half, x - 2 * half, x)
    return torch.where(x < -half, x + 2 * half, x)


SATURATE_AND_WRAP = Exercise(
    id="8.5",
    title="Saturate or wrap",
    points=2,
    reference=saturate_and_wrap,
    cases=_cases,
    rules=(Codes(), Codes()),
    names=("saturated", "wrapped"),
    hints=(
        "Saturated: the nearest number that there is. Wrapped: the lowest bits, as if the numbers "
        "stood on a wheel of 2**bits places.",
        "low = -2**(bits - 1) and high = 2**(bits - 1) - 1. Clamp for the first. For the second, "
        "move the range to begin at 0, take the remainder of 2**bits, and move it back.",
        "low = -(1 << (bits - 1)); high = -low - 1; return x.clamp(low, high), (x - low) % "
        "(1 << bits) + low.",
    ),
    misconceptions=(
        Misconception(
            "clamps what has wrapped already",
            _but(0, lambda x, bits: saturate_and_wrap(x, bits)[1]),
            "Converting first loses the high bits, and 130 is -126 before anything can clamp it: "
            "clamp the wide number.",
        ),
        Misconception(
            "clamps to 8 bits whatever `bits` is",
            _but(0, lambda x, bits: x.clamp(-128, 127)),
            "The ends depend on bits: -2**(bits - 1) and 2**(bits - 1) - 1.",
        ),
        Misconception(
            "wraps at 8 bits whatever `bits` is",
            _but(1, lambda x, bits: x.to(torch.int8).long()),
            "A cast to int8 keeps 8 bits. Keep `bits` of them: the remainder of 2**bits.",
        ),
        Misconception(
            "clamps before it wraps",
            _but(1, lambda x, bits: saturate_and_wrap(x, bits)[0]),
            "What was clamped fits already, and nothing is left to wrap: take the remainder of x "
            "itself.",
        ),
        Misconception(
            "takes the remainder with the sign of x",
            _but(1, lambda x, bits: torch.fmod(x, 1 << bits)),
            "Wrapped numbers go from -2**(bits - 1) to 2**(bits - 1) - 1: move the range to begin "
            "at 0, take % of 2**bits, which is never negative, and move it back.",
        ),
        Misconception(
            "takes the remainder of half the wheel",
            _but(1, lambda x, bits: (x + (1 << bits - 1)) % (1 << bits - 1) - (1 << bits - 1)),
            "The wheel has 2**bits places, on both sides of 0 together.",
        ),
        Misconception(
            "does not move the range back",
            _but(1, lambda x, bits: (x + (1 << bits - 1)) % (1 << bits)),
            "The range was moved to begin at 0: after the remainder take 2**(bits - 1) away again.",
        ),
        Misconception(
            "wraps once only",
            _but(1, _once),
            "A number far away goes round the wheel several times: take the remainder of 2**bits.",
        ),
        Misconception(
            "forgets the sign of what is left",
            _but(1, lambda x, bits: x % (1 << bits)),
            "The lowest bits of 200 are those of -56 in signed 8 bits: the highest of them is the "
            "sign.",
        ),
        Misconception(
            "has a sign for 8 and 16 bits only",
            _but(
                1,
                lambda x, bits: (
                    saturate_and_wrap(x, bits)[1] if bits in (8, 16) else x % (1 << bits)
                ),
            ),
            "Other numbers of bits have a sign, too, and no dtype: move the range to begin at 0, "
            "take % of 2**bits, and move it back.",
        ),
        Misconception(
            "gives up the lowest code",
            _but(0, lambda x, bits: x.clamp(1 - (1 << (bits - 1)), (1 << (bits - 1)) - 1)),
            "Two's complement has one number more below zero: it ends at -2**(bits - 1).",
        ),
        Misconception(
            "saturates to an unsigned range",
            _but(0, lambda x, bits: x.clamp(0, (1 << bits) - 1)),
            "Asked for is a signed integer: from -2**(bits - 1) to 2**(bits - 1) - 1.",
        ),
        Misconception(
            "lets the highest code be 2**(bits - 1)",
            _but(0, lambda x, bits: x.clamp(-(1 << (bits - 1)), 1 << (bits - 1))),
            "2**(bits - 1) is the first number that does not fit.",
        ),
        Misconception(
            "takes `bits` for those without the sign",
            _but(0, lambda x, bits: x.clamp(-(1 << bits), (1 << bits) - 1)),
            "One of the bits is the sign: the range is -2**(bits - 1) to 2**(bits - 1) - 1.",
        ),
        Misconception(
            "takes `bits` for those without the sign",
            _but(1, lambda x, bits: saturate_and_wrap(x, bits + 1)[1]),
            "One of the bits is the sign: there are 2**bits numbers, from -2**(bits - 1) on.",
        ),
        Misconception(
            "sets what does not fit to 0",
            _but(0, lambda x, bits: torch.where(saturate_and_wrap(x, bits)[0] == x, x, 0)),
            "Saturated is the nearest number that fits: clamp.",
        ),
        Misconception(
            "keeps the sign apart from the lowest bits",
            _but(1, lambda x, bits: x.sign() * (x.abs() % (1 << (bits - 1)))),
            "Two's complement has no sign apart from its bits: move the range to begin at 0, take "
            "% of 2**bits, and move it back.",
        ),
        Misconception(
            "returns the two in the other order",
            lambda x, bits: saturate_and_wrap(x, bits)[::-1],
            "First the saturated numbers, then the wrapped ones.",
        ),
        Misconception(
            "takes the remainder of 2**bits - 1",
            _but(
                1,
                lambda x, bits: (x + (1 << (bits - 1))) % ((1 << bits) - 1) - (1 << (bits - 1)),
            ),
            "The wheel has 2**bits places.",
        ),
        Misconception(
            "takes the remainder of float32",
            _but(
                1,
                lambda x, bits: (
                    torch.remainder(x.float() + (1 << (bits - 1)), 1 << bits) - (1 << (bits - 1))
                ).long(),
            ),
            "float32 has 24 bits, and loses the lowest ones of large numbers, which are what "
            "wrapping keeps: stay in integers.",
        ),
        Misconception(
            "takes the remainder of float64",
            _but(
                1,
                lambda x, bits: (
                    torch.remainder(x.double() + (1 << (bits - 1)), 1 << bits) - (1 << (bits - 1))
                ).long(),
            ),
            "float64 has 53 bits, and loses the lowest ones of a large int64, which are what "
            "wrapping keeps: stay in integers.",
        ),
        Misconception(
            "cuts to int32 before it saturates",
            _but(0, lambda x, bits: saturate_and_wrap(x.int(), bits)[0]),
            "A number beyond int32 wraps in it and is on the wrong side then: clamp the wide "
            "number.",
        ),
    ),
    minutes=(4, 7),
    extra=True,
)
