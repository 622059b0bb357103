"""Which argument a result of the wrong shape has its shape from: said where no cause is known."""

import inspect
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import numpy as np
import torch

from labkit.checks.diagnosis.evidence import Evidence
from labkit.checks.values import as_array

Shape = tuple[int, ...]
SEVERAL = 2
PLACES = ("first", "second", "third", "fourth")
OFF_BY_ONE = {
    1: "has one too many in its {place} dimension: is the whole counted in beside its parts, or "
    "the beginning or the end beside what lies between?",
    -1: "lacks one in its {place} dimension: is the first one or the last one left out?",
}


def shapes(evidence: Evidence) -> str:
    """Return what the shape of a result is in every call where it is wrong; "" if nothing plain."""
    names = evidence.exercise.names
    if len(names) > 1 and _in_another_order(evidence):
        listed = ", then ".join(f"`{name}`" for name in names)
        return (
            f"By their shapes your results come in another order than asked: return first {listed}."
        )
    for c, name in enumerate(names or ("",)):
        calls = list(_misshapen(evidence, c))
        if not calls:
            continue
        result = f"`{name}`" if name else "the result"
        where = "In every call that goes wrong"
        if len(evidence.returned) < len(evidence.cases):
            if len(calls) < SEVERAL:
                continue
            where = "Where a result of another shape than expected is returned,"
        elif len(calls) < len(evidence.wrong):
            where = "In every call that gives another shape than expected,"
        for words, shape in _guesses(evidence):
            if all(shape(i, got) == got and shape(i, want) != want for i, got, want in calls):
                return f"{where} {result} {words}."
        off = _off_by_one(calls) if len(calls) >= SEVERAL else ""
        if off:
            return f"{where} {result} {off}"
    return ""


def _off_by_one(calls: list[tuple[int, Shape, Shape]]) -> str:
    """Return in which dimension all results have one too many, or lack one; "" if in none."""
    for d, place in enumerate(PLACES):
        for more, words in OFF_BY_ONE.items():
            if all(
                d < len(want) and got == (*want[:d], want[d] + more, *want[d + 1 :])
                for _, got, want in calls
            ):
                return words.format(place=place)
    return ""


def _in_another_order(evidence: Evidence) -> bool:
    """Whether all results have the shapes that are asked for in one other order, and in no more."""
    asked = tuple(range(len(evidence.exercise.names)))
    possible = set(permutations(asked))
    for i in evidence.wrong:
        given, wanted = evidence.parts(evidence.got(i)), evidence.parts(evidence.expected[i])
        if not len(given) == len(wanted) == len(asked):
            return False
        got, want = (list(map(_shape, parts)) for parts in (given, wanted))
        possible = {order for order in possible if [want[k] for k in order] == got}
    return len(possible) == 1 and asked not in possible


def _shape(part: Any) -> Shape | None:
    array = as_array(part)
    return None if array is None else array.shape


def _misshapen(evidence: Evidence, c: int) -> Iterator[tuple[int, Shape, Shape]]:
    """Give the calls in which a result has another shape than expected, with both shapes."""
    for i in evidence.wrong:
        given, wanted = evidence.parts(evidence.got(i)), evidence.parts(evidence.expected[i])
        if len(given) != len(wanted):
            continue
        got, want = as_array(given[c]), as_array(wanted[c])
        if isinstance(got, np.ndarray) and want is not None and got.shape != want.shape:
            yield i, got.shape, want.shape


def _guesses(evidence: Evidence) -> Iterator[tuple[str, Callable[[int, Shape], Shape | None]]]:
    names = list(inspect.signature(evidence.exercise.reference).parameters)
    args = [case.args for case in evidence.cases]
    for k, name in enumerate(names):
        if all(isinstance(a[k], torch.Tensor) for a in args):

            def alike(i: int, shape: Shape, k: int = k) -> Shape:
                return tuple(args[i][k].shape)

            yield f"has the shape of `{name}`", alike
        if not all(type(a[k]) is int or isinstance(a[k], list | torch.Tensor) for a in args):
            continue
        for d, place in enumerate(PLACES):
            long = f"`{name}` says" if all(type(a[k]) is int for a in args) else f"`{name}` is"
            words = f"is as long in its {place} dimension as {long}"

            def with_length(i: int, shape: Shape, k: int = k, d: int = d) -> Shape | None:
                length = _length(args[i][k])
                return (*shape[:d], length, *shape[d + 1 :]) if d < len(shape) else None

            yield words, with_length


def _length(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return len(value) if value.ndim else 0
    return len(value) if isinstance(value, list) else int(value)
