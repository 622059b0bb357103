"""Calling a student's function: in time, with copies of the inputs, whatever it does.

The calls run in a thread of their own. An endless loop is stopped by an exception raised inside
that thread; code that cannot be stopped so (one long call into C) is left behind as a daemon
thread and the check answers all the same. Nothing here needs signals, ``fork`` or a shell, so it
works alike on Linux, macOS and Windows.
"""

import contextvars
import copy
import ctypes
import functools
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from labkit.checks.console import captured
from labkit.checks.errors import explain
from labkit.checks.exercise import Case
from labkit.checks.values import Plain, Unplain, plain

SECONDS = 5.0
NO_FUNCTION = "No `def "
"""How it begins what is said of a function that is not there."""
STUB = re.compile(r"(Exercise \d+\.\d+)?")
"""What a stub says; a NotImplementedError with other words is an error like any other."""

Status = Literal["returned", "not started", "raised", "stopped", "unplain", "not called"]


@dataclass(frozen=True)
class Outcome:
    """What one call came to.

    Attributes
    ----------
    status : str
        "returned", "not started" (NotImplementedError), "raised", "stopped" (out of time),
        "unplain" (returned no number or array) or "not called" (an earlier call was stopped).
    value : Plain
        What was returned, where `status` is "returned".
    message : str
        The error and the line of the student's code that caused it; or what "unplain" was.
    printed : str
        The beginning of what the call printed.
    changed : tuple of int
        The positions of the arguments that the call changed in place.
    numpy : bool
        Whether the value holds numpy arrays, which torch's functions would not take.
    """

    status: Status
    value: Plain = None
    message: str = ""
    printed: str = ""
    changed: tuple[int, ...] = ()
    numpy: bool = False


class OutOfTime(BaseException):
    """Raised inside the student's code; no Exception, so that ``except Exception`` lets it by."""


def call_all(
    function: Callable[..., Any], cases: Sequence[Case], seconds: float = SECONDS
) -> list[Outcome]:
    """Call `function` on every case and return what came of each, in order.

    Parameters
    ----------
    function : callable
        The student's.
    cases : sequence of Case
        Each call gets its own copy of the arguments, by position.
    seconds : float
        Time for all calls together.
    """
    outcomes: list[Outcome] = []

    def work() -> None:
        try:
            for case in cases:
                outcomes.append(_call(function, case.args))
        except OutOfTime:
            return
        except BaseException as error:  # such as MemoryError while an outcome is put together
            outcomes.append(Outcome("raised", message=explain(error)))

    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(work,), name="labkit-check", daemon=True
    )
    thread.start()
    try:
        thread.join(seconds)
    finally:
        finished = not thread.is_alive()
        if not finished:
            _stop(thread)
    done = list(outcomes[: len(cases)])
    if not finished:
        where = "one long call could not be interrupted: restart the kernel to be rid of it. "
        note = where if thread.is_alive() else ""
        done.append(
            Outcome(
                "stopped",
                message=f"Your code ran for more than {seconds:g} seconds and was stopped. {note}"
                "Look for a loop that never ends, or work that can be done on whole tensors.",
            )
        )
    return done[: len(cases)] + [Outcome("not called")] * (len(cases) - len(done))


def _call(function: Callable[..., Any], args: tuple[Any, ...]) -> Outcome:
    given = copy.deepcopy(args)
    with captured() as printed:
        try:
            returned = function(*given)
            value = plain(returned)
        except OutOfTime:
            raise
        except Unplain as error:
            return Outcome("unplain", message=f"{error}", printed=printed.text())
        except BaseException as error:  # SystemExit and KeyboardInterrupt are answers, too
            if isinstance(error, NotImplementedError) and STUB.fullmatch(str(error)):
                return Outcome("not started", message=str(error))
            return Outcome("raised", message=explain(error), printed=printed.text())
    changed = tuple(i for i, (a, b) in enumerate(zip(args, given, strict=True)) if not _same(a, b))
    return Outcome("returned", value, "", printed.text(), changed, _holds_numpy(returned))


def _stop(thread: threading.Thread) -> None:
    for _ in range(20):
        # More than once: code may catch the first with a bare `except:`.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(OutOfTime)
        )
        thread.join(0.05)
        if not thread.is_alive():
            return


def _holds_numpy(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(map(_holds_numpy, value))
    return isinstance(value, np.ndarray)


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor):
        return before.shape == after.shape and torch.equal(before, after)
    if isinstance(before, tuple | list) and isinstance(after, tuple | list):
        return len(before) == len(after) and all(map(_same, before, after))
    return bool(before == after)


def as_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap an answer that returns numpy arrays, so that torch code below can use it."""

    def convert(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return tuple(map(convert, value))
        # Torch refuses strides below 0 and foreign byte orders; a plain copy has neither.
        return torch.from_numpy(plain(value)) if isinstance(value, np.ndarray) else value

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return convert(function(*args, **kwargs))

    return wrapped
