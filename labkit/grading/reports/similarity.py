"""Answers that are equal in structure: a hint at copying, for an instructor to judge.

Two answers are equal in structure if their syntax trees are, once local names are numbered in the
order in which they appear, and comments, docstrings, annotations, imports and what the stub or
a hint already held are dropped. Short answers are equal by chance, since there are few ways to
write one line; so only those of which `SMALLEST` nodes or more are left count, and of these only
structures that `COMMON` of the class or fewer share.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping

from labkit.checks import syntax
from labkit.grading.course import Course, Task
from labkit.grading.judging.results import Outcome, Record

SMALLEST = 80
"""Nodes of the syntax tree: five to ten lines."""
LONGEST = 20_000
"""Characters: no honest answer is longer, and trees of what is could take minutes to compare."""
MOST_NODES = 2_000
"""Of a tree, for the same reasons."""
SHORTEST_HINT = 20
"""Characters: an expression of so many that stands in a hint was taken from there."""
COMMON = 0.2
"""Share of the class: a structure that more have is what the exercise asks for."""
FEW = 3
"""That many may share a structure in a class of any size."""


def similarities(records: Iterable[Record], course: Course) -> dict[str, tuple[str, ...]]:
    """Return flags for each student whose answers equal another's, or the lab's own.

    Only answers that were attempted count. The order of `records` does not matter.
    """
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    attempted: dict[str, int] = defaultdict(int)
    own = {task.exercise.id: structure(task.solution, task) for task in course.tasks}
    tasks = {task.exercise.id: task for task in course.tasks}
    for record in records:
        for graded in record.graded:
            if graded.outcome is Outcome.NOT_ATTEMPTED:
                continue
            attempted[graded.exercise] += 1
            tree = structure(graded.answer, tasks[graded.exercise])
            if tree:
                groups[graded.exercise, tree].append(record.student)
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (exercise, tree), students in groups.items():
        if tree == own[exercise]:
            for student in students:
                pairs[student, "the lab's own solution"].append(exercise)
        elif len(students) <= max(FEW, COMMON * attempted[exercise]):
            for student in students:
                for other in students:
                    if other != student:
                        pairs[student, f"the submission of {other}"].append(exercise)
    return _flags(pairs, [task.exercise.id for task in course.tasks])


def _flags(
    pairs: Mapping[tuple[str, str], list[str]], order: list[str]
) -> dict[str, tuple[str, ...]]:
    flags: dict[str, list[str]] = defaultdict(list)
    for (student, other), exercises in sorted(pairs.items()):
        listed = ", ".join(sorted(exercises, key=order.index))
        flags[student].append(f"{listed}: same structure as in {other}")
    return {student: tuple(found) for student, found in flags.items()}


def structure(answer: str, task: Task) -> str:
    """Return the structure of an answer as text; empty if it is too short or no Python."""
    if len(answer) > LONGEST:
        return ""
    try:
        tree, stub = syntax.parse(_plain(answer)), syntax.parse(_plain(task.stub))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
        return ""
    given = {ast.dump(node) for node in ast.walk(stub) if isinstance(node, ast.stmt)}
    hints = _compact(" ".join(task.exercise.hints))
    try:
        names = _local_names(tree, task.exercise.function)
        _Normalised(given, hints, names).generic_visit(tree)
        text = ast.dump(tree)
    except (ValueError, RecursionError, MemoryError):
        # Not everything that Python reads can be written: integers of thousands of digits cannot.
        return ""
    return text if sum(1 for _ in ast.walk(tree)) >= SMALLEST else ""


def _plain(source: str) -> str:
    """Drop the lines that only a notebook understands."""
    lines = source.splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def _compact(code: str) -> str:
    return "".join(code.split()).replace('"', "'")


def _local_names(tree: ast.AST, function: str) -> dict[str, str]:
    """Return the names that an answer binds; those of others, such as torch, say what it does."""
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            bound.setdefault(node.arg, "")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.setdefault(node.id, "")
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name != function:
            bound.setdefault(node.name, "")
    return bound


class _Normalised(ast.NodeTransformer):
    """Leaves of a tree what its author decided, without the names."""

    def __init__(self, given: set[str], hints: str, names: dict[str, str]) -> None:
        self._given = given
        self._hints = hints
        self._names = names
        self._imported: dict[str, str] = {}

    def visit(self, node: ast.AST) -> ast.AST | None:
        dropped = isinstance(node, ast.stmt) and not isinstance(
            node, ast.FunctionDef | ast.ClassDef
        )
        if dropped and (ast.dump(node) in self._given or _says_nothing(node)):
            return None
        if isinstance(node, ast.expr):
            code = _compact(ast.unparse(node))
            if len(code) >= SHORTEST_HINT and code in self._hints:
                return ast.Constant("hint")
        return super().visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self._imported |= {alias.asname or alias.name: alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._imported |= {alias.asname or alias.name: alias.name for alias in node.names}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name, node.returns = self._number(node.name), None
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self._number(node.name)
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return self.visit(ast.Assign(targets=[node.target], value=node.value))

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg, node.annotation = self._number(node.arg), None
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._number(self._imported.get(node.id, node.id))
        return node

    def _number(self, name: str) -> str:
        if name in self._names and not self._names[name]:
            self._names[name] = f"_{sum(map(bool, self._names.values()))}"
        return self._names.get(name, name)


def _says_nothing(node: ast.AST) -> bool:
    """Return whether a statement is a docstring, a lone constant or ``pass``."""
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant or isinstance(node, ast.Pass)
