"""Exercise 3.5: a multiplier as mantissa and shift."""

import math
from collections.abc import Callable

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, uniform
from labkit.checks.rules import Integer


def quantize_multiplier(multiplier: float) -> tuple[int, int]:
    """Return mantissa and shift with multiplier = mantissa * 2^-31 * 2^-shift."""
    fraction, exponent = math.frexp(multiplier)
    mantissa = round(fraction * 2**31)
    if mantissa == 2**31:
        mantissa, exponent = 2**30, exponent + 1
    return mantissa, -exponent


def _multiplier_cases(rng: torch.Generator) -> list[Case]:
    typical = uniform(rng, 0.01, 0.09) * uniform(rng, 0.002, 0.009) / uniform(rng, 0.03, 0.1)
    small = [uniform(rng, 0.5, 1) / 2**shift for shift in (3, 7, 12, 20)]
    return [
        Case("between one half and one", (uniform(rng, 0.55, 0.95),)),
        Case("below one half", (uniform(rng, 0.26, 0.48),)),
        Case("a power of two", (2.0 ** -one(rng, 2, 9),)),
        Case("a typical S_x S_w / S_y", (typical,)),
        Case("one", (1.0,)),
        Case("one half", (0.5,)),
        Case("a power of two above one", (2.0 ** one(rng, 1, 5),)),
        Case("above one", (uniform(rng, 2, 9),)),
        Case(
            "so close below one that the mantissa rounds up to 2^31",
            (1 - 2.0 ** -one(rng, 34, 44),),
        ),
        Case("the same, smaller", ((1 - 2.0 ** -one(rng, 34, 44)) / 2 ** one(rng, 2, 6),)),
        *(Case("drawn at random", (m,)) for m in small),
        Case("very large", (uniform(rng, 1, 9) * 1e9,)),
        Case("very small", (uniform(rng, 1, 9) * 1e-12,)),
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


def _mantissa_of(bits: int, moved: int = 0) -> Callable[[float], tuple[int, int]]:
    """Return the wrong answer whose mantissa has another number of bits, the shift moved."""

    def wrong(multiplier: float) -> tuple[int, int]:
        fraction, exponent = math.frexp(multiplier)
        mantissa = round(fraction * 2**bits)
        if mantissa == 2**bits:
            mantissa, exponent = mantissa // 2, exponent + 1
        return mantissa, moved - exponent

    return wrong


def _carried(change: int) -> Callable[[float], tuple[int, int]]:
    """Return the wrong answer that halves a mantissa of 2^31 and adds `change` to the shift."""

    def wrong(multiplier: float) -> tuple[int, int]:
        mantissa, shift = _no_carry(multiplier)
        return (2**30, shift + change) if mantissa == 2**31 else (mantissa, shift)

    return wrong


def _clamped(multiplier: float) -> tuple[int, int]:
    mantissa, shift = _no_carry(multiplier)
    return min(mantissa, 2**31 - 1), shift


def _fraction_of_one(multiplier: float) -> tuple[int, int]:
    shift = -math.ceil(math.log2(multiplier))
    return round(multiplier * 2.0 ** (31 + shift)), shift


def _fraction(multiplier: float) -> tuple[float, int]:
    fraction, exponent = math.frexp(multiplier)
    return fraction, -exponent


def _below_one_and_no_carry(multiplier: float) -> tuple[int, int]:
    shift = 0
    while multiplier < 0.5:
        multiplier, shift = 2 * multiplier, shift + 1
    return round(multiplier * 2**31), shift


QUANTIZE_MULTIPLIER = Exercise(
    id="3.5",
    title="A multiplier as mantissa and shift",
    points=3,
    minutes=(10, 15),
    extra=True,
    reference=quantize_multiplier,
    cases=_multiplier_cases,
    rules=(Integer(), Integer()),
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
            "handles multipliers below 1 only, and no mantissa that rounds up",
            _below_one_and_no_carry,
            "From 1 on halve until it lies in [0.5, 1), which makes shift negative. And 2^31 is no "
            "int32: use 2**30 and a shift that is smaller by 1.",
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
            _mantissa_of(32, moved=1),
            "int32 has a sign: the mantissa must stay below 2^31.",
        ),
        Misconception(
            "uses 32 bits for the mantissa",
            _mantissa_of(32),
            "int32 has a sign: the mantissa must stay below 2^31.",
        ),
        Misconception(
            "uses 30 bits for the mantissa",
            _mantissa_of(30),
            "The fraction counts in steps of 2^-31: round(fraction * 2**31).",
        ),
        Misconception(
            "halves the mantissa and leaves the shift",
            _carried(0),
            "2^30 is half of 2^31, so the number would be halved. Twice the power is a shift that "
            "is smaller by 1.",
        ),
        Misconception(
            "changes the shift in the wrong direction",
            _carried(1),
            "2^30 is half of 2^31, so the power must double: a shift that is smaller by 1.",
        ),
        Misconception(
            "clamps the mantissa to 2^31 - 1",
            _clamped,
            "The nearest is 2^31, which is 2^30 at twice the power: mantissa 2**30, shift - 1.",
        ),
        Misconception(
            "takes a power of two for a fraction of 1",
            _fraction_of_one,
            "The fraction lies in [0.5, 1), without 1: 0.25 is 0.5 * 2^-1. math.frexp does that.",
        ),
        Misconception(
            "does not normalize",
            lambda multiplier: (round(multiplier * 2**31), 0),
            "A small multiplier keeps few digits that way. Double it until it lies in [0.5, 1), "
            "and count.",
        ),
        Misconception(
            "returns the fraction itself",
            _fraction,
            "A chip with integers only has no 0.64: return round(fraction * 2**31).",
        ),
        Misconception(
            "returns the shift first",
            lambda multiplier: quantize_multiplier(multiplier)[::-1],
            "The mantissa comes first: return mantissa, shift.",
        ),
    ),
)
