"""Scripts whose errors are known: lists of places, each with what may stand there.

An error is a spelling that some places have. What looks like one and is none is a bait: a right
spelling, too. All spellings are drawn, and so are the numbers in them.
"""

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import Template

import torch

from labkit.checks.inputs import one

NOTHING = ("",)


@dataclass(frozen=True)
class Sight:
    """How an error stands in a script.

    Attributes
    ----------
    kind : str
        What two sights have in common that differ in numbers only.
    words : str
        How it reads behind "where": "it has `for run in range(3):`".
    """

    kind: str
    words: str


@dataclass(frozen=True)
class Bait:
    """A right spelling that looks like an error.

    Attributes
    ----------
    text : str
        The spelling.
    error : str
        What it is taken for.
    message : str
        Why it is none.
    """

    text: str
    error: str
    message: str


@dataclass(frozen=True)
class Place:
    """A place of a script. A spelling may hold several lines, or be empty.

    Attributes
    ----------
    right : tuple of str
        Spellings without an error. ``$name`` stands for a drawn number or word.
    error : str
        The error that it may have; several places may have the same.
    wrong : tuple of str
        The spellings with it.
    bait : Bait, optional
        One more right spelling.
    """

    right: tuple[str, ...] = NOTHING
    error: str = ""
    wrong: tuple[str, ...] = NOTHING
    bait: Bait | None = None

    @property
    def looks_like(self) -> str:
        """The error that its bait is taken for."""
        return self.bait.error if self.bait else ""

    def spellings_about(self, error: str) -> Iterator[str]:
        """Give the spellings that have an error, are right in its place, or look like it."""
        if self.error == error:
            yield from (*self.wrong, *self.right)
        if self.bait and self.bait.error == error:
            yield self.bait.text


@dataclass(frozen=True)
class Script:
    """A script of which there are many.

    Attributes
    ----------
    places : tuple of Place
        From top to bottom.
    draw : callable
        ``draw(rng)`` returns what the names in the spellings stand for: numbers and words.
    """

    places: tuple[Place, ...]
    draw: Callable[[torch.Generator], Mapping[str, object]]

    def __call__(self, rng: torch.Generator, wrong: frozenset[str]) -> list[str]:
        """Write one that has the errors `wrong` and no others; without any it has all baits."""
        drawn = self.draw(rng)
        lines: list[str] = []
        for place in self.places:
            if place.error in wrong:
                spellings = place.wrong
            elif place.bait and not wrong:
                spellings = (place.bait.text,)
            else:
                spellings = (*place.right, *([place.bait.text] if place.bait else []))
            text = spellings[one(rng, 0, len(spellings) - 1)]
            lines += Template(text).substitute(drawn).splitlines()
        return lines

    @property
    def baits(self) -> tuple[Bait, ...]:
        """What looks like an error and is none."""
        return tuple(place.bait for place in self.places if place.bait)

    def lines_with(self, error: str, script: Sequence[str]) -> Iterator[str]:
        """Yield the lines of `script` in which `error` stands; none where a line is missing."""
        texts = [text for place in self.places if place.error == error for text in place.wrong]
        yield from _found(texts, script)

    def sight(self, error: str, script: Sequence[str]) -> Sight:
        """Return how an error stands in a script, or how what would be right there does."""
        own = [place for place in self.places if error in (place.error, place.looks_like)]
        texts = [text for place in own for text in place.spellings_about(error)]
        spelled = [(line, _pattern(line)) for text in texts for line in text.splitlines()]
        seen = [
            next(((known, line) for known, pattern in spelled if pattern.fullmatch(line)), None)
            for line in script
        ]
        found = [one for one in seen if one]
        shown = " and ".join(f"`{line.strip()}`" for _, line in found)
        kind = "\n".join(known for known, _ in found)
        return Sight(kind, f"it has {shown}" if shown else "it has no such line")

    def baits_for(self, error: str, script: Sequence[str]) -> Iterator[str]:
        """Yield the lines of `script` that look like `error` and are right."""
        yield from _found([bait.text for bait in self.baits if bait.error == error], script)


def line_with(words: str, script: Sequence[str]) -> str:
    """Return the first line of a script that has these words."""
    return next(line for line in script if words in line)


def few_and_many(rng: torch.Generator, fewest: int, most: int) -> dict[str, int]:
    """Draw a number below the fewest that are enough, and one that is enough; often next to it."""
    if one(rng, 0, 1):
        return {"few": fewest - 1, "many": fewest}
    return {"few": one(rng, 2, fewest - 2), "many": one(rng, fewest + 1, most)}


def _found(texts: Sequence[str], script: Sequence[str]) -> Iterator[str]:
    patterns = [_pattern(line) for text in texts for line in text.splitlines()]
    yield from (line for line in script if any(p.fullmatch(line) for p in patterns))


@functools.cache
def _pattern(line: str) -> re.Pattern[str]:
    """Return what a line looks like, whatever number or word is put in for its names."""
    return re.compile(r"[\w.]+".join(map(re.escape, re.split(r"\$\w+", line))))
