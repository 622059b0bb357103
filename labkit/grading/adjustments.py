"""What an instructor changes by hand: days late, points, comments, from a CSV file.

The file has a column ``student`` and any of ``days_late``, ``extra`` (points to add), ``comment``,
and exercises by their number: ``1.3`` holds points that replace those of the grader. An empty cell
changes nothing. What spreadsheets make of such a file is read, or refused with its line.
"""

import difflib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from labkit.grading.course import Course
from labkit.grading.judging.results import Graded, Record
from labkit.grading.printing import defused
from labkit.grading.reports.sheets.table import Table, decoded

COLUMNS = ("student", "days_late", "extra", "comment")
EXERCISE = re.compile(r"(?:ex(?:ercise)?[ ._-]*)?(\d+[.-]\d+)")
DECIMAL_COMMA = re.compile(r"-?\d+,\d{1,2}")
SPREADSHEET = "a spreadsheet saves 1.10 as 1.1, or as a date"


@dataclass(frozen=True)
class Adjustment:
    """One row of the file.

    Attributes
    ----------
    days_late : float
        0 or more.
    extra : float
        Points to add; fewer than none takes some away.
    comment : str
        What the student reads.
    points : mapping
        Exercise to points that replace the grader's.
    """

    days_late: float = 0.0
    extra: float = 0.0
    comment: str = ""
    points: Mapping[str, float] = field(default_factory=dict)


def read_adjustments(path: Path, course: Course) -> dict[str, Adjustment]:
    """Return the adjustment of each student in the file.

    Raises
    ------
    ValueError
        If there is a column, a number or a second row for a student that makes no sense.
    """
    table = Table.read(decoded(path.read_bytes(), str(path)), str(path))
    most = {task.exercise.id: task.exercise.points for task in course.tasks}
    columns = _columns(path, table.head, most)
    found: dict[str, Adjustment] = {}
    for row in table.rows:
        cells = [cell.strip() for cell in row.cells]
        if not any(cells):
            continue  # spreadsheets write such rows below a table
        where = f"{path}, line {row.number},"
        if any(cells[len(columns) :]):
            raise ValueError(f"{where} has a row with more cells than there are columns.")
        values = {key: cell for key, cell in zip(columns, cells, strict=False) if cell}
        if "" in values:
            raise ValueError(f"{where} has {values['']!r} in a column without a name.")
        student = values.pop("student", "")
        if not student:
            raise ValueError(f"{where} names no student; expected a name in the column student.")
        if any(same_name(student, other) for other in found):
            raise ValueError(f"{where} has two rows for {student!r}; join them.")
        comment = values.pop("comment", "")
        numbers = {
            key: _number(where, student, key, text, most.get(key)) for key, text in values.items()
        }
        days, extra = numbers.pop("days_late", 0.0), numbers.pop("extra", 0.0)
        found[student] = Adjustment(days, extra, comment, numbers)
    return found


def _columns(path: Path, head: Sequence[str], most: Mapping[str, float]) -> list[str]:
    """Return the name of each column as `Adjustment` knows it; "" for one without a name.

    Spreadsheets save the column 1.10 as 1.1, and some make a date of either. So "1.1" alone is
    refused where there is a 1.10; with a word in front, both are told apart.
    """
    names = [" ".join(name.split()).casefold() for name in head]
    columns = [_column(name) for name in names]
    expected = f"expected student and any of {', '.join([*COLUMNS[1:], *most])}"
    for name, column in zip(head, columns, strict=True):
        if column not in ("", *COLUMNS, *most):
            hint = f" ({SPREADSHEET})" if any(c.isdigit() for c in name) else ""
            raise ValueError(f"{path} has the column {name!r}; {expected}{hint}.")
    if columns and "student" not in columns:
        raise ValueError(f"{path} has no column 'student'; {expected}.")
    for column, count in Counter(filter(None, columns)).items():
        longer = f"{column}0"
        unclear = column in names and longer in most and longer not in columns
        if count > 1 or unclear:
            which = f"may be {column} or {longer}" if unclear else "is there more than once"
            raise ValueError(
                f"{path}: the column {column!r} {which} ({SPREADSHEET}). Name it 'exercise "
                f"{column}'" + (f" or 'exercise {longer}'." if longer in most else ".")
            )
    return columns


def _column(name: str) -> str:
    """Return "1.10" for "Exercise 1.10" and "exercise-1-10", "days_late" for "Days late"."""
    if found := EXERCISE.fullmatch(name):
        return found[1].replace("-", ".")
    return name.replace(" ", "_")


def same_name(one: str, other: str) -> bool:
    """Return whether two names are the same to a reader: accents are written in two ways."""
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def _number(where: str, student: str, key: str, text: str, most: float | None) -> float:
    try:
        value = float(text.replace(",", ".") if DECIMAL_COMMA.fullmatch(text) else text)
    except ValueError:
        value = math.nan
    wrong = (key == "days_late" and value < 0) or (most is not None and not 0 <= value <= most)
    if not math.isfinite(value) or wrong:
        wanted = "a number" if key == "extra" else "0 or more"
        wanted = wanted if most is None else f"0 to {most:g}"
        raise ValueError(f"{where} has {text!r} as {key} of {student!r}; expected {wanted}.")
    return value


def adjust(
    records: Iterable[Record], adjustments: Mapping[str, Adjustment], late_penalty: float
) -> list[Record]:
    """Return the records with what was changed by hand.

    Parameters
    ----------
    records : iterable of Record
        As graded.
    adjustments : mapping
        Student to adjustment; a name may stand as the gradebook writes it.
    late_penalty : float
        Percent of the points that each day late costs, up to all of them.

    Raises
    ------
    ValueError
        If an adjustment is for nobody in the class, or for an exercise that was not graded.
    """
    if not 0 <= late_penalty <= 100:
        raise ValueError(f"the late penalty is {late_penalty:g} percent a day; expected 0 to 100.")
    records, left = list(records), dict(adjustments)
    adjusted = []
    for record in records:
        spellings = (record.student, defused(record.student))
        name = next((n for n in left if any(same_name(n, one) for one in spellings)), "")
        adjusted.append(_adjusted(record, left.pop(name, Adjustment()), late_penalty))
    if left:
        folders = [record.student for record in records]
        names = ", ".join(_with_nearest(name, folders) for name in sorted(left))
        raise ValueError(f"there is no submission of {names}; compare the names of the folders.")
    return adjusted


def _with_nearest(name: str, folders: Sequence[str]) -> str:
    """Return a name, and the folder that may be meant: of the same name, say, with a number."""
    nearest = difflib.get_close_matches(name, folders, 1)
    return f"{name!r} (is it {nearest[0]!r}?)" if nearest else repr(name)


def _adjusted(record: Record, adjustment: Adjustment, late_penalty: float) -> Record:
    graded = tuple(
        _by_hand(one, adjustment.points[one.exercise]) if one.exercise in adjustment.points else one
        for one in record.graded
    )
    if adjustment.points and not graded:
        raise ValueError(
            f"{record.student!r} has no graded exercises ({record.status}); give points as extra."
        )
    changed = [g.exercise for g in graded if g.exercise in adjustment.points]
    flags = (f"{exercise}: points given by hand" for exercise in changed)
    record = replace(record, graded=graded, flags=(*record.flags, *flags))
    lost = min(1.0, adjustment.days_late * late_penalty / 100)
    return replace(
        record, late=record.points * lost, extra=adjustment.extra, comment=adjustment.comment
    )


def _by_hand(graded: Graded, points: float) -> Graded:
    summary = f"{graded.summary} Your instructor gave the points by hand.".lstrip()
    return replace(graded, points=points, summary=summary)
