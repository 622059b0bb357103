"""The integer operations of a network that hold no weights.

All take and give codes. What computes new values rounds once, ties to even, in float32; its sums of
codes are exact there.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labkit.kernels import add
from labkit.qparams import QParams

# Integers up to here, and so sums of this many 8-bit codes, are exact in float32.
LARGEST_WINDOW = 2**24 // 255


class Add(nn.Module):
    """The sum of two tensors on different grids, with its ReLU: `labkit.kernels.add`."""

    def __init__(self, inputs: list[QParams], out_qparams: QParams, relu: bool) -> None:
        super().__init__()
        self.inputs, self.out_qparams, self.relu = inputs, out_qparams, relu

    def forward(self, q_a: Tensor, q_b: Tensor) -> Tensor:
        """Add codes of one shape."""
        return add(q_a, self.inputs[0], q_b, self.inputs[1], self.out_qparams, self.relu)


class Rescale(nn.Module):
    """Move codes to another grid: ``q = clamp(round((q_x - Z_x) S_x / S_y + Z_y), qmin, qmax)``."""

    def __init__(self, x_qparams: QParams, out_qparams: QParams) -> None:
        super().__init__()
        self.scheme = out_qparams.scheme
        self.multiplier = float(x_qparams.scale.double() / out_qparams.scale.double())
        self.x_zero_point = int(x_qparams.zero_point)
        self.zero_point = int(out_qparams.zero_point)
        self.same = (
            self.multiplier == 1
            and self.x_zero_point == self.zero_point
            and x_qparams.scheme == out_qparams.scheme
        )

    def forward(self, q_x: Tensor) -> Tensor:
        """Rescale codes."""
        if self.same:
            return q_x
        return self.finish(q_x.to(torch.float32).sub_(self.x_zero_point))

    def finish(self, total: Tensor, terms: int = 1) -> Tensor:
        """Scale, round and saturate sums of `terms` codes in float32; overwrites them."""
        real = total.mul_(self.multiplier / terms).add_(self.zero_point)
        return real.round_().clamp_(self.scheme.qmin, self.scheme.qmax).to(self.scheme.dtype)


class Concatenate(nn.Module):
    """Join tensors along their channels, on one grid."""

    def __init__(self, inputs: list[QParams], out_qparams: QParams) -> None:
        super().__init__()
        self.rescales = nn.ModuleList(Rescale(qparams, out_qparams) for qparams in inputs)

    def forward(self, *q_inputs: Tensor) -> Tensor:
        """Join codes [N, C, H, W]."""
        parts = [move(q) for move, q in zip(self.rescales, q_inputs, strict=True)]
        return torch.cat(parts, dim=1)


class AveragePool(nn.Module):
    """The mean of windows, ``q = clamp(round(sum(q_x - Z_x) S_x / (n S_y) + Z_y), qmin, qmax)``.

    Parameters
    ----------
    x_qparams, out_qparams : QParams
    kernel_size, stride, padding : list of int, optional
        As in `torch.nn.AvgPool2d`; padding stands for 0.0.
    output_size : list of int, optional
        Instead of these: windows that divide the image evenly.
    flat : bool
        Return [N, C] for an output of one pixel.
    """

    def __init__(
        self,
        x_qparams: QParams,
        out_qparams: QParams,
        kernel_size: list[int] | None = None,
        stride: list[int] | None = None,
        padding: list[int] | None = None,
        output_size: list[int] | None = None,
        flat: bool = False,
    ) -> None:
        super().__init__()
        self.rescale = Rescale(x_qparams, out_qparams)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding or [0, 0]
        self.output_size, self.flat = output_size, flat

    def forward(self, q_x: Tensor) -> Tensor:
        """Average codes [N, C, H, W].

        Raises
        ------
        ValueError
            If the image cannot be divided evenly, or a window holds too many pixels.
        """
        kernel, stride = self._window(q_x)
        pixels = kernel[0] * kernel[1]
        if pixels > LARGEST_WINDOW:
            raise ValueError(
                f"the window {kernel[0]} x {kernel[1]} holds {pixels} codes; expected at most "
                f"{LARGEST_WINDOW}, whose sum is exact. Pool in two steps."
            )
        shifted = q_x.to(torch.float32).sub_(self.rescale.x_zero_point)
        if kernel == list(q_x.shape[2:]) and not any(self.padding):
            total = shifted.sum((2, 3), keepdim=True)
        else:
            total = F.avg_pool2d(shifted, kernel, stride, self.padding, divisor_override=1)
        out = self.rescale.finish(total, pixels)
        return out.flatten(1) if self.flat else out

    def _window(self, q_x: Tensor) -> tuple[list[int], list[int]]:
        if self.output_size is None:
            return self.kernel_size or [1, 1], self.stride or [1, 1]
        size = list(q_x.shape[2:])
        if any(s % o for s, o in zip(size, self.output_size, strict=True)):
            raise ValueError(
                f"an image of {size[0]} x {size[1]} cannot be divided evenly into "
                f"{self.output_size[0]} x {self.output_size[1]} windows; expected a multiple. "
                "Choose another size of image, or another output_size."
            )
        kernel = [s // o for s, o in zip(size, self.output_size, strict=True)]
        return kernel, kernel


class MaxPool(nn.Module):
    """The largest code of each window: the order of codes is that of the values.

    As in `torch.nn.MaxPool2d`; the padding holds the lowest code. (`torch.max_pool2d` takes integer
    images of at most 127 or 255 numbers in channels-last memory.)
    """

    def __init__(
        self, kernel_size: list[int], stride: list[int], padding: list[int], dilation: list[int]
    ) -> None:
        super().__init__()
        self.windows = list(zip((2, 3), kernel_size, stride, dilation, strict=True))
        self.border = [padding[1], padding[1], padding[0], padding[0]]

    def forward(self, q_x: Tensor) -> Tensor:
        """Pool codes [N, C, H, W]."""
        if any(self.border):
            q_x = F.pad(q_x, self.border, value=torch.iinfo(q_x.dtype).min)
        for dim, size, stride, dilation in self.windows:
            windows = q_x.unfold(dim, dilation * (size - 1) + 1, stride)[..., ::dilation]
            q_x = functools.reduce(torch.maximum, windows.unbind(-1))
        return q_x


class Clamp(nn.Module):
    """ReLU, or ReLU6, on codes: nothing below Z, nothing above the code of the ceiling."""

    def __init__(self, qparams: QParams, relu: bool, ceiling: float | None) -> None:
        super().__init__()
        self.low = int(qparams.zero_point) if relu else qparams.scheme.qmin
        self.high = code_of(ceiling, qparams)

    def forward(self, q_x: Tensor) -> Tensor:
        """Clamp codes."""
        return q_x.clamp(self.low, self.high)


class Ceiling(nn.Module):
    """A layer whose result ends at a ReLU6's ceiling, where its grid reaches further."""

    def __init__(self, layer: nn.Module, high: int) -> None:
        super().__init__()
        self.layer, self.high = layer, high

    def forward(self, *q_inputs: Tensor) -> Tensor:
        """Compute the layer, then clamp its codes."""
        return self.layer(*q_inputs).clamp_(max=self.high)


class Flatten(nn.Module):
    """[N, C, H, W] to [N, C H W]."""

    def forward(self, q_x: Tensor) -> Tensor:
        """Reshape codes."""
        return q_x.flatten(1)


class Pad(nn.Module):
    """A border of Z, which stands for 0.0."""

    def __init__(self, qparams: QParams, padding: list[int]) -> None:
        super().__init__()
        self.padding, self.zero_point = padding, int(qparams.zero_point)

    def forward(self, q_x: Tensor) -> Tensor:
        """Pad codes [N, C, H, W] on the left, right, top and bottom."""
        return F.pad(q_x, self.padding, value=self.zero_point)


def code_of(ceiling: float | None, qparams: QParams) -> int:
    """Return the code of the largest value that may come out."""
    if ceiling is None:
        return qparams.scheme.qmax
    code = round(ceiling / float(qparams.scale)) + int(qparams.zero_point)
    return min(code, qparams.scheme.qmax)
