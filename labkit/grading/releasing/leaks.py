"""Nothing of a solution in what students get: every cell is looked at once the regions are cut."""

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.grading.inside.cells import parse

SHORTEST, SHORTEST_ELSEWHERE = 12, 40
"""Letters of a solution, without white space: what is shorter may stand in its lab, or in another
one, by chance."""


def stub_reason(source: str, solved: str, regions: int) -> str:
    """Return why the released answer cell would hand out an answer, or an empty string.

    Parameters
    ----------
    source : str
        The cell as released.
    solved : str
        The same cell as solved.
    regions : int
        How many solutions were cut out of it.
    """
    if source.strip() == solved.strip():
        return "no solution region stands in it, so it would come out as it went in"
    try:
        # The code of a cell below a magic like %%time is a text to Python.
        tree = parse(re.sub(r"\A\s*%%.*\n", "", source))
    except SyntaxError as error:
        return f"what is left of it without the solution does not parse ({error.msg})"
    if sum(map(_is_stub, ast.walk(tree))) < regions:
        return "its marks stand in a text, where they cut out words and no code"
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        returns = [i for i, statement in enumerate(body) if isinstance(statement, ast.Return)]
        stubs = [i for i, statement in enumerate(body) if isinstance(statement, ast.Raise)]
        if returns and stubs and returns[0] < stubs[-1]:
            return "a return stands above the solution region"
    return ""


def _is_stub(node: ast.AST) -> bool:
    """Return whether this is the statement that takes the place of a solution."""
    return isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)


def leak(
    cells: Sequence[Mapping[str, Any]],
    solutions: Mapping[str, Sequence[str]],
    functions: Sequence[str] = (),
    shortest: int = SHORTEST,
) -> tuple[Mapping[str, Any], str] | None:
    """Return a released cell that holds a solution, and what it holds; None if none does.

    Parameters
    ----------
    cells : sequence of mapping
        As released.
    solutions : mapping
        Exercise to what was cut out of its cell.
    functions : sequence of str
        What the exercises ask for: a cell of the course must not define it.
    shortest : int
        Letters from which on a solution is looked for.
    """
    wanted = {
        number: [_parts(region) for region in regions if len(_squeezed(region)) >= shortest]
        for number, regions in solutions.items()
    }
    for cell in cells:
        # With comments and without: a solution may stand in one, or be interrupted by one.
        texts = {_squeezed(cell["source"]), _squeezed(cell["source"], comments=True)}
        for number, regions in wanted.items():
            if any(_holds(text, parts) for parts in regions for text in texts):
                return cell, f"the solution of exercise {number}"
        if cell["cell_type"] == "code" and "nbgrader" not in cell["metadata"]:
            for function in functions:
                if re.search(rf"^\s*(async )?def {re.escape(function)}\b", cell["source"], re.M):
                    return cell, f"a definition of {function}, which an exercise asks for"
    return None


def _parts(region: str) -> tuple[str, frozenset[str]]:
    """Return a solution squeezed: the whole, and its lines, where it has several of some length."""
    lines = {_squeezed(line).removeprefix("return") for line in region.splitlines()}
    lines = {line for line in lines if len(line) >= SHORTEST}
    return _squeezed(region), frozenset(lines if len(lines) > 1 else ())


def _holds(text: str, parts: tuple[str, frozenset[str]]) -> bool:
    """Return whether a squeezed text holds a solution: as it stands, or every line of it."""
    whole, lines = parts
    return whole in text or (bool(lines) and all(line in text for line in lines))


def _squeezed(text: str, comments: bool = False) -> str:
    """Return code without white space, and without its comments or only without their signs."""
    if not comments:
        text = re.sub(r"(^|\s)#.*", "", text)
    return re.sub(r"[\s#>`]+", "", text)
