"""A product of codes with zero points, of which any part may be another one (exercise 3.3)."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.lab3.gemm import gemm
from labkit.checks.lab3.inputs import difference_in_8_bits

Term = Callable[[Tensor, int], Tensor]


def along(dim: int, sign: int = 1) -> Term:
    """Return the sums along a dim, each times a zero point: the right ones with dim 1 and 0."""
    return lambda q, zero_point: sign * zero_point * q.sum(dim, keepdim=True)


ROWS, COLUMNS = along(1), along(0)


def of_all(q: Tensor, zero_point: int) -> Tensor:
    """Return the sum over a whole matrix, times a zero point."""
    return zero_point * q.sum()


def none(q: Tensor, zero_point: int) -> Tensor:
    """Return no sums."""
    return 0 * q.sum()


def corrected(
    q_lhs: Tensor,
    q_rhs: Tensor,
    lhs_zero_point: int,
    rhs_zero_point: int,
    *,
    product: Callable[[Tensor, Tensor], Tensor] = gemm,
    of_rows: Term = ROWS,
    of_columns: Term = COLUMNS,
    met: Callable[[int, int], tuple[int, int]] = lambda lhs, rhs: (rhs, lhs),
    length: Callable[[Tensor, Tensor], int] = lambda q_lhs, q_rhs: q_lhs.shape[1],
    corner: Callable[[int, int, int], int] = lambda length, lhs, rhs: length * lhs * rhs,
    ended: Callable[[Tensor], Tensor] = lambda acc: acc,
) -> Tensor:
    """Return the product of the codes, corrected, of which any part may be another one."""
    with_rows, with_columns = met(lhs_zero_point, rhs_zero_point)
    last = corner(length(q_lhs, q_rhs), lhs_zero_point, rhs_zero_point)
    sums = of_rows(q_lhs, with_rows) + of_columns(q_rhs, with_columns)
    return ended(product(q_lhs, q_rhs) - sums + last)


def shifted(
    q_lhs: Tensor,
    q_rhs: Tensor,
    lhs_zero_point: int,
    rhs_zero_point: int,
    *,
    left: Term = lambda q, zero_point: q.long() - zero_point,
    right: Term = lambda q, zero_point: q.long() - zero_point,
    product: Callable[[Tensor, Tensor], Tensor] = torch.matmul,
) -> Tensor:
    """Return the product after the zero points, of which any part may be another one."""
    return product(left(q_lhs, lhs_zero_point), right(q_rhs, rhs_zero_point))


def in_8_bits(q: Tensor, zero_point: int) -> Tensor:
    """Take the zero point off in 8 bits, where it wraps."""
    return difference_in_8_bits(q, zero_point).long()


def clamped(q: Tensor, zero_point: int) -> Tensor:
    """Take the zero point off and clamp to 8 bits."""
    return (q.long() - zero_point).clamp(-128, 127)


def in_16_bits(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Return a product whose sums wrap in 16 bits."""
    return lhs.short() @ rhs.short()


def wrapped(q: Tensor, zero_point: int) -> Tensor:
    """Return codes times a zero point, which wraps in 8 bits."""
    return (q.int() * zero_point).to(q.dtype)
