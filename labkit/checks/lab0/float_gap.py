"""Exercise 0.5: the gap between neighbours."""

import math

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import uniform
from labkit.checks.lab0.inputs import BF16, FP16, FP32, REAL, integer


def float_gap(x: float, exponent_bits: int, mantissa_bits: int) -> float:
    """Return the gap of a float format at `x`: how far apart its neighbouring numbers are there."""
    bias = 2 ** (exponent_bits - 1) - 1
    _, exponent = math.frexp(max(abs(x), 2.0 ** (1 - bias)))  # floor(log2) + 1
    return 2.0 ** (exponent - 1 - mantissa_bits)


def _gap_cases(rng: torch.Generator) -> list[Case]:
    return [
        Case("1.0 in bf16", (1.0, *BF16)),
        Case("1.0 in fp16", (1.0, *FP16)),
        Case("a power of two", (2.0 ** integer(rng, 1, 15), *FP16)),
        Case("between two powers of two", (uniform(rng, 1.2, 1.8), *BF16)),
        Case("just below a power of two", (uniform(rng, 3.9, 3.99), *FP16)),
        Case("a negative number", (uniform(rng, -127, -65), *BF16)),
        Case("a small number", (uniform(rng, 0.26, 0.49), *FP16)),
        Case("beyond fp32's integers", (2.0**24 + 2 * integer(rng, 1, 10**6), *FP32)),
        Case("a subnormal of fp16", (integer(rng, 1, 1000) * 2.0**-24, *FP16)),
        Case("a negative power of two", (-(2.0 ** -integer(rng, 1, 9)), *BF16)),
        Case("the smallest normal of fp16", (2.0**-14, *FP16)),
        Case("a negative subnormal of fp16", (integer(rng, 1, 500) * -(2.0**-24), *FP16)),
        Case("zero", (0.0, *FP16)),
        Case("zero in bf16", (0.0, *BF16)),
        *(Case("a random number", (uniform(rng, 9, 120), *split)) for split in (FP16, BF16)),
    ]


def _log2_rounded_up(x: float, exponent_bits: int, mantissa_bits: int) -> float:
    smallest = 2 - 2 ** (exponent_bits - 1)
    exponent = max(math.ceil(math.log2(abs(x))), smallest) if x else smallest
    return 2.0 ** (exponent - mantissa_bits)


def _shrinks_to_zero(x: float, exponent_bits: int, mantissa_bits: int) -> float:
    _, exponent = math.frexp(abs(x) or 2.0**-200)
    return 2.0 ** (exponent - 1 - mantissa_bits)


def _share_above_subnormals(x: float, exponent_bits: int, mantissa_bits: int) -> float:
    smallest = 2.0 ** (2 - 2 ** (exponent_bits - 1))
    return 2.0 ** (math.log2(max(abs(x), smallest)) - mantissa_bits)


FLOAT_GAP = Exercise(
    id="0.5",
    title="The gap between neighbours",
    points=2,
    minutes=(6, 9),
    reference=float_gap,
    cases=_gap_cases,
    rules=(REAL,),
    hints=(
        "Neighbours differ in the last mantissa bit. What is that bit worth at x = 1, and what at "
        "x = 2?",
        "From 2^k up to 2^(k+1) the last bit is worth 2^(k - m), with k = floor(log2|x|). What is "
        "k at 0, and where does it stop falling?",
        "k = floor(log2(max(abs(x), smallest_normal))); math.frexp(v)[1] - 1 gives floor(log2(v)) "
        "without rounding. The gap is 2.0**(k - m).",
    ),
    misconceptions=(
        Misconception(
            "has one gap everywhere",
            lambda x, exponent_bits, mantissa_bits: 2.0**-mantissa_bits,
            "That is the gap at 1. It doubles with every power of two and halves below.",
        ),
        Misconception(
            "takes the gap as a share of x",
            lambda x, exponent_bits, mantissa_bits: abs(x) * 2.0**-mantissa_bits,
            "Between two powers of two all gaps are equal; they double only at the next power. "
            "Round log2|x| down.",
        ),
        Misconception(
            "rounds log2 up",
            _log2_rounded_up,
            "3.99 still lies above 2 and below 4: round log2|x| down.",
        ),
        Misconception(
            "lets the gap shrink below the smallest normal number",
            _shrinks_to_zero,
            "Subnormals keep the spacing of the smallest normal numbers, down to 0: k is never "
            "below 1 - bias.",
        ),
        Misconception(
            "looks at negative numbers as if they were small",
            lambda x, exponent_bits, mantissa_bits: float_gap(
                max(x, 0.0), exponent_bits, mantissa_bits
            ),
            "The sign is a bit of its own and changes no gap: take abs(x) first.",
        ),
        Misconception(
            "gives half a gap",
            lambda x, exponent_bits, mantissa_bits: float_gap(x, exponent_bits, mantissa_bits) / 2,
            "Half a gap is the largest rounding error; the distance between neighbours is twice "
            "that.",
        ),
        Misconception(
            "takes the gap as a share of x",
            _share_above_subnormals,
            "Between two powers of two all gaps are equal; they double only at the next power. "
            "Round log2|x| down.",
        ),
    ),
)
