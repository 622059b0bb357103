"""The way out of an accumulator for a chip without floating point: the twin of `output_stage`.

Whatever a step computes is a sum of few integers, each times a real number. In fixed point all of
these numbers are int32 mantissas that share one right shift, and there is one rounding::

    q = clamp(round((t_1 M_1 + t_2 M_2 + ...) / 2^shift) + Z, low, high)        M_i = m_i 2^shift

`round` takes ties away from zero. For one number this is the rule "single" of `requantize`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from labkit.kernels.output_stage import int32_accumulators, output_range
from labkit.kernels.requantization import quantize_multiplier, rounding_right_shift
from labkit.qparams import QParams


def quantize_multipliers(multipliers: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """Write several real numbers as int32 mantissas with one right shift, ``m_i = M_i 2^-shift``.

    Parameters
    ----------
    multipliers : sequence of Tensor
        float64, of one shape; at each place the largest magnitude is positive, and below 2^30.

    Returns
    -------
    mantissas : list of Tensor
        int32. The largest magnitude has 31 bits, 2^30 <= M < 2^31, and is exact to 2^-31 of
        itself; the others are exact to half a unit of the same shift.
    shift : Tensor
        int32, 2 to 62.

    Raises
    ------
    TypeError, ValueError
        As `quantize_multiplier`, which this is for one number (its shift leaves the 31 out).
    """
    largest = torch.stack([m.abs() for m in multipliers]).amax(0)
    shift = quantize_multiplier(largest)[1] + 31
    scaled = [m * 2.0 ** shift.double() for m in multipliers]
    return [(torch.floor(m.abs() + 0.5) * m.sign()).to(torch.int32) for m in scaled], shift


@dataclass(frozen=True)
class FixedStage:
    """Fixed-point requantization with everything constant folded ahead.

    ::

        q = clamp(round((acc + bias) M / 2^shift) + Z, low, high)                            (1)
        q = clamp(round(((acc + bias) M + (q_r - Z_r) M_r) / 2^shift) + Z, low, high)        (2)

    (1) is a layer on its own, with M / 2^shift = S_x S_w / S_y. (2) adds a residual q_r, with
    M_r / 2^shift = S_r / S_y. acc + bias is an int32, the products and their sum are int64.
    """

    mantissa: Tensor
    shift: Tensor
    bias: Tensor
    low: int
    high: int
    zero_point: int
    dtype: torch.dtype
    residual_mantissa: Tensor | None = None
    residual_zero_point: int = 0

    @classmethod
    def of(
        cls,
        multiplier: Tensor,
        out_qparams: QParams,
        bias: Tensor | None = None,
        relu: bool = False,
        residual_qparams: QParams | None = None,
    ) -> "FixedStage":
        """Fold the constants; the arguments are those of `OutputStage.of`.

        Raises
        ------
        TypeError, ValueError
            As there, or if a multiplier is 2^30 or more.
        """
        low, high, zero_point = output_range(out_qparams, relu)
        m = torch.as_tensor(multiplier, dtype=torch.float64)
        bias = torch.zeros(m.shape, dtype=torch.int32) if bias is None else bias
        plain = cls(
            m, m, int32_accumulators(bias, "bias"), low, high, zero_point, out_qparams.scheme.dtype
        )
        if residual_qparams is None:
            (mantissa,), shift = quantize_multipliers([m])
            return replace(plain, mantissa=mantissa, shift=shift)
        _, _, residual_zero = output_range(residual_qparams, False, "residual_qparams")
        ratio = residual_qparams.scale.double() / out_qparams.scale.double()
        (mantissa, other), shift = quantize_multipliers([m, ratio.expand(m.shape)])
        return replace(
            plain,
            mantissa=mantissa,
            shift=shift,
            residual_mantissa=other,
            residual_zero_point=residual_zero,
        )

    def __call__(self, acc: Tensor, q_residual: Tensor | None = None) -> Tensor:
        """Apply (1), or (2) if there is a residual, to int32, float32 or float64 accumulators."""
        total = int32_accumulators(acc.to(torch.int64) + self.bias, "acc + bias") * self.mantissa
        if q_residual is not None and self.residual_mantissa is not None:
            residual = q_residual.to(torch.int64) - self.residual_zero_point
            total = total + residual * self.residual_mantissa
        rounded = rounding_right_shift(total, self.shift)
        return (rounded + self.zero_point).clamp_(self.low, self.high).to(self.dtype)
