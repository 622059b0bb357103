"""Grading one notebook after another, in a sandbox where the lab's own solution has passed."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from labkit.grading.collecting.entries import Entry
from labkit.grading.course import Course, sandbox_files
from labkit.grading.judging.execution import grade_answers
from labkit.grading.judging.proved import is_proved, keep_proof
from labkit.grading.judging.results import Outcome, Record
from labkit.grading.judging.run import Seconds
from labkit.grading.sandbox.box import Kind, Sandbox
from labkit.grading.sandbox.process import SandboxError
from labkit.grading.submission.reading import Broken, Submission, parse


class Grader:
    """Grades submissions of one lab, several at a time if asked from several threads.

    Parameters
    ----------
    course : Course
        The lab.
    seed : int
        What the secret inputs are drawn from.
    kind : str
        Which sandbox.
    hidden : sequence of Path
        Folders that no submission may see.
    seconds : Seconds, optional
        Limits on wall time.
    leaderboard : bool
        Measure right answers to open exercises, too.
    """

    def __init__(
        self,
        course: Course,
        seed: int,
        kind: Kind = "bubblewrap",
        hidden: Sequence[Path] = (),
        seconds: Seconds | None = None,
        leaderboard: bool = False,
    ) -> None:
        self.course = course
        self._seed = seed
        self._kind = kind
        self._seconds = seconds
        self._leaderboard = leaderboard
        files = sandbox_files(course.lab)
        self._box = Sandbox(files, modules=course.modules, hidden=hidden, kind=kind)
        self._open = ExitStack()

    def __enter__(self) -> "Grader":
        # References run here: with more threads than one, graders at work wait for one another,
        # and sums come out in another order on another machine.
        self._open.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)
        self._open.enter_context(self._box)
        try:
            if not is_proved(self.course, self._kind):
                self._require_solved()
                keep_proof(self.course, self._kind)
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def grade(self, entry: Entry) -> Record:
        """Grade one submission.

        Raises
        ------
        SandboxError
            If the sandbox fails twice.
        """
        try:
            if entry.problem:
                raise Broken(entry.problem)
            submission = parse(entry.data, self.course)
        except Broken as error:
            return Record(entry.student, (), Outcome.BROKEN, str(error), entry.flags)
        try:
            return self._record(entry, submission)
        except SandboxError:
            # Lost through no fault of this submission: once more, in a new sandbox.
            return self._record(entry, submission)

    def _record(self, entry: Entry, submission: Submission) -> Record:
        graded = grade_answers(
            self.course, submission, self._box, self._seed, self._seconds, self._leaderboard
        )
        remarks = [f"{item.exercise}: {item.remark}" for item in graded if item.remark]
        flags = (*entry.flags, *submission.flags, *remarks)
        return Record(entry.student, tuple(graded), flags=flags)

    def _require_solved(self) -> None:
        """Grade the lab's own solution: what it cannot reach, no student can."""
        answers = {task.grade_id: task.solution for task in self.course.tasks}
        solved = Submission.of(self.course, answers)
        graded = grade_answers(self.course, solved, self._box, self._seed)
        missed = [one for one in graded if one.outcome is not Outcome.RIGHT]
        if missed:
            first = missed[0]
            raise ValueError(
                f"the lab's own solution of exercise {first.exercise} came out as "
                f"{first.outcome!s} ({first.summary}), so nothing was graded. Repair it, or "
                "choose another --seed."
            )
