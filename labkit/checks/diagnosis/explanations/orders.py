"""Right results in the wrong place: in another order, alone, or those of an earlier call."""

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from labkit.checks.diagnosis.evidence import Evidence, Explanation, Raised
from labkit.checks.diagnosis.explanations.factors import FACTORS
from labkit.checks.values import Plain, as_array

ORDER = "result: order"


def orders(evidence: Evidence) -> Iterator[Explanation]:
    """Several results in another order, or one of them alone."""
    if len(evidence.exercise.names) < 2:
        return
    expected = evidence.expected
    right = ", ".join(evidence.exercise.names)
    for order in permutations(range(len(evidence.exercise.names))):
        if list(order) != sorted(order):
            given = ", ".join(evidence.exercise.names[k] for k in order)
            text = f"The results come in the order {given}; expected {right}."

            def predict(i: int, order: tuple[int, ...] = order) -> Plain | Raised:
                return tuple(expected[i][k] for k in order)

            yield Explanation(ORDER, text, predict)
            for factor, words in FACTORS.items():

                def multiplied(
                    i: int, order: tuple[int, ...] = order, factor: float = factor
                ) -> Plain | Raised:
                    parts = [as_array(expected[i][k]) for k in order]
                    if any(part is None for part in parts):
                        return Raised("TypeError")
                    return tuple(factor * part for part in parts if part is not None)

                # "The result is 1000 times too small" is so of all of them.
                told = words.replace("The result is", "Each is")
                yield Explanation(f"{ORDER}, and a factor", f"{text} {told}", multiplied)
    for k, name in enumerate(evidence.exercise.names):
        text = f"Only `{name}` comes out; expected {right}."

        def alone(i: int, k: int = k) -> Plain | Raised:
            return expected[i][k]

        yield Explanation("result: one of several", text, alone)
    text = "The results come in pairs; expected one tensor of each kind: " + right + "."

    def pairs(i: int) -> Plain | Raised:
        parts = [np.atleast_1d(np.asarray(part)) for part in expected[i]]
        return tuple(tuple(items) for items in zip(*parts, strict=False))

    yield Explanation("result: pairs", text, pairs)


def earlier(evidence: Evidence) -> Iterator[Explanation]:
    """Give what an earlier call had to: something is kept from call to call."""
    expected = evidence.expected
    text = (
        "Your code gives the result of {which} again: something is kept from call to call, such "
        "as a global variable or a default argument that is changed."
    )
    yield Explanation(
        "result: that of the first call",
        text.format(which="the first call"),
        lambda i: expected[0],
    )
    yield Explanation(
        "result: that of the call before",
        text.format(which="the call before"),
        lambda i: expected[max(0, i - 1)],
    )
