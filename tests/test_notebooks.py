"""The notebooks as students run them: unsolved, half solved, wrongly solved; and their form.

nbval runs `solutions/` and `labs/` as they are (see pyproject.toml); here labs are changed first.
"""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from labkit.checks import registry
from labkit.grading.release import ANSWER, CHECK, exercise_id, grade_id

ROOT = Path(__file__).parents[1]
LONGEST_CELL = 15
WRONG = "    return None"


def solution(stem: str) -> NotebookNode:
    return nbformat.read(ROOT / "solutions" / f"{stem}.ipynb", as_version=4)


def lab(stem: str) -> NotebookNode:
    return nbformat.read(ROOT / "labs" / f"{stem}.ipynb", as_version=4)


def cards(notebook: NotebookNode) -> dict[str, str]:
    """Return the first line of each check's card."""
    return {
        exercise_id(cell): cell.outputs[0].data["text/plain"].splitlines()[0]
        for cell in notebook.cells
        if grade_id(cell).startswith(CHECK)
    }


def run(notebook: NotebookNode, folder: Path) -> dict[str, str]:
    """Run a notebook whose cells must not raise, and return its cards."""
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.execute()
    return cards(notebook)


@pytest.mark.parametrize("number", registry.STEMS)
def test_half_solved_and_wrongly_solved_labs_run_to_the_end(number: int, tmp_path: Path) -> None:
    stem = registry.STEMS[number]
    notebook, answers = (
        lab(stem),
        [c for c in solution(stem).cells if grade_id(c).startswith(ANSWER)],
    )
    stubs = [c for c in notebook.cells if grade_id(c).startswith(ANSWER)]
    expected = {}
    for position, (stub, answer) in enumerate(zip(stubs, answers, strict=True)):
        kind = ("solved", "wrong", "unsolved")[position % 3]
        if kind == "solved":
            stub.source = answer.source
        elif kind == "wrong":
            stub.source = re.sub(r"^ *raise NotImplementedError.*$", WRONG, stub.source, flags=re.M)
        expected[exercise_id(stub)] = {"solved": "✓ Passed", "wrong": "✗ Not yet"}.get(
            kind, "○ Not started"
        )
    found = run(notebook, tmp_path)
    assert {key: line.split(" · ")[0] for key, line in found.items()} == expected


@pytest.mark.parametrize("number", registry.STEMS)
def test_every_check_of_the_solution_passes_and_is_compared(number: int) -> None:
    notebook = solution(registry.STEMS[number])
    assert all(line.startswith("✓ Passed") for line in cards(notebook).values())
    for cell in notebook.cells:
        if grade_id(cell).startswith(CHECK):
            assert "nbval-check-output" in cell.metadata.tags


@pytest.mark.parametrize("number", registry.STEMS)
def test_form(number: int) -> None:
    notebook = solution(registry.STEMS[number])
    prose = code = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            prose += len(cell.source.split())
            continue
        lines = [line for line in cell.source.splitlines() if line.strip()]
        body = [line for line in lines if "### " not in line]
        allowed = LONGEST_CELL + (8 if grade_id(cell).startswith(ANSWER) else 0)
        assert len(body) <= allowed, f"{len(body)} lines in: {lines[0]}"
        code += len(re.findall(r"\w+", cell.source))
        ast.parse(cell.source)
    assert 0.8 <= prose / code <= 4, f"{prose} words of prose for {code} words of code"


@pytest.mark.parametrize("number", registry.STEMS)
def test_every_answer_has_a_typed_signature_and_a_docstring(number: int) -> None:
    for cell in lab(registry.STEMS[number]).cells:
        if not grade_id(cell).startswith(ANSWER):
            continue
        functions = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.FunctionDef)]
        assert functions
        for function in functions:
            assert ast.get_docstring(function), cell.source
            assert function.returns is not None
            assert all(
                argument.annotation for argument in function.args.args if argument.arg != "self"
            )


@pytest.mark.parametrize("number", registry.STEMS)
def test_stub_and_reference_agree_on_names(number: int) -> None:
    exercises = {exercise.id: exercise for exercise in registry.exercises(number)}
    for cell in lab(registry.STEMS[number]).cells:
        if grade_id(cell).startswith(ANSWER):
            exercise = exercises[exercise_id(cell)]
            code = exercise.reference.__code__
            wanted = list(code.co_varnames[: code.co_argcount])
            functions = [n for n in ast.parse(cell.source).body if isinstance(n, ast.FunctionDef)]
            stub = next(f for f in functions if f.name == exercise.function)
            assert [a.arg for a in stub.args.args] == wanted
