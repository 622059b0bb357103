"""Grading a folder of submissions: in parallel, resumable, every student in the gradebook."""

import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from labkit.checks import own
from labkit.grading.adjustments import adjust, read_adjustments
from labkit.grading.collecting.entries import Entry, read_entry
from labkit.grading.collecting.students import students
from labkit.grading.course import Course, course_key, load_course
from labkit.grading.grades import Grades
from labkit.grading.judging.grader import Grader
from labkit.grading.judging.results import Outcome, Record
from labkit.grading.judging.run import Seconds
from labkit.grading.printing import printable
from labkit.grading.reports.leaderboard.board import board, require_open
from labkit.grading.reports.leaderboard.naming import Naming
from labkit.grading.reports.publish import publish
from labkit.grading.sandbox.box import Kind

Submit = Callable[[Entry], "Future[Record]"]


def grade(
    submissions: Path | str,
    lab: int,
    out: Path | str,
    solutions: Path | str = "solutions",
    *,
    seed: int | None = None,
    jobs: int | None = None,
    sandbox: Kind = "bubblewrap",
    scheduler: str | None = None,
    seconds: Seconds | None = None,
    adjustments: Path | str | None = None,
    late_penalty: float = 0.0,
    leaderboard: Naming | None = None,
    progress: bool = False,
) -> list[Record]:
    """Grade every submission in a folder.

    Parameters
    ----------
    submissions : Path
        Holds one folder for each student, named after them, with their notebook.
    lab : int
        Which lab.
    out : Path
        Where the results go: ``gradebook.csv``, ``class.html``, and for each student
        ``results.json`` (Gradescope), ``feedback.html``, ``instructor.html`` and ``record.json``.
        A run that was stopped goes on from there, and only what changed since is graded again.
    solutions : Path
        The folder with the solved notebook.
    seed : int, optional
        What the secret inputs are drawn from. By default it is drawn once for each `out`.
    jobs : int, optional
        Submissions at a time; by default the number of processor cores, or of the cluster's
        threads.
    sandbox : str
        "bubblewrap", "docker", or "none", which protects nothing.
    scheduler : str, optional
        The address of a Dask scheduler, whose workers do the work.
    seconds : Seconds, optional
        Limits on wall time.
    adjustments : Path, optional
        A CSV file with days late, points given by hand and comments
        (`labkit.grading.adjustments`).
    late_penalty : float
        Percent of the points that each day late costs.
    leaderboard : "names" or "pseudonyms", optional
        Rank the answers to open exercises on a page for the class, ``leaderboard.html``, which
        calls students so.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of Record
        One for each student, by name.

    Raises
    ------
    ValueError
        If the folders do not fit, there is no such lab, it has nothing to rank, the seed is not
        the one that `out` was graded with, the lab's own solution does not get all points, or
        `adjustments` cannot be understood.
    SandboxError
        If the sandbox does not work on this machine.
    """
    submissions, out, solutions = Path(submissions), Path(out), Path(solutions)
    course = load_course(lab, solutions)
    if submissions.resolve() == solutions.resolve():
        raise ValueError(f"{submissions} is the folder of the solutions; name the submissions'.")
    if leaderboard is not None:
        require_open(course)
    handed_in, passed_over = students(submissions, out)
    given = read_adjustments(Path(adjustments), course) if adjustments is not None else {}
    grades = Grades(out)
    with grades.locked():
        seed = grades.seed(seed, lab)
        ranked = leaderboard is not None
        key = course_key(course, seed, ranked)
        done = {one.name: grades.finished(read_entry(one, course), key) for one in handed_in}
        todo = [one for one in handed_in if done[one.name] is None]
        if todo:
            hidden = [submissions, out, solutions, *filter(None, [own.FOLDER])]
            with (
                _workers_here(Grader(course, seed, sandbox, hidden, seconds, ranked), jobs)
                if scheduler is None
                else _workers_at(scheduler, course, seed, sandbox, seconds, ranked, jobs)
            ) as (submit, jobs):
                entries = (read_entry(one, course) for one in todo)
                with tqdm(total=len(todo), disable=not progress) as bar:
                    for entry, record in _grade_all(entries, submit, jobs, grades):
                        grades.keep(record, entry, key)
                        done[entry.student] = record
                        name = printable(entry.student[:20])
                        bar.set_postfix_str(f"{name}, {_failures(done.values())}")
                        bar.update()
        records = [record for record in done.values() if record is not None]
        ranks = board(records, course, leaderboard, seed) if leaderboard else None
        return publish(adjust(records, given, late_penalty), course, out, passed_over, ranks)


@contextmanager
def _workers_here(grader: Grader, jobs: int | None) -> Iterator[tuple[Submit, int]]:
    """Yield what has an entry graded in this process, and how many at a time."""
    jobs = jobs or len(os.sched_getaffinity(0))
    with grader, ThreadPoolExecutor(jobs) as pool:
        yield lambda entry: pool.submit(grader.grade, entry), jobs


@contextmanager
def _workers_at(
    scheduler: str,
    course: Course,
    seed: int,
    sandbox: Kind,
    seconds: Seconds | None,
    leaderboard: bool,
    jobs: int | None,
) -> Iterator[tuple[Submit, int]]:
    """Yield what has an entry graded on a Dask cluster, and how many at a time."""
    try:
        from labkit.grading.cluster import Cluster, Job
    except ModuleNotFoundError as error:
        raise ValueError(
            f"--scheduler needs Dask ({error}): pip install 'labkit[cluster]'."
        ) from None
    key = course_key(course, seed)
    job = Job(course.lab, course.solved, seed, key, sandbox, seconds, leaderboard)
    with Cluster(scheduler, job) as cluster:
        yield cluster.submit, jobs or cluster.threads


def _grade_all(
    entries: Iterable[Entry], submit: Submit, jobs: int, grades: Grades
) -> Iterator[tuple[Entry, Record]]:
    """Yield each entry with its record as they are done, and hold few notebooks at a time."""
    waiting: dict[Future[Record], Entry] = {}
    try:
        for entry in entries:
            waiting[submit(entry)] = entry
            if len(waiting) >= 2 * jobs:
                yield from _completed(waiting, grades)
        while waiting:
            yield from _completed(waiting, grades)
    finally:
        for future in waiting:
            future.cancel()


def _completed(
    waiting: dict["Future[Record]", Entry], grades: Grades
) -> Iterator[tuple[Entry, Record]]:
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        entry = waiting.pop(future)
        try:
            record = future.result()
            grades.log(entry.student, status=str(record.status))
        except Exception as error:  # one submission must not stop the class; the log has the rest
            reason = f"{type(error).__name__}: {error}"
            record = Record(entry.student, (), Outcome.FAILED, reason)
            grades.log(entry.student, traceback="".join(traceback.format_exception(error)))
        yield entry, record


def _failures(records: Iterable[Record | None]) -> str:
    count = sum(record is not None and record.status != "graded" for record in records)
    return f"{count} not graded"
