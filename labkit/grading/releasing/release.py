"""From `solutions/` to `labs/`: the notebooks that students get.

Between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` stands what students do not see; a line that
raises NotImplementedError takes its place. ``### BEGIN HIDDEN TESTS`` to ``### END HIDDEN TESTS``
goes without a trace. Outputs are cleared. The same solution gives the same bytes.

What could hand a solution out is refused, in the words of `labkit.grading.releasing`.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from labkit import __version__
from labkit.checks import own, registry, selection
from labkit.files import write_whole
from labkit.grading.files import zipped
from labkit.grading.releasing.cells import (
    ANSWER,
    CHECK,
    exercise_id,
    grade_id,
    lab_number,
    release_mark,
    require_no_leak,
    solutions,
    student_cells,
)
from labkit.grading.releasing.course_map import course_map, index, pictures
from labkit.grading.releasing.leaks import SHORTEST_ELSEWHERE
from labkit.grading.releasing.student_readme import student_readme
from labkit.grading.releasing.taking import read_taken

__all__ = ["ANSWER", "CHECK", "bundle", "exercise_id", "grade_id", "release", "release_notebook"]

NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
    "labkit": {"version": __version__},
}
README = "README.md"
# What of `labs/` is written by hand: a course of one's own gets it, too.
BY_HAND = ("cheatsheet.md", "AGENTS.md", "pictures/card.png")
BUNDLED = (
    README,
    "LICENSE",
    "NOTICE.md",
    "CITATION.cff",
    "CHANGELOG.md",
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


def release_notebook(solution: Mapping[str, Any], name: str) -> NotebookNode:
    """Return the student's copy of a solved notebook.

    Parameters
    ----------
    solution : mapping
        The notebook from `solutions/`.
    name : str
        Its stem, for messages and for finding the exercises that it must hold.

    Raises
    ------
    ValueError
        If a code cell was never run or holds an error, a part of a solution would be handed out, or
        the cells do not agree with the exercises of the lab.
    """
    _require_executed(solution["cells"], name)
    cells = student_cells(solution["cells"], name)
    made_for = {"labkit": {"version": __version__, "release": release_mark(cells)}}
    lab = nbformat.v4.new_notebook(metadata=NOTEBOOK_METADATA | made_for)
    lab.cells = nbformat.from_dict(cells)
    try:
        nbformat.validate(lab)
    except nbformat.ValidationError as error:
        raise ValueError(
            f"{name} would be no valid notebook: {error.message[:200]} (at {_where(error.path)})."
        ) from None
    return lab


def release(root: Path, check: bool = False) -> list[Stale]:
    """Write `labs/`, with its map of the course, from `solutions/` under `root`, or only compare.

    A course of one's own gets its labs in its own folder, and the project's stay as they are.

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
    paths = _solutions(root)
    if not paths:
        raise ValueError(f"{root / 'solutions'} holds no lab*.ipynb; run this in the project.")
    solved = {path.name: _read(path) for path in paths}
    labs = {name: release_notebook(each, Path(name).stem) for name, each in solved.items()}
    # What one lab asks for, no other one may hold.
    regions = [solutions(each["cells"]) for each in solved.values()]
    for name, lab in labs.items():
        for each in regions:
            require_no_leak(lab.cells, Path(name).stem, each, shortest=SHORTEST_ELSEWHERE)
    numbered = {lab_number(Path(name).stem): lab for name, lab in labs.items()}
    shown = pictures({lab_number(Path(name).stem): each for name, each in solved.items()})
    notebooks = labs | {"index.ipynb": index(numbered, NOTEBOOK_METADATA, shown)}
    texts = {name: nbformat.writes(notebook) + "\n" for name, notebook in notebooks.items()}
    texts["README.md"] = course_map(numbered, shown)
    files = {name: text.encode() for name, text in texts.items()} | shown
    by_hand = {name: root / "labs" / name for name in BY_HAND}
    files |= {name: path.read_bytes() for name, path in by_hand.items() if path.is_file()}
    stale = []
    for name, content in files.items():
        target = labs_folder(root) / name
        current = target.read_bytes() if target.exists() else None
        if current is not None and _lines(current) == _lines(content):
            continue
        if check:
            reason = "is missing" if current is None else "differs from what its solution releases"
            stale.append(Stale(name, reason))
        else:
            write_whole(target, content)
    for path in sorted(labs_folder(root).glob("lab*.ipynb")):
        if path.name not in labs:
            is_left = path.stem in registry.left_out()
            reason = "is no part of the course" if is_left else "has no solution"
            stale.append(Stale(path.name, reason))
    return stale


def labs_folder(root: Path) -> Path:
    """Return where the labs of the project in `root`, or of a course outside of it, are."""
    return (selection.folder() or root) / "labs"


def read_lab(path: Path) -> NotebookNode:
    """Return a solved notebook as the class takes it; raises as `read_taken`."""
    return nbformat.reads(json.dumps(_read(path)), as_version=4)


def bundle(root: Path, target: Path) -> list[str]:
    """Write a zip for students: the labs and the package, without solutions and tests.

    What makes the course, its `course.toml` with its own exercises, is in the package there.

    Returns
    -------
    list of str
        The names in the zip. The same tree gives the same bytes.
    """
    # A notebook that somebody left in labs/ may be a solved one.
    released = {"index.ipynb", *(path.name for path in _solutions(root))}
    sources: dict[str, Path] = {}
    for entry in BUNDLED:
        path = labs_folder(root) if entry == "labs" else root / entry
        found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        named = {entry / file.relative_to(path): file for file in found}
        sources |= {n.as_posix(): file for n, file in named.items() if _bundled(n, released)}
    sources |= _own_course()
    contents = {name: sources[name].read_bytes() for name in sorted(sources)}
    if README in contents:
        readme = contents[README].decode("utf-8")
        contents[README] = student_readme(readme, contents.keys()).encode()
    entries = ((f"quantization-labs/{name}", content) for name, content in contents.items())
    write_whole(target, zipped(entries))
    return [*contents]


def _own_course() -> dict[str, Path]:
    """Return what a course of one's own adds to the package, by its name there."""
    course, package = selection.file().absolute(), selection.FILE.parent.name
    if not course.is_file():
        return {}
    modules = (path for lab in registry.STEMS for path in own.files(lab))
    return {
        f"labkit/{package}/{path.relative_to(course.parent).as_posix()}": path
        for path in (course, *modules)
    }


def _bundled(path: Path, notebooks: Collection[str]) -> bool:
    if path.suffix == ".ipynb" and path.parts not in {("labs", name) for name in notebooks}:
        return False
    return not any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def _solutions(root: Path) -> list[Path]:
    """Return the solved labs, without those that the class does not take."""
    found = sorted((root / "solutions").glob("lab*.ipynb"))
    return [path for path in found if path.stem not in registry.left_out()]


def _read(path: Path) -> dict[str, Any]:
    return read_taken(path.read_text("utf-8-sig"), path.name)


def _require_executed(cells: Sequence[Mapping[str, Any]], name: str) -> None:
    for position, cell in enumerate(cells):
        if cell["cell_type"] != "code" or not cell["source"].strip():
            continue
        if cell.get("execution_count") is None:
            raise ValueError(
                f"{name}: code cell {position} was never run, and nbval would compare nothing "
                "there. Run the whole notebook and save it."
            )
        if any(output["output_type"] == "error" for output in cell.get("outputs", ())):
            raise ValueError(f"{name}: code cell {position} ended in an error. Repair it first.")


def _where(path: Iterable[str | int]) -> str:
    return "/".join(map(str, path))


def _lines(content: bytes) -> bytes:
    """Return content as it is with git's line ends on every system."""
    return content.replace(b"\r\n", b"\n")
