"""The notebooks as students run them: unsolved, half solved, wrongly solved; and their form.

nbval runs `solutions/` and `labs/` as they are (see pyproject.toml); here labs are changed first,
unless there is a browser, in which `tests/browser/test_labs.py` runs the same.
"""

import ast
import io
import os
import re
import tokenize
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from browsers import browser_is_here
from half_solved import half_solved
from nbclient import NotebookClient
from nbformat import NotebookNode

from labkit.checks import registry
from labkit.grading.releasing.release import ANSWER, CHECK, exercise_id, grade_id

ROOT = Path(__file__).parents[1]
SMALL_DATA = ROOT / "tests" / "small_data.py"
LONGEST_CELL = 15
PROSE_TO_CODE = 2, 4  # words of prose for a word of code
LECTURE = "https://hanlab.mit.edu/courses/"
# What the labs call otherwise: one word for one thing, one spelling.
OTHER_WORDS = {
    r"zero-?point|\bzp\b": "zero point",
    r"bit-?widths?\b": "bits",
    r"scaling factor|quantization step": "scale",
    r"quantized (value|integer)s?\b": "code",
    r"quantis|normalis|\bcolors?\b": "quantize, normalize, colour",
    r"\bq_max|\bq_min|Q_\{|r_max|r_min": "q_{min}, q_{max}, r_{min}, r_{max}",
    r"\bround\(x ?\* ?\(?1": "round(x / scale)",
}


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


@pytest.mark.slow
@pytest.mark.skipif(browser_is_here(), reason="tests/browser/test_labs.py runs it in a browser")
@pytest.mark.parametrize("number", registry.STEMS)
def test_half_solved_and_wrongly_solved_labs_run_to_the_end(number: int, tmp_path: Path) -> None:
    notebook, expected = half_solved(number)
    options = {"timeout": 1200, "startup_timeout": 1200}
    client = NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}, **options)
    client.execute(env=os.environ | {"PYTHONSTARTUP": str(SMALL_DATA)})  # no cell may raise
    assert {key: line.split(" · ")[0] for key, line in cards(notebook).items()} == expected


@pytest.mark.parametrize("number", registry.STEMS)
def test_every_check_of_the_solution_passes_and_is_compared(number: int) -> None:
    notebook = solution(registry.STEMS[number])
    assert all(line.startswith("✓ Passed") for line in cards(notebook).values())
    for cell in notebook.cells:
        if grade_id(cell).startswith(CHECK):
            assert "nbval-check-output" in cell.metadata.tags


def words(text: str) -> int:
    """Count words, without formulas, links and HTML."""
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|<[^>]*>", " ", text, flags=re.S)
    return len(re.findall(r"[A-Za-z][\w'-]*", text))


def prose_and_code(notebook: NotebookNode) -> tuple[int, int]:
    """Count the words of Markdown, docstrings and comments, and the names and numbers of code."""
    prose = code = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            prose += words(cell.source)
            continue
        nodes = ast.walk(ast.parse(cell.source))
        functions = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        prose += sum(words(ast.get_docstring(function) or "") for function in functions)
        for token in tokenize.generate_tokens(io.StringIO(cell.source).readline):
            if token.type == tokenize.COMMENT:
                prose += words(token.string)
            code += token.type in (tokenize.NAME, tokenize.NUMBER)
    return prose, code


def exercises_in_prose(notebook: NotebookNode) -> dict[str, str]:
    """Return the Markdown of each exercise, from its heading to the next."""
    text = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    parts = [m.start() for m in re.finditer(r"^##? ", text, re.M)] + [len(text)]
    sections = [text[start:end] for start, end in pairwise(parts)]
    return {m[1]: s for s in sections if (m := re.match(r"## (\d\.\d+) ", s))}


@pytest.mark.parametrize("number", registry.STEMS)
def test_cells_are_short(number: int) -> None:
    for cell in solution(registry.STEMS[number]).cells:
        if cell.cell_type == "code":
            lines = [line for line in cell.source.splitlines() if line.strip()]
            body = [line for line in lines if "### " not in line]
            allowed = LONGEST_CELL + (8 if grade_id(cell).startswith(ANSWER) else 0)
            assert len(body) <= allowed, f"{len(body)} lines in: {lines[0]}"


@pytest.mark.parametrize("number", registry.STEMS)
def test_there_are_two_to_four_words_of_prose_for_a_word_of_code(number: int) -> None:
    prose, code = prose_and_code(lab(registry.STEMS[number]))
    least, most = PROSE_TO_CODE
    assert least <= prose / code <= most, f"{prose} words of prose for {code} of code"


@pytest.mark.parametrize("number", registry.STEMS)
def test_one_word_for_one_thing(number: int) -> None:
    text = "\n".join(c.source for c in lab(registry.STEMS[number]).cells if c.cell_type != "code")
    found = {m[0]: ours for other, ours in OTHER_WORDS.items() for m in re.finditer(other, text)}
    assert found == {}


@pytest.mark.parametrize("number", registry.STEMS)
def test_every_exercise_names_its_place_in_the_lecture_and_a_source(number: int) -> None:
    sections = exercises_in_prose(lab(registry.STEMS[number]))
    assert list(sections) == [exercise.id for exercise in registry.exercises(number)]
    for key, text in sections.items():
        links = re.findall(r"\]\((https?://[^)\s]+)\)", text)
        assert any(link.startswith(LECTURE) for link in links), key
        assert any(not link.startswith(LECTURE) for link in links), key


@pytest.mark.parametrize("number", registry.STEMS)
def test_every_lab_links_to_the_next(number: int) -> None:
    notebook = lab(registry.STEMS[number])
    text = " ".join(" ".join(c.source for c in notebook.cells).split())
    if number + 1 in registry.STEMS:
        assert f"({registry.STEMS[number + 1]}.ipynb)" in text


@pytest.mark.parametrize("number", registry.STEMS)
def test_every_picture_says_what_it_shows(number: int) -> None:
    outputs = [o for c in solution(registry.STEMS[number]).cells for o in c.get("outputs", ())]
    pictures = [output.data for output in outputs if "image/png" in output.get("data", {})]
    assert pictures
    for data in pictures:
        assert re.search(r' alt="[^"]{20,}"', data["text/html"]), data["text/plain"]


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
