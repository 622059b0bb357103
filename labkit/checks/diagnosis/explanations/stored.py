"""Which stored misconception of an exercise fits an answer: by its numbers, or by their form."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import combinations

from labkit.checks.diagnosis.agreement import same
from labkit.checks.diagnosis.calls import result_of
from labkit.checks.diagnosis.evidence import Evidence, Explanation, Raised, Weight
from labkit.checks.exercise import Exercise, Misconception
from labkit.checks.values import Plain, as_array

NEXT_TO_ALL = 0.999
OF_STORED = 0.5
"""The share of the time for guesses that goes to stored mistakes, at most."""

OF_PAIRS = 0.75
"""The share that is spent when two mistakes at a time are tried no longer; relations come first."""

Consider = Callable[[Misconception, Explanation, Weight], None]


def stored(
    evidence: Evidence, component: int | None, consider: Consider
) -> tuple[Misconception, Explanation, Weight] | None:
    """Return the stored misconception that explains most; to the last digits first.

    Parameters
    ----------
    evidence : Evidence
        The calls.
    component : int, optional
        Which of several results is explained; None for all.
    consider : callable
        Gets every one that does not stand, with its weight.
    """
    mistakes = evidence.exercise.misconceptions
    for tolerant in False, True:
        found = []
        for rank, mistake in enumerate(mistakes):
            new = id(mistake) not in evidence.predictions
            if new and evidence.budget.over(OF_STORED, now=True):
                break
            explanation = _as_explanation(evidence, mistake, component)
            weight = evidence.weigh(explanation, tolerant)
            if weight.stands or _but_for_one(weight):
                form = sum(
                    _same_form(evidence.got(i), explanation.predict(i)) for i in evidence.returned
                )
                score = (weight.contradicted, -round(weight.explained, 2), -form, rank)
                found.append((score, (mistake, explanation, weight)))
            else:
                consider(mistake, explanation, weight)
        if found:
            return min(found, key=lambda item: item[0])[1]
    return None


def pairs(evidence: Evidence, component: int | None) -> Iterator[tuple[Misconception, Explanation]]:
    """Give all that an exercise's misconceptions make two at a time.

    Parameters
    ----------
    evidence : Evidence
        The calls.
    component : int, optional
        Which of several results is explained; None for all.
    """
    for both in _together(evidence.exercise):
        yield both, _as_explanation(evidence, both, component)


@cache
def _together(exercise: Exercise) -> tuple[Misconception, ...]:
    """Return the misconceptions that are made of two: other parts of one function are changed.

    Those of an exercise stand in the order in which people make them, and so do these.
    """
    parted = [(m, m.wrong) for m in exercise.misconceptions if isinstance(m.wrong, partial)]
    both = sorted(combinations(range(len(parted)), 2), key=sum)
    return tuple(
        Misconception(
            f"{one.name}, and {other.name}",
            partial(slip, **another.keywords),
            f"{one.message} {other.message}",
        )
        for (one, slip), (other, another) in ((parted[i], parted[j]) for i, j in both)
        if one.name != other.name
        and slip.func is another.func
        and not set(slip.keywords) & set(another.keywords)
    )


def _but_for_one(weight: Weight) -> bool:
    """Whether a stored mistake accounts for all that is wrong, and one special case is right.

    Who makes it and sees one case fail mends that case; the mistake is still there.
    """
    return weight.whole >= 3 and weight.explained > NEXT_TO_ALL and weight.contradicted == 1


def _as_explanation(
    evidence: Evidence, mistake: Misconception, component: int | None
) -> Explanation:
    @cache
    def predict(i: int) -> Plain | Raised:
        return result_of(mistake.wrong, evidence.cases[i].args)

    known = evidence.predictions.setdefault(id(mistake), predict)
    text = f"Your code {mistake.name}. {mistake.message}"
    return Explanation(f"mistake: {mistake.name}", text, known, component)


def _same_form(got: Plain | Raised | None, told: Plain | Raised) -> bool:
    """Whether two results agree in the kind of their dtypes as well as in their numbers."""
    if isinstance(got, tuple) and isinstance(told, tuple):
        return len(got) == len(told) and all(map(_same_form, got, told))
    a, b = as_array(got), as_array(told)
    if a is None or b is None:
        return got is told
    kinds_agree = not (a.ndim or b.ndim) or (a.dtype.kind == "f") == (b.dtype.kind == "f")
    return kinds_agree and same(got, told)


def of_form(evidence: Evidence, wrong: Sequence[int]) -> tuple[Misconception, Explanation] | None:
    """Return the misconception whose results have right numbers in the same wrong form."""
    scores = []
    for mistake in evidence.exercise.misconceptions:
        explanation = _as_explanation(evidence, mistake, None)
        told = {i: explanation.predict(i) for i in evidence.returned}
        came = {i: evidence.outcomes[i].value for i in evidence.returned}
        alike = {i: _same_form(came[i], told[i]) for i in evidence.returned}
        numbers = all(same(came[i], told[i]) for i in evidence.returned)
        fits = numbers and all(alike.get(i, True) for i in wrong)
        scores.append(sum(alike.values()) if fits else 0)
    if not any(scores):
        return None
    mistake = evidence.exercise.misconceptions[scores.index(max(scores))]
    return mistake, _as_explanation(evidence, mistake, None)
