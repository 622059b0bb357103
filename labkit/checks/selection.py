"""The part of the course that a class takes: `labkit/data/course.toml`, if there is one.

    exercises = "exercises"
    colab = "https://example.org/students.zip"

    [labs.1]
    due = 2027-03-01
    leave_out = ["1.10", "1.11"]
    points = {"1.3" = 4}
    extra = ["1.9"]

    [labs.4]

These are two labs, the second one whole. What is left out of a lab is given in it: its cells stay,
with the solution in them, since later ones build on it. `exercises` names a folder beside the file
with exercises of the class's own (`labkit.checks.own`), `colab` what pip installs there.
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it loads torch
    from labkit.checks.exercise import Exercise

FILE = Path(__file__).parents[1] / "data" / "course.toml"


ADDRESS = re.compile(r"(?:(?:git\+)?https://[^\s\"'$`{}\\]+)?")


@dataclass(frozen=True)
class Selected:
    """What a class takes of one lab.

    Attributes
    ----------
    leave_out : tuple of str
        Exercises that are given.
    points : mapping
        Exercise to points, where these are not the declared ones.
    extra, core : tuple of str
        Exercises that the core path leaves out, or takes, other than declared.
    due : date, optional
        When it is handed in.
    """

    leave_out: tuple[str, ...] = ()
    points: Mapping[str, int] = field(default_factory=dict)
    extra: tuple[str, ...] = ()
    core: tuple[str, ...] = ()
    due: date | None = None

    def applied(self, exercises: Sequence["Exercise"]) -> tuple["Exercise", ...]:
        """Return the exercises that are taken, with the points and paths of this class.

        Raises
        ------
        ValueError
            If an exercise is named that the lab does not have, or none would be left.
        """
        known = [exercise.id for exercise in exercises]
        for named in (*self.leave_out, *self.points, *self.extra, *self.core):
            if named not in known:
                raise ValueError(f"{file()} names exercise {named!r}; expected one of {known}.")
        taken = tuple(self._applied(e) for e in exercises if e.id not in self.leave_out)
        if not taken:
            raise ValueError(f"{file()} leaves out all of {known}; leave out the lab instead.")
        return taken

    def _applied(self, exercise: "Exercise") -> "Exercise":
        is_extra = exercise.id in self.extra or (exercise.extra and exercise.id not in self.core)
        points = self.points.get(exercise.id, exercise.points)
        return replace(exercise, points=points, extra=is_extra)


def file() -> Path:
    """Return where the selection stands: in the package, or where LABKIT_COURSE says."""
    return Path(os.environ.get("LABKIT_COURSE") or FILE)


def folder() -> Path | None:
    """Return the folder of a course that lies outside of the package, with its `labs/`, or None."""
    return None if file() == FILE else file().absolute().parent


def own_folder() -> Path | None:
    """Return the folder of the class's own exercises, or None.

    Raises
    ------
    ValueError
        If the file cannot be read, or names no folder beside it.
    """
    path = file()
    named = _read(path).get("exercises")
    if named is None:
        return None
    if not isinstance(named, str) or not named or Path(named).name != named:
        raise ValueError(f'{path} has exercises = {named!r}; expected a name like "exercises".')
    if not (found := path.absolute().parent / named).is_dir():
        raise ValueError(
            f"{path} names the exercises {named!r}, but {found} is no folder. Make it."
        )
    return found


def colab() -> str:
    """Return what pip installs the course from on Colab: an address, or "".

    Raises
    ------
    ValueError
        If the file cannot be read, or names no address.
    """
    path = file()
    address = _read(path).get("colab", "")
    if not isinstance(address, str) or not ADDRESS.fullmatch(address):
        expected = 'an address like "https://example.org/students.zip" or "git+https://..."'
        raise ValueError(f"{path} has colab = {address!r}; expected {expected}.")
    return address


def selection(labs: Sequence[int]) -> dict[int, Selected]:
    """Return what the class takes of each lab: everything, where no file names labs.

    Parameters
    ----------
    labs : sequence of int
        The labs that there are.

    Raises
    ------
    ValueError
        If the file cannot be read, or names what is not there.
    """
    path = file()
    tables = _read(path).get("labs", {str(lab): {} for lab in labs})
    if not isinstance(tables, dict) or not tables:
        raise ValueError(f"{path} has labs = {tables!r}; expected tables like [labs.1].")
    found = {}
    for name, table in tables.items():
        if not name.isdecimal() or int(name) not in labs or not isinstance(table, dict):
            raise ValueError(f"{path} has [labs.{name}]; expected one of {[*labs]}.")
        found[int(name)] = _selected(path, name, table)
    return dict(sorted(found.items()))


def _read(path: Path) -> dict[str, Any]:
    """Return what the file says; nothing where there is none in the package."""
    if not path.is_file():
        if path != FILE:
            raise ValueError(f"LABKIT_COURSE names {path}, which is no file.")
        return {}
    try:
        chosen = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML file: {error}") from None
    unknown = [key for key in chosen if key not in ("labs", "exercises", "colab")]
    if unknown or not chosen:
        raise ValueError(
            f"{path} has {unknown or 'nothing in it'}; expected tables like [labs.1], and "
            'exercises = "FOLDER" or colab = "ADDRESS" above them.'
        )
    return chosen


def _selected(path: Path, lab: str, table: Mapping[str, Any]) -> Selected:
    where = f"{path}, [labs.{lab}]:"
    for key, value in table.items():
        if key in ("leave_out", "extra", "core"):
            fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
            wanted = 'a list like ["1.3"]'
        elif key == "points":
            fits = isinstance(value, dict) and all(
                type(one) is int and one > 0 for one in value.values()
            )
            wanted = 'whole numbers like {"1.3" = 4}'
        elif key == "due":
            fits, wanted = type(value) is date, "a date like 2027-03-01, without quotes"
        else:
            known = "due, leave_out, points, extra and core"
            raise ValueError(f"{where} has {key!r}; expected some of {known}.")
        if not fits:
            raise ValueError(f"{where} {key} is {value!r}; expected {wanted}.")
    lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
    if both := set(lists.get("extra", ())) & set(lists.get("core", ())):
        raise ValueError(f"{where} {sorted(both)} cannot be both extra and core.")
    return Selected(**{**table, **lists})
