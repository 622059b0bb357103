"""What a notebook calls `get_ipython()`, where answers are graded: it runs code, and nothing else.

IPython translates ``%time k = 1`` and ``!ls`` into calls of this object.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from labkit.grading.inside.lab import Silent

RUN_THEIR_CODE = ("time", "capture", "prun", "memit", "mprun", "lprun", "debug", "pyinstrument")
"""Magics of which the code binds names of the notebook. That of ``%%timeit`` binds none."""


class Shell(Silent):
    """Stands where IPython's shell is.

    Parameters
    ----------
    names : dict
        Those of the notebook.
    run : callable
        ``run(source)`` runs code there and returns the value of its last expression.
    """

    def __init__(self, names: dict[str, Any], run: Callable[[str], Any]) -> None:
        self.user_ns = names
        self._run = run

    def run_line_magic(self, name: str, line: str = "", *_: object, **__: object) -> Any:
        """Run the code of ``%time`` and its like, and return its value."""
        return self._run(line) if name in RUN_THEIR_CODE else Silent()

    def run_cell_magic(self, name: str, line: str, cell: str) -> Any:
        """Run the code of ``%%time`` and its like; write what ``%%writefile`` is given."""
        words = line.split()
        if name in ("writefile", "file") and words:
            with Path(words[-1]).open("a" if "-a" in words else "w") as file:
                file.write(cell)
        if name not in RUN_THEIR_CODE:
            return None
        if name == "capture" and words and words[0].isidentifier():
            self.user_ns[words[0]] = Silent()
        return self._run(cell)

    def run_cell(self, source: str, *_: object, **__: object) -> None:
        """Run code."""
        self._run(source)

    def getoutput(self, *_: object, **__: object) -> list[str]:
        """Return no line: no program can be started here."""
        return []

    def system(self, *_: object, **__: object) -> None:
        """Start no program."""


class _Waiting(selectors.SelectSelector):
    """Waits for time alone: there is no socket here, nor a pipe to be woken by."""

    def select(self, timeout: float | None = None) -> list:
        time.sleep(0.01 if timeout is None else min(max(timeout, 0.0), 0.01))
        return []


class _Loop(asyncio.SelectorEventLoop):
    """An event loop without the pair of sockets by which threads wake it."""

    def _make_self_pipe(self) -> None:
        self._ssock = self._csock = None

    def _close_self_pipe(self) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def wait_for(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine comes to: what ``await`` is at the top level of a cell."""
    loop = _Loop(_Waiting())
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()
