"""What a cell makes: the function that an exercise asks for, or no more than a stub of it."""

import ast
import re

from labkit.checks import syntax
from labkit.grading.course import Task
from labkit.grading.submission.handed_out import same_code

LONGEST_READ = 20_000
"""Characters of a cell that is parsed here, where no sandbox is around the parser."""
MAGIC = re.compile(r"^([ \t]*)[%!?](?:.*\\\n)*.*", re.MULTILINE)


def makes(source: str, function: str) -> bool:
    """Return whether a cell binds the name of a function."""
    # A search for the name alone is quick where there are millions of lines.
    if function not in source:
        return False
    if len(source) <= LONGEST_READ:
        for text in (source, MAGIC.sub(r"\1pass", source)):
            try:
                body = syntax.parse(text).body
                return any(function in syntax.bound(s) and not _is_check(s, function) for s in body)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
    name = re.escape(function)
    definition = rf"^(?:def|class)[ \t]+{name}\b|^{name}[ \t]*(?::[^\n=]*)?=(?![ \t]*lab\.check|=)"
    return re.search(definition, source, re.MULTILINE) is not None


def _is_check(statement: ast.stmt, function: str) -> bool:
    """Return whether a statement is ``f = lab.check("1.3", f)``."""
    value = statement.value if isinstance(statement, ast.Assign) else None
    return (
        isinstance(value, ast.Call)
        and ast.unparse(value.func) == "lab.check"
        and any(isinstance(a, ast.Name) and a.id == function for a in value.args[1:])
    )


def is_stub(source: str, task: Task) -> bool:
    """Return whether an answer cell is as it was handed out, now or in another release.

    Comments and docstrings aside; a function that does nothing but raise is a stub, whatever its
    parameters are called.
    """
    if same_code(source, task.stub):
        return True
    if task.exercise.function not in source or len(source) > LONGEST_READ:
        return False
    try:
        tree = _without_words(source)
        if _only_raises(tree, task.exercise.function):
            return True
        return ast.dump(tree) == ast.dump(_without_words(task.stub))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _only_raises(tree: ast.Module, function: str) -> bool:
    match tree.body:
        case [ast.FunctionDef(body=[ast.Raise(exc=ast.Call(func=ast.Name(id=error)))]) as only]:
            return (only.name, error) == (function, "NotImplementedError")
    return False


def _without_words(source: str) -> ast.Module:
    tree = syntax.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return tree
