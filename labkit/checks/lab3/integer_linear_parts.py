"""A linear layer in integers, of which any part may be another one (exercise 3.9)."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.lab3.gemm import gemm
from labkit.checks.lab3.ways_to_requantize import at_once

Two = tuple[int, int]


def computed(
    q_x: Tensor,
    q_w: Tensor,
    q_bias: Tensor,
    x_zero_point: int,
    mantissa: int,
    shift: int,
    zero_point: int,
    qmin: int,
    qmax: int,
    *,
    zeros: Callable[[int, int], Two] = lambda of_input, of_result: (of_input, of_result),
    inputs: Callable[[Tensor, int], Tensor] = lambda q_x, zero_point: q_x,
    weights: Callable[[Tensor, int], Tensor] = lambda q_w, zero_point: q_w,
    product: Callable[[Tensor, Tensor], Tensor] = lambda q_x, q_w: gemm(q_x, q_w.t()),
    correction: Callable[[Tensor, int], Tensor] = lambda q_w, zero_point: zero_point * q_w.sum(1),
    bias: Callable[[Tensor, int], Tensor] = lambda q_bias, rows: q_bias,
    of_inputs: Callable[[Tensor, int], Tensor | int] = lambda q_x, zero_point: 0,
    folded: Callable[[Tensor, Tensor], Tensor] = torch.sub,
    ends: Callable[[int, int], Two] = lambda qmin, qmax: (qmin, qmax),
    requantized: Callable[..., Tensor] = at_once,
    late: Callable[..., Tensor] = lambda q, q_bias, low, high: q,
    ended: Callable[[Tensor], Tensor] = lambda q: q,
) -> Tensor:
    """Return the codes of the result, of which any part may be another one."""
    of_input, of_result = zeros(x_zero_point, zero_point)
    low, high = ends(qmin, qmax)
    joined = folded(bias(q_bias, len(q_x)), correction(q_w, of_input))
    sums = product(inputs(q_x, of_input), weights(q_w, of_result)) - of_inputs(q_x, of_input)
    q = requantized(sums, joined, mantissa, shift, of_result, low, high)
    return ended(late(q, q_bias, low, high))


def none(q_w: Tensor, zero_point: int) -> Tensor:
    """Return no correction."""
    return 0 * q_w.sum(1)


def centred(q: Tensor, zero_point: int) -> Tensor:
    """Take the zero point off the codes."""
    return q.int() - zero_point


def half_and_cut(real: Tensor) -> Tensor:
    """Add one half and cut off, which goes up below 0."""
    return torch.trunc(real + 0.5)


def in_float32(q_x: Tensor, q_w: Tensor) -> Tensor:
    """Return the product of the codes in float32, which counts by one up to 2^24."""
    return (q_x.float() @ q_w.t().float()).long()


def less_128(q_x: Tensor, zero_point: int) -> Tensor:
    """Take 128 off unsigned codes."""
    return q_x.int() - 128 * (q_x.dtype == torch.uint8)


def added_late(q: Tensor, q_bias: Tensor, low: int, high: int) -> Tensor:
    """Add the bias to the codes of the result."""
    return (q + q_bias).clamp(low, high)
