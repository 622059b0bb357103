"""Into the integers and out of them: bytes of a camera in, a class and its margin out, no float.

A camera gives bytes. What follows is fixed, ``(byte / 255 - mean) / std``, then the first grid; so
the way in is a table of 256 codes for each channel. Scale and zero point of the logits do not
change their order, so the way out compares codes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from labkit.linear import quantize
from labkit.qparams import QParams
from labkit.validation import instance_of, integer_tensor, real_numbers, whole_number

__all__ = ["Answer", "enter", "input_table", "read_out"]

BYTES = 256


def input_table(
    mean: float | Sequence[float], std: float | Sequence[float], qparams: QParams
) -> Tensor:
    """Return the code of each byte: ``table[c, b] = quantize((b / 255 - mean[c]) / std[c])``.

    Computed in float32 in the order in which images are normalized, so the codes are those that
    the network's own door gives.

    Parameters
    ----------
    mean, std : float or sequence of float
        Of the pixels of each channel, scaled to [0, 1]; of one length.
    qparams : QParams
        The grid of the network's input, one for the whole tensor.

    Returns
    -------
    Tensor
        Codes [channels, 256]. Bytes count in the images' own order of channels: RGB stays RGB.

    Raises
    ------
    TypeError, ValueError
        If `mean` and `std` have different lengths, are not finite, `std` is not positive, or the
        grid is per channel.
    """
    instance_of(qparams, QParams, "qparams", "model.qparams[model.input_name]")
    center, spread = (
        real_numbers(value, name, torch.float32).reshape(-1, 1)
        for value, name in ((mean, "mean"), (std, "std"))
    )
    usable = center.shape == spread.shape and bool((spread > 0).all())
    if not (usable and bool((center.isfinite() & spread.isfinite()).all())):
        raise ValueError(
            f"mean is {mean} and std {std}; expected one positive std for each mean, both of "
            "pixels scaled to [0, 1]."
        )
    if qparams.axis is not None:
        raise ValueError("qparams is per channel; expected one grid for the whole input.")
    pixels = torch.arange(BYTES, dtype=torch.float32) / 255
    return quantize((pixels - center) / spread, qparams)


def enter(pixels: Tensor, table: Tensor) -> Tensor:
    """Return the codes of an image: ``q[n, c, h, w] = table[c, pixels[n, c, h, w]]``.

    Parameters
    ----------
    pixels : Tensor
        uint8 [N, C, H, W].
    table : Tensor
        As `input_table` returns it, [C, 256].

    Raises
    ------
    TypeError, ValueError
        If the pixels are no bytes, or of other channels than the table's.
    """
    if integer_tensor(pixels, "pixels").dtype != torch.uint8:
        raise TypeError(
            f"pixels has dtype {pixels.dtype}; expected torch.uint8: bytes from 0 to 255, not "
            "scaled and not normalized."
        )
    if pixels.ndim != 4 or table.shape != (pixels.shape[1], BYTES):
        raise ValueError(
            f"pixels has shape {tuple(pixels.shape)} and table {tuple(table.shape)}; expected "
            "[N, C, H, W] and [C, 256]."
        )
    return torch.stack([table[c][pixels[:, c].long()] for c in range(len(table))], 1)


class Answer(NamedTuple):
    """What a network says of an image, in integers.

    Attributes
    ----------
    classes : Tensor
        int64 [k]: the classes with the largest codes, the best first.
    margin : int
        By how many codes the best beats the second; 0 is a tie.
    """

    classes: Tensor
    margin: int


def read_out(codes: Tensor, k: int = 5) -> Answer:
    """Return the best classes and the margin, from the codes of the logits alone.

    A scale is positive and a zero point is the same for all classes, so ``q_a > q_b`` says the
    same as ``logit_a > logit_b``. Different logits may share a code: of equal codes, the class
    with the lower number comes first, as in `torch.argmax`.

    Parameters
    ----------
    codes : Tensor
        Integers [classes], at least two.
    k : int
        How many classes, 1 to all.

    Raises
    ------
    TypeError, ValueError
        If the codes are no vector of two integers or more, or k is out of range.
    """
    codes = integer_tensor(codes, "codes")
    k = whole_number(k, "k")
    if codes.ndim != 1 or len(codes) < 2 or not 1 <= k <= len(codes):
        raise ValueError(
            f"codes has shape {tuple(codes.shape)} and k is {k}; expected the codes of one image, "
            "[classes], two or more, and a k from 1 to their number."
        )
    # Differences of bytes need more than a byte.
    wide = codes.to(torch.int64)
    order = wide.argsort(descending=True, stable=True)
    return Answer(order[:k], int(wide[order[0]] - wide[order[1]]))
