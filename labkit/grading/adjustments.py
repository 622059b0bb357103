"""What an instructor changes by hand: days late, points, comments, from a CSV file.

The file has a column ``student`` and any of ``days_late``, ``extra`` (points to add), ``comment``,
and exercises by their number: ``1.3`` holds points that replace those of the grader. An empty cell
changes nothing.
"""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from labkit.grading.course import Course
from labkit.grading.gradebook import defused
from labkit.grading.results import Graded, Record

COLUMNS = ("student", "days_late", "extra", "comment")


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
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    most = {task.exercise.id: task.exercise.points for task in course.tasks}
    if any(None in row for row in rows):
        raise ValueError(f"{path} has a row with more cells than there are columns.")
    names = [name for name in (rows[0] if rows else ()) if name not in (*COLUMNS, *most)]
    if names or (rows and "student" not in rows[0]):
        raise ValueError(
            f"{path} has the column {names[0] if names else None!r}; expected student and any of "
            f"{', '.join([*COLUMNS[1:], *most])}."
        )
    found: dict[str, Adjustment] = {}
    for row in rows:
        student = row["student"]
        if student in found:
            raise ValueError(f"{path} has two rows for {student!r}; join them.")
        numbers = {
            key: _number(path, student, key, text.strip(), most.get(key))
            for key, text in row.items()
            if key not in ("student", "comment") and text and text.strip()
        }
        days, extra = numbers.pop("days_late", 0.0), numbers.pop("extra", 0.0)
        found[student] = Adjustment(days, extra, (row.get("comment") or "").strip(), numbers)
    return found


def _number(path: Path, student: str, key: str, text: str, most: float | None) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    wrong = (key == "days_late" and value < 0) or (most is not None and not 0 <= value <= most)
    if not math.isfinite(value) or wrong:
        wanted = "a number" if key == "extra" else "0 or more"
        wanted = wanted if most is None else f"0 to {most:g}"
        raise ValueError(f"{path} has {text!r} as {key} of {student!r}; expected {wanted}.")
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
        name = record.student if record.student in left else defused(record.student)
        adjusted.append(_adjusted(record, left.pop(name, Adjustment()), late_penalty))
    if left:
        names = ", ".join(map(repr, sorted(left)))
        raise ValueError(f"there is no submission of {names}; compare the names of the folders.")
    return adjusted


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
