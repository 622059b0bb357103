"""Machine-made mistakes: no mutant of a right answer that changes results may pass its check.

::

    python tests/mutation.py            a table for every lab, with the mutants that survived

Each answer cell of `solutions/` is changed in one place at a time. A mutant that passes the
notebook's check is then compared with the reference on other inputs; if those agree as well, it is
counted as equivalent (``<`` for ``<=`` where equality makes no difference), else it survived.

Equivalent mutants cost the most: they are run to the end on every input. `mutation.json` has those
that were found, by the code of the mutant and of what its check is made of (`declaration`); as long
as neither changes, they are tried on fewer inputs. The command adds what is new, and the tests warn
of it.
"""

import argparse
import ast
import builtins
import copy
import hashlib
import inspect
import itertools
import json
import math
import struct
import sys
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat
import torch
from remembered import Remembered
from torch import nn

from labkit import zoo
from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.exercise import Exercise
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.verdict import State, judge
from labkit.grading.releasing.release import ANSWER, exercise_id, grade_id

SOLUTIONS = Path(__file__).parents[1] / "solutions"
SECONDS = 2.0
OTHER_SEEDS = range(100, 160)
STORED_SEEDS = range(100, 103)
STORE = Path(__file__).with_suffix(".json")

OPERATORS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Div, ast.Mod),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
    ast.BitAnd: (ast.BitOr, ast.BitXor),
    ast.BitOr: (ast.BitAnd,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.USub: (ast.UAdd,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}
NAMES = {
    "max": ("min",),
    "min": ("max",),
    "amax": ("amin",),
    "round": ("floor", "ceil", "trunc"),
    "floor": ("ceil", "round", "trunc"),
    "mean": ("sum", "median"),
    "sum": ("mean",),
    "stack": ("cat",),
    "cat": ("stack",),
    "log10": ("log", "log2"),
    "int64": ("int32",),
    "int32": ("int8", "float32"),
}
# What is only read, and changes no verdict.
PROSE = {"title", "points", "minutes", "hints", "misconceptions", "extra"}
# A method call such as x.abs() whose removal leaves x.
REMOVABLE = {"abs", "clamp", "round", "flatten", "sqrt", "square"}


@dataclass(frozen=True)
class Mutant:
    """One changed answer and what was changed."""

    change: str
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every answer that differs from `source` in one place."""
    tree = ast.parse(source)
    for position, node in enumerate(ast.walk(tree)):
        for change, edit in _edits(node):
            mutated = copy.deepcopy(tree)
            edit(next(itertools.islice(ast.walk(mutated), position, None)))
            yield Mutant(change, ast.fix_missing_locations(mutated))


def _edits(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], None]]]:
    before = ast.unparse(node)[:60] if isinstance(node, ast.expr | ast.stmt) else ""
    for field in ("op", "ops"):
        found = getattr(node, field, None)
        operator = found[0] if isinstance(found, list) else found
        for other in OPERATORS.get(type(operator), ()):
            value = [other()] if isinstance(found, list) else other()
            yield f"{before}: {other.__name__}", lambda n, f=field, v=value: setattr(n, f, v)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        for value in _other_constants(node.value):
            yield f"{before} -> {value}", lambda n, v=value: setattr(n, "value", v)
    for field in ("id", "attr"):
        for other in NAMES.get(getattr(node, field, ""), ()):
            yield f"{before} -> {other}", lambda n, f=field, o=other: setattr(n, f, o)
    if isinstance(node, ast.Call):
        if len(node.args) > 1:
            yield f"{before}: arguments turned round", lambda n: n.args.reverse()  # type: ignore[attr-defined]
        if isinstance(node.func, ast.Attribute) and node.func.attr in REMOVABLE:
            yield f"{before}: call removed", _replace_by_owner
    if isinstance(node, ast.IfExp):
        yield f"{before}: branches swapped", _swap_branches
    if isinstance(node, ast.FunctionDef | ast.If | ast.For):
        for index, statement in enumerate(node.body):
            if not isinstance(statement, ast.Return | ast.Expr) and len(node.body) > 1:
                text = ast.unparse(statement)[:60]
                yield f"deleted: {text}", lambda n, i=index: n.body.pop(i)  # type: ignore[attr-defined]


def _other_constants(value: float) -> list[float]:
    if isinstance(value, bool):
        return [not value]
    return [v for v in dict.fromkeys((value + 1, value - 1, -value, 0 * value)) if v != value]


def _replace_by_owner(call: ast.AST) -> None:
    """Turn x.abs() into x[...], which is x."""
    owner = call.func.value  # type: ignore[attr-defined]
    call.__class__ = ast.Subscript
    call.value, call.slice, call.ctx = owner, ast.Constant(...), ast.Load()  # type: ignore[attr-defined]


def _swap_branches(choice: ast.AST) -> None:
    choice.body, choice.orelse = choice.orelse, choice.body  # type: ignore[attr-defined]


def answers(number: int) -> dict[str, str]:
    """Return exercise id to the solved answer cell of a lab."""
    path = SOLUTIONS / f"{registry.STEMS[number]}.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    return {exercise_id(c): c.source for c in cells if grade_id(c).startswith(ANSWER)}


def namespace(number: int) -> dict[str, object]:
    """Return what an answer finds around it: the imports and the lab's references."""
    names: dict[str, object] = {"__builtins__": builtins, "math": math, "struct": struct}
    names |= {"torch": torch, "nn": nn, "Tensor": torch.Tensor, "zoo": zoo}
    names |= {"Callable": Callable}
    return names | {e.function: e.reference for e in registry.exercises(number)}


def declaration(source: str, name: str) -> str:
    """Return the code on which the verdicts of an exercise depend, of the file that declares it.

    That is what ``name = Exercise(...)`` uses, down to the imports: no comments, no docstrings, and
    neither the prose of the exercise nor its known mistakes.
    """
    statements = ast.parse(source).body
    for node in ast.walk(ast.Module(statements, [])):
        if isinstance(node, ast.Call) and any(k.arg == "id" for k in node.keywords):
            node.keywords = [k for k in node.keywords if k.arg not in PROSE]
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body[0] = ast.Pass()
    used, kept = {name}, list[ast.stmt]()
    while more := [s for s in statements if s not in kept and used & _defined(s)]:
        kept += more
        used |= {n.id for s in more for n in ast.walk(s) if isinstance(n, ast.Name)}
    return "\n".join(ast.unparse(s) for s in statements if s in kept)


def _defined(statement: ast.stmt) -> set[str]:
    """Return the names that a statement of a module defines or changes."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(a.asname or a.name).partition(".")[0] for a in statement.names}
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}


def _place(exercise: Exercise) -> tuple[str, str]:
    """Return the source of the file that declares an exercise, and its name there."""
    folder = f"labkit.checks.lab{exercise.id.partition('.')[0]}."
    for module in [m for name, m in sys.modules.items() if name.startswith(folder)]:
        for name, value in vars(module).items():
            if isinstance(value, Exercise) and value.id == exercise.id:
                return inspect.getsource(module), name
    raise ValueError(f"no file of {folder}* declares exercise {exercise.id}.")


class Trial:
    """An exercise on which its mutants are tried, one after the other."""

    def __init__(self, exercise: Exercise, names: dict[str, object], stored: Container[str] = ()):
        self.remembered = Remembered.of(replace(exercise, misconceptions=()))
        self.names = names
        self.stored = stored
        self.declared = declaration(*_place(exercise))

    def key(self, mutant: Mutant) -> str:
        """Return what a mutant and the file of its exercise are stored under."""
        text = self.declared + ast.unparse(mutant.tree)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def survives(self, mutant: Mutant) -> bool | None:
        """Return True if a mutant passes the check and is wrong, None if it is equivalent."""
        names = dict(self.names)
        try:
            exec(compile(mutant.tree, "<mutant>", "exec"), names)
        except Exception:
            return False
        function = names[self.remembered.exercise.function]
        if not self._passes(function, NOTEBOOK_SEED, SECONDS):
            return False
        seeds = STORED_SEEDS if self.key(mutant) in self.stored else OTHER_SEEDS
        # What came to an end above does not fail here because the machine is busy.
        return None if all(self._passes(function, s, 10 * SECONDS) for s in seeds) else True

    def _passes(self, function: object, seed: int, seconds: float) -> bool:
        cases = self.remembered.cases(seed)
        # The first case alone: nearly always it is enough.
        for some in filter(None, (cases[:1], cases[1:])):
            outcomes = call_all(function, some, seconds)  # type: ignore[arg-type]
            if judge(self.remembered.exercise, some, outcomes).state is not State.PASSED:
                return False
        return True


def stored() -> dict[str, dict[str, str]]:
    """Return the mutants that were found equivalent: exercise id to key to change."""
    return json.loads(STORE.read_text("utf-8"))


@dataclass(frozen=True)
class Row:
    """What became of the mutants of one exercise."""

    exercise: str
    refused: int
    equivalent: dict[str, str]
    survived: list[str]

    @property
    def total(self) -> int:
        """How many mutants there were."""
        return self.refused + len(self.equivalent) + len(self.survived)


def run(number: int, known: dict[str, dict[str, str]]) -> list[Row]:
    """Try all mutants of a lab's answers, the known equivalent ones on fewer inputs.

    Not those of a student's test: a weaker one may be right. What a test has to catch is drawn anew
    each time, and `test_checks_property_test.py` holds what is made of that.
    """
    sources, names = answers(number), namespace(number)
    rows = []
    for exercise in (e for e in registry.exercises(number) if e.kind != "test"):
        trial = Trial(exercise, names, known.get(exercise.id, {}))
        refused, equivalent, survived = 0, {}, []
        for mutant in mutants(sources[exercise.id]):
            result = trial.survives(mutant)
            refused += result is False
            if result:
                survived.append(mutant.change)
            elif result is None:
                equivalent[trial.key(mutant)] = mutant.change
        rows.append(Row(exercise.id, refused, equivalent, survived))
    return rows


def main() -> None:
    """Print the table, and store which mutants are equivalent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", type=int, choices=registry.STEMS, help="one lab only")
    parser.add_argument("--again", action="store_true", help="try what is stored as if it were not")
    options = parser.parse_args()
    table = stored()
    for number in registry.STEMS if options.lab is None else (options.lab,):
        print(f"lab {number}\nexercise  mutants  refused  equivalent  survived")
        for row in run(number, {} if options.again else table):
            counts = row.refused, len(row.equivalent), len(row.survived)
            print("{:8} {:8} {:8} {:11} {:9}".format(row.exercise, row.total, *counts))
            print("".join(f"    SURVIVED {change}\n" for change in row.survived), end="")
            table[row.exercise] = row.equivalent
        ordered = sorted(table.items(), key=lambda entry: [*map(int, entry[0].split("."))])
        STORE.write_text(json.dumps({k: v for k, v in ordered if v}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
