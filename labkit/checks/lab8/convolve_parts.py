"""A convolution by loops of which any part may be another one, for exercise 8.9."""

from collections.abc import Callable
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor


def made(
    q_x: Tensor,
    q_w: Tensor,
    q_bias: Tensor,
    x_zero_point: int,
    stride: int,
    padding: int,
    *,
    shifted: Callable[[Tensor, int], Tensor] = lambda q, z: q.double() - z,
    outside: Callable[[int], float] = lambda z: 0.0,
    kernel: Callable[[Tensor], Tensor] = torch.clone,
    biases: Callable[[Tensor, Tensor], Tensor] = lambda q_bias, q_w: q_bias,
    given: Callable[[Tensor], Tensor] = torch.clone,
) -> Tensor:
    """Return the accumulators, int64; misconceptions change parts of this."""
    x, value = shifted(q_x, x_zero_point), outside(x_zero_point)
    q_w = kernel(q_w)
    return given(convolved(x, q_w, biases(q_bias, q_w), stride, padding, value))


def convolved(
    x: Tensor, q_w: Tensor, q_bias: Tensor, stride: int | tuple[int, int], padding: int, value=0.0
) -> Tensor:
    """Return the sums of an image of numbers, padded with `value`: exact in float64."""
    x = F.pad(x.double().permute(2, 0, 1)[None], [padding] * 4, value=float(value))
    acc = F.conv2d(x, q_w.double().permute(0, 3, 1, 2), q_bias.double(), stride)
    return acc[0].permute(1, 2, 0).round().long()


def padded(before: int, after: int) -> Callable[..., Tensor]:
    """Return the answer with so many times the padding before the first pixel, and at the end."""

    def wrong(q_x, q_w, q_bias, x_zero_point, stride, padding):
        x = (q_x.double() - x_zero_point).permute(2, 0, 1)
        x = F.pad(x, 2 * [before * padding, after * padding]).permute(1, 2, 0)
        return convolved(x, q_w, q_bias, stride, 0)

    return wrong


def by_loops(
    place: Callable[..., tuple[int, int]], skip_below: bool = True
) -> Callable[..., Tensor]:
    """Return the answer by loops that reads the pixel ``place(i, j, r, s, stride, padding)``."""

    def wrong(q_x, q_w, q_bias, x_zero_point, stride, padding):
        rows, columns = q_w.shape[1:3]
        height, width = (
            (n + 2 * padding - k) // stride + 1
            for n, k in zip(q_x.shape[:2], (rows, columns), strict=True)
        )
        x, w = q_x.double() - x_zero_point, q_w.double()
        acc = q_bias.double().repeat(height, width, 1)
        for i, j, r, s in product(*map(range, (height, width, rows, columns))):
            y, z = place(i, j, r, s, stride, padding)
            inside = y < len(x) and z < x.shape[1] and (min(y, z) >= 0 or not skip_below)
            acc[i, j] += w[:, r, s] @ x[y, z] if inside else 0
        return acc.to(torch.int64)

    return wrong
