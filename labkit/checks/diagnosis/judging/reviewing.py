"""What the lists of errors that an answer gave have in common, and what parts hits from misses."""

import ast
import difflib
import re
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from labkit.checks.calling import BROKEN, Outcome, call_all
from labkit.checks.diagnosis.code.answer import code_of
from labkit.checks.diagnosis.facts.errors import meaning
from labkit.checks.diagnosis.finding import MOST, Finding
from labkit.checks.diagnosis.judging.recording import returned
from labkit.checks.diagnosis.judging.sides import differences, source
from labkit.checks.exercise import Case, Exercise
from labkit.checks.reviews import Names
from labkit.checks.scripts import Sight
from labkit.checks.values import Plain

MORE_SEEDS = 1, 2
SECONDS = 1.0
SEVERAL = 3
COMMENT = "# measured on a quiet machine"


@dataclass(frozen=True)
class Reviewed:
    """One script, the errors it has, and what an answer says: None where that is no list."""

    script: list[str]
    wanted: frozenset[str]
    got: frozenset[str] | None


def reviewed(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    answer: Callable[..., Any] | None,
    found: Sequence[Finding],
    settled: frozenset[str],
) -> tuple[Finding, ...]:
    """Say which names are missed and which reported for nothing, and where.

    Parameters
    ----------
    answer : callable, optional
        The function itself, where it may be run again on more scripts.
    found : sequence of Finding
        The stored misconceptions that fit.
    settled : frozenset of str
        The names that they are about.
    """
    rule = exercise.rules[0]
    if not isinstance(rule, Names):
        return ()
    shown = _pairs(exercise, cases, outcomes)
    single = next((o.value for o in outcomes if isinstance(o.value, str)), None)
    if single is not None:
        text = (
            f'Your code returns the text "{single}" for some scripts: return a list, ["{single}"], '
            "to which the others can be added."
        )
        return (Finding("names: a text", text, cause=False),)
    if all(o.status == "returned" and o.value is None for o in outcomes):
        text = "Your code returns nothing for any script: is the `return` missing?"
        return (Finding("names: nothing", text, cause=False),)
    more = [*shown, *(_more(exercise, answer) if answer is not None else ())]
    form = [*_raises(rule, outcomes, more), *_unknown(rule, outcomes)]
    form += [*_same_list(shown), *_one_at_most(shown)]
    if answer is not None:
        form += _by_place(exercise, answer, shown)
    asks = partial(_asks, answer)
    about = [(f"asks about {name}", asks(name)) for name in settled if asks(name)]
    about += _errors(rule, shown, more, settled, asks)
    return (*map(_fact, form), *found, *map(_fact, about))[:MOST]


def _fact(one: tuple[str, str]) -> Finding:
    key, text = one
    return Finding(f"names: {key}", text, cause=False)


def _pairs(
    exercise: Exercise, cases: Sequence[Case], outcomes: Sequence[Outcome]
) -> list[Reviewed]:
    found = []
    for case, outcome in zip(cases, outcomes, strict=True):
        (script,) = case.args
        found.append(
            Reviewed(script, frozenset(exercise.reference(list(script))), _names(outcome.value))
        )
    return found


def _names(value: Plain) -> frozenset[str] | None:
    texts = isinstance(value, tuple) and all(isinstance(word, str) for word in value)
    return frozenset(value) if texts else None


def _more(exercise: Exercise, answer: Callable[..., Any]) -> list[Reviewed]:
    """Run an answer on scripts that the check has not shown it."""
    cases = [case for seed in MORE_SEEDS for case in exercise.draw(seed)]
    return _pairs(exercise, cases, call_all(answer, cases, SECONDS))


def _raises(
    rule: Names, outcomes: Sequence[Outcome], scripts: Sequence[Reviewed]
) -> Iterator[tuple[str, str]]:
    broken = [o for o in outcomes if o.status in BROKEN]
    if not broken:
        return
    some = [one for one in scripts if one.got is None]
    others = [one for one in scripts if one.got is not None]
    where = next(filter(None, (_contrast(rule, name, some, others) for name in rule.names)), None)
    told = f"That is so where {where[0]}; not where {where[1]}. " if where else ""
    text = f"Your code raises in {len(broken)} of {len(outcomes)} scripts. {told}"
    yield "raises", (text + meaning(broken[0].message)).strip()


def _unknown(rule: Names, outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str]]:
    """Say which texts are no names, and that a set is no list."""
    if any(o.status == "unplain" and "set" in o.message for o in outcomes):
        yield "a set", "Return the names as a list: `list(...)` makes one of a set."
    said = [word for o in outcomes if isinstance(o.value, tuple) for word in o.value]
    for word in dict.fromkeys(w for w in said if isinstance(w, str) and w not in rule.names):
        meant = difflib.get_close_matches(word, rule.names, 1)
        near = f' Is it to be "{meant[0]}"?' if meant else ""
        yield (
            f"no name: {word}",
            f'"{word}" is none of the names: write them as in the list.{near}',
        )


def _asks(answer: Callable[..., Any] | None, name: str, script: list[str] | None = None) -> str:
    """Say under which condition the code reports a name, and what that compares in a script."""
    condition = _condition(code_of(answer), name)
    if condition is None:
        return ""
    text = f'For "{name}" your code asks `{source(condition)}`.'
    if script is None or not isinstance(answer, types.FunctionType):
        return text
    ended = returned(answer, Case("", (list(script),)))
    reports = name in (_names(ended[0].result) or ()) if ended else False
    compared = next(differences(condition, ended[0], not reports), None) if ended else None
    return f"{text} There {compared}." if compared else text


def _condition(code: ast.FunctionDef | None, name: str) -> ast.expr | None:
    """Return the condition under which the code reports a name, if it has one for it alone."""
    for node in ast.walk(code) if code else ():
        if isinstance(node, ast.If) and any(_holds(step, name) for step in node.body):
            return node.test
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == name:
                    return value
    return None


def _holds(step: ast.stmt, name: str) -> bool:
    simple = isinstance(step, ast.Expr | ast.Assign | ast.AugAssign | ast.Return)
    return simple and any(isinstance(n, ast.Constant) and n.value == name for n in ast.walk(step))


def _same_list(scripts: Sequence[Reviewed]) -> Iterator[tuple[str, str]]:
    if all(one.got == scripts[0].got is not None for one in scripts):
        yield "always the same", "Your code reports the same for every script."


def _one_at_most(scripts: Sequence[Reviewed]) -> Iterator[tuple[str, str]]:
    """Say that the first error that is found ends the search."""
    lists = [(one.wanted, one.got) for one in scripts if one.got is not None]
    known = frozenset[str]().union(*(got for _, got in lists))
    several = [got for wanted, got in lists if len(wanted & known) > 1]
    if len(several) > 1 and all(len(got) == 1 for got in several):
        yield (
            "one at most",
            "Your code reports one error at most, where scripts have several: with `elif`, or a "
            "`return` in each branch, it stops looking at the first. Collect them in a list.",
        )


def _by_place(
    exercise: Exercise, answer: Callable[..., Any], scripts: Sequence[Reviewed]
) -> Iterator[tuple[str, str]]:
    """Say that a line more changes what is found: lines are told by their numbers."""
    named = [one for one in scripts if one.got == one.wanted]
    cases = [Case("", ([COMMENT, *one.script],)) for one in named]
    again = [_names(outcome.value) for outcome in call_all(answer, cases, SECONDS)]
    changed = sum(got != one.got for got, one in zip(again, named, strict=True))
    if changed:
        yield (
            "by the numbers of lines",
            f"With a comment as one more first line your code says something else of {changed} "
            "scripts that it has right: it goes by the numbers of lines. Look for a line by the "
            "words in it.",
        )


def _errors(
    rule: Names,
    shown: Sequence[Reviewed],
    more: Sequence[Reviewed],
    settled: frozenset[str],
    asks: Callable[..., str],
) -> list[tuple[str, str]]:
    """Say of each name how often it is missed or reported for nothing, and where."""
    found = []
    for name, message in zip(rule.names, rule.messages, strict=True):
        if name in settled:
            continue
        for there, verb, key in (True, "missed", "missed"), (False, "reported", "unfounded"):
            asked = [one for one in shown if (name in one.wanted) is there and one.got is not None]
            off = sum(_errs(name, one) for one in asked)
            if not off:
                continue
            which = "that have it" if there else "without it"
            if off == len(asked):
                many = f"every script {'that has it' if there else which}"
            else:
                many = f"{off} of {len(asked)} scripts {which}"
            wide = [one for one in more if (name in one.wanted) is there and one.got is not None]
            bad = [one for one in wide if _errs(name, one)]
            apart = _contrast(rule, name, bad, [one for one in wide if not _errs(name, one)])
            seen = [rule.sight(name, one.script).words for one in bad]
            where = f"It is {verb} where {seen[0]}, for instance."
            script: list[str] | None = bad[0].script
            if apart:
                where = f"It is {verb} where {apart[0]}; not where {apart[1]}."
                script = bad[seen.index(apart[0])].script if apart[0] in seen else None
            told = f'"{name}" is {verb} in {many}. {where}'
            text = " ".join(filter(None, (told, asks(name, script), message)))
            found.append((-off, key, text, name))
    return [(f"{name} {key}", text) for _, key, text, name in sorted(found)]


def _errs(name: str, one: Reviewed) -> bool:
    return (name in one.wanted) is not (name in (one.got or ()))


def _contrast(
    rule: Names, name: str, bad: Sequence[Reviewed], good: Sequence[Reviewed]
) -> tuple[str, str] | None:
    """Return what all of some scripts show and none of the others, and what those show.

    Looked at is how the error itself stands there, and then, with enough scripts, all others.
    """
    own = _apart(*([rule.sight(name, one.script) for one in some] for some in (bad, good)))
    if own or min(len(bad), len(good)) < SEVERAL:
        return own
    for other in rule.names:
        if other == name:
            continue
        there = _apart(*([_presence(other, one) for one in some] for some in (bad, good)))
        seen = _apart(*([rule.sight(other, one.script) for one in some] for some in (bad, good)))
        if there or seen:
            return there or seen
    return None


def _presence(name: str, one: Reviewed) -> Sight:
    words = f'it has "{name}" as well' if name in one.wanted else f'it has not "{name}"'
    return Sight(words, words)


def _apart(bad: Sequence[Sight], good: Sequence[Sight]) -> tuple[str, str] | None:
    """Return an example of each of two lots, if no one of the one could be of the other."""
    if not bad or not good:
        return None
    kinds = [{sight.kind for sight in some} for some in (bad, good)]
    if not kinds[0] & kinds[1]:
        return bad[0].words, good[0].words
    if kinds[0] != kinds[1] or len(kinds[0]) > 1:
        return None
    for less, more in ((bad, good), (good, bad)):
        largest, smallest = max(less, key=_numbers), min(more, key=_numbers)
        if _numbers(largest) < _numbers(smallest):
            here, there = (largest, smallest) if less is bad else (smallest, largest)
            return here.words, there.words
    return None


def _numbers(sight: Sight) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", sight.words)]
