"""`labkit start`: a student's own copy of the labs, in which nothing of theirs is overwritten.

A record beside the copies, ``.labkit/start.json``, says what each file was when it was copied. A
file that came from the release at hand is the student's work on it and stays; where a newer
release has come since, its copy lands beside the old one, under a name that is free.
"""

import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labkit import __version__
from labkit.checks import selection
from labkit.files import write_whole

# A course of one's own has its own labs; an installed package holds them; in a checkout, in the
# students' zip and in an editable install they stand beside it.
_FOLDERS = (selection.folder(), Path(__file__).parent, Path(__file__).parents[1])
_PLACES = [folder / "labs" for folder in _FOLDERS if folder is not None]
LABS = next((place for place in _PLACES if place.is_dir()), _PLACES[-1])
RECORD = Path(".labkit") / "start.json"


@dataclass(frozen=True)
class Placed:
    """What became of one file.

    Attributes
    ----------
    name : str
        Its name in the student's folder.
    is_new : bool
        Whether it was copied now; else it was there already.
    older : tuple of str
        The files of the same lab that were there before.
    """

    name: str
    is_new: bool
    older: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.is_new:
            return f"{self.name}: yours, left as it is"
        if self.older:
            return f"{self.name}: a newer release, beside your {', '.join(self.older)}"
        return f"{self.name}: copied"


def start(folder: Path, labs: Path = LABS) -> list[Placed]:
    """Copy the labs into a folder, beside what a student has there.

    Parameters
    ----------
    folder : Path
        The student's folder; made if it is missing.
    labs : Path
        The released labs.

    Returns
    -------
    list of Placed
        One for each lab, and those of the map of the course; not its pictures.

    Raises
    ------
    ValueError
        If there are no labs to copy, if `folder` is the folder of the labs itself, or if its
        record cannot be read.
    """
    patterns = ("lab*.ipynb", "index.ipynb", "*.md", "pictures/*")
    sources = [path for pattern in patterns for path in sorted(labs.glob(pattern))]
    if not sources:
        raise ValueError(
            f"{labs} holds no lab*.ipynb: this labkit was installed without its labs. Run the "
            "command in the course's folder, or name the folder of the labs with --labs."
        )
    if folder.resolve() == labs.resolve():
        raise ValueError(f"{folder} is the labs' own folder; expected another one, to copy into.")
    folder.mkdir(parents=True, exist_ok=True)
    origins = _read(folder)
    placed = []
    for source in sources:
        name = source.relative_to(labs).as_posix()
        (folder / name).parent.mkdir(exist_ok=True)
        place = _place(folder, name, source.read_bytes(), origins)
        if source.parent == labs:
            placed.append(place)
    _write(folder, origins)
    return placed


def notice(notebook: Path | None) -> str:
    """Return what to tell a student whose notebook came from another release of labkit, or "".

    Parameters
    ----------
    notebook : Path, optional
        The one that runs; None if nobody knows.
    """
    if notebook is None:
        return ""
    try:
        made_by = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]["labkit"]["version"]
    except (OSError, ValueError, TypeError, KeyError):
        return ""  # a notebook that says nothing about it
    if made_by == __version__:
        return ""
    return (
        f"This notebook was made for labkit {made_by}, and labkit {__version__} is installed: its "
        "checks may ask for something else. `labkit start .` puts the new notebook beside this "
        "one, which stays as it is."
    )


def _place(folder: Path, name: str, content: bytes, origins: dict[str, str]) -> Placed:
    origin = hashlib.sha256(content).hexdigest()
    older: list[str] = []
    candidates = _names(name)
    while True:
        candidate = next(candidates)
        path = folder / candidate
        try:
            with path.open("xb") as file:  # fails where anything stands, whoever put it there
                file.write(content)
        except FileExistsError:
            if origins.get(candidate) == origin:
                return Placed(candidate, is_new=False)
            if path.is_file() and path.read_bytes() == content:
                origins[candidate] = origin
                return Placed(candidate, is_new=False)
            older.append(candidate)
        else:
            origins[candidate] = origin
            return Placed(candidate, is_new=True, older=tuple(older))


def _names(name: str) -> Iterator[str]:
    """Give "lab1.ipynb", "lab1_2.ipynb", "lab1_3.ipynb" and so on."""
    stem, suffix = os.path.splitext(name)
    yield name
    for number in itertools.count(2):
        yield f"{stem}_{number}{suffix}"


def _read(folder: Path) -> dict[str, str]:
    path = folder / RECORD
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {name: origin.lower() for name, origin in record.items()}
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} is not what `labkit start` wrote there; delete it and run this again. Your "
            "notebooks stay as they are."
        ) from error


def _write(folder: Path, origins: dict[str, str]) -> None:
    path = folder / RECORD
    write_whole(path, json.dumps(origins, indent=1, sort_keys=True) + "\n")
