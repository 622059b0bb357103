"""Exercise 4.2: which tensor gets which grid."""

from collections.abc import Callable

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import SCALE, uniform
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


def _if_kind(kind: str, other: Callable[..., Grid]) -> Callable[..., Grid]:
    """Return the answer with another grid for one kind of tensor."""

    def wrong(found: str, low: float, high: float, x_scale: float, w_scale: float) -> Grid:
        choose = other if found == kind else lambda *ends: choose_grid(found, *ends)
        return choose(low, high, x_scale, w_scale)

    return wrong


def _bias_of_8_bits(low: float, high: float, x_scale: float, w_scale: float) -> Grid:
    return max(-low, high) / 127, 0, -127, 127


def _not_widened(low: float, high: float, x_scale: float, w_scale: float) -> Grid:
    scale = (high - low) / 255
    return scale, min(max(round(-low / scale), 0), 255), 0, 255


def _not_widened_or_clamped(low: float, high: float, x_scale: float, w_scale: float) -> Grid:
    scale = (high - low) / 255
    return scale, round(-low / scale), 0, 255


def _activation(
    low: float, high: float, steps: int = 255, turn: Callable[[float], int] = round
) -> Grid:
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / steps
    return scale, turn(-low / scale), 0, 255


def _signed_activation(low: float, high: float, x_scale: float, w_scale: float) -> Grid:
    scale, zero_point, _, _ = choose_grid("activation", low, high, x_scale, w_scale)
    return scale, zero_point - 128, -128, 127


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
    misconceptions=(
        Misconception(
            "gives the bias a grid of its own of 8 bits",
            _if_kind("bias", _bias_of_8_bits),
            "The bias is added to the accumulator, so it must count in the accumulator's steps, "
            "x_scale * w_scale, and it has 32 bits.",
        ),
        Misconception(
            "counts the bias in steps of the weights",
            _if_kind("bias", lambda low, high, x, w: (w, 0, -(2**31), 2**31 - 1)),
            "An accumulator is a sum of products q_x q_w: its step is x_scale * w_scale.",
        ),
        Misconception(
            "uses -128 for weights",
            _if_kind("weight", lambda low, high, x, w: (max(-low, high) / 127, 0, -128, 127)),
            "The narrow range of the table, -127 to 127, is what keeps pairs of products within "
            "16 bits (lab 3).",
        ),
        Misconception(
            "looks at one end of the weights only",
            _if_kind("weight", lambda low, high, x, w: (abs(high) / 127, 0, -127, 127)),
            "A symmetric grid must reach the end that is farther from 0: max(-low, high).",
        ),
        Misconception(
            "gives weights a zero point",
            _if_kind("weight", lambda low, high, x, w: choose_grid("activation", low, high, x, w)),
            "That costs a sum over every input that comes (lab 3): weights are symmetric.",
        ),
        Misconception(
            "makes activations symmetric",
            _if_kind("activation", lambda low, high, x, w: choose_grid("weight", low, high, x, w)),
            "After a ReLU half of the codes would never be used. A zero point of the input is "
            "folded into the bias (lab 3) and costs nothing.",
        ),
        Misconception(
            "uses signed codes for activations",
            _if_kind("activation", _signed_activation),
            "Nothing is lost, but the table says 0 to 255: engines take unsigned activations.",
        ),
        Misconception(
            "does not widen the range to contain 0",
            _if_kind("activation", _not_widened),
            "0.0 must have a code: low = min(low, 0) and high = max(high, 0) first.",
        ),
        Misconception(
            "does not widen the range, so that the zero point leaves the codes",
            _if_kind("activation", _not_widened_or_clamped),
            "0.0 must have a code: low = min(low, 0) and high = max(high, 0) first.",
        ),
        Misconception(
            "takes the larger of low and high",
            _if_kind("weight", lambda low, high, x, w: (max(low, high) / 127, 0, -127, 127)),
            "low is below 0: its size is -low. A symmetric grid must reach max(-low, high).",
        ),
        Misconception(
            "spreads the codes of a weight over its width",
            _if_kind("weight", lambda low, high, x, w: ((high - low) / 254, 0, -127, 127)),
            "With the zero point 0 the grid is the same on both sides: it must reach the end that "
            "is farther from 0, max(-low, high).",
        ),
        Misconception(
            "divides the range of a weight by 128",
            _if_kind("weight", lambda low, high, x, w: (max(-low, high) / 128, 0, -127, 127)),
            "The largest code is 127: divide by that, or the largest weight is clipped.",
        ),
        Misconception(
            "divides the range of an activation by 256",
            _if_kind("activation", lambda low, high, x, w: _activation(low, high, steps=256)),
            "256 codes have 255 steps between them.",
        ),
        Misconception(
            "cuts the zero point off instead of rounding it",
            _if_kind("activation", lambda low, high, x, w: _activation(low, high, turn=int)),
            "int() goes to the code below: round(-low / scale).",
        ),
        Misconception(
            "has the zero point's sign turned round",
            _if_kind(
                "activation",
                lambda low, high, x, w: _activation(low, high, turn=lambda z: -round(z)),
            ),
            "low gets the code 0: round(low / scale) + Z = 0.",
        ),
        Misconception(
            "counts the bias in steps of the input",
            _if_kind("bias", lambda low, high, x, w: (x, 0, -(2**31), 2**31 - 1)),
            "An accumulator is a sum of products q_x q_w: its step is x_scale * w_scale.",
        ),
    ),
)
