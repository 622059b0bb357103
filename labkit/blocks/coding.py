"""From values to the bytes of blocks and back."""

import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from labkit.blocks.formats import BlockFormat, find_block_format
from labkit.validation import dtype_name, finite, instance_of, real_tensor

__all__ = ["BlockTensor", "decode", "encode", "tensor_scale"]

SHORTEST = 4096 * 64  # blocks are worked on in pieces, so that memory stays small


def encode(x: Tensor, format: BlockFormat | str) -> Tensor:
    """Turn values into blocks of bytes.

    Parameters
    ----------
    x : Tensor
        Real values [..., n], any floating-point dtype; computed in float32. n is a multiple of the
        block size; a block holds neighbours along the last dim.
    format : BlockFormat or str
        A format or its name in `BLOCK_FORMATS`; `labkit.blocks.rules` has how scale and codes are
        chosen.

    Returns
    -------
    Tensor
        uint8 [..., blocks, bytes a block]. For the formats that the package gguf quantizes, the
        same bytes.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty real tensor, or its last dim not a multiple of the block
        size; if there is no such format.

    Warns
    -----
    RuntimeWarning
        If values are so large that a scale is infinite in the format's own number (values above
        65,504 times the largest level, for an fp16 scale).

    Notes
    -----
    An MXFP4 exponent ends at 0, as the specification has it; in gguf it wraps around in blocks
    whose largest value is below 2^-125.
    """
    format, x = find_block_format(format), real_tensor(x, "x")
    advice = "Scale x first."
    x = finite(x, "x", torch.float32, advice).float()
    if x.ndim == 0 or x.shape[-1] % format.block_size:
        raise ValueError(
            f"x has shape {tuple(x.shape)}; expected a last dim that is a multiple of "
            f"{format.block_size}, the block size of {format.name}. BlockTensor.of fills up with 0."
        )
    blocks = x.unflatten(-1, (-1, format.block_size))
    pieces = blocks.reshape(-1, format.block_size).split(math.ceil(SHORTEST / format.block_size))
    data = torch.cat([format.pack(format.rule(piece)) for piece in pieces])
    _warn_of_overflow(data, format)
    return data.reshape(*blocks.shape[:-1], format.bytes)


def decode(data: Tensor, format: BlockFormat | str) -> Tensor:
    """Turn blocks of bytes into values: ``x' = scale * levels[code] + minimum``, equation (1).

    Parameters
    ----------
    data : Tensor
        uint8 [..., blocks, bytes a block], as `encode` returns them.
    format : BlockFormat or str
        A format or its name in `BLOCK_FORMATS`.

    Returns
    -------
    Tensor
        float32 [..., blocks * block size]; NaN or infinite where the bytes of a scale say so.

    Raises
    ------
    TypeError, ValueError
        If `data` is not uint8 or its last dim not the bytes of a block; if there is no such format.
    """
    format = find_block_format(format)
    instance_of(data, Tensor, "data", "encode(x, format)")
    if data.dtype != torch.uint8:
        raise TypeError(f"data has dtype {dtype_name(data.dtype)}; expected uint8.")
    if data.ndim < 2 or data.shape[-1] != format.bytes:
        raise ValueError(
            f"data has shape {tuple(data.shape)}; expected [..., blocks, {format.bytes}], the "
            f"bytes of a block of {format.name}."
        )
    levels = torch.tensor(format.levels)
    if data.numel() == 0:
        return torch.zeros(*data.shape[:-2], data.shape[-2] * format.block_size)
    pieces = data.reshape(-1, format.bytes).split(math.ceil(SHORTEST / format.block_size))
    values = torch.cat([_read(format.unpack(piece), levels) for piece in pieces])
    return values.reshape(*data.shape[:-2], -1)


def _read(parts: dict[str, Tensor], levels: Tensor) -> Tensor:
    scale, codes = parts["scale"], parts["codes"]
    x = scale.unsqueeze(-1) * levels[codes.int()].unflatten(-1, (scale.shape[-1], -1))
    return x.flatten(-2) + parts["minimum"] if "minimum" in parts else x.flatten(-2)


def tensor_scale(x: Tensor) -> float:
    """Return the scale of a whole tensor, NVFP4's second level: ``max|x| / (6 * 448)``.

    Divide by it before `encode` and multiply after `decode`: then the largest block has the
    largest scale that E4M3 holds, 448, and small blocks do not fall below its smallest one.

    Parameters
    ----------
    x : Tensor
        Real values.

    Returns
    -------
    float
        1.0 for a tensor of zeros.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty real tensor.

    Notes
    -----
    NVIDIA, "Introducing NVFP4 for Efficient and Accurate Low-Precision Inference", 2025.
    """
    return float(real_tensor(x, "x").abs().max()) / (6 * 448) or 1.0


@dataclass(frozen=True, eq=False)
class BlockTensor:
    """A tensor in a block format.

    Attributes
    ----------
    format : BlockFormat
        How it is stored.
    shape : tuple of int
        Of the values.
    data : Tensor
        uint8 [..., blocks, bytes a block].
    """

    format: BlockFormat
    shape: tuple[int, ...]
    data: Tensor

    @classmethod
    def of(cls, x: Tensor, format: BlockFormat | str) -> "BlockTensor":
        """Encode a tensor of any shape.

        Blocks run along the last dim where that is a multiple of the block size, and else over all
        values in row-major order, filled up with zeros at the end. Raises as `encode`.
        """
        format = find_block_format(format)
        x = real_tensor(x, "x")
        if x.ndim == 0 or x.shape[-1] % format.block_size:
            flat = x.flatten()
            filled = torch.zeros(math.ceil(len(flat) / format.block_size) * format.block_size)
            filled[: len(flat)] = flat
            return cls(format, tuple(x.shape), encode(filled, format))
        return cls(format, tuple(x.shape), encode(x, format))

    def decode(self) -> Tensor:
        """Return the values, float32."""
        return decode(self.data, self.format).flatten()[: math.prod(self.shape)].reshape(self.shape)

    @property
    def bits_per_weight(self) -> float:
        """All bits that are stored over the values, what fills up the last block included."""
        return 8 * self.data.numel() / math.prod(self.shape)


def _warn_of_overflow(data: Tensor, format: BlockFormat) -> None:
    parts = format.unpack(data)
    numbers = [parts[name] for name in ("scale", "minimum") if name in parts]
    broken = torch.cat([~number.isfinite() for number in numbers], -1).any(-1)
    if bool(broken.any()):
        warnings.warn(
            f"{int(broken.sum())} of {len(broken)} blocks have a scale beyond what {format.name} "
            "can store, and decode to infinity or NaN. Divide x by a power of two first.",
            RuntimeWarning,
            stacklevel=3,
        )
