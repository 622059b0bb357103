"""What the cases of lab 5 are made of."""

import torch
from torch import Tensor

from labkit.checks.inputs import randn

TERNARY, INT4, UINT4, INT8, UINT8 = (-1, 1), (-7, 7), (0, 15), (-127, 127), (0, 255)


def between_ties(rng: torch.Generator, scale: float, low: int, high: int, *shape: int) -> Tensor:
    """Return numbers whose codes, counted from the zero point, run from `low` to `high`.

    None lies within 0.1 steps of a tie.
    """
    codes = torch.randint(low, high + 1, shape, generator=rng)
    return scale * (codes + 0.8 * (torch.rand(shape, generator=rng) - 0.5))


def clear_of_ends(x: Tensor, scale: float, low: int, high: int) -> Tensor:
    """Move what lies between an end of the range and the tie beyond it to inside the range.

    There paper and libraries disagree on the gradient, and all of them shall pass: LSQ's clipping
    begins at the last code, torch's where rounding to it ends.
    """
    beyond = torch.where(x > 0, x - high * scale, low * scale - x)
    inside = torch.where(x > 0, high - 0.2, low + 0.2) * scale
    return torch.where((beyond > 0) & (beyond < 0.5 * scale), inside, x)


def gradients(rng: torch.Generator, *shape: int) -> Tensor:
    """Return what backward brings: some of it negative, nothing near 0."""
    dy = randn(rng, *shape)
    return dy + 0.2 * dy.sign()
