"""The door to what runs the code of an answer again: watched, and changed."""

import ast
import time
import types
from collections.abc import Callable
from typing import Any

from labkit.checks.calling import call_all
from labkit.checks.diagnosis.code.answer import cell_of, definition_in
from labkit.checks.diagnosis.code.cell import Cell
from labkit.checks.diagnosis.code.happening import Inquest
from labkit.checks.diagnosis.code.mending import Search
from labkit.checks.diagnosis.code.remark import Remark
from labkit.checks.diagnosis.code.trials import Trials
from labkit.checks.diagnosis.evidence import Evidence
from labkit.checks.exercise import Case

SLOW = 0.02
WAIT = 0.5
LOOK_IN = 0.15


def repair(
    function: Callable[..., Any], evidence: Evidence, wrong: list[int], all_or_none: bool = False
) -> Remark | None:
    """Return the change of one place, or of several, that mends the calls of an answer.

    Parameters
    ----------
    function : callable
        The answer.
    evidence : Evidence
        Its calls.
    wrong : list of int
        Those that are not accepted.
    all_or_none : bool
        Ask for one change that mends every call.
    """
    given = _code(function, evidence, wrong)
    if given is None:
        return None
    tree, cell, trials = given
    search = Search(cell, trials, all_or_none)
    # A change may make an endless loop: it is stopped, and the search goes on behind it.
    loops = any(isinstance(node, ast.While) for node in ast.walk(tree))
    done = False
    while not done and evidence.budget.left:
        seconds = LOOK_IN if loops else evidence.budget.left
        outcomes = call_all(search.run, [Case("all changes", ())], seconds)
        done = outcomes[0].status != "stopped"
    return search.remark


def happening(function: Callable[..., Any], evidence: Evidence, wrong: list[int]) -> Remark | None:
    """Return what happens without a word in an answer's calls, and accounts for wrong ones.

    Parameters
    ----------
    function, evidence, wrong
        As in `repair`.
    """
    given = _code(function, evidence, wrong)
    if given is None:
        return None
    _, cell, trials = given
    inquest = Inquest(cell, trials)
    call_all(inquest.run, [Case("all places", ())], evidence.budget.left)
    return inquest.remark()


def _code(
    function: Callable[..., Any], evidence: Evidence, wrong: list[int]
) -> tuple[ast.Module, Cell, Trials] | None:
    """Return the cell of an answer to run and its calls; None where that is not to be done."""
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
    return tree, Cell(tree, function), trials
