"""From records to the files that people and other programs read.

All of it follows from the records, so it is written anew at the end of each run; what has not
changed is left alone.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from labkit.files import remove_partials
from labkit.grading.course import Course
from labkit.grading.files import CLASS_PAGE, GRADEBOOK, LEADERBOARD, RESERVED, write_private
from labkit.grading.judging.results import Record
from labkit.grading.reports.class_page import class_page
from labkit.grading.reports.feedback import page
from labkit.grading.reports.gradebook import gradebook, gradescope
from labkit.grading.reports.leaderboard.board import Board
from labkit.grading.reports.similarity import similarities


def publish(
    records: Iterable[Record],
    course: Course,
    out: Path,
    passed_over: Iterable[object] = (),
    ranks: Board | None = None,
) -> list[Record]:
    """Write every student's files, the gradebook and the page about the class.

    Parameters
    ----------
    records : iterable of Record
        The class.
    course : Course
        The lab.
    out : Path
        Where to.
    passed_over : iterable
        What lay among the submissions and is nobody's.
    ranks : Board, optional
        The leaderboard.

    Returns
    -------
    list of Record
        With the flags that only a look at the whole class gives.
    """
    records = list(records)
    similar = similarities(records, course)
    records = [replace(r, flags=(*r.flags, *similar.get(r.student, ()))) for r in records]
    title = f"Lab {course.lab}: {course.title}"
    for record in records:
        if record.student in RESERVED:
            continue
        folder = out / record.student
        folder.mkdir(exist_ok=True)
        remove_partials(folder)
        write_private(folder / "results.json", gradescope(record))
        places = ranks.lines(record.student) if ranks else []
        write_private(folder / "feedback.html", page(title, record, False, places))
        write_private(folder / "instructor.html", page(title, record, True, places))
    if ranks:
        write_private(out / LEADERBOARD, ranks.page())
    write_private(out / CLASS_PAGE, class_page(title, records, [str(one) for one in passed_over]))
    write_private(out / GRADEBOOK, gradebook(records, course))
    return records
