"""The words of a check: from a verdict to a card."""

from collections.abc import Iterator, Sequence

from labkit.checks.calling import Outcome
from labkit.checks.card import Block, Card, Code, Fold, Table, Text
from labkit.checks.diagnosis.judging.surviving import shows_with
from labkit.checks.exercise import Case, Exercise
from labkit.checks.property_test import REFERENCE
from labkit.checks.values import input_size
from labkit.checks.verdict import Failure, State, Verdict

ON_PAPER = 12
MOST_SURVIVORS = 8

TONES = {
    State.NOT_STARTED: ("plain", "○ Not started"),
    State.RAISED: ("bad", "✗ Your code raised"),
    State.NOT_YET: ("bad", "✗ Not yet"),
    State.ALMOST: ("warn", "◐ Almost"),
    State.PASSED: ("good", "✓ Passed"),
}


def points(value: float) -> str:
    """Write points: 2, 1.5."""
    return f"{value:g}"


def verdict_card(verdict: Verdict) -> Card:
    """Build the card of a check: state, what failed, one next step."""
    exercise = verdict.exercise
    tone, word = TONES[verdict.state]
    headline = (
        f"{word} · Exercise {exercise.id}: {exercise.title} · "
        f"{points(verdict.points)} of {exercise.points} points"
    )
    return Card(tone, headline, tuple(_blocks(verdict)))


def _blocks(verdict: Verdict) -> list[Block]:
    exercise = verdict.exercise
    borrowed = Text(
        f"Until it passes, the cells below use the reference `{exercise.function}`: you can go on."
    )
    yours = Text(
        f"You can go on: until it passes, the cells of this lab use the reference. In cells that "
        f"you write, and in pictures, `{exercise.function}` is still your own."
    )
    if verdict.state is State.NOT_STARTED:
        step = f"Replace the line `raise NotImplementedError` in `{exercise.function}`"
        return [Text(f"{step}, run that cell, then this one again."), borrowed]
    if verdict.state is State.PASSED:
        everything = f"All {verdict.total} calls of `{exercise.function}` gave the right result."
        found = catches(verdict) if exercise.kind == "test" else [Text(everything)]
        return [*found, *map(Text, verdict.notes)]
    failure = verdict.failure
    if failure is None:
        return [borrowed]
    blocks = catches(verdict) if exercise.kind == "test" else _smallest(verdict, failure)
    if failure.printed.strip():
        blocks.append(Code("Your code printed:", failure.printed.rstrip()))
    blocks += [Text(finding.text) for finding in verdict.findings]
    blocks += map(Text, verdict.notes)
    blocks.append(Text(_next_step(verdict)))
    blocks.append(yours)
    return blocks


def _smallest(verdict: Verdict, failure: Failure) -> list[Block]:
    """Show the smallest call that is not accepted."""
    result = "left the input as it was" if failure.spoils_input else "gave the right result"
    blocks: list[Block] = [
        Text(f"{verdict.right} of {verdict.total} calls {result}."),
        Code(f"The smallest call that did not ({failure.case.label}):", failure.call),
        Code("What happened:", failure.problem) if failure.raised else Text(failure.problem),
    ]
    if failure.rows:
        blocks.append(Table(("where", "got", "expected"), failure.rows))
    return blocks


def catches(verdict: Verdict) -> list[Block]:
    """Say which implementations a student's test judges wrongly, by what they do."""
    missed = [verdict.calls[i] for i in verdict.wrong]
    refused = sorted(
        ((case, outcome) for case, outcome in missed if case.must),
        key=lambda one: one[0].label != REFERENCE,
    )
    survivors = [case.label for case, _ in missed if not case.must]
    mutants = sum(not case.must for case, _ in verdict.calls)
    enough = mutants - verdict.exercise.spared
    blocks: list[Block] = [
        Text(
            f"Your test catches {mutants - len(survivors)} of {mutants} wrong implementations; "
            f"{enough} are enough, if it accepts every right one."
        )
    ]
    if refused:
        case, outcome = refused[0]
        what = f"It refuses {len(refused)} of the right ones, for instance {case.label}."
        blocks.append(Code(what, outcome.message) if outcome.message else Text(what))
    if survivors:
        blocks.append(
            Table(
                ("It lets pass an implementation that", "which shows, for instance, with"),
                tuple(_survivors(verdict.exercise, missed)),
            )
        )
    return blocks


def _survivors(
    exercise: Exercise, missed: Sequence[tuple[Case, Outcome]]
) -> Iterator[tuple[str, str]]:
    """Say what each wrong implementation does that was accepted, and which input shows it."""
    tested = exercise.tested
    inputs = [] if tested is None else sorted(tested.draw(0), key=lambda c: input_size(c.args))
    wrong = [case for case, _ in missed if not case.must][:MOST_SURVIVORS]
    for case in wrong:
        shown = "" if tested is None else shows_with(tested, case.args[0], inputs)
        yield case.label, shown


def _next_step(verdict: Verdict) -> str:
    exercise = verdict.exercise
    failure = verdict.failure
    if exercise.kind == "test":
        refused = any(verdict.calls[i][0].must for i in verdict.wrong)
        action = "Allow what is right" if refused else "Add what would tell one of these"
    elif failure is not None and failure.raised:
        action = "Repair that"
    elif failure is not None and failure.spoils_input:
        action = "Work on a copy"
    elif any(finding.cause for finding in verdict.findings):
        action = "Change that"
    elif failure is not None and not failure.rows:
        action = f"Change what `{exercise.function}` returns"
    elif failure is not None and input_size(failure.case.args) <= ON_PAPER:
        action = "Work this one call out on paper"
    else:
        action = "Look at one of these numbers, and follow it through your code with print"
    return (
        f"Next: {action}, then run that cell and this one again. "
        f'`args = lab.failed_call("{exercise.id}")` gives you the inputs to try yourself; '
        f'`lab.hint("{exercise.id}")` gives a hint.'
    )


def hint_card(exercise: Exercise, shown: int) -> Card:
    """Build the card with the first `shown` hints, the newest one open."""
    total = len(exercise.hints)
    blocks: list[Block] = [
        Fold(f"Hint {number} of {total}", text, is_open=number == shown)
        for number, text in enumerate(exercise.hints[:shown], 1)
    ]
    if shown < total:
        blocks.append(Text("Not enough? Run the cell again for the next hint. Hints cost nothing."))
    else:
        blocks.append(Text("That was the last hint."))
    return Card("plain", f"Hints · Exercise {exercise.id}: {exercise.title}", tuple(blocks))


def fallback_note(exercise: Exercise) -> str:
    """Return what a student reads who passed an exercise before, but not now."""
    return (
        f"You passed exercise {exercise.id} before. If you have restarted the kernel since, run "
        "the cell with your answer first, then this one."
    )


def same_note(exercise: Exercise, passed: bool) -> str:
    """Return what a student reads who checks a function once more, unchanged."""
    which = "passed before" if passed else "was checked last time"
    return (
        f"This is the `{exercise.function}` that {which}. If you have edited it since, run "
        "the cell with your answer first, then this one."
    )
