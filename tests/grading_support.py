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
from labkit.grading.course import Course, load_course, sandbox_files
from labkit.grading.grades import OWN
from labkit.grading.judging import grader
from labkit.grading.releasing.release import ANSWER, CHECK, grade_id, release_notebook
from labkit.grading.sandbox.box import Sandbox

LAB = 1
STEM = registry.STEMS[LAB]
NAME = f"{STEM}.ipynb"
IMPORTS = (
    "import math\nfrom collections.abc import Callable\nimport torch\nfrom torch import Tensor\n"
    "from labkit import Lab\nlab = Lab(1)"
)
FULL = sum(exercise.points for exercise in registry.exercises(LAB))
SEED = 11
WRONG = {
    "1.1": "def integer_range(*args):\n    return 0, 0",
    "1.2": "def scale_and_zero_point(*args):\n    raise KeyError('no')",
    "1.3": "def quantize(x, scale, zero_point, qmin, qmax):\n"
    "    return (torch.round(x / scale) + zero_point).to(torch.int32)",
    "1.5": "def round_half_even(x):\n    while True: pass",
    "1.6": "import os\nos._exit(3)",
    "1.7": "def another_name(): pass",
    "1.9": "x = [",
    "1.10": "",
}
HOSTILE = (
    "import os\nos._exit(0)",
    "import os\nos.write(4, b'x' * 10 ** 6)",
    "def quantize(*args):\n    return torch.ones(10 ** 10)",
)

# As in `labkit grade`: several threads would wait for one another on a busy machine.
torch.set_num_threads(1)

Notebook = dict[str, Any]


def _helpers() -> list[str]:
    """Return the sources of what references call in their own modules."""
    exercises = [e for e in registry.exercises(LAB) if e.kind == "values"]
    modules = {e.function: inspect.getmodule(e.reference) for e in exercises}
    found = {
        name: value
        for exercise in exercises
        for name in exercise.reference.__code__.co_names
        if inspect.isfunction(value := getattr(modules[exercise.function], name, None))
        and name not in modules
    }
    return [inspect.getsource(value) for value in found.values()]


SETUP = "\n\n\n".join([IMPORTS, *_helpers()])


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
    """Return the source of a reference, its body between the solution marks.

    Of an exercise about other code, the answer of the lab's own solution: its reference knows more
    than there is in a notebook.
    """
    if exercise.kind != "values":
        return _answers()[ANSWER + exercise.id.replace(".", "-")]
    source = inspect.getsource(exercise.reference)
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    lines = source.splitlines()
    start = function.body[0].end_lineno
    body = ["    ### BEGIN SOLUTION", *lines[start:], "    ### END SOLUTION"]
    return "\n".join(lines[:start] + body)


@functools.cache
def _answers() -> dict[str, str]:
    """Return the answer cells of the lab's own solution."""
    path = Path(__file__).parents[1] / "solutions" / NAME
    return {grade_id(cell): cell.source for cell in nbformat.read(path, as_version=4).cells}


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


def class_of(root: Path, size: int = 6) -> tuple[Path, Path]:
    """Hand in for a class: right, wrong, empty and broken; return submissions and solutions."""
    submissions = root / "submissions"
    for number in range(size):
        notebook = (solved_notebook, released_notebook)[number % 2]()
        if number % 3 == 2:
            notebook = answered({"1.1": WRONG["1.1"], "1.3": WRONG["1.3"]})
        if number % 7 == 5:
            notebook = answered({"1.3": HOSTILE[number // 7 % len(HOSTILE)]})
        save(submissions / f"student-{number:02}", notebook)
    (submissions / "broken").mkdir()
    (submissions / "broken" / NAME).write_text("{")
    (submissions / "empty").mkdir()
    (submissions / ".DS_Store").write_text("")
    return submissions, solutions_folder(root / "solutions")


def contents(out: Path) -> dict[str, bytes]:
    """Return the results in a folder, all but what is the grader's own."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and OWN not in path.relative_to(out).parts
    }


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
