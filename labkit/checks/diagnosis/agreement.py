"""Where two results have the same numbers."""

from typing import Any

import numpy as np

from labkit.checks.rules import Rule
from labkit.checks.values import Plain, as_array

LAST_DIGITS = Rule(relative=1e-5, absolute=1e-12)


def agreement(value: Plain, other: Plain, rule: Rule = LAST_DIGITS) -> np.ndarray | None:
    """Return where two results have the same numbers; None if their shapes or kinds differ."""
    a, b = as_array(value), as_array(other)
    if a is not None and b is not None and a.size == b.size == 1 and not (a.ndim and b.ndim):
        a, b = a.reshape(()), b.reshape(())
    if a is None or b is None or a.shape != b.shape:
        return np.ones((), bool) if a is None and same(value, other) else None
    x, y = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        largest = float(np.abs(y[np.isfinite(y)]).max(initial=0.0))
        # Next to tiny numbers 1e-12 is no last digit.
        absolute = max(rule.absolute, LAST_DIGITS.absolute * min(1.0, largest or 1.0))
        relative = max(rule.relative, LAST_DIGITS.relative)
        if a.dtype.kind in "biu" and b.dtype.kind in "biu":
            near = a == b
        else:
            near = np.isfinite(y) & (np.abs(x - y) <= absolute + relative * np.abs(y))
    return np.asarray(near | (x == y) | (np.isnan(x) & np.isnan(y)))


def as_asked(value: Plain, wanted: Plain) -> Plain:
    """Return the numbers of a list as an array, where one is asked for; else what there is."""
    if isinstance(wanted, np.ndarray) and isinstance(value, tuple):
        try:
            array = np.array(value)
        except ValueError:  # rows of different lengths
            return value
        return array if array.dtype.kind in "biuf" else value
    return value


def says_the_right(value: Plain, other: Plain, wanted: Plain) -> np.ndarray:
    """Return where a prediction is the right number, and near a wrong one only by tolerance."""
    as_wanted, a, b = agreement(wanted, other), as_array(value), as_array(other)
    if as_wanted is None or a is None or b is None or a.size != b.size:
        return np.zeros((), bool)
    return as_wanted & (a.reshape(as_wanted.shape) != b.reshape(as_wanted.shape))


def nan_alone(value: Plain, other: Plain, mask: np.ndarray) -> np.ndarray:
    """Return where a result is NaN and an explanation of it has a number, one row of truths."""
    a, b = as_array(value), as_array(other)
    if a is None or b is None or a.size != b.size or a.size != mask.size:
        return np.zeros(mask.size, bool)
    return np.isnan(a.astype(float).reshape(-1)) & ~np.isnan(b.astype(float).reshape(-1))


def same(value: Any, other: Any) -> bool:
    """Whether two results are the same in structure and numbers."""
    if isinstance(value, tuple) and isinstance(other, tuple):
        return len(value) == len(other) and all(map(same, value, other))
    if as_array(value) is None or as_array(other) is None:
        # Text, an error, None, or an integer that is larger than any dtype's.
        return type(value) is type(other) and value == other
    agree = agreement(value, other)
    return agree is not None and bool(agree.all())
