"""The cell of an answer, defined again after each change of its code."""

import ast
import math
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from labkit.checks.diagnosis.code.edits import Edit
from labkit.checks.diagnosis.code.harmless import compiled

SPACE = "<repair>"
KEPT = ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom


class Cell:
    """A copy of the notebook's names, in which a cell's functions are defined anew.

    Parameters
    ----------
    tree : ast.Module
        The cell; its functions change with every edit that is put.
    answer : function
        The answer as the notebook has it.
    """

    def __init__(self, tree: ast.Module, answer: types.FunctionType) -> None:
        self.answer = answer
        self.functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        # The answer itself is changed first.
        self.functions.sort(key=lambda node: node.name != answer.__name__)
        self._space = {"math": math, **answer.__globals__}
        self._define([node for node in tree.body if isinstance(node, KEPT)])

    def defined(
        self, functions: list[ast.FunctionDef], names: dict[str, Any]
    ) -> Callable[..., Any] | None:
        """Return the answer as other versions of the functions define it, with some more names."""
        space = {**self._space, **names}
        return space.get(self.answer.__name__) if _defined(functions, space) else None

    @contextmanager
    def changed(self, edit: Edit) -> Iterator[Callable[..., Any] | None]:
        """Make a change for a while, and give the answer with it."""
        edit.put()
        itself = edit.tree.name == self.answer.__name__
        try:
            # Of the answer a version from the change before may still be there.
            defined = self._define([edit.tree] if itself else self.functions)
            yield self._answer() if defined else None
        finally:
            edit.take_back()
            if not itself:
                self._define([edit.tree])

    def nodes(self) -> set[int]:
        """Return what the functions are made of now."""
        return {id(node) for function in self.functions for node in ast.walk(function)}

    def _answer(self) -> Callable[..., Any] | None:
        found = self._space.get(self.answer.__name__)
        return found if callable(found) else None

    def _define(self, nodes: list[Any]) -> bool:
        return _defined(nodes, self._space)


def _defined(nodes: list[Any], space: dict[str, Any]) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            exec(compiled(nodes, SPACE, space), space)
    except Exception:
        return False
    return True
