"""Exercise 3.12: a test of rounding_right_shift."""

from collections.abc import Callable
from typing import Any

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.lab3.rounding_right_shift import ROUNDING_RIGHT_SHIFT
from labkit.checks.property_test import ALWAYS_NO, property_test

LARGE = (2**61 + 2**30 + 1, 2**61 + 3 * 2**29 - 1, 2**62 - 7)


def shift_is_right(rounding_right_shift: Callable[..., Any]) -> bool:
    """Return whether an implementation of exercise 3.6 rounds to nearest, ties away from zero.

    Its dtype is no question here.
    """
    for numbers, shift in (
        (range(-40, 41), 3),
        (range(-9, 10), 0),
        ((*LARGE, *(-x for x in LARGE)), 30),
        ((*LARGE, *(-x for x in LARGE)), 0),
    ):
        wanted = [_rounded(x, shift) for x in numbers]
        found = rounding_right_shift(torch.tensor(list(numbers)), shift)
        if torch.as_tensor(found).tolist() != wanted:
            return False
    ends = torch.tensor([2**31 - 1, -(2**31)], dtype=torch.int32)
    return torch.as_tensor(rounding_right_shift(ends, 4)).tolist() == [2**27, -(2**27)]


def _rounded(x: int, shift: int) -> int:
    """Return it in Python's integers, which have as many bits as they need."""
    size = (2 * abs(x) + 2**shift) // 2 ** (shift + 1)
    return size if x >= 0 else -size


def _on(*numbers: int, shift: int = 3) -> Callable[..., bool]:
    """Return a test that looks at some numbers only."""

    def test(candidate: Callable[..., Any]) -> bool:
        found = torch.as_tensor(candidate(torch.tensor(numbers), shift)).tolist()
        return found == [_rounded(x, shift) for x in numbers]

    return test


def _beyond_the_text(x: torch.Tensor) -> bool:
    return bool(((x.long() > 2**62) | (x.long() < -(2**62))).any())


SHIFT_IS_RIGHT = property_test(
    id="3.12",
    title="Write the test of a shift",
    tested=ROUNDING_RIGHT_SHIFT,
    minutes=(12, 18),
    reference=shift_is_right,
    right=(
        (
            "one that works number by number",
            "lambda f: lambda x, shift: torch.stack([f(v, shift) for v in x.reshape(-1)])"
            ".reshape(x.shape) if x.numel() else x",
            "",
        ),
        (
            "one that rounds the magnitude first",
            "lambda f: lambda x, shift: torch.where(x < 0, -f(-x.to(torch.int64), shift), "
            "f(x, shift))",
            "",
        ),
    ),
    hints=(
        "Python's own integers have as many bits as they need. Write the rule with them, for one "
        "number, and compare.",
        "Five kinds of input: positive and negative, ties (4, 12, 20 with shift 3) on both sides, "
        "shift 0, numbers near 2^62, and a tensor of dtype int32 with its largest number.",
        "def rounded(x, shift): size = (2 * abs(x) + 2**shift) // 2 ** (shift + 1); return size if "
        "x >= 0 else -size. Compare .tolist() for range(-40, 41) with shift 3 and for numbers like "
        "2**61 + 2**30 + 1 and their negatives with shifts 30 and 0.",
    ),
    misconceptions=(
        Misconception(
            "tests positive numbers only",
            _on(*range(41)),
            "A right shift rounds down, which is away from zero below it: take negative numbers.",
        ),
        Misconception(
            "tests no ties",
            _on(1, 2, 3, 5, 6, 7, 9, -1, -2, -3, -5, -6, -7, -9),
            "How ties are rounded is half of the exercise: 4, 12 and -4, -12 with a shift by 3.",
        ),
        Misconception(
            "tests small numbers only",
            _on(*range(-40, 41)),
            "float32 holds 24 bits, float64 53, an accumulator times a mantissa 62: test large "
            "numbers, where these go wrong.",
        ),
        Misconception(
            "tests numbers that are multiples of the divisor",
            _on(8, 16, 0, -8, -40),
            "There is nothing to round then. Take numbers in between.",
        ),
        Misconception(
            "never says no",
            lambda candidate: True,
            "Compare what comes back with the number that you know: is it the same?",
        ),
        ALWAYS_NO,
    ),
    reminders=(
        (
            "This number is a tie, and ties go away from zero on both sides.",
            lambda x, shift: shift > 0 and bool((x.long() % 2**shift == 2 ** (shift - 1)).all()),
        ),
        (
            "The text ends at 2^62 on both sides. Beyond it a right implementation may wrap: leave "
            "such numbers out.",
            lambda x, shift: _beyond_the_text(x),
        ),
        (
            "float64 does not hold all of these numbers: compute what you expect in integers.",
            lambda x, shift: not _beyond_the_text(x) and bool((x.long().abs() > 2**53).any()),
        ),
    ),
    traits=(
        (
            "no number is a tie",
            lambda x, shift: not shift or bool((x.long() % 2**shift != 2 ** (shift - 1)).all()),
        ),
        (
            "every number is a multiple of the divisor",
            lambda x, shift: bool((x.long() % 2**shift == 0).all()),
        ),
        ("no number needs more than 24 bits", lambda x, shift: bool((x.abs() < 2**24).all())),
        ("no number needs more than 53 bits", lambda x, shift: bool((x.abs() < 2**53).all())),
        ("`shift` is above 0", lambda x, shift: shift > 0),
        ("`x` is an int64 tensor", lambda x, shift: x.dtype == torch.int64),
    ),
)
