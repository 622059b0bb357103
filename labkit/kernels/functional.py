"""The layers as functions."""

from torch import Tensor

from labkit.kernels.modules import QuantizedConv2d, QuantizedLinear
from labkit.kernels.window import Pair
from labkit.qparams import QParams


def linear(
    q_x: Tensor,
    x_qparams: QParams,
    q_w: Tensor,
    w_qparams: QParams,
    bias: Tensor | None,
    out_qparams: QParams,
    relu: bool = False,
    backend: str = "reference",
) -> Tensor:
    """Compute a linear layer on integers.

    ::

        acc = sum_k (q_x - Z_x)(q_w - Z_w)                              int32, exact
        q_b = round(b / (S_x S_w))                                      int32
        m   = S_x S_w / S_y                                             float32
        q_y = clamp(round(acc * m + (q_b * m + Z_y)), qmin, qmax)       float32, ties to even

    Parameters
    ----------
    q_x : Tensor
        Activations [..., in], codes of `x_qparams`.
    x_qparams : QParams
        S_x and Z_x, for the whole tensor; 8 bits at most.
    q_w : Tensor
        Weights [out, in], codes of `w_qparams`.
    w_qparams : QParams
        S_w and Z_w, for the whole tensor or per output (axis=0); 8 bits at most.
    bias : Tensor or None
        b [out], real; held as int32 at scale S_x S_w.
    out_qparams : QParams
        S_y and Z_y, for the whole tensor; 8 bits at most.
    relu : bool
        Clamp at Z_y from below: a ReLU that costs nothing.
    backend : str
        "reference" computes the formula as it stands. "torch" is fast and gives the same integers,
        always: `labkit.kernels.roads` says how.

    Returns
    -------
    Tensor
        Codes of `out_qparams`, [..., out], of its scheme's dtype; saturates.

    Raises
    ------
    TypeError, ValueError
        If shapes, dtypes or scales do not fit, a code is outside its scheme, the bias does not fit
        into int32, or an accumulator leaves it.

    Notes
    -----
    Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", CVPR 2018, sections 2.2 to 2.4; the rounding is oneDNN's.
    Integer-only hardware adds q_b to acc and multiplies in fixed point, which can differ by 1 near
    a tie: `requantize` has those rules.
    """
    layer = QuantizedLinear(q_w, w_qparams, bias, x_qparams, out_qparams, relu, backend)
    return layer(q_x)


def conv2d(
    q_x: Tensor,
    x_qparams: QParams,
    q_w: Tensor,
    w_qparams: QParams,
    bias: Tensor | None,
    out_qparams: QParams,
    relu: bool = False,
    backend: str = "reference",
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    q_residual: Tensor | None = None,
    residual_qparams: QParams | None = None,
) -> Tensor:
    """Compute a convolution on integers, and add a residual to it if there is one.

    The formula is that of `linear`, with acc summed over channels and kernel. The padding is filled
    with Z_x, which stands for 0.0. With a residual q_r of scale S_r, everything is counted in steps
    of S_r, and there is one rounding for both::

        m   = S_x S_w / S_r,    step = S_y / S_r                                        float32
        q_y = clamp(round((acc * m + (q_b * m + Z_y step - Z_r) + q_r) * (1 / step)), qmin, qmax)

    Parameters
    ----------
    q_x : Tensor
        Activations [N, in, H, W].
    q_w : Tensor
        Weights [out, in / groups, kernel height, kernel width].
    x_qparams, w_qparams, bias, out_qparams, relu, backend
        As in `linear`.
    stride, padding, dilation : int or (int, int)
        As in `torch.nn.Conv2d`.
    groups : int
        As there; ``groups == in == out`` is a depthwise convolution.
    q_residual : Tensor, optional
        Codes of `residual_qparams` in the shape of the result.
    residual_qparams : QParams, optional
        For the whole tensor; 8 bits at most.

    Returns
    -------
    Tensor
        Codes of `out_qparams`, [N, out, height, width]; saturates.

    Raises
    ------
    TypeError, ValueError
        As `linear`; and if the kernel does not fit into the padded image.
    """
    layer = QuantizedConv2d(
        q_w,
        w_qparams,
        bias,
        x_qparams,
        out_qparams,
        relu,
        backend,
        stride,
        padding,
        dilation,
        groups,
        residual_qparams,
    )
    return layer(q_x, q_residual)
