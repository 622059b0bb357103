"""A multiplier as mantissa and shift, of which any part may be another one (exercise 3.5)."""

import math
from collections.abc import Callable

Two = tuple[float, float]


def normalized(
    multiplier: float,
    *,
    given: Callable[[float], float] = lambda multiplier: multiplier,
    split: Callable[[float], Two] = math.frexp,
    bits: int = 31,
    beside: int = 0,
    turn: Callable[[float], float] = round,
    carried: Callable[[float, float, float], Two] = lambda mantissa, exponent, end: (
        (mantissa / 2, exponent + 1) if mantissa == end else (mantissa, exponent)
    ),
    right: Callable[[float], float] = lambda exponent: -exponent,
    ordered: Callable[[float, float], Two] = lambda mantissa, shift: (mantissa, shift),
) -> Two:
    """Return mantissa and shift, of which any part may be another one."""
    fraction, exponent = split(given(multiplier))
    mantissa, exponent = carried(turn(fraction * (2**bits + beside)), exponent, 2**bits)
    whole = int(mantissa) if mantissa == int(mantissa) else mantissa
    return ordered(whole, right(exponent))


def never_halved(multiplier: float) -> Two:
    """Return a fraction that stays as it is from 1 on."""
    return math.frexp(multiplier) if multiplier < 1 else (multiplier, 0)


def never_doubled(multiplier: float) -> Two:
    """Return a fraction that stays as it is below one half."""
    return math.frexp(multiplier) if multiplier >= 0.5 else (multiplier, 0)


def from_one_to_two(multiplier: float) -> Two:
    """Return a fraction in [1, 2)."""
    fraction, exponent = math.frexp(multiplier)
    return 2 * fraction, exponent - 1


def up_to_one(multiplier: float) -> Two:
    """Return a fraction in (0.5, 1], which is 1 for powers of two."""
    exponent = math.ceil(math.log2(multiplier))
    return multiplier / 2.0**exponent, exponent


def not_carried(mantissa: float, exponent: float, end: float) -> Two:
    """Leave a mantissa that has been rounded up to the end."""
    return mantissa, exponent
