"""Exercise 5.7: what the integer layer stores."""

from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn, uniform
from labkit.checks.lab5.inputs import between_ties
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
        return Case(label, (codes * w_scale[:, None], w_scale, bias, x_scale, y_scale, qmax))

    return [
        case("one output", 7, 0, 1, 2),
        case("as many outputs as inputs", 7, 0, 4, 4),
        case("4 bits", 7, 0, 3, 5),
        case("weights beyond the last code", 7, 4, 4, 6),
        case("ternary", 1, 2, 5, 4),
        case("8 bits", 127, 10, 6, 7),
    ]


def _with(change: str, *args: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return the answer with one of the three made as in a known mistake."""
    w, w_scale, bias, x_scale, y_scale, qmax = args
    q_w, q_bias, multiplier = integer_layer(*args)
    if change == "unclamped":
        q_w = torch.round(w / w_scale[:, None]).to(torch.int32)
    elif change == "transposed":
        q_w = torch.round(w / w_scale.mean()).clamp(-qmax, qmax).to(torch.int32)
    elif change == "bias at w_scale":
        q_bias = torch.round(bias / w_scale).to(torch.int32)
    elif change == "bias at x_scale":
        q_bias = torch.round(bias / x_scale).to(torch.int32)
    elif change == "bias at y_scale":
        q_bias = torch.round(bias / y_scale).to(torch.int32)
    elif change == "bias clamped":
        q_bias = q_bias.clamp(-qmax, qmax)
    elif change == "along the inputs" and w.shape[0] == w.shape[1]:
        q_w = torch.round(w / w_scale).clamp(-qmax, qmax).to(torch.int32)
    elif change == "cut off":
        q_w = (w / w_scale[:, None]).clamp(-qmax, qmax).to(torch.int32)
        q_bias = (bias / (x_scale * w_scale)).to(torch.int32)
    elif change == "one code more":
        q_w = torch.round(w / w_scale[:, None]).clamp(-qmax - 1, qmax).to(torch.int32)
    elif change == "no input scale":
        multiplier = w_scale / y_scale
    elif change == "upside down":
        multiplier = 1 / multiplier
    elif change == "times the output scale":
        multiplier = x_scale * w_scale * y_scale
    elif change == "no output scale":
        multiplier = x_scale * w_scale
    return q_w, q_bias, multiplier


def _one_multiplier(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
    q_w, q_bias, multiplier = integer_layer(*args)
    return q_w, q_bias, multiplier.max().expand(len(multiplier))


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
    misconceptions=(
        Misconception(
            "does not clamp the weights",
            lambda *args: _with("unclamped", *args),
            "In training they were clamped to [-qmax, qmax]: without that it is another network.",
        ),
        Misconception(
            "uses one scale for all outputs",
            lambda *args: _with("transposed", *args),
            "Each output, a row of w, has its own scale: w_scale[:, None].",
        ),
        Misconception(
            "quantizes the bias at the scale of the weights",
            lambda *args: _with("bias at w_scale", *args),
            "The bias joins sums of q_x * q_w, which count in steps of S_x * S_w.",
        ),
        Misconception(
            "quantizes the bias at the scale of the output",
            lambda *args: _with("bias at y_scale", *args),
            "The bias is added before requantization, to sums in steps of S_x * S_w.",
        ),
        Misconception(
            "clamps the bias to the codes of the weights",
            lambda *args: _with("bias clamped", *args),
            "The bias is an int32 beside the accumulator: it needs no clamp to qmax.",
        ),
        Misconception(
            "has the multiplier upside down",
            lambda *args: _with("upside down", *args),
            "acc * S_x * S_w is the real result; divided by S_y it is a code: S_x * S_w / S_y.",
        ),
        Misconception(
            "multiplies by the output scale",
            lambda *args: _with("times the output scale", *args),
            "acc * S_x * S_w is the real result. To become a code it is divided by S_y.",
        ),
        Misconception(
            "leaves the output scale out of the multiplier",
            lambda *args: _with("no output scale", *args),
            "acc * S_x * S_w is the real result. To become a code it is divided by S_y.",
        ),
        Misconception(
            "uses the scales along the inputs",
            lambda *args: _with("along the inputs", *args),
            "w / w_scale spreads the scales over the columns. They belong to the rows, the "
            "outputs: w_scale[:, None].",
        ),
        Misconception(
            "cuts off instead of rounding",
            lambda *args: _with("cut off", *args),
            "Converting to an integer dtype drops what is behind the point: torch.round first.",
        ),
        Misconception(
            "quantizes the bias at the scale of the input",
            lambda *args: _with("bias at x_scale", *args),
            "The bias joins sums of q_x * q_w, which count in steps of S_x * S_w.",
        ),
        Misconception(
            "uses the code -qmax - 1",
            lambda *args: _with("one code more", *args),
            "The range is narrow, -qmax to qmax, as it was in training.",
        ),
        Misconception(
            "leaves the input scale out of the multiplier",
            lambda *args: _with("no input scale", *args),
            "The accumulator counts in steps of S_x * S_w: M = S_x S_w / S_y.",
        ),
        Misconception(
            "uses the largest multiplier for all outputs",
            _one_multiplier,
            "Each output has its own: x_scale * w_scale[c] / y_scale.",
        ),
    ),
)
