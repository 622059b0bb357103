"""The cases and right results of an exercise, worked out once for all answers that are tried."""

import copy
import functools
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace

from labkit.checks.exercise import Case, Exercise


@dataclass(frozen=True)
class Remembered:
    """An exercise whose reference is asked once for each input, and its cases of each seed."""

    exercise: Exercise
    cases: Callable[[int], list[Case]]

    @classmethod
    def of(cls, exercise: Exercise) -> "Remembered":
        """Return the exercise as it is declared, but for its memory."""
        return cls(replace(exercise, reference=Reference(exercise)), functools.cache(exercise.draw))


class Reference:
    """The reference of an exercise, and what it returned; nobody changes a result."""

    def __init__(self, exercise: Exercise):
        functools.update_wrapper(self, exercise.reference)
        self.__code__ = exercise.reference.__code__
        self._results: dict[bytes, object] = {}

    def __call__(self, *args: object) -> object:
        key = pickle.dumps(args)
        if key not in self._results:
            self._results[key] = self.__wrapped__(*copy.deepcopy(args))
        return self._results[key]
