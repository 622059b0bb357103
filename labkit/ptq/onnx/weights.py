"""How the weights of an integer network stand in an ONNX file."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from labkit.ptq.plan import Weights
from labkit.qparams import QParams

INT16_MAX = 2**15 - 1
Stored = tuple[np.ndarray, np.ndarray]


def as_uint8(weights: Weights, x_qparams: QParams) -> Stored:
    """Return codes and zero points in uint8: 128 in every channel whose codes can take it.

    ONNX Runtime computes uint8 times uint8 exactly on every processor.
    """
    w = _integers(weights)
    own = weights.qparams.zero_point.to(torch.int16) - weights.qparams.scheme.qmin
    per_channel = w.flatten(1) if own.ndim else w.reshape(1, -1)
    fits = (per_channel.amin(1) >= -128) & (per_channel.amax(1) <= 127)
    zero_point = torch.where(fits.reshape(own.shape), 128, own)
    q = w + _along_outputs(zero_point, w)
    return q.to(torch.uint8).numpy(), zero_point.to(torch.uint8).numpy()


def as_int8(weights: Weights, x_qparams: QParams) -> Stored:
    """Return codes in int8, with zero points of 0.

    Raises
    ------
    ValueError
        If a sum of two products of such codes can leave int16, where processors without VNNI
        saturate.
    """
    w = _integers(weights)
    largest_w, largest_x = int(w.abs().max()), x_qparams.scheme.qmax - x_qparams.scheme.qmin
    if int(w.max()) > 127 or 2 * largest_x * largest_w > INT16_MAX:
        raise ValueError(
            f"its weights reach {largest_w} steps and its inputs {largest_x}: on a processor "
            f"without VNNI, ONNX Runtime's sums of two products saturate at {INT16_MAX}. Expected "
            "weights or inputs of 7 bits with weights='int8'; quantize with "
            "weight_scheme=Scheme(7, symmetric=True), or export with weights='uint8'."
        )
    zero_point = torch.zeros_like(weights.qparams.zero_point, dtype=torch.int8)
    return w.to(torch.int8).numpy(), zero_point.numpy()


STORED: dict[str, Callable[[Weights, QParams], Stored]] = {"uint8": as_uint8, "int8": as_int8}
"""By the name of the dtype."""


def _integers(weights: Weights) -> Tensor:
    """Return ``q - Z``."""
    zero_point = weights.qparams.zero_point.to(torch.int16)
    return weights.q_w.to(torch.int16) - _along_outputs(zero_point, weights.q_w)


def _along_outputs(zero_point: Tensor, w: Tensor) -> Tensor:
    return zero_point.reshape(-1, *[1] * (w.ndim - 1))
