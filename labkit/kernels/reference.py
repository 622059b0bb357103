"""Layers in integers, written to be read: each is its formula.

A scale leaves a sum of products, and so does a zero point, at the price of three more terms::

    y = sum_k x_k w_k = S_x S_w sum_k (q_x - Z_x)(q_w - Z_w)

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018, sections 2.2 to 2.4.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.kernels.layer import Layer, checked_codes
from labkit.kernels.output_stage import int32_accumulators, output_range, per_tensor_8bit
from labkit.kernels.window import Window, pair
from labkit.qparams import QParams
from labkit.validation import codes_within, integer_tensor, whole_numbers

LONGEST_SUM = 2**20


def gemm(
    q_lhs: Tensor,
    q_rhs: Tensor,
    lhs_zero_point: Tensor | int = 0,
    rhs_zero_point: Tensor | int = 0,
) -> Tensor:
    """Multiply two integer matrices with zero points into int32 accumulators.

    ::

        acc[m, n] = sum_k (q_lhs[m, k] - Z_lhs) (q_rhs[k, n] - Z_rhs)
                  = sum_k q_lhs q_rhs - Z_rhs sum_k q_lhs - Z_lhs sum_k q_rhs + K Z_lhs Z_rhs

    It is computed as in the second line: there the large product knows no zero points, and the
    sum of a constant operand (the weights) can be computed ahead.

    Parameters
    ----------
    q_lhs : Tensor
        [M, K], codes of 8 or 16 bits in any integer dtype.
    q_rhs : Tensor
        [K, N], likewise. K at most 2^20.
    lhs_zero_point : int or Tensor
        Z_lhs: one number, or [M], one per row.
    rhs_zero_point : int or Tensor
        Z_rhs: one number, or [N], one per column.

    Returns
    -------
    Tensor
        int32 [M, N], exact.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, an operand holds no integers or wider ones, or an accumulator
        overflows int32.

    Notes
    -----
    Jacob et al. 2018, equation (7).
    """
    for q, name in ((q_lhs, "q_lhs"), (q_rhs, "q_rhs")):
        codes_within(integer_tensor(q, name), -(2**15), 2**16 - 1, name)
    if q_lhs.ndim != 2 or q_rhs.ndim != 2 or q_lhs.shape[1] != q_rhs.shape[0]:
        raise ValueError(
            f"q_lhs has shape {tuple(q_lhs.shape)} and q_rhs {tuple(q_rhs.shape)}; "
            "expected [M, K] and [K, N]."
        )
    (rows, length), columns = q_lhs.shape, q_rhs.shape[1]
    if length > LONGEST_SUM:
        raise ValueError(f"the inner dimension is {length}; expected {LONGEST_SUM} at most.")
    z_lhs = _zero_points(lhs_zero_point, rows, "lhs_zero_point").reshape(-1, 1)
    z_rhs = _zero_points(rhs_zero_point, columns, "rhs_zero_point").reshape(1, -1)
    # float64 holds every integer up to 2^53, so these sums are exact, and quicker than in int64.
    lhs, rhs = q_lhs.double(), q_rhs.double()
    acc = (
        lhs @ rhs
        - z_rhs * lhs.sum(1, keepdim=True)
        - z_lhs * rhs.sum(0, keepdim=True)
        + length * z_lhs * z_rhs
    )
    return int32_accumulators(acc.to(torch.int64)).to(torch.int32)


def im2col(
    q_x: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    zero_point: int = 0,
) -> Tensor:
    """Write each patch under the kernel as a column, so that a convolution becomes a `gemm`.

    Parameters
    ----------
    q_x : Tensor
        [N, C, H, W], codes of 8 or 16 bits.
    kernel_size : int or (int, int)
        Height and width of the kernel.
    stride, padding, dilation : int or (int, int)
        As in `torch.nn.Conv2d`.
    zero_point : int
        The code to pad with: the one that stands for 0.0.

    Returns
    -------
    Tensor
        [C * kernel height * kernel width, N * positions], the dtype of `q_x`. Rows run over
        channel, kernel row and kernel column, as in ``q_w.flatten(1)``; columns over image, row
        and column of the result.

    Raises
    ------
    TypeError, ValueError
        If `q_x` is no image of integers, or the kernel does not fit into it.
    """
    if integer_tensor(q_x, "q_x").ndim != 4:
        raise ValueError(f"q_x has shape {tuple(q_x.shape)}; expected [N, C, H, W].")
    window, kernel = Window.of(stride, padding, dilation, 1), pair(kernel_size, "kernel_size", 1)
    window.output_size(q_x.shape[2:], kernel)
    top, left = window.padding
    padded = F.pad(q_x.double(), (left, left, top, top), value=zero_point)
    patches = F.unfold(padded, kernel, window.dilation, 0, window.stride)
    return patches.transpose(0, 1).flatten(1).to(q_x.dtype)


def linear(layer: Layer, q_x: Tensor) -> Tensor:
    """Compute a linear layer, [..., in] -> [..., out]."""
    rows = q_x.reshape(-1, q_x.shape[-1])
    acc = gemm(rows, layer.q_w.t(), layer.x_qparams.zero_point, layer.w_zero_point.flatten())
    return layer.output(acc).reshape(*q_x.shape[:-1], len(layer.q_w))


def conv2d(layer: Layer, window: Window, q_x: Tensor, q_residual: Tensor | None = None) -> Tensor:
    """Compute a convolution as one `gemm` per group, [N, in, H, W] -> [N, out, height, width]."""
    z_x, z_w = layer.x_qparams.zero_point, layer.w_zero_point.flatten().expand(len(layer.q_w))
    kernel = layer.q_w.shape[2:]
    columns = im2col(
        q_x, (kernel[0], kernel[1]), window.stride, window.padding, window.dilation, int(z_x)
    )
    groups = zip(
        layer.q_w.flatten(1).chunk(window.groups),
        columns.chunk(window.groups),
        z_w.chunk(window.groups),
        strict=True,
    )
    acc = torch.cat([gemm(rows, patches, z_rows, z_x) for rows, patches, z_rows in groups])
    size = window.output_size(q_x.shape[2:], kernel)
    return layer.output(acc.reshape(-1, len(q_x), *size).transpose(0, 1), q_residual)


def add(
    q_a: Tensor,
    a_qparams: QParams,
    q_b: Tensor,
    b_qparams: QParams,
    out_qparams: QParams,
    relu: bool = False,
) -> Tensor:
    """Add two quantized tensors of different scales.

    ::

        q = clamp(round((q_a - Z_a) S_a / S_y + (q_b - Z_b) S_b / S_y + Z_y), qmin, qmax)

    evaluated from left to right in float32, ties to even. Behind a convolution, its
    ``residual_qparams`` give the addition for free and round once less.

    Parameters
    ----------
    q_a, q_b : Tensor
        Codes of one shape, each of the dtype of its scheme.
    a_qparams, b_qparams, out_qparams : QParams
        Of the operands and the result, each for the whole tensor.
    relu : bool
        Clamp at Z_y from below.

    Returns
    -------
    Tensor
        Codes of ``out_qparams.scheme.dtype``; saturates.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, or a code is outside its scheme.
    """
    if checked_codes(q_a, a_qparams, "q_a").shape != checked_codes(q_b, b_qparams, "q_b").shape:
        raise ValueError(
            f"q_a has shape {tuple(q_a.shape)} and q_b {tuple(q_b.shape)}; expected one shape."
        )
    low, high, zero_point = output_range(out_qparams, relu)
    terms = []
    for q, qparams, name in ((q_a, a_qparams, "a_qparams"), (q_b, b_qparams, "b_qparams")):
        per_tensor_8bit(qparams, name)
        scale = float(qparams.scale.double() / out_qparams.scale.double())
        terms.append(q.to(torch.float32).sub_(int(qparams.zero_point)).mul_(scale))
    real = terms[0].add_(terms[1]).add_(zero_point)
    return real.round_().clamp_(low, high).to(out_qparams.scheme.dtype)


def _zero_points(value: Tensor | int, count: int, name: str) -> Tensor:
    zero_point = codes_within(whole_numbers(value, name), -(2**15), 2**16 - 1, name)
    if zero_point.shape not in ((), (1,), (count,)):
        raise ValueError(
            f"{name} has shape {tuple(zero_point.shape)}; expected one number, or ({count},)."
        )
    return zero_point.double()
