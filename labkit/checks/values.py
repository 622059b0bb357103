"""Plain values: what crosses the line between a student's code and the verdict.

An answer may return torch tensors, numpy arrays or Python numbers. All of them become numpy
arrays and Python scalars before anything compares them, so that no object of the student's own
(with an ``__eq__`` of its own) takes part in a comparison.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

Plain = Any  # ndarray, int, float, bool, str, None, or a tuple of these

ADDRESS = re.compile(r"(?<= at )0x[0-9a-fA-F]{4,}")
# Control characters, what turns the direction of reading, and halves of characters.
UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
LONGEST_LISTED = 12
LONGEST_LINE = 100
LONGEST_TEXT = 60
DEEPEST = 4
LARGEST = 1 << 24  # numbers in one array


class Unplain(TypeError):
    """An answer returned something that is no number, array or tuple of them."""


def plain(value: object, depth: int = 0) -> Plain:
    """Turn `value` into arrays and Python scalars.

    Subclasses are refused: theirs could show one thing here and compute another later.

    Raises
    ------
    Unplain
        If it holds anything but numbers, tensors, arrays, strings, None, tuples and lists.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, torch.Tensor) and type(value) in (torch.Tensor, torch.nn.Parameter):
        return _plain_tensor(value)
    if type(value) is np.ndarray or isinstance(value, np.generic):
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise Unplain(f"a numpy array of dtype {array.dtype}")
        # Torch has no longdouble, and no other byte order than the machine's.
        wide = array.dtype.kind == "f" and array.dtype.itemsize > 8
        dtype = np.float64 if wide else array.dtype.newbyteorder("=")
        return _small_enough(array).astype(dtype, order="C")
    if isinstance(value, tuple | list):  # named tuples, too
        if depth == DEEPEST:
            raise Unplain(f"a list nested more than {DEEPEST} deep")
        return tuple(plain(item, depth + 1) for item in value)
    raise Unplain(f"a {type(value).__name__}")


def _plain_tensor(tensor: torch.Tensor) -> np.ndarray:
    if tensor.is_quantized:
        raise Unplain("a quantized tensor (its codes are `.int_repr()`)")
    if tensor.layout is not torch.strided:
        raise Unplain("a sparse tensor (`.to_dense()` makes a plain one)")
    if tensor.is_meta:
        raise Unplain("a tensor on the meta device, which has a shape and no numbers")
    if tensor.is_complex():
        raise Unplain(f"a tensor of dtype {_dtype(tensor)}")
    tensor = _small_enough(torch.Tensor.detach(tensor)).cpu()
    if tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.float()  # numpy has no bfloat16 and no 8-bit floats
    return tensor.resolve_neg().numpy().copy()


def _small_enough(array: Any) -> Any:
    if math.prod(array.shape) > LARGEST:
        raise Unplain(f"a tensor of shape {tuple(array.shape)}, too large to look at")
    return array


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def as_array(value: Plain) -> np.ndarray | None:
    """Return `value` as an array if it is a number or an array, else None."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, bool | int | float):
        array = np.array(value)
        return array if array.dtype.kind in "biuf" else None  # larger than any integer dtype
    return None


def describe(value: Plain) -> str:
    """Say what `value` is in a few words: "a float32 tensor of shape (3, 4)"."""
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return f"the {value.dtype} number {number(value.item())}"
        article = "an" if value.dtype.kind == "i" else "a"
        return f"{article} {value.dtype} tensor of shape {value.shape}"
    if value is None:
        return "None (is a `return` missing?)"
    if isinstance(value, tuple):
        return f"a tuple or list of {len(value)} value{'' if len(value) == 1 else 's'}"
    if isinstance(value, str):
        return f"the text {shortened(value, LONGEST_TEXT)!r}"
    kind = {bool: "bool", int: "int", float: "float"}[type(value)]
    return f"the {kind} {number(value)}"


def number(value: float | int | bool) -> str:
    """Write a number the same way everywhere: integers whole, reals with 6 significant digits."""
    if isinstance(value, bool | int):
        return str(value) if value.bit_length() <= 80 else f"of {value.bit_length()} bits"
    if abs(value) < 2**53 and value == int(value):
        return f"{value:.0f}"
    return f"{value:.6g}"


def source_text(value: object) -> str:
    """Write an argument as the Python source that makes it, shortened where it is long."""
    if isinstance(value, torch.Tensor):
        if value.numel() > LONGEST_LISTED:
            low, high = (number(v.item()) for v in value.aminmax())
            return f"<{_dtype(value)} tensor of shape {tuple(value.shape)}, from {low} to {high}>"
        plain_dtype = value.dtype in (torch.float32, torch.int64, torch.bool)
        suffix = "" if plain_dtype else f", dtype={value.dtype}"
        return f"torch.tensor({_listed(_plain_tensor(value))}{suffix})"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, tuple | list):
        inner = ", ".join(source_text(item) for item in value)
        if isinstance(value, list) and len(inner) > LONGEST_LINE and all(map(_is_text, value)):
            return "[\n" + "".join(f"    {item!r},\n" for item in value) + "]"
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _listed(array: np.ndarray) -> str:
    if array.ndim:
        return "[" + ", ".join(map(_listed, array)) + "]"
    # str gives the fewest digits that name a number of this dtype: -0.31, and 0.49999997.
    return str(array) if array.dtype.kind == "f" else str(array.item())


def input_size(value: object) -> int:
    """Return how many numbers an argument holds, or a tuple of arguments."""
    if isinstance(value, tuple | list):
        return sum(map(input_size, value))
    return value.numel() if isinstance(value, torch.Tensor) else 1


def steady(text: str) -> str:
    """Remove what differs from run to run (memory addresses), and what cannot be displayed."""
    return UNPRINTABLE.sub("?", ADDRESS.sub("0x...", text))


def enumerated(words: Sequence[str]) -> str:
    """Write words one after the other: "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def shortened(text: str, most: int) -> str:
    """Cut `text` after `most` characters."""
    return text if len(text) <= most else text[:most] + "..."
