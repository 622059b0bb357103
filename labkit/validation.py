"""Refusing bad input with a message that says what came, what is expected and what to do."""

from numbers import Integral
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")

INTEGER_DTYPES = (
    torch.int8,
    torch.uint8,
    torch.int16,
    torch.uint16,
    torch.int32,
    torch.int64,
)


def real_tensor(x: Tensor, name: str) -> Tensor:
    """Return `x` in float32 or better, refused unless it is a non-empty, finite, real tensor.

    Parameters
    ----------
    x : Tensor
        Any floating-point dtype. float64 stays, all others become float32. What is returned
        carries no gradient.
    name : str
        What the caller calls `x`; messages start with it.

    Raises
    ------
    TypeError
        If `x` is not a tensor or not of a floating-point dtype.
    ValueError
        If `x` is empty or holds NaN or infinity.
    """
    _tensor(x, name)
    if not x.is_floating_point():
        raise TypeError(
            f"{name} has dtype {dtype_name(x.dtype)}; expected a floating-point tensor. "
            f"Convert it first, for example {name}.float()."
        )
    x = x.detach() if x.dtype in (torch.float32, torch.float64) else x.detach().float()
    advice = "Find out where NaN and infinity come from: they have no place on an integer grid."
    return finite(x, name, x.dtype, advice)


def finite(x: Tensor, name: str, dtype: torch.dtype, advice: str) -> Tensor:
    """Return `x`, refused if it holds NaN, infinity or a number too large for `dtype`.

    Raises
    ------
    ValueError
        With the first such value, and the `advice`.
    """
    largest = torch.finfo(dtype).max
    if not x.numel():
        return x
    low, high = (value.item() for value in x.aminmax())  # NaN, if there is one
    if not (-largest <= low and high <= largest):
        wrong = ~(x.abs() <= largest)
        raise ValueError(
            f"{first_wrong(x, wrong, name)}; expected finite numbers that {dtype_name(dtype)} can "
            f"hold. {advice}"
        )
    return x


def real_numbers(value: Any, name: str, dtype: torch.dtype) -> Tensor:
    """Return a number, a sequence, an array or a tensor as a tensor of `dtype`, no gradient.

    Raises
    ------
    TypeError
        If `value` is nothing of the kind.
    """
    return _as_tensor(value, name, dtype).detach()


def ordered_range(rmin: Any, rmax: Any) -> tuple[Tensor, Tensor]:
    """Return `rmin` and `rmax` as float64 tensors of one shape, refused unless rmin <= rmax.

    Raises
    ------
    TypeError
        If one is neither a number nor a tensor of numbers.
    ValueError
        If a number is NaN, infinite or beyond float32, the shapes differ, or rmin > rmax.
    """
    advice = "Remove NaN and infinity from what was observed."
    low = finite(real_numbers(rmin, "rmin", torch.float64), "rmin", torch.float32, advice)
    high = finite(real_numbers(rmax, "rmax", torch.float64), "rmax", torch.float32, advice)
    if low.ndim and high.ndim and low.shape != high.shape:
        raise ValueError(
            f"rmin has shape {tuple(low.shape)} and rmax {tuple(high.shape)}; expected one rmax "
            "for each rmin."
        )
    low, high = torch.broadcast_tensors(low, high)
    wrong = low > high
    if bool(wrong.any()):
        raise ValueError(
            f"{first_wrong(low, wrong, 'rmin')}, above rmax; expected rmin <= rmax. "
            "Are the two swapped?"
        )
    return low, high


def integer_tensor(q: Tensor, name: str) -> Tensor:
    """Return `q`, refused unless it is a non-empty tensor of an integer dtype.

    Raises
    ------
    TypeError
        If `q` is not a tensor or its dtype is not an integer one.
    ValueError
        If `q` is empty.
    """
    _tensor(q, name)
    if q.dtype not in INTEGER_DTYPES:
        raise TypeError(
            f"{name} has dtype {dtype_name(q.dtype)}; expected an integer tensor of dtype "
            f"{', '.join(map(dtype_name, INTEGER_DTYPES))}. Quantize real values first, or convert "
            f"whole numbers with {name}.to(torch.int32)."
        )
    return q


def whole_numbers(value: Any, name: str) -> Tensor:
    """Return an integer, or a sequence, an array or a tensor of them, as a tensor.

    Raises
    ------
    TypeError, ValueError
        If `value` is nothing of the kind, not of an integer dtype, or empty.
    """
    return integer_tensor(_as_tensor(value, name, dtype=None), name)


def codes_within(q: Tensor, qmin: int, qmax: int, name: str) -> Tensor:
    """Return `q`, refused if any code lies outside [qmin, qmax].

    Raises
    ------
    ValueError
        With the smallest and largest code and the range that was expected.
    """
    info = torch.iinfo(q.dtype)
    if qmin <= info.min and info.max <= qmax:
        return q
    # torch has no aminmax for uint16.
    low, high = (int(v) for v in (q.int() if q.dtype == torch.uint16 else q).aminmax())
    if low < qmin or high > qmax:
        raise ValueError(
            f"{name} has codes from {low} to {high}; expected {qmin} to {qmax}. "
            "Clamp before you convert, or use a scheme with more bits."
        )
    return q


def whole_number(value: object, name: str) -> int:
    """Return `value` as int, refused if it is not a whole number (bool is not one).

    Raises
    ------
    TypeError
        If `value` is no integer.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} is {value!r}; expected a whole number, of type int.")
    return int(value)


def true_or_false(value: object, name: str) -> bool:
    """Return `value` as bool, refused if it is anything else.

    Raises
    ------
    TypeError
        If `value` is no bool.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value!r}; expected True or False.")
    return bool(value)


def instance_of(value: Any, kind: type[T], name: str, example: str) -> T:
    """Return `value`, refused if it is not of class `kind`.

    Raises
    ------
    TypeError
        With the class of `value`, and an `example` of how to make the right one.
    """
    if not isinstance(value, kind):
        raise TypeError(
            f"{name} is of type {type(value).__name__}; expected {kind.__name__}. "
            f"Make one with {example}."
        )
    return value


def axis_of(axis: object, shape: torch.Size, name: str) -> int:
    """Return `axis` counted from the front, refused if a tensor of `shape` lacks it.

    Raises
    ------
    TypeError
        If `axis` is no integer.
    ValueError
        If `axis` is not in [-ndim, ndim - 1].
    """
    number = whole_number(axis, "axis")
    if not shape:
        raise ValueError(f"axis is {number}, but {name} is a single number; expected axis=None.")
    if not -len(shape) <= number < len(shape):
        raise ValueError(
            f"axis is {number}, but {name} has {len(shape)} dimensions (shape {tuple(shape)}); "
            f"expected an axis from {-len(shape)} to {len(shape) - 1}."
        )
    return number % len(shape)


def first_wrong(values: Tensor, wrong: Tensor, name: str) -> str:
    """Start a message on the `values` that are `wrong`: how many, and the first, not all."""
    index = wrong.nonzero()[0].tolist()
    value = values[tuple(index)].item()
    if not index:
        return f"{name} is {value:g}"
    count = f"{int(wrong.sum())} of {wrong.numel()}"
    return f"{name} has {count} values wrong, the first {name}{index} = {value:g}"


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name of `dtype` as messages have it, without "torch."."""
    return str(dtype).removeprefix("torch.")


def _as_tensor(value: Any, name: str, dtype: torch.dtype | None) -> Tensor:
    try:
        return torch.as_tensor(value, dtype=dtype)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"{name} is of type {type(value).__name__}; expected a number or a tensor of numbers."
        ) from error


def _tensor(x: object, name: str) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name} is of type {type(x).__name__}; expected torch.Tensor. "
            f"Convert it first, for example torch.as_tensor({name})."
        )
    if x.numel() == 0:
        raise ValueError(
            f"{name} is empty (shape {tuple(x.shape)}); expected at least one value. "
            "Look for a slice or a filter that leaves nothing."
        )
