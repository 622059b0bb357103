"""Exercise 1.11: unpack them again."""

from collections.abc import Callable
from functools import partial

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


def _from_two(codes: Tensor, bits: int) -> Tensor:
    return torch.where(codes >= 2 ** (bits - 1), codes - 2**bits, codes)


def _with_a_sign(codes: Tensor, bits: int) -> Tensor:
    half = 2 ** (bits - 1)
    return torch.where(codes >= half, half - codes, codes)


def _code_for_code(
    packed: Tensor,
    bits: int,
    count: int,
    signed: bool,
    *,
    moved: Callable[[Tensor, int], Tensor] = lambda places, bits: places * bits,
    masked: Callable[[Tensor, int], Tensor] = lambda fields, bits: fields & (2**bits - 1),
    laid: Callable[[Tensor], Tensor] = lambda codes: codes,
    cut: Callable[[Tensor, int], Tensor] = lambda codes, count: codes[:count],
    asked: Callable[[bool], bool] = lambda signed: signed,
    negative: Callable[[Tensor, int], Tensor] = _from_two,
) -> Tensor:
    """Return the codes, of which any part may be another one."""
    fields = packed.to(torch.int32)[:, None] >> moved(torch.arange(8 // bits), bits)
    codes = cut(laid(masked(fields, bits)).flatten(), count)
    return negative(codes, bits) if asked(signed) else codes


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
            partial(_code_for_code, asked=lambda signed: False),
            "In two's complement a 4-bit code of 15 is -1: subtract 2**bits where the top bit is "
            "set.",
        ),
        Misconception(
            "leaves the smallest code positive",
            partial(
                _code_for_code,
                negative=lambda codes, bits: torch.where(
                    codes > 2 ** (bits - 1), codes - 2**bits, codes
                ),
            ),
            "The code 2**(bits - 1) is negative already, the smallest of all: compare with >=, "
            "not with >.",
        ),
        Misconception(
            "takes every code as signed",
            partial(_code_for_code, asked=lambda signed: True),
            "Unsigned codes keep their top bit as a number: look at `signed`.",
        ),
        Misconception(
            "takes the first code from the highest bits",
            partial(_code_for_code, moved=lambda places, bits: places.flip(0) * bits),
            "pack put the first code in the lowest bits: shift by 0 first.",
        ),
        Misconception(
            "returns the filling of the last byte as well",
            partial(_code_for_code, cut=lambda codes, count: codes),
            "Only the first `count` codes were packed: cut the rest off.",
        ),
        Misconception(
            "takes an offset off every code",
            partial(_code_for_code, negative=lambda codes, bits: codes - 2 ** (bits - 1)),
            "That is how an exponent is stored. In two's complement codes below 2**(bits - 1) stay "
            "as they are; from there up subtract 2**bits.",
        ),
        Misconception(
            "knows the sign of 4-bit codes only",
            partial(_code_for_code, negative=lambda codes, bits: _from_two(codes, 4)),
            "Codes of 2 bits are negative from 2 up: compare with 2**(bits - 1), and subtract "
            "2**bits.",
        ),
        Misconception(
            "subtracts half of what it should",
            partial(
                _code_for_code,
                negative=lambda codes, bits: torch.where(
                    codes >= 2 ** (bits - 1), codes - 2 ** (bits - 1), codes
                ),
            ),
            "Where the top bit is set, subtract 2**bits: 15 becomes -1 in 4 bits.",
        ),
        Misconception(
            "subtracts one too few",
            partial(
                _code_for_code,
                negative=lambda codes, bits: torch.where(
                    codes >= 2 ** (bits - 1), codes - 2**bits + 1, codes
                ),
            ),
            "Where the top bit is set, subtract 2**bits: 15 becomes -1 in 4 bits, not 0.",
        ),
        Misconception(
            "subtracts in uint8, which has no negative numbers",
            partial(
                _code_for_code,
                negative=lambda codes, bits: torch.where(
                    codes >= 2 ** (bits - 1), codes - 2**bits + 256, codes
                ),
            ),
            "15 - 16 wraps round to 255 there: convert the codes to a signed dtype before you "
            "subtract, as with .to(torch.int32).",
        ),
        Misconception(
            "negates codes whose top bit is set",
            partial(
                _code_for_code,
                negative=lambda codes, bits: torch.where(codes >= 2 ** (bits - 1), -codes, codes),
            ),
            "Where the top bit is set, subtract 2**bits: 15 becomes -1 in 4 bits.",
        ),
        Misconception(
            "does not mask",
            partial(_code_for_code, masked=lambda fields, bits: fields),
            "What is left of the code comes along when it is shifted: & (2**bits - 1).",
        ),
        Misconception(
            "masks 4 bits, however many a code has",
            partial(_code_for_code, masked=lambda fields, bits: fields & 15),
            "A code of 2 bits keeps 2: & (2**bits - 1).",
        ),
        Misconception(
            "shifts by 4 bits, however many a code has",
            partial(_code_for_code, moved=lambda places, bits: places * 4),
            "A code of 2 bits takes 2: shift by i * bits.",
        ),
        Misconception(
            "keeps one code too few",
            partial(_code_for_code, cut=lambda codes, count: codes[: count - 1]),
            "`count` codes were packed: codes[:count].",
        ),
        Misconception(
            "drops codes in front",
            partial(_code_for_code, cut=lambda codes, count: codes[-count:]),
            "The filling stands at the end: codes[:count].",
        ),
        Misconception(
            "reads a sign and a magnitude",
            partial(_code_for_code, negative=_with_a_sign),
            "In two's complement a 4-bit code of 15 is -1, not -7: subtract 2**bits where the "
            "top bit is set.",
        ),
        Misconception(
            "puts the first codes of all bytes before the second ones",
            partial(_code_for_code, laid=lambda codes: codes.t()),
            "The codes of a byte are neighbours: stack them along a last dimension (dim=1), then "
            "flatten.",
        ),
    ),
)
