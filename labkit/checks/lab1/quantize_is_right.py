"""Exercise 1.12: a test of quantize."""

from collections.abc import Callable
from typing import Any

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.lab1.quantize import MORE, QUANTIZE, quantize
from labkit.checks.property_test import ALWAYS_NO, NOTHING_TO_CLAMP, NOTHING_TO_ROUND, property_test


def quantize_is_right(quantize: Callable[..., Any]) -> bool:
    """Return whether an implementation of exercise 1.3 has the properties of equation (1)."""
    scale, zero_point, qmin, qmax = 0.5, 3, -8, 7
    codes = torch.arange(qmin, qmax + 1)
    grid = (codes - zero_point) * scale
    for x, wanted in (
        (grid, codes),
        (grid + 0.4 * scale, codes),
        (grid - 0.4 * scale, codes),
        (torch.tensor([-100.0, 100.0]), torch.tensor([qmin, qmax])),
    ):
        q = torch.as_tensor(quantize(x, scale, zero_point, qmin, qmax))
        if not torch.equal(q.double(), wanted.double()):
            return False
    wide = torch.as_tensor(quantize(torch.tensor([-170.0, 170.0]), 1.0, 5, -128, 127))
    return wide.tolist() == [-128, 127]


def _on(x: torch.Tensor, zero_point: int = 3) -> Callable[[Callable[..., Any]], bool]:
    """Return a test that looks at some inputs only."""

    def test(candidate: Callable[..., Any]) -> bool:
        args = (x, 0.5, zero_point, -8, 7)
        return torch.equal(torch.as_tensor(candidate(*args)).double(), quantize(*args).double())

    return test


INSIDE = torch.tensor([-3.3, -2.1, -0.9, 0.2, 0.7, 1.1, 1.6])
ON_THE_GRID = torch.arange(-5, 5) * 0.5
OUTSIDE = torch.tensor([-100.0, 100.0])


ANY_INTEGERS = "Codes of any integer dtype are right: compare values, as q.tolist() gives them."


def _true(candidate: Callable[..., Any]) -> bool:
    candidate(INSIDE, 0.5, 3, -8, 7)
    return True


QUANTIZE_IS_RIGHT = property_test(
    id="1.12",
    title="Write the test of quantize",
    tested=QUANTIZE,
    minutes=(12, 18),
    reference=quantize_is_right,
    without=[m.name for m in MORE],
    right=(
        ("one that returns int64", "lambda f: lambda *args: f(*args).long()", ANY_INTEGERS),
        (
            "one that returns int16",
            "lambda f: lambda x, scale, zero_point, qmin, qmax: f(x, scale, zero_point, qmin, qmax)"
            ".to(torch.int16 if -(2**15) <= qmin and qmax < 2**15 else torch.int32)",
            ANY_INTEGERS,
        ),
        (
            "one that adds Z before it rounds",
            "lambda f: lambda x, scale, zero_point, qmin, qmax: torch.round(x / scale + "
            "zero_point).clamp(qmin, qmax).to(torch.int32)",
            "Where x / scale lies in the middle between two codes, both neighbours are right: "
            "round(x / scale + Z) takes the other one if Z is odd. Go 0.4 of a step up and down, "
            "not half a one.",
        ),
    ),
    hints=(
        "What must hold for every right quantize, however it is written? Think of a value on the "
        "grid, of one between two grid points, and of one far outside.",
        "x = (code - zero_point) * scale must give code back, and so must x a little above and "
        "below it. Take a zero point that is not 0, and compare values, not dtypes.",
        "codes = torch.arange(qmin, qmax + 1); x = (codes - zero_point) * scale. Compare "
        "quantize(x + 0.4 * scale, ...) with codes, and -100 and 100 with qmin and qmax. Then once "
        "more with 8 bits and x = 170, where a cast that comes too early wraps.",
    ),
    misconceptions=(
        Misconception(
            "looks at values inside the range only",
            _on(INSIDE),
            "What goes wrong beyond qmin and qmax stays unseen: give it -100 and 100 as well.",
        ),
        Misconception(
            "looks at values on the grid only",
            _on(ON_THE_GRID),
            "There, every way of rounding gives the same code. Go 0.4 of a step up and down.",
        ),
        Misconception(
            "looks at values far outside only",
            _on(OUTSIDE),
            "All of them are clamped, whatever came before. Add values inside the range.",
        ),
        Misconception(
            "tests with zero point 0 only",
            lambda candidate: _on(INSIDE, 0)(candidate) and _on(OUTSIDE, 0)(candidate),
            "Adding, subtracting and forgetting 0 are the same. Take another zero point.",
        ),
        Misconception(
            "never says no",
            _true,
            "Compare what comes back with what must hold, and return whether it does.",
        ),
        ALWAYS_NO,
        Misconception(
            "asks for one dtype",
            lambda candidate: (
                quantize_is_right(candidate)
                and torch.as_tensor(candidate(INSIDE, 0.5, 3, -8, 7)).dtype == torch.int32
            ),
            "Exercise 1.3 takes any integer dtype. Compare the values: q.double(), or q.tolist().",
        ),
    ),
    reminders=(
        (
            "In the middle between two codes both neighbours are right: leave such values out.",
            lambda x, scale, *_: bool(((x / scale).abs() % 1 == 0.5).any()),
        ),
    ),
    traits=(
        NOTHING_TO_ROUND,
        NOTHING_TO_CLAMP,
        (
            "no `x` is so far outside that its code wraps round in 8 bits",
            lambda x, scale, zero_point, qmin, qmax: bool(
                (torch.round(x / scale + zero_point).abs() < 128).all()
            ),
        ),
    ),
)
