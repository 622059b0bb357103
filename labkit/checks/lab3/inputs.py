"""What the cases and slips of lab 3 are made of: codes drawn from a generator, their ends."""

import torch
from torch import Tensor

INT32 = (-(2**31), 2**31 - 1)


def difference_in_8_bits(q: Tensor, zero_point: int) -> Tensor:
    """Return what q - zero_point becomes in the dtype of the codes: it wraps."""
    return (q.int() - zero_point).to(q.dtype)


def int8_codes(rng: torch.Generator, *shape: int) -> Tensor:
    """Return codes from all of int8."""
    return torch.randint(-128, 128, shape, generator=rng, dtype=torch.int8)


def uint8_codes(rng: torch.Generator, *shape: int) -> Tensor:
    """Return codes from all of uint8."""
    return torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)


def weight_codes(rng: torch.Generator, *shape: int) -> Tensor:
    """Return symmetric codes, the narrow range of int8."""
    return torch.randint(-127, 128, shape, generator=rng, dtype=torch.int8)


def accumulators(rng: torch.Generator, largest: int, *shape: int) -> Tensor:
    """Return int32 numbers between -largest and largest."""
    return torch.randint(-largest, largest + 1, shape, generator=rng, dtype=torch.int32)
