"""Calling a student's function: in time, with copies of the inputs, whatever it does.

The calls run in a thread of their own. An endless loop is stopped by an exception raised inside
that thread; code that cannot be stopped so (one long call into C) is left behind as a daemon
thread and the check answers all the same. Nothing here needs signals, ``fork`` or a shell, so it
works alike on Linux, macOS and Windows.
"""

import builtins
import contextvars
import copy
import ctypes
import functools
import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from labkit.checks.console import captured
from labkit.checks.errors import explain
from labkit.checks.exercise import Case
from labkit.checks.values import Plain, Unplain, plain

SECONDS = 20.0
ONE_CALL = 5.0
BUSY = 4.0
"""How much longer than it computes a call may take, on a machine with much else to do."""
TICK = 0.05
NO_FUNCTION = "No `def "
"""How it begins what is said of a function that is not there."""
STUB = re.compile(r"(Exercise \d+\.\d+)?")
"""What a stub says; a NotImplementedError with other words is an error like any other."""

Status = Literal["returned", "not started", "raised", "stopped", "unplain", "not called"]
BROKEN = ("raised", "stopped", "not started")


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
        The positions of the arguments that the call changed in place, or that now collect a
        gradient.
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
        Time for all calls together; one call may take `ONE_CALL`, if that is less. It is what the
        calls compute, where the system can tell, and at most `BUSY` times as long on the clock.
        Imports do not count, and are never stopped: half a module is worse than none.
    """
    outcomes: list[Outcome] = []

    def work() -> None:
        try:
            for case in cases:
                outcomes.append(_call(function, case.args))
        except OutOfTime:
            return
        except BaseException as error:  # such as MemoryError while an outcome is put together
            outcomes.append(Outcome("raised", message=explain(error, function)))

    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(work,), name="labkit-check", daemon=True
    )
    screen = sys.stdout, sys.stderr, builtins.input
    thread.start()
    try:
        over = _wait(thread, outcomes, seconds)
    finally:
        finished = not thread.is_alive()
        if not finished:
            _stop(thread)
            # A call that cannot be stopped must not keep the screen for itself.
            sys.stdout, sys.stderr, builtins.input = screen
    done = list(outcomes[: len(cases)])
    if not finished:
        where = "one long call could not be interrupted: restart the kernel to be rid of it. "
        note = where if thread.is_alive() else ""
        done.append(
            Outcome(
                "stopped",
                message=f"Your code ran for more than {over:g} seconds and was stopped. {note}"
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
            return Outcome("raised", message=explain(error, function), printed=printed.text())
    changed = tuple(i for i, (a, b) in enumerate(zip(args, given, strict=True)) if not _same(a, b))
    return Outcome("returned", value, "", printed.text(), changed, _holds_numpy(returned))


def _wait(thread: threading.Thread, done: Sequence[object], seconds: float) -> float:
    """Wait until a thread ends or its time is over; return the limit that it ran into.

    What counts is the time in which it computed, so that a busy machine makes nobody's answer
    wrong. A thread that only waits (`input`, `sleep`) gets `BUSY` times as long.
    """
    one = min(ONE_CALL, seconds)
    spent, spent_on_call, calls = 0.0, 0.0, 0
    computed = _processor_time(thread)
    while thread.is_alive() and spent < seconds and spent_on_call < one:
        start, before = time.monotonic(), computed()
        thread.join(TICK)
        if not _imports(thread):
            passed = max(computed() - before, (time.monotonic() - start) / BUSY)
            spent += passed
            spent_on_call += passed
        if len(done) > calls:
            spent_on_call, calls = 0.0, len(done)
    return one if spent < seconds else seconds


def _processor_time(thread: threading.Thread) -> Callable[[], float]:
    """Return a clock of what a thread computes, where the system has one; else of the wall."""
    try:
        clock = time.pthread_getcpuclockid(thread.ident or 0)
    except (AttributeError, OSError):
        return time.monotonic

    def computed() -> float:
        try:
            return time.clock_gettime(clock)
        except OSError:  # the thread has ended
            return 0.0

    return computed


def _imports(thread: threading.Thread) -> bool:
    """Whether a thread is loading a module, as torch does at an optimizer's first step."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


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
        form = before.shape, before.dtype, before.requires_grad, before.grad is None
        if form != (after.shape, after.dtype, after.requires_grad, after.grad is None):
            return False
        return bool(((before == after) | (before.isnan() & after.isnan())).all())
    if isinstance(before, tuple | list) and isinstance(after, tuple | list):
        return len(before) == len(after) and all(map(_same, before, after))
    return bool(before == after)


def safe_to_use(
    function: Callable[..., Any], numpy: bool = True, judges: bool = False
) -> Callable[..., Any]:
    """Wrap an answer that passed, so that the code below can use it without surprises.

    Parameters
    ----------
    function : callable
        The answer.
    numpy : bool
        It returns numpy arrays: turn them into tensors.
    judges : bool
        It is a test: to raise an error is to return False, to return nothing is to return True.
    """

    def convert(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return tuple(map(convert, value))
        # Torch refuses strides below 0 and foreign byte orders; a plain copy has neither.
        return torch.from_numpy(plain(value)) if isinstance(value, np.ndarray) else value

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            result = function(*args, **kwargs)
        except Exception:
            if judges:
                return False
            raise
        if judges and result is None:
            return True
        return convert(result) if numpy else result

    return wrapped if numpy or judges else function
