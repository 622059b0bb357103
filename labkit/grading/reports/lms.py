"""Filling in the gradebook that a learning management system exported.

The system's own file comes back with one column filled in: the same columns, rows, order and
delimiter, whatever they hold. A student's folder finds its row by anything that names one person
there: a login, a number, an address, a full name.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from labkit.grading.judging.results import Record
from labkit.grading.printing import number
from labkit.grading.reports.sheets.people import (
    CANVAS,
    MOODLE,
    People,
    canvas_people,
    identifiers,
    moodle_people,
)
from labkit.grading.reports.sheets.table import Table

DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
POINTS = re.compile(r"\d+([.,]\d+)?")
SHOWN_AS = re.compile(r" \([^()\d]+\)$")
POINTS_POSSIBLE = "Points Possible"
MOST_ABOVE = 2
EXCUSED = "EX"
"""What Canvas has in place of points for whoever need not hand in; points would lift it."""


@dataclass(frozen=True)
class Filled:
    """A template filled in.

    Attributes
    ----------
    text : str
        The file to hand to the system.
    column : str
        Which column was filled in.
    unmatched : tuple of str
        Students with points for whom there is no row, or more than one.
    empty : tuple of str
        Rows of the template for which there are no points, left as they were.
    most : float, optional
        How many points the template says can be had.
    excused : tuple of str
        Rows of people whom the system excuses, left as they were.
    numbers : mapping
        Of each student with a row in a worksheet of Moodle the number there.
    """

    text: str
    column: str
    unmatched: tuple[str, ...]
    empty: tuple[str, ...]
    most: float | None
    excused: tuple[str, ...] = ()
    numbers: Mapping[str, str] = field(default_factory=dict)


def fill_canvas(
    template: str, records: Iterable[Record], lab: int, column: str | None = None
) -> Filled:
    """Fill in a gradebook that Canvas exported.

    Parameters
    ----------
    template : str
        The file's text: Student, ID, SIS User ID, SIS Login ID, Section, then one column an
        assignment, named like "Lab 1 (4711)".
    records : iterable of Record
        The class.
    lab : int
        Finds the column whose name holds "lab 1".
    column : str, optional
        The column's name, in full or without the number in brackets.

    Raises
    ------
    ValueError
        If this is no such file, or the column is not clear.
    """
    table = _exported(template, CANVAS)
    target = _the_labs_own(lab, column)(table.head)
    people = canvas_people(table, target)
    return _fill(table, records, people, target, _above_students(table, target))


def fill_moodle(
    template: str, records: Iterable[Record], lab: int, column: str | None = None
) -> Filled:
    """Fill in a gradebook or a grading worksheet that Moodle exported.

    Parameters
    ----------
    template : str
        The file's text. A worksheet has Identifier, Full name, Email address, Grade, Maximum grade;
        a gradebook has First name, Last name (or Surname), ID number, Email address, and a column
        an assignment; the same in other languages.
    records : iterable of Record
        The class. Folders may be named as Moodle names those of a downloaded assignment.
    lab : int
        Finds the column whose name holds "lab 1"; a worksheet's is Grade.
    column : str, optional
        The column's name.

    Raises
    ------
    ValueError
        If this is no such file, or the column is not clear.
    """
    table = _exported(template, MOODLE if column is None else ())
    target = _column(table, column, lab)
    return _fill(table, records, moodle_people(table, target), target)


def _exported(template: str, who: Sequence[str]) -> Table:
    """Read a template, which has some of the columns `who`, or the identifiers of Moodle."""
    table = Table.read(template, "the template")
    known = bool(set(who) & set(table.head)) or identifiers(table) is not None
    # In any language, people have addresses.
    known = known or any("@" in cell for row in table.rows for cell in row.cells)
    if not table.head or (who and not known):
        raise ValueError(
            f"this is no export that can be filled in: it has the columns {table.head}, expected "
            f"some of {', '.join(who)}. In another language, name the column with --column."
        )
    return table


def _the_labs_own(lab: int, column: str | None) -> Callable[[Sequence[str]], int]:
    """Return what finds the column to fill in."""

    def choose(head: Sequence[str]) -> int:
        if column is None:
            pattern = re.compile(rf"\blab[ _-]*0*{lab}\b", re.IGNORECASE)
            found = [i for i, name in enumerate(head) if pattern.search(name)]
            # Moodle writes a grade in several ways, the points first: (Real), (Percentage).
            if len({SHOWN_AS.sub("", head[i]) for i in found}) == 1:
                found = found[:1]
        else:
            found = [i for i, name in enumerate(head) if column in (name, _unnumbered(name))]
        if len(found) != 1:
            what = f"one named {column!r}" if column else f"one with 'Lab {lab}' in its name"
            raise ValueError(
                f"the template has {len(found)} columns to choose from, expected {what}; name it "
                f"with --column. Its columns: {', '.join(head)}."
            )
        return found[0]

    return choose


def _unnumbered(name: str) -> str:
    return re.sub(r" \(\d+\)$", "", name)


def _column(table: Table, column: str | None, lab: int) -> int:
    """Return which column of a table of Moodle is to be filled in."""
    numbered = identifiers(table) is not None
    if column is None and "Grade" in table.head and (numbered or "Identifier" in table.head):
        return table.head.index("Grade")
    # In other languages: the grade stands before the most that can be had, which is always there.
    if column is None and numbered and (beside := _most_beside(table)) is not None:
        return beside - 1
    return _the_labs_own(lab, column)(table.head)


def _most_beside(table: Table) -> int | None:
    """Return the column of a worksheet of Moodle that holds the most points in every row."""
    for index in range(3, len(table.head)):
        here = {row.cells[index].strip() for row in table.rows}
        before = {row.cells[index - 1].strip() for row in table.rows} - {"", "-"}
        if len(here) == 1 and all(POINTS.fullmatch(cell) for cell in here | before):
            return index
    return None


def _above_students(table: Table, target: int) -> list[int]:
    """Return the rows of Canvas above the students: on posting, and on the points to be had.

    In any language they have words or nothing in front, and no number where people have Canvas's.
    """
    above = []
    for index, row in enumerate(table.rows):
        if row.cells[0].strip() not in ("", POINTS_POSSIBLE) and (
            target < 2 or row.cells[1].strip() or row.cells[2].strip() or index >= MOST_ABOVE
        ):
            break
        above.append(index)
    return above


def _most(table: Table, target: int, no_students: Sequence[int]) -> float | None:
    """Return what Canvas says in a row above the students, Moodle in a column of its own."""
    above = [cell for index in no_students if POINTS.fullmatch(cell := _cell(table, index, target))]
    names = [name.casefold() for name in table.head]
    beside = names.index("maximum grade") if "maximum grade" in names else None
    if beside is None and identifiers(table):
        beside = _most_beside(table)
    cells = above or ([row.cells[beside] for row in table.rows] if beside is not None else [])
    try:
        return float(cells[0].replace(",", ".")) if cells else None
    except ValueError:
        return None


def _cell(table: Table, row: int, column: int) -> str:
    return table.rows[row].cells[column].strip()


def _fill(
    table: Table,
    records: Iterable[Record],
    people: People,
    target: int,
    no_students: Sequence[int] = (),
) -> Filled:
    records = list(records)
    # Moodle has a folder for text beside the one for files: what holds no work claims no row.
    earned = [record for record in records if record.graded or record.extra]
    places = {record.student: people.rows(record.student) for record in earned}
    claimed = Counter(row for rows in places.values() for row in rows)
    unmatched, excused, filled = [], [], dict[int, str]()
    comma = _writes_commas(table, target)
    for record in records:
        rows = places.get(record.student, [])
        # Two folders for one row: neither may overwrite the other.
        if len(rows) != 1 or claimed[rows[0]] > 1:
            unmatched.append(record.student)
            continue
        filled[rows[0]] = record.student
        cells = table.rows[rows[0]].cells
        if cells[target].strip().upper() == EXCUSED:
            excused.append(_shown(table, cells))
        else:
            points = number(record.total)
            cells[target] = points.replace(".", ",") if comma else points
    known = {*filled, *no_students}
    left = (row.cells for index, row in enumerate(table.rows) if index not in known)
    empty = tuple(_shown(table, cells) for cells in left if _is_student(cells))
    most, column = _most(table, target, no_students), table.head[target]
    numbers = _numbers(table, people, filled, [r.student for r in records if r not in earned])
    return Filled(table.written(), column, tuple(unmatched), empty, most, tuple(excused), numbers)


def _numbers(
    table: Table, people: People, filled: Mapping[int, str], others: Sequence[str]
) -> dict[str, str]:
    """Return the number that Moodle has for each student with a row, also for those without points.

    Parameters
    ----------
    table, people
        The worksheet, and who is in it.
    filled : mapping
        Row to the student whose points it got.
    others : sequence of str
        Students without points.
    """
    numbers = identifiers(table)
    if numbers is None:
        return {}
    found = {student: rows[0] for student in others if len(rows := people.rows(student)) == 1}
    claimed = Counter([*found.values(), *filled])
    alone = {student: row for student, row in found.items() if claimed[row] == 1}
    alone |= {student: row for row, student in filled.items()}
    return {student: numbers[row] for student, row in alone.items()}


def _writes_commas(table: Table, target: int) -> bool:
    """Return whether numbers have a decimal comma in the table, or around the column to fill in."""
    everywhere = table.delimiter != ","
    return any(
        DECIMAL_COMMA.fullmatch(cell)
        for row in table.rows
        for cell in (row.cells if everywhere else row.cells[target : target + 2])
    )


def _shown(table: Table, cells: Sequence[str]) -> str:
    """Return whom a row is about, in words: Moodle has the name beside a number of its own."""
    return f"{cells[1]} ({cells[0]})" if identifiers(table) else cells[0]


def _is_student(row: Sequence[str]) -> bool:
    # Canvas also has a row for trying things out.
    return any(row) and row[0].strip() not in ("", "Student, Test")
