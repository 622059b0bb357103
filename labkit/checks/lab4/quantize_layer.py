"""Exercise 4.4: a layer's weights and bias as integers."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import SCALE, randn, uniform
from labkit.checks.lab4.layer_slips import MISCONCEPTIONS
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
    misconceptions=MISCONCEPTIONS,
)
