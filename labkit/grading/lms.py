"""Filling in the gradebook that a learning management system exported.

The system's own file comes back with one column filled in: the same columns, rows, order and
delimiter, whatever they hold. A student's folder finds its row by anything that names one person
there: a login, a number, an address, a full name.
"""

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from labkit.grading.gradebook import number
from labkit.grading.results import Record

# As Moodle names the folders of a downloaded assignment: "Ada Lovelace_1234_assignsubmission_file".
MOODLE_FOLDER = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_\w*")
DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
BYTE_ORDER_MARK = "\ufeff"
POINTS_POSSIBLE = "Points Possible"


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
    """

    text: str
    column: str
    unmatched: tuple[str, ...]
    empty: tuple[str, ...]
    most: float | None


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
    who = ("Student", "ID", "SIS User ID", "SIS Login ID")
    return _fill(template, records, who, _canvas_names, _the_labs_own(lab, column))


def fill_moodle(
    template: str, records: Iterable[Record], lab: int, column: str | None = None
) -> Filled:
    """Fill in a gradebook or a grading worksheet that Moodle exported.

    Parameters
    ----------
    template : str
        The file's text. A worksheet has Identifier, Full name, Email address, Grade; a gradebook
        has First name, Last name (or Surname), ID number, Email address, and a column an
        assignment.
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
    who = (
        *("Identifier", "Full name", "Email address", "ID number", "Username"),
        *("First name", "Last name", "Surname"),
    )

    def choose(head: Sequence[str]) -> int:
        if column is None and "Identifier" in head and "Grade" in head:
            return head.index("Grade")
        return _the_labs_own(lab, column)(head)

    return _fill(template, records, who, _moodle_names, choose)


def _canvas_names(row: dict[str, str]) -> set[str]:
    last, _, first = row.get("Student", "").partition(",")
    return {*row.values(), f"{first.strip()} {last.strip()}"}


def _moodle_names(row: dict[str, str]) -> set[str]:
    last = row.get("Last name", row.get("Surname", ""))
    first = row.get("First name", "")
    # Two people may share one of these alone, and nobody signs a folder with it.
    whole = {
        value for key, value in row.items() if key not in ("First name", "Last name", "Surname")
    }
    return {*whole, f"{first} {last}", f"{last} {first}"}


def _the_labs_own(lab: int, column: str | None) -> Callable[[Sequence[str]], int]:
    """Return what finds the column to fill in."""

    def choose(head: Sequence[str]) -> int:
        if column is None:
            pattern = re.compile(rf"\blab[ _-]*0*{lab}\b", re.IGNORECASE)
            found = [i for i, name in enumerate(head) if pattern.search(name)]
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


@dataclass
class _Sheet:
    """A CSV file as its program wrote it."""

    mark: str
    delimiter: str
    ending: str
    head: list[str]
    rows: list[list[str]]

    @classmethod
    def read(cls, text: str) -> "_Sheet":
        mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
        text = text.removeprefix(mark)
        first = text.split("\n", 1)[0]
        delimiter = max(",;\t", key=first.count)
        ending = "\r\n" if first.endswith("\r") else "\n"
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        head = lines[0] if lines else []
        rows = [row + [""] * (len(head) - len(row)) for row in lines[1:] if row]
        return cls(mark, delimiter, ending, head, rows)

    def written(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator=self.ending)
        writer.writerows([self.head, *self.rows])
        return self.mark + text.getvalue()

    def number(self, points: float) -> str:
        """Write points with a comma where the file has one in its numbers."""
        comma = self.delimiter != "," and any(map(DECIMAL_COMMA.fullmatch, chain(*self.rows)))
        return number(points).replace(".", ",") if comma else number(points)

    def most(self, target: int) -> float | None:
        """Return what Canvas says in a row above the students, Moodle in a column of its own."""
        above = [row[target] for row in self.rows if row[0].strip() == POINTS_POSSIBLE]
        names = [name.casefold() for name in self.head]
        beside = names.index("maximum grade") if "maximum grade" in names else None
        cells = above or ([row[beside] for row in self.rows] if beside is not None else [])
        try:
            return float(cells[0].replace(",", ".")) if cells else None
        except ValueError:
            return None


def _fill(
    template: str,
    records: Iterable[Record],
    who: Sequence[str],
    names_of: Callable[[dict[str, str]], set[str]],
    choose: Callable[[Sequence[str]], int],
) -> Filled:
    sheet = _Sheet.read(template)
    if not set(who) & set(sheet.head):
        raise ValueError(
            f"this is no export that can be filled in: it has the columns {sheet.head}, expected "
            f"some of {', '.join(who)}."
        )
    target = choose(sheet.head)
    most = sheet.most(target)
    known: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(sheet.rows):
        cells = {name: cell for name, cell in zip(sheet.head, row, strict=False) if name in who}
        for name in {_folded(name) for name in names_of(cells)} - {""}:
            known[name].append(index)
    records = list(records)
    places = {record.student: _places(record.student, known) for record in records}
    claimed = Counter(row for rows in places.values() for row in rows)
    unmatched, filled = [], set()
    for record in records:
        rows = places[record.student]
        # Two folders for one row: neither may overwrite the other.
        if len(rows) != 1 or claimed[rows[0]] > 1 or not (record.graded or record.extra):
            unmatched.append(record.student)
            continue
        sheet.rows[rows[0]][target] = sheet.number(record.total)
        filled.add(rows[0])
    left = (row for index, row in enumerate(sheet.rows) if index not in filled)
    empty = tuple(row[0] for row in left if _is_student(row))
    return Filled(sheet.written(), sheet.head[target], tuple(unmatched), empty, most)


def _places(student: str, known: dict[str, list[int]]) -> list[int]:
    moodle = MOODLE_FOLDER.fullmatch(student)
    if moodle:
        by_number = known.get(_folded(f"Participant {moodle['number']}"), [])
        return by_number or known.get(_folded(moodle["name"]), [])
    return known.get(_folded(student), [])


def _is_student(row: Sequence[str]) -> bool:
    # Canvas also has rows on how an assignment is posted, on its points, and for trying things out.
    return any(row) and row[0].strip() not in ("", POINTS_POSSIBLE, "Student, Test")


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()
