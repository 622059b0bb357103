"""Where an answer decided for a name, and what it had asked about the right one.

The code of the answer is run once more and looked at where it returns: only in a notebook.
"""

import ast
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from labkit.checks.diagnosis.code.answer import code_of
from labkit.checks.diagnosis.code.rarer import interpolates
from labkit.checks.diagnosis.judging.recording import Call, plain_or_none, returned, value_of
from labkit.checks.diagnosis.judging.sides import differences, shown, source
from labkit.checks.exercise import Case
from labkit.checks.values import as_array, number

TOLERANCES = {"atol", "rtol", "abs_tol", "rel_tol"}


@dataclass(frozen=True)
class Decision:
    """One call of an answer, seen at its end.

    Attributes
    ----------
    definition : FunctionDef
        The code of the answer.
    call : Call
        Its arguments and its variables at the end. The last argument is what is to be named.
    line : int
        Where it returned.
    """

    definition: ast.FunctionDef
    call: Call
    line: int

    def asks(self, name: str) -> ast.expr | None:
        """Return the condition under which the code gives a name, if it has one for it alone."""
        for node in ast.walk(self.definition):
            if isinstance(node, ast.If) and any(_gives(step, name) for step in node.body):
                return node.test
            if isinstance(node, ast.IfExp) and _is(node.body, name):
                return node.test
        return None

    def computes(self, name: str) -> ast.expr | None:
        """Return what stands beside a name in a table."""
        for node in ast.walk(self.definition):
            if isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                found = next(
                    (b if _is(a, name) else a for a, b in pairs if _is(a, name) or _is(b, name)),
                    None,
                )
            elif isinstance(node, ast.Tuple | ast.List) and len(node.elts) == 2:
                found = node.elts[1] if _is(node.elts[0], name) else None
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                found = node.value if _is(node.targets[0].slice, name) else None
            else:
                continue
            if found is not None:
                return found
        return self._beside(name)

    def _beside(self, name: str) -> ast.expr | None:
        """Return what stands at the place of a name in another list, as long as that of names."""
        lists = [n.elts for n in ast.walk(self.definition) if isinstance(n, ast.List | ast.Tuple)]
        for names in lists:
            places = [i for i, node in enumerate(names) if _is(node, name)]
            if len(places) != 1 or not all(isinstance(node, ast.Constant) for node in names):
                continue
            for values in lists:
                if len(values) == len(names) and not isinstance(values[0], ast.Constant):
                    return values[places[0]]
        return None

    def compares(self, name: str) -> tuple[ast.expr, Call] | None:
        """Return the condition of a loop over names, and the call as it is in a name's round."""
        for targets, test, given in _loops(self.definition):
            if not isinstance(given, ast.Name) or given.id not in targets:
                continue
            node = self.computes(name)
            value = value_of(node, self.call) if node is not None else None
            round_: dict[str, Any] = {given.id: name}
            others = [target for target in targets if target != given.id]
            if others and value is None:
                return None
            round_ |= {other: torch.from_numpy(value) for other in others if value is not None}
            return test, replace(self.call, loop=round_)
        return None

    @cached_property
    def says(self) -> set[str]:
        """All texts that the code holds."""
        nodes = ast.walk(self.definition)
        return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}

    @property
    def output(self) -> np.ndarray | None:
        """What is to be named."""
        return as_array(plain_or_none(self.call.args[-1]))


def decided(answer: Callable[..., Any], case: Case) -> Decision | None:
    """Run an answer once more; None if its code cannot be read, or does not return."""
    definition = code_of(answer)
    if definition is None or not isinstance(answer, types.FunctionType):
        return None
    ended = returned(answer, case)
    return Decision(definition, *ended) if ended else None


def place(decision: Decision, name: str) -> str:
    """Say where the code has given a name; "" if that is in no line of its own."""
    for node in ast.walk(decision.definition):
        if not isinstance(node, ast.If) or not any(_gives(step, name) for step in node.body):
            continue
        if node.body[0].lineno <= decision.line <= (node.body[-1].end_lineno or 0):
            return (
                f'It says "{name}" where `{source(node.test)}`, and that is so for these, too: ask '
                "for them before that, or ask for more."
            )
    last = decision.definition.body[-1]
    if _gives(last, name) and last.lineno <= decision.line <= (last.end_lineno or 0):
        return f'It says "{name}" in its last line, where nothing before has fitted.'
    return ""


def about(decision: Decision, name: str, given: str) -> str:
    """Say what the code asks about the right name, and what of it does not hold."""
    call, test = decision.call, decision.asks(name)
    in_loop = decision.compares(name) if test is None else None
    apart = next(differences(*in_loop), None) if in_loop else None
    value = decision.computes(name)
    if apart is not None and value is not None:
        noise = " That is rounding noise: allow for it." if apart.noise else ""
        return f'For "{name}" your code has `{source(value)}`: there {apart}.{noise}'
    if test is None:
        if value is None:
            return "" if name in decision.says or not decision.says else _never(name)
        if _is_condition(value_of(value, call)):
            test = value
        else:
            return _beside(decision, name, given, value)
    asked = f'For "{name}" your code asks `{source(test)}`'
    held = value_of(test, call)
    if held is not None and held.size == 1 and bool(held):
        return f"{asked}, which holds for this output, but something before it does as well."
    apart = next(differences(test, call), None)
    if apart is None:
        return f"{asked}, which does not hold."
    noise = " That is rounding noise: allow for it." if apart.noise else ""
    return f"{asked}: there {apart}.{noise}"


def _loops(code: ast.FunctionDef) -> Iterator[tuple[list[str], ast.expr, ast.expr | None]]:
    """Give the loops that end with a name: their variables, the condition, and what is given."""
    for node in ast.walk(code):
        if isinstance(node, ast.For):
            for step in node.body:
                if isinstance(step, ast.If) and isinstance(step.body[0], ast.Return):
                    yield _targets(node.target), step.test, step.body[0].value
        elif isinstance(node, ast.GeneratorExp | ast.ListComp) and node.generators[0].ifs:
            yield _targets(node.generators[0].target), node.generators[0].ifs[0], node.elt


def _targets(node: ast.expr) -> list[str]:
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]


def _never(name: str) -> str:
    return f'Your code has no line that says "{name}".'


def _beside(decision: Decision, name: str, given: str, node: ast.expr) -> str:
    """Compare what the code computes for a name with what is to be named."""
    mine, output = value_of(node, decision.call), decision.output
    written = f'For "{name}" your code computes `{source(node)}`'
    if mine is None or output is None:
        return ""
    if not mine.ndim and (output.ndim or _reads(node, decision.definition.args.args[-1].arg)):
        return _measure(decision, written, mine, given)
    if mine.shape != output.shape:
        return f"{written}, of shape {mine.shape}; this output has shape {output.shape}."
    where = _farthest(mine, output)
    if where is None:
        if allowed := _allowed(decision, given):
            return f"{written}, which is this output. {allowed}"
        if mine.dtype != output.dtype:
            return (
                f"{written}: the numbers of this output, as {mine.dtype}, where it is "
                f"{output.dtype}. Compare the values alone, as with .tolist()."
            )
        return f"{written}, which is this output. Is it compared at all?"
    at = f" at {list(where)}" if where else ""
    first = as_array(plain_or_none(decision.call.args[0]))
    known = first is not None and first.shape == mine.shape and bool(where)
    at += f", for {number(first[where].item())}" if known and first is not None else ""
    found, wanted = shown(mine[where]), shown(output[where])
    if np.allclose(mine, output, rtol=1e-4, atol=1e-5):
        return f"{written}: this output but for rounding noise. Allow for it in the comparison."
    between = ""
    if any(map(interpolates, ast.walk(node))):
        between = " It interpolates between two values: ask for one that is there."
    return f"{written}: {found}{at}, where this output has {wanted}.{between}"


def _farthest(mine: np.ndarray, output: np.ndarray) -> tuple[int, ...] | None:
    """Return where two arrays differ most; None if nowhere."""
    apart = np.abs(mine.astype(float) - output.astype(float))
    if not apart.any():
        return None
    return tuple(int(i) for i in np.unravel_index(np.argmax(apart), apart.shape))


def _allowed(decision: Decision, given: str) -> str:
    """Say what the comparison lets pass as the name that was given, if it has a tolerance."""
    limits = {
        ast.unparse(node.value)
        for node in ast.walk(decision.definition)
        if isinstance(node, ast.keyword) and node.arg in TOLERANCES
    } - {"0", "0.0"}
    other, output = decision.computes(given), decision.output
    theirs = value_of(other, decision.call) if other is not None else None
    if not limits or theirs is None or output is None or theirs.shape != output.shape:
        return ""
    where = _farthest(theirs, output)
    if where is None:
        return ""
    at = f" at {list(where)}" if where else ""
    return (
        f'But it takes {shown(theirs[where])} for {shown(output[where])}{at} and says "{given}": '
        "the comparison allows for too much."
    )


def _measure(decision: Decision, written: str, mine: np.ndarray, given: str) -> str:
    other = decision.computes(given)
    theirs = value_of(other, decision.call) if other is not None else None
    if theirs is None or theirs.ndim:
        return f"{written}, {number(mine.item())}."
    return f'{written}, {number(mine.item())}, and for "{given}" {number(theirs.item())}.'


def _gives(step: ast.stmt, name: str) -> bool:
    """Whether a statement returns a name, or keeps it."""
    return isinstance(step, ast.Return | ast.Assign) and _is(step.value, name)


def _is(node: ast.AST | None, name: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == name


def _is_condition(value: np.ndarray | None) -> bool:
    return value is not None and value.dtype.kind == "b" and value.size == 1


def _reads(node: ast.AST, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node))
