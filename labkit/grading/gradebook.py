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
    writer.writerow(["student", *ids, "total", "of", "status", "outcomes", "flags"])
    for record in records:
        earned = [number(graded.points) for graded in record.graded] or [""] * len(ids)
        total = number(record.points) if record.graded else ""
        most = number(sum(task.exercise.points for task in course.tasks))
        notes = "; ".join(
            f"{graded.exercise} {graded.outcome}"
            for graded in record.graded
            if graded.outcome is not Outcome.RIGHT
        )
        status = f"{record.status}: {record.reason}" if record.reason else record.status
        texts = [defused(text) for text in (status, notes, "; ".join(record.flags))]
        writer.writerow([defused(record.student), *earned, total, most, *texts])
    return table.getvalue()


def gradescope(record: Record) -> str:
    """Return a student's results in the format of Gradescope, without anything secret."""
    head = record.reason or f"{number(record.points)} of {number(record.max_points)} points."
    results = {
        "score": record.points,
        "output": printable(head),
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [_test(graded) for graded in record.graded],
    }
    return json.dumps(results, indent=1) + "\n"


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
    """Write points: 2, 1.5."""
    return f"{value:g}"
