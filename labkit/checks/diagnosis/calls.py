"""Calls of code that may change what it gets, or end in an error."""

import copy
from collections.abc import Callable
from typing import Any

import torch

from labkit.checks.diagnosis.evidence import Raised
from labkit.checks.values import Plain, Unplain, plain


def result_of(function: Callable[..., Any], args: tuple) -> Plain | Raised:
    """Return what a function gives for copies of arguments, as plain values, or how it ended."""
    return called(lambda: function(*copied(args)))


def copied(value: Any) -> Any:
    """Return a copy of what a call gets, for code that may change it.

    What ``copy.deepcopy`` does, several times faster for tensors: a search makes thousands.
    """
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if type(value) in (list, tuple):
        return type(value)(map(copied, value))
    return value if type(value) in (int, float, bool, str) else copy.deepcopy(value)


def called(compute: Callable[[], Any]) -> Plain | Raised:
    """Return what a computation gives, as plain values, or how it ended."""
    try:
        return plain(compute())
    except Unplain:
        return Raised("Unplain")
    except Exception as error:
        return Raised(type(error).__name__)
