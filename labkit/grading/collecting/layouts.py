"""How learning platforms name the files that they hand out: whose each one is.

| platform | a file in it |
|---|---|
| Moodle | `Ada Lovelace_7_assignsubmission_file/lab1.ipynb`, or `_` for the last `/` |
| Canvas | `lovelaceada_LATE_101_5001_lab1.ipynb`: who, late, number, the file's number and name |
| Gradescope | `submission_42/lab1.ipynb`, and who that is in `submission_metadata.yml` |
| nbgrader | `submitted/ada/lab1/lab1.ipynb` |
| its exchange | `ada+lab1+2026-01-31 10:00:00 UTC/lab1.ipynb` |
| folders | `ada/lab1.ipynb` |
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labkit.grading.collecting.archive import Member, Unreadable

MOODLE = re.compile(r"(?P<who>.+_\d+)_assignsubmission_[a-z]+_?(?P<file>.*)")
CANVAS = (
    re.compile(r"(?P<who>[^_]+)_(?P<late>late_)?(?P<number>\d+)_\d+_(?P<file>.+)", re.I),
    # Marked without names.
    re.compile(r"(?P<who>anon)_(?P<number>\w+?)_(?P<late>late_)?\d+_(?P<file>.+)", re.I),
    # Text that was typed there, and links.
    re.compile(
        r"(?P<who>[^_]+)_(?P<late>late_)?(?P<number>\d+)_(?P<file>(text|link|url)\.html)", re.I
    ),
)
EXCHANGE = re.compile(r"(?P<who>[^+]+)\+[^+]+\+(?P<time>\d{4}-\d\d-\d\d[^+]*)(\+.*)?")
METADATA = "submission_metadata.yml"
WRAPPERS = ("submitted", "submissions")


@dataclass(frozen=True)
class Owned:
    """A file and whose it is.

    Attributes
    ----------
    students : tuple of str
        Whose; several for the work of a group, none if that cannot be told.
    file : str
        Its name, without what the platform added.
    late : bool
        Whether the platform calls it late.
    time : str
        When it was handed in, if its name says so.
    is_loose : bool
        Whether it lies in no folder and is named after its student.
    """

    students: tuple[str, ...]
    file: str
    late: bool = False
    time: str = ""
    is_loose: bool = False


Layout = Callable[[tuple[str, ...]], Owned]
PLATFORMS = ("Moodle", "Canvas", "Gradescope")
"""Those whose downloads cannot be mistaken."""


def layout(found: Sequence[Member]) -> tuple[str, Layout]:
    """Return which platform the files are from, and what tells whose each one is."""
    paths = [member.path for member in found]
    if any(MOODLE.fullmatch(part) for path in paths for part in path):
        return "Moodle", _moodle
    for member in found:
        if member.path[-1] == METADATA:
            return "Gradescope", _gradescope(member)
    flat = sum(len(path) <= 2 and _canvas_match(path[-1]) is not None for path in paths)
    if paths and 2 * flat > len(paths):
        return "Canvas", _canvas
    if any(EXCHANGE.fullmatch(part) for path in paths for part in path):
        return "nbgrader's exchange", _exchange
    for wrapper in WRAPPERS:
        if any(wrapper in path[:-2] for path in paths):
            return "nbgrader" if wrapper == "submitted" else "folders", _below(wrapper)
    tops = {path[0] for path in paths if len(path) > 1}
    seconds = Counter(path[1] for path in paths if len(path) > 2)
    if len(tops) == 1 and len(seconds) > 1 and all(len(path) > 1 for path in paths):
        return "folders", _below(*tops)
    return "folders", _folders


def _moodle(path: tuple[str, ...]) -> Owned:
    for index, part in enumerate(path):
        if found := MOODLE.fullmatch(part):
            return Owned((found["who"],), path[-1] if index + 1 < len(path) else found["file"])
    return Owned((), path[-1])


def _canvas_match(name: str) -> "re.Match[str] | None":
    return next((found for pattern in CANVAS if (found := pattern.fullmatch(name))), None)


def _canvas(path: tuple[str, ...]) -> Owned:
    found = _canvas_match(path[-1])
    if found is None:
        return Owned((), path[-1])
    return Owned((f"{found['who']}_{found['number']}",), found["file"], found["late"] is not None)


def _gradescope(metadata: Member) -> Layout:
    """Read who is behind each submission.

    Raises
    ------
    ValueError
        If the file does not say it.
    """
    import yaml

    try:
        # Strings, lists and mappings: tags that could make anything else are not looked at.
        loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
        listed = yaml.load(metadata.read(), loader)
        people = {
            str(folder): tuple(_gradescope_name(one) for one in about[":submitters"])
            for folder, about in listed.items()
        }
    except (yaml.YAMLError, Unreadable, AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{METADATA} does not say who handed in ({type(error).__name__}: {str(error)[:80]}); "
            "expected Gradescope's, with the submitters of each submission."
        ) from None

    def owner(path: tuple[str, ...]) -> Owned:
        for part in path[:-1]:
            if part in people:
                return Owned(people[part], path[-1])
        return Owned((), path[-1])

    return owner


def _gradescope_name(submitter: dict[str, str]) -> str:
    """Return the address, which names one person; else the number, else the name."""
    fields = (submitter.get(key, "").strip() for key in (":email", ":sid", ":name"))
    return next(filter(None, fields), "")


def _exchange(path: tuple[str, ...]) -> Owned:
    for part in path[:-1]:
        if found := EXCHANGE.fullmatch(part):
            return Owned((found["who"],), path[-1], time=found["time"])
    return Owned((), path[-1])


def _below(folder: str) -> Layout:
    def owner(path: tuple[str, ...]) -> Owned:
        if folder not in path[:-2]:
            return _folders(path[-1:]) if path[:-1] == (folder,) else Owned((), path[-1])
        return _folders(path[path.index(folder) + 1 :])

    return owner


def _folders(path: tuple[str, ...]) -> Owned:
    if len(path) > 1:
        return Owned((path[0],), path[-1])
    name = path[0].rsplit(".ipynb", 1)[0].removesuffix(".zip").strip()
    return Owned((name,), path[0], is_loose=True)
