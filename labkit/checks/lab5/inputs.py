"""What the cases of lab 5 are made of."""

import torch
from torch import Tensor

from labkit.checks.inputs import randn

TERNARY, INT4, UINT4, INT8, UINT8 = (-1, 1), (-7, 7), (0, 15), (-127, 127), (0, 255)


def between_ties(rng: torch.Generator, scale: float, low: int, high: int, *shape: int) -> Tensor:
    """Return numbers whose codes, counted from the zero point, run from `low` to `high`.

    None lies within 0.1 steps of a tie, nor in the half step beyond the last code: there lecture,
    paper and library disagree on the gradient, and all of them shall pass.
    """
    codes = torch.randint(low, high + 1, shape, generator=rng)
    return scale * (codes + 0.8 * (torch.rand(shape, generator=rng) - 0.5))


def gradients(rng: torch.Generator, *shape: int) -> Tensor:
    """Return what backward brings: some of it negative, nothing near 0."""
    dy = randn(rng, *shape)
    return dy + 0.2 * dy.sign()
