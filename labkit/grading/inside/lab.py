"""What a notebook calls `lab` and `display`, where answers are graded: silent.

The grader puts this file in the place of `labkit.checks.lab`. An answer cell may ask for a hint or
draw a picture as in the notebook; here nobody looks at it.
"""

from collections.abc import Callable
from typing import Any

from labkit.checks.calling import safe_to_use


class Silent:
    """Takes any call and has any attribute; nothing comes of it."""

    def __getattr__(self, name: str) -> "Silent":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> "Silent":
        """Return itself."""
        return self


class Lab(Silent):
    """Stands where `labkit.Lab` is; what a check hands on is the same."""

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def check(self, exercise_id: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` as later answers may use it: tensors come out."""
        return safe_to_use(function) if callable(function) else function


NAMES = {"lab": Lab(), "display": Silent(), "help": Silent(), "In": [], "Out": {}}
"""What a cell finds in a notebook without having imported it."""
