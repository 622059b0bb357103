"""Exercise 0.2: take a float32 apart."""

import math
import struct
from collections.abc import Callable

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.lab0.inputs import integer
from labkit.checks.rules import Codes


def float_fields(pattern: int) -> tuple[int, int, int]:
    """Return sign, exponent and mantissa of a float32 from its 32 bits: 1, 8 and 23 of them."""
    return pattern >> 31, pattern >> 23 & 0xFF, pattern & 0x7FFFFF


def _bits_of(x: float) -> int:
    return int(struct.unpack(">I", struct.pack(">f", x))[0])


def _fields_cases(rng: torch.Generator) -> list[Case]:
    named = [
        ("1.0", 1.0),
        ("-6.5", -6.5),
        ("-0.0", -0.0),
        ("the smallest subnormal", 2.0**-149),
        ("minus infinity", -math.inf),
    ]
    cases = [Case(label, (_bits_of(x),)) for label, x in named]
    cases += [Case("random bits", (integer(rng, 0, 2**31),)) for _ in range(4)]
    return cases + [Case("random bits, negative", (integer(rng, 2**31, 2**32),)) for _ in range(4)]


def _of_text(pattern: int) -> tuple[int, int, int]:
    """Cut a text of bits without the zeros in front, as bin() gives it."""
    text = bin(pattern)[2:]
    return int(text[0]), int(text[1:9] or "0", 2), int(text[9:] or "0", 2)


def _of_value(zero: int) -> Callable[[int], tuple[int, int, int]]:
    """Return the wrong answer by way of the value, whose exponent at zero is `zero`."""

    def answer(pattern: int) -> tuple[int, int, int]:
        (x,) = struct.unpack(">f", pattern.to_bytes(4, "big"))
        m, exponent = math.frexp(abs(x))
        return int(x < 0), exponent + 126 if x else zero, int((2 * m - 1) * 2**23)

    return answer


def _changed(
    change: Callable[[int, int, int, int], tuple[int, int, int]],
) -> Callable[[int], tuple[int, int, int]]:
    """Return a wrong answer that changes the right fields: change(sign, exponent, mantissa, p)."""
    return lambda pattern: change(*float_fields(pattern), pattern)


FLOAT_FIELDS = Exercise(
    id="0.2",
    title="Take a float apart",
    points=2,
    minutes=(5, 8),
    reference=float_fields,
    cases=_fields_cases,
    rules=(Codes(), Codes(), Codes()),
    names=("sign", "exponent", "mantissa"),
    hints=(
        "The fields lie side by side: 1, 8 and 23 bits, the sign on the left. Which shift brings "
        "each to the right end?",
        "x >> n drops the n lowest bits. x & (2**n - 1) keeps the n lowest. One field needs both.",
        "exponent = pattern >> 23 & 0xFF. The sign has nothing on its left, the mantissa nothing "
        "on its right.",
    ),
    misconceptions=(
        Misconception(
            "takes the bias off the exponent",
            _changed(lambda s, e, m, p: (s, e - 127, m)),
            "The field holds the exponent plus 127, so that it needs no sign. Return what is "
            "stored; 0.3 takes the bias off.",
        ),
        Misconception(
            "puts the leading one into the mantissa",
            _changed(lambda s, e, m, p: (s, e, m | 1 << 23)),
            "The leading one is implied, not stored: the field has 23 bits.",
        ),
        Misconception(
            "leaves sign and exponent in the mantissa",
            _changed(lambda s, e, m, p: (s, e, p)),
            "Nothing has to be shifted out on the right, but the other fields stand on the left: "
            "keep 23 bits, & 2**23 - 1.",
        ),
        Misconception(
            "leaves the sign in the exponent",
            _changed(lambda s, e, m, p: (s, p >> 23, m)),
            "The shift keeps everything on the left. Positive numbers have a 0 there, negative "
            "ones a 1: mask 8 bits with & 0xFF.",
        ),
        Misconception(
            "cuts the fields of fp16",
            lambda pattern: (pattern >> 31, pattern >> 26 & 0x1F, pattern & 0x3FFFFFF),
            "float32 has 8 exponent and 23 mantissa bits; 5 exponent bits are fp16's.",
        ),
        Misconception(
            "cuts a text of bits that has no zeros in front",
            _of_text,
            "bin() drops zeros in front, and the sign of a positive number is one. Fill up to 32 "
            'digits: format(pattern, "032b").',
        ),
        *(
            Misconception(
                "goes by way of the value",
                _of_value(zero),
                "math.frexp knows no subnormals, -0.0 < 0 is False, and infinity and NaN have no "
                "such parts. The fields stand in the pattern: shift and mask it.",
            )
            for zero in (126, 0)
        ),
        Misconception(
            "returns the sign as +1 or -1",
            _changed(lambda s, e, m, p: (1 - 2 * s, e, m)),
            "Return the stored bit: 0 for plus, 1 for minus.",
        ),
        Misconception(
            "reads the fields from the right end",
            lambda pattern: (pattern & 1, pattern >> 1 & 0xFF, pattern >> 9),
            "The sign is the highest bit, on the left; the mantissa takes the 23 lowest ones, on "
            "the right.",
        ),
    ),
)
