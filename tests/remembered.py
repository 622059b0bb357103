"""An exercise that works out nothing twice, however many answers are tried on it."""

import copy
import functools
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from labkit.checks.exercise import Case, Exercise


@dataclass(frozen=True)
class Remembered:
    """An exercise whose functions are called once for each input, and its cases of each seed."""

    exercise: Exercise
    cases: Callable[[int], list[Case]]

    @classmethod
    def of(cls, exercise: Exercise) -> "Remembered":
        """Return the exercise as it is declared, with a memory."""
        mistakes = tuple(replace(m, wrong=Recall(m.wrong)) for m in exercise.misconceptions)
        known = replace(exercise, reference=Recall(exercise.reference), misconceptions=mistakes)
        return cls(known, functools.cache(exercise.draw))


class Recall:
    """A function that is called once for each input; nobody changes what it returns."""

    def __init__(self, function: Callable[..., object]):
        functools.update_wrapper(self, function)
        # The diagnosis reads both.
        self.__code__ = getattr(function, "__code__", None)
        self.__globals__ = getattr(function, "__globals__", {})
        self._results: dict[object, object] = {}

    def __call__(self, *args: object) -> object:
        key = _key(args)
        if key not in self._results:
            self._results[key] = self.__wrapped__(*copy.deepcopy(args))
        return self._results[key]


def _key(value: object) -> object:
    """Return what is equal for no other input: neither 1 for 1.0, nor 0.0 for -0.0."""
    if type(value) is torch.Tensor:
        # Pickling it takes ten times as long.
        stored = value.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        return value.dtype, value.shape, value.stride(), value.requires_grad, stored
    if type(value) in (tuple, list):
        return type(value), *map(_key, value)
    if type(value) in (int, float, bool, str, type(None)):
        return type(value), repr(value)
    return pickle.dumps(value)
