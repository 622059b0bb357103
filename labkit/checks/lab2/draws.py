"""What the cases of lab 2 are made of: numbers that are drawn, and short enough for a card."""

import torch
from torch import Tensor


def short(rng: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Return evenly spread numbers from `low` to `high` with two decimals."""
    drawn = low + (high - low) * torch.rand(shape, generator=rng)
    return (100 * drawn).round() / 100
