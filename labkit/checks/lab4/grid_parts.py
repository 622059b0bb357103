"""The choice of a grid, of which any part may be another one (exercise 4.2)."""

import math
import operator
from collections.abc import Callable
from typing import Any

Two = tuple[float, float]
Codes = tuple[int, int]
INT32 = (-(2**31), 2**31 - 1)


def as_it_is(scale: float) -> float:
    """Return what is given."""
    return scale


def chosen(
    kind: str,
    low: float,
    high: float,
    x_scale: float,
    w_scale: float,
    *,
    row: Callable[[str], str] = lambda kind: kind,
    extent: Callable[[float, float], float] = lambda low, high: max(-low, high),
    weight_steps: float = 127,
    weight_scale: Callable[[float], float] = as_it_is,
    weight_zero: Callable[[float, float, float], int] = lambda low, high, scale: 0,
    weight_codes: Codes = (-127, 127),
    widened: Callable[[float, float], Two] = lambda low, high: (min(low, 0.0), max(high, 0.0)),
    steps: float = 255,
    scaled: Callable[[float], float] = as_it_is,
    place: Callable[[float, float, float], float] = lambda low, high, scale: -low / scale,
    turn: Callable[[float], float] = round,
    kept: Callable[[float], float] = lambda zero_point: zero_point,
    moved: int = 0,
    codes: Codes = (0, 255),
    step: Callable[[float, float], float] = operator.mul,
    of_range: Callable[[float, float, float], float] = lambda step, low, high: step,
    bias_codes: Codes = INT32,
    ordered: Callable[..., Any] = lambda *grid: grid,
) -> Any:
    """Return the grid of a tensor, of which any part may be another one."""
    found = row(kind)
    if found == "weight":
        scale = weight_scale(extent(low, high) / weight_steps)
        return ordered(scale, weight_zero(low, high, scale), *weight_codes)
    if found == "bias":
        return ordered(of_range(step(x_scale, w_scale), low, high), 0, *bias_codes)
    low, high = widened(low, high)
    scale = scaled((high - low) / steps)
    return ordered(scale, kept(turn(place(low, high, scale))) - moved, *codes)


def as_given(low: float, high: float) -> Two:
    """Return a range that need not contain 0."""
    return low, high


def both_sides(low: float, high: float) -> Two:
    """Return a range that reaches as far on both sides of 0."""
    largest = max(abs(low), abs(high))
    return -largest, largest


def within(zero_point: float) -> float:
    """Clamp a zero point to the codes."""
    return min(max(zero_point, 0), 255)


def _power_of_two(scale: float) -> float:
    return 2.0 ** math.ceil(math.log2(scale))


def _nearest_power_of_two(scale: float) -> float:
    return 2.0 ** round(math.log2(scale))


POWERS_OF_TWO: tuple[dict[str, Any], ...] = tuple(
    dict.fromkeys(parts, power)
    for power in (_power_of_two, _nearest_power_of_two)
    for parts in (("weight_scale", "scaled"), ("weight_scale",), ("scaled",))
)


def with_row_of(kind: str, other: str) -> Callable[[str], str]:
    """Take another kind of tensor's row of the table for this kind."""
    return lambda found: other if found == kind else found
