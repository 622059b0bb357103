"""Cells run in the place of a notebook's kernel, statement by statement as IPython runs them."""

import __future__

import ast
import difflib
import inspect
import linecache
import sys
import types
from collections.abc import Iterable, Sequence
from typing import Any

from labkit.checks import syntax
from labkit.checks.calling import NO_FUNCTION, STUB
from labkit.checks.console import captured
from labkit.checks.errors import explain
from labkit.grading.inside.cells import OWN, definitions, translated
from labkit.grading.inside.lab import NAMES
from labkit.grading.inside.shell import Shell, wait_for

LONGEST_MESSAGE = 2000
MOST_LEFT_OUT = 20


class Notebook:
    """The names of a notebook, and what runs its cells.

    Attributes
    ----------
    left_out : list of str
        Statements that did not run because the sandbox lacks something: the error and the line.
    """

    def __init__(self) -> None:
        module = types.ModuleType("__main__")
        sys.modules["__main__"] = module
        self.names = module.__dict__
        shell = Shell(self.names, lambda source: self._run_code(source, "<magic>"))
        self.names.update(NAMES, get_ipython=lambda: shell)
        self.left_out: list[str] = []
        self._missing: set[str] = set()
        self._flags = 0

    def expect_missing(self, names: Iterable[str]) -> tuple[str, str]:
        """Take for missing what only the lab's own cells make, which do not run here."""
        self._missing |= set(names)
        return "ran", ""

    def run(self, name: str, source: str, only_definitions: bool = False) -> tuple[str, str]:
        """Run a cell; return "ran", "not started" or "raised", and what was raised."""
        before = len(self.left_out)
        try:
            with captured():
                self._run_code(source, name, only_definitions)
        except BaseException as error:  # SystemExit and KeyboardInterrupt are answers, too
            if isinstance(error, NotImplementedError) and STUB.fullmatch(str(error)):
                return "not started", str(error)
            return "raised", explain(error)[:LONGEST_MESSAGE]
        return ("raised", self.left_out[-1]) if self.left_out[before:] else ("ran", "")

    def without(self, function: str) -> str:
        """Say that there is no such function, and which one of a like name there is."""
        found = self.names.get(function)
        if found is not None:
            kind = type(found).__name__
            return f"{NO_FUNCTION}{function}` has run: it is a {kind}, and no function."
        others = [n for n, v in self.names.items() if inspect.isfunction(v)]
        near = difflib.get_close_matches(function, others, 1)
        also = f" There is a `{near[0]}`: is that the one?" if near else ""
        return f"{NO_FUNCTION}{function}` has run, so there is no function of that name.{also}"

    def _run_code(self, source: str, name: str, only_definitions: bool = False) -> Any:
        text = translated(source)
        tree = syntax.parse(text, name)
        if not name.startswith(OWN):
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        value = None
        for statement in _statements(tree, only_definitions):
            try:
                value = self._run_statement(statement, name)
            except (ImportError, OSError, NameError) as error:
                if not self._is_lacking(error):
                    raise
                # The notebook has it, the sandbox has not: what follows in the cell goes on.
                self._missing |= syntax.bound(statement)
                if len(self.left_out) < MOST_LEFT_OUT:
                    self.left_out.append(explain(error)[:LONGEST_MESSAGE])
        return value

    def _is_lacking(self, error: Exception) -> bool:
        """Return whether an error is about something that is there in a notebook, and not here."""
        if isinstance(error, NameError):
            return error.name in self._missing
        return not isinstance(error, PermissionError)

    def _run_statement(self, statement: ast.stmt, name: str) -> Any:
        flags = self._flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        if isinstance(statement, ast.Expr):
            code = compile(ast.Expression(statement.value), name, "eval", flags, dont_inherit=True)
        else:
            module = ast.Module([statement], [])
            code = compile(module, name, "exec", flags, dont_inherit=True)
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            for alias in statement.names:
                self._flags |= getattr(__future__, alias.name).compiler_flag
        value = eval(code, self.names)
        return wait_for(value) if code.co_flags & inspect.CO_COROUTINE else value


def _statements(tree: ast.Module, only_definitions: bool) -> Sequence[ast.stmt]:
    return definitions(tree, only_literals=False) if only_definitions else tree.body
