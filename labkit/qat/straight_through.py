"""Gradients for rounding: the straight-through estimator.

Rounding is flat almost everywhere, so its gradient is zero and nothing would be learned. The
straight-through estimator computes forward with ``round`` and backward as if it were not there
(Bengio, Léonard and Courville 2013, arXiv:1308.3432). Clamping keeps its own gradient: 1 inside
the range, 0 where a value is clipped.
"""

from typing import Any

import torch
from torch import Tensor

__all__ = ["fake_quantize", "sign"]


class _FakeQuantize(torch.autograd.Function):
    """``y = S clamp(round(x / S), low, high)``, with codes counted from the zero point."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, low: Tensor, high: Tensor, gradient_scale: float
    ) -> Tensor:
        code = torch.div(x, scale).round_()
        y = code.clamp(low, high)
        inside = code == y
        y.mul_(scale)
        ctx.save_for_backward(x, scale, y, inside)
        ctx.gradient_scale = gradient_scale
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, y, inside = ctx.saved_tensors
        dx = dy * inside
        if not ctx.needs_input_grad[1]:
            return dx, None, None, None, None
        # Doubling both x and S doubles y, so (Euler)  x dy/dx + S dy/dS = y.
        dscale = (dy * y).sub_(dx * x).sum_to_size(scale.shape) / scale
        return dx, dscale * ctx.gradient_scale, None, None, None


def fake_quantize(
    x: Tensor,
    scale: Tensor,
    zero_point: Tensor,
    qmin: int,
    qmax: int,
    gradient_scale: float = 1.0,
) -> Tensor:
    """Round to the grid and come back, with gradients for `x` and `scale`.

    ::

        q     = clamp(round(x / S) + Z, qmin, qmax)
        y     = (q - Z) S
        dy/dx = 1 if the rounded code lies in [qmin, qmax], else 0
        dy/dS = q - Z - (x / S) dy/dx

    Parameters
    ----------
    x : Tensor
        float32 or float64, any shape.
    scale, zero_point : Tensor
        S > 0 and Z, of a shape that broadcasts against `x` without growing it.
    qmin, qmax : int
        The codes there are.
    gradient_scale : float
        What the gradient of `scale` is multiplied by.

    Returns
    -------
    Tensor
        y, in the shape and dtype of `x`; the numbers of `labkit.linear.fake_quantize`.

    Notes
    -----
    dy/dS is the learned step size of Esser et al. 2020 (arXiv:1902.08153), equation (3). The paper
    ends the range at the highest code; here, as in torch's operators, it ends half a step further,
    where rounding ends and clipping begins.
    """
    return _FakeQuantize.apply(x, scale, qmin - zero_point, qmax - zero_point, gradient_scale)


class _Sign(torch.autograd.Function):
    """``y = 1 if x >= 0 else -1``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.where(x < 0, -1.0, 1.0)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        return dy


def sign(x: Tensor) -> Tensor:
    """Return -1 where `x` is negative, else +1, float32; backward as if y were x."""
    return _Sign.apply(x)
