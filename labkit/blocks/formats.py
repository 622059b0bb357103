"""The table of block formats: how each divides its bytes, and what a code stands for.

A block holds `block_size` neighbouring values as codes, and a scale (some also a minimum) for all
of them. Whatever the format, a value is read by one equation:

    x' = scale * levels[code] + minimum                                                          (1)

Sources: ggml, `ggml-common.h` and `ggml-quants.c` (q*, tq*, and the layout of mxfp4 and nvfp4 in
GGUF files); OCP, Microscaling Formats (MX) Specification 1.0 (mxfp4, mxfp8); NVIDIA, "Introducing
NVFP4 for Efficient and Accurate Low-Precision Inference", 2025; Dettmers et al. 2023,
arXiv:2305.14314 (nf4).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import torch
from torch import Tensor

from labkit import formats
from labkit.blocks.fields import Codes, Field, Number, Trits
from labkit.blocks.rules import (
    Rule,
    scaled_levels,
    shared_exponent,
    signed_extreme,
    symmetric,
    to_levels,
    to_signed_levels,
    whole_range,
)
from labkit.codebooks.levels import normal_float

__all__ = ["BLOCK_FORMATS", "E2M1", "BlockFormat", "find_block_format"]


@dataclass(frozen=True)
class BlockFormat:
    """A block format, given by what lies in a block; size, packing and picture follow from that.

    Parameters
    ----------
    name : str
        What `BLOCK_FORMATS` calls it.
    block_size : int
        Values in a block.
    fields : tuple of Number or Codes
        What a block holds, in the order in which it is stored.
    levels : tuple of float
        What code 0, 1, 2, ... stands for, in units of the scale.
    rule : callable
        How the fields are found for values [..., block_size]; see `labkit.blocks.rules`.
    """

    name: str
    block_size: int
    fields: tuple[Field, ...]
    levels: tuple[float, ...] = field(repr=False)
    rule: Rule = field(repr=False, compare=False)

    @property
    def bytes(self) -> int:
        """Bytes of a block."""
        return sum(part.bytes for part in self.fields)

    @property
    def bits_per_weight(self) -> float:
        """All bits of a block, over the values that it holds."""
        return 8 * self.bytes / self.block_size

    @property
    def code_bits(self) -> float:
        """The part of `bits_per_weight` that are codes; scales and minima take the rest."""
        codes = sum(part.bytes for part in self.fields if isinstance(part, Codes))
        return 8 * codes / self.block_size

    def pack(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Write the fields one after the other.

        Parameters
        ----------
        parts : mapping
            "scale" (and "minimum"): float32 [..., count]; "codes": integers [..., block_size].

        Returns
        -------
        Tensor
            uint8 [..., bytes].
        """
        written = []
        for part in self.fields:
            values = parts[part.name]
            if isinstance(part, Codes):
                values = values[..., part.places].to(torch.uint8) >> part.shift
                values = values % part.base if part.base < 2**8 else values
            written.append(part.pack(values))
        return torch.cat(written, dim=-1)

    def unpack(self, data: Tensor) -> dict[str, Tensor]:
        """Undo `pack`: uint8 [..., bytes] become the fields by name."""
        codes = torch.zeros(*data.shape[:-1], self.block_size, dtype=torch.uint8)
        parts = {"codes": codes}
        pieces = data.split([part.bytes for part in self.fields], dim=-1)
        for part, piece in zip(self.fields, pieces, strict=True):
            if isinstance(part, Codes):
                codes[..., part.places] |= part.unpack(piece) << part.shift
            else:
                parts[part.name] = part.unpack(piece)
        return parts


def float_levels(exponent_bits: int, mantissa_bits: int) -> tuple[float, ...]:
    """Return the values of a small float without infinity and NaN, from 0 up, without signs.

    Equations (1) and (2) of `labkit.format_table`.
    """
    bias, steps = 2 ** (exponent_bits - 1) - 1, 2**mantissa_bits
    return tuple(
        (min(E, 1) + M / steps) * 2.0 ** (max(E, 1) - bias)
        for E, M in product(range(2**exponent_bits), range(steps))
    )


def with_sign(magnitudes: tuple[float, ...]) -> tuple[float, ...]:
    """Return levels whose highest bit is the sign."""
    return magnitudes + tuple(-magnitude for magnitude in magnitudes)


def from_offset(bits: int) -> tuple[float, ...]:
    """Return the levels -2^(bits-1), ..., 2^(bits-1) - 1 of the codes 0, 1, ..."""
    return tuple(float(code - 2 ** (bits - 1)) for code in range(2**bits))


def counted(count: int) -> tuple[float, ...]:
    """Return the levels 0, 1, 2, ..."""
    return tuple(float(code) for code in range(count))


E2M1 = float_levels(exponent_bits=2, mantissa_bits=1)  # 0, 0.5, 1, 1.5, 2, 3, 4, 6
E4M3 = tuple(formats.decode(torch.arange(256), "fp8_e4m3").tolist())  # 127 and 255 are NaN
TWOS_COMPLEMENT = counted(128) + tuple(float(code - 256) for code in range(128, 256))
TERNARY = (-1.0, 0.0, 1.0, 2.0)  # two bits have a fourth code, which is never written
NF4 = tuple(normal_float(4).tolist())

SCALE, MINIMUM = Number("scale", "fp16"), Number("minimum", "fp16")
# Value i and value i + 16 share a byte.
NIBBLES = Codes(32, base=16, plane=16)
FIFTH_BITS = Codes(32, base=2, shift=4)


def _to_e4m3(x: Tensor) -> Tensor:
    return formats.bit_fields(x, "fp8_e4m3").pattern


BLOCK_FORMATS: dict[str, BlockFormat] = {
    format.name: format
    for format in (
        BlockFormat("q8_0", 32, (SCALE, Codes(32, base=256)), TWOS_COMPLEMENT, symmetric(127)),
        BlockFormat("q4_0", 32, (SCALE, NIBBLES), from_offset(4), signed_extreme(4)),
        BlockFormat("q4_1", 32, (SCALE, MINIMUM, NIBBLES), counted(16), whole_range(4)),
        BlockFormat("q5_0", 32, (SCALE, FIFTH_BITS, NIBBLES), from_offset(5), signed_extreme(5)),
        BlockFormat("q5_1", 32, (SCALE, MINIMUM, FIFTH_BITS, NIBBLES), counted(32), whole_range(5)),
        BlockFormat(
            "tq1_0",
            256,
            (
                Trits(160, plane=32),
                Trits(80, plane=16, start=160),
                Trits(16, plane=4, start=240, per=4),
                SCALE,
            ),
            TERNARY,
            symmetric(1, offset=1),
        ),
        BlockFormat(
            "tq2_0", 256, (Codes(256, base=4, plane=32), SCALE), TERNARY, symmetric(1, offset=1)
        ),
        BlockFormat(
            "mxfp4",
            32,
            (Number("scale", "e8m0"), NIBBLES),
            with_sign(E2M1),
            shared_exponent(to_signed_levels(E2M1), largest_exponent=2),
        ),
        BlockFormat(
            "mxfp8",
            32,
            (Number("scale", "e8m0"), Codes(32, base=256)),
            E4M3,
            shared_exponent(_to_e4m3, largest_exponent=8),
        ),
        BlockFormat(
            "nvfp4",
            64,
            (Number("scale", "fp8_e4m3", count=4), Codes(64, base=16, plane=8)),
            with_sign(E2M1),
            scaled_levels(to_signed_levels(E2M1), largest=6, kind="fp8_e4m3", parts=4),
        ),
        BlockFormat(
            "nf4",
            64,
            (Number("scale", "fp32"), Codes(64, base=16, highest_first=True)),
            NF4,
            scaled_levels(to_levels(NF4), largest=1, kind="fp32"),
        ),
    )
}


def find_block_format(format: BlockFormat | str) -> BlockFormat:
    """Return the format that a name in `BLOCK_FORMATS` stands for; a `BlockFormat` is itself.

    Raises
    ------
    ValueError
        If there is no such name.
    """
    if isinstance(format, BlockFormat):
        return format
    if format not in BLOCK_FORMATS:
        raise ValueError(
            f"format is {format!r}; expected a BlockFormat or one of {', '.join(BLOCK_FORMATS)}."
        )
    return BLOCK_FORMATS[format]
