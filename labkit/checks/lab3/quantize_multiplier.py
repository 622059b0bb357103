"""Exercise 3.5: a multiplier as mantissa and shift."""

import math
from collections.abc import Callable
from functools import partial

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


Two = tuple[float, float]


def _normalized(
    multiplier: float,
    *,
    given: Callable[[float], float] = lambda multiplier: multiplier,
    split: Callable[[float], Two] = math.frexp,
    bits: int = 31,
    beside: int = 0,
    turn: Callable[[float], float] = round,
    carried: Callable[[float, float, float], Two] = lambda mantissa, exponent, end: (
        (mantissa / 2, exponent + 1) if mantissa == end else (mantissa, exponent)
    ),
    right: Callable[[float], float] = lambda exponent: -exponent,
    ordered: Callable[[float, float], Two] = lambda mantissa, shift: (mantissa, shift),
) -> Two:
    """Return mantissa and shift, of which any part may be another one."""
    fraction, exponent = split(given(multiplier))
    mantissa, exponent = carried(turn(fraction * (2**bits + beside)), exponent, 2**bits)
    whole = int(mantissa) if mantissa == int(mantissa) else mantissa
    return ordered(whole, right(exponent))


def _never_halved(multiplier: float) -> Two:
    return math.frexp(multiplier) if multiplier < 1 else (multiplier, 0)


def _never_doubled(multiplier: float) -> Two:
    return math.frexp(multiplier) if multiplier >= 0.5 else (multiplier, 0)


def _from_one_to_two(multiplier: float) -> Two:
    fraction, exponent = math.frexp(multiplier)
    return 2 * fraction, exponent - 1


def _up_to_one(multiplier: float) -> Two:
    exponent = math.ceil(math.log2(multiplier))
    return multiplier / 2.0**exponent, exponent


def _not_carried(mantissa: float, exponent: float, end: float) -> Two:
    return mantissa, exponent


SIGNED = "int32 has a sign: the mantissa must stay below 2^31."
STEPS = "The fraction counts in steps of 2^-31: round(fraction * 2**31)."


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
            partial(_normalized, turn=int),
            "int() cuts towards 0; the nearest integer is half as far away on average: round().",
        ),
        Misconception(
            "lets the mantissa reach 2^31",
            partial(_normalized, carried=_not_carried),
            "2^31 is no int32. A fraction that rounds up to 1 is one half at twice the power: "
            "mantissa 2**30, shift - 1.",
        ),
        Misconception(
            "goes through float32",
            partial(_normalized, given=lambda multiplier: float(torch.tensor(multiplier))),
            "float32 knows 24 bits of the multiplier, the mantissa has 31. Compute with Python's "
            "floats or float64.",
        ),
        Misconception(
            "handles multipliers below 1 only",
            partial(_normalized, split=_never_halved),
            "From 1 on the fraction must be halved until it lies in [0.5, 1): shift is negative.",
        ),
        Misconception(
            "handles multipliers below 1 only, and no mantissa that rounds up",
            partial(_normalized, split=_never_halved, carried=_not_carried),
            "From 1 on halve until it lies in [0.5, 1), which makes shift negative. And 2^31 is "
            "no int32: use 2**30 and a shift that is smaller by 1.",
        ),
        Misconception(
            "handles multipliers of one half and more only",
            partial(_normalized, split=_never_doubled),
            "A smaller one must be doubled until it lies in [0.5, 1), and each doubling counts: "
            "shift is positive.",
        ),
        Misconception(
            "counts the 31 bits of the mantissa as shift",
            partial(_normalized, right=lambda exponent: 31 - exponent),
            "The factor 2^-31 stands in the equation on its own; shift counts what is left.",
        ),
        Misconception(
            "takes the 31 bits of the mantissa off the shift",
            partial(_normalized, right=lambda exponent: -31 - exponent),
            "The factor 2^-31 stands in the equation on its own; shift counts what is left.",
        ),
        Misconception(
            "returns the shift with the opposite sign",
            partial(_normalized, right=lambda exponent: exponent),
            "shift is to the right: 0.02 = 0.64 * 2^-5 has the shift 5.",
        ),
        Misconception(
            "has a shift that is larger by 1",
            partial(_normalized, right=lambda exponent: 1 - exponent),
            "math.frexp's fraction lies in [0.5, 1) already, and its exponent fits: the shift is "
            "-exponent.",
        ),
        Misconception(
            "has a shift that is smaller by 1",
            partial(_normalized, right=lambda exponent: -1 - exponent),
            "math.frexp's fraction lies in [0.5, 1) already, and its exponent fits: the shift is "
            "-exponent.",
        ),
        Misconception(
            "never shifts to the left",
            partial(_normalized, right=lambda exponent: max(-exponent, 0)),
            "A multiplier of 1 and more needs it: its shift is negative.",
        ),
        Misconception(
            "loses the sign of the shift",
            partial(_normalized, right=abs),
            "From 1 on the shift is negative, to the left: -exponent, without abs().",
        ),
        Misconception(
            "uses 32 bits for the mantissa",
            partial(_normalized, bits=32, right=lambda exponent: 1 - exponent),
            SIGNED,
        ),
        Misconception(
            "uses 32 bits for the mantissa",
            partial(_normalized, bits=32),
            SIGNED,
        ),
        Misconception(
            "uses 30 bits for the mantissa",
            partial(_normalized, bits=30),
            STEPS,
        ),
        Misconception(
            "uses 15 bits for the mantissa",
            partial(_normalized, bits=15),
            STEPS,
        ),
        Misconception(
            "uses 16 bits for the mantissa",
            partial(_normalized, bits=16),
            STEPS,
        ),
        Misconception(
            "halves the mantissa and leaves the shift",
            partial(
                _normalized,
                carried=lambda mantissa, exponent, end: (
                    (mantissa / 2, exponent) if mantissa == end else (mantissa, exponent)
                ),
            ),
            "2^30 is half of 2^31, so the number would be halved. Twice the power is a shift "
            "that is smaller by 1.",
        ),
        Misconception(
            "changes the shift in the wrong direction",
            partial(
                _normalized,
                carried=lambda mantissa, exponent, end: (
                    (mantissa / 2, exponent - 1) if mantissa == end else (mantissa, exponent)
                ),
            ),
            "2^30 is half of 2^31, so the power must double: a shift that is smaller by 1.",
        ),
        Misconception(
            "changes the shift and leaves the mantissa",
            partial(
                _normalized,
                carried=lambda mantissa, exponent, end: (
                    (mantissa, exponent + 1) if mantissa == end else (mantissa, exponent)
                ),
            ),
            "2^31 is no int32, and twice the power needs half the mantissa: 2**30.",
        ),
        Misconception(
            "clamps the mantissa to 2^31 - 1",
            partial(
                _normalized,
                carried=lambda mantissa, exponent, end: (min(mantissa, end - 1), exponent),
            ),
            "The nearest is 2^31, which is 2^30 at twice the power: mantissa 2**30, shift - 1.",
        ),
        Misconception(
            "takes a power of two for a fraction of 1",
            partial(_normalized, split=_up_to_one, carried=_not_carried),
            "The fraction lies in [0.5, 1), without 1: 0.25 is 0.5 * 2^-1. math.frexp does that.",
        ),
        Misconception(
            "takes a power of two for a fraction of 1, and cuts the mantissa to 31 bits",
            partial(_normalized, split=_up_to_one, carried=lambda m, e, end: (min(m, end - 1), e)),
            "The fraction lies in [0.5, 1), without 1: 0.25 is 0.5 * 2^-1. A mantissa of 2^31 "
            "becomes 2^30, and the shift one less.",
        ),
        Misconception(
            "brings the fraction to [1, 2)",
            partial(_normalized, split=_from_one_to_two, carried=_not_carried),
            "The fraction lies in [0.5, 1), or the mantissa is no int32: halve it once more, and "
            "the shift is smaller by 1.",
        ),
        Misconception(
            "brings the fraction to [1, 2), in 31 bits",
            partial(_normalized, split=_from_one_to_two, bits=30, carried=_not_carried),
            "The fraction lies in [0.5, 1) and counts in steps of 2^-31: the mantissa is the "
            "same, and the shift smaller by 1.",
        ),
        Misconception(
            "does not normalize",
            partial(_normalized, split=lambda multiplier: (multiplier, 0), carried=_not_carried),
            "A small multiplier keeps few digits that way. Double it until it lies in [0.5, 1), "
            "and count.",
        ),
        Misconception(
            "returns the fraction itself",
            partial(_normalized, bits=0, turn=lambda steps: steps),
            "A chip with integers only has no 0.64: return round(fraction * 2**31).",
        ),
        Misconception(
            "does not round the mantissa",
            partial(_normalized, turn=lambda steps: steps),
            "An int32 has nothing behind the point: round(fraction * 2**31).",
        ),
        Misconception(
            "scales the fraction by 2^31 - 1",
            partial(_normalized, beside=-1),
            "That makes nearly every mantissa too small by 1: it is round(fraction * 2**31), and "
            "only where that is 2**31 it becomes 2**30, with a shift one less.",
        ),
        Misconception(
            "rounds the mantissa up",
            partial(_normalized, turn=math.ceil),
            "The nearest integer is half as far away on average: round().",
        ),
        Misconception(
            "returns the shift first",
            partial(_normalized, ordered=lambda mantissa, shift: (shift, mantissa)),
            "The mantissa comes first: return mantissa, shift.",
        ),
    ),
)
