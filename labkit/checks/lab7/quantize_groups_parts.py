"""Groups of weights on grids, of which any part may be another one (exercise 7.6)."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.grids import one_for_zeros


def in_groups(w: Tensor, group_size: int) -> Tensor:
    """Return the groups of each row, [out, groups, group_size]."""
    return w.unflatten(1, (-1, group_size))


def largest_of(groups: Tensor) -> Tensor:
    """Return the largest magnitude of each group."""
    return groups.abs().amax(2)


def coded(
    w: Tensor,
    bits: int,
    group_size: int,
    *,
    cut: Callable[[Tensor, int], Tensor] = in_groups,
    reach: Callable[[Tensor], Tensor] = largest_of,
    top: Callable[[int], int] = lambda bits: 2 ** (bits - 1) - 1,
    scales: Callable[[Tensor, int], Tensor] = one_for_zeros,
    turn: Callable[[Tensor], Tensor] = torch.round,
    limit: Callable[[Tensor, int], Tensor] = lambda q, qmax: q.clamp(-qmax - 1, qmax),
    kept: Callable[[Tensor], Tensor] = torch.Tensor.char,
    given: Callable[[Tensor, int], Tensor] = lambda scale, size: scale,
    joined: Callable[[Tensor, Tensor], Tensor] = lambda codes, w: codes.reshape(w.shape),
    cost: Callable[[Tensor, int, int], float] = lambda w, bits, size: bits + 16 / size,
) -> tuple[Tensor, Tensor, float]:
    """Return codes, scales and bits a weight; misconceptions change parts of this."""
    groups, qmax = cut(w, group_size), 2 ** (bits - 1) - 1
    scale = scales(reach(groups), top(bits))
    codes = kept(limit(turn(groups / scale[..., None]), qmax))
    return joined(codes, w), given(scale, group_size), cost(w, bits, group_size)
