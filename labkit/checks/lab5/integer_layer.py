"""Exercise 5.7: what the integer layer stores."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import randn, uniform
from labkit.checks.lab5.inputs import between_ties
from labkit.checks.lab5.integer_layer_slips import MISCONCEPTIONS
from labkit.checks.rules import Codes, Rule


def integer_layer(
    w: Tensor, w_scale: Tensor, bias: Tensor, x_scale: float, y_scale: float, qmax: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return integer weights, integer bias (it fits in int32) and multiplier of a trained layer."""
    q_w = torch.round(w / w_scale[:, None]).clamp(-qmax, qmax).to(torch.int32)
    accumulator_scale = x_scale * w_scale
    q_bias = torch.round(bias / accumulator_scale).to(torch.int32)
    return q_w, q_bias, accumulator_scale / y_scale


def _unrounded_weights(
    w: Tensor, w_scale: Tensor, bias: Tensor, x_scale: float, y_scale: float, qmax: int
) -> tuple[Tensor, int, int]:
    return w.double() / w_scale[:, None], -qmax, qmax


def _unrounded_bias(
    w: Tensor, w_scale: Tensor, bias: Tensor, x_scale: float, y_scale: float, qmax: int
) -> tuple[Tensor, int, int]:
    return bias.double() / (x_scale * w_scale.double()), -(2**31), 2**31 - 1


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, qmax: int, beyond: int, outputs: int, inputs: int) -> Case:
        w_scale = torch.linspace(0.02, 0.3, outputs) * uniform(rng, 0.5, 2.0)
        codes = between_ties(rng, 1.0, -qmax - beyond, qmax + beyond, outputs, inputs)
        x_scale, y_scale = uniform(rng, 0.01, 0.2), uniform(rng, 0.05, 0.5)
        bias = 3 * randn(rng, outputs)
        if qmax == 127:  # int16 does not hold it
            bias[0] = uniform(rng, 40000, 60000) * x_scale * w_scale[0]
        return Case(label, (codes * w_scale[:, None], w_scale, bias, x_scale, y_scale, qmax))

    return [
        case("one output", 7, 0, 1, 2),
        case("as many outputs as inputs", 7, 0, 4, 4),
        case("4 bits", 7, 0, 3, 5),
        case("weights beyond the last code", 7, 4, 4, 6),
        case("ternary", 1, 2, 5, 4),
        case("8 bits", 127, 10, 6, 7),
    ]


INTEGER_LAYER = Exercise(
    id="5.7",
    title="From training to integers",
    points=2,
    minutes=(12, 18),
    reference=integer_layer,
    cases=_cases,
    rules=(
        Codes(unrounded=_unrounded_weights),
        Codes(unrounded=_unrounded_bias),
        Rule(relative=1e-4),
    ),
    names=("q_w", "q_bias", "multiplier"),
    hints=(
        "Training used round(w / S_w) in every step. Conversion keeps just these codes. At which "
        "scale does a product of two codes, q_x * q_w, count?",
        "The accumulator counts in steps of S_x * S_w, one such number for each output. The bias "
        "is added to it, so it is rounded at that scale; the result counts in steps of S_y.",
        "q_w = torch.round(w / w_scale[:, None]).clamp(-qmax, qmax); q_bias = torch.round(bias / "
        "(x_scale * w_scale)); multiplier = x_scale * w_scale / y_scale. The first two .to("
        "torch.int32).",
    ),
    misconceptions=MISCONCEPTIONS,
)
