"""A solved lab for the grader's tests, made from the references, so that no prose matters here."""

import ast
import contextlib
import functools
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch

from labkit.checks import registry
from labkit.checks.exercise import Exercise
from labkit.grading import grader
from labkit.grading.course import Course, load_course, sandbox_files
from labkit.grading.release import ANSWER, CHECK, release_notebook
from labkit.grading.sandbox import Sandbox

LAB = 1
STEM = registry.STEMS[LAB]
NAME = f"{STEM}.ipynb"
SETUP = "import math\nimport torch\nfrom torch import Tensor\nfrom labkit import Lab\nlab = Lab(1)"
FULL = sum(exercise.points for exercise in registry.exercises(LAB))
SEED = 11

# As in `labkit grade`: several threads would wait for one another on a busy machine.
torch.set_num_threads(1)

Notebook = dict[str, Any]


def solved_notebook() -> Notebook:
    """Return the solved lab as parsed JSON."""
    cells = [nbformat.v4.new_code_cell(SETUP, execution_count=1)]
    for exercise in registry.exercises(LAB):
        key = exercise.id.replace(".", "-")
        answer = {"grade_id": ANSWER + key, "solution": True, "grade": False, "locked": False}
        check = {"grade_id": CHECK + key, "solution": False, "grade": True, "locked": True}
        check["points"] = exercise.points
        cells += [
            _cell(solution(exercise), answer),
            _cell(f'{exercise.function} = lab.check("{exercise.id}", {exercise.function})', check),
        ]
    return json.loads(json.dumps(nbformat.v4.new_notebook(cells=cells)))


def solution(exercise: Exercise) -> str:
    """Return the source of a reference, its body between the solution marks."""
    source = inspect.getsource(exercise.reference)
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    lines = source.splitlines()
    start = function.body[0].end_lineno
    body = ["    ### BEGIN SOLUTION", *lines[start:], "    ### END SOLUTION"]
    return "\n".join(lines[:start] + body)


def released_notebook() -> Notebook:
    """Return the same lab as students get it."""
    return json.loads(_released_text())


@functools.cache
def _released_text() -> str:
    return json.dumps(release_notebook(nbformat.from_dict(solved_notebook()), STEM))


def answered(answers: dict[str, str]) -> Notebook:
    """Return the released lab with answers filled in, by the exercise's id."""
    notebook = released_notebook()
    for cell in notebook["cells"]:
        key = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
        number = key.removeprefix(ANSWER).replace("-", ".")
        if key.startswith(ANSWER) and number in answers:
            cell["source"] = answers[number]
    return notebook


def solutions_folder(folder: Path) -> Path:
    """Write the solved lab into `folder` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    save(folder, solved_notebook())
    return folder


def course(folder: Path) -> Course:
    """Return the lab as the grader reads it."""
    return load_course(LAB, solutions_folder(folder))


def save(folder: Path, notebook: object, name: str = NAME) -> None:
    """Hand in `notebook` in a student's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(notebook), encoding="utf-8")


class KeptSandbox(Sandbox):
    """A sandbox that stays open between runs: what costs is starting one."""

    def __enter__(self) -> "KeptSandbox":
        if self._warm is None:
            super().__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def close(self) -> None:
        super().__exit__()


@contextlib.contextmanager
def one_sandbox(lab: Course) -> Iterator[Sandbox]:
    """Let every `labkit.grading.grade` in this process use one sandbox."""
    box = KeptSandbox(sandbox_files(LAB), lab.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grader, "Sandbox", lambda *_, **__: box)
        with box:
            yield box
    box.close()


def _cell(source: str, nbgrader: dict[str, Any]) -> nbformat.NotebookNode:
    metadata = {"nbgrader": {"schema_version": 3, **nbgrader}}
    return nbformat.v4.new_code_cell(source, execution_count=1, metadata=metadata)
