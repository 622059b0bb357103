"""What a student's code prints, and what it asks somebody to type, while it is called."""

import builtins
import contextlib
import io
from collections.abc import Iterator
from typing import NoReturn

from labkit.checks.values import steady

PRINTED = 600
"""Characters that are kept."""


class Printed(io.TextIOBase):
    """Keeps the beginning of what is written to it, however much that is."""

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._left = PRINTED
        self._more = False

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Keep what there is room for."""
        if text and self._left > 0:
            self._kept.append(text[: self._left])
        self._more = self._more or len(text) > self._left
        self._left = max(0, self._left - len(text))
        return len(text)

    def text(self) -> str:
        """Return the beginning of what was written."""
        return steady("".join(self._kept)) + ("\n..." if self._more else "")


@contextlib.contextmanager
def captured() -> Iterator[Printed]:
    """Take what is printed, and say to who calls `input` that nobody is there to type."""
    printed = Printed()
    asked = builtins.input
    builtins.input = _nobody_types
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield printed
    finally:
        builtins.input = asked


def _nobody_types(*_: object) -> NoReturn:
    raise EOFError(
        "your code calls `input()`, which waits for somebody to type; nobody does while it is "
        "checked. Use what the function gets as arguments"
    )
