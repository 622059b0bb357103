"""From the calls of a wrong answer to what a learner should read: one finding or two.

Everything that could be the cause is an `Explanation`, whichever source it comes from, and is
weighed alike (`labkit.checks.diagnosis.evidence`). Of those that stand, the one that explains most
is said, a misconception with a message of its own before a relation, a relation before two
misconceptions at a time, and those before a slip of the pen. Where none stands, facts are said:
which calls are right, and what an error means.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from labkit.checks.calling import Outcome
from labkit.checks.diagnosis.budget import uninterrupted
from labkit.checks.diagnosis.calls import result_of
from labkit.checks.diagnosis.chance import tells
from labkit.checks.diagnosis.evidence import Evidence, Explanation, Weight
from labkit.checks.diagnosis.explanations.orders import ORDER
from labkit.checks.diagnosis.explanations.sources import Sources
from labkit.checks.diagnosis.explanations.stored import (
    NEXT_TO_ALL,
    OF_PAIRS,
    of_form,
    pairs,
    stored,
)
from labkit.checks.diagnosis.facts.contrast import parting
from labkit.checks.diagnosis.facts.numbers import numbers, places
from labkit.checks.diagnosis.facts.seen import changed, facts
from labkit.checks.diagnosis.finding import MOST, Finding
from labkit.checks.diagnosis.reading import Reading
from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.values import Plain

SEVERAL = 2
AS_FAR_FETCHED = 2
NARROW = ("numbers: float16", "numbers: bfloat16")


@uninterrupted()
def diagnose(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    wrong: Sequence[int],
    answer: Callable[..., Any] | None = None,
    expected: Sequence[Plain] = (),
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
    expected : sequence, optional
        What the reference gives for each call, where that is known.
    """
    wanted = expected or [result_of(exercise.reference, case.args) for case in cases]
    evidence = Evidence(exercise, cases, outcomes, wanted)
    sources, code = Sources(evidence), Reading(answer, evidence, list(wrong))
    causes: tuple[Finding, ...] = ()
    complete, elsewhere = True, list[_Standing]()
    if any(outcomes[i].status == "returned" for i in wrong):
        causes, complete = _causes(evidence, sources, wrong, elsewhere)
    if not causes:
        causes = _within(evidence, sources, list(wrong), elsewhere) or _narrow(evidence)
    causes = code.besides(causes, complete)
    has_cause = any(finding.cause for finding in causes)
    seen = facts(evidence, list(wrong), has_cause)
    return (*causes, *changed(evidence), *seen)[:MOST]


def _causes(
    evidence: Evidence, sources: Sources, wrong: Sequence[int], elsewhere: list["_Standing"]
) -> tuple[tuple[Finding, ...], bool]:
    """Return what explains the results, and whether it explains all that are wrong."""
    if not evidence.wrong:
        form = of_form(evidence, wrong)
        return ((_finding(form[1], form[0]),) if form else ()), True
    best = _best(evidence, sources, None, elsewhere)
    if best is not None:
        return (best,), True
    found: list[Finding] = []
    components = evidence.wrong_components() if evidence.exercise.names else []
    for component in components:
        best = _best(evidence, sources, component, elsewhere)
        if best is not None:
            name = f"`{evidence.exercise.names[component]}`: "
            text = best.text if best.text.startswith(name) else name + best.text
            found.append(replace(best, text=text))
    # Beside results in another order, nothing that is found in one of them is about that one.
    found = [finding for finding in found if finding.key == ORDER] or found
    return tuple(found[:2]), len(found) == len(components)


def _finding(explanation: Explanation, mistake: Misconception | None = None) -> Finding:
    return Finding(explanation.key, explanation.text, misconception=mistake)


def _best(
    evidence: Evidence, sources: Sources, component: int | None, elsewhere: list["_Standing"]
) -> Finding | None:
    """Return the finding that explains most, of one result or of all together.

    What explains all that is wrong, and would have made right calls wrong too, goes `elsewhere`.
    """
    standing: list[_Standing] = []
    telling = tells(evidence, component)

    def consider(
        kind: int, rank: int, finding: Finding, weight: Weight, partial: bool = True
    ) -> None:
        place = (weight.contradicted, -round(weight.explained, 2), kind, rank, finding)
        if weight.stands:
            standing.append(place)
        elif partial and telling and weight.explained > NEXT_TO_ALL and weight.whole >= SEVERAL:
            elsewhere.append(place)

    fits = stored(
        evidence,
        component,
        lambda mistake, told, weight: consider(0, 0, _finding(told, mistake), weight),
    )
    if fits is not None:
        mistake, told, weight = fits
        place = (weight.contradicted, -round(weight.explained, 2), 0, 0, _finding(told, mistake))
        standing.append(place)
    wrong_ones = evidence.wrong_components()
    only = wrong_ones[0] if component is None and len(wrong_ones) == 1 else component
    if not _explained(standing) and telling:
        asked = [sources.arguments]
        if not evidence.raises or len(evidence.wrong) >= SEVERAL:  # to one result many fit
            asked.append(sources.results)
        for kind, source in enumerate(asked, 1):
            for rank, explanation in source():
                if explanation.component in (None, only):
                    narrowed = replace(
                        explanation, component=component if explanation.component is None else only
                    )
                    consider(kind, rank, _finding(narrowed), evidence.weigh(narrowed))
    if not _explained(standing) and telling and len(evidence.wrong) >= SEVERAL:
        for rank, both, told, weight in _two_at_a_time(evidence, component):
            consider(_TWO_AT_A_TIME, rank, _finding(told, both), weight, partial=False)
    if not _explained(standing) and telling:
        for rank, explanation in sources.variants():
            narrowed = replace(explanation, component=component)
            weight = evidence.weigh(narrowed)
            consider(_SLIP_OF_THE_PEN, rank, _finding(narrowed), weight, narrowed.partial)
    return _first(standing) if standing else None


def _two_at_a_time(
    evidence: Evidence, component: int | None
) -> Iterator[tuple[int, Misconception, Explanation, Weight]]:
    """Give the pairs of misconceptions that explain all; to the last digits first."""
    found = False
    two_at_a_time = list(pairs(evidence, component))
    for tolerant in False, True:
        for rank, (both, told) in enumerate(two_at_a_time):
            if evidence.budget.over(OF_PAIRS, now=True):
                return
            weight = evidence.weigh(told, tolerant)
            if weight.explained > NEXT_TO_ALL and weight.whole >= SEVERAL:
                found = found or weight.stands
                yield rank, both, told, weight
        if found:
            return


# What contradicts it, minus the share it explains, which source, how far-fetched, what is said.
_Standing = tuple[int, float, int, int, Finding]
_TWO_AT_A_TIME, _SLIP_OF_THE_PEN = 3, 4


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
            said = said.replace("The results are those of code", "They are also those of code")
            return Finding(key, f"{best[4].text} {said}")
    return best[4]


def _within(
    evidence: Evidence, sources: Sources, wrong: list[int], elsewhere: Sequence["_Standing"]
) -> tuple[Finding, ...]:
    """Return a slip that was made in some of the cases only, and which cases those are."""
    where = parting(evidence, wrong)
    # "The results are those for exponent = 1 where the exponent is 0" helps nobody.
    apart = [item for item in elsewhere if where and not _about(item[-1], where[0])]
    if where and apart:
        *_, found = min(apart, key=lambda item: item[1:4])
        text = f"{found.text} That is so where {where[0]}; where {where[1]}, all is right."
        return (replace(found, key=f"{found.key}, where {where[0]}", text=text),)
    which = places(evidence)
    if not which or not tells(evidence, None):
        return ()
    for _, explanation in sources.results():
        weight = evidence.weigh(explanation, within=True)
        if weight.explained > NEXT_TO_ALL and weight.whole >= SEVERAL:
            text = f"{explanation.text} That is so for {which}; all other numbers are right."
            return (Finding(f"{explanation.key}, for {which}", text),)
    return ()


def _about(finding: Finding, where: str) -> bool:
    """Whether a finding claims something of the very argument that parts the calls."""
    named = finding.key.split(" ")
    return named[0] == "argument:" and f"`{named[1]}`" in where


def _narrow(evidence: Evidence) -> tuple[Finding, ...]:
    """Return that the numbers were kept in a dtype of few digits, which shows in all of them."""
    key, words = numbers(evidence)
    return (Finding(key, words),) if key in NARROW else ()


def _explained(standing: Sequence[_Standing]) -> bool:
    return any(not item[0] and -item[1] > NEXT_TO_ALL for item in standing)
