"""A notebook without its outputs, read piece by piece: memory follows the cells, not pictures.

What else programs keep there goes, too: attachments, and the state of widgets, which tens of
progress bars make larger than all cells.
"""

import re
from typing import BinaryIO

PIECE = 1 << 20  # bytes read at a time
LARGEST = 20 << 20  # bytes of a notebook without its outputs
LARGEST_FILE = 512 << 20
MOST_VALUES = 1_000_000  # commas and brackets outside of outputs: what a parser has to build
PASSED_OVER = {b"{[{": (b"outputs", b"attachments"), b"{{": (b"widgets",)}
"""Keys of which the value is not read: in a cell, and in the notebook's metadata; each by the
brackets that are open there."""
LONGEST_KEY = 32

INSIDE_TEXT = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
MARKS, BRACKETS = re.compile(rb'["\[\]{}:,]'), re.compile(rb'["\[\]{}]')


class TooLarge(ValueError):
    """There is more in a notebook, besides its outputs, than anybody writes."""


def without_outputs(file: BinaryIO) -> bytes:
    """Return the JSON of a notebook with empty outputs and attachments.

    What is no JSON comes back as it is; outputs may hold what no JSON may, such as NaN.

    Raises
    ------
    TooLarge
        If what is left is more than `LARGEST`, or the file more than `LARGEST_FILE`.
    """
    reader, count = _Reader(), 0
    while piece := file.read(PIECE):
        count += len(piece)
        if count > LARGEST_FILE:
            raise TooLarge(f"The notebook is larger than {LARGEST_FILE >> 20} MiB.")
        reader.feed(piece)
    return bytes(reader.kept + reader.rest)


class _Reader:
    """Follows brackets, texts and keys, and keeps all but the values that are passed over."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.rest = b""
        self._open = bytearray()
        self._in_text = self._key_is_next = self._is_key = self._passing = False
        self._within = b""  # the key of the notebook that is being read
        self._depth = 0  # brackets open around what is passed over
        self._key = b""
        self._values = 0

    def feed(self, piece: bytes) -> None:
        """Read on."""
        piece, at = self.rest + piece, 0
        self.rest = b""
        while at < len(piece):
            if not self._in_text:
                at = self._next_mark(piece, at)
                continue
            found = INSIDE_TEXT.match(piece, at)
            end = found.end() if found else at
            self._keep(piece[at:end])
            if self._is_key and len(self._key) < LONGEST_KEY:
                self._key += piece[at:end]
            if end < len(piece) and piece[end : end + 1] == b"\\":
                self.rest = piece[end:]  # what it escapes is in the next piece
                return
            if end < len(piece):
                self._keep(b'"')
                self._in_text = self._is_key = False
            at = end + 1

    def _next_mark(self, piece: bytes, at: int) -> int:
        marks = BRACKETS if self._passing and len(self._open) > self._depth else MARKS
        found = marks.search(piece, at)
        if found is None:
            self._keep(piece[at:])
            return len(piece)
        self._keep(piece[at : found.start()])
        self._mark(found.group())
        return found.end()

    def _mark(self, mark: bytes) -> None:
        if mark in b"]}":
            del self._open[-1:]
        if (mark, len(self._open)) in ((b",", self._depth), (b"}", self._depth - 1)):
            self._passing = False  # the value ends with a comma beside it, or with what it is in
        self._keep(mark)
        if mark == b'"':
            self._in_text = True
            self._is_key = self._key_is_next and not self._passing
            self._key = b"" if self._is_key else self._key
        elif mark in b"[{":
            self._within = self._key if self._open == b"{" else self._within
            self._open += mark
            self._key_is_next = mark == b"{"
        elif mark == b",":
            self._key_is_next = self._open[-1:] == b"{"
        elif mark == b":":
            self._key_is_next = False
            brackets = bytes(self._open)
            inside = self._within == (b"cells" if b"[" in brackets else b"metadata")
            if inside and self._key in PASSED_OVER.get(brackets, ()):
                self._keep(b"[]")
                self._passing, self._depth = True, len(brackets)
        self._count(mark)

    def _count(self, mark: bytes) -> None:
        if not self._passing and mark in b",[{":
            self._values += 1
            if self._values > MOST_VALUES:
                raise TooLarge(f"The notebook holds more than {MOST_VALUES} values.")

    def _keep(self, part: bytes) -> None:
        if not self._passing:
            self.kept += part
            if len(self.kept) > LARGEST:
                raise TooLarge(
                    f"The notebook is larger than {LARGEST >> 20} MiB without its outputs."
                )
