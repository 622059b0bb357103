"""Slips in what goes in: the right answer, given other arguments than those of the call.

An answer that forgets `zero_point` gives what the reference gives for ``zero_point = 0``. The rows
of `labkit.checks.diagnosis.explanations.changes` say what can happen to one argument, and how it
reads.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import combinations, permutations
from typing import Any

import torch

from labkit.checks.diagnosis.calls import result_of
from labkit.checks.diagnosis.evidence import Evidence, Explanation, Raised
from labkit.checks.diagnosis.explanations.changes import CHANGES, Change, is_list
from labkit.checks.values import Plain

USUAL_RANGES = ((-128, 127), (0, 255), (-127, 127), (-8, 7), (0, 15))
USUAL_NUMBERS = (0, 1, 2, 4, 7, 8, 16, 32, 127, 128, 255)
FAR = 2**20
"""Times the largest of any call: 2**shift of such a number takes long, and fits nothing."""


class Arguments:
    """What the reference returns for changed arguments, computed when asked for."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.names = list(inspect.signature(evidence.exercise.reference).parameters)

    def explanations(self) -> Iterator[Explanation]:
        """Give every change of one argument or two that applies to all calls it concerns."""
        cases = self.evidence.cases
        for position, name in enumerate(self.names):
            values = [case.args[position] for case in cases]
            for change in CHANGES:
                if (any if change.partly else all)(map(change.applies, values)):
                    key = f"argument: {name} {change.name}"
                    edit = self._one(position, change)
                    yield self._explanation(key, change.text.format(p=name), edit)
            yield from self._fixed(position, name, values)
        yield from self._pairs()
        yield from self._ranges()
        yield from self._orders()

    def _one(self, position: int, change: Change) -> Callable[[tuple], tuple]:
        def edit(args: tuple) -> tuple:
            value = args[position]
            new = change.change(value) if change.applies(value) else value
            return (*args[:position], new, *args[position + 1 :])

        return edit

    def _fixed(self, position: int, name: str, values: Sequence[Any]) -> Iterator[Explanation]:
        """One value for all calls, whatever is passed."""
        if not all(type(value) in (int, bool, str) for value in values):
            return
        # Far larger numbers than any call's are no guess, and 2**bits of them may be all memory.
        most = 2 * max(abs(v) for v in values) if type(values[0]) is int else -1
        usual = [number for number in USUAL_NUMBERS if number <= most]
        for value in dict.fromkeys((*values, *usual)):
            text = (
                f"Your code does not look at `{name}`: the results are those for `{name}` = "
                f"{value!r} in every call, whatever is passed."
            )

            def edit(args: tuple, value: Any = value) -> tuple:
                return (*args[:position], value, *args[position + 1 :])

            yield self._explanation(f"argument: {name} fixed", text, edit)

    def _pairs(self) -> Iterator[Explanation]:
        first = self.evidence.cases[0].args
        for i, j in combinations(range(len(self.names)), 2):
            if _sort(first[i]) != _sort(first[j]):
                continue
            a, b = self.names[i], self.names[j]

            def swapped(args: tuple, i: int = i, j: int = j) -> tuple:
                new = list(args)
                new[i], new[j] = args[j], args[i]
                return tuple(new)

            text = f"Your code has `{a}` and `{b}` exchanged."
            yield self._explanation(f"argument: {a} and {b} exchanged", text, swapped)
        for i, j in permutations(range(len(self.names)), 2):
            if _sort(first[i]) != _sort(first[j]):
                continue

            def instead(args: tuple, i: int = i, j: int = j) -> tuple:
                return (*args[:i], args[j], *args[i + 1 :])

            a, b = self.names[i], self.names[j]
            text = f"Your code uses `{b}` where `{a}` belongs."
            yield self._explanation(f"argument: {b} for {a}", text, instead)

    def _orders(self) -> Iterator[Explanation]:
        """Three arguments in another order, as where a library's function has its own."""
        for k in range(len(self.names) - 2):
            for turn in (1, 2, 0), (2, 0, 1):

                def edit(args: tuple, k: int = k, turn: tuple[int, ...] = turn) -> tuple:
                    return (*args[:k], *(args[k + n] for n in turn), *args[k + 3 :])

                names = ", ".join(f"`{name}`" for name in self.names[k : k + 3])
                text = (
                    f"Your code has {names} in another order: look up the order in the signature "
                    "of the function that you call."
                )
                yield self._explanation(f"argument: {names} in another order", text, edit)

    def _ranges(self) -> Iterator[Explanation]:
        """Two arguments fixed together, as qmin and qmax are."""
        if not {"qmin", "qmax"} <= set(self.names):
            return
        i, j = self.names.index("qmin"), self.names.index("qmax")
        for low, high in USUAL_RANGES:

            def edit(args: tuple, low: int = low, high: int = high) -> tuple:
                new = list(args)
                new[i], new[j] = low, high
                return tuple(new)

            text = (
                f"Your code has the range of codes fixed at {low} to {high}. Use `qmin` and "
                "`qmax`, which differ from call to call."
            )
            yield self._explanation("argument: qmin and qmax fixed", text, edit)
        if "zero_point" not in self.names:
            return
        k = self.names.index("zero_point")
        for sign, word in (-1, "minus"), (1, "plus"):

            def shifted(args: tuple, sign: int = sign) -> tuple:
                new = list(args)
                new[i], new[j] = args[i] + sign * args[k], args[j] + sign * args[k]
                return tuple(new)

            text = (
                f"Your code clamps to `qmin` and `qmax` {word} `zero_point`: codes end at `qmin` "
                "and `qmax` themselves. Clamp them where the zero point is added already."
            )
            yield self._explanation(f"argument: qmin and qmax {word} zero_point", text, shifted)

    def _explanation(self, key: str, text: str, edit: Callable[[tuple], tuple]) -> Explanation:
        reference = self.evidence.exercise.reference

        def changed(*args: Any) -> Any:
            given = edit(args)
            if self._is_far(given):
                raise OverflowError("an integer that is far larger than any call's; expected none")
            return reference(*given)

        @cache
        def predict(i: int) -> Plain | Raised:
            return result_of(changed, self.evidence.cases[i].args)

        return Explanation(key, text, predict)

    def _is_far(self, changed: tuple) -> bool:
        """Whether an integer is larger by far than any call's there: a mantissa for a shift."""
        passed = zip(*(case.args for case in self.evidence.cases), strict=True)
        return any(
            type(value) is int
            and abs(value) > FAR
            and abs(value)
            > FAR * max((abs(v) for v in values if type(v) in (int, float)), default=0)
            for value, values in zip(changed, passed, strict=True)
        )


def _sort(value: Any) -> object:
    """Return what two arguments must share to be mistaken for one another."""
    if isinstance(value, torch.Tensor):
        return "tensor"
    return "number" if type(value) in (int, float) else None if is_list(value) else type(value)
