"""Going through a notebook: the steps before each check, what it hands on, what is set aside."""

from collections.abc import Sequence

from labkit.checks.calling import NO_FUNCTION, Outcome
from labkit.checks.exercise import Case
from labkit.grading.course import Task
from labkit.grading.inside.cells import OWN
from labkit.grading.judging.run import Run, Stopped
from labkit.grading.sandbox.process import Died
from labkit.grading.submission.rule import Arrangement, Step


class Walk:
    """A notebook while its exercises are judged, one after another.

    Parameters
    ----------
    arrangement : Arrangement
        Its cells, and the exercises in their places.

    Attributes
    ----------
    remarks : list of str
        What was set aside.
    """

    def __init__(self, arrangement: Arrangement) -> None:
        self._arrangement = arrangement
        self._handed_on: dict[str, list[Step]] = {}
        self._only_definitions: set[int] = set()
        self._left_out: set[int] = set()
        self.remarks: list[str] = []

    def outcomes(self, task: Task, run: Run, cases: Sequence[Case]) -> list[Outcome]:
        """Run what stands before an exercise's check, call its function, say what came of it.

        As in a notebook, a function that is there counts, even if a later line of its cell fails.
        A cell that is no part of the answer and ends the process is set aside.

        Raises
        ------
        Died
            If the process did not survive the answer.
        """
        answers = self._arrangement.places[task.exercise.id].answers
        set_aside = self._only_definitions, self._left_out
        while True:
            try:
                run.reach(self._arrangement.steps(task, self._handed_on, *set_aside), answers)
                break
            except Stopped as stopped:
                position = stopped.step.position
                if position is None:
                    raise stopped.end from None
                self._set_aside(position, stopped.end)
                if position in answers:
                    raise stopped.end from None
        outcomes = run.call(task.exercise.function, cases)
        ran = [run.results[position] for position in answers if position in run.results]
        failed = [(status, message) for status, message in ran if status != "ran"]
        if failed and all(outcome.message.startswith(NO_FUNCTION) for outcome in outcomes):
            # The cell's own error says more than that the function is missing.
            status, message = failed[-1]
            return [Outcome(status, message=message)] * len(cases)
        return outcomes

    def keep(self, task: Task, wrapped: bool) -> None:
        """Have what follows build on an answer that is right, as it does in the notebook."""
        check = Step(f"{OWN} check {task.exercise.id}>", task.check_source)
        self._handed_on[task.exercise.id] = [check] if wrapped else []

    def replace(self, task: Task) -> None:
        """Have what follows build on the lab's own answer."""
        step = Step(f"{OWN} {task.exercise.id}>", task.replacement)
        self._handed_on[task.exercise.id] = [step]

    def _set_aside(self, position: int, end: Died) -> None:
        """Run no more of a cell than its definitions, or nothing if they end the process, too."""
        name = self._arrangement.name(position).strip("<>")
        what = "took too long" if end.reason == "timeout" else "ended its process"
        if position in self._only_definitions:
            self._left_out.add(position)
            self.remarks.append(f"{name} {what} once more and was left out")
        else:
            self._only_definitions.add(position)
            self.remarks.append(f"{name} {what}: only its definitions count")
