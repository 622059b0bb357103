"""What all wrong numbers of an answer have in common, and which of its numbers they are.

Facts, said where no cause is known.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from labkit.checks.diagnosis.evidence import Evidence
from labkit.checks.values import as_array

Array = np.ndarray
Triple = tuple[Array, Array, Array]

NEARLY = 1e-3
MANY = 3
COARSE = 0.02

NUMBERS: tuple[tuple[str, Callable[[Array, Array], Array], str], ...] = (
    (
        "NaN",
        lambda got, wanted: np.isnan(got),
        "What is wrong is NaN: 0 / 0, the logarithm of 0, or the mean of nothing. Treat the part "
        "that is empty or 0 apart, before you divide.",
    ),
    (
        "infinite",
        lambda got, wanted: np.isinf(got),
        "What is wrong is infinite: a division by 0, or a logarithm of 0. Treat that part apart.",
    ),
    (
        "float16",
        lambda got, wanted: _kept_in(got, wanted, _half),
        "What is wrong has the few digits of float16, which keeps 11 bits of a number: compute in "
        "float32, or in integers that are wide enough.",
    ),
    (
        "bfloat16",
        lambda got, wanted: _kept_in(got, wanted, _brain),
        "What is wrong has the few digits of bfloat16, which keeps 8 bits of a number: compute in "
        "float32, or in integers that are wide enough.",
    ),
    (
        "last digits",
        lambda got, wanted: _near(got, wanted, NEARLY) & (got != 0),
        "What is wrong is nearly right: only its last digits are off. float32 holds 24 bits, about "
        "seven digits, and a sum in it loses more: compute in float64, or in integers that are "
        "wide enough.",
    ),
    (
        "always 0",
        lambda got, wanted: (got == 0) & (len(got) >= MANY) & (wanted != 0),
        "What is wrong is 0, whatever comes in: a product with a mask makes all else 0, and so "
        "does a tensor of zeros where nothing is put in. What belongs there instead?",
    ),
    (
        "always the same",
        lambda got, wanted: (got == got[0]) & (len(got) >= MANY) & (len(set(wanted)) > 1),
        "Whatever comes in, what is wrong is one and the same number. Print what your code "
        "computes on the way, step by step: where does it stop depending on the input? (A mask, a "
        "clamp, a product with 0 or brackets in the wrong place do that.)",
    ),
    (
        "too large",
        lambda got, wanted: (got > wanted) & (len(got) >= MANY),
        "What is wrong is too large, everywhere: something is added, counted twice, not taken away "
        "or not divided by.",
    ),
    (
        "too small",
        lambda got, wanted: (got < wanted) & (len(got) >= MANY),
        "What is wrong is too small, everywhere: something is left out, taken away twice, or "
        "divided by once too often.",
    ),
)


EVERYWHERE = ("too large", "too small")


def _near(got: Array, wanted: Array, share: float) -> Array:
    """Whether numbers differ by a small share; nothing finite is near infinity."""
    return np.isfinite(wanted) & (np.abs(got - wanted) <= share * np.abs(wanted))


def _half(values: Array) -> Array:
    return values.astype(np.float16).astype(np.float64)


def _brain(values: Array) -> Array:
    """Keep the upper half of a float32."""
    bits = values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return bits.view(np.float32).astype(np.float64)


def _kept_in(got: Array, wanted: Array, narrow: Callable[[Array], Array]) -> Array:
    """Whether numbers are near the right ones, and fit into a dtype that the right ones do not."""
    with np.errstate(over="ignore", invalid="ignore"):
        fits = (narrow(got) == got) & _near(got, wanted, COARSE)
        return fits & (len(got) >= MANY) & bool((narrow(wanted) != wanted).mean() > 1 / 2)


def numbers(evidence: Evidence) -> tuple[str, str]:
    """Return key and words for what all wrong numbers have in common; "" if there is nothing."""
    pairs = list(_wrong_numbers(evidence))
    if not pairs:
        return "", ""
    got, wanted = (np.concatenate(side) for side in zip(*pairs, strict=True))
    for key, holds, words in NUMBERS:
        if holds(got, wanted).all() and (key not in EVERYWHERE or _everywhere(evidence)):
            return f"numbers: {key}", words
    return "", ""


def _everywhere(evidence: Evidence) -> bool:
    """Whether most calls are wrong, in most of their numbers, and none raises or has a form."""
    masks = [mask for i in evidence.wrong for mask in evidence.wrong_parts[i] or (None,)]
    returned = len(evidence.returned) == len(evidence.cases)
    if not evidence.exact or not returned or any(mask is None for mask in masks):
        return False
    wrong = [mask.mean() for mask in masks if mask is not None and mask.any()]
    most_calls = len(evidence.wrong) > len(evidence.cases) / 2
    return most_calls and float(np.mean(wrong)) > 1 / 2


def _wrong_numbers(evidence: Evidence) -> Iterator[tuple[Array, Array]]:
    for got, wanted, mask in _compared(evidence, evidence.wrong):
        if mask.any():
            yield got[mask], wanted[mask]


def _compared(evidence: Evidence, calls: list[int]) -> Iterator[Triple]:
    """Give what came, what was expected, and what of it is wrong, result by result."""
    for i in calls:
        got, masks = evidence.got(i), evidence.wrong_parts[i]
        if masks is None:
            continue
        wanted = evidence.parts(evidence.expected[i])
        for value, want, mask in zip(evidence.parts(got), wanted, masks, strict=True):
            a, b = as_array(value), as_array(want)
            if mask is None or a is None or b is None or a.size != b.size:
                continue
            yield a.reshape(b.shape).astype(float), b.astype(float), mask.reshape(b.shape)


def _at(index: Any, dimensions: int) -> Callable[[Array], Array]:
    """Return what marks an index of results that have so many dimensions, or more."""

    def marked(wanted: Array) -> Array:
        marks = np.zeros(wanted.shape, bool)
        if wanted.ndim >= dimensions:
            marks[index] = True
        return marks

    return marked


PLACES: tuple[tuple[str, Callable[[Array], Array]], ...] = (
    ("those that should be negative", lambda wanted: wanted < 0),
    ("those that should be positive", lambda wanted: wanted > 0),
    ("those that should be 0", lambda wanted: wanted == 0),
    ("those that should not be 0", lambda wanted: wanted != 0),
    ("those that should be infinite", np.isinf),
    ("those below 1 in magnitude", lambda wanted: np.abs(wanted) < 1),
    ("those that should be odd", lambda wanted: wanted % 2 == 1),
    ("those that should be the largest of all", lambda wanted: wanted == wanted.max(initial=0)),
    ("those that should be the smallest of all", lambda wanted: wanted == wanted.min(initial=0)),
    ("the first of each row", _at((..., 0), 1)),
    ("the last of each row", _at((..., -1), 1)),
    ("those of the first row", _at(0, 2)),
    ("those of the last row", _at(-1, 2)),
)


def places(evidence: Evidence) -> str:
    """Return which numbers are wrong and no others: "those that should be negative", or "".

    Only where some calls hold both, and by one result: what parts whole calls is said elsewhere.
    """
    found = [t for t in _compared(evidence, evidence.returned) if t[1].size]
    mixed = sum(bool(mask.any() and not mask.all()) for _, _, mask in found)
    if mixed < min(2, len(evidence.wrong)) or len(evidence.wrong_components()) > 1:
        return ""
    if evidence.exercise.names:
        return ""
    wrong = sum(int(mask.sum()) for _, _, mask in found)
    for words, holds in PLACES:
        if wrong >= MANY and all((holds(wanted) == mask).all() for _, wanted, mask in found):
            return words
    return ""
