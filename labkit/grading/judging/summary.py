"""What came of an exercise, in a sentence that is safe to hand out."""

import builtins

from labkit.checks.calling import NO_FUNCTION
from labkit.checks.verdict import Verdict
from labkit.grading.judging.results import Outcome


def summary(verdict: Verdict, outcome: Outcome) -> str:
    """Say what came of the secret inputs, in words that the student's code has no part in."""
    if outcome is Outcome.RIGHT:
        return f"All {verdict.total} calls with hidden inputs gave the right result."
    if outcome is Outcome.NOT_ATTEMPTED:
        return "Not started."
    spoils = verdict.failure is not None and verdict.failure.spoils_input
    what = "left their inputs as they were" if spoils else "gave the right result"
    text = f"{verdict.right} of {verdict.total} calls with hidden inputs {what}."
    if spoils:
        text = f"The numbers are right. {text}"
    if verdict.failure is not None and outcome is not Outcome.ERROR:
        text += f" One that did not: {verdict.failure.case.label}."
    if outcome is Outcome.ERROR and verdict.failure is not None:
        if verdict.failure.problem.startswith(NO_FUNCTION):
            return f"{text} There is no function `{verdict.exercise.function}`."
        name = verdict.failure.problem.split(":")[0].split("\n")[0]
        # The message may quote an input; a name that Python itself has cannot.
        text += f" Your code raised {name if _is_builtin_error(name) else 'an error'}."
    return text


def _is_builtin_error(name: str) -> bool:
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, BaseException)
