"""Linear quantization: real numbers on an integer grid.

One equation and its inverse carry this module and every later one::

    q  = clamp(round(x / scale) + zero_point, qmin, qmax)         (1)  quantize
    x' = (q - zero_point) * scale                                 (2)  dequantize

`x` is real, `q` an integer, `scale` (S) a positive float32 and `zero_point` (Z) the integer in
[qmin, qmax] to which 0.0 maps exactly. ``round`` is to nearest, ties to even.

Sources: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018, section 2.1; ONNX operator QuantizeLinear.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from labkit.packing import pack, unpack
from labkit.qparams import QParams, Scheme, positive_group_size
from labkit.validation import (
    axis_of,
    codes_within,
    instance_of,
    integer_tensor,
    ordered_range,
    real_tensor,
)

__all__ = [
    "QParams",
    "QuantizationError",
    "Scheme",
    "choose_qparams",
    "dequantize",
    "fake_quantize",
    "from_range",
    "pack",
    "quantization_error",
    "quantize",
    "unpack",
]

# A subnormal scale loses its low bits (and many chips flush it to zero), so none is smaller.
SMALLEST_SCALE = torch.finfo(torch.float32).tiny
LARGEST = torch.finfo(torch.float32).max


def from_range(
    rmin: Tensor | float,
    rmax: Tensor | float,
    scheme: Scheme,
    axis: int | None = None,
    group_size: int | None = None,
) -> QParams:
    """Choose the scale and zero point that cover the real range [rmin, rmax].

    Affine::

        scale      = (rmax - rmin) / (qmax - qmin)
        zero_point = clamp(round(qmin - rmin / scale), qmin, qmax)

    Symmetric, with the zero point fixed in the middle::

        zero_point = 0 if signed, 2^(bits-1) if unsigned
        scale      = max(|rmin|, |rmax|) / min(qmax - zero_point, zero_point - qmin)

    Parameters
    ----------
    rmin, rmax : float or Tensor
        The range, in units of `x`; tensors of the shape that `QParams` describes for `axis` and
        `group_size`. It is first widened to contain 0.0, which must map to an integer exactly.
    scheme : Scheme
        The integers to use.
    axis, group_size : int, optional
        As in `QParams`.

    Returns
    -------
    QParams
        scale float32, computed in float64; zero_point int32, ties to even. A range of the single
        value c gets |c| over a power of two as scale, so that c comes back exactly; the range
        [0, 0] gets scale 1. A scale below the smallest normal float32 becomes that number.

    Raises
    ------
    TypeError, ValueError
        If rmin > rmax, or either is NaN, infinite or beyond float32; if `scheme`, `axis` or
        `group_size` is not what `QParams` takes.

    Notes
    -----
    Jacob et al. 2018, section 3, "nudging" the zero point to an integer; widening to 0 as in ONNX
    DynamicQuantizeLinear.
    """
    instance_of(scheme, Scheme, "scheme", "Scheme(bits=8)")
    qmin, qmax, middle = scheme.qmin, scheme.qmax, scheme.middle
    low, high = ordered_range(rmin, rmax)
    single = torch.where(low == high, low.abs(), 0.0)
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    if scheme.symmetric:
        scale = torch.maximum(-low, high) / min(qmax - middle, middle - qmin)
        exact = single / 2 ** (scheme.bits - 2)
    else:
        scale = (high - low) / (qmax - qmin)
        exact = single / 2 ** (scheme.bits - 1)
    exact = torch.where(exact < SMALLEST_SCALE, single, exact)
    scale = torch.where(single > 0, exact, torch.where(scale == 0, 1.0, scale))
    scale = scale.to(torch.float32).clamp(min=SMALLEST_SCALE)
    if scheme.symmetric:
        zero_point = torch.full_like(scale, middle)
    else:
        zero_point = (qmin - low / scale).round().clamp(qmin, qmax)
    return QParams(scale, zero_point.to(torch.int32), scheme, axis, group_size)


def choose_qparams(
    x: Tensor, scheme: Scheme, axis: int | None = None, group_size: int | None = None
) -> QParams:
    """Choose scale and zero point from the minimum and maximum of `x`.

    Parameters
    ----------
    x : Tensor
        Real values, any shape, any floating-point dtype.
    scheme : Scheme
        The integers to use.
    axis : int, optional
        None: one range for the whole tensor. Otherwise one for each index along `axis`, which
        may count from the back (-1 is the last).
    group_size : int, optional
        With `axis`: one range for each run of `group_size` neighbours along it, at every index
        of the other axes. The last run may be shorter.

    Returns
    -------
    QParams
        As `from_range` gives it for the range of each tensor, channel or group.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty real tensor, lacks that axis, or `group_size` is below 1
        or without an axis.
    """
    x = real_tensor(x, "x")
    if axis is None:
        low, high = x.aminmax()
        return from_range(low, high, scheme, axis, group_size)
    axis = axis_of(axis, x.shape, "x")
    if group_size is None:
        low, high = x.movedim(axis, 0).reshape(x.shape[axis], -1).aminmax(dim=1)
        return from_range(low, high, scheme, axis)
    groups = x.split(positive_group_size(group_size), dim=axis)
    low = torch.cat([group.amin(axis, keepdim=True) for group in groups], dim=axis)
    high = torch.cat([group.amax(axis, keepdim=True) for group in groups], dim=axis)
    return from_range(low, high, scheme, axis, group_size)


def quantize(x: Tensor, qparams: QParams) -> Tensor:
    """Quantize: ``q = clamp(round(x / scale) + zero_point, qmin, qmax)``, equation (1).

    Parameters
    ----------
    x : Tensor
        Real values, any shape, any floating-point dtype; computed in float32, or in float64 if
        `x` is float64.
    qparams : QParams
        Scale, zero point and the integers to use.

    Returns
    -------
    Tensor
        Codes of dtype ``qparams.scheme.dtype`` in the shape of `x`. Rounded to nearest, ties to
        even; values out of range saturate at qmin or qmax.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty real tensor, or its shape does not fit `qparams`.
    """
    x = real_tensor(x, "x")
    scale, zero_point = _qparams(qparams).expand_to(x.shape)
    q = torch.round(x / scale) + zero_point
    # Clamp while still real: an integer conversion first would wrap 170 to -86.
    return q.clamp(qparams.scheme.qmin, qparams.scheme.qmax).to(qparams.scheme.dtype)


def dequantize(q: Tensor, qparams: QParams) -> Tensor:
    """Dequantize: ``x' = (q - zero_point) * scale``, equation (2).

    Parameters
    ----------
    q : Tensor
        Codes, each in [qmin, qmax], of any integer dtype.
    qparams : QParams
        The parameters that `q` was quantized with.

    Returns
    -------
    Tensor
        float32, in the shape of `q`. Saturates at the largest finite number.

    Raises
    ------
    TypeError, ValueError
        If `q` is not a non-empty integer tensor, holds a code out of range, or its shape does not
        fit `qparams`.
    """
    q = integer_tensor(q, "q")
    scale, zero_point = _qparams(qparams).expand_to(q.shape)
    codes_within(q, qparams.scheme.qmin, qparams.scheme.qmax, "q")
    # int32 first: 0 - 3 would wrap to 253 in uint8.
    x = (q.to(torch.int32) - zero_point) * scale
    # A grid may end half a step past the largest float32, where the product is infinite.
    return x.clamp(-LARGEST, LARGEST)


def fake_quantize(x: Tensor, qparams: QParams) -> Tensor:
    """Round `x` to the grid and come back: ``dequantize(quantize(x))``, float32.

    What the network computes with after quantization, in real numbers. Arguments as in `quantize`,
    errors as in both. No gradient flows back to `x`.
    """
    return dequantize(quantize(x, qparams), qparams)


@dataclass(frozen=True)
class QuantizationError:
    """What quantization cost, as mean squared errors in squared units of `x`.

    Attributes
    ----------
    clipping : float
        The part from values outside the representable range [(qmin - Z)S, (qmax - Z)S].
    rounding : float
        The part from the values inside it.
    total : float
        clipping + rounding, the mean of (x - x')^2 over all values.
    clipped_fraction : float
        Share of values outside the representable range, 0 to 1.
    sqnr : float
        Signal to quantization noise, 10 log10(mean(x^2) / total), in dB; inf without error.
    """

    clipping: float
    rounding: float
    total: float
    clipped_fraction: float
    sqnr: float


def quantization_error(x: Tensor, qparams: QParams) -> QuantizationError:
    """Measure the error of quantizing `x`, split into clipping and rounding.

    Parameters
    ----------
    x : Tensor
        Real values, any shape.
    qparams : QParams
        The grid to measure.

    Returns
    -------
    QuantizationError
        Computed in float64, the ends of the range in float32 as `dequantize` gives them.

    Raises
    ------
    TypeError, ValueError
        As `fake_quantize`.
    """
    x = real_tensor(x, "x")
    restored = fake_quantize(x, qparams)
    x = x.double()
    squared = (x - restored).square()
    scale, zero_point = qparams.expand_to(x.shape)
    low = (qparams.scheme.qmin - zero_point) * scale
    high = (qparams.scheme.qmax - zero_point) * scale
    outside = (x < low) | (x > high)
    clipping = float(squared[outside].sum() / x.numel())
    rounding = float(squared[~outside].sum() / x.numel())
    total = clipping + rounding
    signal = float(x.square().mean())
    sqnr = math.inf if total == 0 else 10 * math.log10(signal / total)
    return QuantizationError(clipping, rounding, total, float(outside.double().mean()), sqnr)


def _qparams(qparams: QParams) -> QParams:
    return instance_of(qparams, QParams, "qparams", "choose_qparams(x, scheme)")
