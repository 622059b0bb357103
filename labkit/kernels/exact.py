"""The road that needs no int8 engine: integer products computed exactly in floating point.

float32 holds every integer up to 2^24. A sum of products whose partial sums all stay below that is
exact in any order of summation, whatever the library does. A longer one is cut into pieces along
its inner dimension, and these are added up in float64. Modes that round the operands of a float32
product (bfloat16, TF32) do no harm: they keep integers up to 256, and none here is larger.
"""

import math
import platform
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.kernels.layer import Layer
from labkit.kernels.output_stage import INT32_MAX, int32_accumulators
from labkit.kernels.window import Window

FLOAT32_EXACT = 2**24

Product = Callable[[Tensor, Tensor], Tensor]


class ExactRoad:
    """Call with ``(q_x, q_residual)``; gives the codes of the reference.

    Parameters
    ----------
    layer : Layer
        What to compute. Its weights are held in float32, four bytes each.
    """

    name = "float32"

    def __init__(self, layer: Layer) -> None:
        scheme, self._zero_point = layer.x_qparams.scheme, int(layer.x_qparams.zero_point)
        largest_x = max(self._zero_point - scheme.qmin, scheme.qmax - self._zero_point)
        weight = layer.q_w.double() - layer.w_zero_point
        self._may_overflow = largest_x * _longest(weight) > INT32_MAX
        parts = _cut(weight, FLOAT32_EXACT / largest_x)
        groups = layer.window.groups if layer.window else 1
        if parts is None or (groups > 1 and (len(parts) > 1 or not _on_x86())):
            # Half as fast, but sums of any length fit. Cutting the channels of each group is not
            # worth the code, and on other processors torch has a Winograd convolution by depth.
            self._dtype, parts = torch.float64, [weight]
        else:
            self._dtype = torch.float32
        self._axis = 1 if layer.window else -1
        self._widths = [part.shape[1] * groups for part in parts]
        self._weights = [part.to(self._dtype) for part in parts]
        self._product = _convolution(layer.window) if layer.window else F.linear
        self._output = layer.output

    def __call__(self, q_x: Tensor, q_residual: Tensor | None = None) -> Tensor:
        """Compute the layer."""
        return self._output(self.accumulators(q_x), q_residual)

    def accumulators(self, q_x: Tensor) -> Tensor:
        """Return the sums of (q_x - Z_x)(q_w - Z_w), as integers in float32 or float64."""
        # Autocast would hand the products back in bfloat16.
        with torch.autocast("cpu", enabled=False):
            x = q_x.to(self._dtype).sub_(self._zero_point)
            if len(self._weights) == 1:
                acc = self._product(x, self._weights[0])
            else:
                pieces = zip(x.split(self._widths, self._axis), self._weights, strict=True)
                acc = torch.stack([self._product(*piece).double() for piece in pieces]).sum(0)
        if self._may_overflow:
            int32_accumulators(acc.to(torch.int64))
        return acc


def _longest(weight: Tensor) -> float:
    """Return the largest sum of |w| over the inputs of an output."""
    return float(weight.abs().flatten(1).sum(1).max())


def _cut(weight: Tensor, limit: float) -> list[Tensor] | None:
    """Cut `weight` along its inputs until no output's sum of |w| exceeds `limit`, if it can be."""
    fewest = max(1, math.ceil(_longest(weight) / limit))
    for count in range(fewest, weight.shape[1] + 1):
        parts = weight.chunk(count, dim=1)
        if all(_longest(part) <= limit for part in parts):
            return list(parts)
    return None


def _convolution(window: Window) -> Product:
    convolve = partial(
        F.conv2d,
        stride=window.stride,
        padding=window.padding,
        dilation=window.dilation,
        groups=window.groups,
    )

    def product(x: Tensor, weight: Tensor) -> Tensor:
        # NNPACK's Winograd convolution multiplies by fractions: millions of sums would be off.
        with torch.backends.nnpack.flags(enabled=False):
            return convolve(x, weight)

    return product


def _on_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")
