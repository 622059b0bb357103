"""A layer's constants, checked once: what every road through it starts from."""

from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor

from labkit.kernels.fixed_stage import FixedStage
from labkit.kernels.output_stage import INT32_MAX, OutputStage, per_tensor_8bit
from labkit.kernels.window import Window
from labkit.qparams import QParams, Scheme
from labkit.validation import (
    codes_within,
    dtype_name,
    first_wrong,
    instance_of,
    integer_tensor,
    real_tensor,
)

STAGES: dict[str, type[OutputStage] | type[FixedStage]] = {
    "float": OutputStage,
    "fixed": FixedStage,
}
"""How a layer requantizes, by name."""


def quantize_bias(bias: Tensor, x_qparams: QParams, w_qparams: QParams) -> Tensor:
    """Quantize a bias to the accumulators' grid: ``q_b = round(b / (S_x S_w))``, zero point 0.

    Parameters
    ----------
    bias : Tensor
        [out], real.
    x_qparams, w_qparams : QParams
        Of the activations and of the weights. Their scales are multiplied.

    Returns
    -------
    Tensor
        int32 [out], ties to even.

    Raises
    ------
    TypeError, ValueError
        If `bias` is not real and finite, or does not fit into int32.

    Notes
    -----
    Jacob et al. 2018, section 2.4, equation (11).
    """
    scale = x_qparams.scale.double() * w_qparams.scale.double()
    q = torch.round(real_tensor(bias, "bias").double() / scale)
    too_large = q.abs() > INT32_MAX
    if bool(too_large.any()):
        raise ValueError(
            f"{first_wrong(bias, too_large, 'bias')}, more than 2^31 steps of S_x * S_w; expected "
            "a bias that int32 holds. Give these weights a larger scale: they are so small next "
            "to the bias that it costs no accuracy."
        )
    return q.to(torch.int32)


@dataclass(frozen=True)
class Layer:
    """A linear layer (no `window`) or a convolution.

    `q_w` and its zero point (int32) broadcast against each other; `output` broadcasts against
    accumulators [M, out] or [N, out, height, width].
    """

    q_w: Tensor
    w_zero_point: Tensor
    x_qparams: QParams
    output: OutputStage | FixedStage
    window: Window | None = None
    residual_qparams: QParams | None = None
    # Shapes that were checked: for one small image that takes as long as an operator of torch.
    _fitting: set[tuple] = field(default_factory=set, init=False, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        q_w: Tensor,
        w_qparams: QParams,
        bias: Tensor | None,
        x_qparams: QParams,
        out_qparams: QParams,
        relu: bool,
        window: Window | None = None,
        residual_qparams: QParams | None = None,
        requantization: str = "float",
    ) -> "Layer":
        """Check the operands and fold the scales, the bias and the zero points."""
        _check_weights(q_w, w_qparams, window)
        per_tensor_8bit(x_qparams, "x_qparams")
        per_tensor_8bit(out_qparams, "out_qparams")
        out = len(q_w)
        # Per output: a vector for [M, out], and shaped [out, 1, 1] for [N, out, height, width].
        shape = (out,) if window is None else (out, 1, 1)
        q_bias = None
        if bias is not None:
            if real_tensor(bias, "bias").shape != (out,):
                raise ValueError(
                    f"bias has shape {tuple(bias.shape)}; expected ({out},), one per output."
                )
            q_bias = quantize_bias(bias, x_qparams, w_qparams).reshape(shape)
        scale = x_qparams.scale.double() * w_qparams.scale.double() / out_qparams.scale.double()
        multiplier = scale.expand(out).reshape(shape)
        if requantization not in STAGES:
            raise ValueError(
                f"requantization is {requantization!r}; expected one of {', '.join(STAGES)}."
            )
        output = STAGES[requantization].of(multiplier, out_qparams, q_bias, relu, residual_qparams)
        _, w_zero_point = w_qparams.expand_to(q_w.shape)
        return cls(q_w, w_zero_point, x_qparams, output, window, residual_qparams)

    def check(self, q_x: Tensor, q_residual: Tensor | None) -> None:
        """Refuse inputs that the layer was not made for.

        Raises
        ------
        TypeError, ValueError
            If a dtype or shape does not fit, a code is outside its scheme, or a residual is
            missing or not expected.
        """
        checked_codes(q_x, self.x_qparams, "q_x")
        if q_residual is not None and self.residual_qparams is not None:
            checked_codes(q_residual, self.residual_qparams, "q_residual")
        shapes = q_x.shape, getattr(q_residual, "shape", None)
        if shapes not in self._fitting:
            self._check_shapes(q_x, q_residual)
            self._fitting.add(shapes)

    def _check_shapes(self, q_x: Tensor, q_residual: Tensor | None) -> None:
        inputs = self.q_w.shape[1]
        if self.window is None:
            if q_x.shape[-1:] != (inputs,):
                raise ValueError(f"q_x has shape {tuple(q_x.shape)}; expected [..., {inputs}].")
            return
        inputs *= self.window.groups
        if q_x.ndim != 4 or q_x.shape[1] != inputs:
            raise ValueError(f"q_x has shape {tuple(q_x.shape)}; expected [N, {inputs}, H, W].")
        height, width = self.window.output_size(q_x.shape[2:], self.q_w.shape[2:])
        if (q_residual is None) != (self.residual_qparams is None):
            raise ValueError(
                f"q_residual is {'missing' if q_residual is None else 'given'}; expected one "
                "exactly if the layer was made with residual_qparams."
            )
        if q_residual is not None:
            expected = (len(q_x), len(self.q_w), height, width)
            if q_residual.shape != expected:
                raise ValueError(
                    f"q_residual has shape {tuple(q_residual.shape)}; expected {expected}, the "
                    "shape of the result."
                )


def checked_codes(q: Tensor, qparams: QParams, name: str) -> Tensor:
    """Return `q`, refused unless it holds codes of the scheme of `qparams`.

    Raises
    ------
    TypeError, ValueError
        If its dtype is not the scheme's, or a code is outside the scheme's range.
    """
    scheme = qparams.scheme
    dtype, low, high = _limits(scheme)
    if not isinstance(q, Tensor) or q.dtype != dtype or not q.numel():
        integer_tensor(q, name)
        raise TypeError(
            f"{name} has dtype {dtype_name(q.dtype)}; expected {dtype_name(scheme.dtype)}, the "
            f"dtype of its {scheme.bits}-bit scheme. Quantize it with its own qparams."
        )
    if low is not None or high is not None:
        # torch finds the extremes of a contiguous tensor much faster than those of another.
        last = q.ndim == 4 and q.is_contiguous(memory_format=torch.channels_last)
        dense = q.permute(0, 2, 3, 1) if last else q
        if (high is not None and dense.max().item() > high) or (
            low is not None and dense.min().item() < low
        ):
            codes_within(q, scheme.qmin, scheme.qmax, name)
    return q


@cache
def _limits(scheme: Scheme) -> tuple[torch.dtype, int | None, int | None]:
    """Return the dtype of a scheme, and its least and largest code where the dtype has others."""
    info, low, high = torch.iinfo(scheme.dtype), scheme.qmin, scheme.qmax
    return scheme.dtype, low if low > info.min else None, high if high < info.max else None


def _check_weights(q_w: Tensor, w_qparams: QParams, window: Window | None) -> None:
    instance_of(w_qparams, QParams, "w_qparams", "choose_qparams(w, scheme, axis=0)")
    if w_qparams.group_size is not None or w_qparams.axis not in (None, 0):
        raise ValueError(
            f"w_qparams have axis={w_qparams.axis}, group_size={w_qparams.group_size}; expected "
            "one scale for the tensor (axis=None) or one per output (axis=0). No other scale can "
            "leave the sum over the inputs."
        )
    if w_qparams.scheme.bits > 8:
        raise ValueError(f"w_qparams have {w_qparams.scheme.bits} bits; expected 8 at most.")
    layout = "[out, in]" if window is None else "[out, in / groups, kernel height, kernel width]"
    if checked_codes(q_w, w_qparams, "q_w").ndim != (2 if window is None else 4):
        raise ValueError(f"q_w has shape {tuple(q_w.shape)}; expected {layout}.")
    if window is not None and len(q_w) % window.groups:
        raise ValueError(f"q_w has {len(q_w)} outputs, which groups={window.groups} cannot divide.")
