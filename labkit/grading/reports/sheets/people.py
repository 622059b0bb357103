"""By which names a row of an exported table can be found: all that names one person there."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from labkit.grading.reports.sheets.table import Table

# "Ada Lovelace_1234_assignsubmission_file" as Moodle names the folders of a downloaded assignment,
# "Ada Lovelace_1234" and "lovelaceada_1234" as `labkit collect` names what Moodle and Canvas give.
FOLDER = re.compile(r"(?P<name>.+)_(?P<number>\d+)(?P<moodle>_assignsubmission_\w*)?")
# "Participant 7", "Teilnehmer/in7": the one column of Moodle's worksheets that all languages share.
IDENTIFIER = re.compile(r"(\D+?)\s*(\d+)")
GRADE = re.compile(r"-|\d{1,3}|\d+[.,]\d+( ?%)?")
PARTS = ("First name", "Last name", "Surname")
"""Two people may share one of these alone, and nobody signs a folder with it."""
MOODLE = ("Identifier", "Full name", "Email address", "ID number", "Username", *PARTS)
CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID")


class People:
    """The rows of a table by the names of their people.

    Parameters
    ----------
    names : iterable of set of str
        The names of each row.
    numbers : sequence of str
        The number that the platform itself gives to the person of each row, or "".
    """

    def __init__(self, names: Iterable[set[str]], numbers: Sequence[str]) -> None:
        self._named: dict[str, list[int]] = defaultdict(list)
        self._numbered: dict[str, list[int]] = defaultdict(list)
        self._letters: list[set[str]] = []
        for row, (known, number) in enumerate(zip(names, numbers, strict=True)):
            for name in {folded(name) for name in known} - {""}:
                self._named[name].append(row)
            if number:
                self._numbered[number].append(row)
            self._letters.append({_letters(name) for name in known})

    def rows(self, folder: str) -> list[int]:
        """Return the rows that the name of a folder may mean."""
        if found := self._named.get(folded(folder)):
            return found
        parts = FOLDER.fullmatch(folder)
        if parts is None:
            return []
        by_number = self._numbered.get(parts["number"], [])
        if not parts["moodle"]:
            # Any name may end in a number: the person has to be the same.
            letters = _letters(parts["name"])
            by_number = [row for row in by_number if letters in self._letters[row]]
        # A gradebook has no such numbers. Without them, only a full name is name enough.
        whole = parts["moodle"] or " " in parts["name"]
        return by_number or (self._named.get(folded(parts["name"]), []) if whole else [])


def canvas_people(table: Table, target: int) -> People:
    """Return who is in a gradebook of Canvas, whose headings are in any language.

    Parameters
    ----------
    table : Table
        The export: a name, Canvas's number, other names of a person, sections, assignments.
    target : int
        The column of the assignment: people stand before it.
    """
    # In another language they stand in the same order.
    known = CANVAS if CANVAS[0] in table.head else table.head[: min(target, len(CANVAS))]
    rows = [_cells(table, row.cells, known) for row in table.rows]
    names = []
    for row in rows:
        last, _, first = row.get(known[0], "").partition(",")
        names.append({*row.values(), f"{first.strip()} {last.strip()}"})
    return People(names, [row.get(known[1], "") for row in rows])


def moodle_people(table: Table, target: int) -> People:
    """Return who is in a worksheet or gradebook of Moodle, whose headings are in any language.

    Parameters
    ----------
    table : Table
        The export.
    target : int
        The column of the grade: people stand before it.
    """
    numbers = identifiers(table) or [""] * len(table.rows)
    names = []
    for row, number in zip(table.rows, numbers, strict=True):
        if set(MOODLE) & set(table.head):
            cells = _cells(table, row.cells, MOODLE)
            last, first = cells.get("Last name", cells.get("Surname", "")), cells.get(PARTS[0], "")
            alone = {cell for key, cell in cells.items() if key not in PARTS}
        elif any(numbers):
            first, last, alone = "", "", set(row.cells[:target])
        else:
            first, last = (*row.cells[: min(2, target)], "", "")[:2]
            alone = {cell for cell in row.cells[2:target] if not GRADE.fullmatch(cell.strip())}
        # Where names are hidden, folders bear the word before the number: "Participant".
        word = row.cells[0].strip().removesuffix(number) if number else ""
        names.append({*alone, f"{first} {last}", f"{last} {first}", word})
    return People(names, numbers)


def identifiers(table: Table) -> list[str] | None:
    """Return the numbers in the first column of a worksheet of Moodle; None if it is none."""
    found = [IDENTIFIER.fullmatch(row.cells[0].strip()) for row in table.rows]
    numbered = [match for match in found if match]
    if not numbered or len(numbered) < len(found) or len({m[1] for m in numbered}) > 1:
        return None
    return [match[2] for match in numbered]


def folded(name: str) -> str:
    """Return a name as it is compared: white space, case and ways to write an accent aside."""
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


def _letters(name: str) -> str:
    """Return the letters and digits of a name, sorted: "Lovelace, Ada" and "adalovelace" agree."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(sorted(c for c in plain if c.isalnum()))


def _cells(table: Table, cells: Sequence[str], wanted: Sequence[str]) -> Mapping[str, str]:
    return {name: cell for name, cell in zip(table.head, cells, strict=False) if name in wanted}
