"""Refusing bad input with a message that says what came, what is expected and what to do."""

from numbers import Integral

import torch
from torch import Tensor

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
        Any floating-point dtype. float16 and bfloat16 become float32; float64 stays.
    name : str
        What the caller calls `x`; messages start with it.

    Raises
    ------
    TypeError
        If `x` is not a tensor or not of a floating-point dtype.
    ValueError
        If `x` is empty or holds NaN or infinity (their count and first index are named).
    """
    _tensor(x, name)
    if not x.is_floating_point():
        raise TypeError(
            f"{name} has dtype {_word(x.dtype)}; expected a floating-point tensor. "
            f"Convert it first, for example {name}.float()."
        )
    x = x.detach() if x.dtype in (torch.float32, torch.float64) else x.detach().float()
    finite = torch.isfinite(x)
    if not bool(finite.all()):
        bad = (~finite).nonzero()
        raise ValueError(
            f"{name} holds {len(bad)} NaN or infinite of {x.numel()} values, the first at index "
            f"{tuple(bad[0].tolist())}; expected finite numbers. Find out where they come from "
            "before you quantize: they have no place on an integer grid."
        )
    return x


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
            f"{name} has dtype {_word(q.dtype)}; expected an integer tensor. "
            f"Quantize real values first, or convert with {name}.to(torch.int32)."
        )
    return q


def codes_within(q: Tensor, qmin: int, qmax: int, name: str) -> Tensor:
    """Return `q`, refused if any code lies outside [qmin, qmax].

    Raises
    ------
    ValueError
        With the smallest and largest code and the range that was expected.
    """
    low, high = (int(v) for v in q.to(torch.int64).aminmax())
    if low < qmin or high > qmax:
        raise ValueError(
            f"{name} holds codes from {low} to {high}; expected {qmin} to {qmax}. "
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
        raise TypeError(f"{name} is {value!r}; expected a whole number.")
    return int(value)


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
    if not -len(shape) <= number < len(shape):
        raise ValueError(
            f"axis is {number}, but {name} has {len(shape)} dimensions (shape {tuple(shape)}); "
            f"expected an axis from {-len(shape)} to {len(shape) - 1}."
        )
    return number % len(shape)


def _tensor(x: object, name: str) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name} is a {type(x).__name__}; expected a torch.Tensor. "
            f"Convert it first, for example torch.as_tensor({name})."
        )
    if x.numel() == 0:
        raise ValueError(
            f"{name} is empty (shape {tuple(x.shape)}); expected at least one value, "
            "since an empty tensor has no range."
        )


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
