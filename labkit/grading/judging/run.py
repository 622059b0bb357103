"""A confined process in which a notebook's cells have run, up to the answer in hand."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from labkit.checks.calling import Outcome
from labkit.checks.exercise import Case
from labkit.grading.judging.replies import Ran, outcomes_from, ran_from, texts_from
from labkit.grading.sandbox.forks import Forks
from labkit.grading.sandbox.process import Asked, Died, SandboxError
from labkit.grading.submission.rule import Step

GRACE_SECONDS = 3.0
SETUP = "<setup>"


@dataclass(frozen=True)
class Seconds:
    """Wall time: for running one cell, for all calls of one answer, for a whole notebook.

    `own` is for cells that are no answers, all their runs together: they leave time for answers.
    """

    cell: float = 20.0
    calls: float = 20.0
    notebook: float = 180.0
    own: float = 60.0


@dataclass
class Clock:
    """What is left of a notebook's time."""

    seconds: Seconds
    end: float = field(init=False)
    own: float = field(init=False)

    def __post_init__(self) -> None:
        self.end = time.monotonic() + self.seconds.notebook
        self.own = self.seconds.own

    @property
    def is_over(self) -> bool:
        """Whether there is none."""
        return time.monotonic() > self.end


class Stopped(Exception):
    """A cell ended its process, or took too long."""

    def __init__(self, step: Step, end: Died) -> None:
        super().__init__(str(end))
        self.step = step
        self.end = end


class Run:
    """A confined process in which steps have run; started when it is first needed.

    Parameters
    ----------
    forks : Forks
        Where processes come from.
    setup : str
        The lab's own definitions, which run first.
    missing : sequence of str
        Names that only the lab's own cells make, which do not run.
    clock : Clock
        Limits on wall time.

    Attributes
    ----------
    results : dict
        What came of each student's cell that has run, by its position.
    """

    def __init__(self, forks: Forks, setup: str, missing: Sequence[str], clock: Clock) -> None:
        self._forks = forks
        self._setup = setup
        self._missing = list(missing)
        self._clock = clock
        self._context: AbstractContextManager[Asked] | None = None
        self._process: Asked | None = None
        self._done: list[Step] = []
        self.results: dict[int, Ran] = {}

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *exception: object) -> None:
        self.leave()

    def leave(self) -> None:
        """End the process; what follows gets a new one."""
        if self._context is not None:
            self._context.__exit__(None, None, None)
        self._context = self._process = None

    def reach(self, steps: Sequence[Step], answers: Sequence[int]) -> None:
        """Run `steps`; in the process at hand if it has run the first of them and nothing else.

        Parameters
        ----------
        steps : sequence of Step
            What runs.
        answers : sequence of int
            The positions of the cells that are the answer in hand: they have time of their own.

        Raises
        ------
        Stopped
            If the process did not survive one of them.
        SandboxError
            If the lab's own cells do not run.
        """
        if self._process is None or self._done != list(steps[: len(self._done)]):
            self.leave()
            self._start()
        for step in steps[len(self._done) :]:
            own = step.position is not None and step.position not in answers
            started = time.monotonic()
            try:
                ran = self._step(step, own)
            except Died as end:
                self.leave()
                raise Stopped(step, end) from None
            finally:
                if own:
                    self._clock.own -= time.monotonic() - started
            self._done.append(step)
            if step.position is not None:
                self.results[step.position] = ran

    def call(self, function: str, cases: Sequence[Case]) -> list[Outcome]:
        """Call a function that is there, and return what came of each call.

        Raises
        ------
        Died
            If the process did not survive it.
        """
        seconds = self._clock.seconds.calls
        request = ("call", function, seconds, [case.args for case in cases])
        return outcomes_from(self._ask(request, seconds + GRACE_SECONDS), cases)

    def left_out(self) -> list[str]:
        """Return what did not run because the sandbox lacks something; raises as `call`."""
        return texts_from(self._ask(("left out",), self._clock.seconds.cell))

    def _start(self) -> None:
        self._context = self._forks.process()
        self._process = self._context.__enter__()
        self._done = []
        self.results = {}
        status, message = self._step(Step(SETUP, self._setup), own=False)
        if status != "ran":
            raise SandboxError(f"the lab's own cells do not run: {message}")
        ran_from(self._ask(("missing", self._missing), self._clock.seconds.cell))

    def _step(self, step: Step, own: bool) -> Ran:
        kind = "definitions" if step.only_definitions else "cell"
        seconds = self._clock.seconds.cell
        # Not nothing: most cells of one's own take no time.
        seconds = min(seconds, max(1.0, self._clock.own)) if own else seconds
        return ran_from(self._ask((kind, step.name, step.source), seconds))

    def _ask(self, request: object, seconds: float) -> object:
        if self._process is None:
            raise SandboxError("there is no process to ask.")
        return self._process.ask(request, min(seconds, self._clock.end - time.monotonic()))
