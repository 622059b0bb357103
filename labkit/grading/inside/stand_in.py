"""Stands where a module of labkit would be that a sandbox does not have.

The grader puts this file in the place of the references, the pictures and the checks: importing
from it works, so that a lab's first cell runs; using what was imported does not.
"""

from typing import Any, NoReturn


class Unavailable:
    """A name that can be imported and not used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Say that it is not there."""
        raise ImportError(f"{self._name} is not there while answers are graded; write it yourself.")


def __getattr__(name: str) -> Unavailable:
    if name.startswith("__"):
        raise AttributeError(name)
    return Unavailable(f"{__name__}.{name}")
