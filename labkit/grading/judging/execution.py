"""From a student's cells to verdicts: in the lab's order, each in a confined process.

`labkit.grading.submission.rule` says what runs before an exercise is judged. The process that runs
an answer also runs what stands above it, as the notebook does; when an answer did not pass, what
follows runs in a new process, with the lab's own of that name in its place. So nobody loses a point
twice.

What students read about a wrong answer comes from one more process, which never sees a secret
input: it calls the functions on the inputs of the notebook.
"""

import hashlib
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from labkit.checks.calling import Outcome as CallOutcome
from labkit.checks.card import Card, Text
from labkit.checks.exercise import Case
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.messages import verdict_card
from labkit.checks.verdict import State, Verdict, judge
from labkit.grading.course import Course, Task
from labkit.grading.judging.fitted import is_fitted
from labkit.grading.judging.measuring import measured
from labkit.grading.judging.results import Graded, Outcome, Shown
from labkit.grading.judging.run import Clock, Run, Seconds
from labkit.grading.judging.summary import summary
from labkit.grading.judging.walk import Walk
from labkit.grading.sandbox.box import Sandbox
from labkit.grading.sandbox.process import Died
from labkit.grading.submission.reading import Submission
from labkit.grading.wire import encode

OUTCOMES = {
    State.PASSED: Outcome.RIGHT,
    State.ALMOST: Outcome.ALMOST,
    State.NOT_YET: Outcome.WRONG,
    State.NOT_STARTED: Outcome.NOT_ATTEMPTED,
    State.RAISED: Outcome.ERROR,
}
# With the notebook's inputs these say more; a timeout would only cost its time again.
EXPLAINED = (Outcome.ALMOST, Outcome.WRONG, Outcome.ERROR)
FITTED = "right for inputs of the notebook only, wrong for all new ones: no points"
OUT_OF_MEMORY = ("MemoryError", "can't allocate memory", "bad_alloc")
DIFFERS = "called a second time with the same inputs, results differ"
OTHERS_FAIL = "It passes with the inputs of the notebook, but not with others of the same kind."
UNKNOWN_TO_OLDER = ("SyntaxError", "cannot import name")
"""What an answer or a cell above it raises where Python is too old for it."""
MOST_NAMED = 3
PYTHON = "{}.{}".format(*sys.version_info)


def inputs_seed(secret: int, exercise_id: str, submission: Submission) -> int:
    """Return what the hidden inputs of one exercise of one submission are drawn from.

    What a submission finds out about its own inputs, and gets out somehow, is then worth nothing:
    another exercise has others, another submission has others, and so has this one if it is
    changed.
    """
    text = repr((secret, exercise_id, submission.written))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8])


def grade_answers(
    course: Course,
    submission: Submission,
    sandbox: Sandbox,
    seed: int,
    seconds: Seconds | None = None,
    leaderboard: bool = False,
) -> list[Graded]:
    """Run and judge all answers of one student.

    Parameters
    ----------
    course : Course
        The lab.
    submission : Submission
        What the student handed in.
    sandbox : Sandbox
        Where to run it.
    seed : int
        The secret that hidden inputs are drawn from, by way of `inputs_seed`.
    seconds : Seconds, optional
        Wall time for each step.
    leaderboard : bool
        Measure right answers to open exercises, too.

    Returns
    -------
    list of Graded
        One for each exercise, in the lab's order.

    Raises
    ------
    SandboxError
        If the sandbox itself failed.
    """
    with ExitStack() as stack:
        grading = _Grading(course, submission, sandbox, seed, seconds or Seconds(), stack)
        graded = [grading.grade(task) for task in course.tasks]
        return grading.measured(graded) if leaderboard else graded


class _Grading:
    """One submission while it is graded."""

    def __init__(
        self,
        course: Course,
        submission: Submission,
        sandbox: Sandbox,
        seed: int,
        seconds: Seconds,
        stack: ExitStack,
    ) -> None:
        self._submission = submission
        self._arrangement = submission.arrangement
        self._seed = seed
        self._clock = Clock(seconds)
        forks = stack.enter_context(sandbox.prepared(submission.imports))
        self._tasks = course.tasks
        # One that has time of its own: a place on the leaderboard costs no points.
        clocks = (self._clock, self._clock, Clock(seconds))
        runs = (Run(forks, course.setup, course.not_run, clock) for clock in clocks)
        # What is judged, and what is shown to the student: that one never gets a secret input.
        self._judged, self._shown, self._ranked = map(stack.enter_context, runs)
        self._walk = Walk(submission.arrangement)

    def grade(self, task: Task) -> Graded:
        """Judge one exercise, and have what follows go on from there."""
        source = self._arrangement.answer(task)
        if not source:
            graded = _graded(task, source, Outcome.NOT_ATTEMPTED, summary=self._why_none(task))
        elif self._clock.is_over:
            reason = "Not reached: what stands before it took too long."
            graded = _graded(task, source, Outcome.TIMEOUT, summary=reason)
        else:
            graded = self._grade(task, source)
        if graded.outcome is not Outcome.RIGHT:
            if source:
                # First: a process that knows secret inputs could pass them to one that writes
                # what the student will read.
                self._judged.leave()
            if graded.outcome in EXPLAINED:
                graded = self._explained(task, graded)
            self._walk.replace(task)
        remarks = [*filter(None, [graded.remark]), *self._walk.remarks]
        self._walk.remarks.clear()
        return replace(graded, remark="; ".join(remarks))

    def measured(self, graded: list[Graded]) -> list[Graded]:
        """Measure what right answers to open exercises reach, once all are judged."""
        self._judged.leave()
        self._shown.leave()
        return measured(graded, self._tasks, self._walk, self._ranked, self._seed)

    def _grade(self, task: Task, source: str) -> Graded:
        """Judge one answer on the secret inputs."""
        exercise = task.exercise
        cases = exercise.draw(inputs_seed(self._seed, exercise.id, self._submission))
        try:
            outcomes = self._walk.outcomes(task, self._judged, cases)
        except Died as end:
            outcome = Outcome(end.reason)
            card = shown(_plain_card(task, outcome, str(end)))
            return _graded(
                task,
                source,
                outcome,
                total=len(cases),
                summary=str(end),
                student_card=card,
                instructor_card=card,
            )
        try:
            verdict = judge(exercise, cases, outcomes)
        except Exception as error:  # a row that says so, where a crash would stop the class
            reason = f"The check itself failed ({type(error).__name__}): to be graded by hand."
            return _graded(task, source, Outcome.FAILED, total=len(cases), summary=reason)
        remark = ""
        if is_fitted(verdict, cases, outcomes):
            verdict, remark = replace(verdict, state=State.NOT_YET), FITTED
        outcome = _outcome(verdict, outcomes)
        said = summary(verdict, outcome)
        if outcome is Outcome.ERROR and (newer := self._newer_python(said)):
            said, remark = f"{said} {newer}", newer
        remark = remark or self._repeated(task, cases, outcomes)
        if outcome is Outcome.RIGHT:
            self._walk.keep(task, wrapped=verdict.numpy)
        return _graded(
            task,
            source,
            outcome,
            points=verdict.points,
            right=verdict.right,
            total=verdict.total,
            summary=said,
            misconception=verdict.diagnosis.name if verdict.diagnosis else "",
            student_card=shown(_plain_card(task, outcome, said)),
            instructor_card=shown(verdict_card(verdict)),
            remark=remark,
        )

    def _repeated(self, task: Task, cases: Sequence[Case], outcomes: Sequence[CallOutcome]) -> str:
        """Call an answer once more on the same inputs, and point out results that differ.

        In the same process, since a new one would start with the same random numbers.
        """
        if any(outcome.status != "returned" for outcome in outcomes):
            return ""
        try:
            again = self._judged.call(task.exercise.function, cases)
        except Died as end:
            self._judged.leave()
            return f"called a second time it did not return: {end}"
        first, second = ([encode(one.value) for one in found] for found in (outcomes, again))
        return "" if first == second else DIFFERS

    def _explained(self, task: Task, graded: Graded) -> Graded:
        """Add the card that the notebook shows for an answer, and what did not run for it."""
        cases = task.exercise.draw(NOTEBOOK_SEED)
        try:
            outcomes = self._walk.outcomes(task, self._shown, cases)
            left_out = self._shown.left_out()
        except Died as end:
            self._shown.leave()
            return replace(graded, student_card=shown(_plain_card(task, graded.outcome, str(end))))
        verdict = judge(task.exercise, cases, outcomes)
        card = verdict_card(verdict)
        if verdict.state is State.PASSED:
            card = _plain_card(task, graded.outcome, OTHERS_FAIL, graded.summary)
        if left_out:
            lines = [", ".join(text.split("\n")) for text in left_out[-MOST_NAMED:]]
            named = f"Above it, this did not run where answers are graded: {'; '.join(lines)}."
            card = replace(card, blocks=(*card.blocks, Text(named)))
            self._walk.remarks.append(f"above it did not run here: {'; '.join(lines)}")
        return replace(graded, student_card=shown(card))

    def _why_none(self, task: Task) -> str:
        by_id = [cell for cell in self._arrangement.cells if cell.grade_id == task.grade_id]
        if not by_id:
            return "There is no answer cell for it in the notebook."
        return "Not started."

    def _newer_python(self, said: str) -> str:
        """Name both versions of Python if that the notebook's is newer may be why it fails."""
        theirs = self._submission.python
        if not theirs or [*map(int, theirs.split("."))] <= [*map(int, PYTHON.split("."))]:
            return ""
        texts = (said, *(message for _, message in self._judged.results.values()))
        if not any(word in text for text in texts for word in UNKNOWN_TO_OLDER):
            return ""
        return (
            f"The notebook was written with Python {theirs} and is graded with Python {PYTHON}, "
            "which may not know its syntax or not have what it imports."
        )


def _outcome(verdict: Verdict, outcomes: Sequence[CallOutcome]) -> Outcome:
    if verdict.state is not State.RAISED:
        return OUTCOMES[verdict.state]
    if any(outcome.status == "stopped" for outcome in outcomes):
        return Outcome.TIMEOUT
    messages = [outcome.message for outcome in outcomes if outcome.status == "raised"]
    if any(word in message for message in messages for word in OUT_OF_MEMORY):
        return Outcome.MEMORY
    return Outcome.ERROR


def _plain_card(task: Task, outcome: Outcome, *texts: str) -> Card:
    tone = "good" if outcome is Outcome.RIGHT else "bad"
    exercise = task.exercise
    headline = f"{outcome.capitalize()} · Exercise {exercise.id}: {exercise.title}"
    return Card(tone, headline, tuple(map(Text, texts)))


def shown(card: Card) -> Shown:
    """Return a card as the files hold it."""
    return Shown(card._repr_html_(), repr(card))


def _graded(task: Task, source: str, outcome: Outcome, points: float = 0.0, **rest: Any) -> Graded:
    exercise = task.exercise
    return Graded(
        exercise=exercise.id,
        title=exercise.title,
        function=exercise.function,
        outcome=outcome,
        points=points,
        max_points=exercise.points,
        answer=source,
        **rest,
    )
