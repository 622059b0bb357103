"""Number formats: which values a few bits can hold, and how a real number is rounded to one.

A float's values are evenly spaced within a binade [2^k, 2^(k+1)) and twice as far apart in the
next; those of an integer format are 1 apart. Rounding to the nearest is the same for both,

    cast(x) = round(x / gap) * gap,     gap = 2^(max(floor(log2|x|), 1 - bias) - m)

with the gap of ``x``'s own binade. Nothing here calls torch's narrow dtypes: all of it follows
from the fields of a `Format` (see `labkit.format_table`, which has the equations (1) and (2) that
the docstrings refer to). What a format costs in energy is in `labkit.energy`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from labkit.energy import model_bytes
from labkit.format_table import FORMATS, Format, find_format

__all__ = [
    "FORMATS",
    "BitFields",
    "Format",
    "bit_fields",
    "cast",
    "decode",
    "gap",
    "model_bytes",
    "values",
]


def cast(x: Tensor | ArrayLike, format: Format | str) -> Tensor:
    """Round numbers to the nearest that a format holds: ``round(x / gap) * gap``.

    Ties go to the even neighbour. Beyond the range a float with infinity gives infinity, from half
    a gap past `Format.max` on (IEEE 754, section 4.3.1); every other format saturates at
    `Format.min` or `Format.max`. A float keeps NaN and the sign of zero.

    The values are those of ``x.to(dtype)`` where torch has the format. For fp8_e4m3
    (``torch.float8_e4m3fn``) torch 2.13 takes the saturating mode of the OCP specification: 500
    and infinity become 448. Its other mode, which ml_dtypes takes, makes them NaN.

    Parameters
    ----------
    x : Tensor or array_like
        Real numbers of any shape. Python numbers count as float64: they are rounded once.
    format : Format or str
        A format or its name in `FORMATS`. Binary is ``sign(x)`` with +1 for 0, as in BinaryConnect.

    Returns
    -------
    Tensor
        float32, the shape of ``x``, on its device.

    Raises
    ------
    TypeError
        If ``x`` is boolean, complex or no number.
    ValueError
        If the format is unknown, if ``x`` holds NaN and the format does not, or integers beyond
        2^53.
    """
    format, x = find_format(format), _as_float64(x)
    if format.kind == "float":
        step = _float_gap(x, format)
        rounded = torch.round(x / step) * step
        beyond = float("inf") if format.has_infinity else format.max
        rounded = torch.where(rounded.abs() > format.max, x.sign() * beyond, rounded)
    elif x.isnan().any():
        raise ValueError(f"x holds NaN, for which {format.name} has no bits; replace it first")
    elif format.kind == "binary":
        rounded = torch.where(x >= 0, 1.0, -1.0)
    else:
        # Adding 0.0 turns -0.0 into 0.0: the zero of the integers has no sign.
        rounded = torch.round(x).clamp(format.min, format.max) + 0.0
    return rounded.to(torch.float32)


def gap(x: Tensor | ArrayLike, format: Format | str) -> Tensor:
    """Return the distance between neighbouring values of a format at ``x``.

    ``2^(max(floor(log2|x|), 1 - bias) - m)`` for a float, 1 for an int or uint, 2 for binary. At a
    power of two it is the distance to the next value away from zero.

    Parameters
    ----------
    x : Tensor or array_like
        Numbers in [`Format.min`, `Format.max`], of any shape; they need not be in the format.
    format : Format or str
        A format or its name in `FORMATS`.

    Returns
    -------
    Tensor
        float32, the shape of ``x``.

    Raises
    ------
    ValueError
        If ``x`` holds NaN or numbers outside the range; else as `cast`.
    """
    format, x = find_format(format), _as_float64(x)
    if not ((x >= format.min) & (x <= format.max)).all():
        raise ValueError(
            f"x holds NaN or numbers outside [{format.min}, {format.max}], the range of "
            f"{format.name}; clamp x first"
        )
    if format.kind == "float":
        return _float_gap(x, format).to(torch.float32)
    return torch.full_like(x, 2 if format.kind == "binary" else 1, dtype=torch.float32)


@dataclass(frozen=True)
class BitFields:
    """The bits of numbers in a format, as `bit_fields` returns them.

    ``str()`` writes one number a line, a float's fields apart: 1.5 in bf16 is
    ``0 01111111 1000000``.

    Parameters
    ----------
    format : Format
        Whose bits these are.
    pattern : Tensor
        int64, all bits read as an unsigned integer: ``s << (bits-1) | E << m | M`` for a float,
        ``x mod 2^bits`` for an int (two's complement), ``x`` for a uint; for binary 0 is the
        value -1 and 1 the value +1.
    sign, exponent, mantissa : Tensor or None
        int64, a float's s, E (which includes the bias) and M; None for the other kinds.
    """

    format: Format
    pattern: Tensor
    sign: Tensor | None = None
    exponent: Tensor | None = None
    mantissa: Tensor | None = None

    def __str__(self) -> str:
        rows = [f"{pattern:0{self.format.bits}b}" for pattern in self.pattern.flatten().tolist()]
        if self.format.kind == "float":
            end = 1 + self.format.exponent_bits
            rows = [f"{row[0]} {row[1:end]} {row[end:]}" for row in rows]
        return "\n".join(rows)


def bit_fields(x: Tensor | ArrayLike, format: Format | str) -> BitFields:
    """Take numbers, once `cast` to a format, apart into the bits that store them.

    For a float, with ``e = max(floor(log2|x|), 1 - bias)``, ``|x| / gap = 2^m + M`` where ``x`` is
    normal and ``M`` where it is subnormal, so that both cases of equations (1) and (2) are

        E << m | M  =  (e + bias - 1) * 2^m + |x| / gap

    NaN keeps its sign; its mantissa is the top bit alone, or all ones in a format without infinity.

    Parameters
    ----------
    x : Tensor or array_like
        Real numbers of any shape.
    format : Format or str
        A format or its name in `FORMATS`.

    Returns
    -------
    BitFields
        int64 tensors of the shape of ``x``. Raises as `cast`.
    """
    format, x = find_format(format), cast(x, format).double()
    if format.kind == "binary":
        return BitFields(format, (x > 0).long())
    if format.kind != "float":
        return BitFields(format, x.long() % 2**format.bits)
    m, infinity = format.mantissa_bits, (2**format.exponent_bits - 1) << format.mantissa_bits
    nan = infinity + (2 ** (m - 1) if format.has_infinity else 2**m - 1)
    magnitude = x.abs().nan_to_num(0.0, posinf=0.0)
    step = _float_gap(magnitude, format)
    _, exponent = torch.frexp(magnitude.clamp(min=format.smallest_normal))  # floor(log2) + 1
    bits = (exponent.long() + format.bias - 2) * 2**m + (magnitude / step).long()
    bits = bits.where(x.isfinite(), infinity).where(~x.isnan(), nan)
    sign = x.signbit().long()
    return BitFields(format, sign << format.bits - 1 | bits, sign, bits >> m, bits & 2**m - 1)


def decode(pattern: Tensor | ArrayLike, format: Format | str) -> Tensor:
    """Return the numbers that bits stand for, by equations (1) and (2); undoes `bit_fields`.

    The top bit of an int weighs ``-2^(bits-1)`` (two's complement).

    Parameters
    ----------
    pattern : Tensor or array_like
        Integers in [0, 2^bits): the bits of each number read as an unsigned integer.
    format : Format or str
        A format or its name in `FORMATS`.

    Returns
    -------
    Tensor
        float32, the shape of ``pattern``; infinity and NaN where the bits say so.

    Raises
    ------
    TypeError
        If ``pattern`` is not of integers.
    ValueError
        If a pattern needs more bits, or the format is unknown.
    """
    format, pattern = find_format(format), torch.as_tensor(pattern)
    if pattern.dtype == torch.bool or pattern.is_floating_point() or pattern.is_complex():
        raise TypeError(f"pattern has dtype {pattern.dtype}; expected integers, such as int64")
    pattern = pattern.long()
    if ((pattern < 0) | (pattern >= 2**format.bits)).any():
        raise ValueError(
            f"{format.name} has patterns 0 to {2**format.bits - 1}, got {pattern.min()} to "
            f"{pattern.max()}; keep the low bits with pattern & {2**format.bits - 1:#x}"
        )
    if format.kind == "binary":
        return (2 * pattern - 1).float()
    if format.kind == "uint":
        return pattern.float()
    sign = pattern >> format.bits - 1
    if format.kind == "int":
        return (pattern - (sign << format.bits)).float()

    m, top = format.mantissa_bits, 2**format.exponent_bits - 1
    exponent, mantissa = pattern >> m & top, pattern & 2**m - 1
    # A table of the powers: computed ones (exp2, pow) need not be exact.
    powers = torch.tensor([2.0 ** (max(E, 1) - format.bias) for E in range(top + 1)]).double()
    x = (exponent.clamp(max=1) + mantissa.double() / 2**m) * powers.to(pattern.device)[exponent]
    if format.has_infinity:
        x[exponent == top] = float("nan")
        x[(exponent == top) & (mantissa == 0)] = float("inf")
    else:
        x[(exponent == top) & (mantissa == 2**m - 1)] = float("nan")
    return torch.where(sign == 1, -x, x).float()


def values(format: Format | str) -> Tensor:
    """Return all finite values of a format of at most 16 bits, for its number line.

    Parameters
    ----------
    format : Format or str
        A format or its name in `FORMATS`.

    Returns
    -------
    Tensor
        float32 [count], increasing; the two zeros of a float are one value.

    Raises
    ------
    ValueError
        If the format is unknown or has more than 16 bits.
    """
    format = find_format(format)
    if format.bits > 16:
        raise ValueError(
            f"{format.name} has 2^{format.bits} patterns, too many to list; values() takes formats "
            "of at most 16 bits. For one binade use gap()"
        )
    everything = decode(torch.arange(2**format.bits), format)
    return (everything[everything.isfinite()] + 0.0).unique()


def _as_float64(x: Tensor | ArrayLike) -> Tensor:
    """Return ``x`` in float64, which holds each of its values exactly."""
    tensor = x.detach() if isinstance(x, Tensor) else torch.as_tensor(np.array(x))
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise TypeError(f"x has dtype {tensor.dtype}; expected real numbers, such as float32")
    exact = tensor.double()
    if not tensor.is_floating_point() and (exact.abs() > 2**53).any():
        raise ValueError("x holds integers beyond 2^53, which float64 rounds; scale them first")
    return exact


def _float_gap(x: Tensor, format: Format) -> Tensor:
    """Return a float format's gap at ``x``; beyond the range, the gap at its end (NaN for NaN)."""
    magnitude = x.abs().clamp(format.smallest_normal, format.max)
    fraction, _ = torch.frexp(magnitude)  # magnitude = fraction * 2^exponent, fraction in [1/2, 1)
    return magnitude / fraction * 2.0 ** -(format.mantissa_bits + 1)
