"""Exercise 0.7: two's complement."""

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.lab0.inputs import integer
from labkit.checks.rules import Codes


def twos_complement(value: int, bits: int) -> int:
    """Return the pattern of `value`, read as an unsigned number: value mod 2^bits."""
    return value % 2**bits


def _twos_cases(rng: torch.Generator) -> list[Case]:
    def drawn(bits: int, sign: int) -> tuple[int, int]:
        return sign * integer(rng, 2 ** (bits - 2), 2 ** (bits - 1)), bits

    return [
        Case("zero", (0, 4)),
        Case("-3 in 4 bits", (-3, 4)),
        Case("minus one", (-1, 8)),
        Case("the smallest of 4 bits", (-8, 4)),
        Case("a positive number of 8 bits", drawn(8, 1)),
        Case("a negative number of 8 bits", drawn(8, -1)),
        Case("a positive number of 12 bits", drawn(12, 1)),
        Case("a negative number of 12 bits", drawn(12, -1)),
        Case("minus one in 1 bit", (-1, 1)),
        Case("the smallest of 16 bits", (-(2**15), 16)),
        Case("a positive number of 16 bits", drawn(16, 1)),
        Case("a negative number of 16 bits", drawn(16, -1)),
        Case("a negative number of 40 bits", drawn(40, -1)),
    ]


def _digits_after_a_sign(magnitude: int, bits: int) -> int:
    return int("1" + format(magnitude, "b").zfill(bits - 1), 2)


TWOS_COMPLEMENT = Exercise(
    id="0.7",
    title="Two's complement",
    points=2,
    minutes=(5, 8),
    reference=twos_complement,
    cases=_twos_cases,
    rules=(Codes(),),
    hints=(
        "Which pattern, with 1 added and only `bits` bits kept, gives 0? That is the pattern of "
        "-1.",
        "Patterns go round: after 2**bits - 1 comes 0. A negative number is that many steps back "
        "from 2**bits.",
        "value + 2**bits if value is negative, else value; value % 2**bits says both.",
    ),
    misconceptions=(
        Misconception(
            "stores a sign and a magnitude",
            lambda value, bits: abs(value) | (2 ** (bits - 1) if value < 0 else 0),
            "A float does that; an integer's top bit weighs -2^(bits-1), so that one adder serves "
            "both signs. -1 is all ones.",
        ),
        Misconception(
            "turns the bits over without adding one",
            lambda value, bits: value if value >= 0 else ~(-value) % 2**bits,
            "That is one's complement, which has two zeros. Add 1: -v is ~v + 1.",
        ),
        Misconception(
            "adds an offset",
            lambda value, bits: value + 2 ** (bits - 1),
            "That is how a float's exponent is stored. In two's complement numbers from 0 up keep "
            "their pattern.",
        ),
        Misconception(
            "knows only 8 bits",
            lambda value, bits: value % 256,
            "The number of patterns is 2**bits: -3 is 1101 in 4 bits.",
        ),
        Misconception(
            "converts to an integer dtype of torch",
            lambda value, bits: value % 2 ** min(bits, 32),
            "Those end at 8, 16, 32 or 64 bits, and `bits` may be any number: value % 2**bits.",
        ),
        Misconception(
            "drops the sign",
            lambda value, bits: abs(value),
            "-3 and 3 would share a pattern. Count back from 2**bits for negative numbers.",
        ),
        Misconception(
            "returns the number itself",
            lambda value, bits: value,
            "A pattern is never negative: read the bits of value as an unsigned number.",
        ),
        Misconception(
            "goes round at 2^(bits-1)",
            lambda value, bits: value % 2 ** (bits - 1),
            "That drops the top bit, which tells negative numbers from the others: there are "
            "2**bits patterns.",
        ),
        Misconception(
            "stores a sign and a magnitude",
            lambda value, bits: value if value >= 0 else 2 ** (bits - 1) + abs(value),
            "A float does that; the top bit of an integer weighs -2^(bits-1), so that one adder "
            "serves both signs. -1 is all ones.",
        ),
        Misconception(
            "stores a sign and a magnitude",
            lambda value, bits: value if value >= 0 else _digits_after_a_sign(-value, bits),
            "A float does that; the top bit of an integer weighs -2^(bits-1), so that one adder "
            "serves both signs. -1 is all ones.",
        ),
        Misconception(
            "counts back from 2^bits for every number",
            lambda value, bits: 2**bits - abs(value),
            "Only negative numbers are counted back from 2**bits: from 0 up a number is its own "
            "pattern.",
        ),
    ),
)
