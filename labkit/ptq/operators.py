"""The integer operations of a network that hold no weights.

All take and give codes. What computes new values rounds once, ties to even, in float32; its sums of
codes are exact there.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labkit.kernels.output_stage import output_range
from labkit.ptq.functions import COMBINATIONS, called
from labkit.ptq.movers import (
    Call,
    Ceiling,
    Clamp,
    Constant,
    Dequantize,
    Flatten,
    MaxPool,
    OneDimensional,
    Pad,
    Quantize,
    code_of,
    known,
    number,
)
from labkit.qparams import QParams

__all__ = [
    "Add",
    "AveragePool",
    "Call",
    "Ceiling",
    "Clamp",
    "Combination",
    "Concatenate",
    "Constant",
    "Dequantize",
    "Flatten",
    "MaxPool",
    "Multiply",
    "OneDimensional",
    "Pad",
    "Quantize",
    "Rescale",
    "Table",
    "code_of",
]

# Integers up to here, and so sums of this many 8-bit codes, are exact in float32.
LARGEST_WINDOW = 2**24 // 255


class Add(nn.Module):
    """The sum of two tensors on different grids, with its ReLU, as `labkit.kernels.add`.

    ::

        q = clamp(round(f_a (q_a - Z_a) S_a / S_y + f_b (q_b - Z_b) S_b / S_y + Z_y), low, qmax)

    with factors of 1, or -1 for a difference; low is Z_y with a ReLU, else qmin.
    """

    def __init__(
        self,
        inputs: list[QParams],
        out_qparams: QParams,
        relu: bool,
        factors: list[float] | None = None,
    ) -> None:
        super().__init__()
        self.low, self.high, zero_point = output_range(out_qparams, relu)
        self.dtype, self.zero_point = out_qparams.scheme.dtype, number(zero_point)
        self.terms = [
            (number(x.zero_point), number(factor * (x.scale.double() / out_qparams.scale.double())))
            for x, factor in zip(inputs, factors or [1, 1], strict=True)
        ]

    def forward(self, q_a: Tensor, q_b: Tensor) -> Tensor:
        """Add codes of shapes that broadcast."""
        a, b = (
            q.to(torch.float32).sub_(zero_point).mul_(scale)
            for q, (zero_point, scale) in zip((q_a, q_b), self.terms, strict=True)
        )
        real = a.add_(b) if a.shape == b.shape else a + b
        real.add_(self.zero_point)
        return real.round_().clamp_(self.low, self.high).to(self.dtype)


class Multiply(nn.Module):
    """The product of two tensors, with its ReLU: one more multiplier.

    ::

        q = clamp(round((q_a - Z_a) (q_b - Z_b) S_a S_b / S_y + Z_y), low, qmax)

    The product of the codes is exact in float32.
    """

    def __init__(self, inputs: list[QParams], out_qparams: QParams, relu: bool) -> None:
        super().__init__()
        self.low, self.high, self.zero_point = output_range(out_qparams, relu)
        self.dtype = out_qparams.scheme.dtype
        self.zero_points = [int(x.zero_point) for x in inputs]
        a, b, out = (x.scale.double() for x in (*inputs, out_qparams))
        self.multiplier = float(a * b / out)

    def forward(self, q_a: Tensor, q_b: Tensor) -> Tensor:
        """Multiply codes of shapes that broadcast."""
        a, b = (
            q.to(torch.float32).sub_(zero_point)
            for q, zero_point in zip((q_a, q_b), self.zero_points, strict=True)
        )
        real = (a * b).mul_(self.multiplier).add_(self.zero_point)
        return real.round_().clamp_(self.low, self.high).to(self.dtype)


class Table(nn.Module):
    """Any function of one code: ``q = table[q_x - qmin]``, or one table for each channel.

    Parameters
    ----------
    table : Tensor
        Codes of the result: [codes], or [channels, codes].
    x_qparams : QParams
        Whose codes are looked up.
    axis : int, optional
        The channels' axis, counted from the last.
    backend : str
        "reference" indexes as the formula does, "torch" in one pass over the memory.
    """

    def __init__(self, table: Tensor, x_qparams: QParams, axis: int | None, backend: str) -> None:
        super().__init__()
        if table.ndim != (1 if axis is None else 2) or (axis is not None and axis >= 0):
            raise ValueError(f"a table has shape {list(table.shape)}, and its axis is {axis}.")
        self.table, self.axis, self.backend = table, axis, backend
        self.qmin, self.codes = x_qparams.scheme.qmin, table.shape[-1]
        if self.codes <= x_qparams.scheme.qmax - self.qmin:
            raise ValueError(f"a table has {self.codes} codes; expected one for each of the input.")
        # Where each channel's own table starts, with the lowest code at its beginning.
        self.start = torch.tensor(-self.qmin, dtype=torch.int32)
        if axis is not None:
            starts = torch.arange(len(table), dtype=torch.int32) * self.codes - self.qmin
            self.start = starts.reshape(-1, *[1] * (-axis - 1))

    def forward(self, q_x: Tensor) -> Tensor:
        """Look codes up."""
        if self.axis is not None and q_x.shape[self.axis] != len(self.table):
            raise ValueError(f"has a table for each of {len(self.table)} channels")
        where = q_x.to(torch.int32) + self.start
        if self.backend == "reference":
            return self.table.flatten()[where.long()]
        last = where.ndim == 4 and where.is_contiguous(memory_format=torch.channels_last)
        dense = where.permute(0, 2, 3, 1) if last else where
        found = self.table.flatten().index_select(0, dense.reshape(-1)).reshape(dense.shape)
        return found.permute(0, 3, 1, 2) if last else found


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
        self._numbers: dict[int, tuple[Tensor, Tensor]] = {}

    def forward(self, q_x: Tensor) -> Tensor:
        """Rescale codes."""
        if self.same:
            return q_x
        return self.finish(q_x.to(torch.float32).sub_(self.x_zero_point))

    def finish(self, total: Tensor, terms: int = 1) -> Tensor:
        """Scale, round and saturate sums of `terms` codes in real numbers; overwrites them."""
        if total.dtype != torch.float32:
            total.mul_(self.multiplier / terms).add_(self.zero_point)
        else:
            if terms not in self._numbers:
                self._numbers[terms] = number(self.multiplier / terms), number(self.zero_point)
            multiplier, zero_point = self._numbers[terms]
            total.mul_(multiplier).add_(zero_point)
        return total.round_().clamp_(self.scheme.qmin, self.scheme.qmax).to(self.scheme.dtype)


class Concatenate(nn.Module):
    """Join tensors along an axis, or along a new one, on one grid."""

    def __init__(
        self, inputs: list[QParams], out_qparams: QParams, dim: int = 1, stack: bool = False
    ) -> None:
        super().__init__()
        self.rescales = nn.ModuleList(Rescale(qparams, out_qparams) for qparams in inputs)
        self.dim, self.join = dim, torch.stack if stack else torch.cat

    def forward(self, *q_inputs: Tensor) -> Tensor:
        """Join codes."""
        parts = [move(q) for move, q in zip(self.rescales, q_inputs, strict=True)]
        return self.join(parts, dim=self.dim)


class Combination(nn.Module):
    """A sum of codes with fixed weights (a mean, a sum, a bilinear interpolation).

    ::

        q = clamp(round(f(q_x - Z_x) S_x / S_y + Z_y), qmin, qmax)

    for a linear function f, which is evaluated in float64.
    """

    def __init__(self, x_qparams: QParams, out_qparams: QParams, settings: dict) -> None:
        super().__init__()
        self.function = known(COMBINATIONS, settings["function"])
        self.rescale, self.settings = Rescale(x_qparams, out_qparams), settings

    def forward(self, q_x: Tensor, *numbers: Any) -> Tensor:
        """Combine codes."""
        shifted = q_x.double().sub_(self.rescale.x_zero_point)
        return self.rescale.finish(called(self.function, self.settings, [shifted, *numbers]))


class AveragePool(nn.Module):
    """The mean of windows, ``q = clamp(round(sum(q_x - Z_x) S_x / (n S_y) + Z_y), qmin, qmax)``.

    Parameters
    ----------
    x_qparams, out_qparams : QParams
    kernel_size, stride, padding : list of int, optional
        As in `torch.nn.AvgPool2d`; padding stands for 0.0.
    output_size : list of int, optional
        Instead of these: so many windows, of equal size where that divides the image's.
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
            If a window holds too many pixels.
        """
        if self.output_size and any(
            s % o for s, o in zip(q_x.shape[2:], self.output_size, strict=True)
        ):
            shifted = q_x.double().sub_(self.rescale.x_zero_point)
            mean = F.adaptive_avg_pool2d(shifted, tuple(self.output_size))  # type: ignore[arg-type]
            return self.rescale.finish(mean)
        kernel, stride = self.window(q_x.shape)
        pixels = kernel[0] * kernel[1]
        if pixels > LARGEST_WINDOW:
            raise ValueError(
                f"the window {kernel[0]} x {kernel[1]} holds {pixels} codes; expected at most "
                f"{LARGEST_WINDOW}, whose sum is exact. Pool in two steps."
            )
        zero = self.rescale.x_zero_point
        if kernel == list(q_x.shape[2:]) and not any(self.padding):
            total = q_x.sum((2, 3), keepdim=True, dtype=torch.float32)
            total = total.sub_(pixels * zero) if zero else total
        else:
            real = q_x.float().sub_(zero)
            total = F.avg_pool2d(real, kernel, stride, self.padding, divisor_override=1)
        q = self.rescale.finish(total, pixels)
        return q.flatten(1) if self.flat else q

    def window(self, shape: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return the kernel and the stride for images of a shape, [N, C, H, W]."""
        if self.output_size is None:
            return self.kernel_size or [1, 1], self.stride or [1, 1]
        kernel = [s // o for s, o in zip(shape[2:], self.output_size, strict=True)]
        return kernel, kernel
