"""A confined process in which a notebook's cells have run, up to the answer in hand."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from labkit.checks.calling import Outcome
from labkit.checks.exercise import Case
from labkit.grading.process import Process, SandboxError
from labkit.grading.replies import outcomes_from, ran_from
from labkit.grading.sandbox import Sandbox

GRACE_SECONDS = 3.0
SETUP = "<setup>"


@dataclass(frozen=True)
class Seconds:
    """Wall time: for running one cell, for all calls of one answer, for a whole notebook."""

    cell: float = 20.0
    calls: float = 10.0
    notebook: float = 180.0


@dataclass(frozen=True)
class Cell:
    """A piece of code and the name that tracebacks show for it."""

    name: str
    source: str


class Run:
    """A confined process in which `cells` have run; started when it is first needed."""

    def __init__(self, sandbox: Sandbox, cells: Sequence[Cell], seconds: Seconds) -> None:
        self._sandbox = sandbox
        self._seconds = seconds
        self._context: AbstractContextManager[Process] | None = None
        self._process: Process | None = None
        self.cells = list(cells)

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *exception: object) -> None:
        self.leave()

    def leave(self) -> None:
        """End the process; the next answer gets a new one."""
        if self._context is not None:
            self._context.__exit__(None, None, None)
        self._context = self._process = None

    def answer(self, cell: Cell, function: str, cases: Sequence[Case]) -> list[Outcome]:
        """Run an answer cell, call its function on `cases`, and return what came of each call.

        Raises
        ------
        Died
            If the process did not survive it.
        SandboxError
            If the lab's own cells do not run.
        """
        process = self._process or self._start()
        status, message = ran_from(self._run(process, cell))
        if status == "not started":
            return [Outcome("not started", message=message)] * len(cases)
        if status == "raised":
            return [Outcome("raised", message=message)] * len(cases)
        return self.call(function, cases)

    def call(self, function: str, cases: Sequence[Case]) -> list[Outcome]:
        """Call a function of an answer that has run; raises as `answer`."""
        process = self._process or self._start()
        request = ("call", function, self._seconds.calls, [case.args for case in cases])
        reply = process.ask(request, self._seconds.calls + GRACE_SECONDS)
        return outcomes_from(reply, len(cases))

    def _start(self) -> Process:
        self._context = self._sandbox.process()
        self._process = self._context.__enter__()
        for cell in self.cells:
            status, message = ran_from(self._run(self._process, cell))
            if cell.name == SETUP and status != "ran":
                raise SandboxError(f"the lab's own cells do not run: {message}")
        return self._process

    def _run(self, process: Process, cell: Cell) -> object:
        return process.ask(("cell", cell.name, cell.source), self._seconds.cell)
