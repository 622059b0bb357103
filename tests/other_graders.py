"""nbgrader and otter-grader with one exercise, grading a hostile submission beside an honest one.

Each may live in an environment of its own, with torch: LABKIT_NBGRADER and LABKIT_OTTER name
their Pythons.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import confined
import torch

from labkit.checks import registry
from labkit.grading.releasing.release import ANSWER, CHECK

HOSTILE, HONEST = "a-hostile", "b-honest"
CELL_SECONDS, RUN_SECONDS = 8, 60
POINTS = 2
NAME = f"{registry.STEMS[1]}.ipynb"
EXERCISE = next(e for e in registry.exercises(1) if e.id == "1.3")
SETUP = f"# {confined.CANARY}\nimport math\nimport torch\nfrom torch import Tensor"
STUB = f"def {EXERCISE.function}(x, scale, zero_point, qmin, qmax):\n"
SOLVED = STUB + (
    "    ### BEGIN SOLUTION\n"
    "    q = torch.round(x / scale) + zero_point\n"
    "    return q.clamp(qmin, qmax).to(torch.int32)\n"
    "    ### END SOLUTION"
)
INPUTS = (
    (torch.tensor([-1.0, -0.3125, 0.0, 0.375, 0.5, 3.0]), 0.1, 3, -8, 7),
    (torch.tensor([[0.3125, -7.75], [12.5, 0.9375]]), 0.25, -5, -128, 127),
)
READ_SCORES = """
import json
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    rows = book.assignment_submissions("lab")
    print(json.dumps({row.student.id: row.score for row in rows}), file=open("scores", "w"))
"""


@dataclass(frozen=True)
class Result:
    """What came of grading two submissions.

    Attributes
    ----------
    points, honest : float, optional
        Of the hostile and of the honest submission; None without a result.
    told : str
        What the grader keeps of the hostile submission's outputs.
    aftermath : confined.Aftermath
        What else there was to see.
    """

    points: float | None
    honest: float | None
    told: str
    aftermath: confined.Aftermath

    @property
    def effects(self) -> list[str]:
        """What got through."""
        found = {
            "points": bool(self.points),
            "secret": confined.CANARY in self.told,
            "outside": self.aftermath.outside,
            "neighbour": self.honest != POINTS,
        }
        return [name for name, true in found.items() if true]


class Grader:
    """What nbgrader and otter-grader have in common here.

    Parameters
    ----------
    root : Path
        An empty folder.
    """

    name: str

    def __init__(self, root: Path) -> None:
        self.python = python(self.name)
        self.root = root
        self.template = root / "template"
        self.template.mkdir(parents=True)
        self.prepare()

    def prepare(self) -> None:
        """Write the course into `template`."""
        raise NotImplementedError

    def submission(self, course: Path, student: str) -> Path:
        """Return the folder that a student hands in."""
        raise NotImplementedError

    def commands(self) -> list[list[str]]:
        """Return the commands that grade."""
        raise NotImplementedError

    def read(self, course: Path, student: str) -> tuple[float | None, str]:
        """Return a student's points, and what the grader keeps of the outputs."""
        raise NotImplementedError

    def program(self) -> str:
        """Return the grader's command."""
        return str(Path(self.python).with_name(self.name))

    def version(self) -> str:
        """Return the grader's name and version."""
        code = f"import {self.name}; print({self.name}.__version__)"
        return f"{self.name} {confined.output([self.python, '-c', code]).strip()}"

    def grade(self, hand_in: Callable[[Path], None]) -> Result:
        """Grade a class of two; `hand_in` writes into the hostile one's folder."""
        with tempfile.TemporaryDirectory(dir=self.root) as folder:
            course = Path(folder) / "course"
            shutil.copytree(self.template, course)
            hand_in(self.submission(course, HOSTILE))
            save(self.submission(course, HONEST), notebook(SOLVED))
            aftermath = confined.run(self.python, course, self.commands(), RUN_SECONDS)
            points, told = self.read(course, HOSTILE)
            return Result(points, self.read(course, HONEST)[0], told, aftermath)


class Nbgrader(Grader):
    """``nbgrader autograde``, with a visible and a hidden assert in a locked cell."""

    name = "nbgrader"

    def prepare(self) -> None:
        visible, hidden = (f"assert {line}" for line in expected())
        test = f"{visible}\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
        save(self.template / "source" / "lab", notebook(SOLVED, test))
        command = ["generate_assignment", "lab", "--create", "--IncludeHeaderFooter.header="]
        confined.output([self.program(), *command], self.template)

    def submission(self, course: Path, student: str) -> Path:
        return _made(course / "submitted" / student / "lab")

    def commands(self) -> list[list[str]]:
        limit = f"--ExecutePreprocessor.timeout={CELL_SECONDS}"
        autograde = [self.program(), "autograde", "lab", "--create", limit]
        return [autograde, [self.python, "-c", READ_SCORES]]

    def read(self, course: Path, student: str) -> tuple[float | None, str]:
        graded = confined.parsed(course / "autograded" / student / "lab" / NAME)
        scores = confined.parsed(course / "scores")
        # A submission that was not graded has 0 points in the database, and no graded notebook.
        if graded is None or scores is None:
            return None, ""
        return scores.get(student), json.dumps([cell.get("outputs") for cell in graded["cells"]])


class Otter(Grader):
    """``otter run`` for each submission, with a visible and a hidden doctest."""

    name = "otter"

    def prepare(self) -> None:
        cases = [
            {"code": f">>> {line}\nTrue", "hidden": hidden, "locked": False}
            for line, hidden in zip(expected(), (False, True), strict=True)
        ]
        suite = {"cases": cases, "scored": True, "setup": "", "teardown": "", "type": "doctest"}
        test = {"name": "q1", "points": POINTS, "suites": [suite]}
        code = f"OK_FORMAT = True\ntest = {test!r}\n"
        _made(self.template / "tests").joinpath("q1.py").write_text(code, encoding="utf-8")
        command = [self.program(), "generate", "-t", "tests", "--no-environment"]
        confined.output(command, self.template)

    def submission(self, course: Path, student: str) -> Path:
        _made(course / "results" / student)
        return _made(course / "submissions" / student)

    def commands(self) -> list[list[str]]:
        run = [self.program(), "run", "-a", "autograder.zip", "--no-logo"]
        return [
            [*run, "-o", f"results/{student}", f"submissions/{student}/{NAME}"]
            for student in (HOSTILE, HONEST)
        ]

    def read(self, course: Path, student: str) -> tuple[float | None, str]:
        results = confined.parsed(course / "results" / student / "results.json")
        if results is None:
            return None, ""
        return sum(test.get("score", 0) for test in results["tests"]), json.dumps(results)


GRADERS = (Nbgrader, Otter)


def expected() -> list[str]:
    """Return an expression for each input that is true for a right answer."""
    lines = []
    for x, *rest in INPUTS:
        right = EXERCISE.reference(x, *rest).tolist()
        call = f"{EXERCISE.function}(torch.tensor({x.tolist()}), {', '.join(map(str, rest))})"
        lines.append(f"torch.equal({call}, torch.tensor({right}, dtype=torch.int32))")
    return lines


def notebook(answer: str, test: str = "pass") -> dict[str, Any]:
    """Return a notebook with one exercise."""
    key = EXERCISE.id.replace(".", "-")
    solution = {"grade_id": ANSWER + key, "solution": True, "grade": False, "locked": False}
    check = {"grade_id": CHECK + key, "solution": False, "grade": True, "locked": True}
    check["points"] = POINTS
    metadata = ({}, *({"nbgrader": {"schema_version": 3, **one}} for one in (solution, check)))
    cells = [
        {
            **{"cell_type": "code", "execution_count": None, "id": f"cell-{i}", "outputs": []},
            **{"source": source, "metadata": one},
        }
        for i, (source, one) in enumerate(zip((SETUP, answer, test), metadata, strict=True))
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}


def save(folder: Path, content: dict[str, Any]) -> None:
    """Hand in a notebook."""
    _made(folder).joinpath(NAME).write_text(json.dumps(content), encoding="utf-8")


def python(name: str) -> str:
    """Return the Python that has a grader."""
    return os.environ.get(f"LABKIT_{name.upper()}", sys.executable)


def missing(name: str) -> str:
    """Return why a grader cannot be run, or an empty string."""
    line = [python(name), "-c", f"import {name}, torch"]
    tried = subprocess.run(line, capture_output=True, text=True)
    if tried.returncode == 0:
        return ""
    reason = tried.stderr.strip().splitlines()[-1]
    return f"{reason} ({line[0]}; another Python can be named in LABKIT_{name.upper()})"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
