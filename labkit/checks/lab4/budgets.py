"""What the bits of layers cost, in bytes and in noise, for exercise 4.11 and its slips."""

from collections.abc import Sequence

from torch import Tensor

from labkit.checks.lab4.sensitivity import sensitivity
from labkit.checks.lab4.sensitivity_parts import Layers

BITS = (2, 4, 8)


def weight_bytes(layers: Layers, bits: Sequence[int]) -> int:
    """Return what the packed weights take."""
    return sum(w.numel() * b for (w, _), b in zip(layers, bits, strict=True)) // 8


def noise_of(layers: Layers, x: Tensor, bits: int) -> Sequence[float]:
    """Return the noise of each layer alone at some bits, relative to the signal."""
    return (10 ** (-sensitivity(layers, x, bits) / 10)).tolist()
