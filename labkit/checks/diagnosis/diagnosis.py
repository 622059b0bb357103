"""From the calls of a wrong answer to what a learner should read: one finding or two.

Everything that could be the cause is an `Explanation`, whichever source it comes from, and is
weighed alike (`labkit.checks.diagnosis.evidence`). Of those that stand, the one that explains most
is said, a misconception with a message of its own before a relation, a relation before two
misconceptions at a time, and those before a slip of the pen. Where none stands, facts are said:
which calls are right, and what an error means.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from labkit.checks.calling import BROKEN, Outcome
from labkit.checks.diagnosis.chance import tells
from labkit.checks.diagnosis.code.answer import remarks
from labkit.checks.diagnosis.code.mending import repair
from labkit.checks.diagnosis.evidence import Evidence, Explanation, Weight
from labkit.checks.diagnosis.explanations.arguments import Arguments, called, copied
from labkit.checks.diagnosis.explanations.results import Results
from labkit.checks.diagnosis.explanations.stored import NEXT_TO_ALL, of_form, pairs, stored
from labkit.checks.diagnosis.explanations.variants import Variants
from labkit.checks.diagnosis.facts.contrast import contrast, parting
from labkit.checks.diagnosis.facts.errors import meaning
from labkit.checks.diagnosis.facts.numbers import numbers, places
from labkit.checks.diagnosis.facts.shapes import shapes
from labkit.checks.exercise import Case, Exercise, Misconception, smallest

MOST = 2
SEVERAL = 2
AS_FAR_FETCHED = 2
# What comes in is found in results by chance sooner than a change that mends every call.
BESIDE_AN_ARGUMENT = re.compile(r"result: (\w+ )?(plus|minus|times|over) [^,]*$")
NARROW = ("numbers: float16", "numbers: bfloat16")


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
    expected = [called(partial(exercise.reference, *copied(c.args))) for c in cases]
    evidence = Evidence(exercise, cases, outcomes, expected)
    causes: tuple[Finding, ...] = ()
    elsewhere: list[_Standing] = []
    if any(outcomes[i].status == "returned" for i in wrong):
        causes = _causes(evidence, wrong, elsewhere)
    if not causes:
        causes = _within(evidence, list(wrong), elsewhere) or _narrow(evidence)
    if answer is not None:
        causes = (*causes, *_told(answer, evidence, list(wrong), bool(causes)))
        if causes and all(map(BESIDE_AN_ARGUMENT.match, (finding.key for finding in causes))):
            mended = repair(answer, evidence, list(wrong), all_or_none=True)
            causes = (Finding(mended.key, mended.text),) if mended else causes
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


def _causes(
    evidence: Evidence, wrong: Sequence[int], elsewhere: list["_Standing"]
) -> tuple[Finding, ...]:
    if not evidence.wrong:
        form = of_form(evidence, wrong)
        return (_finding(form[1], form[0]),) if form else ()
    best = _best(evidence, None, elsewhere)
    if best is not None:
        return (best,)
    found: list[Finding] = []
    for component in evidence.wrong_components() if evidence.exercise.names else ():
        best = _best(evidence, component, elsewhere)
        if best is not None:
            name = f"`{evidence.exercise.names[component]}`: "
            text = best.text if best.text.startswith(name) else name + best.text
            found.append(replace(best, text=text))
    return tuple(found[:2])


def _finding(explanation: Explanation, mistake: Misconception | None = None) -> Finding:
    return Finding(explanation.key, explanation.text, misconception=mistake)


def _best(
    evidence: Evidence, component: int | None, elsewhere: list["_Standing"]
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
        sources: list[Iterator[Explanation]] = [Arguments(evidence).explanations()]
        if not evidence.raises or len(evidence.wrong) >= SEVERAL:  # to one result many fit
            sources.append(Results(evidence).explanations())
        for kind, source in enumerate(sources, 1):
            for rank, explanation in enumerate(source):
                if explanation.component in (None, only):
                    narrowed = replace(
                        explanation, component=component if explanation.component is None else only
                    )
                    consider(kind, rank, _finding(narrowed), evidence.weigh(narrowed))
    if not _explained(standing) and telling and len(evidence.wrong) >= SEVERAL:
        for rank, (both, told) in enumerate(pairs(evidence, component)):
            weight = evidence.weigh(told)
            if weight.explained > NEXT_TO_ALL and weight.whole >= SEVERAL:
                consider(_TWO_AT_A_TIME, rank, _finding(told, both), weight, partial=False)
    if not _explained(standing) and telling:
        for rank, explanation in Variants(evidence).explanations():
            narrowed = replace(explanation, component=component)
            weight = evidence.weigh(narrowed)
            consider(_SLIP_OF_THE_PEN, rank, _finding(narrowed), weight, narrowed.partial)
    return _first(standing) if standing else None


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
    evidence: Evidence, wrong: list[int], elsewhere: Sequence["_Standing"]
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
    for explanation in Results(evidence).explanations():
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


def _facts(evidence: Evidence, wrong: list[int], has_cause: bool) -> Iterator[Finding]:
    broken = [i for i in wrong if evidence.outcomes[i].status in BROKEN]
    if broken:
        shown = evidence.outcomes[smallest(evidence.cases, broken)]
        words = meaning(shown.message) if shown.status == "raised" else ""
        if words:
            yield Finding("error: " + shown.message.split(":")[0], words, False)
    if has_cause:
        return
    key, words = numbers(evidence)
    if words:
        yield Finding(key, words, False)
    words = shapes(evidence)
    if words:
        yield Finding("shape", words, False)
    which = places(evidence)
    words = f"Wrong are {which}, all of them and no others." if which else ""
    words = words or contrast(evidence, wrong)
    if words:
        yield Finding("contrast", words, False)
