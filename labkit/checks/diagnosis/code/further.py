"""More calls than those of a check: what mends an answer must mend it there, too.

Of many changes of a piece of code one fits a dozen calls by chance. Drawn from other seeds, the
same kinds of inputs tell it from one that is right.
"""

import time
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

from labkit.checks.calling import Outcome
from labkit.checks.diagnosis.calls import result_of
from labkit.checks.diagnosis.code.trials import RIGHT, Trial, Trials
from labkit.checks.diagnosis.evidence import Evidence, Raised
from labkit.checks.exercise import Case, Exercise
from labkit.checks.values import Plain

SEEDS = (7001, 7002, 7003)
SECONDS = 0.1
"""How long the reference may take for them, and each answer."""


class Further:
    """Further calls of an answer.

    Parameters
    ----------
    evidence : Evidence
        Those of its check.
    answer : callable
        The answer as it is.
    """

    def __init__(self, evidence: Evidence, answer: Callable[..., Any]) -> None:
        self._exercise, self._answer = evidence.exercise, answer

    @cached_property
    def _trials(self) -> Trials | None:
        cases, expected = _drawn(self._exercise)
        start, outcomes = time.process_time(), list[Outcome]()
        for case in cases:
            if time.process_time() - start > SECONDS:
                break
            given = result_of(self._answer, case.args)
            raised = isinstance(given, Raised)
            outcomes.append(Outcome("raised") if raised else Outcome("returned", given))
        if not outcomes:
            return None
        count = len(outcomes)
        evidence = Evidence(self._exercise, cases[:count], outcomes, expected[:count])
        levels = Trials(evidence, ()).levels
        return Trials(evidence, [i for i, level in levels.items() if min(level) < RIGHT])

    def hold(self, changed: Callable[..., Any], enough: float = RIGHT) -> bool:
        """Whether a changed answer is right in all of them, or as near to right as asked."""
        trials = self._trials
        return trials is None or all(trials.closeness(changed, i) >= enough for i in trials.calls)

    def hold_in_part(self, changed: Callable[..., Any], trial: Trial, trials: Trials) -> bool:
        """Whether a change does there what it does to the calls of the check.

        It spoils nothing, mends the same of several results, and of each kind of input either
        every call or none.
        """
        if self._trials is None or not self._trials.wrong:
            return True
        more = self._trials.of(changed)
        if more is None or not set(trial.parts) <= set(more.parts):
            return False
        mended, left = set[str](), set[str]()
        for found, of in (trial, trials), (more, self._trials):
            labels = {i: of.evidence.cases[i].label for i in of.wrong}
            mended |= {labels[i] for i in found.mended}
            left |= {label for i, label in labels.items() if i not in found.mended}
        return bool(trial.parts) or not mended & left


@cache
def _drawn(exercise: Exercise) -> tuple[tuple[Case, ...], tuple[Plain, ...]]:
    """Return the calls of other seeds, and what the reference gives for them."""
    start = time.process_time()
    cases, expected = list[Case](), list[Plain]()
    for seed in SEEDS:
        for case in exercise.draw(seed):
            if time.process_time() - start > SECONDS:
                return tuple(cases), tuple(expected)
            wanted = result_of(exercise.reference, case.args)
            if not isinstance(wanted, Raised):
                cases.append(case)
                expected.append(wanted)
    return tuple(cases), tuple(expected)
