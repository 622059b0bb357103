"""Plain values: what crosses the line between a student's code and the verdict.

An answer may return torch tensors, numpy arrays or Python numbers. All of them become numpy
arrays and Python scalars before anything compares them, so that no object of the student's own
(with an ``__eq__`` of its own) takes part in a comparison.
"""

import re
from typing import Any

import numpy as np
import torch

Plain = Any  # ndarray, int, float, bool, str, None, or a tuple of these

ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")
LONGEST_LISTED = 12


class Unplain(TypeError):
    """An answer returned something that is no number, array or tuple of them."""


def plain(value: object) -> Plain:
    """Turn `value` into arrays and Python scalars.

    Raises
    ------
    Unplain
        If it holds anything but numbers, tensors, arrays, strings, None, tuples and lists.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, torch.Tensor):
        tensor = value.detach().cpu().resolve_conj().resolve_neg()
        if tensor.dtype in (torch.bfloat16, torch.float16):
            tensor = tensor.float()
        return np.array(tensor.numpy())
    if isinstance(value, np.ndarray | np.generic):
        array = np.array(value)
        if array.dtype.kind in "biuf":
            return array
        raise Unplain(f"a numpy array of dtype {array.dtype}")
    if isinstance(value, tuple | list):
        return tuple(plain(item) for item in value)
    raise Unplain(f"a {type(value).__name__}")


def as_array(value: Plain) -> np.ndarray | None:
    """Return `value` as an array if it is a number or an array, else None."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, bool | int | float):
        try:
            return np.array(value)
        except OverflowError:
            return None
    return None


def describe(value: Plain) -> str:
    """Say what `value` is in a few words: "a float32 tensor of shape (3, 4)"."""
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return f"the {value.dtype} number {number(value.item())}"
        return f"a {value.dtype} tensor of shape {value.shape}"
    if value is None:
        return "None (is a `return` missing?)"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)} values"
    if isinstance(value, str):
        return f"the text {value!r}"
    kind = {bool: "bool", int: "int", float: "float"}[type(value)]
    return f"the {kind} {number(value)}"


def number(value: float | int | bool) -> str:
    """Write a number the same way everywhere: integers whole, reals with 6 significant digits."""
    if isinstance(value, bool | int):
        text = str(value)
        return text if len(text) <= 24 else f"{text[:10]}... ({len(text)} digits)"
    return f"{value:.6g}"


def source_text(value: object) -> str:
    """Write an argument as the Python source that makes it, shortened where it is long."""
    if isinstance(value, torch.Tensor):
        if value.numel() > LONGEST_LISTED:
            dtype = str(value.dtype).removeprefix("torch.")
            low, high = (number(v.item()) for v in value.aminmax())
            return f"<{dtype} tensor of shape {tuple(value.shape)}, from {low} to {high}>"
        plain_dtype = value.dtype in (torch.float32, torch.int64, torch.bool)
        suffix = "" if plain_dtype else f", dtype={value.dtype}"
        return f"torch.tensor({_listed(value.tolist())}{suffix})"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, tuple | list):
        inner = ", ".join(source_text(item) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    return repr(value)


def _listed(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_listed(item) for item in value) + "]"
    return repr(round(value, 6)) if isinstance(value, float) and abs(value) >= 1e-3 else repr(value)


def steady(text: str) -> str:
    """Remove what differs from run to run: memory addresses."""
    return ADDRESS.sub("0x...", text)
