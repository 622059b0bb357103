"""How a notebook differs from what was handed out, and whether it was handed out at all."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from labkit.grading.course import Course
from labkit.grading.releasing import colab

TO_FILL_IN = re.compile(r"\s*\w+ = None( |#|$)")  # a cell that asks for a prediction
OF_A_LAB = re.compile(r"(?:exercise|check)-(\d+)-\d+")
LAB = re.compile(r"\bLab\((\d+)\)")


class CodeCell(Protocol):
    """What is looked at of a code cell."""

    @property
    def grade_id(self) -> str:
        """The nbgrader id, or an empty string."""

    @property
    def source(self) -> str:
        """The code."""


def not_this_lab(cells: Sequence[CodeCell], course: Course) -> str:
    """Return why a notebook is none of the lab, or an empty string if a cell of it is the lab's.

    A cell is the lab's by its id, or by the function or the check of an exercise where ids are
    lost.
    """
    ids = {cell.grade_id for cell in cells}
    if any(ids & {task.grade_id, task.check_id} for task in course.tasks):
        return ""
    counts = Counter(found[1] for key in ids if (found := OF_A_LAB.fullmatch(key)))
    if not counts and any(_speaks_of(cell.source, course) for cell in cells):
        return ""
    counts = counts or Counter(LAB.findall("\n".join(cell.source for cell in cells)))
    if others := [lab for lab, _ in counts.most_common() if lab != str(course.lab)]:
        return f"This is lab {others[0]}, not lab {course.lab}."
    return f"The notebook holds no cell of lab {course.lab}: is it of another course?"


def _speaks_of(source: str, course: Course) -> bool:
    """Return whether code defines what an exercise asks for, or checks it."""
    for task in course.tasks:
        function = task.exercise.function
        # A search for the name alone is quick where there are millions of lines.
        if function in source and re.search(
            rf"^\s*((async )?def|class)[ \t]+{function}\b|^\s*{function}\b[^=\n(]*=(?!=)"
            rf"|\.check\(\s*[\"']{re.escape(task.exercise.id)}[\"']",
            source,
            re.MULTILINE,
        ):
            return True
    return False


def edits(
    cells: Sequence[CodeCell], course: Course, metadata: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return flags for checks and given cells that are not as they were handed out.

    A notebook that says that it is of another release gets one flag for all of them: what was
    repaired since is no fault of the student's.
    """
    found = [*_checks(cells, course), *_given(cells, course)]
    made_for = metadata.get("labkit")
    if found and isinstance(made_for, dict) and made_for.get("release") != course.release:
        version = made_for.get("version")
        version = f" (labkit {version[:20]})" if isinstance(version, str) else ""
        return (
            f"the notebook is of an older release of the lab{version}; the given cells and checks "
            "of the one at hand were used",
        )
    return tuple(found)


def _checks(cells: Sequence[CodeCell], course: Course) -> list[str]:
    flags = []
    sources = {cell.grade_id: cell.source for cell in cells}
    for task in course.tasks:
        source = sources.get(task.check_id)
        if source is None:
            flags.append(f"{task.exercise.id}: the check cell is missing; the lab's own was used")
        elif not same_code(source, task.check_source):
            flags.append(f"{task.exercise.id}: the check cell was edited; the lab's own was used")
    return flags


def _given(cells: Sequence[CodeCell], course: Course) -> list[str]:
    """Point out the given cells that are not there as they were handed out."""
    sources = {lines(cell.source) for cell in cells}
    changed = [
        source.strip().splitlines()[0]
        for source in course.given
        if source.strip() and not _is_theirs(source) and lines(source) not in sources
    ]
    if not changed:
        return []
    first = changed[0] if len(changed[0]) <= 60 else changed[0][:60] + "..."
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return [f"given cells were edited or removed: {first!r}{more}; the lab's own were used"]


def _is_theirs(source: str) -> bool:
    """Whether a given cell asks for a change, or may go: a prediction, the one for Colab."""
    return bool(TO_FILL_IN.match(source)) or colab.is_cell(source)


def same_code(one: str, other: str) -> bool:
    """Return whether two cells hold the same text, but for white space at the ends of lines."""
    return lines(one) == lines(other)


def lines(source: str) -> tuple[str, ...]:
    """Return the lines of a cell as `same_code` compares them."""
    return tuple(line.rstrip() for line in source.strip().splitlines())
