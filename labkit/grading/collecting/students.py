"""Who handed in: one folder for each student, or a notebook that lies loose among the folders."""

import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

NOTEBOOK = (".ipynb", ".ipynb.txt", ".ipynb.json")
"""How the name of a notebook ends; browsers and editors add the last two."""
RUBBISH = (
    *("__macosx", ".ds_store", "thumbs.db", "desktop.ini"),
    *(".ipynb_checkpoints", ".git", ".labkit", ".vscode", ".idea"),
)
"""What systems and programs leave behind: nobody's work, and not worth a word."""


@dataclass(frozen=True)
class Student:
    """Somebody whose work is there.

    Attributes
    ----------
    name : str
        As in the gradebook: the name of their folder.
    places : tuple of Path
        Their folder, or their files where these lie loose.
    """

    name: str
    places: tuple[Path, ...]


@dataclass(frozen=True)
class PassedOver:
    """Something that was left alone, and why."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


def students(submissions: Path, out: Path) -> tuple[list[Student], list[PassedOver]]:
    """Return who handed in, by name, and what else lies there.

    Raises
    ------
    ValueError
        If nobody did, or the results would lie among the submissions.
    """
    if not submissions.is_dir():
        hint = " `labkit collect` makes one of a zip." if submissions.is_file() else ""
        raise ValueError(
            f"{submissions} is no folder; expected the folder of all submissions.{hint}"
        )
    one, other = submissions.resolve(), out.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise ValueError(
            f"the submissions ({submissions}) and the results ({out}) lie inside one another; "
            "choose folders apart."
        )
    folders: dict[str, Path] = {}
    loose: dict[str, list[Path]] = defaultdict(list)
    passed: list[PassedOver] = []
    for path in sorted(submissions.iterdir()):
        if is_rubbish(path.name):
            continue
        name, why = _owner(path)
        if why:
            passed.append(PassedOver(path.name, why))
        elif _is_folder(path):
            folders[name] = path
        else:
            loose[name].append(path)
    for name in sorted(folders.keys() & loose.keys()):
        why = f"lies beside the folder {name}, which was graded"
        passed += [PassedOver(path.name, why) for path in loose.pop(name)]
    if not folders and not loose:
        raise ValueError(
            f"{submissions} holds no folders; expected one for each student, with their notebook."
        )
    found = [Student(name, (path,)) for name, path in folders.items()]
    found += [Student(name, tuple(paths)) for name, paths in loose.items()]
    return sorted(found, key=lambda student: student.name), passed


def is_rubbish(name: str) -> bool:
    """Return whether a name is one of those that nobody gave."""
    return name.casefold() in RUBBISH or name.startswith("._")


def is_notebook(name: str) -> bool:
    """Return whether a name is a notebook's."""
    return name.casefold().endswith(NOTEBOOK)


def parts(name: str) -> tuple[str, ...]:
    r"""Return the parts of a path, of which some programs keep "eve\lab1.ipynb" as one name."""
    return PurePosixPath(name.replace("\\", "/")).parts


def _owner(path: Path) -> tuple[str, str]:
    """Return whose something is that lies among the submissions, or why it is nobody's."""
    if path.name.startswith("."):
        return "", "its name begins with a dot"
    if _is_folder(path):
        return path.name, ""
    if not is_notebook(path.name):
        zipped = path.suffix.casefold() == ".zip"
        return "", "a zip; `labkit collect` unpacks it" if zipped else "no folder and no notebook"
    steps = parts(path.name)
    name = steps[0] if len(steps) > 1 else path.name.split(".ipynb")[0].strip()
    if name in ("", "/", "..") or name.startswith("."):
        return "", "its name tells nobody's"
    return name, ""


def _is_folder(path: Path) -> bool:
    # A link to a folder stands for one, and is refused as a student's.
    return path.is_dir() or (path.is_symlink() and not is_notebook(path.name))


def notebooks(place: Path, depth: int = 4, most: int = 1000) -> list[Path]:
    """Return the notebooks in a student's folder and below it, in order; links are not followed.

    Parameters
    ----------
    place : Path
        The folder, or a notebook itself.
    depth : int
        How many folders down to look.
    most : int
        How many names to look at.
    """
    if not stat.S_ISDIR(place.lstat().st_mode):
        return [place]
    found = islice(_entries(place, depth), most)
    return [
        Path(entry.path)
        for entry in found
        if is_notebook(parts(entry.name)[-1]) and not entry.is_dir(follow_symlinks=False)
    ]


def others(place: Path, depth: int = 4, most: int = 1000) -> list[Path]:
    """Return the regular files in a student's folder and below it that are no notebooks."""
    return [
        Path(entry.path)
        for entry in islice(_entries(place, depth), most)
        if entry.is_file(follow_symlinks=False) and not is_notebook(parts(entry.name)[-1])
    ]


def _entries(place: Path, depth: int) -> Iterator["os.DirEntry[str]"]:
    """Yield what is in a folder and in those below it; not what is hidden."""
    ahead = [(place, 0)]
    while ahead:
        folder, level = ahead.pop(0)
        with os.scandir(folder) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
        for entry in inside:
            if entry.name.startswith(".") or is_rubbish(entry.name):
                continue
            yield entry
            if entry.is_dir(follow_symlinks=False) and level < depth:
                ahead.append((Path(entry.path), level + 1))
