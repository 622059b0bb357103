"""A convolution as C computes it: loops over numbers that lie in a row.

Images lie as [H, W, C], weights as [out, kernel height, kernel width, in], so that the innermost
loop reads both in order. Slow in Python, and meant to be read.
"""

import torch
from torch import Tensor

from labkit.validation import integer_tensor

__all__ = ["convolve"]


def convolve(
    q_x: Tensor, q_w: Tensor, q_bias: Tensor, x_zero_point: int, stride: int, padding: int
) -> Tensor:
    """Return the accumulators ``acc = q_b + sum (q_x - Z_x) q_w`` of a convolution.

    Parameters
    ----------
    q_x : Tensor
        Codes of the image [H, W, C].
    q_w : Tensor
        Codes of the weights [out, kernel height, kernel width, C], with zero point 0.
    q_bias : Tensor
        int32 [out], at scale S_x S_w.
    x_zero_point : int
        Z_x: the code of 0.0, which padding stands for, so a pixel outside adds nothing.
    stride, padding : int
        In both directions.

    Returns
    -------
    Tensor
        int32 [height, width, out].

    Raises
    ------
    TypeError, ValueError
        If the operands are no integers, or their shapes do not fit.
    """
    for value, name in ((q_x, "q_x"), (q_w, "q_w"), (q_bias, "q_bias")):
        integer_tensor(value, name)
    if q_x.ndim != 3 or q_w.ndim != 4 or q_x.shape[2] != q_w.shape[3]:
        raise ValueError(
            f"q_x has shape {tuple(q_x.shape)} and q_w {tuple(q_w.shape)}; expected [H, W, C] and "
            "[out, kernel height, kernel width, C]."
        )
    (height, width, channels), (outputs, rows, columns, _) = q_x.shape, q_w.shape
    out_height = (height + 2 * padding - rows) // stride + 1
    out_width = (width + 2 * padding - columns) // stride + 1
    x, w, bias = (value.flatten().tolist() for value in (q_x, q_w, q_bias))
    result = []
    for i in range(out_height):
        for j in range(out_width):
            for n in range(outputs):
                acc = bias[n]
                for r in range(rows):
                    for s in range(columns):
                        y, z = i * stride + r - padding, j * stride + s - padding
                        if 0 <= y < height and 0 <= z < width:
                            pixel = (y * width + z) * channels
                            weight = ((n * rows + r) * columns + s) * channels
                            for c in range(channels):
                                acc += (x[pixel + c] - x_zero_point) * w[weight + c]
                result.append(acc)
    return torch.tensor(result, dtype=torch.int32).reshape(out_height, out_width, outputs)
