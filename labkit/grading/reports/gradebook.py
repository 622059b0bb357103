"""The files that other programs read: the gradebook, and one Gradescope file for each student."""

import csv
import io
import json
from collections.abc import Iterable

from labkit.grading.course import Course
from labkit.grading.judging.results import Graded, Outcome, Record
from labkit.grading.printing import defused, number, printable

NO_FAULT = "The grader failed. That is no fault of yours: this will be graded again."
ADVICE = {
    Outcome.TIMEOUT: "It was stopped for taking too long. Look for a loop that never ends, or for "
    "work that could be done on whole tensors.",
    Outcome.MEMORY: "It asked for more memory than an answer may have. Look for tensors that are "
    "larger than the inputs call for.",
    Outcome.CRASH: "The process that ran it ended. Look for calls that exit or leave Python.",
    Outcome.FAILED: NO_FAULT,
}
EXPLAINED = (Outcome.ALMOST, Outcome.WRONG, Outcome.ERROR)
"""Outcomes with a card that says more than the summary."""


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
        "score": round(record.total, 2),
        "output": printable("\n\n".join([*summary(record), *filter(None, [record.comment])])),
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [_test(graded) for graded in record.graded],
    }
    return json.dumps(results, indent=1) + "\n"


def summary(record: Record) -> list[str]:
    """Say in a sentence or two what a student gets, and what was changed by hand."""
    reason = NO_FAULT if record.status == Outcome.FAILED else record.reason
    lines = [reason] if reason else []
    changes = [f"{number(record.points)} for the exercises"]
    if record.late:
        changes.append(f"{number(record.late)} less for being late")
    if record.extra:
        changes.append(f"{number(record.extra)} given by hand")
    if record.graded:
        line = f"{number(record.total)} of {number(record.max_points)} points"
        lines.append(f"{line}: {', '.join(changes)}." if changes[1:] else f"{line}.")
    elif record.extra:
        lines.append(f"{number(record.total)} points, given by hand.")
    return lines


def comments(graded: Graded) -> list[str]:
    """Say what came of an exercise, and what to try where no card does."""
    return [graded.summary, *filter(None, [ADVICE.get(graded.outcome)])]


def _test(graded: Graded) -> dict[str, object]:
    texts = comments(graded)
    if graded.outcome in EXPLAINED:
        texts.append(graded.student_card.text)
    return {
        "name": f"{graded.title}: {graded.outcome}",
        "number": graded.exercise,
        "score": graded.points,
        "max_score": graded.max_points,
        "status": "passed" if graded.outcome is Outcome.RIGHT else "failed",
        "output": printable("\n\n".join(texts)),
        "output_format": "text",
        "visibility": "visible",
    }
