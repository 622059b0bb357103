"""A convolution of one image that keeps what the engine has prepared.

oneDNN prepares a primitive for each size of image. ``torch.ops.onednn`` looks it up again at every
call; ``torch.ops.quantized`` holds on to that of the first size. The kernel is the same, and so
are its integers, but for one small image the looking up takes longer than the products.

These operators need torch's quantized tensors (`labkit.kernels.quantized_tensors`); without them
`labkit.kernels.engines` does the work.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

import labkit.kernels.engines as engines
from labkit.kernels.output_stage import OutputStage
from labkit.kernels.quantized_tensors import packed
from labkit.kernels.window import Window


class KeptConvolution:
    """A prepacked convolution with its output stage, for images of one size.

    As `labkit.kernels.engines.Convolution` without a residual: what comes out is
    ``round(acc * multiplier + offset)``.

    Parameters
    ----------
    weight : Tensor
        int8 [out, in / groups, kernel height, kernel width].
    x_zero_point : int
        Zero point of the activations.
    output : OutputStage
        With one multiplier and one offset per output.
    window : Window
        Stride, padding, dilation and groups.

    Raises
    ------
    RuntimeError
        If torch lacks the operators.
    """

    def __init__(
        self, weight: Tensor, x_zero_point: int, output: OutputStage, window: Window
    ) -> None:
        self._x_zero_point, self._output = x_zero_point, output
        self._is_clamped = (output.low, output.high) != (0, 255)
        prepack, self._convolve = torch.ops.quantized.conv2d_prepack, torch.ops.quantized.conv2d.new
        self._packed = packed("onednn", prepack, weight, output, *engines.moves(window))

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the convolution of uint8 [1, in, H, W]; gives [1, out, H', W']."""
        wrapped = torch._make_per_tensor_quantized_tensor(x, 1.0, self._x_zero_point)
        q = self._convolve(wrapped, self._packed, 1.0, 0)
        if self._is_clamped:
            q = q.clamp(self._output.low, self._output.high)
        # Its bytes are the codes: `int_repr` would copy them, one by one.
        codes = torch.empty(0, dtype=torch.uint8)
        return codes.set_(q.untyped_storage(), 0, q.shape, q.stride())


@cache
def usable() -> bool:
    """Tell whether the operators exist and finish as `OutputStage` does, to the last bit."""
    x, weight, multiplier, offset = engines.probe(torch.Generator().manual_seed(0), images=1)
    acc = F.conv2d(x.double() - 5, weight.double())
    for low, high in (0, 255), (3, 127):
        output = OutputStage(multiplier, offset, low, high, torch.uint8)
        try:
            codes = KeptConvolution(weight, 5, output, Window())(x)
        except (AttributeError, RuntimeError):
            return False
        if not torch.equal(codes, output(acc)):
            return False
    return True
