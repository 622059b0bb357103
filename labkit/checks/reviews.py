"""Exercises in which the student finds the errors of a script, with a function that reads it."""

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Mismatch, Rule
from labkit.checks.scripts import Bait, Script, Sight
from labkit.checks.values import Plain, describe

Writer = Callable[[torch.Generator, frozenset[str]], list[str]]
Review = Callable[[list[str]], list[str]]

TRIES = 50
SEEDS = 6  # so many draws show all forms


@dataclass(frozen=True)
class Names(Rule):
    """Some names from a list, in any order.

    Attributes
    ----------
    names : tuple of str
        The list.
    messages : tuple of str
        For each name what to tell who misses it.
    script : Script, optional
        Where the lines are that a name stands for.
    sights : mapping, optional
        In the place of that: for each name how it stands in a script, in words behind "where".
    """

    names: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    script: Script | None = None
    sights: Mapping[str, Callable[[Sequence[str]], str]] = field(default_factory=dict, hash=False)

    def mismatch(self, name: str, got: Plain, expected: Plain, args: tuple) -> Mismatch | None:
        """Return why a list of names is refused, or None."""
        listed = ", ".join(f'"{word}"' for word in self.names)
        if not self.may_be(got):
            return Mismatch(f"{name} is {describe(got)}; expected a list with some of {listed}.")
        missing = [word for word in expected if word not in got]
        unfounded = [word for word in dict.fromkeys(got) if word not in expected]
        parts = [f'"{word}" is not found{self._at(word, args[0])}' for word in missing]
        parts += [
            f'"{word}" is reported, and it is not there{self._looking_like(word, args[0])}'
            for word in unfounded
        ]
        return Mismatch(f"{name}: {'; '.join(parts)}.") if parts else None

    def may_be(self, got: Plain) -> bool:
        """Whether `got` is a list with nothing but names."""
        return isinstance(got, tuple) and all(
            isinstance(word, str) and word in self.names for word in got
        )

    def sight(self, word: str, script: Sequence[str]) -> Sight:
        """Return how a name stands in a script, or what would be right in its place."""
        if self.script:
            return self.script.sight(word, script)
        words = self.sights[word](script)
        return Sight(re.sub(r"\d+", "", words), words)

    def _at(self, word: str, script: Sequence[str]) -> str:
        lines = list(self.script.lines_with(word, script)) if self.script else []
        return f": look at `{lines[0].strip()}`" if lines else ""

    def _looking_like(self, word: str, script: Sequence[str]) -> str:
        lines = list(self.script.baits_for(word, script)) if self.script else []
        return f": `{lines[0].strip()}` is right" if lines else ""


def review(
    id: str,
    reference: Review,
    script: Writer,
    errors: Mapping[str, str],
    hints: tuple[str, ...],
    minutes: tuple[int, int],
    points: int = 3,
    sights: Mapping[str, Callable[[Sequence[str]], str]] | None = None,
) -> Exercise:
    """Declare an exercise in which the errors of a script are found by a function.

    Parameters
    ----------
    reference : callable
        A right answer: takes the lines of a script, returns the names of its errors.
    script : callable
        ``script(rng, wrong)`` writes one that has the errors `wrong` and no others: a `Script`,
        or a function where the places depend on one another.
    errors : mapping
        The names, each with what to tell who misses it.
    sights : mapping, optional
        For each name how it stands in a script; needed where `script` is a function.

    Returns
    -------
    Exercise
        An extra.
    """
    names, messages = tuple(errors), tuple(errors.values())
    known = script if isinstance(script, Script) else None
    rule = Names(names=names, messages=messages, script=known, sights=sights or {})

    def cases(rng: torch.Generator) -> list[Case]:
        """Draw scripts until they show each error, and what looks like it, in all its forms."""
        for _ in range(TRIES):
            drawn = once(rng)
            if _forms(rule, drawn) >= all_forms():
                break
        return drawn

    @functools.cache
    def all_forms() -> set[str]:
        many = [once(torch.Generator().manual_seed(seed)) for seed in range(SEEDS)]
        return set().union(*(_forms(rule, drawn) for drawn in many))

    def once(rng: torch.Generator) -> list[Case]:
        chosen: list[tuple[str, ...]] = [(), *((name,) for name in names), names]
        for _ in range(len(names)):
            picked = torch.rand(len(names), generator=rng) < 0.5
            chosen.append(tuple(n for n, p in zip(names, picked.tolist(), strict=True) if p))
        order = torch.randperm(len(chosen), generator=rng).tolist()
        return [
            Case(f"script {place}", (script(rng, frozenset(chosen[i])),))
            for place, i in enumerate(order, 1)
        ]

    return Exercise(
        id=id,
        title="Review a benchmark",
        points=points,
        minutes=minutes,
        extra=True,
        kind="names",
        reference=reference,
        cases=cases,
        rules=(rule,),
        hints=hints,
        misconceptions=tuple(_misconceptions(reference, errors, known)),
    )


def _forms(rule: Names, drawn: Sequence[Case]) -> set[str]:
    """Return the spellings of all errors, and of what is right in their places, in some scripts."""
    sights = [(name, rule.sight(name, case.args[0])) for case in drawn for name in rule.names]
    return {f"{name}: {line}" for name, sight in sights for line in sight.kind.splitlines()}


def _misconceptions(
    reference: Review, errors: Mapping[str, str], script: Script | None
) -> Iterator[Misconception]:
    def missing(name: str) -> Review:
        return lambda lines: [found for found in reference(lines) if found != name]

    def taken(bait: Bait, script: Script) -> Review:
        def wrong(lines: list[str]) -> list[str]:
            found = reference(lines)
            looks_so = bait.error not in found and any(script.baits_for(bait.error, lines))
            return [*found, bait.error] if looks_so else found

        return wrong

    yield Misconception(
        "reports nothing",
        lambda lines: [],
        "Go through the list of errors, and ask of each how it would show in the lines.",
    )
    for name, message in errors.items():
        yield Misconception(f'never reports "{name}"', missing(name), message)
    if script is None:
        return
    for bait in script.baits:
        words = re.sub(r"\$(\w+)", r"\1", " ".join(bait.text.split()))
        yield Misconception(
            f'takes `{words}` for "{bait.error}"', taken(bait, script), bait.message
        )
