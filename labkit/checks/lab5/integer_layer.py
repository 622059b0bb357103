"""Exercise 5.7: what the integer layer stores."""

from collections.abc import Callable
from functools import partial

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


def _joined(
    w: Tensor,
    w_scale: Tensor,
    bias: Tensor,
    x_scale: float,
    y_scale: float,
    qmax: int,
    *,
    spread: Callable[[Tensor], Tensor] = lambda w_scale: w_scale[:, None],
    steps: Callable[[Tensor, Tensor], Tensor] = torch.div,
    turn: Callable[[Tensor], Tensor] = torch.round,
    limit: Callable[[Tensor, int], Tensor] = lambda q, qmax: q.clamp(-qmax, qmax),
    bias_scale: Callable[..., Tensor] = lambda s_x, s_w, s_y: s_x * s_w,
    bias_turn: Callable[[Tensor], Tensor] = torch.round,
    bias_limit: Callable[[Tensor, int], Tensor] = lambda q, qmax: q,
    factor: Callable[..., Tensor] = lambda s_x, s_w, s_y: s_x * s_w / s_y,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return codes, bias and multiplier, of which any part may be another one."""
    scales = x_scale, w_scale, y_scale
    q_w = limit(turn(steps(w, spread(w_scale))), qmax)
    q_bias = bias_limit(bias_turn(bias / bias_scale(*scales)), qmax)
    return q_w.to(torch.int32), q_bias.to(torch.int32), factor(*scales)


def _along_inputs(w_scale: Tensor, w: Tensor) -> Tensor:
    return w_scale if w.shape[0] == w.shape[1] else w_scale[:, None]


def _for_squares(
    w: Tensor, w_scale: Tensor, bias: Tensor, x_scale: float, y_scale: float, qmax: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the answer with the scales along the inputs, where that is no error."""
    along = partial(_joined, spread=lambda w_scale: _along_inputs(w_scale, w))
    return along(w, w_scale, bias, x_scale, y_scale, qmax)


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
            partial(_joined, limit=lambda q, qmax: q),
            "In training they were clamped to [-qmax, qmax]: without that it is another network.",
        ),
        Misconception(
            "uses one scale for all outputs",
            partial(_joined, spread=torch.mean),
            "Each output, a row of w, has its own scale: w_scale[:, None].",
        ),
        Misconception(
            "uses the largest scale for all outputs",
            partial(_joined, spread=torch.max),
            "Each output, a row of w, has its own scale: w_scale[:, None].",
        ),
        Misconception(
            "multiplies the weights by their scales",
            partial(_joined, steps=torch.mul),
            "A code counts steps: divide w by w_scale[:, None].",
        ),
        Misconception(
            "quantizes the bias at the scale of the weights",
            partial(_joined, bias_scale=lambda s_x, s_w, s_y: s_w),
            "The bias joins sums of q_x * q_w, which count in steps of S_x * S_w.",
        ),
        Misconception(
            "quantizes the bias at the scale of the output",
            partial(_joined, bias_scale=lambda s_x, s_w, s_y: s_y),
            "The bias is added before requantization, to sums in steps of S_x * S_w.",
        ),
        Misconception(
            "quantizes the bias at the scale of the input",
            partial(_joined, bias_scale=lambda s_x, s_w, s_y: s_x),
            "The bias joins sums of q_x * q_w, which count in steps of S_x * S_w.",
        ),
        Misconception(
            "divides the bias by the multiplier",
            partial(_joined, bias_scale=lambda s_x, s_w, s_y: s_x * s_w / s_y),
            "The bias is added before the multiplier has its turn: it counts in steps of S_x * "
            "S_w.",
        ),
        Misconception(
            "divides the bias by S_x alone, and multiplies it by S_w",
            partial(_joined, bias_scale=lambda s_x, s_w, s_y: s_x / s_w),
            "Without brackets, bias / x_scale * w_scale multiplies by w_scale: bias / (x_scale * "
            "w_scale).",
        ),
        Misconception(
            "multiplies the bias by its scale",
            partial(_joined, bias_scale=lambda s_x, s_w, s_y: 1 / (s_x * s_w)),
            "A code counts steps: divide the bias by x_scale * w_scale.",
        ),
        Misconception(
            "quantizes the bias at one scale for all outputs",
            partial(_joined, bias_scale=lambda s_x, s_w, s_y: s_x * s_w.max()),
            "Each output has its own step, S_x * S_w, and its bias counts in that.",
        ),
        Misconception(
            "rounds the bias without dividing it by its step",
            partial(_joined, bias_scale=lambda s_x, s_w, s_y: torch.ones_like(s_w)),
            "The bias joins sums that count in steps of S_x * S_w: divide by that, then round.",
        ),
        Misconception(
            "clamps the bias to the codes of the weights",
            partial(_joined, bias_limit=lambda q, qmax: q.clamp(-qmax, qmax)),
            "The bias is an int32 beside the accumulator: it needs no clamp to qmax.",
        ),
        Misconception(
            "clamps the bias to 8 bits",
            partial(_joined, bias_limit=lambda q, qmax: q.clamp(-128, 127)),
            "The bias is an int32 beside the accumulator: it needs no clamp.",
        ),
        Misconception(
            "has the multiplier upside down",
            partial(_joined, factor=lambda s_x, s_w, s_y: s_y / (s_x * s_w)),
            "acc * S_x * S_w is the real result; divided by S_y it is a code: S_x * S_w / S_y.",
        ),
        Misconception(
            "multiplies by the output scale",
            partial(_joined, factor=lambda s_x, s_w, s_y: s_x * s_w * s_y),
            "acc * S_x * S_w is the real result. To become a code it is divided by S_y.",
        ),
        Misconception(
            "leaves the output scale out of the multiplier",
            partial(_joined, factor=lambda s_x, s_w, s_y: s_x * s_w),
            "acc * S_x * S_w is the real result. To become a code it is divided by S_y.",
        ),
        Misconception(
            "leaves the input scale out of the multiplier",
            partial(_joined, factor=lambda s_x, s_w, s_y: s_w / s_y),
            "The accumulator counts in steps of S_x * S_w: M = S_x S_w / S_y.",
        ),
        Misconception(
            "leaves the scale of the weights out of the multiplier",
            partial(_joined, factor=lambda s_x, s_w, s_y: s_x / s_y * torch.ones_like(s_w)),
            "The accumulator counts in steps of S_x * S_w: M = S_x S_w / S_y, one for each output.",
        ),
        Misconception(
            "has x_scale and y_scale exchanged in the multiplier",
            partial(_joined, factor=lambda s_x, s_w, s_y: s_y * s_w / s_x),
            "From steps of S_x * S_w to steps of S_y: M = S_x S_w / S_y.",
        ),
        Misconception(
            "uses the largest multiplier for all outputs",
            partial(_joined, factor=lambda s_x, s_w, s_y: (s_x * s_w / s_y).max().expand(len(s_w))),
            "Each output has its own: x_scale * w_scale[c] / y_scale.",
        ),
        Misconception(
            "uses the scales along the inputs",
            _for_squares,
            "w / w_scale spreads the scales over the columns. They belong to the rows, the "
            "outputs: w_scale[:, None].",
        ),
        Misconception(
            "cuts off instead of rounding",
            partial(_joined, turn=torch.trunc, bias_turn=torch.trunc),
            "Converting to an integer dtype drops what is behind the point: torch.round first.",
        ),
        Misconception(
            "cuts the weights off instead of rounding them",
            partial(_joined, turn=torch.trunc),
            "Converting to an integer dtype drops what is behind the point: torch.round first.",
        ),
        Misconception(
            "cuts the bias off instead of rounding it",
            partial(_joined, bias_turn=torch.trunc),
            "Converting to an integer dtype drops what is behind the point: torch.round first.",
        ),
        Misconception(
            "rounds the weights down",
            partial(_joined, turn=torch.floor),
            "Training rounded to the nearest code: torch.round.",
        ),
        Misconception(
            "rounds the bias down",
            partial(_joined, bias_turn=torch.floor),
            "A code is the nearest integer: torch.round.",
        ),
        Misconception(
            "uses the code -qmax - 1",
            partial(_joined, limit=lambda q, qmax: q.clamp(-qmax - 1, qmax)),
            "The range is narrow, -qmax to qmax, as it was in training.",
        ),
        Misconception(
            "clamps to 8 bits, whatever qmax is",
            partial(_joined, limit=lambda q, qmax: q.clamp(-128, 127)),
            "The range is an argument: clamp the weights to -qmax and qmax.",
        ),
        Misconception(
            "gives the weights unsigned codes",
            partial(_joined, limit=lambda q, qmax: q.clamp(0, qmax)),
            "Weights have both signs: the codes go from -qmax to qmax.",
        ),
    ),
)
