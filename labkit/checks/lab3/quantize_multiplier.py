"""Exercise 3.5: a multiplier as mantissa and shift."""

import math

import torch

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import one, uniform
from labkit.checks.lab3.quantize_multiplier_slips import MISCONCEPTIONS
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
    misconceptions=MISCONCEPTIONS,
)
