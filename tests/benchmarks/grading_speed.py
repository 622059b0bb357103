"""How long grading takes, beside nbgrader where that is installed.

    python tests/benchmarks/grading_speed.py --submissions 100 --nbgrader 8

A third of the submissions is right, a third is unsolved, a third has two wrong answers. nbgrader's
autograde gets the same notebooks of lab 1, fewer of them, since it takes one at a time.
"""

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import grading_support as support

from labkit.checks import registry
from labkit.grading import grade

WRONG = ("1.3", "1.8")


def notebook(number: int) -> support.Notebook:
    """Return the submission of student `number`."""
    if number % 3 == 0:
        return support.solved_notebook()
    if number % 3 == 1:
        return support.released_notebook()
    answers = {}
    for exercise in registry.exercises(support.LAB):
        source = support.solution(exercise)
        wrong = source.split("    ### BEGIN")[0] + "    return None"
        answers[exercise.id] = wrong if exercise.id in WRONG else source
    return support.answered(answers)


def seconds_of_labkit(root: Path, count: int) -> float:
    """Return seconds a submission, the start of the sandbox included."""
    for number in range(count):
        support.save(root / "submissions" / f"s{number:04}", notebook(number))
    solutions = support.solutions_folder(root / "solutions")
    start = time.perf_counter()
    grade(root / "submissions", support.LAB, root / "grades", solutions)
    return (time.perf_counter() - start) / count


def seconds_of_nbgrader(root: Path, count: int) -> float:
    """Return seconds a submission of ``nbgrader autograde``."""
    support.save(root / "source" / "lab1", support.solved_notebook())
    for number in range(count):
        support.save(root / "submitted" / f"s{number:04}" / "lab1", notebook(number))
    nbgrader(root, "generate_assignment", "lab1", "--create", "--IncludeHeaderFooter.header=")
    start = time.perf_counter()
    nbgrader(root, "autograde", "lab1", "--create")
    return (time.perf_counter() - start) / count


def nbgrader(root: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "nbgrader", *arguments]
    subprocess.run(command, cwd=root, check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=100)
    parser.add_argument("--nbgrader", type=int, default=8, help="submissions for nbgrader")
    parsed = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="labkit-benchmark-"))
    try:
        ours = seconds_of_labkit(root / "labkit", parsed.submissions)
        print(f"labkit    {ours:6.2f} s a submission ({parsed.submissions} of them)")
        if importlib.util.find_spec("nbgrader") is None:
            print("nbgrader  not installed")
            return
        theirs = seconds_of_nbgrader(root / "nbgrader", parsed.nbgrader)
        print(f"nbgrader  {theirs:6.2f} s a submission ({parsed.nbgrader} of them)")
        print(f"ratio     {theirs / ours:6.1f}")
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
