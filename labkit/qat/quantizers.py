"""Modules that put a tensor on its grid during training.

`FakeQuantize` watches the tensor and follows its range, `LSQ` learns the step size together with
the weights, `Binary` keeps nothing but signs. Each says with `qparams` which integers its output
stands for.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from labkit.calibration import MSE
from labkit.linear import SMALLEST_SCALE, from_range
from labkit.ptq.weights import weight_qparams
from labkit.qat.straight_through import fake_quantize, sign
from labkit.qparams import QParams, Scheme
from labkit.validation import axis_of, instance_of, real_tensor, whole_number

__all__ = ["LSQ", "Binary", "FakeQuantize", "Quantizer"]


class Quantizer(nn.Module, ABC):
    """What all of them do: put a tensor on its grid, and say which grid that is.

    A quantizer starts with the first tensor that it is given, in training or not. Its state
    (state_dict) is complete: what is loaded goes on where it was.

    Parameters
    ----------
    scheme : Scheme
        The integers to use.
    axis : int, optional
        None: one scale for the tensor. Otherwise one for each index along `axis`.

    Attributes
    ----------
    scale : Tensor
        S, float32, [] or [C].
    zero_point : Tensor
        Z, int32, of the same shape.
    started : Tensor
        bool; whether a tensor was seen.

    Raises
    ------
    TypeError
        If `scheme` is no Scheme, or `axis` no whole number.
    """

    scale: Tensor
    zero_point: Tensor
    started: Tensor

    def __init__(self, scheme: Scheme, axis: int | None = None) -> None:
        super().__init__()
        self.scheme = instance_of(scheme, Scheme, "scheme", "Scheme(bits=4)")
        self.axis = None if axis is None else whole_number(axis, "axis")
        self.register_buffer("zero_point", torch.tensor(0, dtype=torch.int32))
        self.register_buffer("started", torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` on its grid, float32; gradients flow straight through the rounding.

        Raises
        ------
        TypeError, ValueError
            If the first `x` is not a finite, non-empty real tensor, or lacks the axis.
        """
        if not self.started:
            self.start(real_tensor(x, "x"))
            self.started.fill_(True)
        return self.quantize(x)

    @abstractmethod
    def start(self, x: Tensor) -> None:
        """Choose the first grid."""

    @abstractmethod
    def quantize(self, x: Tensor) -> Tensor:
        """Return `x` on the grid."""

    def qparams(self) -> QParams:
        """Return the scale, the zero point and the integers of the grid as it is now.

        Raises
        ------
        ValueError
            If nothing was seen yet.
        """
        if not self.started:
            raise ValueError(
                "the quantizer has seen no tensor yet; expected one call before. Run the prepared "
                "network on a batch of images first."
            )
        return QParams(self.step().detach().clone(), self.zero_point, self.scheme, self.axis)

    def step(self) -> Tensor:
        """Return the scale as it is used."""
        return self.scale

    def along(self, values: Tensor, x: Tensor) -> Tensor:
        """Return `values`, one for each channel, shaped to broadcast against `x`."""
        if self.axis is None:
            return values
        axis = axis_of(self.axis, x.shape, "x")
        return values.reshape([-1 if d == axis else 1 for d in range(x.ndim)])

    def extra_repr(self) -> str:
        """Show the integers."""
        return f"{self.scheme.qmin} to {self.scheme.qmax}, axis={self.axis}"


class FakeQuantize(Quantizer):
    """Follow the range of a tensor, and quantize to it.

    ::

        r = r + (1 - momentum) (r(batch) - r)         for r = rmin, rmax

    In training mode and until it is frozen; in eval mode the range stays as it is.

    Parameters
    ----------
    scheme, axis
        As in `Quantizer`.
    momentum : float
        How much of the range stays when a batch comes, from 0 to less than 1: 0.9 suits
        activations, 0 weights, all of which are there every time.

    Attributes
    ----------
    rmin, rmax : Tensor
        The running range, float32, [] or [C].
    frozen : bool
        Whether the range stays as it is in training, too.

    Raises
    ------
    ValueError
        If `momentum` is not in [0, 1).

    Notes
    -----
    Jacob et al. 2018, section 3.1.
    """

    rmin: Tensor
    rmax: Tensor

    def __init__(self, scheme: Scheme, axis: int | None = None, momentum: float = 0.9) -> None:
        super().__init__(scheme, axis)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum is {momentum}; expected 0 or more, and less than 1.")
        self.momentum, self.frozen = momentum, False
        for name in ("scale", "rmin", "rmax"):
            self.register_buffer(name, torch.tensor(1.0))

    def start(self, x: Tensor) -> None:
        """Take the range of `x`."""
        self._follow(*self._range(x))

    def quantize(self, x: Tensor) -> Tensor:
        """Return `x` on the grid of the running range, which it first moves in training."""
        if self.training and not self.frozen:
            low, high = self._range(x.detach())
            new = 1 - self.momentum
            self._follow(self.rmin.lerp(low, new), self.rmax.lerp(high, new))
        scale, zero_point = self.along(self.scale, x), self.along(self.zero_point, x)
        return fake_quantize(x, scale, zero_point, self.scheme.qmin, self.scheme.qmax)

    def _range(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.axis is None:
            return tuple(x.aminmax())  # type: ignore[return-value]
        rows = x.movedim(self.axis, 0).flatten(1)
        return rows.amin(1), rows.amax(1)

    def _follow(self, rmin: Tensor, rmax: Tensor) -> None:
        self.rmin, self.rmax = rmin, rmax
        qparams = from_range(rmin, rmax, self.scheme, self.axis)
        self.scale, self.zero_point = qparams.scale, qparams.zero_point


class LSQ(Quantizer):
    """Learn the step size by gradient descent, together with the weights.

    The gradient of the scale (`straight_through.fake_quantize`) is multiplied by

    ::

        g = 1 / sqrt(N qmax)          N: values that share a scale in one image, or in the weights

    so that a step of gradient descent moves the scale, relative to its size, about as far as the
    weights. The zero point stays.

    Parameters
    ----------
    scheme, axis
        As in `Quantizer`. The first tensor decides the first scale, the one of the smallest mean
        squared error.

    Notes
    -----
    Esser et al., "Learned Step Size Quantization", ICLR 2020, arXiv:1902.08153, sections 2.1 and
    2.2. The paper starts at 2 mean(|x|) / sqrt(qmax).
    """

    def __init__(self, scheme: Scheme, axis: int | None = None) -> None:
        super().__init__(scheme, axis)
        self.scale = nn.Parameter(torch.tensor(1.0))

    def start(self, x: Tensor) -> None:
        """Choose the scale and the zero point of the smallest mean squared error."""
        if self.axis == 0:
            qparams = weight_qparams(x, self.scheme)
        else:
            observer = MSE(self.axis)
            observer.observe(x)
            qparams = observer.qparams(self.scheme)
        self.scale.data, self.zero_point = qparams.scale, qparams.zero_point

    def step(self) -> Tensor:
        """Return |scale|: a step of gradient descent may carry the parameter past 0."""
        return self.scale.abs().clamp(min=SMALLEST_SCALE)

    def quantize(self, x: Tensor) -> Tensor:
        """Return `x` on the grid of the learned scale."""
        qmin, qmax = self.scheme.qmin, self.scheme.qmax
        # Weights: all values of a channel. Activations: those of one image, as the loss is a mean.
        sharing = x.numel() / (x.shape[:1].numel() if self.axis is None else self.scale.numel())
        scale, zero_point = self.along(self.step(), x), self.along(self.zero_point, x)
        return fake_quantize(x, scale, zero_point, qmin, qmax, (sharing * qmax) ** -0.5)


class Binary(Quantizer):
    """Keep one bit of each weight, its sign, and one scale for each output channel.

    ::

        y = S sign(w),        S = mean(|w|) over the channel

    S minimizes the squared error of the channel, and moves with the weights. As integers the
    weights are codes -1 and +1 of a narrow 2-bit scheme; packed, one bit each.

    Notes
    -----
    Rastegari et al., "XNOR-Net", ECCV 2016, arXiv:1603.05279, section 3.1, equations (5) and (6);
    gradient straight through the sign.
    """

    def __init__(self) -> None:
        super().__init__(Scheme(2, symmetric=True, narrow=True), axis=0)
        self.register_buffer("scale", torch.tensor(1.0))

    def start(self, x: Tensor) -> None:
        """Give every channel the zero point 0."""
        self.zero_point = torch.zeros(len(x), dtype=torch.int32)

    def quantize(self, x: Tensor) -> Tensor:
        """Return the signs of `x` times the mean size of each channel; 0 counts as positive."""
        scale = x.abs().flatten(1).mean(1)
        self.scale = scale.detach().clamp(min=SMALLEST_SCALE)
        return self.along(scale, x) * sign(x)
