"""Exercise 5.10: a test of fake_quantize."""

from collections.abc import Callable
from typing import Any

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.lab5.fake_quantize import FAKE_QUANTIZE, MORE, fake_quantize
from labkit.checks.property_test import ALWAYS_NO, NOTHING_TO_CLAMP, NOTHING_TO_ROUND, property_test

X = torch.linspace(-9.05, 9.05, 64)
GRIDS = ((0.3, 0, -8, 7), (0.3, 5, 0, 15), (2.0, 100, 0, 255), (0.7, -3, -8, 7))


def fake_quantize_is_right(fake_quantize: Callable[..., Any]) -> bool:
    """Return whether an implementation of exercise 5.1 rounds to the grid and stays on it."""
    for scale, zero_point, qmin, qmax in GRIDS:
        low, high = (qmin - zero_point) * scale, (qmax - zero_point) * scale
        y = torch.as_tensor(fake_quantize(X, scale, zero_point, qmin, qmax))
        steps = y / scale
        on_the_grid = torch.allclose(steps, steps.round(), atol=1e-3)
        near = (y - X.clamp(low, high)).abs().max() <= scale / 2 + 1e-4
        inside = low - 1e-4 <= y.min() and y.max() <= high + 1e-4
        if not (on_the_grid and near and inside):
            return False
    large = torch.tensor([2.0**35, 2.0**33])
    return torch.equal(torch.as_tensor(fake_quantize(large, 1.0, 0, 0, 2**40)), large)


def _on(x: torch.Tensor, *grid: float) -> Callable[..., bool]:
    """Return a test that compares on one grid only."""

    def test(candidate: Callable[..., Any]) -> bool:
        found = torch.as_tensor(candidate(x, *grid)).float()
        return torch.allclose(found, fake_quantize(x, *grid), atol=1e-5)  # type: ignore[arg-type]

    return test


def _twice(candidate: Callable[..., Any]) -> bool:
    """Test that fake quantization of what is on the grid changes nothing, and no more."""
    once = torch.as_tensor(candidate(X, 0.3, 5, 0, 15)).float()
    return torch.allclose(torch.as_tensor(candidate(once, 0.3, 5, 0, 15)).float(), once, atol=1e-4)


FAKE_QUANTIZE_IS_RIGHT = property_test(
    id="5.10",
    title="Write the test of fake quantization",
    tested=FAKE_QUANTIZE,
    minutes=(12, 18),
    reference=fake_quantize_is_right,
    without=[m.name for m in MORE],
    right=(
        (
            "one that returns float64",
            "lambda f: lambda *args: f(*args).double()",
            "Any real dtype is right: convert with .float() before you compare.",
        ),
        (
            "one that sends ties up",
            # In float64: beside an odd number from 2^23 on, float32 has no half.
            "lambda f: lambda x, scale, zero_point, qmin, qmax: ((torch.floor((x / scale).double() "
            "+ 0.5) + zero_point).clamp(qmin, qmax) - zero_point).to(x.dtype) * scale",
            "Ties may go either way: let no `x` lie in the middle between two codes, or accept "
            "both.",
        ),
    ),
    hints=(
        "Three things hold for every right answer: what comes back lies on the grid, inside its "
        "range, and never further from x than half a step, if x is inside.",
        "On the grid: y / scale is nearly whole. Inside: between (qmin - Z) * scale and (qmax - Z) "
        "* scale. Near: |y - x.clamp(low, high)| <= scale / 2. Allow 1e-4 for float32, and let no "
        "x be a tie.",
        "Check the three on several grids: another zero point than 0, unsigned codes, a scale "
        "above 1, x far out on both sides. Then x = 2.0**35 with scale 1 and qmax 2**40, which no "
        "int32 holds.",
    ),
    misconceptions=(
        Misconception(
            "tests only that doing it twice changes nothing",
            _twice,
            "Many wrong ones stay where they are the second time, too. Say how far from x the "
            "result may be.",
        ),
        Misconception(
            "tests with zero point 0 only",
            _on(X, 0.3, 0, -8, 7),
            "Whoever forgets the zero point on one of both ways passes. Take another one.",
        ),
        Misconception(
            "tests values inside the range only",
            _on(torch.tensor([-1.31, -0.4, 0.2, 1.1, 2.8]), 0.3, 5, 0, 15),
            "What is not clamped, or to other ends, stays unseen: give it values far outside.",
        ),
        Misconception(
            "tests values on the grid only",
            _on(torch.arange(-5, 11) * 0.5, 0.5, 5, 0, 15),
            "Nothing has to be rounded there. Take values between the grid points.",
        ),
        Misconception(
            "never says no",
            lambda candidate: True,
            "Compute what must hold, and return whether it does.",
        ),
        ALWAYS_NO,
    ),
    reminders=(
        (
            "Beyond an end of the grid, (qmin - zero_point) * scale or (qmax - zero_point) * "
            "scale, y is that end, however far x is: compare it with x clamped to these two, or "
            "leave such values out.",
            lambda x, scale, zero_point, qmin, qmax: (
                x.numel() == 1 and not qmin - 0.5 <= float(x) / scale + zero_point <= qmax + 0.5
            ),
        ),
    ),
    traits=(
        NOTHING_TO_ROUND,
        NOTHING_TO_CLAMP,
        (
            "no code is beyond -128 and 127",
            lambda x, scale, zero_point, qmin, qmax: qmin >= -128 and qmax <= 127,
        ),
        (
            "int32 holds every code",
            lambda x, scale, zero_point, qmin, qmax: (
                qmax < 2**31 or bool((x / scale + zero_point < 2**31).all())
            ),
        ),
    ),
)
