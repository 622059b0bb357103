"""Ways to make codes of the accumulators of a linear layer, right and wrong, for exercise 3.9."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.lab3.inputs import INT32
from labkit.checks.lab3.requantize import requantize


def at_once(product: Tensor, folded: Tensor, *output: int) -> Tensor:
    """Requantize the whole sum: the right way."""
    return requantize(product + folded, *output)


def shifted_by(
    exponent: Callable[[int], int], product: Tensor, folded: Tensor, mantissa: int, *output: int
) -> Tensor:
    """Shift by `exponent(shift)` in the place of 31 + shift."""
    shift, *rest = output
    return requantize(product + folded, mantissa, exponent(shift) - 31, *rest)


def rounded_apart(product: Tensor, folded: Tensor, mantissa: int, shift: int, *rest: int) -> Tensor:
    """Requantize the sum and the folded bias apart."""
    zero_point, low, high = rest
    of_product = requantize(product, mantissa, shift, zero_point, *INT32)
    return (of_product + requantize(folded, mantissa, shift, 0, *INT32)).clamp(low, high)


def rounded(
    turn: Callable[[Tensor], Tensor], product: Tensor, folded: Tensor, *output: int
) -> Tensor:
    """Scale in floating point and round by `turn`."""
    mantissa, shift, zero_point, low, high = output
    real = (product + folded).double() * mantissa / 2.0 ** (31 + shift)
    return (turn(real) + zero_point).clamp(low, high).to(torch.int32)


def clamped_first(product: Tensor, folded: Tensor, mantissa: int, shift: int, *rest: int) -> Tensor:
    """Add the zero point after the clamp."""
    zero_point, low, high = rest
    return requantize(product + folded, mantissa, shift, 0, low, high) + zero_point


def not_clamped(product: Tensor, folded: Tensor, mantissa: int, shift: int, *rest: int) -> Tensor:
    """Keep to int32 alone."""
    return requantize(product + folded, mantissa, shift, rest[0], *INT32)


def shift_for_zero_point(
    product: Tensor, folded: Tensor, mantissa: int, shift: int, *rest: int
) -> Tensor:
    """Hand shift and zero point over in the wrong order."""
    zero_point, low, high = rest
    return requantize(product + folded, mantissa, zero_point, shift, low, high)
