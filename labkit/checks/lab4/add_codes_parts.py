"""A sum of codes on different grids, of which any part may be another one (exercise 4.5)."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

Grid = tuple[float, int]


def real_values(q: Tensor, grid: Grid) -> Tensor:
    """Return what codes stand for."""
    scale, zero_point = grid
    return (q.double() - zero_point) * scale


def clamped_real(q_a: Tensor, a: Grid, q_b: Tensor, b: Grid, y: Grid, relu: bool) -> Tensor:
    """Return the codes where a ReLU clamps real numbers at the zero point."""
    real = real_values(q_a, a) + real_values(q_b, b)
    clamped = real.clamp(min=y[1]) if relu else real
    return as_bytes((torch.round(clamped / y[0]) + y[1]).clamp(0, 255))


def in_bits(bits: int) -> Callable[[Tensor, float, float], Tensor]:
    """Return steps by a factor that is rounded to so many bits behind the point."""
    return lambda q, scale, y_scale: q * round(scale / y_scale * 2**bits) / 2**bits


def as_bytes(q: Tensor) -> Tensor:
    """Return uint8, in which codes beyond its ends wrap."""
    return q.to(torch.int64).to(torch.uint8)


def added(
    q_a: Tensor,
    a: Grid,
    q_b: Tensor,
    b: Grid,
    y: Grid,
    relu: bool,
    *,
    second: Callable[[Grid, Grid], Grid] = lambda a, b: b,
    zeros: Callable[[int, int], tuple[int, int]] = lambda a, b: (a, b),
    centred: Callable[[Tensor, int], Tensor] = lambda q, zero_point: q.double() - zero_point,
    result: Callable[[Grid, Grid, Grid], Grid] = lambda a, b, y: y,
    steps: Callable[[Tensor, float, float], Tensor] = lambda q, scale, y_scale: q * scale / y_scale,
    each: Callable[[Tensor, bool], Tensor] = lambda steps, relu: steps,
    turn: Callable[[Tensor], Tensor] = torch.round,
    shifted: Callable[[Tensor, int], Tensor] = torch.add,
    low: Callable[[int, bool], int | None] = lambda zero_point, relu: zero_point if relu else 0,
    high: Callable[[int, bool], int] = lambda zero_point, relu: 255,
    coded: Callable[[Tensor], Tensor] = as_bytes,
) -> Tensor:
    """Return the codes, of which any part may be another one."""
    b = second(a, b)
    y = result(a, b, y)
    first, other = (
        each(steps(centred(q, zero_point), scale, y[0]), relu)
        for q, scale, zero_point in zip((q_a, q_b), (a[0], b[0]), zeros(a[1], b[1]), strict=True)
    )
    q = shifted(turn(first + other), y[1])
    return coded(q.clamp(low(y[1], relu), high(y[1], relu)))


def each_rounded(steps: Callable[[Tensor, float, float], Tensor]) -> Callable[..., Tensor]:
    """Return the sum of two that are rounded before they are added."""
    return partial(added, steps=lambda *given: torch.round(steps(*given)))


def wide(q: Tensor) -> Tensor:
    """Return int32, in which codes beyond those of uint8 stay."""
    return q.to(torch.int32)
