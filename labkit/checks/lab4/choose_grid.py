"""Exercise 4.2: which tensor gets which grid."""

import torch

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import SCALE, uniform
from labkit.checks.lab4.grid_slips import MISCONCEPTIONS
from labkit.checks.rules import Codes

Grid = tuple[float, int, int, int]


def choose_grid(kind: str, low: float, high: float, x_scale: float, w_scale: float) -> Grid:
    """Return scale, zero point, qmin and qmax of a "weight", "activation" or "bias"."""
    if kind == "weight":
        return max(-low, high) / 127, 0, -127, 127
    if kind == "bias":
        return x_scale * w_scale, 0, -(2**31), 2**31 - 1
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    return scale, round(-low / scale), 0, 255


def _unrounded(
    kind: str, low: float, high: float, x_scale: float, w_scale: float
) -> tuple[float, int, int]:
    if kind != "activation":
        return 0.0, 0, 0
    low, high = min(low, 0.0), max(high, 0.0)
    return -low * 255 / (high - low), 0, 255


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, kind: str, low: tuple[float, float], high: tuple[float, float]) -> Case:
        ends = uniform(rng, *low), uniform(rng, *high)
        return Case(label, (kind, *ends, uniform(rng, 0.01, 0.1), uniform(rng, 0.001, 0.01)))

    def with_zero_point(label: str, least: float, most: float) -> Case:
        """Draw ends whose zero point, before it is rounded, has a part behind the point."""
        zero_point = int(torch.randint(40, 200, (), generator=rng)) + uniform(rng, least, most)
        step = uniform(rng, 0.01, 0.03)
        low, high = round(-zero_point * step, 4), round((255 - zero_point) * step, 4)
        return case(label, "activation", (low, low), (high, high))

    return [
        case("a weight, more below 0", "weight", (-3, -2), (0.5, 1)),
        case("a weight, more above 0", "weight", (-1, -0.5), (2, 3)),
        case("a weight, all of one sign", "weight", (-3, -2), (-1, -0.5)),
        case("a weight, all above 0", "weight", (0.5, 1), (2, 3)),
        case("an activation after a ReLU", "activation", (0, 0), (2, 6)),
        with_zero_point("an activation of both signs", 0.6, 0.9),
        with_zero_point("another one of both signs", 0.1, 0.4),
        case("an activation far above 0", "activation", (1, 2), (5, 6)),
        case("an activation below 0", "activation", (-6, -5), (-2, -1)),
        case("a bias", "bias", (-2, -1), (1, 2)),
        case("another bias", "bias", (-0.2, 0), (0.5, 1)),
    ]


CHOOSE_GRID = Exercise(
    id="4.2",
    title="Which tensor gets which grid",
    points=2,
    minutes=(7, 11),
    reference=choose_grid,
    cases=_cases,
    rules=(SCALE, Codes(unrounded=_unrounded), Codes(), Codes()),
    names=("scale", "zero_point", "qmin", "qmax"),
    hints=(
        "Three kinds, three rows of the table. Which of the five arguments does each row need?",
        "A weight: the larger of -low and high, over 127. An activation: widen the range to hold "
        "0, then (high - low) / 255 and round(-low / scale). A bias needs no range at all.",
        'if kind == "weight": return max(-low, high) / 127, 0, -127, 127; if kind == "bias": '
        "return x_scale * w_scale, 0, -(2**31), 2**31 - 1; then the activation.",
    ),
    misconceptions=MISCONCEPTIONS,
)
