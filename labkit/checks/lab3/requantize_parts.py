"""The way from accumulators to codes, of which any part may be another one (exercise 3.7)."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.lab3.rounding_right_shift import rounding_right_shift

Shift = Callable[[Tensor, int], Tensor]


def requantized(
    acc: Tensor,
    mantissa: int,
    shift: int,
    zero_point: int,
    qmin: int,
    qmax: int,
    *,
    begun: Callable[[Tensor, int], Tensor] = lambda acc, zero_point: acc.to(torch.int64),
    multiplied: Callable[[Tensor, int], Tensor] = torch.mul,
    exponent: Callable[[int], int] = lambda shift: 31 + shift,
    offset: Callable[[Tensor, int, int], Tensor] = lambda product, zero_point, exponent: product,
    shifted: Shift = rounding_right_shift,
    early: Callable[[Tensor, int, int], Tensor] = lambda q, qmin, qmax: q,
    added: Callable[[Tensor, int], Tensor] = torch.add,
    cast: Callable[[Tensor, int], Tensor] = lambda q, qmin: q,
    ends: Callable[[int, int], tuple[int, int]] = lambda qmin, qmax: (qmin, qmax),
    ended: Callable[[Tensor], Tensor] = torch.Tensor.int,
) -> Tensor:
    """Return the codes, of which any part may be another one."""
    power = exponent(shift)
    product = offset(multiplied(begun(acc, zero_point), mantissa), zero_point, power)
    q = early(shifted(product, power), qmin, qmax)
    q = cast(added(q, zero_point), qmin)
    return ended(q.clamp(*ends(qmin, qmax)))


def half_up(number: Tensor, power: int) -> Tensor:
    """Shift with ties rounded up."""
    return (number + ((1 << power) >> 1)) >> power


def twice(first: Shift, second: Shift) -> Shift:
    """Return a shift that rounds to 31 bits first, and what is left then."""

    def shifted(product: Tensor, power: int) -> Tensor:
        high = first(product, 31)
        return second(high << max(31 - power, 0), max(power - 31, 0))

    return shifted


def raised_then_twice(product: Tensor, power: int) -> Tensor:
    """Shift to the left first where `shift` is negative, then round twice."""
    high = rounding_right_shift(product << max(31 - power, 0), 31)
    return rounding_right_shift(high, max(power - 31, 0))


def in_the_other_order(product: Tensor, power: int) -> Tensor:
    """Round what `shift` takes off first, and then 31 bits."""
    first = rounding_right_shift(product << max(31 - power, 0), max(power - 31, 0))
    return rounding_right_shift(first, 31)


def to_even(product: Tensor, power: int) -> Tensor:
    """Shift with ties rounded to even."""
    return torch.round(product.double() / 2.0**power).to(torch.int64)


def towards_zero(product: Tensor, power: int) -> Tensor:
    """Shift magnitudes, which cuts towards 0."""
    return product.sign() * (product.abs() >> power)


def in_int32(acc: Tensor, mantissa: int) -> Tensor:
    """Return a product that wraps in int32."""
    return (acc * mantissa).to(torch.int32).to(torch.int64)


def with_bits(bits: int) -> Callable[[Tensor, int], Tensor]:
    """Return a product with so many bits of the mantissa, the highest ones."""
    rest = 31 - bits
    return lambda acc, mantissa: acc * (mantissa >> rest << rest)


def wrapped(q: Tensor, qmin: int) -> Tensor:
    """Return sums that wrap in the 8 bits of the result."""
    return q.to(torch.uint8 if qmin >= 0 else torch.int8).to(torch.int64)
