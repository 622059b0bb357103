"""Double quantization: the scales of blocks, in 8 bits themselves (QLoRA).

A float32 scale for each 64 weights costs half a bit a weight. Scales are alike, though: less their
mean, and with one scale of their own for each 256, 8 bits are enough for them::

    scale' = mean + step * level,    level in E4M3,    step = max|scale - mean| / 448

Source: Dettmers et al. 2023, arXiv:2305.14314, section 3, "Double Quantization". (bitsandbytes has
another 8-bit format in the place of E4M3, of its own making; the bits are the same.)
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from labkit import formats
from labkit.blocks.coding import BlockTensor
from labkit.blocks.formats import BLOCK_FORMATS
from labkit.validation import real_tensor

__all__ = ["DoubleQuantized", "double_quantize", "nf4_double_quantized"]

SCALES_A_BLOCK = 256
LARGEST = 448.0


@dataclass(frozen=True, eq=False)
class DoubleQuantized:
    """Scales in 8 bits.

    Attributes
    ----------
    patterns : Tensor
        uint8 [n]: the bits of E4M3.
    steps : Tensor
        float32 [ceil(n / 256)].
    mean : float
        Of all scales, float32.
    """

    patterns: Tensor
    steps: Tensor
    mean: float

    def decode(self) -> Tensor:
        """Return the scales, float32 [n]."""
        steps = self.steps.repeat_interleave(SCALES_A_BLOCK)[: len(self.patterns)]
        return self.mean + steps * formats.decode(self.patterns, "fp8_e4m3")

    @property
    def bits(self) -> int:
        """All bits that are stored."""
        return 8 * len(self.patterns) + 32 * len(self.steps) + 32


def double_quantize(scales: Tensor) -> DoubleQuantized:
    """Store scales in 8 bits.

    Parameters
    ----------
    scales : Tensor
        Real numbers [n].

    Raises
    ------
    TypeError, ValueError
        If `scales` is not a finite, non-empty real tensor.
    """
    scales = real_tensor(scales, "scales").float().flatten()
    mean = float(scales.mean())
    rows = (scales - mean).split(SCALES_A_BLOCK)
    steps = torch.stack([row.abs().max() for row in rows]) / LARGEST
    steps = torch.where(steps == 0, 1.0, steps)
    levels = torch.cat([row / step for row, step in zip(rows, steps, strict=True)])
    patterns = formats.bit_fields(levels, "fp8_e4m3").pattern.to(torch.uint8)
    return DoubleQuantized(patterns, steps, mean)


def nf4_double_quantized(x: Tensor) -> tuple[Tensor, float]:
    """Return a tensor after NF4 with double quantization, and its bits per weight.

    Parameters
    ----------
    x : Tensor
        Real values, any shape.

    Returns
    -------
    values : Tensor
        float32, in the shape of `x`.
    bits_per_weight : float
        Codes, scales in 8 bits, and what those need.
    """
    stored = BlockTensor.of(x, "nf4")
    parts = BLOCK_FORMATS["nf4"].unpack(stored.data)
    doubled = double_quantize(parts["scale"])
    # The codes stay: they were found with the scales as they were.
    parts["scale"] = doubled.decode().reshape(parts["scale"].shape)
    data = BLOCK_FORMATS["nf4"].pack(parts)
    codes = parts["codes"].numel() * BLOCK_FORMATS["nf4"].code_bits
    values = BlockTensor(stored.format, stored.shape, data).decode()
    return values, (codes + doubled.bits) / math.prod(x.shape)
