"""From the calls of a wrong answer to what a learner should read: one finding or two.

Everything that could be the cause is an `Explanation`, whichever source it comes from, and is
weighed alike (`labkit.checks.diagnosis.evidence`). Of those that stand, the one that explains most
is said, a misconception with a message of its own before a relation, a relation before a slip of
the pen. Where none stands, facts are said: which calls are right, and what an error means.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from labkit.checks.calling import Outcome
from labkit.checks.diagnosis.answer import remarks, repair
from labkit.checks.diagnosis.arguments import Arguments, called
from labkit.checks.diagnosis.contrast import contrast, numbers
from labkit.checks.diagnosis.errors import meaning
from labkit.checks.diagnosis.evidence import Evidence, Explanation, Raised, Weight, same
from labkit.checks.diagnosis.results import Results
from labkit.checks.diagnosis.variants import Variants
from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.values import Plain, as_array

MOST = 2
NEXT_TO_ALL = 0.999
FEW_NUMBERS = 2
MANY = 6
AS_FAR_FETCHED = 2


@dataclass(frozen=True)
class Finding:
    """What is said about a wrong answer.

    Attributes
    ----------
    key : str
        What names it: "mistake: does not clamp", "argument: zero_point left out, 0".
    text : str
        One or two sentences: the slip, and what to try.
    cause : bool
        Whether it claims a cause; else it is a fact that can be seen.
    misconception : Misconception, optional
        The stored one that it is.
    """

    key: str
    text: str
    cause: bool = True
    misconception: Misconception | None = None


def diagnose(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    wrong: Sequence[int],
    answer: Callable[..., Any] | None = None,
) -> tuple[Finding, ...]:
    """Return what can be said about an answer, the most telling first.

    Parameters
    ----------
    exercise : Exercise
        Which one.
    cases, outcomes : sequence
        The calls and what came of them.
    wrong : sequence of int
        The calls that are not accepted.
    answer : callable, optional
        The function itself, where its code may be read and run again.
    """
    expected = [called(partial(exercise.reference, *copy.deepcopy(c.args))) for c in cases]
    evidence = Evidence(exercise, cases, outcomes, expected)
    causes: tuple[Finding, ...] = ()
    if any(outcomes[i].status == "returned" for i in wrong):
        causes = _causes(evidence, wrong)
    told = () if answer is None else _told(answer, evidence, list(wrong), bool(causes))
    causes = (*causes, *told)
    changed = _changed(evidence)
    facts = _facts(evidence, list(wrong), has_cause=any(finding.cause for finding in causes))
    return (*causes, *changed, *facts)[:MOST]


def _told(
    answer: Callable[..., Any], evidence: Evidence, wrong: list[int], has_cause: bool
) -> tuple[Finding, ...]:
    """Return what the code itself tells: sure signs always, others where nothing else is known."""
    found = list(remarks(answer, evidence, wrong))
    chosen = [remark for remark in found if remark.sure or (has_cause and not remark.cause)]
    if not has_cause and not chosen:
        mended = repair(answer, evidence, wrong)
        chosen = [mended] if mended else [remark for remark in found if not remark.cause]
    return tuple(Finding(remark.key, remark.text, remark.cause) for remark in chosen[:1])


def _changed(evidence: Evidence) -> tuple[Finding, ...]:
    """Return the remark that inputs were changed in place."""
    positions = sorted({k for outcome in evidence.outcomes for k in outcome.changed})
    if not positions:
        return ()
    code = evidence.exercise.reference.__code__
    names = ", ".join(f"`{code.co_varnames[k]}`" for k in positions)
    text = (
        f"Your code changes its input {names} in place: whoever calls it loses the original. Work "
        "on a copy (`.clone()`, `list(...)`)."
    )
    return (Finding("answer: changes its input", text),)


def _causes(evidence: Evidence, wrong: Sequence[int]) -> tuple[Finding, ...]:
    if not evidence.wrong:
        form = _form(evidence, wrong)
        return (form,) if form else ()
    best = _best(evidence, None)
    if best is not None:
        return (best,)
    found: list[Finding] = []
    for component in evidence.wrong_components() if evidence.exercise.names else ():
        best = _best(evidence, component)
        if best is not None:
            name = f"`{evidence.exercise.names[component]}`: "
            text = best.text if best.text.startswith(name) else name + best.text
            found.append(replace(best, text=text))
    return tuple(found[:2])


def _best(evidence: Evidence, component: int | None) -> Finding | None:
    """Return the finding that explains most, of one result or of all together."""
    standing: list[_Standing] = []

    def consider(kind: int, rank: int, explanation: Explanation, weight: Weight) -> None:
        if weight.stands:
            finding = Finding(explanation.key, explanation.text)
            standing.append((0, -round(weight.explained, 2), kind, rank, finding))

    stored = _stored(evidence, component)
    if stored is not None:
        standing.append(stored)
    tells = _tells(evidence, component)
    wrong_ones = evidence.wrong_components()
    only = wrong_ones[0] if component is None and len(wrong_ones) == 1 else component
    if not _explained(standing) and tells:
        sources: Iterable[Iterator[Explanation]] = (
            Arguments(evidence).explanations(),
            Results(evidence).explanations(),
        )
        for kind, source in enumerate(sources, 1):
            for rank, explanation in enumerate(source):
                if explanation.component in (None, only):
                    narrowed = replace(
                        explanation, component=component if explanation.component is None else only
                    )
                    consider(kind, rank, narrowed, evidence.weigh(narrowed))
    if not _explained(standing) and tells:
        for rank, explanation in Variants(evidence).explanations():
            narrowed = replace(explanation, component=component)
            consider(3, rank, narrowed, evidence.weigh(narrowed))
    return _first(standing) if standing else None


# What contradicts it, minus the share it explains, which source, how far-fetched, what is said.
_Standing = tuple[int, float, int, int, Finding]
_SLIP_OF_THE_PEN = 3


def _first(standing: Sequence[_Standing]) -> Finding:
    """Return what is said; two slips of the pen that fit alike in two places are said both."""
    best = min(standing, key=lambda item: item[:4])
    if best[2] < _SLIP_OF_THE_PEN:
        return best[4]
    place = best[4].key.split(" -> ")[0]
    for *fits, rank, other in sorted(standing, key=lambda item: item[:4]):
        elsewhere = other.key.split(" -> ")[0]
        apart = place not in elsewhere and elsewhere.removeprefix("variant: ") not in place
        if apart and fits == list(best[:3]) and rank <= best[3] + AS_FAR_FETCHED:
            key = f"{best[4].key} or {other.key.removeprefix('variant: ')}"
            said = other.text.replace("It looks as if", "Or, with the same results, it seems that")
            return Finding(key, f"{best[4].text} {said}")
    return best[4]


def _explained(standing: Sequence[_Standing]) -> bool:
    return any(not item[0] and -item[1] > NEXT_TO_ALL for item in standing)


def _tells(evidence: Evidence, component: int | None) -> bool:
    """Whether the wrong numbers are such that two different slips would not agree by chance."""
    seen: set[float] = set()
    everything: set[float] = set()
    count = 0
    only_wrong = evidence.wrong_components()
    for i in evidence.wrong:
        masks = evidence.wrong_parts[i]
        for c, part in enumerate(evidence.parts(evidence.got(i))):
            array = as_array(part)
            if array is None or component not in (None, c) or (only_wrong and c not in only_wrong):
                continue
            values = array.astype(float).reshape(-1)
            mask = masks[c] if masks is not None and c < len(masks) else None
            if mask is not None:
                everything |= set(values[:50].tolist())
                values = values[mask.reshape(-1)]
            count += len(values)
            seen |= set(values[:50].tolist())
    finite = {v for v in seen if v == v and abs(v) != float("inf")} - {0.0}
    among_others = len(everything) >= FEW_NUMBERS and count >= MANY  # which ones are wrong tells
    return len(finite) >= FEW_NUMBERS or among_others or any(map(_is_odd, finite))


def _is_odd(value: float) -> bool:
    """Whether no two slips give this number by chance: it is no small count and no plain part."""
    return abs(value) > 256 or (8 * value) % 1 != 0


def _stored(evidence: Evidence, component: int | None) -> _Standing | None:
    """Return the stored misconception that explains most; to the last digits first."""
    mistakes = evidence.exercise.misconceptions
    for tolerant in False, True:
        found = []
        for rank, mistake in enumerate(mistakes):
            explanation = _as_explanation(evidence, mistake, component)
            weight = evidence.weigh(explanation, tolerant)
            if weight.stands or _but_for_one(weight):
                form = sum(
                    _same_form(evidence.got(i), explanation.predict(i)) for i in evidence.returned
                )
                score = (weight.contradicted, -round(weight.explained, 2), -form, rank)
                found.append((score, mistake, explanation))
        if found:
            (against, explained, *_), mistake, explanation = min(found, key=lambda item: item[0])
            finding = Finding(explanation.key, explanation.text, misconception=mistake)
            return against, explained, 0, 0, finding
    return None


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
        args = copy.deepcopy(evidence.cases[i].args)
        return called(lambda: mistake.wrong(*args))

    text = f"Your code {mistake.name}. {mistake.message}"
    return Explanation(f"mistake: {mistake.name}", text, predict, component)


def _same_form(got: Plain | Raised | None, told: Plain | Raised) -> bool:
    """Whether two results agree in the kind of their dtypes as well as in their numbers."""
    if isinstance(got, tuple) and isinstance(told, tuple):
        return len(got) == len(told) and all(map(_same_form, got, told))
    a, b = as_array(got), as_array(told)
    if a is None or b is None:
        return got is told
    kinds_agree = not (a.ndim or b.ndim) or (a.dtype.kind == "f") == (b.dtype.kind == "f")
    return kinds_agree and same(got, told)


def _form(evidence: Evidence, wrong: Sequence[int]) -> Finding | None:
    """Return the misconception whose results have right numbers in the same wrong form."""
    scores = []
    for mistake in evidence.exercise.misconceptions:
        explanation = _as_explanation(evidence, mistake, None)
        alike = {i: _same_form(evidence.got(i), explanation.predict(i)) for i in evidence.returned}
        scores.append(sum(alike.values()) if all(alike.get(i, True) for i in wrong) else 0)
    if not any(scores):
        return None
    mistake = evidence.exercise.misconceptions[scores.index(max(scores))]
    explanation = _as_explanation(evidence, mistake, None)
    return Finding(explanation.key, explanation.text, misconception=mistake)


def _facts(evidence: Evidence, wrong: list[int], has_cause: bool) -> Iterator[Finding]:
    broken = [i for i in wrong if evidence.outcomes[i].status == "raised"]
    if broken:
        words = meaning(evidence.outcomes[broken[0]].message)
        if words:
            yield Finding(
                "error: " + evidence.outcomes[broken[0]].message.split(":")[0], words, False
            )
    if has_cause:
        return
    key, words = numbers(evidence)
    if words:
        yield Finding(key, words, False)
    words = contrast(evidence, wrong)
    if words:
        yield Finding("contrast", words, False)
