"""`labkit new-exercise`: a working skeleton, in every place where an exercise stands.

It passes the suite as it is, so that whoever replaces a piece sees at once what that broke.
"""

import keyword
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from string import Template

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from labkit.checks import own, registry, selection
from labkit.files import write_whole
from labkit.grading.course import grade_name
from labkit.grading.releasing.release import ANSWER, CHECK
from labkit.grading.releasing.taking import behind_exercises
from labkit.teaching import skeleton

ID = re.compile(r"(\d+)\.(\d+)")
WIDTH = 100  # of a line of code, with the rule under an exercise's number
POINTS = 1


@dataclass(frozen=True)
class NewExercise:
    """What a new exercise is called.

    Attributes
    ----------
    id, title : str
        "3.12", and two to five words.
    function : str
        What the student writes.
    """

    id: str
    title: str
    function: str

    @property
    def lab(self) -> int:
        """The number of its lab."""
        return int(self.id.partition(".")[0])

    @property
    def is_own(self) -> bool:
        """Whether it goes into the folder of the class's own exercises."""
        return _number(self.id) >= own.FIRST

    def filled(self, template: str) -> str:
        """Return a text of the skeleton with these names in it."""
        dashes = "-" * (WIDTH - len(f"# {self.id} "))
        constant = self.function.upper()
        names = {"id": self.id, "title": self.title, "function": self.function}
        return Template(template).substitute(names, constant=constant, dashes=dashes)


def new_exercise(root: Path, exercise_id: str, title: str, function: str = "") -> list[Path]:
    """Write the skeleton of an exercise; return the files to go on with.

    Parameters
    ----------
    root : Path
        The project's folder.
    exercise_id : str
        A number that no exercise has had, such as "3.12".
    title : str
        Two to five words.
    function : str, optional
        The name of the function that the student writes; by default made from the title.

    Raises
    ------
    ValueError
        If the number or a name is taken or cannot be used.
    """
    words = re.findall(r"[a-z0-9]+", title.lower())
    new = NewExercise(exercise_id, title, function or "_".join(words))
    _require_free(new)
    solution = root / "solutions" / f"{registry.STEMS[new.lab]}.ipynb"
    if not solution.is_file():
        raise ValueError(f"{solution} is missing; run this in the project's folder.")
    notebook = nbformat.read(solution, as_version=4)
    paths = _in_own_folder(notebook, new, root) if new.is_own else _in_course(notebook, new, root)
    _release(root)
    return paths


def _in_course(notebook: NotebookNode, new: NewExercise, root: Path) -> list[Path]:
    """Write an exercise where those of the course are."""
    checks = root / "labkit" / "checks" / f"lab{new.lab}"
    paths = [
        checks / f"{new.function}.py",
        checks / "__init__.py",
        root / "tests" / "right_answers" / f"lab{new.lab}.py",
        root / "solutions" / f"{registry.STEMS[new.lab]}.ipynb",
    ]
    for path in paths[1:]:
        if not path.is_file():
            raise ValueError(f"{path} is missing; run this in the project's folder.")
    _require_new(paths[0])
    written = [
        new.filled(skeleton.EXERCISE),
        _listed(paths[1].read_text("utf-8"), new),
        _answered(paths[2].read_text("utf-8"), new),
    ]
    for path, text in zip(paths, written, strict=False):
        write_whole(path, text)
    _insert(notebook, _executed(notebook, new, root).cells[1:])
    write_whole(paths[3], nbformat.writes(notebook) + "\n")
    return paths


def _in_own_folder(notebook: NotebookNode, new: NewExercise, root: Path) -> list[Path]:
    """Write an exercise into the folder of the class's own, with a notebook of its own."""
    if own.FOLDER is None:
        raise ValueError(
            f"numbers from {new.lab}.{own.FIRST} on are for exercises of your own: name their "
            f'folder in {selection.file()}, with the line exercises = "exercises".'
        )
    folder = own.FOLDER / f"lab{new.lab}"
    module, answers = folder / f"{new.function}.py", folder / own.RIGHT_ANSWERS
    paths = [module, module.with_suffix(".ipynb"), answers]
    for path in paths[:2]:
        _require_new(path)
    known = answers.read_text("utf-8") if answers.is_file() else skeleton.NO_ANSWERS
    write_whole(module, new.filled(skeleton.EXERCISE))
    write_whole(answers, _answered(known, new))
    executed = _executed(notebook, new, root)
    executed.cells.insert(0, new_markdown_cell(skeleton.TO_TRY_IT, id="to-try-it"))
    write_whole(paths[1], nbformat.writes(executed) + "\n")
    return paths


def _require_new(path: Path) -> None:
    if path.exists():
        raise ValueError(f"{path} is there already; name another function with --function.")


def _number(exercise_id: str) -> int:
    return int(exercise_id.partition(".")[2])


def _require_free(new: NewExercise) -> None:
    """Refuse what cannot be an exercise's."""
    if not ID.fullmatch(new.id) or new.lab not in registry.STEMS:
        raise ValueError(
            f"the number is {new.id!r}; expected one like 3.12 of {[*registry.STEMS]}."
        )
    if not new.function.isidentifier() or keyword.iskeyword(new.function):
        raise ValueError(f"no function can be named {new.function!r}; name one with --function.")
    if '"' in new.title or "\\" in new.title or "\n" in new.title or not new.title.strip():
        raise ValueError(f"the title is {new.title!r}; expected two to five plain words.")
    exercises = registry.exercises(new.lab)
    if new.id in {exercise.id for exercise in exercises}:
        numbers = [_number(exercise.id) for exercise in exercises]
        following = max(one for one in numbers if (one >= own.FIRST) == new.is_own) + 1
        raise ValueError(f"{new.id} is an exercise; the next number is {new.lab}.{following}.")
    if new.function in {exercise.function for exercise in exercises}:
        raise ValueError(
            f"lab {new.lab} asks for {new.function} already; name another with --function."
        )


def _listed(text: str, new: NewExercise) -> str:
    """Return a lab's list of exercises with the new one at its end."""
    package = f"labkit.checks.lab{new.lab}"
    line = f"from {package}.{new.function} import {new.function.upper()}"
    imports = re.findall(rf"^from {re.escape(package)}\..*$", text, re.MULTILINE)
    block = "\n".join(imports)
    if block not in text or not text.rstrip().endswith(")"):
        raise ValueError(f"the list of lab {new.lab} is not as expected: imports, then a tuple.")
    text = text.replace(block, "\n".join(sorted([*imports, line])))
    return f"{text.rstrip()[:-1]}    {new.function.upper()},\n)\n"


def _answered(text: str, new: NewExercise) -> str:
    """Return the right answers of a lab with those of the new exercise."""
    head, mark, answers = text.rpartition("RIGHT_ANSWERS = {")
    if not mark or not answers.rstrip().endswith("}"):
        raise ValueError(f"the right answers of lab {new.lab} do not end with RIGHT_ANSWERS.")
    styles = ", ".join(f"{new.function}_{style}" for style in skeleton.STYLES)
    entry = f'    "{new.id}": [{styles}],\n'
    if len(entry) > WIDTH + 1:
        lines = "".join(f"        {new.function}_{style},\n" for style in skeleton.STYLES)
        entry = f'    "{new.id}": [\n{lines}    ],\n'
    functions = new.filled(skeleton.RIGHT_ANSWERS)
    return f"{head}{functions}{mark}{answers.rstrip()[:-1]}{entry}}}\n"


def _executed(notebook: NotebookNode, new: NewExercise, root: Path) -> NotebookNode:
    """Return the first code cell of a lab with the cells of the exercise, run."""
    from nbclient import NotebookClient

    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    cells = [_cell(kind, new.filled(text), new, i) for i, (kind, text) in enumerate(skeleton.CELLS)]
    begin = new_code_cell(first.source, id="begin")
    small = new_notebook(cells=[begin, *cells], metadata=notebook.metadata)
    with tempfile.TemporaryDirectory() as folder:
        around = _here(root) | {"LABKIT_PROGRESS": folder}
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(
            small,
            timeout=300,
            resources=resources,
            record_timing=False,
            extra_arguments=["--log-level=ERROR"],  # it warns of TCP, which stays on this machine
        )
        client.execute(env=os.environ | around)
    return small


def _cell(kind: str, source: str, new: NewExercise, position: int) -> NotebookNode:
    name, key = grade_name(new.id), f"lab{new.lab}-{new.function}-{position + 1}"
    if kind == "markdown":
        return new_markdown_cell(source, id=key)
    cell = new_code_cell(source, id=key)
    if kind != "given":
        is_check = kind == "check"
        cell.metadata["nbgrader"] = {
            "schema_version": 3,
            "grade_id": (CHECK if is_check else ANSWER) + name,
            "grade": is_check,
            "solution": not is_check,
            "locked": is_check,
            "task": False,
        } | ({"points": POINTS} if is_check else {})
        if is_check:
            cell.metadata["tags"] = ["nbval-check-output"]
    return cell


def _insert(notebook: NotebookNode, cells: list[NotebookNode]) -> None:
    """Put the exercise behind the last one, above the next heading."""
    place = behind_exercises(notebook.cells)
    notebook.cells[place:place] = cells
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        if cell.execution_count is None:
            continue  # an empty one
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count


def _release(root: Path) -> None:
    """Release the labs in a process of its own: this one has read the exercises without the new."""
    command = [sys.executable, "-m", "labkit.cli", "release", "--root", str(root)]
    done = subprocess.run(command, env=os.environ | _here(root), capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"the exercise is written, but not released: {done.stderr.strip()}")


def _here(root: Path) -> dict[str, str]:
    """Return what has another process take labkit from the project."""
    return {"PYTHONPATH": str(root.resolve())}
