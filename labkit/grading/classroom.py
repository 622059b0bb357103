"""Grading a folder of submissions: in parallel, resumable, every student in the gradebook."""

import fcntl
import hashlib
import json
import os
import secrets
import stat
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from labkit.grading.course import PACKAGE, Course, load_course, sandbox_files
from labkit.grading.execution import Seconds, grade_answers
from labkit.grading.feedback import page
from labkit.grading.files import remove_partials, write_whole
from labkit.grading.gradebook import gradebook, gradescope
from labkit.grading.process import SandboxError
from labkit.grading.results import Outcome, Record, from_json, to_json
from labkit.grading.sandbox import Kind, Sandbox
from labkit.grading.submission import Broken, find_notebook, parse, read_bytes

GRADEBOOK, RECORD = "gradebook.csv", "record.json"
OWN = ".labkit"
"""The folder in GRADES for what is the grader's own: the seed, the lock, the log."""


@dataclass(frozen=True)
class Entry:
    """One student's folder, and what tells whether it is still the one that was graded."""

    folder: Path
    digest: str

    @property
    def student(self) -> str:
        """The folder's name."""
        return self.folder.name


def grade(
    submissions: Path | str,
    lab: int,
    out: Path | str,
    solutions: Path | str = "solutions",
    *,
    seed: int | None = None,
    jobs: int | None = None,
    sandbox: Kind = "bubblewrap",
    seconds: Seconds | None = None,
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
        Where the results go: ``gradebook.csv``, and for each student ``results.json``
        (Gradescope), ``feedback.html``, ``instructor.html`` and ``record.json``. A run that was
        stopped goes on from there, and only what changed since is graded again.
    solutions : Path
        The folder with the solved notebook.
    seed : int, optional
        What the secret inputs are drawn from. By default it is drawn once for each `out`.
    jobs : int, optional
        Submissions at a time; by default the number of processor cores.
    sandbox : str
        "bubblewrap", or "none", which protects nothing.
    seconds : Seconds, optional
        Limits on wall time.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of Record
        One for each student, by name.

    Raises
    ------
    ValueError
        If the folders do not fit, there is no such lab, the seed is not the one that `out` was
        graded with, or the lab's own solution does not get all points.
    SandboxError
        If the sandbox does not work on this machine.
    """
    submissions, out = Path(submissions), Path(out)
    course = load_course(lab, Path(solutions))
    _require_apart(submissions, out)
    with _locked(out):
        seed = _seed(out, seed, lab)
        key = _course_key(course, seed)
        entries = [_entry(folder, course, key) for folder in _folders(submissions)]
        done = {entry.student: _finished(out, entry) for entry in entries}
        todo = [entry for entry in entries if done[entry.student] is None]
        if todo:
            box = Sandbox(
                sandbox_files(lab),
                modules=course.modules,
                hidden=[submissions, out, Path(solutions)],
                kind=sandbox,
            )
            with box:
                _require_solved(course, box, seed)

                def work(entry: Entry) -> Record:
                    return _grade_entry(entry, course, box, seed, seconds, out)

                done.update(_grade_all(todo, work, jobs or _cores(), progress))
        records = [record for entry in entries if (record := done[entry.student]) is not None]
        write_whole(out / GRADEBOOK, gradebook(records, course))
    return records


def _grade_all(
    todo: list[Entry], work: Callable[[Entry], Record], jobs: int, progress: bool
) -> dict[str, Record]:
    done: dict[str, Record] = {}
    failed = 0
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(todo), disable=not progress) as bar:
        futures = {pool.submit(work, entry): entry for entry in todo}
        try:
            for future in as_completed(futures):
                record = future.result()
                done[record.student] = record
                failed += record.status != "graded"
                bar.set_postfix_str(f"{record.student[:20]}, {failed} not graded")
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return done


def _grade_entry(
    entry: Entry,
    course: Course,
    box: Sandbox,
    seed: int,
    seconds: Seconds | None,
    out: Path,
) -> Record:
    """Grade one submission and write its files; whatever happens there is a record."""
    started = time.time()
    log = {"student": entry.student, "time": time.strftime("%FT%TZ", time.gmtime())}
    try:
        try:
            record = _record(entry, course, box, seed, seconds)
        except SandboxError:
            # Lost through no fault of this submission: once more, in a new sandbox.
            record = _record(entry, course, box, seed, seconds)
    except Broken as error:
        record = Record(entry.student, (), Outcome.BROKEN, str(error))
    except Exception as error:  # one submission must not stop the class; the log has the rest
        reason = f"{type(error).__name__}: {error}"
        record = Record(entry.student, (), Outcome.FAILED, reason)
        log["traceback"] = traceback.format_exc()
    if entry.student != GRADEBOOK:
        _write(record, entry, course, out / entry.student)
    log |= {"status": record.status, "seconds": f"{time.time() - started:.2f}"}
    with _log_lock, open(out / OWN / "log", "a", encoding="utf-8") as file:
        file.write(json.dumps(log) + "\n")
    return record


_log_lock = threading.Lock()


def _record(
    entry: Entry, course: Course, box: Sandbox, seed: int, seconds: Seconds | None
) -> Record:
    data, flags = _read(entry.folder, course)
    submission = parse(data, course)
    graded = grade_answers(course, submission.answers, box, seed, seconds)
    remarks = [f"{item.exercise}: {item.remark}" for item in graded if item.remark]
    return Record(entry.student, tuple(graded), flags=(*flags, *submission.flags, *remarks))


def _write(record: Record, entry: Entry, course: Course, folder: Path) -> None:
    """Write a student's files; the record, by which a later run knows them, last."""
    folder.mkdir(exist_ok=True)
    remove_partials(folder)
    title = f"Lab {course.lab}: {course.title}"
    write_whole(folder / "results.json", gradescope(record))
    write_whole(folder / "feedback.html", page(title, record, instructor=False))
    write_whole(folder / "instructor.html", page(title, record, instructor=True))
    write_whole(folder / RECORD, entry.digest + "\n" + to_json(record) + "\n")


def _finished(out: Path, entry: Entry) -> Record | None:
    """Return the record of an earlier run, if it is of the very same submission and course."""
    try:
        digest, _, text = (out / entry.student / RECORD).read_text("utf-8").partition("\n")
        record = from_json(text) if digest == entry.digest else None
    except (OSError, ValueError):
        return None
    return None if record is None or record.status == Outcome.FAILED else record


def _entry(folder: Path, course: Course, key: str) -> Entry:
    try:
        data, flags = _read(folder, course)
        parts = [data, repr(flags).encode()]
    except Broken as error:
        parts = [str(error).encode()]
    digest = hashlib.sha256()
    for part in (key.encode(), os.fsencode(folder.name), *parts):
        digest.update(hashlib.sha256(part).digest())
    return Entry(folder, digest.hexdigest())


def _read(folder: Path, course: Course) -> tuple[bytes, tuple[str, ...]]:
    """Return a student's notebook as bytes, and flags; raise Broken if there is none."""
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise Broken("The folder is a link to another place.")
    if folder.name == GRADEBOOK:
        raise Broken("A folder of this name cannot be graded; rename it.")
    notebook, flags = find_notebook(folder, course)
    return read_bytes(notebook), flags


def _folders(submissions: Path) -> list[Path]:
    folders = [
        path
        for path in submissions.iterdir()
        if not path.name.startswith(".") and (path.is_dir() or path.is_symlink())
    ]
    if not folders:
        raise ValueError(
            f"{submissions} holds no folders; expected one for each student, with their notebook."
        )
    return sorted(folders)


def _require_apart(submissions: Path, out: Path) -> None:
    if not submissions.is_dir():
        raise ValueError(f"{submissions} is no folder; expected the folder of all submissions.")
    one, other = submissions.resolve(), out.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise ValueError(
            f"the submissions ({submissions}) and the results ({out}) lie inside one another; "
            "choose folders apart."
        )


def _require_solved(course: Course, box: Sandbox, seed: int) -> None:
    """Grade the lab's own solution first: what it cannot reach, no student can."""
    answers = {task.grade_id: task.solution for task in course.tasks}
    missed = [g for g in grade_answers(course, answers, box, seed) if g.outcome != Outcome.RIGHT]
    if missed:
        first = missed[0]
        raise ValueError(
            f"the lab's own solution of exercise {first.exercise} came out as {first.outcome!s} "
            f"({first.summary}), so nothing was graded. Repair it, or choose another --seed."
        )


def _seed(out: Path, given: int | None, lab: int) -> int:
    path = out / OWN / "seed.json"
    if path.exists():
        kept = json.loads(path.read_text("utf-8"))
        if kept["lab"] != lab or given not in (None, kept["seed"]):
            raise ValueError(
                f"{out} holds results of lab {kept['lab']} with a seed of its own; name another "
                "folder with --out, or leave --seed out."
            )
        return int(kept["seed"])
    seed = secrets.randbits(62) if given is None else given
    write_whole(path, json.dumps({"lab": lab, "seed": seed}) + "\n")
    return seed


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    (out / OWN).mkdir(parents=True, exist_ok=True)
    remove_partials(out)
    with open(out / OWN / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f"another run is grading into {out}; wait for its end.") from None
        yield


def _course_key(course: Course, seed: int) -> str:
    """Return what changes whenever the same submission could be graded otherwise."""
    digest = hashlib.sha256(f"{seed}\0{course.setup}".encode())
    for task in course.tasks:
        digest.update(f"{task.stub}\0{task.solution}\0{task.check_source}".encode())
    own = PACKAGE / "checks" / f"lab{course.lab}"
    for folder in (PACKAGE / "checks", own, PACKAGE / "grading", PACKAGE / "grading" / "inside"):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _cores() -> int:
    return len(os.sched_getaffinity(0))
