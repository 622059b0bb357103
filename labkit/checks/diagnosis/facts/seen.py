"""All that can be seen of a wrong answer without its cause, the most telling first."""

from collections.abc import Iterator

from labkit.checks.calling import BROKEN
from labkit.checks.diagnosis.evidence import Evidence
from labkit.checks.diagnosis.facts.contrast import contrast
from labkit.checks.diagnosis.facts.errors import meaning
from labkit.checks.diagnosis.facts.numbers import numbers, places
from labkit.checks.diagnosis.facts.shapes import shapes
from labkit.checks.diagnosis.finding import Finding
from labkit.checks.exercise import smallest


def changed(evidence: Evidence) -> tuple[Finding, ...]:
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


def facts(evidence: Evidence, wrong: list[int], has_cause: bool) -> Iterator[Finding]:
    """Give what an error means, and where no cause is known what the wrong calls share.

    Parameters
    ----------
    evidence : Evidence
        The calls.
    wrong : list of int
        Those that are not accepted.
    has_cause : bool
        Whether a cause is known.
    """
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
