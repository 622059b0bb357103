"""What the course contributes to grading: its solved notebook, and what the sandbox may hold."""

import ast
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.checks import own, registry, syntax
from labkit.checks.exercise import Exercise
from labkit.grading.inside.cells import definitions, parse
from labkit.grading.releasing.cells import (
    ANSWER,
    CHECK,
    exercise_id,
    grade_id,
    release_mark,
    student_cells,
)
from labkit.grading.releasing.taking import read_taken

PACKAGE = Path(__file__).resolve().parents[1]
# The modules and packages that hold what each lab asks for. An answer to lab n may use those of
# earlier labs; all others, and every module not named here, are replaced by a stand-in.
REFERENCES = {
    0: ("formats", "format_table", "energy"),
    1: ("linear", "qparams", "packing"),
    2: ("calibration",),
    3: ("kernels",),
    4: ("ptq",),
    5: ("qat",),
    6: ("codebooks", "blocks"),
    7: ("language",),
    8: ("device",),
}
# No lab asks for what is in these.
SHARED = ("progress_bar", "validation", "zoo")
MACHINERY = (
    "__init__.py",
    "checks/__init__.py",
    "checks/calling.py",
    "checks/console.py",
    "checks/errors.py",
    "checks/exercise.py",
    "checks/implementation.py",
    "checks/rules.py",
    "checks/syntax.py",
    "checks/values.py",
    "grading/__init__.py",
    "grading/earlier_names.py",
    "grading/wire.py",
    "grading/inside/__init__.py",
    "grading/inside/answers.py",
    "grading/inside/cells.py",
    "grading/inside/isolate.py",
    "grading/inside/lab.py",
    "grading/inside/notebook.py",
    "grading/inside/plain.py",
    "grading/inside/shell.py",
    "grading/inside/warm.py",
)
STAND_IN = "grading/inside/stand_in.py"
LAB = "grading/inside/lab.py"


@dataclass(frozen=True)
class Task:
    """One exercise of a lab as its notebook holds it.

    Attributes
    ----------
    exercise : Exercise
        What is called and judged.
    grade_id : str
        The answer cell's.
    check_id, check_source : str
        The cell that checks it, which students do not change.
    stub, solution : str
        The answer cell as released and as solved.
    """

    exercise: Exercise
    grade_id: str
    check_id: str
    check_source: str
    stub: str
    solution: str

    @property
    def replacement(self) -> str:
        """The solution as it stands in for an answer that failed: without comments."""
        return ast.unparse(syntax.parse(self.solution))


@dataclass(frozen=True)
class Course:
    """A lab as the grader needs it.

    Attributes
    ----------
    lab : int
        Its number.
    stem : str
        The notebook's name without its ending.
    title : str
        The lab's name.
    setup : str
        Imports and definitions of the cells that are given.
    tasks : tuple of Task
        In the notebook's order.
    release : str
        The mark that the released lab carries; it changes with the code of its cells.
    """

    lab: int
    stem: str
    title: str
    solved: str
    setup: str
    given: tuple[str, ...]
    tasks: tuple[Task, ...]
    release: str = ""

    @property
    def not_run(self) -> list[str]:
        """Names that given cells make and graded processes lack, since more than definitions."""
        made = {name for source in self.given for name in syntax.bound(parse(source))}
        return sorted(made - syntax.bound(syntax.parse(self.setup)))

    @property
    def modules(self) -> tuple[str, ...]:
        """The packages that the given cells import, to be loaded once for all answers."""
        tree = syntax.parse(self.setup)
        names = [n.name for s in tree.body if isinstance(s, ast.Import) for n in s.names]
        names += [s.module or "" for s in tree.body if isinstance(s, ast.ImportFrom)]
        return tuple(name for name in names if name and not name.startswith("labkit"))


def load_course(lab: int, solutions: Path) -> Course:
    """Read the solved notebook of a lab.

    Raises
    ------
    ValueError
        If there is no such lab, no notebook, or it does not fit the declared exercises.
    """
    registry.module(lab)
    path = solutions / f"{registry.STEMS[lab]}.ipynb"
    if not path.is_file():
        raise ValueError(
            f"{path} is missing; the grader takes the given cells and the solutions from it. "
            "Name the folder that holds it with --solutions."
        )
    return course_from(lab, path.read_text("utf-8-sig"))


def course_from(lab: int, text: str) -> Course:
    """Return the course that the text of a solved notebook holds; raises as `load_course`."""
    exercises = {e.id: e for e in registry.exercises(lab)}
    stem = registry.STEMS[lab]
    solved = read_taken(text, f"{stem}.ipynb")["cells"]
    released = student_cells(solved, stem)
    pairs = {
        grade_id(cell): (cell, other["source"])
        for cell, other in zip(solved, released, strict=True)
        if grade_id(cell)
    }
    tasks = []
    for key, (cell, stub) in pairs.items():
        if key.startswith(ANSWER):
            number = exercise_id(cell)
            check_id = CHECK + key.removeprefix(ANSWER)
            check = pairs[check_id][1]
            task = Task(exercises[number], key, check_id, check, stub, cell["source"])
            tasks.append(task)
    given = tuple(
        cell["source"] for cell in released if cell["cell_type"] == "code" and not grade_id(cell)
    )
    setup = _definitions(given, tasks)
    mark = release_mark(released)
    return Course(lab, stem, registry.title(lab), text, setup, given, tuple(tasks), mark)


def released_course(lab: int, text: str) -> Course:
    """Return the course that a released notebook holds: its solutions are labkit's references.

    Raises
    ------
    ValueError
        If the text is no notebook of the lab.
    """
    exercises = {grade_name(e.id): e for e in registry.exercises(lab)}
    cells = [c for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
    sources = {key: "".join(c["source"]) for c in cells if (key := _released_id(c))}
    tasks = []
    for name, exercise in exercises.items():
        key, check = ANSWER + name, CHECK + name
        if key not in sources or check not in sources:
            raise ValueError(f"the released notebook of lab {lab} lacks exercise {exercise.id}.")
        reference = exercise.reference
        solution = f"from {reference.__module__} import {reference.__name__}"
        tasks.append(Task(exercise, key, check, sources[check], sources[key], solution))
    given = tuple("".join(c["source"]) for c in cells if not _released_id(c))
    mark = json.loads(text)["metadata"].get("labkit", {}).get("release", "")
    setup = _definitions(given, tasks)
    return Course(
        lab, registry.STEMS[lab], registry.title(lab), text, setup, given, tuple(tasks), mark
    )


def grade_name(exercise_id: str) -> str:
    """Return an exercise's id as it stands in grade_ids: "1-3"."""
    return exercise_id.replace(".", "-")


def _released_id(cell: dict[str, Any]) -> str:
    return str(cell["metadata"].get("nbgrader", {}).get("grade_id", ""))


def course_key(course: Course, seed: int, leaderboard: bool = False) -> str:
    """Return what changes whenever the same submission could be graded otherwise."""
    texts = [
        (task.stub, task.solution, task.check_source, task.exercise.points) for task in course.tasks
    ]
    digest = hashlib.sha256(repr((seed, course.setup, course.given, texts, leaderboard)).encode())
    declared = PACKAGE / "checks" / f"lab{course.lab}"
    sources = {*sandbox_files(course.lab).values(), *declared.glob("*.py"), *own.files(course.lab)}
    sources |= {*(PACKAGE / "checks").glob("*.py"), *(PACKAGE / "grading").rglob("*.py")}
    for path in sorted(sources):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def sandbox_files(lab: int) -> dict[str, Path]:
    """Return what of labkit a sandbox holds: a path below /course, and the file it comes from."""
    earlier = [name for number, names in REFERENCES.items() if number < lab for name in names]
    visible = {*SHARED, *earlier}
    files = {f"labkit/{name}": PACKAGE / name for name in MACHINERY}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE)
        owner = name.parts[0].removesuffix(".py")
        if owner not in ("__init__", "checks", "grading", "data"):
            files[f"labkit/{name}"] = path if owner in visible else PACKAGE / STAND_IN
    files["labkit/checks/lab.py"] = PACKAGE / LAB
    return files


def _definitions(sources: Iterable[str], tasks: Iterable[Task]) -> str:
    """Keep imports, functions, classes and constants: what answers may build on.

    Those of stubs, too, which do not run: all but the function that is asked for.
    """
    kept = [s for source in sources for s in definitions(parse(source))]
    kept += [
        s
        for task in tasks
        for s in definitions(parse(task.stub))
        if syntax.bound(s) != {task.exercise.function}
    ]
    return "\n".join(map(ast.unparse, kept))
