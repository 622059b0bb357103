"""How a wrong result may be related to the right one: one row a slip, for every exercise."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Relation:
    """One relation between a right result and a wrong one.

    Attributes
    ----------
    name : str
        For the key.
    change : callable
        The wrong result from the right one; None where the relation has no meaning.
    text : str
        What a learner reads.
    """

    name: str
    change: Callable[[Array], Array | None]
    text: str


def _wrapped(bits: int, signed: bool) -> Callable[[Array], Array | None]:
    offset = 1 << bits - 1 if signed else 0
    return lambda w: remainder(w, bits, offset) if w.dtype.kind in "iu" else None


def _signed(bits: int) -> Callable[[Array], Array | None]:
    """Return what reads unsigned integers of `bits` bits as signed ones."""
    wrapped = _wrapped(bits, signed=True)
    return lambda w: wrapped(w) if w.size and w.min() >= 0 and w.max() < 1 << bits else None


def remainder(w: Array, bits: int, offset: int) -> Array:
    """Return integers as they are kept in `bits` bits, from -offset up."""
    wrapped = [(int(v) + offset) % (1 << bits) - offset for v in w.reshape(-1)]
    return np.array(wrapped, dtype=np.int64).reshape(w.shape)


def times(factor: float) -> Callable[[Array], Array]:
    """Return what multiplies a result by one factor."""
    return lambda w: w.astype(np.float64) * factor


def _real(change: Callable[[Array], Array]) -> Callable[[Array], Array | None]:
    return lambda w: change(w.astype(np.float64))


def _axes(count: int, change: Callable[[Array], Array]) -> Callable[[Array], Array | None]:
    return lambda w: change(w) if w.ndim >= count else None


def _many(change: Callable[[Array], Array]) -> Callable[[Array], Array | None]:
    return lambda w: change(w) if w.ndim and w.size > 1 else None


WRAPS = (
    "Numbers wrap round: they are right but for multiples of 2^{b}, as if they were kept in {b} "
    "bits on the way. Look for the first step that does not fit: compute it in a wider dtype, and "
    "make that narrow only after the clamp."
)
AS_SIGNED = (
    "The numbers are right, read as signed integers of {b} bits: what is 2^{n} or more comes out "
    "negative, 2^{b} less. Return them as unsigned integers, or in a wider dtype, without a step "
    "through int{b} on the way."
)
RELATIONS = (
    Relation(
        "negated",
        lambda w: -w.astype(float),
        "The sign is turned round: you get minus the right "
        "result. Look for a difference taken the wrong way round.",
    ),
    Relation("magnitude", _real(np.abs), "The sign is lost: negative results come out positive."),
    Relation(
        "no negative numbers",
        lambda w: np.maximum(w.astype(float), 0) if w.dtype.kind != "b" else None,
        "What should be negative comes out as 0: a ReLU or a clamp at 0 that does not belong "
        "there.",
    ),
    Relation(
        "no positive numbers",
        lambda w: np.minimum(w.astype(float), 0) if w.dtype.kind != "b" else None,
        "What should be positive comes out as 0: look at the ends of your clamp.",
    ),
    Relation(
        "complement",
        lambda w: (
            1 - w.astype(float) if w.dtype.kind == "b" or set(np.unique(w)) <= {0, 1} else None
        ),
        "True and False are the wrong way round.",
    ),
    Relation(
        "reciprocal",
        _real(lambda w: 1 / w),
        "The result is upside down: you get 1 over the right one. Exchange what stands above and "
        "below the fraction bar.",
    ),
    Relation("squared", _real(np.square), "The result is squared: a square root is missing."),
    Relation("root", _real(np.sqrt), "The result is the root of the right one: one root too many."),
    Relation(
        "not in dB",
        _real(lambda w: 10 ** (w / 10)),
        "That is the ratio itself, and the result is asked in dB: 10 * log10(ratio).",
    ),
    Relation(
        "rounded",
        _real(np.round),
        "The right result is rounded to whole numbers: leave the decimals.",
    ),
    Relation(
        "rounded down",
        _real(np.floor),
        "The right result is rounded down to whole numbers: leave the decimals.",
    ),
    Relation(
        "cut off",
        _real(np.trunc),
        "The right result has lost its decimals, as by int() or //: leave them.",
    ),
    *(
        Relation(f"wrapped to {b} bits, signed", _signed(b), AS_SIGNED.format(b=b, n=b - 1))
        for b in (8, 16, 32)
    ),
    *(
        Relation(f"wrapped to {b} bits", _wrapped(b, signed), WRAPS.format(b=b))
        for b in (8, 16, 32)
        for signed in (True, False)
    ),
    Relation(
        "transposed",
        _axes(2, lambda w: w.swapaxes(-1, -2)),
        "The numbers are right but transposed: rows and columns are exchanged.",
    ),
    Relation(
        "first axes exchanged",
        _axes(2, lambda w: w.swapaxes(0, 1)),
        "The numbers are right but the first two dimensions are exchanged.",
    ),
    Relation(
        "first axis last",
        _axes(3, lambda w: np.moveaxis(w, 0, -1)),
        "The numbers are right but the first dimension has become the last.",
    ),
    Relation(
        "last axis first",
        _axes(3, lambda w: np.moveaxis(w, -1, 0)),
        "The numbers are right but the last dimension has become the first.",
    ),
    Relation(
        "flattened",
        _axes(2, lambda w: w.reshape(-1)),
        "The numbers are right, but the shape is lost: keep the shape of the input (`reshape_as`).",
    ),
    Relation(
        "kept a dimension",
        lambda w: w[..., None],
        "The numbers are right, but there is a "
        "dimension of size 1 too many at the end: drop it with `.squeeze(-1)`, or leave "
        "`keepdim=True` out.",
    ),
    Relation(
        "a dimension in front",
        lambda w: w[None],
        "The numbers are right, but there is a "
        "dimension of size 1 too many in front: drop it with `.squeeze(0)`.",
    ),
    Relation(
        "reversed", _many(lambda w: w[::-1]), "The numbers are right but in the reverse order."
    ),
    Relation(
        "columns reversed",
        _axes(2, lambda w: w[..., ::-1]),
        "The numbers are right but each row is in the reverse order.",
    ),
    Relation(
        "shifted up",
        _many(lambda w: np.roll(w, 1, -1)),
        "The numbers are right but shifted by one place.",
    ),
    Relation(
        "shifted down",
        _many(lambda w: np.roll(w, -1, -1)),
        "The numbers are right but shifted by one place.",
    ),
    Relation(
        "sorted",
        _many(lambda w: np.sort(w, axis=-1)),
        "The numbers are right but sorted: keep the order of the input.",
    ),
    Relation(
        "first repeated",
        _many(lambda w: np.full_like(w, w.flat[0])),
        "The first number "
        "stands in every place: an index is missing, or the loop always takes the same item.",
    ),
    Relation(
        "last repeated",
        _many(lambda w: np.full_like(w, w.flat[-1])),
        "The last number stands in every place: each round of the loop writes all places.",
    ),
    Relation(
        "first of many",
        _many(lambda w: np.asarray(w.flat[0])),
        "Only the first number comes "
        "out, one for all: return a number for each. Look at where your `return` stands.",
    ),
    Relation(
        "last of many",
        _many(lambda w: np.asarray(w.flat[-1])),
        "Only the last number comes out: collect those of all rounds of the loop.",
    ),
    Relation(
        "sum of many",
        _many(lambda w: w.astype(float).sum()),
        "One number comes out, the sum "
        "of all the right ones: sum along one dimension only (`dim=`), or not at all.",
    ),
    Relation(
        "mean of many",
        _many(lambda w: w.astype(float).mean()),
        "One number comes out, the "
        "mean of all the right ones: a mean along one dimension only (`dim=`), or none.",
    ),
    Relation(
        "smallest of many",
        _many(lambda w: w.min()),
        "Only the smallest of the right numbers comes out: return them all.",
    ),
    Relation(
        "largest of many",
        _many(lambda w: w.max()),
        "Only the largest of the right numbers comes out: return them all.",
    ),
    Relation(
        "place of the smallest",
        _many(lambda w: np.asarray(w.argmin())),
        "That is the place of the smallest number: return the numbers themselves.",
    ),
    Relation(
        "place of the largest",
        _many(lambda w: np.asarray(w.argmax())),
        "That is the place of the largest number: return the numbers themselves.",
    ),
    Relation(
        "places",
        lambda w: np.flatnonzero(w) if w.dtype.kind == "b" else None,
        "Those are the places of the True ones: return True or False for each.",
    ),
    Relation("first missing", _many(lambda w: w[1:]), "The first number is missing."),
    Relation(
        "last missing",
        _many(lambda w: w[:-1]),
        "The last number is missing: look at where your range ends.",
    ),
    Relation(
        "running sum",
        _many(lambda w: np.cumsum(w.astype(float), -1)),
        "The numbers add up from place to place: begin anew for each.",
    ),
)
UNWRAPPED = tuple(r for r in RELATIONS if not r.name.startswith("wrapped to"))
OTHERS: tuple[tuple[str, str, Callable[[Array, Array], Array]], ...] = (
    (
        "is {k}",
        "That is the right `{k}`: the two are exchanged, or one is taken for the other.",
        lambda w, o: o,
    ),
    (
        "is minus {k}",
        "That is minus the right `{k}`: the two are not mirror images of each other.",
        lambda w, o: -o,
    ),
    ("plus {k}", "It is too large by `{k}`.", lambda w, o: w + o),
    ("minus {k}", "It is too small by `{k}`.", lambda w, o: w - o),
    ("times {k}", "It is the right result times `{k}`.", lambda w, o: w * o),
    ("over {k}", "It is the right result divided by `{k}`.", lambda w, o: w / o),
)
SHARES = (
    ("share of all", 1.0, "That is its share of the sum of all results: return the amount itself."),
    (
        "percent of all",
        100.0,
        "That is its share of the sum of all results, in percent: return the amount itself.",
    ),
)
