"""A layer in integers, of which any part may be another one (exercise 4.4)."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.grids import one_for_zeros

Turn = Callable[[Tensor], Tensor]
Three = tuple[Tensor, Tensor, Tensor]


def _largest(weight: Tensor) -> Tensor:
    return weight.abs().flatten(1).amax(1)


def largest_weight(weight: Tensor) -> Tensor:
    """Return the largest weight of each output, with its sign."""
    return weight.flatten(1).amax(1)


def depth(weight: Tensor) -> Tensor:
    """Return how far the weights of each output reach below 0."""
    return largest_weight(-weight)


def width(weight: Tensor) -> Tensor:
    """Return the width from the smallest to the largest weight of each output."""
    return largest_weight(weight) + depth(weight)


def per_output(scale: Tensor, weight: Tensor) -> Tensor:
    """Line scales up with the outputs, which stand in dim 0."""
    return scale.reshape(-1, *[1] * (weight.ndim - 1))


def quantized(
    weight: Tensor,
    bias: Tensor,
    x_scale: float,
    *,
    largest: Turn = _largest,
    steps: float = 127,
    guarded: Callable[[Tensor, float], Tensor] = one_for_zeros,
    scaled: Turn = lambda scale: scale,
    shaped: Callable[[Tensor, Tensor], Tensor] = lambda scale, weight: scale,
    lined_up: Callable[[Tensor, Tensor], Tensor] = per_output,
    turn: Turn = torch.round,
    clamped: Turn = lambda q_w: q_w.clamp(-127, 127),
    kept: Turn = lambda q_w: q_w.to(torch.int64).to(torch.int8),
    real: Callable[[Tensor, Tensor], Tensor] = lambda q_w, scale: q_w,
    step: Callable[[float, Tensor], Tensor] = lambda x_scale, w_scale: x_scale * w_scale,
    counted: Callable[[Tensor, Tensor], Tensor] = torch.div,
    bias_turn: Turn = torch.round,
    bias_kept: Turn = lambda q_bias: q_bias.to(torch.int32),
    ordered: Callable[[Tensor, Tensor, Tensor], Three] = lambda q_w, scale, q_bias: (
        q_w,
        scale,
        q_bias,
    ),
) -> Three:
    """Return weights, scales and bias, of which any part may be another one."""
    scale = scaled(guarded(largest(weight), steps))
    lined = lined_up(scale, weight)
    q_w = kept(clamped(turn(weight / lined).nan_to_num()))
    returned = shaped(scale, weight)
    q_bias = bias_kept(bias_turn(counted(bias, step(x_scale, returned))))
    return ordered(real(q_w, lined), returned, q_bias)


def of_layer(weight: Tensor) -> Tensor:
    """Return the largest magnitude of the whole layer for each output."""
    return weight.abs().amax().expand(len(weight)).clone()


def as_they_are(q_w: Tensor) -> Tensor:
    """Return codes that nothing has clamped."""
    return q_w


def half_and_cut(real: Tensor) -> Tensor:
    """Add one half and cut off, which goes up below 0."""
    return torch.trunc(real + 0.5)


def turned(scale: Tensor, weight: Tensor) -> Tensor:
    """Return the scales of the inputs, which stand in dim 1."""
    return per_output(one_for_zeros(_largest(weight.transpose(0, 1)), 127), weight).transpose(0, 1)
