"""What the cases of lab 3 are made of: codes drawn from a generator, and integers that stay so."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from labkit.checks.rules import Codes, Mismatch
from labkit.checks.values import describe

INT32 = (-(2**31), 2**31 - 1)


@dataclass(frozen=True)
class Integer(Codes):
    """One integer. A float of the same value is refused: what is multiplied by it is a float, too.

    float32 holds 24 bits, so the later cells of the notebook would come out nearly right.
    """

    def _form(self, name: str, got: np.ndarray, expected: np.ndarray) -> Mismatch | None:
        if got.dtype.kind in "iu":
            return None
        found = describe(got.reshape(()))
        return Mismatch(
            f"{name} is {found}; expected an integer. The value is right, but all that is "
            "multiplied by it becomes a float: end with int(...).",
            form_only=True,
        )


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
