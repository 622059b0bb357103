"""Sub-byte codes in bytes: two of 4 bits, four of 2 or eight of 1 in each.

The first code lies in the lowest bits of the first byte, as in ONNX's INT4 and INT2 tensors
(onnx.proto3, TensorProto, int32_data) and most kernels::

    byte = q[0] & mask | (q[1] & mask) << bits | ...        mask = 2^bits - 1
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from labkit.validation import codes_within, dtype_name, integer_tensor, true_or_false, whole_number

BITS = (1, 2, 4)


def pack(q: Tensor, bits: int) -> Tensor:
    """Pack the codes of `q`, in row-major order, 8 / bits of them in a byte.

    Parameters
    ----------
    q : Tensor
        Codes of any integer dtype and shape. Unsigned, [0, 2^bits - 1], or signed two's
        complement, [-2^(bits-1), 2^(bits-1) - 1]: `unpack` must be told which.
    bits : int
        1, 2 or 4.

    Returns
    -------
    Tensor
        uint8, shape [ceil(q.numel() * bits / 8)]; unused high bits of the last byte are 0.

    Raises
    ------
    TypeError, ValueError
        If `q` is not a non-empty integer tensor, holds negative codes together with codes above
        2^(bits-1) - 1, or codes that do not fit in `bits`.
    """
    bits = _bits(bits)
    per_byte = 8 // bits
    q = integer_tensor(q, "q").to(torch.int64).flatten()
    signed = bool((q < 0).any())
    codes_within(q, *_code_range(bits, signed), "q")
    # Two's complement of a negative code: its lowest bits.
    fields = torch.zeros(math.ceil(len(q) / per_byte) * per_byte, dtype=torch.int64)
    fields[: len(q)] = q & (2**bits - 1)
    return (fields.reshape(-1, per_byte) << _offsets(bits)).sum(1).to(torch.uint8)


def unpack(packed: Tensor, bits: int, shape: Sequence[int], signed: bool) -> Tensor:
    """Undo `pack`.

    Parameters
    ----------
    packed : Tensor
        uint8, one dimension.
    bits : int
        1, 2 or 4.
    shape : sequence of int
        Shape of the codes that were packed.
    signed : bool
        Whether the highest bit of a code is its sign (two's complement).

    Returns
    -------
    Tensor
        int8 if signed, else uint8, of shape `shape`.

    Raises
    ------
    TypeError, ValueError
        If `packed` is not uint8 or its length does not fit `shape`, or if another argument is not
        as described.
    """
    bits = _bits(bits)
    signed = true_or_false(signed, "signed")
    shape = _shape(shape)
    if integer_tensor(packed, "packed").dtype != torch.uint8:
        raise TypeError(
            f"packed has dtype {dtype_name(packed.dtype)}; expected uint8, as pack returns it."
        )
    count = math.prod(shape)
    expected = (math.ceil(count * bits / 8),)
    if packed.shape != expected:
        raise ValueError(
            f"packed has shape {tuple(packed.shape)}; expected {expected} for {count} codes "
            f"with bits={bits}, shape {shape}. Give the shape that the codes had before pack."
        )
    mask = 2**bits - 1
    codes = ((packed.to(torch.int64).unsqueeze(1) >> _offsets(bits)) & mask).flatten()[:count]
    if signed:
        codes = torch.where(codes >= 2 ** (bits - 1), codes - 2**bits, codes)
    return codes.to(torch.int8 if signed else torch.uint8).reshape(shape)


def _bits(bits: int) -> int:
    bits = whole_number(bits, "bits")
    if bits not in BITS:
        raise ValueError(f"bits is {bits}; expected 1, 2 or 4, which divide a byte evenly.")
    return bits


def _shape(shape: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(shape, Sequence):
        raise TypeError(
            f"shape is of type {type(shape).__name__}; expected a tuple or list of whole numbers, "
            "for example (3, 4)."
        )
    sizes = tuple(whole_number(size, "a size in shape") for size in shape)
    if any(size < 1 for size in sizes):
        raise ValueError(f"shape is {sizes}; expected sizes of 1 or more.")
    return sizes


def _code_range(bits: int, signed: bool) -> tuple[int, int]:
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def _offsets(bits: int) -> Tensor:
    return torch.arange(0, 8, bits)
