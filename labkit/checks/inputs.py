"""What cases are made of: ranges of codes, and numbers drawn from a generator."""

import torch
from torch import Tensor

from labkit.checks.rules import Rule

INT8, UINT8, INT4, NARROW = (-128, 127), (0, 255), (-8, 7), (-127, 127)
SCALE = Rule(relative=1e-4)


def randn(rng: torch.Generator, *shape: int) -> Tensor:
    """Return normal numbers of `shape`."""
    return torch.randn(shape, generator=rng)


def neat(rng: torch.Generator, *shape: int) -> Tensor:
    """Return normal numbers of `shape` with two decimals, which can be worked out on paper."""
    return torch.round(100 * randn(rng, *shape)) / 100


def uniform(rng: torch.Generator, low: float, high: float) -> float:
    """Return one number between `low` and `high`, with four decimals."""
    return round(float(torch.rand((), generator=rng)) * (high - low) + low, 4)


def whole(rng: torch.Generator, low: int, high: int, *shape: int) -> Tensor:
    """Return whole numbers from `low` to `high`, both included, as int64."""
    return torch.randint(low, high + 1, shape, generator=rng)


def one(rng: torch.Generator, low: int, high: int) -> int:
    """Return one whole number from `low` to `high`, both included."""
    return int(whole(rng, low, high))
