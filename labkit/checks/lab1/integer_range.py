"""Exercise 1.1: the integers of b bits."""

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Codes


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


def _power_as_largest(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    qmin, qmax = integer_range(bits, signed, narrow)
    return qmin, qmax + 1


def _narrow_both_ends(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    qmin, qmax = integer_range(bits, signed, narrow)
    return qmin, qmax - narrow


def _sign_and_magnitude(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    qmin, qmax = integer_range(bits, signed, narrow)
    return (-qmax if signed else qmin), qmax


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
            _power_as_largest,
            "0 takes one of the patterns, so the largest is one less: 127, not 128.",
        ),
        Misconception(
            "ignores `narrow`",
            lambda bits, signed, narrow: integer_range(bits, signed, False),
            "A narrow range gives up its lowest code.",
        ),
        Misconception(
            "ignores `signed`",
            lambda bits, signed, narrow: integer_range(bits, True, narrow),
            "Unsigned codes start at 0 and reach twice as far.",
        ),
        Misconception(
            "narrows at both ends",
            _narrow_both_ends,
            "Only the lowest code goes: [-128, 127] becomes [-127, 127], the same on both sides.",
        ),
        Misconception(
            "makes every signed range the same on both sides",
            _sign_and_magnitude,
            "Two's complement has one negative number more: 8 bits reach from -128 to 127. Only a "
            "narrow range gives that number up.",
        ),
    ),
)
