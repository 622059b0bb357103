"""Exercise 0.3: the number that three fields stand for."""

from collections.abc import Callable
from functools import partial

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.lab0.inputs import BF16, FP8_E5M2, FP16, FP32, REAL, integer


def float_value(
    sign: int, exponent: int, mantissa: int, exponent_bits: int, mantissa_bits: int
) -> float:
    """Return the number that the fields of a float stand for, by equations (1) and (2)."""
    bias = 2 ** (exponent_bits - 1) - 1
    fraction = mantissa / 2**mantissa_bits
    if exponent == 0:
        magnitude = fraction * 2.0 ** (1 - bias)
    else:
        magnitude = (1 + fraction) * 2.0 ** (exponent - bias)
    return -magnitude if sign else magnitude


def _value_cases(rng: torch.Generator) -> list[Case]:
    def normal(label: str, sign: int, split: tuple[int, int]) -> Case:
        bias, mantissas = 2 ** (split[0] - 1) - 1, 2 ** split[1]
        exponent = integer(rng, max(1, bias - 12), 2 * bias if bias < 12 else bias + 12)
        return Case(label, (sign, exponent, integer(rng, 1, mantissas), *split))

    return [
        Case("1.5 in bf16", (0, 127, 64, *BF16)),
        Case("zero", (0, 0, 0, *FP8_E5M2)),
        Case("the smallest normal of fp16", (0, 1, 0, *FP16)),
        Case("the largest of fp16", (0, 30, 1023, *FP16)),
        Case("a subnormal of fp16", (0, 0, integer(rng, 1, 1024), *FP16)),
        Case("a negative subnormal of fp16", (1, 0, integer(rng, 1, 1024), *FP16)),
        Case("a subnormal of bf16", (0, 0, integer(rng, 1, 128), *BF16)),
        normal("a random fp16", 0, FP16),
        normal("a random negative fp16", 1, FP16),
        normal("a random fp32", 0, FP32),
        normal("a random bf16", 0, BF16),
        normal("a random negative bf16", 1, BF16),
        normal("4 exponent bits, 9 mantissa bits", 0, (4, 9)),
        normal("3 exponent bits, 4 mantissa bits", 1, (3, 4)),
        Case("a subnormal with 3 exponent bits", (0, 0, integer(rng, 1, 16), 3, 4)),
    ]


def _valued(
    sign: int,
    exponent: int,
    mantissa: int,
    exponent_bits: int,
    mantissa_bits: int,
    *,
    bias: Callable[[int], int] = lambda exponent_bits: 2 ** (exponent_bits - 1) - 1,
    lead: Callable[[int], int] = lambda exponent: min(exponent, 1),
    power: Callable[[int], int] = lambda exponent: max(exponent, 1),
    fraction: Callable[[int, int], float] = lambda mantissa, bits: mantissa / 2**bits,
    signed: Callable[[float, int, int], float] = lambda x, sign, exponent: (-1) ** sign * x,
) -> float:
    """Return equations (1) and (2), of which any part may be another one."""
    magnitude = lead(exponent) + fraction(mantissa, mantissa_bits)
    return signed(magnitude * 2.0 ** (power(exponent) - bias(exponent_bits)), sign, exponent)


def _known(exponent_bits: int, other: int) -> int:
    return {5: 15, 8: 127}.get(exponent_bits, other)


FLOAT_VALUE = Exercise(
    id="0.3",
    title="Read the fields",
    points=2,
    minutes=(6, 9),
    reference=float_value,
    cases=_value_cases,
    rules=(REAL,),
    hints=(
        "Put the fields of 1.5 in bf16, (0, 127, 64), into equation (1) by hand. What is the bias "
        "of 8 exponent bits?",
        "bias = 2**(exponent_bits - 1) - 1. Which of the two equations holds when the exponent "
        "field is 0?",
        "E > 0: (1 + M / 2**m) * 2.0**(E - bias). E = 0: (M / 2**m) * 2.0**(1 - bias). Then the "
        "sign.",
    ),
    misconceptions=(
        Misconception(
            "has no subnormals",
            partial(_valued, lead=lambda exponent: 1, power=lambda exponent: exponent),
            "With exponent field 0 there is no leading one (equation 2): else no pattern would "
            "stand for 0.0.",
        ),
        Misconception(
            "makes every subnormal 0",
            lambda sign, exponent, *rest: float_value(sign, exponent, *rest) if exponent else 0.0,
            "Equation (2): an exponent field of 0 stands for M / 2^m steps towards the smallest "
            "normal number, which is 0 only if M is.",
        ),
        Misconception(
            "takes 2^(0 - bias) for subnormals",
            partial(_valued, power=lambda exponent: exponent),
            "Subnormals go on with the spacing of the first normal numbers: 2^(1 - bias), not "
            "2^(0 - bias).",
        ),
        Misconception(
            "forgets the leading one",
            partial(_valued, lead=lambda exponent: 0),
            "A normal number starts with a one that is not stored: 1 + M / 2^m.",
        ),
        Misconception(
            "forgets the bias",
            partial(_valued, bias=lambda bits: 0),
            "The field holds exponent + bias: subtract the bias before you take the power.",
        ),
        Misconception(
            "takes 127 as the bias of every format",
            partial(_valued, bias=lambda bits: 127),
            "127 is the bias of 8 exponent bits; 5 of them have 15: bias = 2**(exponent_bits - 1) "
            "- 1.",
        ),
        *(
            Misconception(
                "knows the bias of 5 and of 8 exponent bits only",
                partial(_valued, bias=partial(_known, other=other)),
                f"Other formats get {other} in your code. The bias follows from the number of "
                "bits: 2**(exponent_bits - 1) - 1, which is 7 for 4 and 3 for 3.",
            )
            for other in (15, 127)
        ),
        Misconception(
            "takes 2^(e - 1) as the bias",
            partial(_valued, bias=lambda bits: 2 ** (bits - 1)),
            "One less: 127 for 8 exponent bits, 15 for 5. Try it with 1.0.",
        ),
        Misconception(
            "forgets the sign",
            partial(_valued, signed=lambda x, sign, exponent: x),
            "The factor (-1)^s: sign 1 means minus.",
        ),
        Misconception(
            "takes the mantissa as a whole number",
            partial(_valued, fraction=lambda mantissa, bits: mantissa),
            "M counts steps of 2^-m: divide it by 2**mantissa_bits.",
        ),
        Misconception(
            "multiplies by the sign bit",
            partial(_valued, signed=lambda x, sign, exponent: sign * x),
            "The bit is 0 for plus, and plus times 0 is 0. The factor is (-1)^s: 1 for 0, -1 for "
            "1.",
        ),
        Misconception(
            "multiplies by the sign bit",
            partial(_valued, signed=lambda x, sign, exponent: -sign * x),
            "The bit is 0 for plus, and plus times 0 is 0. The factor is (-1)^s: 1 for 0, -1 for "
            "1.",
        ),
        Misconception(
            "turns the sign round",
            partial(_valued, signed=lambda x, sign, exponent: x if sign else -x),
            "Sign 0 is plus, sign 1 minus: (-1)^s.",
        ),
        Misconception(
            "loses the sign of subnormals",
            partial(_valued, signed=lambda x, sign, exponent: -x if sign and exponent else x),
            "Equation (2) has the factor (-1)^s, too: the sign belongs to both branches.",
        ),
        Misconception(
            "loses the sign of normal numbers",
            partial(_valued, signed=lambda x, sign, exponent: x if exponent else (-1) ** sign * x),
            "Equation (1) has the factor (-1)^s, too: the sign belongs to both branches.",
        ),
        Misconception(
            "divides the mantissa by one too few",
            partial(_valued, fraction=lambda mantissa, bits: mantissa / (2**bits - 1)),
            "M counts steps of 2^-m from 0 to 2^m - 1, and never reaches the next power of two: "
            "divide by 2**mantissa_bits.",
        ),
        Misconception(
            "takes a mantissa of 23 bits for every format",
            partial(_valued, fraction=lambda mantissa, bits: mantissa / 2**23),
            "23 are the bits of a float32: divide by 2**mantissa_bits.",
        ),
        Misconception(
            "starts subnormals at the second normal exponent",
            partial(_valued, power=lambda exponent: exponent or 2),
            "Subnormals go on with the spacing of the first normal numbers: 2^(1 - bias).",
        ),
    ),
)
