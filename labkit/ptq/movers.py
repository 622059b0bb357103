"""The operations of a network that compute no new values: codes are moved, compared, handed on."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labkit.linear import LARGEST
from labkit.ptq.functions import called, decoded, real_function
from labkit.qparams import QParams
from labkit.validation import real_tensor


class MaxPool(nn.Module):
    """The largest code of each window: the order of codes is that of the values.

    As in `torch.nn.MaxPool2d`, or `MaxPool1d` for windows of one number; the padding holds the
    lowest code. (`torch.max_pool2d` takes integer images of at most 127 or 255 numbers in
    channels-last memory.)
    """

    def __init__(
        self,
        kernel_size: list[int],
        stride: list[int],
        padding: list[int],
        dilation: list[int],
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        dims = range(-len(kernel_size), 0)
        self.windows = list(zip(dims, kernel_size, stride, padding, dilation, strict=True))
        self.ceil_mode = ceil_mode

    def forward(self, q_x: Tensor) -> Tensor:
        """Pool codes [N, C, H, W] or [N, C, L]."""
        sizes = list(q_x.shape)
        borders = [
            border
            for dim, size, stride, padding, dilation in reversed(self.windows)
            for border in (padding, padding + self._beyond(
                sizes[dim] + 2 * padding, dilation * (size - 1) + 1, stride, padding
            ))
        ]  # fmt: skip
        if any(borders):
            q_x = F.pad(q_x, borders, value=torch.iinfo(q_x.dtype).min)
        for dim, size, stride, _, dilation in self.windows:
            windows = q_x.unfold(dim, dilation * (size - 1) + 1, stride)[..., ::dilation]
            q_x = functools.reduce(torch.maximum, windows.unbind(-1))
        return q_x

    def _beyond(self, length: int, reach: int, stride: int, padding: int) -> int:
        """Return how far a last window reaches out; none starts in the padding behind."""
        rest = (length - reach) % stride
        if not self.ceil_mode or not rest:
            return 0
        start = length - reach - rest + stride
        return stride - rest if start < length - padding else 0


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
    """A border of Z, which stands for 0.0, or of another value's code."""

    def __init__(self, qparams: QParams, padding: list[Any], value: Any = 0.0) -> None:
        super().__init__()
        scheme, number = qparams.scheme, decoded(value, ())
        steps = float(number) / float(qparams.scale) + int(qparams.zero_point)
        self.padding = padding
        self.code = round(min(max(steps, scheme.qmin), scheme.qmax))

    def forward(self, q_x: Tensor, *numbers: int) -> Tensor:
        """Pad codes; the padding as in `torch.nn.functional.pad`, the last axis first."""
        return F.pad(q_x, decoded(list(self.padding), [q_x, *numbers]), value=self.code)


class OneDimensional(nn.Module):
    """A convolution of sequences: that of images with one row."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, q_x: Tensor) -> Tensor:
        """Compute the layer on codes [N, C, L]."""
        return self.layer(q_x.unsqueeze(2)).squeeze(2)


class Call(nn.Module):
    """A function by its name: what moves codes about, computes shapes, or works on real numbers."""

    def __init__(self, functions: Mapping[str, Callable] | None, settings: dict) -> None:
        super().__init__()
        name = settings["function"]
        self.function = real_function(name) if functions is None else known(functions, name)
        self.settings = settings

    def forward(self, *inputs: Any) -> Any:
        """Call it."""
        return called(self.function, self.settings, inputs)


class Constant(nn.Module):
    """A tensor that is always the same."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self) -> Tensor:
        """Return it."""
        return self.value


class Quantize(nn.Module):
    """From real numbers to codes, at the door and at an island's shore.

    The codes of `labkit.linear.quantize`, of which everything constant is prepared.
    """

    def __init__(self, qparams: QParams) -> None:
        super().__init__()
        self.scheme, self.scale = qparams.scheme, qparams.scale
        self.zero_point = qparams.zero_point.to(torch.float32)

    def forward(self, x: Tensor) -> Tensor:
        """Quantize.

        Raises
        ------
        TypeError, ValueError
            If `x` are not finite real numbers.
        """
        return self.codes(real_tensor(x, "x"))

    def codes(self, x: Tensor) -> Tensor:
        """Quantize real numbers that were checked."""
        real = (x / self.scale).round_().add_(self.zero_point)
        return real.clamp_(self.scheme.qmin, self.scheme.qmax).to(self.scheme.dtype)


class Dequantize(nn.Module):
    """From codes that need no check to real numbers, those of `labkit.linear.dequantize`."""

    def __init__(self, qparams: QParams) -> None:
        super().__init__()
        self.scale, self.zero_point = qparams.scale, qparams.zero_point.to(torch.float32)
        ends = torch.tensor([qparams.scheme.qmin, qparams.scheme.qmax])
        self.finite = bool(((ends - self.zero_point) * self.scale).isfinite().all())

    def forward(self, q_x: Tensor) -> Tensor:
        """Dequantize."""
        x = q_x.to(torch.float32).sub_(self.zero_point).mul_(self.scale)
        return x if self.finite else x.clamp_(-LARGEST, LARGEST)


def known(functions: Mapping[str, Callable], name: str) -> Callable[..., Any]:
    """Return a function by its name.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in functions:
        raise ValueError(f"function is {name!r}; expected one of {', '.join(functions)}.")
    return functions[name]


def code_of(ceiling: float | None, qparams: QParams) -> int:
    """Return the code of the largest value that may come out."""
    if ceiling is None:
        return qparams.scheme.qmax
    code = round(ceiling / float(qparams.scale)) + int(qparams.zero_point)
    return min(code, qparams.scheme.qmax)


def number(value: Any) -> Tensor:
    """Return a constant in float32: torch adds it to few codes in half the time of a Python one."""
    return torch.as_tensor(value, dtype=torch.float32)
