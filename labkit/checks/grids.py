"""Slips with symmetric grids, which several exercises have in common.

Each of them has a function that holds the whole answer, of which any part may be another one:
``scales`` makes the largest magnitudes scales, ``steps`` says how many steps that is for some bits,
``turn`` rounds.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception


def one_for_zeros(largest: Tensor, steps: float) -> Tensor:
    """Return the scales, 1 where all is zero: the right way."""
    return torch.where(largest == 0, 1.0, largest / steps)


def one_before_division(largest: Tensor, steps: float) -> Tensor:
    """Return the scales, 1 / steps where all is zero."""
    return torch.where(largest == 0, 1.0, largest) / steps


def raised(largest: Tensor, steps: float, by: float) -> Tensor:
    """Return the scales, each with a small number added to it."""
    return largest / steps + by


def in_16_bits(largest: Tensor, steps: float) -> Tensor:
    """Return the scales as float16 keeps them, 1 where all is zero."""
    return torch.where(largest == 0, 1.0, (largest / steps).half().float())


def bounded(largest: Tensor, steps: float, least: float, before: bool = False) -> Tensor:
    """Return the scales, bounded from below; or those of bounded magnitudes."""
    return largest.clamp(min=least) / steps if before else (largest / steps).clamp(min=least)


def as_powers(turn: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return what makes scales powers of two, the next one by `turn`."""
    return lambda scale: 2 ** turn(torch.log2(scale))


def of_turning(coded: Callable[..., Any]) -> tuple[Misconception, ...]:
    """Return slips in rounding to codes."""
    return (
        Misconception(
            "rounds down",
            partial(coded, turn=torch.floor),
            "A code is the nearest integer: torch.round.",
        ),
        Misconception(
            "cuts off decimals",
            partial(coded, turn=torch.trunc),
            "A conversion to integers cuts towards 0: torch.round before it.",
        ),
    )


def of_steps(coded: Callable[..., Any]) -> tuple[Misconception, ...]:
    """Return slips in the number of steps on each side of 0."""
    return (
        Misconception(
            "divides by 2^(bits-1)",
            partial(coded, steps=lambda bits: 2 ** (bits - 1)),
            "The largest code is 2^(bits-1) - 1, and the largest magnitude must land on it.",
        ),
        Misconception(
            "uses 2^bits - 1 steps on one side",
            partial(coded, steps=lambda bits: 2**bits - 1),
            "One bit is the sign: the largest code is 2^(bits-1) - 1.",
        ),
        Misconception(
            "always uses 127",
            partial(coded, steps=lambda bits: 127),
            "The largest code depends on the bits: 7 for four of them.",
        ),
    )
