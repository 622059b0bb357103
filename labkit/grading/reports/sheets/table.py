"""A CSV file as people's programs write it: any usual encoding, delimiter and end of line.

Excel in English writes commas and Windows-1252, in German semicolons; "Unicode text" is UTF-16 with
tabs, and "CSV UTF-8" begins with a mark.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

DELIMITERS = ",;\t"
BYTE_ORDER_MARK = "\ufeff"
# What texts in Windows-1252 hold beside letters: quotes, dashes, the euro. Texts in another old
# encoding, read as that one, hold more.
USUAL = set("\u2018\u2019\u201a\u201c\u201d\u201e\u2013\u2014\u2026\u20ac\xa0\xab\xbb\xa7\xb0\xb4")


def decoded(data: bytes, name: str) -> str:
    """Return the text of a file, with the mark in front if it has one.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        What it is called, for messages.

    Raises
    ------
    ValueError
        If it is a workbook, or its encoding cannot be told.
    """
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise ValueError(f"{name} is a workbook of a spreadsheet; save it as CSV UTF-8.")
    try:
        return data.decode(_unicode(data))
    except UnicodeDecodeError:
        pass
    if b"\r" in data and b"\n" not in data:
        return data.decode("mac_roman")  # lines end so in "CSV (Macintosh)" alone
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        text = "\0"
    if all(c.isascii() or c.isalpha() or c in USUAL for c in text) and "\0" not in text:
        return text
    raise ValueError(
        f"{name} is in an encoding that cannot be told for sure (not UTF-8, UTF-16 or "
        "Windows-1252); save it as CSV UTF-8."
    )


def _unicode(data: bytes) -> str:
    """Return the encoding that the first bytes speak for."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    # Without a mark: every other byte of plain letters is 0.
    if b"\0" in data[:2]:
        return "utf-16-be" if data[0] == 0 else "utf-16-le"
    return "utf-8"


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes
    ----------
    number : int
        Its line in the file.
    cells : list of str
        As many as there are columns, or more.
    """

    number: int
    cells: list[str]


@dataclass(frozen=True)
class Table:
    """A CSV file as its program wrote it.

    Attributes
    ----------
    mark : str
        A byte order mark, or nothing.
    delimiter, ending : str
        Between cells and after lines.
    head : list of str
        The columns.
    rows : list of Row
        All lines below that hold anything.
    """

    mark: str
    delimiter: str
    ending: str
    head: list[str]
    rows: list[Row]

    @classmethod
    def read(cls, text: str, name: str) -> "Table":
        """Read a table.

        Raises
        ------
        ValueError
            If `text` is no CSV.
        """
        mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
        text = text.removeprefix(mark)
        first = text.split("\n", 1)[0]
        ending = "\r\n" if first.endswith("\r") else "\n"
        delimiter = max(DELIMITERS, key=first.count)
        if first.strip().casefold() in {f"sep={each}" for each in DELIMITERS}:
            delimiter = first.strip()[-1]  # a line for Excel alone
        try:
            lines = list(_lines(text, delimiter))
        except csv.Error as error:
            raise ValueError(f"{name} is no CSV file ({error}); save it as CSV UTF-8.") from None
        if lines and lines[0].cells[0].casefold().startswith("sep="):
            del lines[0]
        while lines and not any(cell.strip() for cell in lines[0].cells):
            del lines[0]
        head = lines[0].cells if lines else []
        rows = [Row(r.number, r.cells + [""] * (len(head) - len(r.cells))) for r in lines[1:]]
        return cls(mark, delimiter, ending, head, rows)

    def written(self) -> str:
        """Return the table as text, written as it was read."""
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator=self.ending)
        writer.writerows([self.head, *(row.cells for row in self.rows)])
        return self.mark + text.getvalue()


def _lines(text: str, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    for cells in reader:
        if cells:
            yield Row(reader.line_num, cells)
