"""What a change of an answer does to its calls: which it makes right, and which come nearer.

A call that raises is farther from right than one that gives another shape, which is farther than
one that gives wrong numbers; of those it counts how many are right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from labkit.checks.diagnosis.agreement import same
from labkit.checks.diagnosis.calls import result_of
from labkit.checks.diagnosis.evidence import Evidence, Raised
from labkit.checks.rules import Codes, Rule
from labkit.checks.values import Plain, as_array, input_size

RAISED, ANOTHER_SHAPE, NOT_FINITE, NUMBERS, FORM, RIGHT = 0.0, 1.0, 2.0, 3.0, 3.95, 4.0
PART = 0.9
FIRST_LOOK = 3
OF_SEVERAL = 6  # where there are several results, and some are right by chance
STEADY = 1e-4

Levels = tuple[float, ...]


@dataclass(frozen=True)
class Trial:
    """What a change does, where it spoils nothing that was right.

    Attributes
    ----------
    mended : tuple of int
        The wrong calls that it makes right.
    parts : tuple of int
        The results, of several, that it makes right wherever they were wrong.
    gained : float
        How much nearer to right the others come, on average.
    """

    mended: tuple[int, ...]
    parts: tuple[int, ...] = ()
    gained: float = 0.0

    @property
    def order(self) -> tuple[float, ...]:
        """Those that mend most come first."""
        return -len(self.mended), -len(self.parts), -round(self.gained, 2)


class Trials:
    """The calls of an answer, for changes of its code to be tried on.

    Parameters
    ----------
    evidence : Evidence
        The calls.
    wrong : sequence of int
        Those that are not accepted.
    given : sequence, optional
        What came of each call; by default what came of the answer.
    """

    def __init__(
        self, evidence: Evidence, wrong: Sequence[int], given: Sequence[Plain | Raised] = ()
    ) -> None:
        self.evidence = evidence
        self.wrong = set(wrong)
        size = [input_size(case.args) for case in evidence.cases]
        self.calls = sorted(range(len(size)), key=lambda i: (i not in self.wrong, size[i], i))
        self.first = OF_SEVERAL if evidence.exercise.names else FIRST_LOOK
        came = given or [self._came(i) for i in range(len(size))]
        self.levels = {i: self._level(i, came[i]) for i in self.calls}
        self.ratio = self._ratio([came[i] for i in self.calls[:FIRST_LOOK]])
        self._came_first = came[self.calls[0]]

    def after(self, changed: Callable[..., Any]) -> "Trials":
        """Return the calls as they are with a change."""
        given = [self._give(changed, i) for i in range(len(self.calls))]
        wrong = [i for i, value in enumerate(given) if min(self._level(i, value)) < RIGHT]
        return Trials(self.evidence, wrong, given)

    @cached_property
    def smallest(self) -> int:
        """The wrong call with the smallest input."""
        return self.calls[0]

    def all_right(self, changed: Callable[..., Any], first: Sequence[int] = ()) -> bool:
        """Whether a changed answer is right in every call; those of `first` are asked first."""
        return all(self.right(changed, i) for i in (*first, *self.calls))

    def right(self, changed: Callable[..., Any], i: int) -> bool:
        """Whether a changed answer is right in call i."""
        return self.closeness(changed, i) == RIGHT

    def closeness(self, changed: Callable[..., Any], i: int) -> float:
        """Return how near to right a changed answer is in call i, in the worst of its results."""
        return min(self._level(i, self._give(changed, i)))

    def of(self, changed: Callable[..., Any]) -> Trial | None:
        """Try a changed answer; None if it spoils something or brings nothing nearer to right."""
        mended: list[int] = []
        gained, seen = 0.0, list[Plain | Raised]()
        levels: dict[int, Levels] = {}
        for k, i in enumerate(self.calls):
            given = self._give(changed, i)
            level, before = self._level(i, given), self.levels[i]
            if len(level) != len(before):
                level, before = (min(level),), (min(before),)
            if any(_falls(now, then) for now, then in zip(level, before, strict=True)):
                return None
            levels[i] = level
            if i in self.wrong:
                gained += (sum(level) - sum(before)) / len(level) / len(self.wrong)
                if min(level) == RIGHT:
                    mended.append(i)
                seen.append(given)
                if not k and not mended and same(given, self._came_first):
                    return None  # it changes nothing that can be seen
            if gained <= 0 and k + 1 == min(self.first, len(self.wrong)):
                ratio = self._ratio(seen)
                if ratio is None or self.ratio is not None:
                    return None
                gained = STEADY
        return Trial(tuple(mended), self._parts(levels), gained)

    def _parts(self, levels: dict[int, Levels]) -> tuple[int, ...]:
        count = len(self.evidence.exercise.names)
        whole = all(len(level) == count for level in (*levels.values(), *self.levels.values()))
        return tuple(
            c
            for c in (range(count) if whole else ())
            if any(self.levels[i][c] < RIGHT for i in levels)
            and all(level[c] == RIGHT for level in levels.values())
        )

    def _came(self, i: int) -> Plain | Raised:
        outcome = self.evidence.outcomes[i]
        return outcome.value if outcome.status == "returned" else Raised(outcome.status)

    def _give(self, changed: Callable[..., Any], i: int) -> Plain | Raised:
        return result_of(changed, self.evidence.cases[i].args)

    def _level(self, i: int, given: Plain | Raised) -> Levels:
        if isinstance(given, Raised):
            return (RAISED,)
        parts = self.evidence.parts(given)
        wanted = self.evidence.parts(self.evidence.expected[i])
        if len(parts) != len(wanted):
            return (ANOTHER_SHAPE,)
        rules, args = self.evidence.exercise.rules, self.evidence.cases[i].args
        return tuple(
            self._closeness(rule, value, want, args)
            for rule, value, want in zip(rules, parts, wanted, strict=True)
        )

    def _closeness(self, rule: Rule, value: Plain, want: Plain, args: tuple) -> float:
        if not self.evidence.exact:
            return RIGHT if rule.mismatch("", value, want, args) is None else NUMBERS
        share = _share(rule, value, want, args)
        if share is None:
            return ANOTHER_SHAPE
        if share < 1:
            return (NUMBERS if _finite(value) else NOT_FINITE) + PART * share
        return RIGHT if rule.mismatch("", value, want, args) is None else FORM

    def _ratio(self, given: Sequence[Plain | Raised]) -> float | None:
        """Return what all results are times the right ones, if it is one number."""
        ratios = set()
        for i, value in zip(self.calls, given, strict=False):
            got, want = as_array(value), as_array(self.evidence.expected[i])
            if got is None or want is None or got.shape != want.shape or want.dtype.kind != "f":
                return None
            a, b = got.astype(float).reshape(-1), want.astype(float).reshape(-1)
            a, b = a[b != 0], b[b != 0]
            if not np.isfinite(a).all():
                return None
            ratios |= set((a / b).tolist())
        if len(given) < FIRST_LOOK or not ratios or min(ratios) <= 0:
            return None
        return max(ratios) if max(ratios) <= min(ratios) * (1 + STEADY) else None


def _falls(now: float, then: float) -> bool:
    """Whether a result is farther from right than before; in how many numbers is left open."""
    return now < then and (then == RIGHT or int(now) < int(then))


def _finite(value: Plain) -> bool:
    array = as_array(value)
    return array is None or bool(np.isfinite(array.astype(np.float64)).all())


def _share(rule: Rule, value: Plain, want: Plain, args: tuple) -> float | None:
    """Return the share of numbers that are right; None for another shape."""
    a, b = as_array(value), as_array(want)
    if isinstance(rule, Codes) and a is not None and b is not None and a.shape == b.shape:
        away = np.abs(a.astype(np.float64) - b)
        if not (away <= 1).all():  # off by more than a neighbour: seen without asking the rule
            return float((away == 0).mean()) if away.size else 1.0
    mask = rule.right(value, want, args)
    return None if mask is None else float(mask.mean()) if mask.size else 1.0
