"""Slips on the way from accumulators to codes, for exercise 3.7."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception
from labkit.checks.inputs import INT8, UINT8
from labkit.checks.lab3.inputs import INT32
from labkit.checks.lab3.rounding_right_shift import rounding_right_shift

Shift = Callable[[Tensor, int], Tensor]


def _requantized(
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


def _up(number: Tensor, power: int) -> Tensor:
    return (number + ((1 << power) >> 1)) >> power


def _twice(first: Shift, second: Shift) -> Shift:
    """Return a shift that rounds to 31 bits first, and what is left then."""

    def shifted(product: Tensor, power: int) -> Tensor:
        high = first(product, 31)
        return second(high << max(31 - power, 0), max(power - 31, 0))

    return shifted


def _raised_then_twice(product: Tensor, power: int) -> Tensor:
    high = rounding_right_shift(product << max(31 - power, 0), 31)
    return rounding_right_shift(high, max(power - 31, 0))


def _in_the_other_order(product: Tensor, power: int) -> Tensor:
    """Round what `shift` takes off first, and then 31 bits."""
    first = rounding_right_shift(product << max(31 - power, 0), max(power - 31, 0))
    return rounding_right_shift(first, 31)


def _to_even(product: Tensor, power: int) -> Tensor:
    return torch.round(product.double() / 2.0**power).to(torch.int64)


def _towards_zero(product: Tensor, power: int) -> Tensor:
    return product.sign() * (product.abs() >> power)


def _in_int32(acc: Tensor, mantissa: int) -> Tensor:
    return (acc * mantissa).to(torch.int32).to(torch.int64)


def _with_bits(bits: int) -> Callable[[Tensor, int], Tensor]:
    """Return a product with so many bits of the mantissa, the highest ones."""
    rest = 31 - bits
    return lambda acc, mantissa: acc * (mantissa >> rest << rest)


def _wrapped(q: Tensor, qmin: int) -> Tensor:
    return q.to(torch.uint8 if qmin >= 0 else torch.int8).to(torch.int64)


TWICE = (
    "The first rounding can make a tie of what was none: 2.4999 becomes 2.5, and 3. Shift once, "
    "by 31 + shift."
)
WRAPS = "The product has up to 62 bits and wraps. Convert acc to int64 first."
BOTH_ENDS = "A result may lie beyond the codes on either side: clamp to [qmin, qmax]."
TO_QMIN_QMAX = "Codes may be unsigned, or have 4 bits: clamp to qmin and qmax."
NO_CLAMP = "Codes outside [qmin, qmax] do not exist: clamp them."
DOWN = (
    "A shift alone rounds down, which is half a code too low on average: use your "
    "rounding_right_shift."
)


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "shifts by `shift` alone",
        partial(_requantized, exponent=lambda shift: max(shift, 0)),
        "The mantissa counts steps of 2^-31, so the product is 2^(31 + shift) times too large.",
    ),
    Misconception(
        "ignores `shift`",
        partial(_requantized, exponent=lambda shift: 31),
        "The product is 2^(31 + shift) times too large, not 2^31 times.",
    ),
    Misconception(
        "shifts by 31 - shift",
        partial(_requantized, exponent=lambda shift: 31 - shift),
        "M = mantissa * 2^-31 * 2^-shift: both exponents are negative, so they add up.",
    ),
    Misconception(
        "shifts by one too few",
        partial(_requantized, exponent=lambda shift: 30 + shift),
        "The mantissa counts steps of 2^-31: shift by 31 + shift.",
    ),
    Misconception(
        "shifts by one too many",
        partial(_requantized, exponent=lambda shift: min(32 + shift, 62)),
        "The mantissa counts steps of 2^-31: shift by 31 + shift.",
    ),
    Misconception(
        "multiplies in int32",
        partial(_requantized, multiplied=_in_int32),
        WRAPS,
    ),
    Misconception(
        "multiplies in int32",
        partial(_requantized, multiplied=_in_int32, shifted=_to_even),
        WRAPS,
    ),
    Misconception(
        "rounds down",
        partial(_requantized, shifted=torch.Tensor.__rshift__),
        DOWN,
    ),
    Misconception(
        "cuts off what is behind the point",
        partial(_requantized, shifted=_towards_zero),
        "The nearest code is half as far away on average: use your rounding_right_shift.",
    ),
    Misconception(
        "rounds twice",
        partial(_requantized, shifted=_raised_then_twice),
        TWICE,
    ),
    Misconception(
        "rounds twice",
        partial(_requantized, shifted=_twice(rounding_right_shift, rounding_right_shift)),
        TWICE,
    ),
    Misconception(
        "sends ties up",
        partial(_requantized, shifted=_up),
        "The rule of this exercise is ties away from zero: -2.5 becomes -3. Use your "
        "rounding_right_shift, before you add the zero point.",
    ),
    Misconception(
        "rounds in floating point",
        partial(_requantized, shifted=_to_even),
        "torch.round sends ties to the even neighbour: 2.5 becomes 2. Multiply and shift in "
        "integers.",
    ),
    Misconception(
        "converts to 8 bits before it clamps",
        partial(_requantized, cast=_wrapped),
        "A code that does not fit wraps around. Clamp first, convert last.",
    ),
    Misconception(
        "does not clamp",
        partial(_requantized, ends=lambda qmin, qmax: INT32),
        NO_CLAMP,
    ),
    Misconception(
        "does not clamp above",
        partial(_requantized, ends=lambda qmin, qmax: (qmin, INT32[1])),
        BOTH_ENDS,
    ),
    Misconception(
        "does not clamp below",
        partial(_requantized, ends=lambda qmin, qmax: (INT32[0], qmax)),
        BOTH_ENDS,
    ),
    Misconception(
        "clamps before it adds the zero point",
        partial(_requantized, early=torch.clamp, ends=lambda qmin, qmax: INT32),
        "The sum can leave the range again. Clamp after adding zero_point.",
    ),
    Misconception(
        "clamps before and after it adds the zero point",
        partial(_requantized, early=torch.clamp),
        "What is beyond the codes may come back with zero_point: clamp only once, after adding it.",
    ),
    Misconception(
        "leaves out the zero point",
        partial(_requantized, added=lambda q, zero_point: q),
        "Add zero_point after rounding: the code of 0.0 is zero_point.",
    ),
    Misconception(
        "subtracts the zero point",
        partial(_requantized, added=torch.sub),
        "On the way to codes it is added: the code of 0.0 is zero_point.",
    ),
    Misconception(
        "adds the zero point before it rounds",
        partial(
            _requantized,
            offset=lambda product, zero_point, power: product + (zero_point << power),
            added=lambda q, zero_point: q,
        ),
        "Away from zero means away from the accumulator's zero: round first, then add zero_point.",
    ),
    Misconception(
        "adds the zero point to the product",
        partial(
            _requantized,
            offset=lambda product, zero_point, power: product + zero_point,
            added=lambda q, zero_point: q,
        ),
        "zero_point is counted in steps of the output, and the product is 2^(31 + shift) times "
        "larger: add it after the shift.",
    ),
    Misconception(
        "adds the zero point to the accumulator",
        partial(
            _requantized,
            begun=lambda acc, zero_point: acc.to(torch.int64) + zero_point,
            added=lambda q, zero_point: q,
        ),
        "zero_point is counted in steps of the output, acc in steps of S_x S_w: add it after the "
        "multiplication.",
    ),
    Misconception(
        "takes the zero point off the accumulator",
        partial(
            _requantized,
            begun=lambda acc, zero_point: acc.to(torch.int64) - zero_point,
            added=lambda q, zero_point: q,
        ),
        "An accumulator has no zero point any more. The result has one: add zero_point after "
        "rounding.",
    ),
    Misconception(
        "clamps to int8, whatever qmin and qmax are",
        partial(_requantized, ends=lambda qmin, qmax: INT8),
        TO_QMIN_QMAX,
    ),
    Misconception(
        "clamps to uint8, whatever qmin and qmax are",
        partial(_requantized, ends=lambda qmin, qmax: UINT8),
        TO_QMIN_QMAX,
    ),
    Misconception(
        "clamps to -127 ... 127",
        partial(_requantized, ends=lambda qmin, qmax: (-127, 127)),
        TO_QMIN_QMAX,
    ),
    Misconception(
        "clamps to symmetric ends",
        partial(_requantized, ends=lambda qmin, qmax: (-qmax, qmax)),
        "The lower end is qmin, which may be 0 or the zero point: clamp to [qmin, qmax].",
    ),
    Misconception(
        "returns int8 where codes are unsigned",
        partial(_requantized, ended=torch.Tensor.char),
        "The codes 128 to 255 do not fit into int8 and wrap. Return int32.",
    ),
    Misconception(
        "returns uint8 where codes are signed",
        partial(_requantized, ended=torch.Tensor.byte),
        "Codes below 0 do not fit into uint8 and wrap. Return int32.",
    ),
    Misconception(
        "rounds twice, ties up",
        partial(_requantized, shifted=_twice(_up, rounding_right_shift)),
        "Each rounding moves the number again, and a tie below 0 must go away from 0. Shift "
        "once, by 31 + shift.",
    ),
    Misconception(
        "rounds twice, ties up both times",
        partial(_requantized, shifted=_twice(_up, _up)),
        "Each rounding moves the number again, and a tie below 0 must go away from 0. Shift "
        "once, by 31 + shift.",
    ),
    Misconception(
        "rounds twice",
        partial(_requantized, shifted=_in_the_other_order),
        TWICE,
    ),
    Misconception(
        "computes in float32",
        partial(
            _requantized,
            multiplied=lambda acc, mantissa: acc.float() * mantissa,
            shifted=lambda product, power: torch.round(product / 2.0**power).to(torch.int64),
        ),
        "float32 has 24 bits of the 62, and torch.round sends ties to the even neighbour. Multiply "
        "in int64 and shift with your rounding_right_shift.",
    ),
    *(
        Misconception(
            f"keeps {bits} bits of the mantissa",
            partial(
                _requantized,
                multiplied=_with_bits(bits),
            ),
            "A mantissa has 31 bits, and the last one decides beside a tie: multiply by all of it, "
            "in int64.",
        )
        for bits in (15, 16, 23, 24)
    ),
    Misconception(
        "keeps the accumulators to 16 bits",
        partial(
            _requantized,
            begun=lambda acc, zero_point: acc.to(torch.int64).clamp(-(2**15), 2**15 - 1),
        ),
        "An accumulator has 32 bits, and its product with the mantissa 62: convert acc to int64.",
    ),
)
