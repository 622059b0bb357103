"""The dry run: a student's own notebook, run as the grader runs it, on the inputs of the notebook.

It follows the same rule (`labkit.grading.submission.rule`), with the same parts of labkit in reach,
and says what would be taken for the answer to each exercise, what would be flagged and what is
missing. The student's code is their own: nothing confines it, and so this works on every system.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.checks import own, registry
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.messages import TONES
from labkit.checks.verdict import State, Verdict, judge
from labkit.grading.collecting.choosing import choose
from labkit.grading.course import PACKAGE, Course, Task, released_course, sandbox_files
from labkit.grading.judging.run import Clock, Run, Seconds
from labkit.grading.judging.walk import Walk
from labkit.grading.sandbox.box import copy_files
from labkit.grading.sandbox.process import Died, SandboxError
from labkit.grading.submission.reading import Submission, parse
from labkit.grading.wire import WireError, decode, encode, read_frame, write_frame
from labkit.start import LABS

OF_A_LAB = re.compile(rb'"(?:exercise|check)-(\d+)-\d+"')
LAB = re.compile(rb"\bLab\((\d+)\)")
SECONDS = Seconds(cell=60.0, calls=20.0, notebook=600.0, own=120.0)
HIDDEN = (
    "Other inputs decide: the grader calls your functions with hidden ones of the same kinds.",
    "It runs no cell of the lab but imports, functions and constants, and has no network.",
)


@dataclass(frozen=True)
class Row:
    """What the dry run says about one exercise.

    Attributes
    ----------
    task : Task
        The exercise.
    state : str
        What the check says, in its words.
    where : str
        The cells that are taken for the answer.
    notes : tuple of str
        What is wrong, what did not run.
    """

    task: Task
    state: str
    where: str = ""
    notes: tuple[str, ...] = ()


def rehearse(notebook: Path, labs: Path = LABS) -> Iterator[str]:
    """Yield what the dry run of a notebook says, line by line.

    Raises
    ------
    ValueError
        If there is no notebook, or none of a lab.
    """
    if not notebook.is_file():
        raise ValueError(f"{notebook} is no file; expected your notebook.")
    course = _course(notebook, labs)
    data, flags = choose((notebook,), course)
    submission = parse(data, course)
    yield f"{notebook.name}, as the grader would run it:"
    yield ""
    points = 0.0
    for row, earned in _rows(course, submission):
        points += earned
        exercise = row.task.exercise
        yield f"{exercise.id:5} {exercise.title:32} {row.state}{row.where}"
        yield from (f"{'':6}{note}" for note in row.notes)
    most = sum(task.exercise.points for task in course.tasks)
    yield ""
    yield f"{points:g} of {most} points with the inputs of the notebook."
    yield from HIDDEN
    if found := (*flags, *submission.flags):
        yield ""
        yield "Your instructor would see:"
        yield from (f"- {flag}" for flag in found)


def _course(notebook: Path, labs: Path) -> Course:
    """Return the lab that a notebook is of."""
    text = notebook.read_bytes()
    numbers = Counter(OF_A_LAB.findall(text)) or Counter(LAB.findall(text))
    if not numbers:
        raise ValueError(f"{notebook} holds no cell of a lab.")
    number = int(numbers.most_common(1)[0][0])
    if number not in registry.STEMS:
        known = sorted(registry.STEMS)
        raise ValueError(f"{notebook} is of lab {number}; expected one of {known}.")
    released = labs / f"{registry.STEMS[number]}.ipynb"
    if not released.is_file():
        raise ValueError(f"{released} is missing: the lab as it was handed out is compared with.")
    return released_course(number, released.read_text("utf-8"))


def _rows(course: Course, submission: Submission) -> Iterator[tuple[Row, float]]:
    """Yield each exercise with its points, as they are judged."""
    walk, arrangement = Walk(submission.arrangement), submission.arrangement
    with Here(course) as here, Run(here, course.setup, course.not_run, Clock(SECONDS)) as run:
        for task in course.tasks:
            place = arrangement.places[task.exercise.id]
            if not place.answers:
                walk.replace(task)
                yield Row(task, TONES[State.NOT_STARTED][1]), 0.0
                continue
            names = " and ".join(arrangement.name(i).strip("<>") for i in place.answers)
            where = f", taken from {names}"
            cases = task.exercise.draw(NOTEBOOK_SEED)
            try:
                verdict = judge(task.exercise, cases, walk.outcomes(task, run, cases))
                left_out = run.left_out()
            except Died as end:
                run.leave()
                walk.replace(task)
                yield Row(task, TONES[State.RAISED][1], where, (str(end), *walk.remarks)), 0.0
            else:
                passed = verdict.state is State.PASSED
                walk.keep(task, verdict.numpy) if passed else walk.replace(task)
                notes = () if passed else (*_problem(verdict), *_missing(left_out))
                state = TONES[verdict.state][1]
                yield Row(task, state, where, (*notes, *walk.remarks)), verdict.points
            walk.remarks.clear()


def _problem(verdict: Verdict) -> Iterator[str]:
    if verdict.failure is not None:
        yield from verdict.failure.problem.splitlines()
    if verdict.diagnosis is not None:
        yield f"Your code {verdict.diagnosis.name}."


def _missing(left_out: list[str]) -> Iterator[str]:
    for text in left_out[-3:]:
        yield f"Above it, this did not run: {', '.join(text.splitlines())}"


class Here:
    """Where the processes of the dry run come from: this machine, in a folder of their own.

    Parameters
    ----------
    course : Course
        The lab; its references are there to be handed on, and nowhere else.
    """

    def __init__(self, course: Course) -> None:
        self._course = course
        self._folder = tempfile.TemporaryDirectory(prefix="labkit-check-")

    def __enter__(self) -> "Here":
        files = sandbox_files(self._course.lab)
        lab = self._course.lab
        declared = PACKAGE / "checks" / f"lab{lab}"
        for path in (*declared.glob("*.py"), *(PACKAGE / "checks").glob("inputs.py")):
            files[f"labkit/{path.relative_to(PACKAGE).as_posix()}"] = path
        for path in own.files(lab):
            files[f"labkit/checks/own/lab{lab}/{path.name}"] = path
        copy_files(files, Path(self._folder.name) / "course")
        return self

    def __exit__(self, *exception: object) -> None:
        self._folder.cleanup()

    @contextlib.contextmanager
    def process(self) -> Iterator["Plain"]:
        """Start a process; it is gone at the end of the ``with`` block."""
        root = Path(self._folder.name) / "course"
        script = root / "labkit" / "grading" / "inside" / "plain.py"
        command = [sys.executable, "-I", str(script), json.dumps([str(root)])]
        with tempfile.TemporaryDirectory(prefix="labkit-check-") as scratch:
            environment = {**os.environ, "MPLBACKEND": "Agg"}
            pipe = subprocess.PIPE
            started = subprocess.Popen(
                command,
                stdin=pipe,
                stdout=pipe,
                stderr=subprocess.DEVNULL,
                cwd=scratch,
                env=environment,
            )
            with started, ThreadPoolExecutor(1) as pool:
                try:
                    process = Plain(started, pool)
                    process.wait_ready()
                    yield process
                finally:
                    started.kill()


class Plain:
    """A process that answers requests, in the time that it is given."""

    def __init__(self, started: subprocess.Popen, pool: ThreadPoolExecutor) -> None:
        if started.stdin is None or started.stdout is None:
            raise ValueError("the process has no pipes; expected one to it and one from it.")
        self._requests, self._replies = started.stdin.fileno(), started.stdout.fileno()
        self._started = started
        self._pool = pool

    def wait_ready(self) -> None:
        """Wait until it has imported what it needs.

        Raises
        ------
        SandboxError
            If it cannot.
        """
        try:
            self._reply(SECONDS.notebook)
        except Died:
            raise SandboxError("a process of Python's could not be started.") from None

    def ask(self, request: object, seconds: float) -> Any:
        """Send `request` and return the decoded reply.

        Raises
        ------
        Died
            If the process ends or is too slow.
        """
        with contextlib.suppress(OSError):  # it is gone, as reading will tell
            write_frame(self._requests, encode(request))
        return self._reply(seconds)

    def _reply(self, seconds: float) -> Any:
        waiting = self._pool.submit(read_frame, self._replies)
        try:
            data = waiting.result(max(0.0, seconds))
        except TimeoutError:
            self._started.kill()
            raise Died("timeout", "Your code ran too long and was stopped.") from None
        if data is None:
            raise Died("crash", "Your code ended the whole process.")
        try:
            return decode(data, tensors=False)
        except WireError:
            raise Died("crash", "What came back could not be read.") from None
