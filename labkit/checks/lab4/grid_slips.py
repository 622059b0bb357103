"""Slips in choosing the grid of a weight, an activation or a bias, for exercise 4.2."""

import math
import operator
from functools import partial

from labkit.checks.exercise import Misconception
from labkit.checks.lab4.grid_parts import (
    POWERS_OF_TWO,
    as_given,
    as_it_is,
    both_sides,
    chosen,
    with_row_of,
    within,
)

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
            chosen,
            of_range=lambda step, low, high: max(-low, high) / 127,
            bias_codes=(-127, 127),
        ),
        JOINS,
    ),
    Misconception(
        "gives the bias the grid of an activation",
        partial(chosen, row=with_row_of("bias", "activation")),
        JOINS,
    ),
    Misconception(
        "counts the bias in steps of the weights",
        partial(chosen, step=lambda x, w: w),
        PRODUCTS,
    ),
    Misconception(
        "uses -128 for weights",
        partial(chosen, weight_codes=(-128, 127)),
        NARROW,
    ),
    Misconception(
        "looks at one end of the weights only",
        partial(chosen, extent=lambda low, high: abs(high)),
        FARTHER,
    ),
    Misconception(
        "gives weights a zero point",
        partial(chosen, row=with_row_of("weight", "activation")),
        "That costs a sum over every input that comes (lab 3): weights are symmetric.",
    ),
    Misconception(
        "makes activations symmetric",
        partial(chosen, row=with_row_of("activation", "weight")),
        "After a ReLU half of the codes would never be used. A zero point of the input is folded "
        "into the bias (lab 3) and costs nothing.",
    ),
    Misconception(
        "uses signed codes for activations",
        partial(chosen, moved=128, codes=(-128, 127)),
        "Nothing is lost, but the table says 0 to 255: engines take unsigned activations.",
    ),
    Misconception(
        "does not widen the range to contain 0",
        partial(chosen, widened=as_given, kept=within),
        WIDEN,
    ),
    Misconception(
        "does not widen the range, so that the zero point leaves the codes",
        partial(chosen, widened=as_given),
        WIDEN,
    ),
    Misconception(
        "widens the range below 0 only",
        partial(chosen, widened=lambda low, high: (min(low, 0.0), high)),
        "A tensor may lie below 0 as a whole, too: high = max(high, 0) as well.",
    ),
    Misconception(
        "widens the range above 0 only",
        partial(chosen, widened=lambda low, high: (low, max(high, 0.0))),
        "A tensor may lie above 0 as a whole, too: low = min(low, 0) as well.",
    ),
    Misconception(
        "takes the larger of low and high",
        partial(chosen, extent=max),
        "low is below 0: its size is -low. A symmetric grid must reach max(-low, high).",
    ),
    Misconception(
        "spreads the codes of a weight over its width",
        partial(chosen, extent=lambda low, high: high - low, weight_steps=254),
        "With the zero point 0 the grid is the same on both sides: it must reach the end that is "
        "farther from 0, max(-low, high).",
    ),
    Misconception(
        "spreads the codes of a weight over its width",
        partial(chosen, extent=lambda low, high: high - low, weight_steps=255),
        "With the zero point 0 the grid is the same on both sides: it must reach the end that is "
        "farther from 0, max(-low, high), over 127.",
    ),
    Misconception(
        "divides the range of a weight by 128",
        partial(chosen, weight_steps=128),
        "The largest code is 127: divide by that, or the largest weight is clipped.",
    ),
    Misconception(
        "divides the range of an activation by 256",
        partial(chosen, steps=256),
        "256 codes have 255 steps between them.",
    ),
    Misconception(
        "cuts the zero point off instead of rounding it",
        partial(chosen, turn=int),
        "int() goes to the code below: round(-low / scale).",
    ),
    Misconception(
        "has the zero point's sign turned round",
        partial(chosen, turn=lambda place: -round(place)),
        "low gets the code 0: round(low / scale) + Z = 0.",
    ),
    Misconception(
        "counts the bias in steps of the input",
        partial(chosen, step=lambda x, w: x),
        PRODUCTS,
    ),
    Misconception(
        "divides the range of a weight by 127.5, half of all steps",
        partial(chosen, weight_steps=127.5),
        f"That is torch's symmetric observer, with the codes -128 to 127. {BY_127}",
    ),
    Misconception(
        "divides the range of a weight by 255",
        partial(chosen, weight_steps=255),
        f"255 steps are those of both sides together. {BY_127}",
    ),
    Misconception(
        "looks at the lower end of the weights only",
        partial(chosen, extent=lambda low, high: abs(low)),
        FARTHER,
    ),
    Misconception(
        "looks at the smaller end of the weights",
        partial(chosen, extent=lambda low, high: min(abs(low), abs(high))),
        FARTHER,
    ),
    Misconception(
        "takes low for a magnitude",
        partial(chosen, extent=lambda low, high: max(low, -high)),
        FARTHER,
    ),
    Misconception(
        "widens the range of a weight to contain 0 and spreads the codes over it",
        partial(
            chosen,
            extent=lambda low, high: max(high, 0.0) - min(low, 0.0),
            weight_steps=254,
        ),
        FARTHER,
    ),
    *(
        Misconception("makes the scales powers of two", partial(chosen, **parts), ANY_SCALE)
        for parts in POWERS_OF_TWO
    ),
    Misconception(
        "uses the codes 0 to 127 for activations",
        partial(chosen, steps=127, codes=(0, 127)),
        "Some engines reduce the range so that int16 sums do not overflow (lab 3); the table's "
        "activations have 0 to 255.",
    ),
    Misconception(
        "divides the range of an activation by 127",
        partial(chosen, steps=127),
        "Codes from 0 to 255 have 255 steps between them.",
    ),
    Misconception(
        "makes activations symmetric around the code 128",
        partial(chosen, widened=both_sides, place=lambda low, high, scale: 128),
        f"After a ReLU half of the codes would never be used. {LOW_GETS_0}",
    ),
    Misconception(
        "starts every activation at 0",
        partial(chosen, widened=lambda low, high: (0.0, max(high, 0.0))),
        "An activation that has had no ReLU may be negative: low = min(low, 0).",
    ),
    Misconception(
        "gives activations the zero point 0",
        partial(chosen, kept=lambda zero_point: 0),
        LOW_GETS_0,
    ),
    Misconception(
        "counts the zero point from the largest value",
        partial(chosen, place=lambda low, high, scale: high / scale),
        LOW_GETS_0,
    ),
    Misconception(
        "does not divide by the scale for the zero point",
        partial(chosen, place=lambda low, high, scale: -low),
        "A zero point counts steps: round(-low / scale).",
    ),
    Misconception(
        "leaves the zero point real",
        partial(chosen, turn=as_it_is),
        "A zero point is a code, and a code is whole: round(-low / scale).",
    ),
    Misconception(
        "rounds the zero point up",
        partial(chosen, turn=math.ceil),
        "The code of 0.0 is the nearest one: round(-low / scale).",
    ),
    Misconception(
        "adds the scales for the bias",
        partial(chosen, step=operator.add),
        PRODUCTS,
    ),
    Misconception(
        "divides the one scale by the other for the bias",
        partial(chosen, step=operator.truediv),
        PRODUCTS,
    ),
    Misconception(
        "gives the bias a scale of its own, of 32 bits",
        partial(chosen, of_range=lambda step, low, high: max(-low, high) / (2**31 - 1)),
        JOINS,
    ),
    Misconception(
        "ends a bias at -(2**31 - 1)",
        partial(chosen, bias_codes=(-(2**31) + 1, 2**31 - 1)),
        f"Only weights have a narrow range. {BOTH_ENDS}",
    ),
    Misconception(
        "ends a bias at 2**31",
        partial(chosen, bias_codes=(-(2**31), 2**31)),
        f"2**31 is no int32. {BOTH_ENDS}",
    ),
    *(
        Misconception(
            "gives the bias fewer bits than 32",
            partial(chosen, bias_codes=ends),
            f"Its steps are tiny, so that 8 or 16 bits do not reach far. {BOTH_ENDS}",
        )
        for ends in ((-(2**15), 2**15 - 1), (-(2**15) + 1, 2**15 - 1), (-128, 127), (-127, 127))
    ),
    Misconception(
        "takes the codes of the bias for unsigned",
        partial(chosen, bias_codes=(0, 2**32 - 1)),
        f"A bias may be negative. {BOTH_ENDS}",
    ),
    Misconception(
        "returns the zero point first",
        partial(chosen, ordered=lambda scale, zero, *codes: (zero, scale, *codes)),
        "The order is scale, zero_point, qmin, qmax.",
    ),
)
