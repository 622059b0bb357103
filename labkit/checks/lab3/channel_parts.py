"""A layer with a scale for each output, of which any part may be another one (exercise 3.15)."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.lab3.gemm import gemm
from labkit.checks.lab3.inputs import INT32

Scales = Callable[[Tensor], Tensor]
Clamp = Callable[[Tensor, int, int], Tensor]


def converted(
    q_x: Tensor,
    q_w: Tensor,
    bias: Tensor,
    x_scale: float,
    x_zero_point: int,
    w_scale: Tensor,
    y_scale: float,
    zero_point: int,
    qmin: int,
    qmax: int,
    *,
    scales: Scales = lambda w_scale: w_scale,
    of_bias: Scales = lambda w_scale: w_scale,
    of_multiplier: Scales = lambda w_scale: w_scale,
    step: Callable[[float, Tensor], Tensor] = lambda x_scale, w_scale: x_scale * w_scale,
    bias_turn: Scales = torch.round,
    held: Scales = lambda q_bias: q_bias.clamp(*INT32),
    inputs: Callable[[Tensor, int], Tensor] = lambda q_x, zero_point: q_x.int() - zero_point,
    biased: Callable[[Tensor, Tensor], Tensor] = torch.add,
    multiplier: Callable[[float, Tensor, float], Tensor] = lambda x, w, y: x * w / y,
    before: Callable[[Tensor, Tensor], Tensor] = lambda real, bias: real,
    turn: Scales = torch.round,
    late: Callable[[Tensor, Tensor, float], Tensor] = lambda q, bias, y_scale: q,
    early: Clamp = lambda q, qmin, qmax: q,
    added: Callable[[Tensor, int], Tensor] = torch.add,
    clamped: Clamp = torch.clamp,
    ended: Scales = lambda q: q.to(torch.int32),
) -> Tensor:
    """Return the codes of the result, of which any part may be another one."""
    w_scale = scales(w_scale.double()).expand(len(w_scale))
    acc = gemm(inputs(q_x, x_zero_point), q_w.t())
    q_bias = held(bias_turn(bias.double() / step(x_scale, of_bias(w_scale))))
    real = biased(acc, q_bias) * multiplier(x_scale, of_multiplier(w_scale), y_scale)
    q = late(turn(before(real, bias)), bias, y_scale)
    return ended(clamped(added(early(q, qmin, qmax), zero_point), qmin, qmax))


def bias_of_result(q: Tensor, bias: Tensor, y_scale: float) -> Tensor:
    """Add the bias in steps of the result."""
    return q + torch.round(bias.double() / y_scale)


def without_bias(acc: Tensor, q_bias: Tensor) -> Tensor:
    """Return the accumulators as they are."""
    return acc.double()


def along_inputs(
    q_x: Tensor,
    q_w: Tensor,
    bias: Tensor,
    x_scale: float,
    x_zero_point: int,
    w_scale: Tensor,
    y_scale: float,
    *output: int,
) -> Tensor:
    """Return the codes where the scales of the weights lie along the inputs."""
    zero_point, qmin, qmax = output
    y = x_scale * (q_x.int() - x_zero_point) @ (q_w * w_scale).t() + bias
    return (torch.round(y / y_scale) + zero_point).clamp(qmin, qmax).int()


def in_bits(bits: int) -> Callable[[float, Tensor, float], Tensor]:
    """Return a multiplier that is rounded to so many bits behind the point."""
    return lambda x, w, y: torch.round(x * w / y * 2**bits) / 2**bits


def as_power(turn: Scales) -> Callable[[float, Tensor, float], Tensor]:
    """Return a multiplier that is a power of two, the one that `turn` chooses."""
    return lambda x, w, y: 2 ** turn(torch.log2(x * w / y))
