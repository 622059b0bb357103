"""Which calls are right and which are wrong: a fact, said where no cause is known.

A quality of the input that parts the wrong calls from the right ones points at the special case
that was forgotten. Each row of `labkit.checks.diagnosis.facts.qualities` holds for every exercise.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from itertools import permutations
from math import comb
from typing import Any

from labkit.checks.diagnosis.evidence import Evidence
from labkit.checks.diagnosis.facts.qualities import PAIRS, QUALITIES, Pair, Quality, is_tensor

MOST_LABELS = 3
QUOTED = re.compile(r"`(\w+)`")
SEVERAL = 2


def contrast(evidence: Evidence, wrong: list[int]) -> str:
    """Say what parts the wrong calls from the right ones; "" if nothing plain does.

    Parameters
    ----------
    evidence : Evidence
        The calls.
    wrong : list of int
        Those that went wrong in any way.
    """
    total = range(len(evidence.cases))
    right = [i for i in total if i not in set(wrong)]
    if not right or not wrong:
        return ""
    where = parting(evidence, wrong)
    if where:
        return f"All calls where {where[0]} go wrong; those where {where[1]} are right."
    labels = list(dict.fromkeys(evidence.cases[i].label for i in wrong))
    if len(labels) <= MOST_LABELS and len(wrong) < len(right):
        return f"Only this goes wrong: {'; '.join(labels)}. All other calls are right."
    good = list(dict.fromkeys(evidence.cases[i].label for i in right))
    if len(good) <= MOST_LABELS:
        return f"Only this is right: {'; '.join(good)}. All other calls go wrong."
    shown = ["; ".join(some[:MOST_LABELS]) for some in (good, labels)]
    more = len(labels) > MOST_LABELS
    return f"Right are, among others: {shown[0]}. Wrong are: {shown[1]}{' and others' * more}."


def parting(evidence: Evidence, wrong: list[int]) -> tuple[str, str] | None:
    """Return what the inputs of all wrong calls are and no other's, and what the others are.

    Of several such qualities the one that special cases are made of is said, of arguments the one
    that stands in the line that fails, and none that fits so few calls that one of all that are
    asked about fits by chance.

    Parameters
    ----------
    evidence : Evidence
        The calls.
    wrong : list of int
        Those that went wrong in any way.
    """
    total = range(len(evidence.cases))
    if not SEVERAL <= len(wrong) <= len(total) - SEVERAL:
        return None
    ways = comb(len(total), len(wrong))
    failing = evidence.outcomes[wrong[0]].message.split("\n")[-1]

    def order(asked: Question) -> tuple[int, bool]:
        return asked[0], not any(name in failing for name in QUOTED.findall(asked[1]))

    for rank, words, otherwise, holds in sorted(_questions(evidence), key=order):
        if ways < WAYS[rank]:
            break
        answers = [holds(evidence.cases[i].args) for i in total]
        if all(answers[i] is (i in wrong) for i in total):
            return words, otherwise
        if all(answers[i] is (i not in wrong) for i in total):
            return otherwise, words
    return None


Holds = Callable[[tuple], bool]
Question = tuple[int, str, str, Holds]
SPECIAL, GENERAL, ONE_OF_MANY = range(3)
WAYS = (15, 40, 100)
"""In how many ways as many calls could be wrong, before a quality of that rank is believed."""


def _questions(evidence: Evidence) -> Iterator[Question]:
    names = list(inspect.signature(evidence.exercise.reference).parameters)
    for k, name in enumerate(names):
        values = [case.args[k] for case in evidence.cases]
        for quality in QUALITIES:
            if all(map(quality.applies, values)):

                def holds(args: tuple, k: int = k, quality: Quality = quality) -> bool:
                    return bool(quality.holds(args[k]))

                rank = SPECIAL if quality.special else GENERAL
                yield rank, quality.words.format(p=name), quality.otherwise.format(p=name), holds
        if all(type(v) in (int, str) for v in values):
            for value in dict.fromkeys(values):

                def equal(args: tuple, k: int = k, value: Any = value) -> bool:
                    return bool(args[k] == value)

                yield ONE_OF_MANY, f"`{name}` is {value!r}", f"`{name}` is not {value!r}", equal
        if all(map(is_tensor, values)):
            for dtype in dict.fromkeys(v.dtype for v in values):

                def of_dtype(args: tuple, k: int = k, dtype: Any = dtype) -> bool:
                    return bool(args[k].dtype == dtype)

                short = str(dtype).removeprefix("torch.")
                yield GENERAL, f"`{name}` is {short}", f"`{name}` is not {short}", of_dtype
    yield from _pairs(evidence, names)


def _pairs(evidence: Evidence, names: list[str]) -> Iterator[Question]:
    """Give what two arguments are to one another."""
    for a, b in permutations(range(len(names)), 2):
        for pair in PAIRS:
            if all(pair.applies(case.args[a], case.args[b]) for case in evidence.cases):

                def holds(args: tuple, a: int = a, b: int = b, pair: Pair = pair) -> bool:
                    return bool(pair.holds(args[a], args[b]))

                both = {"p": names[a], "q": names[b]}
                yield GENERAL, pair.words.format(**both), pair.otherwise.format(**both), holds
