"""What lab 0's cases are made of: integers drawn from a generator, and the splits of floats."""

import torch

from labkit.checks.rules import Rule

# (exponent bits, mantissa bits)
FP32, FP16, BF16, FP8_E5M2 = (8, 23), (5, 10), (8, 7), (5, 2)
REAL = Rule(relative=1e-6)


def integer(rng: torch.Generator, low: int, high: int) -> int:
    """Return one integer in [low, high)."""
    return int(torch.randint(low, high, (), generator=rng))
