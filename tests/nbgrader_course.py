"""An nbgrader course made of a lab, and what it gives beside `labkit grade`.

nbgrader may live in an environment of its own: LABKIT_NBGRADER names its Python, which needs
labkit's dependencies, too.
"""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from labkit.checks import registry
from labkit.grading.releasing.release import ANSWER

PYTHON = os.environ.get("LABKIT_NBGRADER", sys.executable)
PROJECT = Path(__file__).parents[1]
ASSIGNMENT = "lab"
TIMEOUT = 1200
READ_SCORES = f"""
import json
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    scores = {{
        submission.student.id: {{
            grade.name: grade.score for lab in submission.notebooks for grade in lab.grades
        }}
        for submission in book.assignment_submissions({ASSIGNMENT!r})
    }}
print(json.dumps(scores))
"""
KINDS = ("right", "half", "wrong", "raises", "no python", "unsolved")


def missing() -> str:
    """Return why nbgrader cannot be run, or an empty string."""
    tried = subprocess.run([PYTHON, "-c", "import nbgrader, torch"], capture_output=True, text=True)
    if tried.returncode == 0:
        return ""
    reason = tried.stderr.strip().splitlines()[-1]
    return f"{reason} ({PYTHON}; another Python can be named in LABKIT_NBGRADER)"


def version() -> str:
    """Return nbgrader's name and version."""
    line = [PYTHON, "-c", "import nbgrader; print(nbgrader.__version__)"]
    return f"nbgrader {subprocess.run(line, capture_output=True, text=True).stdout.strip()}"


def submissions(solved: dict[str, Any], released: dict[str, Any], lab: int) -> dict[str, Any]:
    """Return one notebook of each kind, by name; "mixed" has exercises of every kind in turn."""
    answers = {
        cell["metadata"]["nbgrader"]["grade_id"]: "".join(cell["source"])
        for cell in solved["cells"]
        if cell["metadata"].get("nbgrader", {}).get("solution")
    }
    functions = {ANSWER + e.id.replace(".", "-"): e.function for e in registry.exercises(lab)}

    def notebook(kinds: dict[str, str]) -> Any:
        copy = json.loads(json.dumps(released))
        for cell in copy["cells"]:
            key = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
            if key in kinds and kinds[key] != "unsolved":
                cell["source"] = changed(answers[key], functions[key], kinds[key])
        return copy

    made = {kind: notebook(dict.fromkeys(answers, kind)) for kind in KINDS}
    made["mixed"] = notebook({key: KINDS[i % len(KINDS)] for i, key in enumerate(answers)})
    return made


def changed(answer: str, function: str, kind: str) -> str:
    """Return an answer that is right, or errs in a way that needs no knowledge of it."""
    if kind == "no python":
        return f"def {function}(:"
    errs = {
        "right": "",
        # Every third call is wrong: more than half of them are right.
        "half": "    calls.append(1)\n    return right(*args) if len(calls) % 3 else None",
        "wrong": "    return None",
        "raises": "    raise KeyError('no')",
    }[kind]
    if not errs:
        return answer
    head = f"\n\n\ndef {function}(*args, right={function}, calls=[]):\n"
    return answer + head + errs


class NbgraderCourse:
    """A course folder of nbgrader's.

    Parameters
    ----------
    root : Path
        An empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def grade(self, name: str, solved: Any, handed_in: dict[str, Any]) -> float:
        """Generate the assignment from `solved`, grade what was handed in; return the seconds."""
        self.generate(name, solved, handed_in)
        started = time.perf_counter()
        self.autograde()
        return time.perf_counter() - started

    def generate(self, name: str, solved: Any, handed_in: dict[str, Any]) -> None:
        """Make the assignment from `solved`, and hand in."""
        self.save("source", f"{name}.ipynb", solved)
        for student, notebook in handed_in.items():
            self.save(f"submitted/{student}", f"{name}.ipynb", notebook)
        self.run("generate_assignment", "--create", "--IncludeHeaderFooter.header=")

    def autograde(self) -> None:
        """Grade what was handed in."""
        self.run("autograde", "--create", f"--ExecutePreprocessor.timeout={TIMEOUT}")

    def save(self, folder: str, name: str, notebook: Any) -> None:
        """Write a notebook where nbgrader looks for it."""
        path = self.root / folder / ASSIGNMENT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notebook), encoding="utf-8")

    def run(self, command: str, *options: str) -> None:
        """Run a command of nbgrader's; raises if it fails."""
        line = [PYTHON, "-m", "nbgrader", command, ASSIGNMENT, *options]
        self.call(line)

    def call(self, line: list[str]) -> str:
        """Run a program in the course's folder and return what it prints."""
        environment = {
            **os.environ,
            # It calls a program that was installed beside it.
            "PATH": f"{Path(PYTHON).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(PROJECT),
            "LABKIT_PROGRESS": str(self.root / "progress"),
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            line, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(line[:4])} failed:\n{done.stderr[-3000:]}")
        return done.stdout

    def scores(self) -> dict[str, dict[str, float]]:
        """Return the points of every exercise, by student and by the exercise's id."""
        found = json.loads(self.call([PYTHON, "-c", READ_SCORES]))
        return {
            student: {
                name.removeprefix("check-").replace("-", "."): score for name, score in row.items()
            }
            for student, row in found.items()
        }

    def exported(self) -> dict[str, float]:
        """Return the totals that ``nbgrader export`` writes, by student."""
        self.call([PYTHON, "-m", "nbgrader", "export"])
        with open(self.root / "grades.csv", newline="", encoding="utf-8") as file:
            return {row["student_id"]: float(row["score"] or 0) for row in csv.DictReader(file)}
