"""Text and points as they are written, so that no program obeys what a student has written."""

from labkit.checks.values import UNPRINTABLE

# A spreadsheet takes a cell that begins so for a formula, and runs it; some take the wide forms
# of East Asian keyboards for the same.
FORMULA = "=+-@|%\uff1d\uff0b\uff0d\uff20"


def defused(text: str) -> str:
    """Return `text` so that no spreadsheet takes it for a formula."""
    text = printable(text).replace("\n", " ").replace("\t", " ")
    # What is invisible in front does not keep every program from seeing a formula behind.
    first = next((c for c in text if c.isprintable() and c != " "), "")
    return f"'{text}" if text and (first in FORMULA or text[0] != first) else text


def printable(text: str) -> str:
    r"""Return `text` with what a terminal or a browser would obey spelled out: \x1b, \u202e."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def number(value: float) -> str:
    """Write points: 2, 1.5, and 1.67 for a share of them."""
    return f"{round(value, 2):g}"
