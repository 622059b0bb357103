"""What code may be missing that a right answer has: numbers, and arguments that it never reads."""

import ast
from collections.abc import Iterator, Sequence

from labkit.checks.diagnosis.code.answer import never_read
from labkit.checks.diagnosis.code.cell import Cell
from labkit.checks.diagnosis.code.insertions import Words
from labkit.checks.diagnosis.code.kinds import kinds_of
from labkit.checks.diagnosis.code.nudges import nudges_of
from labkit.checks.diagnosis.code.slips import called_name
from labkit.checks.diagnosis.evidence import Evidence
from labkit.checks.diagnosis.explanations.variants import reachable, tree_of

MOST = 2
ROUNDING = {"round", "floor", "ceil", "trunc", "rint"}
LARGEST_COUNT = 64


def words_of(cell: Cell, evidence: Evidence, calls: Sequence[int]) -> Words:
    """Return them for an answer.

    Parameters
    ----------
    cell : Cell
        Its cell.
    evidence : Evidence
        Its calls.
    calls : sequence of int
        Those in which to see what the pieces of its code are.
    """
    function = cell.answer
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    values = {name: [case.args[k] for case in evidence.cases] for k, name in enumerate(names)}
    scalars = [n for n, seen in values.items() if all(type(v) in (int, float) for v in seen)]
    counts = [
        name
        for name in scalars
        if all(type(v) is int and 0 <= v <= LARGEST_COUNT for v in values[name])
    ]
    unread = [name for name in never_read(function) if name in scalars]
    nodes = [node for tree in cell.functions for node in ast.walk(tree)]
    read = [node.id for node in nodes if isinstance(node, ast.Name)]
    others = sorted((n for n in scalars if n not in unread), key=read.count)
    kinds = kinds_of(cell.functions, cell.defined, [evidence.cases[i] for i in calls])
    wanted = list(_nodes_of_the_reference(evidence))
    rounded, asked = list(_roundings(nodes)), list(_roundings(wanted))
    as_asked = len(rounded) == 1 and called_name(rounded[0]) in map(called_name, asked)
    return Words(
        tuple(dict.fromkeys(_numbers(wanted))),
        tuple(unread),
        tuple(others[:MOST]),
        tuple(counts),
        kinds,
        rounded[0] if as_asked else None,
        as_asked and ast.unparse(rounded[0]) in map(ast.unparse, asked),
        nudges_of(wanted),
    )


def _nodes_of_the_reference(evidence: Evidence) -> Iterator[ast.AST]:
    for function in reachable(evidence.exercise.reference).values():
        yield from ast.walk(tree_of(function))


def _numbers(nodes: Sequence[ast.AST]) -> Iterator[int | float]:
    for node in nodes:
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield value


def _roundings(nodes: Sequence[ast.AST]) -> Iterator[ast.Call]:
    calls = (node for node in nodes if isinstance(node, ast.Call))
    yield from (call for call in calls if called_name(call) in ROUNDING)
