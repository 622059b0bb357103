"""Weights in the order in which a kernel reads them, and packed if they are small.

torch keeps a convolution's weights as [out, in, height, width]. A kernel that goes through an image
[H, W, C] wants the channels last, [out, height, width, in]: it then reads one byte after another.
"""

import torch
from torch import Tensor

from labkit.packing import pack, unpack
from labkit.validation import integer_tensor

__all__ = ["pack_weights", "reading_order", "unpack_weights"]


def reading_order(q_w: Tensor) -> Tensor:
    """Return weights with the input channels last, in one piece.

    Parameters
    ----------
    q_w : Tensor
        Codes [out, in / groups, kernel height, kernel width], or [out, in].

    Returns
    -------
    Tensor
        [out, kernel height, kernel width, in / groups], or as it was; contiguous.

    Raises
    ------
    TypeError, ValueError
        If it is no integer tensor of two or four dimensions.
    """
    if integer_tensor(q_w, "q_w").ndim not in (2, 4):
        raise ValueError(f"q_w has shape {tuple(q_w.shape)}; expected two or four dimensions.")
    return (q_w.permute(0, 2, 3, 1) if q_w.ndim == 4 else q_w).contiguous()


def pack_weights(q_w: Tensor, bits: int) -> Tensor:
    """Pack weights in reading order, the first code in the lowest bits; each output has its bytes.

    Parameters
    ----------
    q_w : Tensor
        Codes of `bits` bits, as in `reading_order`.
    bits : int
        1, 2, 4 or 8.

    Returns
    -------
    Tensor
        uint8 [out, ceil(weights of an output * bits / 8)]: an output starts at a whole byte.

    Raises
    ------
    TypeError, ValueError
        As `reading_order` and `labkit.packing.pack`.
    """
    rows = reading_order(q_w).flatten(1)
    if bits == 8:
        return rows.to(torch.uint8)  # the bits of a negative code stay
    return torch.stack([pack(row, bits) for row in rows])


def unpack_weights(packed: Tensor, bits: int, shape: tuple[int, ...], signed: bool) -> Tensor:
    """Undo `pack_weights`.

    Parameters
    ----------
    packed : Tensor
        uint8 [out, bytes].
    bits : int
    shape : tuple of int
        Of the weights in reading order.
    signed : bool
        Whether codes are two's complement.
    """
    if bits == 8:
        return (packed.view(torch.int8) if signed else packed).reshape(shape)
    rows = [unpack(row, bits, shape[1:], signed) for row in packed]
    return torch.stack(rows)
