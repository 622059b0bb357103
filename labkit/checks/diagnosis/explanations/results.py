"""Slips in what comes out: how wrong results are related to the right ones.

Each row of `labkit.checks.diagnosis.explanations.relations` turns the right result of a call into
what the slip makes of it. It holds for every exercise at once.
"""

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from labkit.checks.diagnosis.evidence import Evidence, Explanation, Raised
from labkit.checks.diagnosis.explanations import relations
from labkit.checks.diagnosis.explanations.arguments import Arguments
from labkit.checks.diagnosis.explanations.factors import ACTS, FACTORS, QUANTITIES
from labkit.checks.diagnosis.explanations.orders import earlier, orders
from labkit.checks.diagnosis.explanations.relations import Array
from labkit.checks.diagnosis.explanations.rounding import ROUNDINGS
from labkit.checks.diagnosis.facts.numbers import NEARLY
from labkit.checks.rules import Codes
from labkit.checks.values import Plain, as_array, number

_Combine = Callable[[Array, Array], Array]
_Quantity = Callable[[tuple], Any]

MANY_PLACES = 3


class Results:
    """Relations between the results of an answer and the right ones."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.names = evidence.exercise.names

    def explanations(self) -> Iterator[Explanation]:
        """Give all relations, of each wrong result by itself if there are several."""
        yield from orders(self.evidence)
        for c in self.evidence.wrong_components() or range(max(1, len(self.names))):
            known = relations.RELATIONS if self.evidence.may_wrap(c) else relations.UNWRAPPED
            for relation in known:
                yield self._explanation(c, relation.name, relation.text, relation.change)
            yield from self._roundings(c)
            yield from self._constants(c)
            yield from self._bits(c)
            yield from self._others(c)
            yield from self._shares(c)
            yield from self._real_numbers(c)
            yield from self._with_arguments(c)
            yield self._another_order(c)
        yield from earlier(self.evidence)

    def _wanted(self, i: int, c: int) -> Array | None:
        return as_array(self.evidence.parts(self.evidence.expected[i])[c])

    def _given(self, i: int, c: int) -> Array | None:
        parts = self.evidence.parts(self.evidence.got(i))
        return as_array(parts[c]) if c < len(parts) else None

    def _explanation(
        self,
        c: int,
        name: str,
        text: str,
        change: Callable[[Array], Array | None] | None = None,
        of_call: Callable[[int], Array | None] | None = None,
    ) -> Explanation:
        prefix = f"`{self.names[c]}`: " if self.names else ""

        @cache
        def predict(i: int) -> Plain | Raised:
            wanted = self._wanted(i, c)
            if wanted is None:
                return Raised("nothing")
            with np.errstate(all="ignore"):
                new = change(wanted) if change else of_call(i) if of_call else None
            parts = list(self.evidence.parts(self.evidence.expected[i]))
            parts[c] = wanted if new is None else np.asarray(new)
            return tuple(parts) if self.names else parts[0]

        key = f"result: {self.names[c] + ' ' if self.names else ''}{name}"
        return Explanation(key, prefix + text, predict, c if self.names else None)

    def _unrounded(self, c: int) -> Callable[..., Any] | None:
        """Return what gives the real numbers that a result is rounded from, with its bounds."""
        rule = self.evidence.exercise.rules[c]
        return rule.unrounded if isinstance(rule, Codes) else None

    def _roundings(self, c: int) -> Iterator[Explanation]:
        unrounded = self._unrounded(c)
        if unrounded is None:
            return

        @cache
        def real(i: int) -> tuple[Array, int, int]:
            value, low, high = unrounded(*self.evidence.cases[i].args)
            return np.asarray(value, dtype=np.float64), low, high

        def each(change: Callable[[Array, int, int], Array]) -> Callable[[int], Array | None]:
            return lambda i: change(*real(i))

        for name, change, text in ROUNDINGS:
            yield self._explanation(c, name, text, of_call=each(change))

    def _constants(self, c: int) -> Iterator[Explanation]:
        """One factor or one difference in all wrong calls, found in the first of them."""
        first = next((p for i in self.evidence.wrong if (p := self._pair(i, c))), None)
        if first is None:
            return
        got, wanted = first
        if wanted and got and not math.isclose(got, wanted, rel_tol=NEARLY):
            yield self._factor(c, got / wanted)
        difference = got - wanted
        if abs(difference) > 1 and math.isclose(got, wanted, rel_tol=NEARLY):
            return
        word = "too large" if difference > 0 else "too small"
        size = number(abs(difference))
        text = f"The result is {word} by {size} in every call that went wrong."
        if abs(difference) == 1:
            text = (
                f"The result is off by one: {word} by 1. Look at where your count begins and ends."
            )
        yield self._explanation(c, "off by a constant", text, lambda w: w + difference)

    def _factor(self, c: int, factor: float) -> Explanation:
        power = math.log2(abs(factor)) if factor else 0.0
        if factor > 0 and power == int(power) and abs(power) >= MANY_PLACES:
            way, missing = ("large", "right") if power > 0 else ("small", "left")
            text = (
                f"The result is 2^{abs(int(power))} times too {way}: a shift to the {missing} by "
                f"{abs(int(power))} places is missing, or one the other way too much."
            )
            return self._explanation(c, f"shifted by {int(power)}", text, relations.times(factor))
        for known, text in FACTORS.items():
            if math.isclose(factor, known, rel_tol=1e-4):
                return self._explanation(c, f"factor {known:.3g}", text, relations.times(known))
        shown = f"{number(factor)} times" if abs(factor) >= 1 else f"1/{number(1 / factor)} of"
        if math.isclose(abs(factor), 1, rel_tol=0.05):
            shown = f"{number(factor)} times"
        text = (
            f"The result is always {shown} the right one: a constant factor is too much or missing."
        )
        return self._explanation(c, "factor", text, relations.times(factor))

    def _bits(self, c: int) -> Iterator[Explanation]:
        """Integers that have lost some of their bits, the same ones in all wrong calls."""
        kept = 0
        for i in self.evidence.wrong:
            got, wanted = self._given(i, c), self._wanted(i, c)
            if got is None or wanted is None or {got.dtype.kind, wanted.dtype.kind} - set("iu"):
                return
            for value in got.reshape(-1).tolist():
                kept |= value
        if not 0 < kept < 2**63:
            return
        text = (
            f"Bits are missing: only those of 0b{kept:b} come through. To keep the n lowest bits "
            "of a number, mask it with `2**n - 1`: n ones."
        )
        yield self._explanation(c, "bits missing", text, lambda w: w.astype(np.int64) & kept)

    def _others(self, c: int) -> Iterator[Explanation]:
        """One of several results in the place of another, or taken from it."""
        for k, name in enumerate(self.names):
            if k == c:
                continue
            for words, text, change in relations.OTHERS:

                def turn(i: int, k: int = k, change: _Combine = change) -> Array | None:
                    wanted, other = self._wanted(i, c), self._wanted(i, k)
                    if wanted is None or other is None or wanted.shape != other.shape:
                        return None
                    return change(wanted.astype(float), other.astype(float))

                yield self._explanation(c, words.format(k=name), text.format(k=name), of_call=turn)

    def _shares(self, c: int) -> Iterator[Explanation]:
        """Give one of several results as a part of their sum."""
        for words, factor, text in relations.SHARES if len(self.names) > 1 else ():

            def share(i: int, factor: float = factor) -> Array | None:
                parts = [self._wanted(i, k) for k in range(len(self.names))]
                numbers = [part.astype(float) for part in parts if part is not None]
                if len({part.shape for part in numbers}) != 1 or len(numbers) < len(parts):
                    return None
                return factor * numbers[c] / np.sum(numbers, axis=0)

            yield self._explanation(c, words, text, of_call=share)

    def _real_numbers(self, c: int) -> Iterator[Explanation]:
        """Give what the codes stand for, in the place of the codes."""
        names = Arguments(self.evidence).names
        if not isinstance(self.evidence.exercise.rules[c], Codes) or "scale" not in names:
            return

        def real(i: int) -> Array | None:
            given = dict(zip(names, self.evidence.cases[i].args, strict=True))
            wanted, scale = self._wanted(i, c), given["scale"]
            zero_point = given.get("zero_point", 0)
            if wanted is None or type(scale) is not float or type(zero_point) is not int:
                return None
            return (wanted.astype(float) - zero_point) * scale

        text = (
            "Those are the real numbers that the codes stand for: return the codes themselves, "
            "without the way back."
        )
        yield self._explanation(c, "real numbers for codes", text, of_call=real)

    def _another_order(self, c: int) -> Explanation:
        """All the right numbers, in the wrong places."""

        def turn(i: int) -> Array | None:
            got, wanted = self._given(i, c), self._wanted(i, c)
            if got is None or wanted is None or got.shape != wanted.shape:
                return None
            alike = np.array_equal(np.sort(got, axis=None), np.sort(wanted, axis=None))
            return got if alike and len(np.unique(wanted)) >= MANY_PLACES else None

        text = (
            "The right numbers come out, but in another order: compare place by place, and follow "
            "one number through your code (a reshape, a stack or a concatenation along another "
            "dimension does that)."
        )
        return self._explanation(c, "in another order", text, of_call=turn)

    def _pair(self, i: int, c: int) -> tuple[float, float] | None:
        """Return a wrong number of call i and the right one, if both are finite."""
        got, wanted, masks = self._given(i, c), self._wanted(i, c), self.evidence.wrong_parts[i]
        if got is None or wanted is None or masks is None or masks[c] is None:
            return None
        mask = np.asarray(masks[c])
        if got.size == wanted.size == 1:
            got, wanted, mask = got.reshape(()), wanted.reshape(()), mask.reshape(())
        chosen = mask & np.isfinite(got.astype(float)) & np.isfinite(wanted.astype(float))
        if not chosen.any():
            return None
        return float(got[chosen].flat[0]), float(wanted[chosen].flat[0])

    def _with_arguments(self, c: int) -> Iterator[Explanation]:
        """Give the right result plus, minus, times or over something that came in."""
        names = Arguments(self.evidence).names
        quantities: list[tuple[str, _Quantity]] = []
        for k, name in enumerate(names):
            values = [case.args[k] for case in self.evidence.cases]
            for applies, words, measure in QUANTITIES:
                if all(map(applies, values)):

                    def of(args: tuple, k: int = k, measure: Callable[[Any], Any] = measure) -> Any:
                        return measure(args[k])

                    quantities.append((words.format(p=name), of))
        yield from self._before_rounding(c, quantities)
        for words, quantity in quantities:
            for name, text, act in ACTS:

                def turn(
                    i: int, act: _Combine = act, quantity: _Quantity = quantity
                ) -> Array | None:
                    wanted = self._wanted(i, c)
                    value = np.asarray(quantity(self.evidence.cases[i].args), dtype=np.float64)
                    if wanted is None or (value.ndim and value.shape != wanted.shape):
                        return None
                    return act(wanted.astype(np.float64), value)

                yield self._explanation(c, f"{name} {words}", text.format(q=words), of_call=turn)

    def _before_rounding(
        self, c: int, quantities: list[tuple[str, _Quantity]]
    ) -> Iterator[Explanation]:
        """Give codes whose real number was plus, minus, times or over something that came in."""
        unrounded = self._unrounded(c)
        if unrounded is None:
            return

        @cache
        def before(i: int) -> tuple[Array, int, int]:
            real, low, high = unrounded(*self.evidence.cases[i].args)
            return np.asarray(real, dtype=np.float64), low, high

        for words, quantity in quantities:
            for name, text, act in ACTS:

                def turn(
                    i: int, act: _Combine = act, quantity: _Quantity = quantity
                ) -> Array | None:
                    real, low, high = before(i)
                    value = np.asarray(quantity(self.evidence.cases[i].args), dtype=np.float64)
                    if value.ndim and value.shape != real.shape:
                        return None
                    return np.round(act(real, value)).clip(low, high)

                said = text.format(q=words).replace(
                    "The result", "Before it is rounded, the result"
                )
                yield self._explanation(c, f"{name} {words} before rounding", said, of_call=turn)
