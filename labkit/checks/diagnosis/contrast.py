"""Which calls are right and which are wrong: a fact, said where no cause is known.

A quality of the input that parts the wrong calls from the right ones points at the special case
that was forgotten. Each row of `QUALITIES` holds for every exercise at once.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from labkit.checks.diagnosis.evidence import Evidence
from labkit.checks.values import as_array

MOST_LABELS = 3
NEARLY = 1e-3
SEVERAL = 3


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
    """

    applies: Callable[[Any], bool]
    holds: Callable[[Any], bool]
    words: str
    otherwise: str


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def _tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _rows(value: Any) -> bool:
    return _tensor(value) and value.ndim > 1


def _items(value: Any) -> bool:
    return isinstance(value, list) and all(_tensor(v) for v in value)


QUALITIES = (
    Quality(_number, lambda v: v == 0, "`{p}` is 0", "`{p}` is not 0"),
    Quality(_number, lambda v: v < 0, "`{p}` is negative", "`{p}` is not negative"),
    Quality(_number, lambda v: v == 1, "`{p}` is 1", "`{p}` is not 1"),
    Quality(_number, lambda v: v >= 1, "`{p}` is 1 or more", "`{p}` is below 1"),
    Quality(lambda v: type(v) is bool, bool, "`{p}` is True", "`{p}` is False"),
    Quality(_tensor, lambda v: v.ndim == 1, "`{p}` has one dimension", "`{p}` has more dimensions"),
    Quality(_tensor, lambda v: v.ndim == 2, "`{p}` is a matrix", "`{p}` is no matrix"),
    Quality(
        _tensor,
        lambda v: v.ndim == 4,
        "`{p}` has four dimensions",
        "`{p}` has another number of dimensions than four",
    ),
    Quality(_tensor, lambda v: v.numel() == 1, "`{p}` has one value", "`{p}` has several values"),
    Quality(
        _tensor,
        lambda v: bool((v < 0).any()),
        "`{p}` has values below 0",
        "`{p}` has no values below 0",
    ),
    Quality(_tensor, lambda v: bool((v == 0).any()), "`{p}` holds a 0", "`{p}` holds no 0"),
    Quality(
        _rows,
        lambda v: bool((v.flatten(1) == 0).all(1).any()),
        "`{p}` has a row of zeros",
        "`{p}` has no row of zeros",
    ),
    Quality(
        _tensor,
        lambda v: bool((v == 0).all()),
        "`{p}` is 0 everywhere",
        "`{p}` is not 0 everywhere",
    ),
    Quality(
        _rows,
        lambda v: v.shape[0] == v.shape[1],
        "`{p}` has as many rows as columns",
        "`{p}` has not as many rows as columns",
    ),
    Quality(_tensor, lambda v: v.is_contiguous(), "`{p}` is contiguous", "`{p}` is not contiguous"),
    Quality(
        _tensor,
        lambda v: v.numel() % 2 == 0,
        "`{p}` has an even number of values",
        "`{p}` has an odd number of values",
    ),
    Quality(
        lambda v: isinstance(v, list),
        lambda v: len(v) < 2,
        "`{p}` has one item",
        "`{p}` has several items",
    ),
    Quality(
        _items,
        lambda v: len({t.shape for t in v}) < 2,
        "all items of `{p}` have one shape",
        "the items of `{p}` differ in shape",
    ),
)


def contrast(evidence: Evidence, wrong: list[int]) -> str:
    """Say what parts the wrong calls from the right ones; "" if nothing plain does.

    Parameters
    ----------
    evidence : Evidence
        The calls.
    wrong : list of int
        Those that went wrong in any way.
    """
    total = range(len(evidence.cases))
    right = [i for i in total if i not in set(wrong)]
    if not right or not wrong:
        return ""
    if len(wrong) > 1 and len(right) > 1:
        for words, otherwise, holds in _questions(evidence):
            answers = [holds(evidence.cases[i].args) for i in total]
            if None in answers:
                continue
            if all(answers[i] is (i in wrong) for i in total):
                return f"All calls where {words} go wrong; those where {otherwise} are right."
    labels = list(dict.fromkeys(evidence.cases[i].label for i in wrong))
    if len(labels) <= MOST_LABELS and len(wrong) < len(right):
        return f"Only this goes wrong: {'; '.join(labels)}. All other calls are right."
    labels = list(dict.fromkeys(evidence.cases[i].label for i in right))
    if len(labels) <= MOST_LABELS:
        return f"Only this is right: {'; '.join(labels)}. All other calls go wrong."
    return ""


Holds = Callable[[tuple], bool | None]


def _questions(evidence: Evidence) -> Iterator[tuple[str, str, Holds]]:
    names = list(inspect.signature(evidence.exercise.reference).parameters)
    for k, name in enumerate(names):
        values = [case.args[k] for case in evidence.cases]
        for quality in QUALITIES:
            if all(map(quality.applies, values)):

                def holds(args: tuple, k: int = k, quality: Quality = quality) -> bool | None:
                    return bool(quality.holds(args[k]))

                yield quality.words.format(p=name), quality.otherwise.format(p=name), holds
        if all(type(v) in (int, str) for v in values):
            for value in dict.fromkeys(values):

                def equal(args: tuple, k: int = k, value: Any = value) -> bool | None:
                    return bool(args[k] == value)

                yield f"`{name}` is {value!r}", f"`{name}` is another", equal
        if all(map(_tensor, values)):
            for dtype in dict.fromkeys(v.dtype for v in values):

                def of_dtype(args: tuple, k: int = k, dtype: Any = dtype) -> bool | None:
                    return bool(args[k].dtype == dtype)

                short = str(dtype).removeprefix("torch.")
                yield f"`{name}` is {short}", f"`{name}` has another dtype", of_dtype


NUMBERS: tuple[tuple[str, Callable[[np.ndarray, np.ndarray], np.ndarray], str], ...] = (
    (
        "NaN",
        lambda got, wanted: np.isnan(got),
        "What is wrong is NaN: 0 / 0, the logarithm of 0, or the mean of nothing. Treat the part "
        "that is empty or 0 apart, before you divide.",
    ),
    (
        "infinite",
        lambda got, wanted: np.isinf(got),
        "What is wrong is infinite: a division by 0, or a logarithm of 0. Treat that part apart.",
    ),
    (
        "last digits",
        lambda got, wanted: (np.abs(got - wanted) <= NEARLY * np.abs(wanted)) & (got != 0),
        "What is wrong is nearly right: only its last digits are off. float32 holds 24 bits, about "
        "seven digits, and a sum in it loses more: compute in float64, or in integers that are "
        "wide enough.",
    ),
    (
        "always the same",
        lambda got, wanted: (got == got[0]) & (len(got) >= SEVERAL) & (len(set(wanted)) > 1),
        "Whatever comes in, what is wrong is one and the same number. Print what your code "
        "computes on the way, step by step: where does it stop depending on the input? (A mask, a "
        "clamp, a product with 0 or brackets in the wrong place do that.)",
    ),
    (
        "too large",
        lambda got, wanted: (got > wanted) & (len(got) >= SEVERAL),
        "What is wrong is too large, everywhere: something is added, counted twice, not taken away "
        "or not divided by.",
    ),
    (
        "too small",
        lambda got, wanted: (got < wanted) & (len(got) >= SEVERAL),
        "What is wrong is too small, everywhere: something is left out, taken away twice, or "
        "divided by once too often.",
    ),
)


def numbers(evidence: Evidence) -> tuple[str, str]:
    """Return key and words for what all wrong numbers have in common; "" if there is nothing."""
    pairs = list(_wrong_numbers(evidence))
    if not pairs:
        return "", ""
    got, wanted = (np.concatenate(side) for side in zip(*pairs, strict=True))
    for key, holds, words in NUMBERS:
        if holds(got, wanted).all():
            return f"numbers: {key}", words
    return "", ""


def _wrong_numbers(evidence: Evidence) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for i in evidence.wrong:
        got, masks = evidence.got(i), evidence.wrong_parts[i]
        if masks is None:
            continue
        wanted = evidence.parts(evidence.expected[i])
        for value, want, mask in zip(evidence.parts(got), wanted, masks, strict=True):
            a, b = as_array(value), as_array(want)
            if mask is None or a is None or b is None or a.size != b.size:
                continue
            a, b, mask = a.reshape(b.shape).astype(float), b.astype(float), mask.reshape(b.shape)
            if mask.any():
                yield a[mask], b[mask]
