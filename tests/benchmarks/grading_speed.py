"""How long grading takes beside nbgrader, and how much memory.

    python tests/benchmarks/grading_speed.py [--submissions 100] [--nbgrader 8] [--save]

A third of the submissions is right, a third is unsolved, a third has two wrong answers. nbgrader's
autograde gets the same notebooks in the same run, fewer of them, since it takes one at a time.
LABKIT_NBGRADER names a Python that has nbgrader. `--save` writes grading_speed.md.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import grading_support as support
import nbgrader_course
from table import machine, markdown, saved_by

from labkit.grading.files import GRADEBOOK
from labkit.grading.releasing.release import ANSWER

STORED = Path(__file__).with_suffix(".md")
PROJECT = Path(__file__).parents[2]
LABKIT = "from labkit.cli import main; raise SystemExit(main())"
WRONG = (ANSWER + "1-3", ANSWER + "1-8")
SIZES = (20, 100, 200)


class Notebooks:
    """A lab solved, released, and as students hand it in."""

    def __init__(self, solved: dict[str, Any], released: dict[str, Any]) -> None:
        self.solved, self.released = solved, released
        self.answers = {
            cell["metadata"]["nbgrader"]["grade_id"]: "".join(cell["source"])
            for cell in solved["cells"]
            if cell["metadata"].get("nbgrader", {}).get("solution")
        }

    def submission(self, number: int) -> dict[str, Any]:
        """Return what student `number` hands in."""
        notebook = json.loads(json.dumps(self.released))
        for cell in notebook["cells"]:
            key = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
            if key in self.answers and number % 3 != 1:
                cell["source"] = self.answers[key]
                if number % 3 == 2 and key in WRONG:
                    head = self.answers[key].split("    ### BEGIN SOLUTION")[0]
                    cell["source"] = f"{head}    return None"
        return notebook


def real() -> Notebooks:
    """Return lab 1 as it is released."""
    folders = ("solutions", "labs")
    texts = ((PROJECT / folder / support.NAME).read_text("utf-8") for folder in folders)
    return Notebooks(*map(json.loads, texts))


def bare() -> Notebooks:
    """Return lab 1 without anything but its exercises."""
    return Notebooks(support.solved_notebook(), support.released_notebook())


@dataclass(frozen=True)
class Taken:
    """What grading a class took: seconds on the wall and of processors, and MiB at the most.

    Attributes
    ----------
    wall, processors : float
        A busy machine makes the first longer, and hardly the second.
    own, total : float
        MiB of the grader itself, and of all its processes.
    """

    wall: float
    processors: float
    own: float = 0.0
    total: float = 0.0


class Clock:
    """Seconds since it was made, on the wall and of processors in processes that have ended."""

    def __init__(self) -> None:
        self._started = self._now()

    def taken(self) -> tuple[float, float]:
        """Return both."""
        (wall, processors), (wall_then, processors_then) = self._now(), self._started
        return wall - wall_then, processors - processors_then

    @staticmethod
    def _now() -> tuple[float, float]:
        times = os.times()
        return time.perf_counter(), times.children_user + times.children_system


def graded_by_labkit(notebooks: Notebooks, count: int) -> Taken:
    """Return what ``labkit grade`` takes."""
    with tempfile.TemporaryDirectory(prefix="labkit-benchmark-") as folder:
        root = Path(folder)
        support.save(root / "solutions", notebooks.solved)
        for number in range(count):
            support.save(root / "submissions" / f"s{number:04}", notebooks.submission(number))
        command = [sys.executable, "-c", LABKIT, "grade", "submissions"]
        command += ["--lab", "1", "--out", "grades"]
        clock = Clock()
        with subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL) as process:
            own = total = 0.0
            while process.poll() is None:
                sizes = memory(process.pid)
                own, total = max(own, sizes.get(process.pid, 0.0)), max(total, sum(sizes.values()))
                time.sleep(0.2)
        seconds = clock.taken()
        graded = (root / "grades" / GRADEBOOK).read_text("utf-8").count(",graded,")
        if process.returncode or graded != count:
            raise RuntimeError(f"{graded} of {count} were graded (status {process.returncode})")
        return Taken(*seconds, own, total)


def memory(top: int) -> dict[int, float]:
    """Return the MiB of a process and of all that it started; what is shared counts once."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    family, found = {top}, {top}
    while found:
        found = {child for child, parent in parents.items() if parent in found} - family
        family |= found
    sizes = {}
    for process in family:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            sizes[process] = int(next(x for x in lines if x.startswith("Pss:")).split()[1]) / 1024
    return sizes


def graded_by_nbgrader(notebooks: Notebooks, count: int) -> Taken:
    """Return what ``nbgrader autograde`` takes."""
    handed_in = {f"s{number:04}": notebooks.submission(number) for number in range(count)}
    with tempfile.TemporaryDirectory(prefix="labkit-benchmark-") as folder:
        course = nbgrader_course.NbgraderCourse(Path(folder))
        course.generate(support.STEM, notebooks.solved, handed_in)
        clock = Clock()
        course.autograde()
        return Taken(*clock.taken())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=100)
    parser.add_argument("--nbgrader", type=int, default=9, help="submissions for nbgrader")
    parser.add_argument("--save", action="store_true")
    parsed = parser.parse_args()
    speed = []
    if problem := nbgrader_course.missing():
        raise SystemExit(problem)
    for name, notebooks in {"as released": real(), "its exercises only": bare()}.items():
        theirs = graded_by_nbgrader(notebooks, parsed.nbgrader)
        ours = graded_by_labkit(notebooks, parsed.submissions)
        runs = (
            (nbgrader_course.version(), parsed.nbgrader, theirs),
            ("labkit", parsed.submissions, ours),
        )
        first = theirs.processors / parsed.nbgrader
        for grader, count, taken in runs:
            each = taken.processors / count
            seconds = f"{taken.wall / count:.2f}", f"{each:.2f}"
            speed.append((name, grader, count, *seconds, f"{first / each:.1f}"))
        print(*speed[-2:], sep="\n", flush=True)
    used = [(size, graded_by_labkit(bare(), size)) for size in SIZES]
    head = ("lab 1", "grader", "submissions", "s each", "CPU s each", "times nbgrader")
    kept = ("submissions", "MiB of the grader", "MiB of it and all its processes")
    text = (
        f"{saved_by(__file__)}, all starts included, on "
        f"{len(os.sched_getaffinity(0))} cores. Other work makes the seconds on the wall longer; "
        "nbgrader grades one submission at a time, labkit one on each core. The last column "
        f"compares seconds of processors.\n\n{machine()}\n\n{markdown(head, speed)}\n\n"
        "The most memory at one time, of a class of its exercises only (proportional set size, "
        f"looked at five times a second):\n\n"
        f"{markdown(kept, [(n, f'{one.own:.0f}', f'{one.total:.0f}') for n, one in used])}\n"
    )
    print(text)
    if parsed.save:
        STORED.write_text(f"# Speed and memory of grading\n\n{text}", "utf-8")


if __name__ == "__main__":
    main()
