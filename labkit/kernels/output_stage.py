"""What happens to an accumulator on its way out, with everything constant folded ahead.

The reference, the exact road and the engines all finish with this one rule, so that they agree to
the last bit. `labkit.requantization` has the other published rules.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from labkit.qparams import QParams
from labkit.validation import (
    first_wrong,
    instance_of,
    integer_tensor,
    real_numbers,
    true_or_false,
)

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


@dataclass(frozen=True)
class OutputStage:
    """Float requantization with everything constant folded ahead; the rule of `labkit.kernels`.

    ::

        q = clamp(round(acc * multiplier + offset), low, high)                              (1)
        q = clamp(round((acc * multiplier + offset + q_r) * (1 / step)), low, high)         (2)

    Each operation is one float32 rounding, ties to even. (1) is a layer on its own, with
    multiplier = S_x S_w / S_y and offset = bias * multiplier + Z_y. (2) adds a residual q_r:
    everything is counted in steps of S_r, so multiplier = S_x S_w / S_r, step = S_y / S_r and
    offset = bias * multiplier + Z_y * step - Z_r.

    oneDNN evaluates both in this order on every instruction set tried: the product and the sum
    are rounded apart (no fused multiply-add), and it multiplies by the reciprocal of the step.
    """

    multiplier: Tensor
    offset: Tensor
    low: int
    high: int
    dtype: torch.dtype
    step: float = 1.0

    @classmethod
    def of(
        cls,
        multiplier: Tensor | float,
        out_qparams: QParams,
        bias: Tensor | None = None,
        relu: bool = False,
        residual_qparams: QParams | None = None,
    ) -> "OutputStage":
        """Fold the constants, in float64, and round each to float32 once.

        `multiplier`, `out_qparams`, `bias` and `relu` are those of `requantize`.

        Raises
        ------
        TypeError, ValueError
            As `requantize`, or if a constant is too large for float32.
        """
        low, high, zero_point = output_range(out_qparams, relu)
        m, step, residual_zero = positive_multiplier(multiplier), 1.0, 0
        if residual_qparams is not None:
            _, _, residual_zero = output_range(residual_qparams, False, "residual_qparams")
            step = float(out_qparams.scale / residual_qparams.scale)
            m = m * out_qparams.scale.double() / residual_qparams.scale.double()
        m = m.to(torch.float32)
        shift = torch.tensor(zero_point * step - residual_zero, dtype=torch.float64)
        offset = shift if bias is None else int32_accumulators(bias, "bias") * m.double() + shift
        offset = offset.to(torch.float32).expand(torch.broadcast_shapes(offset.shape, m.shape))
        if not bool(torch.isfinite(m).all() and torch.isfinite(offset).all()):
            raise ValueError(
                f"the multiplier {multiplier} or the bias times it is too large for float32. "
                "Check that the output scale fits the data."
            )
        return cls(m, offset, low, high, out_qparams.scheme.dtype, step)

    def __call__(self, acc: Tensor, q_residual: Tensor | None = None) -> Tensor:
        """Apply (1), or (2) if there is a residual, to int32, float32 or float64 accumulators."""
        return self.finish((acc.to(torch.float32) * self.multiplier).add_(self.offset), q_residual)

    def finish(self, real: Tensor, q_residual: Tensor | None = None) -> Tensor:
        """Apply what follows ``acc * multiplier + offset``; overwrites `real`."""
        if q_residual is not None:
            real.add_(q_residual).mul_(1 / self.step)
        return real.round_().clamp_(self.low, self.high).to(self.dtype)


def int32_accumulators(acc: Tensor, name: str = "acc") -> Tensor:
    """Return `acc`, refused unless all of it are integers in the range of int32.

    Raises
    ------
    TypeError
        If `acc` is no integer tensor.
    ValueError
        If one lies outside int32: hardware would wrap.
    """
    integer_tensor(acc, name)
    if acc.dtype in (torch.int64, torch.uint32):
        outside = (acc < INT32_MIN) | (acc > INT32_MAX)
        if bool(outside.any()):
            raise ValueError(
                f"{first_wrong(acc, outside, name)}: an int32 accumulator overflows, and would "
                "wrap in hardware. Use a shorter inner dimension, fewer bits or a smaller bias."
            )
    return acc


def positive_multiplier(multiplier: Tensor | float) -> Tensor:
    """Return `multiplier` as float64, refused unless it is positive and finite.

    Raises
    ------
    TypeError, ValueError
        If it is not.
    """
    m = real_numbers(multiplier, "multiplier", torch.float64)
    wrong = ~((m > 0) & torch.isfinite(m))
    if bool(wrong.any()):
        raise ValueError(
            f"{first_wrong(m, wrong, 'multiplier')}; expected positive finite numbers, "
            "S_x * S_w / S_y."
        )
    return m


def output_range(qparams: QParams, relu: bool, name: str = "out_qparams") -> tuple[int, int, int]:
    """Return (low, high, zero point) of a result's codes; `relu` raises the lower end to Z.

    Raises
    ------
    TypeError, ValueError
        If `qparams` are none, not of a whole tensor, or of more than 8 bits.
    """
    qparams = per_tensor_8bit(qparams, name)
    zero_point = int(qparams.zero_point)
    low = zero_point if true_or_false(relu, "relu") else qparams.scheme.qmin
    return low, qparams.scheme.qmax, zero_point


def per_tensor_8bit(qparams: QParams, name: str) -> QParams:
    """Return `qparams`, refused unless they are of a whole tensor and of 8 bits at most.

    Raises
    ------
    TypeError, ValueError
        If they are not.
    """
    instance_of(qparams, QParams, name, "choose_qparams(x, Scheme(bits=8))")
    if qparams.axis is not None:
        raise ValueError(
            f"{name} are per channel (axis={qparams.axis}); expected one scale for the tensor. "
            "A scale per input channel cannot leave the sum over them: only weights have it."
        )
    if qparams.scheme.bits > 8:
        raise ValueError(
            f"{name} have {qparams.scheme.bits} bits; expected 8 at most, the width of the "
            "operands of int8 kernels."
        )
    return qparams
