"""Exercise 3.5: a multiplier as mantissa and shift."""

import math
from collections.abc import Callable

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import uniform
from labkit.checks.rules import Codes


def quantize_multiplier(multiplier: float) -> tuple[int, int]:
    """Return mantissa and shift with multiplier = mantissa * 2^-31 * 2^-shift."""
    fraction, exponent = math.frexp(multiplier)
    mantissa = round(fraction * 2**31)
    if mantissa == 2**31:
        mantissa, exponent = 2**30, exponent + 1
    return mantissa, -exponent


def _multiplier_cases(rng: torch.Generator) -> list[Case]:
    small = [uniform(rng, 0.5, 1) / 2**shift for shift in (3, 7, 12, 20)]
    return [
        Case("between one half and one", (0.7,)),
        Case("below one half", (0.3,)),
        Case("a power of two", (0.25,)),
        Case("a typical S_x S_w / S_y", (0.02 * 0.004 / 0.05,)),
        Case("one", (1.0,)),
        Case("above one", (5.3,)),
        Case("so close below one that the mantissa rounds up to 2^31", (1 - 2**-40,)),
        Case("the same, smaller", ((1 - 2**-36) / 16,)),
        *(Case("drawn at random", (m,)) for m in small),
    ]


def _cut_off(multiplier: float) -> tuple[int, int]:
    fraction, exponent = math.frexp(multiplier)
    return int(fraction * 2**31), -exponent


def _no_carry(multiplier: float) -> tuple[int, int]:
    fraction, exponent = math.frexp(multiplier)
    return round(fraction * 2**31), -exponent


def _float32(multiplier: float) -> tuple[int, int]:
    return quantize_multiplier(float(torch.tensor(multiplier)))


def _never_above_one(multiplier: float) -> tuple[int, int]:
    shift = 0
    while multiplier < 0.5:
        multiplier, shift = 2 * multiplier, shift + 1
    mantissa = round(multiplier * 2**31)
    return (2**30, shift - 1) if mantissa == 2**31 else (mantissa, shift)


def _shift_of(change: int, factor: int) -> Callable[[float], tuple[int, int]]:
    def wrong(multiplier: float) -> tuple[int, int]:
        mantissa, shift = quantize_multiplier(multiplier)
        return mantissa, factor * shift + change

    return wrong


def _one_bit_more(multiplier: float) -> tuple[int, int]:
    fraction, exponent = math.frexp(multiplier)
    return round(fraction * 2**32), 1 - exponent


QUANTIZE_MULTIPLIER = Exercise(
    id="3.5",
    title="A multiplier as mantissa and shift",
    points=3,
    reference=quantize_multiplier,
    cases=_multiplier_cases,
    rules=(Codes(), Codes()),
    names=("mantissa", "shift"),
    hints=(
        "0.3 is 0.6 / 2, and 0.6 lies in [0.5, 1). How often do you have to double 0.02?",
        "math.frexp(0.02) returns (0.64, -5): a fraction in [0.5, 1) and an exponent. The mantissa "
        "is the fraction in steps of 2^-31, rounded.",
        "fraction, exponent = math.frexp(multiplier); mantissa = round(fraction * 2**31). If that "
        "is 2**31, use 2**30 and exponent + 1 instead. Return mantissa, -exponent.",
    ),
    misconceptions=(
        Misconception(
            "cuts off the mantissa's decimals",
            _cut_off,
            "int() cuts towards 0; the nearest integer is half as far away on average: round().",
        ),
        Misconception(
            "lets the mantissa reach 2^31",
            _no_carry,
            "2^31 is no int32. A fraction that rounds up to 1 is one half at twice the power: "
            "mantissa 2**30, shift - 1.",
        ),
        Misconception(
            "goes through float32",
            _float32,
            "float32 knows 24 bits of the multiplier, the mantissa has 31. Compute with Python's "
            "floats or float64.",
        ),
        Misconception(
            "handles multipliers below 1 only",
            _never_above_one,
            "From 1 on the fraction must be halved until it lies in [0.5, 1): shift is negative.",
        ),
        Misconception(
            "counts the 31 bits of the mantissa as shift",
            _shift_of(31, 1),
            "The factor 2^-31 stands in the equation on its own; shift counts what is left.",
        ),
        Misconception(
            "returns the shift with the opposite sign",
            _shift_of(0, -1),
            "shift is to the right: 0.02 = 0.64 * 2^-5 has the shift 5.",
        ),
        Misconception(
            "uses 32 bits for the mantissa",
            _one_bit_more,
            "int32 has a sign: the mantissa must stay below 2^31.",
        ),
    ),
)
