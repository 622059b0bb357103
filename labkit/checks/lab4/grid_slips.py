"""Slips in choosing the grid of a weight, an activation or a bias, for exercise 4.2."""

import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from labkit.checks.exercise import Misconception

Two = tuple[float, float]
Codes = tuple[int, int]
INT32 = (-(2**31), 2**31 - 1)


def _as_it_is(scale: float) -> float:
    return scale


def _chosen(
    kind: str,
    low: float,
    high: float,
    x_scale: float,
    w_scale: float,
    *,
    row: Callable[[str], str] = lambda kind: kind,
    extent: Callable[[float, float], float] = lambda low, high: max(-low, high),
    weight_steps: float = 127,
    weight_scale: Callable[[float], float] = _as_it_is,
    weight_zero: Callable[[float, float, float], int] = lambda low, high, scale: 0,
    weight_codes: Codes = (-127, 127),
    widened: Callable[[float, float], Two] = lambda low, high: (min(low, 0.0), max(high, 0.0)),
    steps: float = 255,
    scaled: Callable[[float], float] = _as_it_is,
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


def _as_given(low: float, high: float) -> Two:
    return low, high


def _both_sides(low: float, high: float) -> Two:
    largest = max(abs(low), abs(high))
    return -largest, largest


def _within(zero_point: float) -> float:
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


def _for(kind: str, other: str) -> Callable[[str], str]:
    return lambda found: other if found == kind else found


WIDEN = "0.0 must have a code: low = min(low, 0) and high = max(high, 0) first."
FARTHER = "A symmetric grid must reach the end that is farther from 0: max(-low, high)."
BY_127 = "The largest code is 127, and the largest weight must land on it: divide by that."
NARROW = (
    "The narrow range of the table, -127 to 127, is what keeps pairs of products within 16 bits "
    "(lab 3)."
)
PRODUCTS = "An accumulator is a sum of products q_x q_w: its step is x_scale * w_scale."
JOINS = (
    "The bias is added to the accumulator, so it must count in the accumulator's steps, x_scale * "
    "w_scale, and it has 32 bits."
)
BOTH_ENDS = "Its ends are those of int32: -(2**31) and 2**31 - 1."
ANY_SCALE = (
    "Some chips want powers of two, so that a shift is enough. Here a multiplier follows (lab 3): "
    "any scale will do, and the one of the table wastes no codes."
)
FROM_0 = "The codes of an activation are 0 to 255: the table's second row."
LOW_GETS_0 = "low gets the code 0: round(low / scale) + Z = 0, so Z = round(-low / scale)."


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "gives the bias a grid of its own of 8 bits",
        partial(
            _chosen,
            of_range=lambda step, low, high: max(-low, high) / 127,
            bias_codes=(-127, 127),
        ),
        JOINS,
    ),
    Misconception(
        "gives the bias the grid of an activation",
        partial(_chosen, row=_for("bias", "activation")),
        JOINS,
    ),
    Misconception(
        "counts the bias in steps of the weights",
        partial(_chosen, step=lambda x, w: w),
        PRODUCTS,
    ),
    Misconception(
        "uses -128 for weights",
        partial(_chosen, weight_codes=(-128, 127)),
        NARROW,
    ),
    Misconception(
        "looks at one end of the weights only",
        partial(_chosen, extent=lambda low, high: abs(high)),
        FARTHER,
    ),
    Misconception(
        "gives weights a zero point",
        partial(_chosen, row=_for("weight", "activation")),
        "That costs a sum over every input that comes (lab 3): weights are symmetric.",
    ),
    Misconception(
        "makes activations symmetric",
        partial(_chosen, row=_for("activation", "weight")),
        "After a ReLU half of the codes would never be used. A zero point of the input is folded "
        "into the bias (lab 3) and costs nothing.",
    ),
    Misconception(
        "uses signed codes for activations",
        partial(_chosen, moved=128, codes=(-128, 127)),
        "Nothing is lost, but the table says 0 to 255: engines take unsigned activations.",
    ),
    Misconception(
        "does not widen the range to contain 0",
        partial(_chosen, widened=_as_given, kept=_within),
        WIDEN,
    ),
    Misconception(
        "does not widen the range, so that the zero point leaves the codes",
        partial(_chosen, widened=_as_given),
        WIDEN,
    ),
    Misconception(
        "widens the range below 0 only",
        partial(_chosen, widened=lambda low, high: (min(low, 0.0), high)),
        "A tensor may lie below 0 as a whole, too: high = max(high, 0) as well.",
    ),
    Misconception(
        "widens the range above 0 only",
        partial(_chosen, widened=lambda low, high: (low, max(high, 0.0))),
        "A tensor may lie above 0 as a whole, too: low = min(low, 0) as well.",
    ),
    Misconception(
        "takes the larger of low and high",
        partial(_chosen, extent=max),
        "low is below 0: its size is -low. A symmetric grid must reach max(-low, high).",
    ),
    Misconception(
        "spreads the codes of a weight over its width",
        partial(_chosen, extent=lambda low, high: high - low, weight_steps=254),
        "With the zero point 0 the grid is the same on both sides: it must reach the end that is "
        "farther from 0, max(-low, high).",
    ),
    Misconception(
        "spreads the codes of a weight over its width",
        partial(_chosen, extent=lambda low, high: high - low, weight_steps=255),
        "With the zero point 0 the grid is the same on both sides: it must reach the end that is "
        "farther from 0, max(-low, high), over 127.",
    ),
    Misconception(
        "divides the range of a weight by 128",
        partial(_chosen, weight_steps=128),
        "The largest code is 127: divide by that, or the largest weight is clipped.",
    ),
    Misconception(
        "divides the range of an activation by 256",
        partial(_chosen, steps=256),
        "256 codes have 255 steps between them.",
    ),
    Misconception(
        "cuts the zero point off instead of rounding it",
        partial(_chosen, turn=int),
        "int() goes to the code below: round(-low / scale).",
    ),
    Misconception(
        "has the zero point's sign turned round",
        partial(_chosen, turn=lambda place: -round(place)),
        "low gets the code 0: round(low / scale) + Z = 0.",
    ),
    Misconception(
        "counts the bias in steps of the input",
        partial(_chosen, step=lambda x, w: x),
        PRODUCTS,
    ),
    Misconception(
        "divides the range of a weight by 127.5, half of all steps",
        partial(_chosen, weight_steps=127.5),
        f"That is torch's symmetric observer, with the codes -128 to 127. {BY_127}",
    ),
    Misconception(
        "divides the range of a weight by 255",
        partial(_chosen, weight_steps=255),
        f"255 steps are those of both sides together. {BY_127}",
    ),
    Misconception(
        "looks at the lower end of the weights only",
        partial(_chosen, extent=lambda low, high: abs(low)),
        FARTHER,
    ),
    Misconception(
        "looks at the smaller end of the weights",
        partial(_chosen, extent=lambda low, high: min(abs(low), abs(high))),
        FARTHER,
    ),
    Misconception(
        "takes low for a magnitude",
        partial(_chosen, extent=lambda low, high: max(low, -high)),
        FARTHER,
    ),
    Misconception(
        "widens the range of a weight to contain 0 and spreads the codes over it",
        partial(
            _chosen,
            extent=lambda low, high: max(high, 0.0) - min(low, 0.0),
            weight_steps=254,
        ),
        FARTHER,
    ),
    *(
        Misconception("makes the scales powers of two", partial(_chosen, **parts), ANY_SCALE)
        for parts in POWERS_OF_TWO
    ),
    Misconception(
        "uses the codes 0 to 127 for activations",
        partial(_chosen, steps=127, codes=(0, 127)),
        "Some engines reduce the range so that int16 sums do not overflow (lab 3); the table's "
        "activations have 0 to 255.",
    ),
    Misconception(
        "divides the range of an activation by 127",
        partial(_chosen, steps=127),
        "Codes from 0 to 255 have 255 steps between them.",
    ),
    Misconception(
        "makes activations symmetric around the code 128",
        partial(_chosen, widened=_both_sides, place=lambda low, high, scale: 128),
        f"After a ReLU half of the codes would never be used. {LOW_GETS_0}",
    ),
    Misconception(
        "starts every activation at 0",
        partial(_chosen, widened=lambda low, high: (0.0, max(high, 0.0))),
        "An activation that has had no ReLU may be negative: low = min(low, 0).",
    ),
    Misconception(
        "gives activations the zero point 0",
        partial(_chosen, kept=lambda zero_point: 0),
        LOW_GETS_0,
    ),
    Misconception(
        "counts the zero point from the largest value",
        partial(_chosen, place=lambda low, high, scale: high / scale),
        LOW_GETS_0,
    ),
    Misconception(
        "does not divide by the scale for the zero point",
        partial(_chosen, place=lambda low, high, scale: -low),
        "A zero point counts steps: round(-low / scale).",
    ),
    Misconception(
        "leaves the zero point real",
        partial(_chosen, turn=_as_it_is),
        "A zero point is a code, and a code is whole: round(-low / scale).",
    ),
    Misconception(
        "rounds the zero point up",
        partial(_chosen, turn=math.ceil),
        "The code of 0.0 is the nearest one: round(-low / scale).",
    ),
    Misconception(
        "adds the scales for the bias",
        partial(_chosen, step=operator.add),
        PRODUCTS,
    ),
    Misconception(
        "divides the one scale by the other for the bias",
        partial(_chosen, step=operator.truediv),
        PRODUCTS,
    ),
    Misconception(
        "gives the bias a scale of its own, of 32 bits",
        partial(_chosen, of_range=lambda step, low, high: max(-low, high) / (2**31 - 1)),
        JOINS,
    ),
    Misconception(
        "ends a bias at -(2**31 - 1)",
        partial(_chosen, bias_codes=(-(2**31) + 1, 2**31 - 1)),
        f"Only weights have a narrow range. {BOTH_ENDS}",
    ),
    Misconception(
        "ends a bias at 2**31",
        partial(_chosen, bias_codes=(-(2**31), 2**31)),
        f"2**31 is no int32. {BOTH_ENDS}",
    ),
    *(
        Misconception(
            "gives the bias fewer bits than 32",
            partial(_chosen, bias_codes=ends),
            f"Its steps are tiny, so that 8 or 16 bits do not reach far. {BOTH_ENDS}",
        )
        for ends in ((-(2**15), 2**15 - 1), (-(2**15) + 1, 2**15 - 1), (-128, 127), (-127, 127))
    ),
    Misconception(
        "takes the codes of the bias for unsigned",
        partial(_chosen, bias_codes=(0, 2**32 - 1)),
        f"A bias may be negative. {BOTH_ENDS}",
    ),
    Misconception(
        "returns the zero point first",
        partial(_chosen, ordered=lambda scale, zero, *codes: (zero, scale, *codes)),
        "The order is scale, zero_point, qmin, qmax.",
    ),
)
