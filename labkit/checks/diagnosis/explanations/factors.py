"""Factors that tell what they come from, and what may be added, taken away, multiplied, divided."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

MOST_BITS = 64
FACTORS = {
    100.0: "The result is in percent, and a fraction is asked for.",
    0.01: "The result is a fraction, and percent are asked for.",
    1e-3: "The result is 1000 times too small: look at the unit.",
    1e3: "The result is 1000 times too large: look at the unit.",
    1e-6: "The result is 1,000,000 times too small: look at the unit.",
    1e6: "The result is 1,000,000 times too large: look at the unit.",
    1e-12: "The result is 10^12 times too small: look at the unit that is asked for.",
    math.log(10): "The logarithm has the base e where base 10 belongs: `log10`.",
    1 / math.log(10): "The logarithm has the base 10 where base e belongs: `log`.",
    math.log(2): "The logarithm has the base e where base 2 belongs: `log2`.",
    1 / math.log(2): "The logarithm has the base 2 where base e belongs: `log`.",
    math.log2(10): "The logarithm has the base 2 where base 10 belongs: `log10`.",
    1 / math.log2(10): "The logarithm has the base 10 where base 2 belongs: `log2`.",
}

ACTS: tuple[tuple[str, str, Callable[[np.ndarray, np.ndarray], np.ndarray]], ...] = (
    (
        "plus",
        "The result is too large by {q}: it is added once too often, or not taken away.",
        lambda w, v: w + v,
    ),
    (
        "minus",
        "The result is too small by {q}: it is not added, or taken away once too often.",
        lambda w, v: w - v,
    ),
    (
        "times",
        "The result is the right one times {q}: that factor is too much, or a division "
        "by it is missing (a sum in place of a mean, for instance).",
        lambda w, v: w * v,
    ),
    (
        "over",
        "The result is the right one divided by {q}: that factor is missing, or divided by "
        "once too often (a mean in place of a sum, for instance).",
        lambda w, v: w / v,
    ),
)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value <= MOST_BITS


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _is_matrix(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim > 1


# Of which argument, what it is called, and how it is measured.
QUANTITIES: tuple[tuple[Callable[[Any], bool], str, Callable[[Any], Any]], ...] = (
    (_is_number, "`{p}`", lambda v: v),
    (_is_number, "the root of `{p}`", lambda v: abs(v) ** 0.5),
    (_is_count, "`2**{p}`", lambda v: 2.0**v),
    (_is_count, "`2**({p} - 1)`", lambda v: 2.0 ** (v - 1)),
    (_is_count, "`2**({p} - 1) - 1`", lambda v: 2.0 ** (v - 1) - 1),
    (_is_tensor, "`{p}`", lambda v: v.double().numpy()),
    (_is_tensor, "the root of the number of values in `{p}`", lambda v: v.numel() ** 0.5),
    (_is_tensor, "the number of values in `{p}`", torch.numel),
    (_is_matrix, "the number of rows of `{p}`", len),
    (_is_matrix, "the number of columns of `{p}`", lambda v: v.shape[-1]),
    (lambda v: isinstance(v, list), "the number of items of `{p}`", len),
)
