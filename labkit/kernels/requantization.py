"""From int32 accumulators back to 8-bit codes: multiply by S_x S_w / S_y, round, add Z, clamp.

The multiplier is a real number. A chip with float32 multiplies by it; one without writes it as an
int32 mantissa and a right shift, ``m = mantissa * 2^-31 * 2^-shift``. The two, and the fixed-point
rules among each other, disagree in the last bit near ties, so each rule here has a name.

Sources: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018, section 2.2; gemmlowp, doc/quantization.md.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.kernels.output_stage import (
    INT32_MAX,
    OutputStage,
    int32_accumulators,
    output_range,
    positive_multiplier,
)
from labkit.qparams import QParams
from labkit.validation import first_wrong, integer_tensor

__all__ = [
    "ROUNDINGS",
    "quantize_multiplier",
    "requantize",
    "rounding_right_shift",
    "saturating_rounding_doubling_high_multiply",
]


def quantize_multiplier(multiplier: Tensor | float) -> tuple[Tensor, Tensor]:
    """Write a positive real number as an int32 mantissa and a right shift.

    ::

        m = mantissa * 2^-31 * 2^-shift,        2^30 <= mantissa < 2^31

    Parameters
    ----------
    multiplier : float or Tensor
        m > 0, float64 or what converts to it, any shape. Below 2^30.

    Returns
    -------
    mantissa, shift : Tensor
        int32, the shape of `multiplier`. The mantissa is rounded to nearest, ties away from zero,
        an error of at most 2^-31 of m. `shift` is negative for m >= 1: a left shift. Below
        2^-32, where no accumulator reaches 0.5, both are 0.

    Raises
    ------
    TypeError, ValueError
        If a multiplier is no number, not positive, not finite, or 2^30 or more.

    Notes
    -----
    Jacob et al. 2018, equation (6), M = 2^-n M_0 with M_0 in [0.5, 1).
    """
    m = positive_multiplier(multiplier)
    if bool((m >= 2**30).any()):
        raise ValueError(
            f"{first_wrong(m, m >= 2**30, 'multiplier')}; expected below 2^30. It is "
            "S_x * S_w / S_y: check that the output scale fits the data."
        )
    fraction, exponent = torch.frexp(m)
    mantissa = torch.floor(fraction * 2**31 + 0.5)
    # A fraction just below 1 rounds up to 2^31, which is no int32: 2^30 at twice the power.
    carried = mantissa == 2**31
    mantissa = torch.where(carried, 2.0**30, mantissa)
    shift = -(exponent + carried)
    negligible = shift > 31
    return (
        mantissa.masked_fill(negligible, 0.0).to(torch.int32),
        shift.masked_fill(negligible, 0).to(torch.int32),
    )


def saturating_rounding_doubling_high_multiply(a: Tensor, b: Tensor) -> Tensor:
    """Return the high half of the doubled product of two int32: ``round(a * b / 2^31)``.

    ARM's SQRDMULH as gemmlowp defines it: ties go up, towards plus infinity, and the one product
    that does not fit, (-2^31) * (-2^31), saturates at 2^31 - 1.

    Parameters
    ----------
    a, b : Tensor
        Integers in the range of int32; shapes that broadcast.

    Returns
    -------
    Tensor
        int64, in the range of int32.

    Raises
    ------
    TypeError, ValueError
        If an operand is no integer tensor or outside the range of int32.
    """
    product = int32_accumulators(a, "a").to(torch.int64) * int32_accumulators(b, "b")
    return ((product + 2**30) >> 31).clamp(max=INT32_MAX)


def rounding_right_shift(x: Tensor, shift: Tensor | int) -> Tensor:
    """Divide by 2^shift, rounded to nearest, ties away from zero (gemmlowp's divide by a POT).

    Parameters
    ----------
    x : Tensor
        Integers, any shape.
    shift : int or Tensor
        0 to 62, of a shape that broadcasts against `x`.

    Returns
    -------
    Tensor
        int64.

    Raises
    ------
    TypeError, ValueError
        If `x` or `shift` is not made of integers, or a shift is not in 0 to 62.
    """
    x = integer_tensor(x, "x").to(torch.int64)
    shift = integer_tensor(torch.as_tensor(shift), "shift").to(torch.int64)
    if bool(((shift < 0) | (shift > 62)).any()):
        raise ValueError(f"shift is {shift.tolist()}; expected 0 to 62.")
    remainder = x & ((1 << shift) - 1)
    # A negative x was floored by >>, so its tie stays down: away from zero.
    threshold = (((1 << shift) - 1) >> 1) + (x < 0)
    return (x >> shift) + (remainder > threshold)


def _shifted_left(acc: Tensor, shift: Tensor) -> Tensor:
    return int32_accumulators(acc.to(torch.int64) << (-shift).clamp(min=0), "acc * 2^-shift")


def _gemmlowp(acc: Tensor, mantissa: Tensor, shift: Tensor) -> Tensor:
    high = saturating_rounding_doubling_high_multiply(_shifted_left(acc, shift), mantissa)
    return rounding_right_shift(high, shift.clamp(min=0))


def _litert(acc: Tensor, mantissa: Tensor, shift: Tensor) -> Tensor:
    high = saturating_rounding_doubling_high_multiply(_shifted_left(acc, shift), mantissa)
    right = shift.clamp(min=0)
    return (high + ((1 << right) >> 1)) >> right


def _single(acc: Tensor, mantissa: Tensor, shift: Tensor) -> Tensor:
    return rounding_right_shift(acc.to(torch.int64) * mantissa, 31 + shift)


ROUNDINGS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "gemmlowp": _gemmlowp,
    "litert": _litert,
    "single": _single,
}
"""The integer-only rules by name: (accumulators, mantissa, shift) -> rounded product, int64."""


def requantize(
    acc: Tensor,
    multiplier: Tensor | float,
    out_qparams: QParams,
    rounding: str = "float",
    bias: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """Requantize accumulators: ``q = clamp(round((acc + bias) * multiplier) + Z, qmin, qmax)``.

    Parameters
    ----------
    acc : Tensor
        int32 accumulators at scale S_x S_w, any shape.
    multiplier : float or Tensor
        S_x S_w / S_y > 0, of a shape that broadcasts against `acc`.
    out_qparams : QParams
        Of the result, for the whole tensor; its zero point is Z.
    rounding : str
        How the product is rounded; m is the multiplier in float32, and the last three know it as
        mantissa and shift of `quantize_multiplier`.

        ========== ================================================================ =============
        name       rule                                                             published by
        ========== ================================================================ =============
        float      round(acc * m + (bias * m + Z)) in float32, ties to even         oneDNN
        xnnpack    round((acc + bias) * m) + Z in float32, ties to even             XNNPACK
        gemmlowp   round(acc * mantissa / 2^31), ties up, then / 2^shift, ties away gemmlowp
        litert     the same with ties up both times                                 LiteRT
        single     acc * mantissa / 2^(31 + shift) rounded once, ties away          LiteRT
        ========== ================================================================ =============

        "xnnpack" is what LiteRT runs by default, "litert" its built-in kernels, "gemmlowp" its
        reference convolution and "single" its reference fully connected layer.
    bias : Tensor, optional
        int32 at scale S_x S_w, of a shape that broadcasts against `acc`. "float" adds it after
        the multiplication, as the engines do; the others add it to the accumulator.
    relu : bool
        max(y, 0) for free: codes below Z stand for negative numbers, so clamp at Z, not at qmin.

    Returns
    -------
    Tensor
        Codes of ``out_qparams.scheme.dtype`` in the shape of `acc`; saturates.

    Raises
    ------
    TypeError, ValueError
        If `acc` (with `bias`, where that is added to it) leaves int32, the multiplier is not
        positive, `out_qparams` is per channel, or the rule is unknown.
    """
    acc = int32_accumulators(acc, "acc")
    if rounding == "float":
        return OutputStage.of(multiplier, out_qparams, bias, relu)(acc)
    low, high, zero_point = output_range(out_qparams, relu)
    if bias is not None:
        acc = int32_accumulators(acc.to(torch.int64) + int32_accumulators(bias, "bias"), "acc")
    if rounding == "xnnpack":
        product = (acc * positive_multiplier(multiplier).to(torch.float32)).round()
    elif rounding in ROUNDINGS:
        product = ROUNDINGS[rounding](acc, *quantize_multiplier(multiplier))
    else:
        raise ValueError(
            f"rounding is {rounding!r}; expected one of {['float', 'xnnpack', *ROUNDINGS]}."
        )
    return (product + zero_point).clamp(low, high).to(out_qparams.scheme.dtype)
