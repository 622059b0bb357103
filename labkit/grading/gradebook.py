"""The files that other programs read: the gradebook, and one Gradescope file for each student."""

import csv
import io
import json
from collections.abc import Iterable

from labkit.grading.course import Course
from labkit.grading.results import Graded, Outcome, Record

# A spreadsheet takes a cell that begins so for a formula, and runs it.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def gradebook(records: Iterable[Record], course: Course) -> str:
    """Return the class as CSV: one row a student, one column an exercise."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    ids = [task.exercise.id for task in course.tasks]
    head = ["student", *ids, "late", "extra", "total", "of", "status", "outcomes", "flags"]
    writer.writerow([*head, "comment"])
    for record in records:
        earned = [number(graded.points) for graded in record.graded] or [""] * len(ids)
        changes = [number(record.late), number(record.extra)]
        # No points are not 0 points: a broken file is for the instructor to decide.
        total = number(record.total) if record.graded or record.extra else ""
        most = number(sum(task.exercise.points for task in course.tasks))
        notes = "; ".join(
            f"{graded.exercise} {graded.outcome}"
            for graded in record.graded
            if graded.outcome is not Outcome.RIGHT
        )
        status = f"{record.status}: {record.reason}" if record.reason else record.status
        texts = [status, notes, "; ".join(record.flags), record.comment]
        row = [defused(record.student), *earned, *changes, total, most]
        writer.writerow([*row, *map(defused, texts)])
    return table.getvalue()


def gradescope(record: Record) -> str:
    """Return a student's results in the format of Gradescope, without anything secret."""
    results = {
        "score": record.total,
        "output": printable(" ".join(summary(record))),
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [_test(graded) for graded in record.graded],
    }
    return json.dumps(results, indent=1) + "\n"


def summary(record: Record) -> list[str]:
    """Say in a few sentences what a student gets, and what was changed by hand."""
    lines = [record.reason] if record.reason else []
    if record.graded:
        lines.append(f"{number(record.points)} of {number(record.max_points)} points.")
    if record.late:
        lines.append(f"Less {number(record.late)} for being late.")
    if record.extra:
        lines.append(f"And {number(record.extra)} given by hand.")
    if record.late or record.extra:
        lines.append(f"In all {number(record.total)}.")
    return [*lines, record.comment] if record.comment else lines


def _test(graded: Graded) -> dict[str, object]:
    text = graded.student_card.text or graded.summary
    return {
        "name": f"{graded.title}: {graded.outcome}",
        "number": graded.exercise,
        "score": graded.points,
        "max_score": graded.max_points,
        "status": "passed" if graded.outcome is Outcome.RIGHT else "failed",
        "output": printable(text),
        "output_format": "text",
        "visibility": "visible",
    }


def defused(text: str) -> str:
    """Return `text` so that no spreadsheet takes it for a formula."""
    text = printable(text).replace("\n", " ")
    return f"'{text}" if text.startswith(FORMULA) or text.lstrip() != text else text


def printable(text: str) -> str:
    """Return `text` without control characters and halves of characters."""
    kept = "".join(c for c in text if c >= " " or c == "\n")
    return kept.encode("utf-8", "backslashreplace").decode("utf-8")


def number(value: float) -> str:
    """Write points: 2, 1.5, and 1.67 for a share of them."""
    return f"{round(value, 2):g}"
