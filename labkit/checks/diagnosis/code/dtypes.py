"""What tensors and arrays of either library hold, and the same in a wider dtype."""

import sys
from typing import Any

import numpy as np
import torch

NARROW = (torch.uint8, torch.int8, torch.int16, torch.int32)


def is_narrow(value: Any) -> bool:
    """Whether something holds whole numbers of 32 bits or fewer."""
    if isinstance(value, torch.Tensor):
        return value.dtype in NARROW
    array = isinstance(value, np.ndarray | np.generic)
    return array and value.dtype.kind in "iu" and value.dtype.itemsize < 8


def is_long(value: Any) -> bool:
    """Whether something holds whole numbers of 64 bits, and no more."""
    if isinstance(value, torch.Tensor):
        return value.dtype == torch.int64
    return isinstance(value, np.ndarray | np.generic) and value.dtype == np.int64


def as_reals(value: Any) -> Any:
    """Return the same whole numbers in float64; anything else as it is."""
    if isinstance(value, torch.Tensor):
        return value if value.is_floating_point() else value.double()
    return value.astype(np.float64) if isinstance(value, np.ndarray | np.generic) else value


def beside_rows(left: Any, right: Any) -> tuple[Any, Any] | None:
    """Return both sides with one number a row beside the rows; None if there is no such side."""
    for matrix, vector, turned in ((left, right, False), (right, left, True)):
        if not all(isinstance(side, torch.Tensor | np.ndarray) for side in (matrix, vector)):
            return None
        if matrix.ndim > 1 and vector.ndim == 1 and 1 < len(vector) == matrix.shape[0]:
            beside = vector.reshape((-1, *(1,) * (matrix.ndim - 1)))
            return (beside, matrix) if turned else (matrix, beside)
    return None


def torch_dtype(dtype: Any) -> torch.dtype:
    """Return torch's name of a dtype of numpy."""
    if isinstance(dtype, torch.dtype):
        return dtype
    return torch.from_numpy(np.zeros(1, dtype)).dtype


def widened(value: Any) -> Any:
    """Return the same whole numbers with 64 bits; anything else as it is."""
    if isinstance(value, list | tuple):
        return type(value)(map(widened, value))
    if not is_narrow(value):
        return value
    return value.long() if isinstance(value, torch.Tensor) else value.astype(np.int64)


def in_float64(value: Any) -> np.ndarray | None:
    """Return real or whole numbers in float64; None for anything else."""
    if type(value) in (int, float):
        return np.asarray(float(value)) if abs(value) < sys.float_info.max else None
    if isinstance(value, torch.Tensor):
        held = not (value.is_complex() or value.dtype == torch.bool)
        return np.asarray(value.detach().double()) if held else None
    array = isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "iuf"
    return np.asarray(value, np.float64) if array else None


def is_whole(value: Any) -> bool:
    """Whether something holds whole numbers, of any size."""
    if isinstance(value, torch.Tensor):
        return not value.is_floating_point()
    kind = value.dtype.kind if isinstance(value, np.ndarray | np.generic) else ""
    return type(value) is int or kind in ("i", "u")


def held_alike(result: Any, numbers: np.ndarray) -> Any:
    """Return numbers in what holds a result."""
    if isinstance(result, torch.Tensor):
        return torch.from_numpy(np.ascontiguousarray(numbers)).reshape(result.shape)
    return numbers if isinstance(result, np.ndarray | np.generic) else numbers.item()
