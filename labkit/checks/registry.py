"""Which labs there are."""

import functools
import importlib
from types import ModuleType

from labkit.checks import own
from labkit.checks.exercise import Exercise
from labkit.checks.selection import Selected, selection

# number: the stem that the notebook has in solutions/ and labs/
STEMS = {
    0: "lab0_formats",
    1: "lab1_linear",
    2: "lab2_calibration",
    3: "lab3_kernels",
    4: "lab4_ptq",
    5: "lab5_qat",
    6: "lab6_codebooks",
    7: "lab7_language",
    8: "lab8_device",
}
_ALL = STEMS
_SELECTED = selection(tuple(_ALL))
STEMS = {number: _ALL[number] for number in _SELECTED}


def module(number: int) -> ModuleType:
    """Return the module that declares the exercises of a lab.

    Raises
    ------
    ValueError
        If there is no such lab.
    """
    if number in _ALL and number not in STEMS:
        raise ValueError(f"lab {number} is no part of this course; expected one of {[*STEMS]}.")
    if number not in STEMS:
        raise ValueError(f"there is no lab {number!r}; expected one of {sorted(STEMS)}.")
    return importlib.import_module(f"labkit.checks.lab{number}")


@functools.cache
def exercises(number: int) -> tuple[Exercise, ...]:
    """Return the exercises of a lab that the class takes, in the order of its notebook."""
    return selected(number).applied(own.joined(module(number).EXERCISES, number))


def left_out() -> set[str]:
    """Return the stems of the labs that the class does not take."""
    return {*_ALL.values()} - {*STEMS.values()}


def selected(number: int) -> Selected:
    """Return what the class takes of a lab; raises as `module`."""
    module(number)
    return _SELECTED[number]


def title(number: int) -> str:
    """Return the name of a lab."""
    return module(number).TITLE


def sentence(number: int) -> str:
    """Return in a sentence what one does in a lab."""
    return module(number).SENTENCE


def picture(number: int) -> str:
    """Return words of the description of the picture that stands for a lab."""
    return module(number).PICTURE
