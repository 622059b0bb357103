"""Implementations that a student's function is called with: code that travels as text."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Implementation:
    """A function of the course, right or wrong, that a student's test calls.

    It is compiled where it is called, so that it can be sent to where a student's code runs.

    Parameters
    ----------
    name : str
        Of the function, as its exercise calls it.
    parameters : tuple of str
        The names of its arguments, so that they may be given by name however it is written.
    program : str
        A module of its own, whose `IMPLEMENTATION` is the function.
    """

    name: str
    parameters: tuple[str, ...]
    program: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        named = [kwargs.pop(name) for name in self.parameters[len(args) :] if name in kwargs]
        return _compiled(self.program)(*args, *named, **kwargs)

    def __repr__(self) -> str:
        return self.name


@functools.cache
def _compiled(program: str) -> Callable[..., Any]:
    space: dict[str, Any] = {}
    exec(compile(program, "<implementation>", "exec"), space)
    return space["IMPLEMENTATION"]
