"""From `solutions/` to `labs/`: the notebooks that students get.

Between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` stands what students do not see; a line that
raises NotImplementedError takes its place. ``### BEGIN HIDDEN TESTS`` to ``### END HIDDEN TESTS``
goes without a trace. Outputs are cleared. The same solution gives the same bytes.

What could hand a solution out is refused, in the words of `labkit.grading.releasing`.
"""

import hashlib
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from labkit import __version__
from labkit.checks import registry
from labkit.grading.course_map import course_map, index
from labkit.grading.releasing.identity import ids, kept_metadata, read_solution
from labkit.grading.releasing.leaks import leak, stub_reason
from labkit.grading.releasing.regions import MARKS, cut, has_mark

ANSWER, CHECK = "exercise-", "check-"
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
    "labkit": {"version": __version__},
}
NEW_CELL = {
    "code": nbformat.v4.new_code_cell,
    "markdown": nbformat.v4.new_markdown_cell,
    "raw": nbformat.v4.new_raw_cell,
}
_MARKED = " and ".join(list(MARKS)[::2])
_A_MARK = "a mark of a solution or hidden-test region"
BUNDLED = (
    "README.md",
    "LICENSE",
    "NOTICE.md",
    "requirements.txt",
    "pyproject.toml",
    "setup.py",
    "etc",
    "labs",
    "labkit",
)


@dataclass(frozen=True)
class Stale:
    """A lab that is not what its solution would release."""

    name: str
    reason: str


def grade_id(cell: NotebookNode) -> str:
    """Return the nbgrader id of a cell, or an empty string."""
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))


def exercise_id(cell: NotebookNode) -> str:
    """Return "1.3" for a cell with the grade_id "exercise-1-3" or "check-1-3", else ""."""
    name = grade_id(cell)
    for prefix in (ANSWER, CHECK):
        if name.startswith(prefix):
            return name.removeprefix(prefix).replace("-", ".")
    return ""


def release_notebook(solution: NotebookNode, name: str) -> NotebookNode:
    """Return the student's copy of a solved notebook that was run.

    Parameters
    ----------
    solution : NotebookNode
        The notebook from `solutions/`.
    name : str
        Its stem, for messages and for finding the exercises that it must hold.

    Raises
    ------
    ValueError
        As `student_copy`, or if a code cell was never run or holds an error.
    """
    _require_executed(solution, name)
    return student_copy(solution, name)


def student_copy(solution: NotebookNode, name: str) -> NotebookNode:
    """Return the student's copy of a solved notebook, whether it was run or not.

    Parameters
    ----------
    solution, name
        As for `release_notebook`.

    Raises
    ------
    ValueError
        If a part of a solution would be handed out, or the cells do not agree with the exercises of
        the lab.
    """
    _require_exercises(solution, name)
    lab = nbformat.v4.new_notebook(metadata=dict(NOTEBOOK_METADATA))
    solutions: dict[str, tuple[str, ...]] = {}
    for cell, key in zip(solution.cells, ids(solution.cells), strict=True):
        source = cell.source
        if cell.cell_type == "code":
            source = _student_source(cell, key, name, solutions)
        elif has_mark(source):
            raise ValueError(f"{_place(cell, key, name)} holds {_A_MARK} and is no code cell.")
        copy = NEW_CELL[cell.cell_type](source, metadata=kept_metadata(cell.metadata))
        if "attachments" in cell:
            copy["attachments"] = cell["attachments"]
        copy["id"] = key
        lab.cells.append(copy)
    functions = [exercise.function for exercise in registry.exercises(_number(name))]
    if found := leak(lab.cells, solutions, functions):
        raise ValueError(f"{_place(found[0], found[0]['id'], name)} holds {found[1]}.")
    code = [cell.source for cell in lab.cells if cell.cell_type == "code"]
    release_mark = hashlib.sha256(repr(code).encode()).hexdigest()[:12]
    lab.metadata["labkit"] = {"version": __version__, "release": release_mark}
    nbformat.validate(lab)
    return lab


def read(path: Path) -> NotebookNode:
    """Return the solved notebook in a file; raises as `read_solution`."""
    return read_solution(path.read_text("utf-8-sig"), path.name)


def release(root: Path, check: bool = False) -> list[Stale]:
    """Write `labs/`, with its map of the course, from `solutions/` under `root`, or only compare.

    Parameters
    ----------
    root : Path
        The project's folder.
    check : bool
        Write nothing; return the labs that differ.

    Returns
    -------
    list of Stale
        With `check`: what is missing, different, or has no solution. Otherwise empty.

    Raises
    ------
    ValueError
        As `release_notebook`, or if there is nothing to release.
    """
    solutions = sorted((root / "solutions").glob("lab*.ipynb"))
    if not solutions:
        raise ValueError(f"{root / 'solutions'} holds no lab*.ipynb; run this in the project.")
    labs = {path.name: release_notebook(read(path), path.stem) for path in solutions}
    numbered = {_number(Path(name).stem): lab for name, lab in labs.items()}
    notebooks = labs | {"index.ipynb": index(numbered, NOTEBOOK_METADATA)}
    texts = {name: nbformat.writes(notebook) + "\n" for name, notebook in notebooks.items()}
    texts["README.md"] = course_map(numbered)
    stale = []
    for name, text in texts.items():
        target = root / "labs" / name
        current = target.read_text(encoding="utf-8") if target.exists() else None
        if current == text:
            continue
        if check:
            reason = "is missing" if current is None else "differs from what its solution releases"
            stale.append(Stale(name, reason))
        else:
            _write_whole(target, text)
    for path in sorted((root / "labs").glob("lab*.ipynb")):
        if path.name not in labs:
            stale.append(Stale(path.name, "has no solution"))
    return stale


def bundle(root: Path, target: Path) -> list[str]:
    """Write a zip for students: the labs and the package, without solutions and tests.

    Returns
    -------
    list of str
        The names in the zip. The same tree gives the same bytes.
    """
    files = []
    for entry in BUNDLED:
        path = root / entry
        found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        files += [file for file in found if _bundled(file.relative_to(root))]
    names = [file.relative_to(root).as_posix() for file in files]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, name in zip(files, names, strict=True):
            # A fixed time stamp: the default is the file's own, which differs between checkouts.
            info = zipfile.ZipInfo(f"quantization-labs/{name}", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, file.read_bytes())
    return names


def _bundled(path: Path) -> bool:
    return not any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def _student_source(
    cell: NotebookNode, key: str, name: str, solutions: dict[str, tuple[str, ...]]
) -> str:
    """Return a code cell as students get it, and note in `solutions` what was cut out of it."""
    number = exercise_id(cell)
    is_answer = grade_id(cell).startswith(ANSWER)
    try:
        found = cut(cell.source, f'raise NotImplementedError("Exercise {number}")')
    except ValueError as error:
        raise ValueError(f"{_place(cell, key, name)}: {error}.") from None
    if found.solutions and not is_answer:
        raise ValueError(
            f"{_place(cell, key, name)} holds a solution but no nbgrader grade_id of the form "
            f'"{ANSWER}1-3".'
        )
    if is_answer:
        solutions[number] = found.solutions
        if reason := stub_reason(found.source, cell.source):
            raise ValueError(f"{_place(cell, key, name)}: {reason}. Mark it with {_MARKED}.")
    return found.source


def _place(cell: NotebookNode, key: str, name: str) -> str:
    """Say which cell a message is about."""
    number = exercise_id(cell)
    return f"{name}: cell {key}" + (f" (exercise {number})" if number else "")


def _number(stem: str) -> int:
    for number, known in registry.STEMS.items():
        if known == stem:
            return number
    raise ValueError(f"{stem} is no lab that labkit.checks.registry knows.")


def _require_executed(solution: NotebookNode, name: str) -> None:
    for position, cell in enumerate(solution.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if cell.execution_count is None:
            raise ValueError(
                f"{name}: code cell {position} was never run, and nbval would compare nothing "
                "there. Run the whole notebook and save it."
            )
        if any(output.output_type == "error" for output in cell.outputs):
            raise ValueError(f"{name}: code cell {position} ended in an error. Repair it first.")


def _require_exercises(solution: NotebookNode, name: str) -> None:
    """Refuse a notebook whose cells and declared exercises differ in number, order or points."""
    number = _number(name)
    wanted = [(e.id, e.points) for e in registry.exercises(number)]
    answers = [exercise_id(c) for c in solution.cells if grade_id(c).startswith(ANSWER)]
    checks = [
        (exercise_id(c), c.metadata.nbgrader.get("points"))
        for c in solution.cells
        if grade_id(c).startswith(CHECK)
    ]
    doubled = [
        key for key, count in Counter(map(grade_id, solution.cells)).items() if key and count > 1
    ]
    if doubled:
        raise ValueError(f"{name}: the grade_id {doubled[0]} stands on more than one cell.")
    if checks != wanted or answers != [key for key, _ in wanted]:
        raise ValueError(
            f"{name}: the notebook has answers {answers} and checks with points {checks}; the "
            f"exercises declared for lab {number} are {wanted}."
        )


def _write_whole(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
