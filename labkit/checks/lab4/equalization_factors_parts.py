"""Factors of cross-layer equalization, of which any part may be another one (exercise 4.9)."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor


def of_rows(w: Tensor) -> Tensor:
    """Return the largest of each channel that a layer puts out."""
    return w.flatten(1).amax(1)


def of_columns(w: Tensor) -> Tensor:
    """Return the largest of each channel that a layer reads."""
    return of_rows(w.transpose(0, 1))


def balanced(
    w1: Tensor,
    w2: Tensor,
    *,
    size: Callable[[Tensor], Tensor] = torch.abs,
    first: Callable[[Tensor], Tensor] = of_rows,
    second: Callable[[Tensor], Tensor] = of_columns,
    bounded: Callable[[Tensor], Tensor] = lambda r: r,
    factor: Callable[[Tensor, Tensor], Tensor] = torch.div,
    root: Callable[[Tensor], Tensor] = torch.sqrt,
    usable: Callable[[Tensor, Tensor], Tensor] = lambda r1, r2: (r1 > 0) & (r2 > 0),
    mended: Callable[[Tensor, Tensor], Tensor] = lambda s, usable: torch.where(usable, s, 1.0),
) -> Tensor:
    """Return the factors, of which any part may be another one."""
    r1, r2 = first(size(w1)), second(size(w2))
    r1 = r1.reshape(-1, *[1] * (r2.ndim - 1))
    return mended(root(factor(bounded(r1), bounded(r2))), usable(r1, r2))


def with_epsilon(bounded: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return factors of ranges that are kept from 0, with no other care for zeros."""
    return partial(balanced, bounded=bounded, mended=lambda s, usable: s)


def centred(s: Tensor, usable: Tensor) -> Tensor:
    """Scale the factors to a mean of 1."""
    factors = torch.where(usable, s, 1.0)
    return factors / factors.mean()


def not_a_number(s: Tensor, usable: Tensor) -> Tensor:
    """Replace NaN by 1, and nothing else."""
    return torch.where(s.isnan(), 1.0, s)


def none_or_all(s: Tensor, usable: Tensor) -> Tensor:
    """Return the factors if all are usable, and ones if not."""
    return s if usable.all() else torch.ones_like(s)
