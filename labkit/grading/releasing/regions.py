"""The regions of a cell that students do not see, and the marks around them.

A mark stands alone on its line and reads exactly as one of `MARKS`. What only resembles one is
refused: a region that is not recognized would be handed out.
"""

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher

SOLUTION, HIDDEN = "SOLUTION", "HIDDEN TESTS"
MARKS = {
    f"### {verb} {what}": (verb, what) for verb in ("BEGIN", "END") for what in (SOLUTION, HIDDEN)
}
BEGIN_SOLUTION, END_SOLUTION = f"### BEGIN {SOLUTION}", f"### END {SOLUTION}"
# Share of letters in common, from which on a comment counts as a mark that was misspelled: of its
# first word, of the whole.
RESEMBLES = (0.6, 0.8)
# The word itself, for marks of other tools and languages: "# SOLUTION", "# DEBUT SOLUTION".
WORDS = {
    *("solution", "solutions", "loesung", "lösung", "solución", "solucion", "soluzione"),
    *("solução", "solucao", "oplossing", "rozwiązanie", "çözüm"),
}
BESIDE = {"begin", "begins", "start", "starts", "end", "ends", "stop", "here"}
INVITES = {"your", "write", "own", "todo", "votre", "deine", "ihre", "tu", "su"}


@dataclass(frozen=True)
class Cut:
    """A cell without its regions.

    Attributes
    ----------
    source : str
        What students see.
    solutions : tuple of str
        What stood in the solution regions.
    """

    source: str
    solutions: tuple[str, ...] = ()


def cut(source: str, stub: str) -> Cut:
    """Cut the regions out of a code cell; `stub` takes the place of each solution.

    Raises
    ------
    ValueError
        If a mark is misspelled, a region is not closed, not opened, empty, or holds another one.
    """
    kept: list[str] = []
    solutions: list[str] = []
    inside: list[str] = []
    opened: tuple[str, int] | None = None
    for number, line in enumerate(source.split("\n"), 1):
        verb, what = MARKS.get(line.strip(), ("", ""))
        if verb == "BEGIN":
            if opened is not None:
                raise ValueError(
                    f"line {number} begins a region inside the one of line {opened[1]}"
                )
            opened, inside = (what, number), []
            if what == SOLUTION:
                kept.append(line[: len(line) - len(line.lstrip())] + stub)
        elif verb == "END":
            if opened is None or opened[0] != what:
                raise ValueError(f"the region that line {number} ends is closed and not opened")
            if not _has_code(inside):
                raise ValueError(f"the region of line {opened[1]} holds no code")
            solutions += ["\n".join(inside)] if what == SOLUTION else []
            opened = None
        elif resembles_a_mark(line):
            raise ValueError(
                f"line {number} reads {line.strip()!r}; a mark is exactly {BEGIN_SOLUTION!r} "
                f"(or END, or {HIDDEN}), alone on its line"
            )
        else:
            (kept if opened is None else inside).append(line)
    if opened is not None:
        raise ValueError(f"the region of line {opened[1]} is opened and not closed")
    return Cut("\n".join(kept).rstrip("\n"), tuple(solutions))


def resembles_a_mark(line: str) -> bool:
    """Return whether a line, or a comment in it, may have been meant as a mark."""
    # Without what cannot be seen, and with wide letters as plain ones.
    plain = unicodedata.normalize("NFKC", line)
    plain = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    texts = re.split("#+", plain)
    return any(map(_is_misspelled, texts)) or any(map(_is_foreign, texts[1:]))


def has_mark(text: str) -> bool:
    """Return whether a text that is no code holds a mark, or a misspelled one."""
    lines = (re.split("#+", line)[-1] for line in text.split("\n"))
    return any(map(_is_misspelled, lines))


def _is_foreign(comment: str) -> bool:
    """Return whether a comment shouts of a solution, or says nothing else."""
    words = set(_words(comment))
    if not words & WORDS or words & INVITES:
        return False
    return words <= WORDS | BESIDE or comment.isupper()


def _is_misspelled(text: str) -> bool:
    """Return whether a text begins nearly as a mark does."""
    letters = "".join(_words(text))
    return any(
        _alike(letters, verb.casefold()) >= RESEMBLES[0]
        and _alike(letters, re.sub("[^a-z]", "", mark.casefold())) >= RESEMBLES[1]
        for mark, (verb, _) in MARKS.items()
    )


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.casefold())


def _alike(letters: str, other: str) -> float:
    """Return how much of `other` the beginning of `letters` has, up to a letter too many."""
    beginnings = (letters[: len(other)], letters[: len(other) + 1])
    return max(SequenceMatcher(None, beginning, other).ratio() for beginning in beginnings)


def _has_code(lines: list[str]) -> bool:
    code = (line.split("#")[0].strip() for line in lines)
    return any(line not in ("", "pass", "...") for line in code)
