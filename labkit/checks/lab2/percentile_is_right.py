"""Exercise 2.11: a test of percentile_threshold."""

from collections.abc import Callable
from typing import Any

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.lab2.percentile_threshold import PERCENTILE_THRESHOLD
from labkit.checks.property_test import ALWAYS_NO, property_test

VALUES = torch.tensor([0.0, 0.5, 1.0, 2.0, 40.0])
COUNTS = torch.tensor([13, 40, 30, 16, 1])
MANY = torch.tensor([2**24, *[1] * 40, 100])


def percentile_is_right(percentile_threshold: Callable[..., Any]) -> bool:
    """Return whether an implementation of exercise 2.4 returns percentiles of what was counted."""
    many = torch.arange(len(MANY)) * 1.0
    for values, counts in ((VALUES, COUNTS), (VALUES, COUNTS.flip(0)), (many, MANY)):
        total = int(counts.sum())
        for value, needed in zip(values.tolist(), counts.cumsum(0).tolist(), strict=True):
            percent = 100 * (needed - 0.5) / total
            if abs(float(percentile_threshold(values, counts, percent)) - value) > 1e-6:
                return False
    return float(percentile_threshold(VALUES, COUNTS, 100)) == VALUES[-1]


def _at(*pairs: tuple[float, float], counts: torch.Tensor = COUNTS) -> Callable[..., bool]:
    """Return a test that asks for some percentiles only."""

    def test(candidate: Callable[..., Any]) -> bool:
        return all(abs(float(candidate(VALUES, counts, p)) - value) < 1e-6 for p, value in pairs)

    return test


PERCENTILE_IS_RIGHT = property_test(
    id="2.11",
    title="Write the test of a percentile",
    tested=PERCENTILE_THRESHOLD,
    minutes=(12, 18),
    reference=percentile_is_right,
    # Whether a share is reached exactly is a matter of the last digit of `percent`, or of a sum.
    without=(
        "asks for more than the share, not for at least it",
        "adds up shares in float32",
    ),
    right=(
        (
            "one that returns a tensor",
            "lambda f: lambda *args: torch.tensor(f(*args))",
            "A tensor with one number is right, too: compare float(...) of what comes back.",
        ),
        (
            "one that leaves out what was never counted",
            "lambda f: lambda values, counts, percent: f(values[counts > 0], counts[counts > 0], "
            "percent)",
            "It drops values that were never counted, which changes no percentile.",
        ),
    ),
    hints=(
        "Make up values and counts for which you know the answer at any percent. Where does the "
        "threshold go from one value to the next?",
        "If 13 of 100 are 0.0 and the next 40 are 0.5, then 12.5 percent give 0.0, and 13.5 to "
        "52.5 percent give 0.5. Ask just below every such border, not only at one of them.",
        "for value, needed in zip(values.tolist(), counts.cumsum(0).tolist()): ask for percent = "
        "100 * (needed - 0.5) / total and expect value. Once more with the counts flipped, and "
        "with a first count of 2**24, where float32 stops counting by ones.",
    ),
    misconceptions=(
        Misconception(
            "asks for 100 percent only",
            _at((100, 40.0)),
            "Whoever returns the largest value passes. Ask for percentiles in the middle as well.",
        ),
        Misconception(
            "gives every value the same count",
            _at((19, 0.0), (39, 0.5), (59, 1.0), (79, 2.0), counts=torch.full((5,), 20)),
            "Whoever ignores the counts passes. Let some values be counted far more often.",
        ),
        Misconception(
            "asks in the middle of each value only",
            _at((6, 0.0), (30, 0.5), (70, 1.0), (90, 2.0)),
            "How the number of values inside is rounded shows just below and above a border.",
        ),
        Misconception(
            "never says no",
            lambda candidate: True,
            "Compare what comes back with the value that you know, and return whether it is equal.",
        ),
        ALWAYS_NO,
        Misconception(
            "asks for a Python float",
            lambda candidate: (
                percentile_is_right(candidate) and isinstance(candidate(VALUES, COUNTS, 50), float)
            ),
            "A tensor with the right number is right, too. Compare float(...) of what comes back.",
        ),
    ),
    reminders=(
        (
            'Here `percent` is reached exactly, and "at least" takes that in.',
            lambda values, counts, percent: bool(
                (counts.cumsum(0) * 100 == percent * counts.sum()).any()
            ),
        ),
    ),
    traits=(
        (
            "all counts are equal",
            lambda values, counts, percent: bool((counts == counts[0]).all()),
        ),
        ("`percent` is 0 or 100", lambda values, counts, percent: percent in (0, 100)),
        ("fewer than 2^24 are counted", lambda values, counts, percent: int(counts.sum()) < 2**24),
        (
            "`percent` is more than 2 away from every jump below 100",
            lambda values, counts, percent: bool(
                ((100 * counts.cumsum(0)[:-1] / counts.sum() - percent).abs() > 2).all()
            ),
        ),
    ),
)
