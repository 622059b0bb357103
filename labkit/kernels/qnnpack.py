"""Products of rows through QNNPACK, for processors that are not x86.

torch has its engine "qnnpack" for ARM, on a Mac too, where there is no oneDNN. Its static operators
round ``(acc + q_b) * multiplier`` and add the zero point to the integer: at about one result in
200,000 that is another integer than `OutputStage` gives. ``linear_dynamic`` returns
``acc * multiplier + offset`` in float32, unrounded, which is what `OutputStage.finish` takes; so
linear layers and 1x1 convolutions can be computed here, and other convolutions cannot.

The operator quantizes real numbers itself, on a grid from their smallest to their largest. Two rows
more than there are hold the ends of the grid that is wanted.

It needs torch's quantized tensors (`labkit.kernels.quantized_tensors`). Where the probe fails, or
float32 products are quicker, `labkit.kernels.exact` does the work.
"""

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.kernels.output_stage import OutputStage
from labkit.kernels.quantized_tensors import packed
from labkit.kernels.timing import quicker
from labkit.kernels.window import Window


class Matmul:
    """A prepacked product with its output stage, uint8 [..., in] -> [..., out].

    Parameters
    ----------
    weight : Tensor
        int8 [out, in].
    x_zero_point : int
        Zero point of the activations.
    output : OutputStage
        With one multiplier and one offset per output.

    Raises
    ------
    RuntimeError
        If torch lacks the engine.
    """

    def __init__(self, weight: Tensor, x_zero_point: int, output: OutputStage) -> None:
        self._x_zero_point, self._output = x_zero_point, output
        self._packed = packed("qnnpack", torch.ops.quantized.linear_prepack, weight, output)

    def __call__(self, x: Tensor, q_residual: Tensor | None = None) -> Tensor:
        """Compute the product, and add codes of a residual of its shape."""
        return self._output.finish(self.real(x), q_residual)

    def real(self, x: Tensor) -> Tensor:
        """Return ``acc * multiplier + offset`` in float32."""
        rows = x.reshape(-1, x.shape[-1])
        real = torch.empty(len(rows) + 2, rows.shape[1])
        real[:-2].copy_(rows).sub_(self._x_zero_point)
        real[-2], real[-1] = -self._x_zero_point, 255 - self._x_zero_point
        result = torch.ops.quantized.linear_dynamic(real, self._packed, False)
        return result[:-2].reshape(*x.shape[:-1], -1)


class Convolution:
    """A prepacked 1x1 convolution, uint8 [N, in, H, W] -> [N, out, H, W]; as `Matmul`."""

    def __init__(self, weight: Tensor, x_zero_point: int, output: OutputStage) -> None:
        self._product = Matmul(weight.flatten(1), x_zero_point, output)

    def __call__(self, x: Tensor, q_residual: Tensor | None = None) -> Tensor:
        """Compute the convolution."""
        residual = None if q_residual is None else q_residual.permute(0, 2, 3, 1)
        return self._product(x.permute(0, 2, 3, 1), residual).permute(0, 3, 1, 2)


def multiplies_rows(kernel: Sequence[int], window: Window | None) -> bool:
    """Tell whether a layer is linear, or a convolution whose pixels are rows of a product."""
    return window is None or (tuple(kernel) == (1, 1) and window == Window())


@cache
def usable() -> bool:
    """Tell whether the engine exists, is exact to the last bit, and quicker than float32."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (128, 512), generator=draw, dtype=torch.uint8)
    weight = torch.randint(-128, 128, (512, 512), generator=draw, dtype=torch.int8)
    x[0], weight[0] = 255, 127
    multiplier = torch.rand(512, generator=draw).mul_(2**-10)
    offset = torch.randint(-128, 128, (512,), generator=draw) + multiplier * 301
    output = OutputStage(multiplier, offset, 3, 255, torch.uint8)
    acc = F.linear(x.double() - 5, weight.double())
    try:
        product = Matmul(weight, 5, output)
        exact = torch.equal(product.real(x), acc.float() * multiplier + offset)
    except (AttributeError, RuntimeError):
        return False
    real = weight.float()
    return exact and quicker(lambda: product(x), lambda: output(F.linear(x.float().sub_(5), real)))
