"""Exercise 1.1: the integers of b bits."""

from collections.abc import Callable
from functools import partial

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Codes

Range = tuple[int, int]


def integer_range(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    """Return the ends of the integers of `bits` bits; `narrow` leaves the lowest out."""
    qmin, qmax = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return (qmin + 1 if narrow else qmin), qmax


def _range_cases(rng: torch.Generator) -> list[Case]:
    drawn = 4 + torch.randperm(17, generator=rng)[:5]
    return [
        Case(
            f"{'signed' if signed else 'unsigned'}{', narrow' if narrow else ''}",
            (bits, signed, narrow),
        )
        for bits in (3, 1, *drawn.tolist())
        for signed in (True, False)
        for narrow in (False, True)
    ]


def _lowest(bits: int, signed: bool) -> int:
    return integer_range(bits, signed, False)[0]


def _largest(bits: int, signed: bool) -> int:
    return integer_range(bits, signed, False)[1]


def _ends(
    bits: int,
    signed: bool,
    narrow: bool,
    *,
    lowest: Callable[[int, bool], int] = _lowest,
    largest: Callable[[int, bool], int] = _largest,
    narrowed: Callable[[int, int, bool], Range] = lambda qmin, qmax, signed: (qmin + 1, qmax),
) -> Range:
    """Return the ends of the integers, of which any part may be another one."""
    qmin, qmax = lowest(bits, signed), largest(bits, signed)
    return narrowed(qmin, qmax, signed) if narrow else (qmin, qmax)


def _sign_and_magnitude(bits: int, signed: bool) -> int:
    return -_largest(bits, signed) if signed else 0


INTEGER_RANGE = Exercise(
    id="1.1",
    title="The integers of b bits",
    points=1,
    minutes=(5, 8),
    reference=integer_range,
    cases=_range_cases,
    rules=(Codes(), Codes()),
    names=("qmin", "qmax"),
    hints=(
        "How many different patterns do b bits have? A signed integer gives half of them to the "
        "numbers below zero.",
        "0 is one of the patterns that are not negative, so the largest number is one less than "
        "their count.",
        "Signed: qmin = -2**(bits - 1) and qmax = 2**(bits - 1) - 1. Unsigned: 0 and 2**bits - 1. "
        "Narrow adds 1 to qmin and leaves qmax alone.",
    ),
    misconceptions=(
        Misconception(
            "counts to a power of two",
            partial(_ends, largest=lambda bits, signed: _largest(bits, signed) + 1),
            "0 takes one of the patterns, so the largest is one less: 127, not 128.",
        ),
        Misconception(
            "ignores `narrow`",
            partial(_ends, narrowed=lambda qmin, qmax, signed: (qmin, qmax)),
            "A narrow range gives up its lowest code.",
        ),
        Misconception(
            "ignores `signed`",
            lambda bits, signed, narrow: integer_range(bits, True, narrow),
            "Unsigned codes start at 0 and reach twice as far.",
        ),
        Misconception(
            "makes every range unsigned",
            lambda bits, signed, narrow: integer_range(bits, False, narrow),
            "Signed codes start below zero, at -2**(bits - 1), and reach half as far.",
        ),
        Misconception(
            "narrows at both ends",
            partial(_ends, narrowed=lambda qmin, qmax, signed: (qmin + 1, qmax - 1)),
            "Only the lowest code goes: [-128, 127] becomes [-127, 127], the same on both sides.",
        ),
        Misconception(
            "narrows at the upper end",
            partial(_ends, narrowed=lambda qmin, qmax, signed: (qmin, qmax - 1)),
            "It is the lowest code that goes: add 1 to qmin, and leave qmax alone.",
        ),
        Misconception(
            "begins a narrow unsigned range at -qmax",
            partial(_ends, narrowed=lambda qmin, qmax, signed: (-qmax, qmax)),
            "Narrow leaves out the lowest code, which is 0 of unsigned ones: qmin + 1 whether "
            "`signed` or not, so it begins at 1.",
        ),
        Misconception(
            "narrows signed ranges only",
            partial(_ends, narrowed=lambda qmin, qmax, signed: (qmin + signed, qmax)),
            "An unsigned range has a lowest code, too, which is 0: a narrow one begins at 1.",
        ),
        Misconception(
            "narrows unsigned ranges only",
            partial(_ends, narrowed=lambda qmin, qmax, signed: (qmin + (not signed), qmax)),
            "A narrow signed range gives up its lowest code, too: qmin + 1, so 8 bits begin at "
            "-127.",
        ),
        Misconception(
            "makes every signed range the same on both sides",
            partial(
                _ends,
                lowest=_sign_and_magnitude,
                narrowed=lambda qmin, qmax, signed: (qmin if signed else 1, qmax),
            ),
            "Two's complement has one negative number more: 8 bits reach from -128 to 127. Only a "
            "narrow range gives that number up.",
        ),
        Misconception(
            "makes every signed range the same on both sides",
            partial(_ends, lowest=_sign_and_magnitude),
            "Two's complement has one negative number more: 8 bits reach from -128 to 127. Only a "
            "narrow range gives that number up.",
        ),
        Misconception(
            "gives unsigned codes one bit less",
            partial(_ends, largest=lambda bits, signed: _largest(bits, True)),
            "Unsigned codes need no bit for a sign: qmax is 2**bits - 1.",
        ),
    ),
)
