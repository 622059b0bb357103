"""What the calls of an answer say for and against an explanation of its mistake.

An explanation predicts what each call gives. It stands if it accounts for nearly all that is wrong
and contradicts nothing that is right, counted number by number: code that is written by people
errs less tidily than one wrong version does (a NaN here, a clamp there).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from labkit.checks.calling import Outcome
from labkit.checks.diagnosis.agreement import (
    LAST_DIGITS,
    agreement,
    as_asked,
    nan_alone,
    same,
    says_the_right,
)
from labkit.checks.diagnosis.budget import Budget
from labkit.checks.exercise import Case, Exercise
from labkit.checks.rules import Codes, Integer, Rule
from labkit.checks.values import Plain, as_array, input_size

ENOUGH = 0.9
STRAY = 0.1
EXACT = {Rule.mismatch, Codes.mismatch, Integer.mismatch}


@dataclass(frozen=True)
class Raised:
    """A call that ended in an error: the name of its type."""

    name: str


def parts_of(exercise: Exercise, value: Plain) -> tuple[Plain, ...]:
    """Return a result as a tuple with one item for each name of an exercise."""
    return value if exercise.names and isinstance(value, tuple) else (value,)


@dataclass(frozen=True)
class Explanation:
    """Something that may have gone wrong, and what each call would give if it had.

    Attributes
    ----------
    key : str
        What names it in the data of tests, "argument: zero_point left out".
    text : str
        What a learner reads: the slip in plain words and what to try.
    predict : callable
        ``predict(i)`` returns the result of call i as arrays, or `Raised`.
    component : int, optional
        Which of several results it speaks about; None for all.
    partial : bool
        Whether it may be said of a part of the calls only.
    """

    key: str
    text: str
    predict: Callable[[int], "Plain | Raised"]
    component: int | None = None
    partial: bool = True


@dataclass(frozen=True)
class Weight:
    """How well an explanation fits.

    Attributes
    ----------
    explained : float
        The share of what is wrong that it predicts, averaged over the wrong calls.
    whole : int
        How many wrong calls it predicts to the last number.
    contradicted : int
        How many right calls it would have made wrong.
    """

    explained: float
    whole: int
    contradicted: int

    @property
    def stands(self) -> bool:
        """Whether it may be said: nearly all of the wrong calls and none of the right ones."""
        return self.explained >= ENOUGH and not self.contradicted


@dataclass(frozen=True)
class Evidence:
    """The calls of one answer beside what was expected of them, and the time for guesses.

    What misconceptions predict is kept in `predictions`, by their ids: it is asked for by all
    results together, and by each.
    """

    exercise: Exercise
    cases: Sequence[Case]
    outcomes: Sequence[Outcome]
    expected: Sequence[Plain]
    budget: Budget = field(default_factory=Budget)
    predictions: dict[int, Callable[[int], "Plain | Raised"]] = field(default_factory=dict)

    @cached_property
    def returned(self) -> list[int]:
        """The calls that gave a result. Errors say themselves what happened."""
        return [i for i, outcome in enumerate(self.outcomes) if outcome.status == "returned"]

    @property
    def exact(self) -> bool:
        """Whether one result alone is right; of many, chance finds one."""
        return {type(rule).mismatch for rule in self.exercise.rules} <= EXACT

    @cached_property
    def raises(self) -> bool:
        """Whether any call ended in an error."""
        return any(outcome.status == "raised" for outcome in self.outcomes)

    @cached_property
    def wrong_parts(self) -> dict[int, tuple[np.ndarray | None, ...] | None]:
        """For each call and each result a mask of wrong numbers; None: it cannot be compared."""
        return {i: self._masks(i) for i in self.returned}

    @cached_property
    def wrong(self) -> list[int]:
        """The calls that gave wrong numbers or an incomparable result, smallest first."""
        calls = [i for i in self.returned if self._is_wrong(i)]
        return sorted(calls, key=lambda i: (input_size(self.cases[i].args), i))

    @cached_property
    def _with_nan(self) -> set[int]:
        """The calls that gave NaN somewhere."""
        parts = {i: map(as_array, self.parts(self.got(i))) for i in self.returned}
        return {
            i
            for i, arrays in parts.items()
            if any(a is not None and np.isnan(a.astype(float)).any() for a in arrays)
        }

    def got(self, i: int) -> Plain:
        """Return what call i gave, its numbers in what is asked for."""
        given = self.outcomes[i].value
        return given if self.exercise.names else as_asked(given, self.expected[i])

    def may_wrap(self, c: int) -> bool:
        """Whether result c may have wrapped round: not where Python's numbers come, and errors."""
        given = (self.parts(self.got(i)) for i in self.returned)
        plain = all(c >= len(parts) or isinstance(parts[c], int | float) for parts in given)
        return not (plain and self.raises)

    def _is_wrong(self, i: int) -> bool:
        """Whether call i went wrong in more than its form."""
        masks = self.wrong_parts[i]
        return masks is None or any(mask is None or mask.any() for mask in masks)

    def wrong_components(self) -> list[int]:
        """Return which of several results are wrong somewhere."""
        found = set()
        for i in self.wrong:
            for c, mask in enumerate(self.wrong_parts[i] or ()):
                if mask is None or mask.any():
                    found.add(c)
        return sorted(found)

    def parts(self, value: Plain) -> tuple[Plain, ...]:
        """Return a result as a tuple with one item for each name of the exercise."""
        return parts_of(self.exercise, value)

    def _masks(self, i: int) -> tuple[np.ndarray | None, ...] | None:
        given, wanted = self.parts(self.got(i)), self.parts(self.expected[i])
        if len(given) != len(wanted):
            return None
        rules = self.exercise.rules
        return tuple(
            rule.wrong(value, want, self.cases[i].args)
            for rule, value, want in zip(rules, given, wanted, strict=True)
        )

    def weigh(
        self, explanation: Explanation, tolerant: bool = False, within: bool = False
    ) -> Weight:
        """Count what `explanation` predicts; stops where it cannot stand any more.

        Parameters
        ----------
        explanation : Explanation
            To be tried.
        tolerant : bool
            Compare with the tolerance of the exercise instead of to the last digits.
        within : bool
            Look at the wrong numbers alone: not at right ones, of the same calls or of others.
        """
        shares: list[float] = []
        wrong = [i for i in self.wrong if self._concerns(i, explanation.component)]
        wrong = [i for i in wrong if i not in self._with_nan or not self._is_nan(i, explanation)]
        if not wrong:
            return Weight(0.0, 0, 0)
        for i in wrong:
            shares.append(self._share(i, explanation, tolerant, within=within))
            most = (sum(shares) + len(wrong) - len(shares)) / len(wrong)
            if most < ENOUGH:
                return Weight(most, 0, 0)
        contradicted = 0
        for i in self.returned:
            if i not in wrong and not within:
                missed = self._share(i, explanation, tolerant, right=True) > STRAY
                contradicted += missed and not self._is_right(i, explanation)
                if contradicted > 1:
                    break
        whole = sum(share > 1 - 1e-9 for share in shares)
        return Weight(sum(shares) / len(wrong), whole, contradicted)

    def _is_right(self, i: int, explanation: Explanation) -> bool:
        """Whether a prediction is right as well: the other neighbour of a tie, for instance."""
        told = explanation.predict(i)
        if isinstance(told, Raised):
            return False
        given, wanted = self.parts(told), self.parts(self.expected[i])
        if len(given) != len(wanted):
            return False
        masks = [
            rule.wrong(value, want, self.cases[i].args)
            for rule, value, want in zip(self.exercise.rules, given, wanted, strict=True)
        ]
        chosen = masks if explanation.component is None else [masks[explanation.component]]
        return all(mask is not None and not mask.any() for mask in chosen)

    def _concerns(self, i: int, component: int | None) -> bool:
        masks = self.wrong_parts[i]
        if component is None or masks is None:
            return True
        mask = masks[component]
        return mask is None or bool(mask.any())

    def _is_nan(self, i: int, explanation: Explanation) -> bool:
        """Whether call i went wrong in nothing but NaN, which the explanation does not speak of.

        That is a slip of its own, an empty part that was divided by, and tells nothing of others.
        """
        masks, told = self.wrong_parts[i], explanation.predict(i)
        if masks is None or isinstance(told, Raised):
            return False
        given, predicted = self.parts(self.got(i)), self.parts(told)
        pairs = [
            (value, other, mask)
            for c, (value, other, mask) in enumerate(zip(given, predicted, masks, strict=False))
            if explanation.component in (None, c)
        ]
        return all(
            mask is not None and not (mask.reshape(-1) & ~nan_alone(value, other, mask)).any()
            for value, other, mask in pairs
        )

    def _share(
        self,
        i: int,
        explanation: Explanation,
        tolerant: bool,
        right: bool = False,
        within: bool = False,
    ) -> float:
        """Return the share of wrong numbers predicted; of right ones, the share contradicted."""
        got, told = self.got(i), explanation.predict(i)
        if isinstance(told, Raised):
            return float(right)
        masks = self.wrong_parts[i]
        if masks is None:  # another structure than expected: all or nothing
            return float(same(got, told) != right)
        given, predicted = self.parts(got), self.parts(told)
        if len(given) != len(predicted):
            return float(right)
        hits, misses, size = 0.0, 0.0, 0
        for c, (value, other, mask) in enumerate(zip(given, predicted, masks, strict=True)):
            if explanation.component not in (None, c):
                continue
            rule = self.exercise.rules[c] if tolerant else LAST_DIGITS
            agree = agreement(value, other, rule)
            size += 1
            if mask is None or agree is None:  # all or nothing
                hit = float(mask is None and agree is not None and bool(agree.all()))
                hits, misses = hits + hit, misses + 1 - hit
                continue
            mask = mask.reshape(agree.shape)
            if not right:
                as_right = says_the_right(value, other, self.parts(self.expected[i])[c])
                agree = agree & ~(mask & as_right)
            share = 1 / max(1, mask.size)  # large results do not outvote small ones
            hits += float((mask & agree).sum()) * share
            counted = right | ~nan_alone(value, other, mask).reshape(agree.shape)
            if within:
                counted = counted & mask
            misses += float((~agree & counted).sum()) * share
        if right:
            return misses / max(size, 1)
        return hits / (hits + misses) if hits else 0.0
