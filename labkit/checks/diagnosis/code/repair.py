"""The door to what runs the code of an answer again: watched, and changed."""

import ast
import copy
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labkit.checks.calling import call_all
from labkit.checks.diagnosis.code.answer import cell_of, definition_in
from labkit.checks.diagnosis.code.cell import Cell
from labkit.checks.diagnosis.code.further import Further
from labkit.checks.diagnosis.code.happening import Inquest
from labkit.checks.diagnosis.code.mending import Search
from labkit.checks.diagnosis.code.remark import Remark
from labkit.checks.diagnosis.code.trials import Trials
from labkit.checks.diagnosis.evidence import Evidence
from labkit.checks.exercise import Case

SLOW = 0.02
WAIT = 0.5
LOOK_IN = 0.15


@dataclass(frozen=True)
class Again:
    """An answer to be run again, once its code and its calls have been looked at.

    Attributes
    ----------
    function : function
        The answer.
    tree : ast.Module
        Its cell.
    trials : Trials
        Its calls.
    further : Further
        Calls of other seeds.
    """

    function: types.FunctionType
    tree: ast.Module
    trials: Trials
    further: Further

    def cell(self) -> Cell:
        """Return its cell as it stands in the notebook, to be changed."""
        return Cell(copy.deepcopy(self.tree), self.function)


def again(function: Callable[..., Any], evidence: Evidence, wrong: list[int]) -> Again | None:
    """Return an answer to run again; None where that is not to be done.

    Parameters
    ----------
    function : callable
        The answer.
    evidence : Evidence
        Its calls.
    wrong : list of int
        Those that are not accepted.
    """
    if not isinstance(function, types.FunctionType) or not wrong or not evidence.budget.left:
        return None
    tree = cell_of(function)
    if tree is None or definition_in(tree, function) is None:
        return None
    trials = Trials(evidence, wrong)
    start = time.process_time()
    call_all(function, [evidence.cases[trials.smallest]], WAIT)
    if time.process_time() - start > SLOW:
        return None
    return Again(function, tree, trials, Further(evidence, function))


def repair(answer: Again, all_or_none: bool = False) -> Remark | None:
    """Return the change of one place, or of several, that mends the calls of an answer.

    Parameters
    ----------
    answer : Again
        Its code.
    all_or_none : bool
        Ask for one change that mends every call.
    """
    cell, budget = answer.cell(), answer.trials.evidence.budget
    search = Search(cell, answer.trials, answer.further, all_or_none)
    # A change may make an endless loop: it is stopped, and the search goes on behind it.
    loops = any(isinstance(n, ast.While) for tree in cell.functions for n in ast.walk(tree))
    done = False
    while not done and budget.left:
        seconds = LOOK_IN if loops else budget.left
        outcomes = call_all(search.run, [Case("all changes", ())], seconds)
        done = outcomes[0].status != "stopped"
    return search.remark


def happening(answer: Again) -> Remark | None:
    """Return what happens without a word in an answer's calls, and accounts for wrong ones."""
    inquest = Inquest(answer.cell(), answer.trials, answer.further)
    call_all(inquest.run, [Case("all places", ())], answer.trials.evidence.budget.left)
    return inquest.remark()
