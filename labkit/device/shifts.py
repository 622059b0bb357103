"""Integers as C has them: a fixed width, a shift, and a division that rounds towards 0.

Python's integers have no end, and its ``//`` rounds down. C's end, and what happens there is a
choice: saturate, or wrap. Source: ISO/IEC 9899:1999 (C99), 6.3.1.3 (conversion), 6.5.5 (division),
6.5.7 (shifts); the last leaves ``>>`` of a negative number to the compiler.
"""

import torch
from torch import Tensor

from labkit.kernels import rounding_right_shift
from labkit.validation import integer_tensor, whole_number

__all__ = [
    "arithmetic_right_shift",
    "c_divide",
    "c_remainder",
    "logical_right_shift",
    "rounding_right_shift",
    "saturate",
    "wrap",
]


def c_divide(a: Tensor, b: Tensor | int) -> Tensor:
    """Return C's ``a / b``: the quotient without its fraction, so towards 0, ``-7 / 2 == -3``.

    Parameters
    ----------
    a, b : Tensor
        Integers of shapes that broadcast; `b` may be an int.

    Returns
    -------
    Tensor
        int64.

    Raises
    ------
    TypeError, ValueError
        If one holds no integers, or `b` a 0.
    """
    a, b = _divided(a, b)
    return torch.div(a, b, rounding_mode="trunc")


def c_remainder(a: Tensor, b: Tensor | int) -> Tensor:
    """Return C's ``a % b``, which has the sign of `a`: ``(a / b) * b + a % b == a``.

    Arguments and errors as `c_divide`. Python's has the sign of `b`.
    """
    a, b = _divided(a, b)
    return torch.fmod(a, b)


def arithmetic_right_shift(x: Tensor, shift: int) -> Tensor:
    """Return ``floor(x / 2^shift)``: copies of the sign bit come in from the left.

    What Python and torch do, and nearly every C compiler.

    Parameters
    ----------
    x : Tensor
        Integers.
    shift : int
        0 to 62.

    Returns
    -------
    Tensor
        int64.

    Raises
    ------
    TypeError, ValueError
        If `x` holds no integers or the shift is out of range.
    """
    return integer_tensor(x, "x").to(torch.int64) >> _shift(shift, 62)


def logical_right_shift(x: Tensor, shift: int, bits: int = 32) -> Tensor:
    """Return the shift of an unsigned number of `bits` bits: zeros come in from the left.

    Parameters
    ----------
    x : Tensor
        Integers; of a negative one, the bits of its two's complement count.
    shift : int
        0 to bits - 1.
    bits : int
        1 to 62.

    Returns
    -------
    Tensor
        int64.
    """
    return wrap(x, bits, signed=False) >> _shift(shift, _width(bits) - 1)


def saturate(x: Tensor, bits: int, signed: bool = True) -> Tensor:
    """Return the nearest number that `bits` bits hold: ``clamp(x, qmin, qmax)``.

    Parameters
    ----------
    x : Tensor
        Integers.
    bits : int
        1 to 62.
    signed : bool
        [-2^(bits-1), 2^(bits-1) - 1], or [0, 2^bits - 1].

    Returns
    -------
    Tensor
        int64.

    Raises
    ------
    TypeError, ValueError
        If `x` holds no integers or the width is out of range.
    """
    low = _lowest(bits, signed)
    return integer_tensor(x, "x").to(torch.int64).clamp(low, low + (1 << bits) - 1)


def wrap(x: Tensor, bits: int, signed: bool = True) -> Tensor:
    """Return what is left of a number in its lowest `bits` bits: x modulo 2^bits, in the range.

    Arguments as `saturate`. It is C's conversion to an unsigned type, and what every compiler in
    use does for a signed one.
    """
    low = _lowest(bits, signed)
    return torch.remainder(integer_tensor(x, "x").to(torch.int64) - low, 1 << bits) + low


def _divided(a: Tensor, b: Tensor | int) -> tuple[Tensor, Tensor]:
    a = integer_tensor(a, "a").to(torch.int64)
    b = integer_tensor(torch.as_tensor(b), "b").to(torch.int64)
    if bool((b == 0).any()):
        raise ValueError("b has a 0; expected none: division by 0 has no result in C.")
    return a, b


def _shift(shift: int, most: int) -> int:
    shift = whole_number(shift, "shift")
    if not 0 <= shift <= most:
        raise ValueError(f"shift is {shift}; expected 0 to {most}: others are undefined in C.")
    return shift


def _lowest(bits: int, signed: bool) -> int:
    return -(1 << (_width(bits) - 1)) if signed else 0


def _width(bits: int) -> int:
    bits = whole_number(bits, "bits")
    if not 1 <= bits <= 62:
        raise ValueError(f"bits is {bits}; expected 1 to 62.")
    return bits
