"""Exercises of a class's own, from the folder that `course.toml` names.

It is laid out as `labkit.checks` is: ``lab1/row_magnitudes.py`` declares an exercise, and is the
module ``labkit.checks.own.lab1.row_magnitudes``. Beside it ``row_magnitudes.ipynb`` holds its
cells, from its heading on, and ``right_answers.py`` what the tests try.
"""

import functools
import importlib
from collections.abc import Sequence
from pathlib import Path

from labkit.checks.errors import explain
from labkit.checks.exercise import Exercise
from labkit.checks.selection import own_folder

FIRST = 100
"""The first number: those below belong to the course, which may get new exercises."""
RIGHT_ANSWERS = "right_answers.py"
FOLDER = own_folder()
__path__ = [str(FOLDER)] if FOLDER else []


def files(lab: int) -> list[Path]:
    """Return the modules that lie in the folder for a lab; none without a folder."""
    if FOLDER is None:
        return []
    found = sorted((FOLDER / f"lab{lab}").glob("*.py"))
    return [path for path in found if path.name != RIGHT_ANSWERS]


@functools.cache
def declared(lab: int) -> tuple[tuple[Exercise, Path], ...]:
    """Return a lab's own exercises in the order of their numbers, each with its module's file.

    Raises
    ------
    ValueError
        If a file cannot be imported, declares several exercises, or one of another lab.
    """
    found = [(exercise, path) for path in files(lab) for exercise in _exercises(path, lab)]
    return tuple(sorted(found, key=lambda pair: _number(pair[0], lab, pair[1])))


def joined(exercises: Sequence[Exercise], lab: int) -> tuple[Exercise, ...]:
    """Return the exercises of a lab with the class's own behind them.

    Raises
    ------
    ValueError
        As `declared`, or if a number or a function's name is taken.
    """
    found = list(exercises)
    for exercise, path in declared(lab):
        for other in found:
            if exercise.id == other.id or exercise.function == other.function:
                raise ValueError(
                    f"{path} declares exercise {exercise.id}, which asks for {exercise.function}; "
                    f"exercise {other.id} asks for {other.function} already. Choose another "
                    "number or name."
                )
        found.append(exercise)
    return tuple(found)


def _exercises(path: Path, lab: int) -> list[Exercise]:
    """Return the exercise that a file declares; helpers declare none."""
    try:
        module = importlib.import_module(f"{__name__}.lab{lab}.{path.stem}")
    except Exception as error:
        raise ValueError(f"{path} cannot be used: {explain(error)}") from error
    found = [value for value in vars(module).values() if isinstance(value, Exercise)]
    if len(found) > 1:
        ids = [exercise.id for exercise in found]
        raise ValueError(f"{path} declares the exercises {ids}; expected one a file.")
    return found


def _number(exercise: Exercise, lab: int, path: Path) -> int:
    """Return 101 for the exercise "1.101"."""
    begin, _, number = exercise.id.partition(".")
    if begin != str(lab) or not number.isdecimal() or int(number) < FIRST:
        raise ValueError(
            f"{path} declares exercise {exercise.id!r}; expected {lab}.{FIRST} or a higher number: "
            "those below belong to the course."
        )
    return int(number)
