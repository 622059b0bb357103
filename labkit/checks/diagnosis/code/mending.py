"""Which change of an answer's code would make its calls right.

One change that mends every call says where the slip is. Two or more of them, each of which brings
the calls nearer and spoils none, are as many slips, or one that was made in as many places. A
change that mends most of the wrong calls is still the cause of those, and the card says which
calls it leaves.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property

from labkit.checks import syntax
from labkit.checks.diagnosis.code import advice
from labkit.checks.diagnosis.code.cell import Cell
from labkit.checks.diagnosis.code.edits import Edit, insertions, possible
from labkit.checks.diagnosis.code.further import Further
from labkit.checks.diagnosis.code.insertions import Words
from labkit.checks.diagnosis.code.places import now
from labkit.checks.diagnosis.code.remark import Remark
from labkit.checks.diagnosis.code.trials import Trial, Trials
from labkit.checks.diagnosis.code.words import words_of

MOST_SECONDS = 400
FIRST_STEPS = 6
OF_SINGLE = 0.85
"""The share of the time after which no more single changes are tried, where some have helped."""
OF_ONE_PLACE = 2
MOST_STEPS = 4
FAR_FETCHED = 4
AS_FAR_FETCHED = 1
SEVERAL = 2
SHARE = 1 / 3
SHARE_BY_CHANCE = 3 / 4
# What mends some calls by chance sooner than by sense.
FAR = re.compile(r"^has `(?:min\(|max\(|\.\.\. / 100|2 \* \.\.\.|\.\.\. / 2|1 - \.\.\.|1 / )")

NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class _Step:
    """A change that brings some of the wrong calls nearer and spoils none of the right ones."""

    edit: Edit
    trial: Trial

    @property
    def order(self) -> tuple[float, ...]:
        """Those that mend most come first, then those that are least far-fetched."""
        return *self.trial.order, self.edit.rank


@dataclass
class Search:
    """The search for such changes, in the cell of one answer.

    Attributes
    ----------
    cell : Cell
        The code.
    trials : Trials
        The calls to try it on.
    further : Further
        More calls than those of the check.
    all_or_none : bool
        Ask for one change that mends every call.
    """

    cell: Cell
    trials: Trials
    further: Further
    all_or_none: bool
    whole: list[Edit] = field(default_factory=list)
    nudged: list[Edit] = field(default_factory=list)
    alone: list[Edit] = field(default_factory=list)
    several: list[tuple[Edit, ...]] = field(default_factory=list)
    steps: list[_Step] = field(default_factory=list)
    known: list[Edit] = field(default_factory=list)
    remark: Remark | None = None

    def run(self) -> None:
        """Look for changes, and choose what is to be said."""
        self._look()
        self.remark = self._chosen()

    def _look(self) -> None:
        """Try every change of one place, then one after another, then two of them together."""
        for stage in self._stages:
            self._single(stage)
            self.whole.sort(key=lambda edit: edit.rank)
            self.steps.sort(key=lambda step: step.order)
            if self.whole and self.whole[0].rank < FAR_FETCHED:
                return
            if self._may_be_several:
                self._one_after_another()
            if self._may_be_several:
                self._pairs()
            if self.several:
                return

    @property
    def _may_be_several(self) -> bool:
        """Whether it is time to look for more changes than one."""
        known = self.whole or self.nudged or self.several or self.all_or_none
        return self.trials.evidence.exact and not known

    def _single(self, stage: Iterator[Edit]) -> None:
        """Sort changes by what they do alone."""
        budget = self.trials.evidence.budget
        for step in self._steps(stage, self.trials):
            if self.whole and step.edit.rank > self.whole[0].rank + AS_FAR_FETCHED:
                return
            if self.steps and not self.whole and budget.over(OF_SINGLE):
                return
            far = step.edit.is_far(self.words.nudges)
            if len(step.trial.mended) < len(self.trials.wrong):
                if not (far or FAR.search(step.edit.does)):
                    self.steps.append(step)
            elif self._answers_alone(step.edit):
                self.alone.append(step.edit)
            elif self._holds(step.edit):
                (self.nudged if far else self.whole).append(step.edit)

    @property
    def _most(self) -> int:
        """How far-fetched a change must not be."""
        return 99 if self.trials.evidence.exact else FAR_FETCHED

    @cached_property
    def words(self) -> Words:
        """What code may be missing."""
        calls = self.trials.calls[0], self.trials.calls[len(self.trials.wrong) - 1]
        return words_of(self.cell, self.trials.evidence, calls)

    @cached_property
    def _stages(self) -> list[Iterator[Edit]]:
        """Give the changes that are not tried yet, also after one that had to be stopped."""
        return [self._ranked(source) for source in (possible, insertions)]

    def _ranked(self, source: Callable[..., Iterator[Edit]]) -> Iterator[Edit]:
        words = self.words
        found = [edit for tree in self.cell.functions for edit in source(tree, words)]
        for edit in sorted(found, key=lambda edit: edit.rank):
            # Without the rounding that must be there code is right by chance.
            by_chance = any(words.spoils_rounding(spot[3], edit.does) for spot, _ in edit.spots)
            if edit.rank < self._most and not by_chance:
                if not edit.is_far(words.nudges):
                    self.known.append(edit)
                yield edit

    def _pairs(self) -> None:
        """Look for two changes that make every call right together."""
        first = [step.edit for step in self.steps]
        plausible = [e for e in self.known if e not in first and e.rank <= FAR_FETCHED]
        seconds = [e for e in (*first, *plausible) if e not in self.alone][:MOST_SECONDS]
        for step in _varied(self.steps):
            left = [i for i in self.trials.calls if i not in step.trial.mended]
            with self.cell.changed(step.edit):
                nodes = self.cell.nodes()
                for edit in seconds:
                    if self.trials.evidence.budget.over():
                        break
                    if not _apart(step.edit, edit, nodes):
                        continue
                    with self.cell.changed(edit) as function:
                        if function and self.trials.all_right(function, left[:1]):
                            self.several.append((step.edit, edit))
                            break
        self.several.sort(key=lambda pair: sum(edit.rank for edit in pair))

    def _one_after_another(self) -> None:
        """Take the change that mends most, then the one that mends most of the rest, and so on."""
        taken: list[Edit] = []
        trials, steps = self.trials, self.steps
        with ExitStack() as changes:
            while steps and len(taken) < MOST_STEPS:
                best = min(steps, key=lambda step: step.order)
                if not (best.trial.mended or best.trial.parts):
                    return
                taken.append(best.edit)
                function = changes.enter_context(self.cell.changed(best.edit))
                if function is None:
                    return
                trials, nodes = trials.after(function), self.cell.nodes()
                rest = [e for e in self.known if all(_apart(one, e, nodes) for one in taken)]
                steps = list(self._steps(rest, trials))
                whole = [s for s in steps if len(s.trial.mended) == len(trials.wrong)]
                if whole:
                    last = min(whole, key=lambda step: step.edit.rank)
                    self.several.append((*taken, last.edit))
                    return

    def _steps(self, edits: Iterable[Edit], trials: Trials) -> Iterator[_Step]:
        """Give the changes that bring calls nearer, as long as there is time."""
        for edit in edits:
            if trials.evidence.budget.over():
                return
            with self.cell.changed(edit) as function:
                trial = trials.of(function) if function else None
            if trial is not None:
                yield _Step(edit, trial)

    def _chosen(self) -> Remark | None:
        """Return what is to be said: what mends more calls than those of the check, too."""
        if self.whole:
            return advice.one(self.whole[0])
        for edits in self.several:
            if self._holds(*edits):
                return advice.several(edits)
        if self.nudged:
            return advice.place(self.nudged[0])
        for step in filter(self._tells, self.steps):
            with self.cell.changed(step.edit) as function:
                if function and self.further.hold_in_part(function, step.trial, self.trials):
                    return advice.in_part(step.edit, step.trial, self.trials)
        return None

    def _holds(self, *edits: Edit) -> bool:
        """Whether changes together mend further calls, too."""
        with ExitStack() as changes:
            functions = [changes.enter_context(self.cell.changed(edit)) for edit in edits]
            return functions[-1] is not None and self.further.hold(functions[-1])

    def _tells(self, step: _Step) -> bool:
        """Whether what a change mends is no chance: a good part of the wrong calls, and several."""
        share = SHARE_BY_CHANCE if _by_chance(step.edit) else SHARE
        enough = len(step.trial.mended) >= SEVERAL + share * (len(self.trials.wrong) - SEVERAL)
        return (
            self.trials.evidence.exact
            and not self.all_or_none
            and (enough or bool(step.trial.parts))
            and not self._answers_alone(step.edit)
            and not any(map(self._answers, _calls_in(step.edit.after)))
        )

    def _answers_alone(self, edit: Edit) -> bool:
        """Whether what is put in is the whole answer: that mends no slip, it goes round it."""
        shorter = len(edit.after) < len(ast.unparse(ast.Module(edit.tree.body, []))) / 2
        same = set(NAME.findall(edit.before)) == set(NAME.findall(edit.after))
        return shorter and not same and self._answers(edit.after)

    def _answers(self, source: str) -> bool:
        """Whether an expression of the arguments gives the right result of every call."""
        names = ", ".join(inspect.signature(self.cell.answer).parameters)
        try:
            alone = eval(f"lambda {names}: ({source})", dict(self.cell.answer.__globals__))
        except SyntaxError:
            return False  # a statement
        return self.trials.all_right(alone)


def _varied(steps: Sequence[_Step]) -> Iterator[_Step]:
    """Give the first few steps, of each place only the best."""
    places: list[int] = []
    for step in steps:
        place = id(step.edit.spots[0][0][3])
        if places.count(place) < OF_ONE_PLACE and len(places) < FIRST_STEPS:
            places.append(place)
            yield step


def _apart(first: Edit, second: Edit, nodes: set[int]) -> bool:
    """Whether a second change is still there to make, and not in a place of the first."""
    changed = {id(new) for _, new in first.spots} | {id(place[3]) for place, _ in first.spots}
    return all(
        id(place[0]) in nodes
        and now(place) is place[3]
        and id(place[3]) not in changed
        and id(place[0]) not in changed
        for place, _ in second.spots
    )


def _by_chance(edit: Edit) -> bool:
    """Whether a change is a nudge or another number: of many of these one mends some calls."""
    numbers = all(
        isinstance(place[3], ast.Constant) and isinstance(new, ast.Constant)
        for place, new in edit.spots
    )
    return numbers or edit.is_far(frozenset())


def _calls_in(source: str) -> list[str]:
    """Return the calls of functions in a piece of code."""
    try:
        tree = syntax.parse(source)
    except SyntaxError:
        return []
    return [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
