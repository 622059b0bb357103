"""The right answers of `right_answers/` as students would hand them in: one cell an exercise."""

import ast
import json
from pathlib import Path
from typing import Any

from labkit.checks import own, registry
from labkit.grading.releasing.release import ANSWER
from labkit.start import LABS

PROJECT = Path(__file__).parents[1]
Definitions = dict[str, ast.stmt]


def files(lab: int) -> list[Path]:
    """Return where the right answers of a lab stand: the course's, and those of one's own."""
    found = [PROJECT / "tests" / "right_answers" / f"lab{lab}.py"]
    if own.declared(lab):
        found.append(own.FOLDER / f"lab{lab}" / own.RIGHT_ANSWERS)
    return found


def cells(lab: int) -> dict[str, list[str]]:
    """Return for each exercise its right answers: with the helpers and imports that each needs."""
    found: dict[str, list[str]] = {}
    for path in files(lab):
        found |= _cells(lab, path.read_text("utf-8"))
    return found


def _cells(lab: int, text: str) -> dict[str, list[str]]:
    *statements, answers = ast.parse(text).body
    assert isinstance(answers, ast.Assign)
    assert isinstance(answers.value, ast.Dict)
    definitions = {name: s for s in statements for name in _defined(s)}
    functions = {exercise.id: exercise.function for exercise in registry.exercises(lab)}
    found = {}
    for key, styles in zip(answers.value.keys, answers.value.values, strict=True):
        number = ast.literal_eval(key) if key else ""
        assert isinstance(styles, ast.List)
        if number not in functions:
            continue  # left out of the course
        found[number] = [
            _cell(functions[number], style, statements, definitions) for style in styles.elts
        ]
    return found


def notebooks(lab: int) -> list[dict[str, Any]]:
    """Return the released lab filled in, once for each style; where styles run out, unsolved."""
    answers = cells(lab)
    text = (LABS / f"{registry.STEMS[lab]}.ipynb").read_text("utf-8")
    made = []
    for style in range(max(map(len, answers.values()))):
        notebook = json.loads(text)
        for cell in notebook["cells"]:
            key = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
            styles = answers.get(key.removeprefix(ANSWER).replace("-", "."), [])
            if key.startswith(ANSWER) and style < len(styles):
                cell["source"] = styles[style]
        made.append(notebook)
    return made


def _cell(
    function: str, style: ast.expr, statements: list[ast.stmt], definitions: Definitions
) -> str:
    needed: set[str] = set()
    todo = _names(style) & set(definitions)
    while todo:
        needed |= todo
        todo = {n for name in todo for n in _names(definitions[name])} & set(definitions) - needed
    parts = [ast.unparse(s) for s in statements if needed & set(_defined(s))]
    if ast.unparse(style) != function:
        parts.append(f"{function} = {ast.unparse(style)}")
    return "\n".join(parts)


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.split(".")[0] for alias in statement.names]
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return []


def _names(node: ast.AST) -> set[str]:
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}
