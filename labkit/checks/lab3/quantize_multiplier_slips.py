"""Slips in a multiplier as mantissa and shift, for exercise 3.5."""

import math
from functools import partial

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.lab3.quantize_multiplier_parts import (
    from_one_to_two,
    never_doubled,
    never_halved,
    normalized,
    not_carried,
    up_to_one,
)

SIGNED = "int32 has a sign: the mantissa must stay below 2^31."
STEPS = "The fraction counts in steps of 2^-31: round(fraction * 2**31)."


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "cuts off the mantissa's decimals",
        partial(normalized, turn=int),
        "int() cuts towards 0; the nearest integer is half as far away on average: round().",
    ),
    Misconception(
        "lets the mantissa reach 2^31",
        partial(normalized, carried=not_carried),
        "2^31 is no int32. A fraction that rounds up to 1 is one half at twice the power: "
        "mantissa 2**30, shift - 1.",
    ),
    Misconception(
        "goes through float32",
        partial(normalized, given=lambda multiplier: float(torch.tensor(multiplier))),
        "float32 knows 24 bits of the multiplier, the mantissa has 31. Compute with Python's "
        "floats or float64.",
    ),
    Misconception(
        "handles multipliers below 1 only",
        partial(normalized, split=never_halved),
        "From 1 on the fraction must be halved until it lies in [0.5, 1): shift is negative.",
    ),
    Misconception(
        "handles multipliers below 1 only, and no mantissa that rounds up",
        partial(normalized, split=never_halved, carried=not_carried),
        "From 1 on halve until it lies in [0.5, 1), which makes shift negative. And 2^31 is "
        "no int32: use 2**30 and a shift that is smaller by 1.",
    ),
    Misconception(
        "handles multipliers of one half and more only",
        partial(normalized, split=never_doubled),
        "A smaller one must be doubled until it lies in [0.5, 1), and each doubling counts: "
        "shift is positive.",
    ),
    Misconception(
        "counts the 31 bits of the mantissa as shift",
        partial(normalized, right=lambda exponent: 31 - exponent),
        "The factor 2^-31 stands in the equation on its own; shift counts what is left.",
    ),
    Misconception(
        "takes the 31 bits of the mantissa off the shift",
        partial(normalized, right=lambda exponent: -31 - exponent),
        "The factor 2^-31 stands in the equation on its own; shift counts what is left.",
    ),
    Misconception(
        "returns the shift with the opposite sign",
        partial(normalized, right=lambda exponent: exponent),
        "shift is to the right: 0.02 = 0.64 * 2^-5 has the shift 5.",
    ),
    Misconception(
        "has a shift that is larger by 1",
        partial(normalized, right=lambda exponent: 1 - exponent),
        "math.frexp's fraction lies in [0.5, 1) already, and its exponent fits: the shift is "
        "-exponent.",
    ),
    Misconception(
        "has a shift that is smaller by 1",
        partial(normalized, right=lambda exponent: -1 - exponent),
        "math.frexp's fraction lies in [0.5, 1) already, and its exponent fits: the shift is "
        "-exponent.",
    ),
    Misconception(
        "never shifts to the left",
        partial(normalized, right=lambda exponent: max(-exponent, 0)),
        "A multiplier of 1 and more needs it: its shift is negative.",
    ),
    Misconception(
        "loses the sign of the shift",
        partial(normalized, right=abs),
        "From 1 on the shift is negative, to the left: -exponent, without abs().",
    ),
    Misconception(
        "uses 32 bits for the mantissa",
        partial(normalized, bits=32, right=lambda exponent: 1 - exponent),
        SIGNED,
    ),
    Misconception(
        "uses 32 bits for the mantissa",
        partial(normalized, bits=32),
        SIGNED,
    ),
    Misconception(
        "uses 30 bits for the mantissa",
        partial(normalized, bits=30),
        STEPS,
    ),
    Misconception(
        "uses 15 bits for the mantissa",
        partial(normalized, bits=15),
        STEPS,
    ),
    Misconception(
        "uses 16 bits for the mantissa",
        partial(normalized, bits=16),
        STEPS,
    ),
    Misconception(
        "halves the mantissa and leaves the shift",
        partial(
            normalized,
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
            normalized,
            carried=lambda mantissa, exponent, end: (
                (mantissa / 2, exponent - 1) if mantissa == end else (mantissa, exponent)
            ),
        ),
        "2^30 is half of 2^31, so the power must double: a shift that is smaller by 1.",
    ),
    Misconception(
        "changes the shift and leaves the mantissa",
        partial(
            normalized,
            carried=lambda mantissa, exponent, end: (
                (mantissa, exponent + 1) if mantissa == end else (mantissa, exponent)
            ),
        ),
        "2^31 is no int32, and twice the power needs half the mantissa: 2**30.",
    ),
    Misconception(
        "clamps the mantissa to 2^31 - 1",
        partial(
            normalized,
            carried=lambda mantissa, exponent, end: (min(mantissa, end - 1), exponent),
        ),
        "The nearest is 2^31, which is 2^30 at twice the power: mantissa 2**30, shift - 1.",
    ),
    Misconception(
        "takes a power of two for a fraction of 1",
        partial(normalized, split=up_to_one, carried=not_carried),
        "The fraction lies in [0.5, 1), without 1: 0.25 is 0.5 * 2^-1. math.frexp does that.",
    ),
    Misconception(
        "takes a power of two for a fraction of 1, and cuts the mantissa to 31 bits",
        partial(normalized, split=up_to_one, carried=lambda m, e, end: (min(m, end - 1), e)),
        "The fraction lies in [0.5, 1), without 1: 0.25 is 0.5 * 2^-1. A mantissa of 2^31 "
        "becomes 2^30, and the shift one less.",
    ),
    Misconception(
        "brings the fraction to [1, 2)",
        partial(normalized, split=from_one_to_two, carried=not_carried),
        "The fraction lies in [0.5, 1), or the mantissa is no int32: halve it once more, and "
        "the shift is smaller by 1.",
    ),
    Misconception(
        "brings the fraction to [1, 2), in 31 bits",
        partial(normalized, split=from_one_to_two, bits=30, carried=not_carried),
        "The fraction lies in [0.5, 1) and counts in steps of 2^-31: the mantissa is the "
        "same, and the shift smaller by 1.",
    ),
    Misconception(
        "does not normalize",
        partial(normalized, split=lambda multiplier: (multiplier, 0), carried=not_carried),
        "A small multiplier keeps few digits that way. Double it until it lies in [0.5, 1), "
        "and count.",
    ),
    Misconception(
        "returns the fraction itself",
        partial(normalized, bits=0, turn=lambda steps: steps),
        "A chip with integers only has no 0.64: return round(fraction * 2**31).",
    ),
    Misconception(
        "does not round the mantissa",
        partial(normalized, turn=lambda steps: steps),
        "An int32 has nothing behind the point: round(fraction * 2**31).",
    ),
    Misconception(
        "scales the fraction by 2^31 - 1",
        partial(normalized, beside=-1),
        "That makes nearly every mantissa too small by 1: it is round(fraction * 2**31), and "
        "only where that is 2**31 it becomes 2**30, with a shift one less.",
    ),
    Misconception(
        "rounds the mantissa up",
        partial(normalized, turn=math.ceil),
        "The nearest integer is half as far away on average: round().",
    ),
    Misconception(
        "returns the shift first",
        partial(normalized, ordered=lambda mantissa, shift: (shift, mantissa)),
        "The mantissa comes first: return mantissa, shift.",
    ),
)
