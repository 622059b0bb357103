"""Exercise 1.11: unpack them again."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Codes


def unpack(packed: Tensor, bits: int, count: int, signed: bool) -> Tensor:
    """Return the first `count` codes in `packed`."""
    shifts = torch.arange(0, 8, bits)
    codes = ((packed.to(torch.int32).unsqueeze(1) >> shifts) & (2**bits - 1)).flatten()[:count]
    if signed:
        codes = torch.where(codes >= 2 ** (bits - 1), codes - 2**bits, codes)
    return codes


def _unpack_cases(rng: torch.Generator) -> list[Case]:
    def drawn(count: int) -> Tensor:
        return torch.randint(0, 256, (count,), generator=rng, dtype=torch.uint8)

    negative = torch.tensor([0x2F, 0x87], dtype=torch.uint8)
    quarters = drawn(2) | 0b11000000  # the last code of a byte is negative, if it is signed
    return [
        Case("one code", (drawn(1), 4, 1, True)),
        Case("negative codes", (negative, 4, 4, True)),
        Case("the same bytes, unsigned", (negative, 4, 4, False)),
        Case("codes of 2 bits", (quarters, 2, 8, True)),
        Case("codes of 2 bits, unsigned", (quarters, 2, 8, False)),
        Case("a last byte that is not full", (drawn(5), 4, 9, True)),
        Case("a last byte that is not full, 2 bits", (drawn(5), 2, 17, True)),
        Case("many bytes, unsigned", (drawn(7), 4, 14, False)),
        Case("a last byte that is not full, unsigned", (drawn(3) | 0b11000000, 2, 10, False)),
    ]


def _sign_of_4_bits(packed: Tensor, bits: int, count: int, signed: bool) -> Tensor:
    codes = unpack(packed, bits, count, False)
    return torch.where(codes >= 8, codes - 16, codes) if signed else codes


UNPACK = Exercise(
    id="1.11",
    title="Unpack them again",
    points=2,
    minutes=(7, 11),
    extra=True,
    reference=unpack,
    cases=_unpack_cases,
    rules=(Codes(),),
    hints=(
        "Shift right until the code lies lowest, then mask. How do you see that a 4-bit code was "
        "negative?",
        "Signed codes of 8 to 15 were -8 to -1: subtract 2**bits where the code is at least "
        "2**(bits - 1).",
        "codes = (packed.to(torch.int32).unsqueeze(1) >> torch.arange(0, 8, bits)) & "
        "(2**bits - 1); flatten and keep the first count; if signed, torch.where(codes >= "
        "2**(bits - 1), codes - 2**bits, codes).",
    ),
    misconceptions=(
        Misconception(
            "leaves the sign out",
            lambda packed, bits, count, signed: unpack(packed, bits, count, False),
            "In two's complement a 4-bit code of 15 is -1: subtract 2**bits where the top bit is "
            "set.",
        ),
        Misconception(
            "leaves the smallest code positive",
            lambda packed, bits, count, signed: (
                torch.where(
                    unpack(packed, bits, count, signed) == -(2 ** (bits - 1)),
                    2 ** (bits - 1),
                    unpack(packed, bits, count, signed),
                )
                if signed
                else unpack(packed, bits, count, False)
            ),
            "The code 2**(bits - 1) is negative already, the smallest of all: compare with >=, "
            "not with >.",
        ),
        Misconception(
            "takes every code as signed",
            lambda packed, bits, count, signed: unpack(packed, bits, count, True),
            "Unsigned codes keep their top bit as a number: look at `signed`.",
        ),
        Misconception(
            "takes the first code from the highest bits",
            lambda packed, bits, count, signed: (
                unpack(packed, bits, len(packed) * (8 // bits), signed)
                .reshape(-1, 8 // bits)
                .flip(1)
                .flatten()[:count]
            ),
            "pack put the first code in the lowest bits: shift by 0 first.",
        ),
        Misconception(
            "returns the filling of the last byte as well",
            lambda packed, bits, count, signed: unpack(
                packed, bits, len(packed) * (8 // bits), signed
            ),
            "Only the first `count` codes were packed: cut the rest off.",
        ),
        Misconception(
            "takes an offset off every code",
            lambda packed, bits, count, signed: (
                unpack(packed, bits, count, False) - signed * 2 ** (bits - 1)
            ),
            "That is how an exponent is stored. In two's complement codes below 2**(bits - 1) stay "
            "as they are; from there up subtract 2**bits.",
        ),
        Misconception(
            "knows the sign of 4-bit codes only",
            _sign_of_4_bits,
            "Codes of 2 bits are negative from 2 up: compare with 2**(bits - 1), and subtract "
            "2**bits.",
        ),
        Misconception(
            "reads a sign and a magnitude",
            lambda packed, bits, count, signed: (
                torch.where(
                    unpack(packed, bits, count, True) < 0,
                    -(2 ** (bits - 1)) - unpack(packed, bits, count, True),
                    unpack(packed, bits, count, True),
                )
                if signed
                else unpack(packed, bits, count, False)
            ),
            "In two's complement a 4-bit code of 15 is -1, not -7: subtract 2**bits where the "
            "top bit is set.",
        ),
        Misconception(
            "puts the first codes of all bytes before the second ones",
            lambda packed, bits, count, signed: (
                unpack(packed, bits, len(packed) * (8 // bits), signed)
                .reshape(-1, 8 // bits)
                .t()
                .flatten()[:count]
            ),
            "The codes of a byte are neighbours: stack them along a last dimension (dim=1), then "
            "flatten.",
        ),
    ),
)
