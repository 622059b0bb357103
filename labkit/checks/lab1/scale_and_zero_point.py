"""Exercise 1.2: scale and zero point."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import INT4, INT8, NARROW, SCALE, UINT8, uniform
from labkit.checks.rules import Codes


def scale_and_zero_point(rmin: float, rmax: float, qmin: int, qmax: int) -> tuple[float, int]:
    """Return the scale and zero point with which [qmin, qmax] covers [rmin, rmax] and 0.

    The range [0, 0] gets scale 1; any code may be its zero point.
    """
    rmin, rmax = min(rmin, 0.0), max(rmax, 0.0)
    scale = (rmax - rmin) / (qmax - qmin) if rmax > rmin else 1.0
    zero_point = round(qmin - rmin / scale)
    return scale, min(max(zero_point, qmin), qmax)


def _real_zero_point(rmin: float, rmax: float, qmin: int, qmax: int) -> tuple[float, int, int]:
    scale, _ = scale_and_zero_point(rmin, rmax, qmin, qmax)
    return qmin - min(rmin, 0.0) / scale, qmin, qmax


@dataclass(frozen=True)
class _ZeroPoint(Codes):
    """Codes; but of a range of nothing but 0, every code may be the zero point."""

    def neighbours(self, args: tuple) -> tuple[np.ndarray, np.ndarray] | None:
        rmin, rmax, qmin, qmax = args
        if rmin == rmax == 0:
            return np.array(float(qmin)), np.array(float(qmax))
        return super().neighbours(args)


def _scale_cases(rng: torch.Generator) -> list[Case]:
    def below(least: float = 0.5, most: float = 4.0) -> float:
        return -uniform(rng, least, most)

    def above(least: float = 0.5, most: float = 4.0) -> float:
        return uniform(rng, least, most)

    return [
        Case("zero inside the range", (-1.0, 2.0, *UINT8)),
        Case("zero inside the range, signed codes", (-1.0, 2.0, *INT8)),
        Case("nothing but zero", (0.0, 0.0, *INT8)),
        Case("more room below zero than above", (below(3, 9), above(0.1, 1), *INT8)),
        Case("more room above zero than below", (below(0.1, 1), above(3, 9), *INT8)),
        Case("all values positive", (above(0.5, 1), above(1.5, 4), *UINT8)),
        Case("all values positive, signed codes", (above(1, 2), above(2.5, 4), *INT8)),
        Case("all values negative", (below(2.5, 4), below(1, 2), *INT8)),
        Case("values from zero up", (0.0, above(3, 9), *INT8)),
        Case("values up to zero", (below(3, 9), 0.0, *UINT8)),
        Case("one value alone", (1.7, 1.7, *UINT8)),
        Case("few bits", (-0.9, 1.3, *INT4)),
        Case("few bits, more above zero", (-1.3, 2.0, *INT4)),
        Case("few bits, drawn at random", (below(), above(), *INT4)),
        Case("two bits", (below(), above(), 0, 3)),
        Case("a narrow range", (below(), above(), *NARROW)),
        Case("drawn at random", (below(), above(), *UINT8)),
    ]


def _widened(rmin: float, rmax: float) -> tuple[float, float]:
    return min(rmin, 0.0), max(rmax, 0.0)


def _within(zero_point: int, qmin: int, qmax: int) -> int:
    return min(max(zero_point, qmin), qmax)


def _chosen(
    rmin: float,
    rmax: float,
    qmin: int,
    qmax: int,
    *,
    widened: Callable[[float, float], tuple[float, float]] = _widened,
    steps: Callable[[int, int], int] = lambda qmin, qmax: qmax - qmin,
    empty: float = 1.0,
    place: Callable[..., float] = lambda low, high, qmin, qmax: qmin - low,
    turn: Callable[[float], int] = round,
    limit: Callable[[int, int, int], int] = _within,
    given: Callable[[float], float] = lambda scale: scale,
) -> tuple[float, int]:
    """Return scale and zero point, of which any part may be another one."""
    low, high = widened(rmin, rmax)
    scale = (high - low) / steps(qmin, qmax) if high > low else empty
    zero_point = turn(place(low / scale, high / scale, qmin, qmax))
    return given(scale), limit(zero_point, qmin, qmax)


def _constant_is_empty(rmin: float, rmax: float, qmin: int, qmax: int) -> tuple[float, int]:
    if rmin == rmax:
        return 1.0, min(max(0, qmin), qmax)
    return scale_and_zero_point(rmin, rmax, qmin, qmax)


def _symmetric(rmin: float, rmax: float, qmin: int, qmax: int) -> tuple[float, int]:
    largest = max(abs(rmin), abs(rmax))
    return (largest / qmax, 0) if largest else (1.0, 0)


SCALE_AND_ZERO_POINT = Exercise(
    id="1.2",
    title="Scale and zero point",
    points=2,
    minutes=(10, 15),
    reference=scale_and_zero_point,
    cases=_scale_cases,
    rules=(SCALE, _ZeroPoint(unrounded=_real_zero_point)),
    names=("scale", "zero_point"),
    hints=(
        "Draw two rulers, one real and one with codes. rmin lies over qmin, rmax over qmax. How "
        "long is one step of the lower ruler, measured on the upper one?",
        "The scale is a length over a number of steps: (rmax - rmin) / (qmax - qmin). Before that, "
        "stretch the range until it contains 0, since 0.0 must have a code of its own.",
        "rmin = min(rmin, 0.0), rmax = max(rmax, 0.0). Then solve rmin = (qmin - zero_point) * "
        "scale for zero_point and round it. A range of nothing but 0 gets scale 1.",
    ),
    misconceptions=(
        Misconception(
            "does not widen the range to contain 0",
            partial(_chosen, widened=lambda rmin, rmax: (rmin, rmax)),
            "Without a code for 0.0 every zero (padding, ReLU) becomes something else. Use "
            "min(rmin, 0) and max(rmax, 0).",
        ),
        Misconception(
            "does not widen the range to contain 0",
            partial(
                _chosen,
                widened=lambda rmin, rmax: (rmin, rmax),
                limit=lambda zero, qmin, qmax: zero,
            ),
            "The zero point falls outside [qmin, qmax], where no code is. Use min(rmin, 0) and "
            "max(rmax, 0).",
        ),
        Misconception(
            "divides by the number of codes instead of the number of steps",
            partial(_chosen, steps=lambda qmin, qmax: qmax - qmin + 1),
            "256 codes have 255 steps between them, as ten fence posts have nine gaps.",
        ),
        Misconception(
            "leaves qmin out of the zero point",
            partial(
                _chosen,
                place=lambda low, high, qmin, qmax: -low,
                limit=lambda zero, qmin, qmax: zero,
            ),
            "-rmin / scale counts steps from the left end, and the left end is qmin, not 0.",
        ),
        Misconception(
            "cuts off the zero point's decimals",
            partial(_chosen, turn=int),
            "int() cuts towards 0; round() goes to the nearest.",
        ),
        Misconception(
            "takes a range of one value for an empty one",
            _constant_is_empty,
            "Widen first: from 1.7 to 1.7 becomes from 0 to 1.7, which has a length. Only [0, 0] "
            "has none.",
        ),
        Misconception(
            "has the wrong sign in the zero point",
            partial(_chosen, place=lambda low, high, qmin, qmax: qmin + low),
            "From (2): rmin = (qmin - zero_point) * scale, so zero_point = qmin - rmin / scale.",
        ),
        Misconception(
            "rounds the zero point down",
            partial(_chosen, turn=math.floor),
            "round() goes to the nearest.",
        ),
        Misconception(
            "rounds the zero point up",
            partial(_chosen, turn=math.ceil),
            "round() goes to the nearest.",
        ),
        Misconception(
            "leaves qmin out of the zero point",
            partial(_chosen, place=lambda low, high, qmin, qmax: -low),
            "-rmin / scale counts steps from the left end, and the left end is qmin, not 0.",
        ),
        Misconception(
            "takes qmax for the number of steps",
            partial(_chosen, steps=lambda qmin, qmax: qmax),
            "From qmin to qmax there are qmax - qmin steps.",
        ),
        Misconception(
            "returns 1 / scale instead of the scale",
            partial(_chosen, given=lambda scale: 1 / scale),
            "The scale is a length over a number of steps: (rmax - rmin) / (qmax - qmin).",
        ),
        Misconception(
            "gives a range of nothing but 0 the scale 0",
            partial(_chosen, given=lambda scale: 0.0 if scale == 1 else scale),
            "Nothing can be divided by it: [0, 0] has the scale 1.",
        ),
        Misconception(
            "gives a range of nothing but 0 a tiny scale",
            partial(_chosen, empty=1e-8),
            "[0, 0] has the scale 1.",
        ),
        Misconception(
            "widens below 0 only",
            partial(_chosen, widened=lambda rmin, rmax: (min(rmin, 0.0), rmax)),
            "A range below 0 must reach 0, too: max(rmax, 0.0).",
        ),
        Misconception(
            "widens above 0 only",
            partial(_chosen, widened=lambda rmin, rmax: (rmin, max(rmax, 0.0))),
            "A range above 0 must reach 0, too: min(rmin, 0.0).",
        ),
        Misconception(
            "makes the grid symmetric, with zero point 0",
            _symmetric,
            "Half of the codes stay empty if the range is not the same on both sides: here rmin "
            "goes to qmin and rmax to qmax, and the zero point follows.",
        ),
    ),
)
