"""Exercise 0.4: the range of a float format."""

from collections.abc import Callable

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.lab0.inputs import BF16, FP16, REAL, integer


def float_range(exponent_bits: int, mantissa_bits: int) -> tuple[float, float]:
    """Return the largest finite and the smallest normal number of a float with infinity."""
    bias = 2 ** (exponent_bits - 1) - 1
    return (2 - 2.0**-mantissa_bits) * 2.0**bias, 2.0 ** (1 - bias)


def _range_cases(rng: torch.Generator) -> list[Case]:
    named = {"fp16": FP16, "bf16": BF16, "2 exponent bits, 1 mantissa bit": (2, 1)}
    drawn = [(integer(rng, 3, 9), integer(rng, 2, 24)) for _ in range(10)]
    return [Case(label, split) for label, split in named.items()] + [
        Case(f"{e} exponent bits, {m} mantissa bits", (e, m)) for e, m in drawn
    ]


def _largest(wrong: Callable[[int, int], float]) -> Callable[[int, int], tuple[float, float]]:
    """Return an answer whose largest number is wrong(bias, mantissa_bits)."""

    def answer(exponent_bits: int, mantissa_bits: int) -> tuple[float, float]:
        bias = 2 ** (exponent_bits - 1) - 1
        return wrong(bias, mantissa_bits), float_range(exponent_bits, mantissa_bits)[1]

    return answer


def _smallest(wrong: Callable[[int, int], float]) -> Callable[[int, int], tuple[float, float]]:
    """Return an answer whose smallest normal number is wrong(bias, mantissa_bits)."""

    def answer(exponent_bits: int, mantissa_bits: int) -> tuple[float, float]:
        bias = 2 ** (exponent_bits - 1) - 1
        return float_range(exponent_bits, mantissa_bits)[0], wrong(bias, mantissa_bits)

    return answer


FLOAT_RANGE = Exercise(
    id="0.4",
    title="The range of a format",
    points=2,
    minutes=(6, 9),
    reference=float_range,
    cases=_range_cases,
    rules=(REAL, REAL),
    names=("largest", "smallest_normal"),
    hints=(
        "Which exponent field has the largest number, if the field of all ones is kept for "
        "infinity and NaN? And which the smallest normal one?",
        "Largest: E = 2**e - 2 (so E - bias = bias) and a mantissa of ones. Smallest normal: "
        "E = 1, mantissa 0.",
        "largest = (2 - 2.0**-m) * 2.0**bias and smallest_normal = 2.0**(1 - bias), with "
        "bias = 2**(e - 1) - 1.",
    ),
    misconceptions=(
        Misconception(
            "uses the top exponent",
            _largest(lambda bias, m: (2 - 2.0**-m) * 2.0 ** (bias + 1)),
            "The exponent of all ones is infinity and NaN, so the largest number has the "
            "exponent below it.",
        ),
        Misconception(
            "leaves the mantissa at 0",
            _largest(lambda bias, m: 2.0**bias),
            "That is where the last power of two starts; the largest number has a mantissa of "
            "ones. (If yours has one, too, look at how it is divided: `//` gives 0.)",
        ),
        Misconception(
            "goes up to the next power of two",
            _largest(lambda bias, m: 2.0 ** (bias + 1)),
            "1.11...1 in binary is 2 - 2^-m, a little below 2: 65504, not 65536.",
        ),
        Misconception(
            "starts at exponent 0",
            _smallest(lambda bias, m: 2.0**-bias),
            "Exponent field 0 belongs to the subnormals: the first normal number has E = 1.",
        ),
        Misconception(
            "gives the smallest subnormal",
            _smallest(lambda bias, m: 2.0 ** (1 - bias - m)),
            "That is the smallest number of all; normal numbers keep all their mantissa bits and "
            "stop at 2^(1 - bias).",
        ),
        Misconception(
            "leaves the bias out",
            lambda e, m: ((2 - 2.0**-m) * 2.0 ** (2**e - 2), 2.0),
            "The field holds exponent + bias: the largest has 2^e - 2 - bias, which is the bias "
            "again, and the smallest normal one 1 - bias.",
        ),
        Misconception(
            "gives the range of an integer",
            lambda e, m: (2.0 ** (e + m) - 1, 1.0),
            "The bits of a float are no number to count up to: the exponent field is a power of "
            "two, and the mantissa a fraction.",
        ),
    ),
)
