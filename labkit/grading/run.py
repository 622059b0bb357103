"""A confined process in which a notebook's cells have run, up to the answer in hand."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from labkit.checks.calling import Outcome
from labkit.checks.exercise import Case
from labkit.grading.process import Process, SandboxError
from labkit.grading.replies import Ran, outcomes_from, ran_from
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
    """A confined process in which `cells` have run; started when it is first needed.

    Parameters
    ----------
    sandbox : Sandbox
        Where.
    cells : sequence of Cell
        What runs first.
    seconds : Seconds
        Limits on wall time.
    end : float
        When the whole notebook's time is over, as `time.monotonic` counts.
    own : sequence of str
        The student's own cells, of which definitions are kept.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        cells: Sequence[Cell],
        seconds: Seconds,
        end: float,
        own: Sequence[str] = (),
    ) -> None:
        self._sandbox = sandbox
        self._seconds = seconds
        self._end = end
        self._own = list(own)
        self._context: AbstractContextManager[Process] | None = None
        self._process: Process | None = None
        self.cells = list(cells)

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *exception: object) -> None:
        self.leave()

    def again(self) -> "Run":
        """Return a run of the same cells in another process."""
        return Run(self._sandbox, self.cells, self._seconds, self._end, self._own)

    def leave(self) -> None:
        """End the process; the next answer gets a new one."""
        if self._context is not None:
            self._context.__exit__(None, None, None)
        self._context = self._process = None

    def answer(self, cell: Cell, function: str, cases: Sequence[Case]) -> list[Outcome]:
        """Run an answer cell, call its function on `cases`, and return what came of each call.

        As in a notebook, a function that is there counts, even if a later line of its cell fails.

        Raises
        ------
        Died
            If the process did not survive it.
        SandboxError
            If the lab's own cells do not run.
        """
        process = self._process or self._start()
        status, message = self._run(process, cell)
        outcomes = self.call(function, cases)
        if status != "ran" and all(outcome.status == "raised" for outcome in outcomes):
            # The cell's own error says more than that the function is missing.
            return [Outcome(status, message=message)] * len(cases)
        return outcomes

    def call(self, function: str, cases: Sequence[Case]) -> list[Outcome]:
        """Call a function of an answer that has run; raises as `answer`."""
        process = self._process or self._start()
        seconds = self._seconds.calls
        request = ("call", function, seconds, [case.args for case in cases])
        return outcomes_from(self._ask(process, request, seconds + GRACE_SECONDS), cases)

    def add(self, cell: Cell) -> None:
        """Run a cell after the others, now and in every process to come; raises as `answer`."""
        self.cells.append(cell)
        if self._process is not None:
            self._run(self._process, cell)

    def _start(self) -> Process:
        self._context = self._sandbox.process()
        self._process = self._context.__enter__()
        for cell in self.cells:
            status, message = self._run(self._process, cell)
            if cell.name == SETUP and status != "ran":
                raise SandboxError(f"the lab's own cells do not run: {message}")
            if cell.name == SETUP and self._own:
                # They may build on the lab's own cells, and replace nothing of them.
                ran_from(self._ask(self._process, ("define", self._own), self._seconds.cell))
                self._run(self._process, cell)
        return self._process

    def _run(self, process: Process, cell: Cell) -> Ran:
        return ran_from(self._ask(process, ("cell", cell.name, cell.source), self._seconds.cell))

    def _ask(self, process: Process, request: object, seconds: float) -> object:
        return process.ask(request, min(seconds, self._end - time.monotonic()))
