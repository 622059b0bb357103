"""Exercise 0.5: the gap between neighbours."""

import math
from collections.abc import Callable
from functools import partial

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
        # So near that the format has no number between, and rounds up to the power.
        Case("just below a power of two", (4 - uniform(rng, 1e-4, 9e-4), *FP16)),
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


def _gapped(
    x: float,
    exponent_bits: int,
    mantissa_bits: int,
    *,
    size: Callable[[float], float] = abs,
    bias: Callable[[int], int] = lambda exponent_bits: 2 ** (exponent_bits - 1) - 1,
    bounded: Callable[[float, float], float] = max,
    octave: Callable[[float], float] = lambda v: math.frexp(v)[1] - 1,
    last: Callable[[float, int], float] = lambda k, mantissa_bits: 2.0 ** (k - mantissa_bits),
    at_zero: Callable[[float], float] = lambda gap: gap,
) -> float:
    """Return 2^(k - m), of which any part may be another one."""
    k = octave(bounded(size(x), 2.0 ** (1 - bias(exponent_bits))) or 2.0**-200)
    gap = last(k, mantissa_bits)
    return gap if x else at_zero(gap)


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
            partial(
                _gapped,
                bounded=lambda size, smallest: size,
                octave=math.log2,
                at_zero=lambda gap: 0.0,
            ),
            "Between two powers of two all gaps are equal; they double only at the next power. "
            "Round log2|x| down.",
        ),
        Misconception(
            "rounds log2 up",
            partial(_gapped, octave=lambda v: math.ceil(math.log2(v))),
            "3.99 still lies above 2 and below 4: round log2|x| down.",
        ),
        Misconception(
            "lets the gap shrink below the smallest normal number",
            partial(_gapped, bounded=lambda size, smallest: size),
            "Subnormals keep the spacing of the smallest normal numbers, down to 0: k is never "
            "below 1 - bias.",
        ),
        Misconception(
            "lets the gap shrink below the smallest normal number",
            partial(_gapped, bounded=lambda size, smallest: size or smallest),
            "Subnormals keep the spacing of the smallest normal numbers: k is never below "
            "1 - bias, not only at 0.",
        ),
        Misconception(
            "gives 0 at zero",
            partial(_gapped, at_zero=lambda gap: 0.0),
            "From 0 to the smallest subnormal it is as far as from any subnormal to the next: "
            "2^(1 - bias - m).",
        ),
        Misconception(
            "gives the gap of 1 at zero",
            partial(_gapped, at_zero=lambda gap: 2.0**-7),
            "From 0 to the smallest subnormal it is as far as from any subnormal to the next: "
            "2^(1 - bias - m).",
        ),
        Misconception(
            "cuts log2 towards 0",
            partial(_gapped, octave=lambda v: int(math.log2(v))),
            "Below 1 the logarithm is negative, and int() goes up there: 0.3 lies above 2^-2. Use "
            "math.floor.",
        ),
        Misconception(
            "rounds log2 to the nearest",
            partial(_gapped, octave=lambda v: round(math.log2(v))),
            "3.99 still lies above 2 and below 4: round log2|x| down.",
        ),
        Misconception(
            "takes frexp's exponent as it is",
            partial(_gapped, octave=lambda v: math.frexp(v)[1]),
            "math.frexp has a mantissa from 0.5 up to 1, so that its exponent is one more than "
            "floor(log2).",
        ),
        Misconception(
            "divides by one mantissa step too few",
            partial(_gapped, last=lambda k, mantissa_bits: 2.0**k / (2**mantissa_bits - 1)),
            "From 2^k to 2^(k+1) there are 2^m steps, not 2^m - 1.",
        ),
        Misconception(
            "looks at negative numbers as if they were small",
            partial(_gapped, size=lambda x: max(x, 0.0)),
            "The sign is a bit of its own and changes no gap: take abs(x) first.",
        ),
        Misconception(
            "gives half a gap",
            partial(_gapped, last=lambda k, mantissa_bits: 2.0 ** (k - mantissa_bits) / 2),
            "Half a gap is the largest rounding error; the distance between neighbours is twice "
            "that.",
        ),
        Misconception(
            "takes the gap as a share of x",
            partial(_gapped, octave=math.log2),
            "Between two powers of two all gaps are equal; they double only at the next power. "
            "Round log2|x| down.",
        ),
    ),
)
