"""What an argument is or has, and what two of them are to one another: one row a quality."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Quality:
    """Something that an argument is or has.

    Attributes
    ----------
    applies : callable
        Whether one may ask.
    holds : callable
        Whether it is so.
    words : str
        How it reads behind "where": "`{p}` is 0".
    otherwise : str
        How it reads where it is not so.
    special : bool
        Whether it makes a special case of an input, one that is easily forgotten.
    """

    applies: Callable[[Any], bool]
    holds: Callable[[Any], bool]
    words: str
    otherwise: str
    special: bool = False


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def is_tensor(value: Any) -> bool:
    """Whether an argument is a tensor."""
    return isinstance(value, torch.Tensor)


def _rows(value: Any) -> bool:
    return is_tensor(value) and value.ndim > 1


def _items(value: Any) -> bool:
    return isinstance(value, list) and all(is_tensor(v) for v in value)


QUALITIES = (
    Quality(_number, lambda v: v == 0, "`{p}` is 0", "`{p}` is not 0", True),
    Quality(_number, lambda v: v < 0, "`{p}` is negative", "`{p}` is not negative"),
    Quality(_number, lambda v: v == 1, "`{p}` is 1", "`{p}` is not 1", True),
    Quality(_number, lambda v: v >= 1, "`{p}` is 1 or more", "`{p}` is below 1"),
    Quality(lambda v: type(v) is bool, bool, "`{p}` is True", "`{p}` is False"),
    Quality(
        is_tensor, lambda v: v.ndim == 1, "`{p}` has one dimension", "`{p}` has more dimensions"
    ),
    Quality(is_tensor, lambda v: v.ndim == 2, "`{p}` is a matrix", "`{p}` is no matrix"),
    Quality(
        is_tensor,
        lambda v: v.ndim == 4,
        "`{p}` has four dimensions",
        "`{p}` has another number of dimensions than four",
    ),
    Quality(
        is_tensor, lambda v: v.numel() == 1, "`{p}` has one value", "`{p}` has several values", True
    ),
    Quality(
        is_tensor,
        lambda v: bool((v < 0).any()),
        "`{p}` has values below 0",
        "`{p}` has no values below 0",
    ),
    Quality(is_tensor, lambda v: bool((v == 0).any()), "`{p}` holds a 0", "`{p}` holds no 0", True),
    Quality(
        _rows,
        lambda v: bool((v.flatten(1) == 0).all(1).any()),
        "`{p}` has a row of zeros",
        "`{p}` has no row of zeros",
        True,
    ),
    Quality(
        is_tensor,
        lambda v: bool((v == 0).all()),
        "`{p}` is 0 everywhere",
        "`{p}` is not 0 everywhere",
        True,
    ),
    Quality(
        _rows,
        lambda v: v.shape[0] == v.shape[1],
        "`{p}` has as many rows as columns",
        "`{p}` has not as many rows as columns",
    ),
    Quality(
        is_tensor, lambda v: v.is_contiguous(), "`{p}` is contiguous", "`{p}` is not contiguous"
    ),
    Quality(
        is_tensor,
        lambda v: v.numel() % 2 == 0,
        "`{p}` has an even number of values",
        "`{p}` has an odd number of values",
    ),
    Quality(
        lambda v: isinstance(v, list),
        lambda v: len(v) < 2,
        "`{p}` has one item",
        "`{p}` has several items",
        True,
    ),
    Quality(
        _items,
        lambda v: len({t.shape for t in v}) < 2,
        "all items of `{p}` have one shape",
        "the items of `{p}` differ in shape",
    ),
)


@dataclass(frozen=True)
class Pair:
    """Something that two arguments are to one another; the words name them ``{p}`` and ``{q}``."""

    applies: Callable[[Any, Any], bool]
    holds: Callable[[Any, Any], bool]
    words: str
    otherwise: str


def _row_and_count(value: Any, count: Any) -> bool:
    return is_tensor(value) and value.ndim > 0 and type(count) is int and count > 0


def _same_kind(value: Any, other: Any) -> bool:
    return type(value) is type(other) and _number(value)


def _tensors(value: Any, other: Any) -> bool:
    return is_tensor(value) and is_tensor(other) and value.ndim > 0 and other.ndim > 0


PAIRS = (
    Pair(
        _row_and_count,
        lambda v, n: v.shape[-1] % n != 0,
        "the last dimension of `{p}` is no multiple of `{q}`",
        "it is one",
    ),
    Pair(
        _row_and_count,
        lambda v, n: v.shape[-1] > n,
        "the last dimension of `{p}` is larger than `{q}`",
        "it is not",
    ),
    Pair(_same_kind, lambda a, b: a > b, "`{p}` is larger than `{q}`", "it is not"),
    Pair(_same_kind, lambda a, b: a == b, "`{p}` and `{q}` are equal", "they differ"),
    Pair(
        _tensors,
        lambda a, b: a.shape[0] > b.shape[0],
        "`{p}` has more rows than `{q}`",
        "it has not",
    ),
)
