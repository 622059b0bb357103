"""From a student's answers to verdicts: in the notebook's order, each in a confined process.

The process that runs an answer also runs the answers before it, as the notebook does; an answer
that did not pass is replaced by the lab's own once its results have been taken, in a new process.
So nothing that a wrong answer left behind reaches the next one, and nobody loses a point twice.

What students read about a wrong answer comes from one more process, which never sees a secret
input: it calls the function on the inputs of the notebook.
"""

import builtins
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from labkit.checks.calling import Outcome as CallOutcome
from labkit.checks.card import Card, Text
from labkit.checks.exercise import Case
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.messages import verdict_card
from labkit.checks.verdict import State, Verdict, judge
from labkit.grading.course import Course, Task
from labkit.grading.fitted import is_fitted
from labkit.grading.inside.cells import OWN
from labkit.grading.process import Died
from labkit.grading.results import Graded, Outcome, Shown
from labkit.grading.run import SETUP, Cell, Run, Seconds
from labkit.grading.sandbox import Sandbox
from labkit.grading.submission import same_code
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


def inputs_seed(
    secret: int, exercise_id: str, answers: Mapping[str, str], own: Sequence[str] = ()
) -> int:
    """Return what the hidden inputs of one exercise of one submission are drawn from.

    What a submission finds out about its own inputs, and gets out somehow, is then worth nothing:
    another exercise has others, another submission has others, and so has this one if it is
    changed.
    """
    text = repr((secret, exercise_id, sorted(answers.items()), list(own)))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8])


def grade_answers(
    course: Course,
    answers: dict[str, str],
    sandbox: Sandbox,
    seed: int,
    seconds: Seconds | None = None,
    own: Sequence[str] = (),
) -> list[Graded]:
    """Run and judge all answers of one student.

    Parameters
    ----------
    course : Course
        The lab.
    answers : dict
        grade_id to source.
    sandbox : Sandbox
        Where to run them.
    seed : int
        The secret that hidden inputs are drawn from, by way of `inputs_seed`.
    seconds : Seconds, optional
        Wall time for each step.
    own : sequence of str
        Cells that the student added: what they define is there for the answers.

    Returns
    -------
    list of Graded
        One for each exercise, in the lab's order.

    Raises
    ------
    SandboxError
        If the sandbox itself failed.
    """
    seconds = seconds or Seconds()
    graded: list[Graded] = []
    end = time.monotonic() + seconds.notebook
    with Run(sandbox, [Cell(SETUP, course.setup)], seconds, end, own) as run:
        for task in course.tasks:
            cell = Cell(f"<exercise {task.exercise.id}>", answers.get(task.grade_id, ""))
            if not cell.source.strip() or same_code(cell.source, task.stub):
                graded.append(_not_attempted(task, cell.source))
            elif time.monotonic() > end:
                reason = "Not reached: the answers before it took too long."
                graded.append(_graded(task, cell.source, Outcome.TIMEOUT, summary=reason))
            else:
                drawn_from = inputs_seed(seed, task.exercise.id, answers, own)
                graded.append(_grade(task, cell, run, drawn_from))
            if graded[-1].outcome is not Outcome.RIGHT:
                # First: a process that knows secret inputs could pass them to one that writes
                # what the student will read.
                run.leave()
                if graded[-1].outcome in EXPLAINED:
                    with run.again() as fresh:
                        card = _notebook_card(task, cell, fresh, graded[-1])
                    graded[-1] = replace(graded[-1], student_card=shown(card))
                run.cells.append(Cell(f"{OWN} {task.exercise.id}>", task.replacement))
    return graded


def _grade(task: Task, cell: Cell, run: Run, seed: int) -> Graded:
    """Judge one answer on the secret inputs."""
    exercise = task.exercise
    cases = exercise.draw(seed)
    try:
        outcomes = run.answer(cell, exercise.function, cases)
    except Died as end:
        outcome = Outcome(end.reason)
        card = shown(_plain_card(task, outcome, str(end)))
        return _graded(
            task,
            cell.source,
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
        return _graded(task, cell.source, Outcome.FAILED, total=len(cases), summary=reason)
    remark = ""
    if is_fitted(verdict, cases, outcomes):
        verdict, remark = replace(verdict, state=State.NOT_YET), FITTED
    outcome = _outcome(verdict, outcomes)
    summary = _summary(verdict, outcome)
    remark = remark or _repeated(task, run, cases, outcomes)
    if outcome is Outcome.RIGHT:
        _keep(task, cell, run, as_tensors=verdict.numpy)
    return _graded(
        task,
        cell.source,
        outcome,
        points=verdict.points,
        right=verdict.right,
        total=verdict.total,
        summary=summary,
        misconception=verdict.diagnosis.name if verdict.diagnosis else "",
        student_card=shown(_plain_card(task, outcome, summary)),
        instructor_card=shown(verdict_card(verdict)),
        remark=remark,
    )


def _keep(task: Task, cell: Cell, run: Run, as_tensors: bool) -> None:
    """Have later answers build on this one, as they do in the notebook."""
    run.cells.append(cell)
    if as_tensors:
        try:
            run.add(Cell(f"<check {task.exercise.id}>", task.check_source))
        except Died:
            run.leave()


def _outcome(verdict: Verdict, outcomes: Sequence[CallOutcome]) -> Outcome:
    if verdict.state is not State.RAISED:
        return OUTCOMES[verdict.state]
    if any(outcome.status == "stopped" for outcome in outcomes):
        return Outcome.TIMEOUT
    messages = [outcome.message for outcome in outcomes if outcome.status == "raised"]
    if any(word in message for message in messages for word in OUT_OF_MEMORY):
        return Outcome.MEMORY
    return Outcome.ERROR


def _repeated(task: Task, run: Run, cases: Sequence[Case], outcomes: Sequence[CallOutcome]) -> str:
    """Call an answer once more on the same inputs, and point out results that differ.

    In the same process, since a new one would start with the same random numbers.
    """
    if any(outcome.status != "returned" for outcome in outcomes):
        return ""
    try:
        again = run.call(task.exercise.function, cases)
    except Died as end:
        run.leave()
        return f"called a second time it did not return: {end}"
    first, second = ([encode(outcome.value) for outcome in found] for found in (outcomes, again))
    return "" if first == second else "called a second time with the same inputs, results differ"


def _summary(verdict: Verdict, outcome: Outcome) -> str:
    """Say what came of the secret inputs, in words that the student's code has no part in."""
    if outcome is Outcome.RIGHT:
        return f"All {verdict.total} calls with hidden inputs gave the right result."
    if outcome is Outcome.NOT_ATTEMPTED:
        return "Not started."
    text = f"{verdict.right} of {verdict.total} calls with hidden inputs gave the right result."
    if verdict.failure is not None and outcome is not Outcome.ERROR:
        text += f" One that did not: {verdict.failure.case.label}."
    if outcome is Outcome.ERROR and verdict.failure is not None:
        name = verdict.failure.problem.split(":")[0].split("\n")[0]
        # The message may quote an input; a name that Python itself has cannot.
        text += f" Your code raised {name if _is_builtin_error(name) else 'an error'}."
    return text


def _is_builtin_error(name: str) -> bool:
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, BaseException)


def _notebook_card(task: Task, cell: Cell, run: Run, graded: Graded) -> Card:
    """Return the card that the notebook shows for this answer, with the notebook's inputs."""
    cases = task.exercise.draw(NOTEBOOK_SEED)
    try:
        outcomes = run.answer(cell, task.exercise.function, cases)
    except Died as end:
        return _plain_card(task, graded.outcome, str(end))
    verdict = judge(task.exercise, cases, outcomes)
    if verdict.state is not State.PASSED:
        return verdict_card(verdict)
    note = "It passes with the inputs of the notebook, but not with others of the same kind."
    return _plain_card(task, graded.outcome, note, graded.summary)


def _plain_card(task: Task, outcome: Outcome, *texts: str) -> Card:
    tone = "good" if outcome is Outcome.RIGHT else "bad"
    exercise = task.exercise
    headline = f"{outcome.capitalize()} · Exercise {exercise.id}: {exercise.title}"
    return Card(tone, headline, tuple(map(Text, texts)))


def _not_attempted(task: Task, source: str) -> Graded:
    reason = "Not started." if source else "There is no answer cell for it in the notebook."
    return _graded(task, source, Outcome.NOT_ATTEMPTED, summary=reason)


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
