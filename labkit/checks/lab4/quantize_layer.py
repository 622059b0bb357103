"""Exercise 4.4: a layer's weights and bias as integers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import SCALE, randn, uniform
from labkit.checks.rules import Codes


def quantize_layer(weight: Tensor, bias: Tensor, x_scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return int8 weights, their scale a channel, and the bias, which must fit in int32."""
    w_scale = _scale_of(weight)
    q_w = torch.round(weight / _per_output(w_scale, weight)).clamp(-127, 127).to(torch.int8)
    return q_w, w_scale, _bias(bias, x_scale, w_scale)


def _scale_of(weight: Tensor) -> Tensor:
    scale = weight.abs().flatten(1).amax(1) / 127
    return torch.where(scale == 0, 1.0, scale)


def _per_output(w_scale: Tensor, weight: Tensor) -> Tensor:
    return w_scale.reshape(-1, *[1] * (weight.ndim - 1))


def _bias(bias: Tensor, x_scale: float, w_scale: Tensor) -> Tensor:
    return torch.round(bias / (x_scale * w_scale)).to(torch.int32)


def _unrounded_weight(weight: Tensor, bias: Tensor, x_scale: float) -> tuple[Tensor, int, int]:
    return weight.double() / _per_output(_scale_of(weight).double(), weight), -127, 127


def _unrounded_bias(weight: Tensor, bias: Tensor, x_scale: float) -> tuple[Tensor, int, int]:
    return bias.double() / (x_scale * _scale_of(weight).double()), -(2**31), 2**31 - 1


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, shape: tuple[int, ...], most: int = 2000, dead: int = -1) -> Case:
        weight = randn(rng, *shape) * torch.linspace(0.2, 3, shape[0]).reshape(
            -1, *[1] * (len(shape) - 1)
        )
        if dead >= 0:
            weight[dead] = 0
        x_scale = uniform(rng, 0.01, 0.3)
        steps = torch.randint(-most, most + 1, (shape[0],), generator=rng).double()
        steps += 0.6 * (torch.rand(shape[0], generator=rng) - 0.5)  # away from ties
        return Case(label, (weight, (steps * x_scale * _scale_of(weight)).float(), x_scale))

    return [
        case("one output", (1, 3)),
        case("a linear layer", (3, 4)),
        case("as many outputs as inputs", (4, 4)),
        case("a convolution", (3, 2, 3, 3)),
        case("a depthwise convolution", (5, 1, 3, 3)),
        case("biases of more than 16 bits", (4, 3, 1, 1), 90000),
        case("a channel of zeros", (4, 1, 3, 3), 2000, 2),
    ]


def _with_scale(choose: Callable[[Tensor], Tensor], least: int = -127) -> Callable[..., Any]:
    """Return the answer with scales chosen in another way."""

    def wrong(weight: Tensor, bias: Tensor, x_scale: float) -> tuple[Tensor, Tensor, Tensor]:
        w_scale = choose(weight)
        q_w = torch.round(weight / _per_output(w_scale, weight)).clamp(least, 127).to(torch.int8)
        return q_w, w_scale, _bias(bias, x_scale, w_scale)

    return wrong


def _with_wrapped_codes(choose: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    """Return the answer with scales chosen in another way, and no clamp."""

    def wrong(weight: Tensor, bias: Tensor, x_scale: float) -> tuple[Tensor, Tensor, Tensor]:
        w_scale = choose(weight)
        q_w = torch.round(weight / _per_output(w_scale, weight)).to(torch.int64).to(torch.int8)
        return q_w, w_scale, _bias(bias, x_scale, w_scale)

    return wrong


def _with_weight(turn: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    """Return the answer with weights turned into integers in another way."""

    def wrong(weight: Tensor, bias: Tensor, x_scale: float) -> tuple[Tensor, Tensor, Tensor]:
        _, w_scale, q_bias = quantize_layer(weight, bias, x_scale)
        return turn(weight / _per_output(w_scale, weight)).to(torch.int8), w_scale, q_bias

    return wrong


def _fake_weights(weight: Tensor, bias: Tensor, x_scale: float) -> tuple[Tensor, Tensor, Tensor]:
    q_w, w_scale, q_bias = quantize_layer(weight, bias, x_scale)
    return q_w * _per_output(w_scale, weight), w_scale, q_bias


def _with_bias(choose: Callable[[Tensor, float, Tensor], Tensor]) -> Callable[..., Any]:
    """Return the answer with another bias."""

    def wrong(weight: Tensor, bias: Tensor, x_scale: float) -> tuple[Tensor, Tensor, Tensor]:
        q_w, w_scale, _ = quantize_layer(weight, bias, x_scale)
        return q_w, w_scale, choose(bias, x_scale, w_scale)

    return wrong


def _bias_cut_off(bias: Tensor, x_scale: float, w_scale: Tensor) -> Tensor:
    return (bias / (x_scale * w_scale)).to(torch.int32)


def _both_cut_off(weight: Tensor, bias: Tensor, x_scale: float) -> tuple[Tensor, Tensor, Tensor]:
    q_w, w_scale, _ = _with_weight(torch.trunc)(weight, bias, x_scale)
    return q_w, w_scale, _bias_cut_off(bias, x_scale, w_scale)


def _one_scale(weight: Tensor) -> Tensor:
    return _scale_of(weight.reshape(1, -1)).expand(len(weight)).clone()


def _without_sign(weight: Tensor) -> Tensor:
    scale = weight.flatten(1).amax(1).abs() / 127
    return torch.where(scale == 0, 1.0, scale)


def _zero_scale(weight: Tensor, bias: Tensor, x_scale: float) -> tuple[Tensor, Tensor, Tensor]:
    w_scale = weight.abs().flatten(1).amax(1) / 127
    q_w = torch.round(weight / _per_output(w_scale, weight)).nan_to_num().to(torch.int8)
    return q_w, w_scale, _bias(bias, x_scale, w_scale)


NO_ABS = "A channel may have its largest weight below 0: take abs() first."
TINY = (
    "That avoids 0 / 0, but its bias would then count billions of steps. A channel of zeros has "
    "the scale 1 here."
)
BY_127 = "The largest weight has the code 127: divide its magnitude by 127."


def _along_the_inputs(
    weight: Tensor, bias: Tensor, x_scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    _, w_scale, q_bias = quantize_layer(weight, bias, x_scale)
    turned = weight.transpose(0, 1)
    q_w = torch.round(turned / _per_output(_scale_of(turned), turned)).transpose(0, 1)
    return q_w.to(torch.int8), w_scale, q_bias


QUANTIZE_LAYER = Exercise(
    id="4.4",
    title="A layer as integers",
    points=3,
    minutes=(10, 15),
    reference=quantize_layer,
    cases=_cases,
    rules=(
        Codes(unrounded=_unrounded_weight),
        SCALE,
        Codes(unrounded=_unrounded_bias),
    ),
    names=("q_w", "w_scale", "q_bias"),
    hints=(
        "Three things to return. Only the scale needs thought: one number for each output "
        "channel. What are the channels of a tensor [out, in, height, width]?",
        "weight.abs().flatten(1).amax(1) is the largest magnitude of each channel. Over 127 it is "
        "the scale; where it is 0, take 1 instead. Reshape it to [-1, 1, 1, 1] to divide by it.",
        "w_scale = torch.where(largest == 0, 1.0, largest / 127); q_w = torch.round(weight / "
        "w_scale.reshape(-1, *[1] * (weight.ndim - 1))).to(torch.int8); q_bias = torch.round(bias "
        "/ (x_scale * w_scale)).to(torch.int32).",
    ),
    misconceptions=(
        Misconception(
            "uses one scale for the whole layer",
            _with_scale(_one_scale),
            "Each output channel has its own scale: w_scale has shape [out].",
        ),
        Misconception(
            "looks at the largest weight instead of the largest magnitude",
            _with_scale(_without_sign),
            NO_ABS,
        ),
        Misconception(
            "looks at the largest weight instead of the largest magnitude, so that codes wrap",
            _with_wrapped_codes(_without_sign),
            NO_ABS,
        ),
        Misconception(
            "divides by 128",
            _with_scale(lambda weight: _scale_of(weight * 127 / 128)),
            BY_127,
        ),
        Misconception(
            "divides by 128, and uses the code -128",
            _with_scale(lambda weight: _scale_of(weight * 127 / 128), least=-128),
            BY_127,
        ),
        Misconception(
            "divides by 128, so that the largest weight wraps",
            _with_wrapped_codes(lambda weight: _scale_of(weight * 127 / 128)),
            BY_127,
        ),
        Misconception(
            "gives a channel of zeros the scale 0",
            _zero_scale,
            "A channel of zeros has no range, and 0 / 0 is NaN: take the scale 1 for it.",
        ),
        Misconception(
            "counts the bias in steps of the weights",
            _with_bias(lambda bias, x_scale, w_scale: _bias(bias, 1.0, w_scale)),
            "The bias joins sums of q_x q_w: its step is x_scale * w_scale.",
        ),
        Misconception(
            "counts the bias in steps of the input",
            _with_bias(lambda bias, x_scale, w_scale: _bias(bias, x_scale, w_scale**0)),
            "The bias joins sums of q_x q_w: its step is x_scale * w_scale, another one for each "
            "output.",
        ),
        Misconception(
            "keeps the bias to 8 bits",
            _with_bias(
                lambda bias, x_scale, w_scale: _bias(bias, x_scale, w_scale).clamp(-127, 127)
            ),
            "The bias is an int32, like the accumulator it is added to.",
        ),
        Misconception(
            "gives a channel of zeros a tiny scale",
            _with_scale(lambda weight: weight.abs().flatten(1).amax(1).clamp(min=1e-8) / 127),
            TINY,
        ),
        Misconception(
            "gives a channel of zeros a tiny scale",
            _with_scale(lambda weight: (weight.abs().flatten(1).amax(1) / 127).clamp(min=1e-8)),
            TINY,
        ),
        Misconception(
            "cuts weights and bias off instead of rounding them",
            _both_cut_off,
            "Converting to an integer dtype drops what is behind the point: torch.round first.",
        ),
        Misconception(
            "cuts the weights off instead of rounding them",
            _with_weight(torch.trunc),
            "Converting to int8 drops what is behind the point: torch.round first.",
        ),
        Misconception(
            "makes the weights real again",
            _fake_weights,
            "The layer stores codes. Multiplying them by the scale is the product's business.",
        ),
        Misconception(
            "cuts the bias off instead of rounding it",
            _with_bias(_bias_cut_off),
            "Converting to int32 drops what is behind the point: torch.round first.",
        ),
        Misconception(
            "returns the bias before the scales",
            lambda *args: tuple(quantize_layer(*args)[i] for i in (0, 2, 1)),
            "The order is q_w, w_scale, q_bias.",
        ),
        Misconception(
            "divides the weights by scales along the inputs",
            _along_the_inputs,
            "w_scale[c] belongs to output c, dim 0 of the weights: reshape it to [-1, 1, ...].",
        ),
    ),
)
