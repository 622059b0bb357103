"""No solution reaches a student: marks that are not right, solutions that stand elsewhere."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest
from grading_support import STEM, solved_notebook
from nbformat import NotebookNode

from labkit.grading.releasing.cells import student_cells
from labkit.grading.releasing.identity import ids, read_solution
from labkit.grading.releasing.regions import cut, has_mark, resembles_a_mark
from labkit.grading.releasing.release import release, release_notebook

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
ANSWER = "exercise-1-3"


def solved() -> NotebookNode:
    return nbformat.from_dict(solved_notebook())


def answer(notebook: NotebookNode) -> NotebookNode:
    return next(
        c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == ANSWER
    )


def refused(notebook: NotebookNode) -> str:
    with pytest.raises(ValueError, match=STEM) as error:
        release_notebook(notebook, STEM)
    return str(error.value)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("###BEGIN SOLUTION", "###END SOLUTION"),
        ("# BEGIN SOLUTION", "# END SOLUTION"),
        ("#### BEGIN SOLUTION", "#### END SOLUTION"),
        ("### Begin Solution", "### End Solution"),
        ("### BEGIN  SOLUTION", "### END  SOLUTION"),
        ("###\tBEGIN SOLUTION", "###\tEND SOLUTION"),
        ("### BEGIN_SOLUTION", "### END_SOLUTION"),
        ("### BEGIN SOLUTION:", "### END SOLUTION:"),
        ("### BEGIN SOLUTION (round to even)", END),
        (BEGIN, "### END SOLUTION of 1.3"),
        ("### BEGIN SOLUTON", "### END SOLUTON"),
        ("### BEGIN\u00a0SOLUTION", "### END\u00a0SOLUTION"),
        ("### BEGIN\u200b SOLUTION", END),
        ("x = 1  ### BEGIN SOLUTION", END),
        ("# SOLUTION", ""),
        ("### DEBUT SOLUTION", "### FIN SOLUTION"),
        ("# === Solution ===", ""),
        ("# start solution", "# stop solution"),
        ("# SOLUTION STARTS HERE", "# SOLUTION ENDS HERE"),
        ("### ANFANG LÖSUNG", "### ENDE LÖSUNG"),
        ("", ""),
        (BEGIN, ""),
        ("", END),
        (END, BEGIN),
        (BEGIN, BEGIN),
        (f"{BEGIN}\n    {END}", ""),
        (f"{BEGIN}\n    # here\n    pass\n    {END}", ""),
        ("### BEGIN HIDDEN TESTS", END),
        (BEGIN, "### END HIDDEN TESTS"),
        (f"{BEGIN}\n    {BEGIN}", f"{END}\n    {END}"),
        ("return 1\n    ### BEGIN SOLUTION", END),
    ],
)
def test_a_mark_that_is_not_right_is_refused_with_its_cell(begin: str, end: str) -> None:
    notebook = solved()
    cell = answer(notebook)
    cell.source = cell.source.replace(BEGIN, "<b>").replace(END, "<e>")
    cell.source = cell.source.replace("<b>", begin).replace("<e>", end)
    message = refused(notebook)
    assert f"cell {cell['id']} (exercise 1.3)" in message


@pytest.mark.parametrize("mark", [f"  {BEGIN}  ", f"\t{BEGIN}\t", f"{BEGIN}\r"])
def test_white_space_around_a_mark_changes_nothing(mark: str) -> None:
    assert cut(f"{mark}\nx = 1\n{END}", "stub").source.strip() == "stub"


def test_a_second_region_that_is_misspelled_is_not_overlooked() -> None:
    notebook = solved()
    answer(notebook).source += "\n\ndef helper(x):\n    ## begin solution\n    return x.round()\n"
    assert "'## begin solution'" in refused(notebook)


@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_marks_in_a_cell_without_code_are_refused(kind: str) -> None:
    notebook = solved()
    new = {"markdown": nbformat.v4.new_markdown_cell, "raw": nbformat.v4.new_raw_cell}[kind]
    notebook.cells.append(new(f"Look:\n{BEGIN}\nround, then clamp\n{END}"))
    assert "is no code cell" in refused(notebook)


def test_an_answer_cell_that_became_text_is_refused() -> None:
    notebook = solved()
    cell = answer(notebook)
    text = cell.source.replace(BEGIN, "").replace(END, "")
    new = nbformat.v4.new_markdown_cell(f"```\n{text}\n```", metadata=cell.metadata)
    notebook.cells[notebook.cells.index(cell)] = new
    assert "is no code cell" in refused(notebook)


@pytest.mark.parametrize("spelling", ["###BEGIN HIDDEN TESTS", "### Begin Hidden Tests"])
def test_hidden_tests_are_marked_as_strictly(spelling: str) -> None:
    notebook = solved()
    notebook.cells[0].source += f"\n{spelling}\nsecret = 1\n### END HIDDEN TESTS"
    assert "a mark is exactly" in refused(notebook)


@pytest.mark.parametrize(
    "where", ["given", "comment", "markdown", "above", "other layout", "in lines"]
)
def test_a_solution_that_also_stands_elsewhere_is_refused(where: str) -> None:
    notebook = solved()
    cell = answer(notebook)
    text = "\n".join(cut(cell.source, "").solutions)
    code = nbformat.v4.new_code_cell(execution_count=1)
    if where == "given":
        code.source = f"def tried(x, scale, zero_point, qmin, qmax):\n{text}"
    elif where == "comment":
        code.source = "\n".join(f"# {line}" for line in text.split("\n"))
    elif where == "markdown":
        code = nbformat.v4.new_markdown_cell(f"Look:\n\n```python\n{text}\n```")
    elif where == "in lines":  # each for itself
        lines = [line.strip().removeprefix("return ") for line in text.splitlines()]
        code.source = "\nprint(1)\n".join(f"tried = [({line})]" for line in lines)
    elif where == "other layout":
        code.source = "def tried(*a):\n" + text.replace(" + ", "+").replace("\n", "  # so\n\n")
    else:
        cell.source = f"def first(*args):\n{text}\n\n\n{cell.source}"
    notebook.cells.insert(1, code)
    assert "the solution of exercise 1.3" in refused(notebook)


def test_a_solution_of_one_lab_in_another_is_refused(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parents[1] / "solutions", tmp_path / "solutions")
    path = tmp_path / "solutions" / "lab3_kernels.ipynb"
    notebook = nbformat.read(path, as_version=4)
    other = nbformat.read(tmp_path / "solutions" / f"{STEM}.ipynb", as_version=4)
    regions = cut(answer(other).source, "").solutions
    notebook.cells.append(nbformat.v4.new_raw_cell("def again(*args):\n" + regions[0]))
    nbformat.write(notebook, path)
    with pytest.raises(ValueError, match=r"lab3_kernels: cell .* the solution of exercise 1.3"):
        release(tmp_path)


def test_a_given_cell_may_not_define_what_an_exercise_asks_for() -> None:
    notebook = solved()
    source = "def quantize(x, *rest):\n    return x"
    notebook.cells.insert(1, nbformat.v4.new_code_cell(source, execution_count=1))
    assert "a definition of quantize" in refused(notebook)


@pytest.mark.parametrize(
    "line",
    [
        "# your solution here",
        "# Write your own solution.",
        "# the solution of the equation above",
        "# and a faster solution",
        "# YOUR SOLUTION HERE",
        "# begin with the largest value",
        "# end of the loop",
        "solution = solve(x)",
        "x = 1  # ends where it began",
    ],
)
def test_what_merely_speaks_of_a_solution_is_no_mark(line: str) -> None:
    assert not resembles_a_mark(line)
    assert not has_mark("## Solution\nAt the end, a solution is shown.\nBegin with the scale.")


def test_what_only_the_stub_leaves_must_parse() -> None:
    notebook = solved()
    answer(notebook).source = f"def quantize(x):\n{BEGIN}\n    return x\n{END}\n"
    assert "does not parse" in refused(notebook)


def test_marks_in_a_text_cut_no_code() -> None:
    notebook = solved()
    source = answer(notebook).source
    code = source.replace(BEGIN, "").replace(END, "")
    answer(notebook).source = code.replace('"""', f'"""\n{BEGIN}\nwords\n{END}\n', 1)
    assert "its marks stand in a text" in refused(notebook)
    answer(notebook).source = f"%%time\n{source}"
    assert "NotImplementedError" in answer(release_notebook(notebook, STEM)).source


def test_what_no_notebook_may_hold_is_named() -> None:
    notebook = solved()
    answer(notebook).metadata["tags"] = ["one, two"]
    assert "would be no valid notebook: 'one, two'" in refused(notebook)


@pytest.mark.parametrize("minor", [0, 5])
def test_cells_without_ids_get_the_same_ones_each_time(minor: int) -> None:
    raw = solved_notebook() | {"nbformat_minor": minor}
    for cell in raw["cells"]:
        cell.pop("id", None)
    raw["cells"].append(dict(raw["cells"][0]))
    texts = [
        nbformat.writes(release_notebook(read_solution(json.dumps(raw), STEM), STEM))
        for _ in range(2)
    ]
    assert texts[0] == texts[1]
    found = [cell["id"] for cell in json.loads(texts[0])["cells"]]
    assert len(set(found)) == len(found)
    assert ANSWER in found


def test_ids_that_two_cells_share_are_told_apart() -> None:
    cells = [{"id": "a", "cell_type": "code", "source": "x"}] * 3
    found = ids(cells)
    assert found[0] == "a"
    assert len(set(found)) == 3


def test_only_known_metadata_is_released() -> None:
    notebook = solved()
    for cell in notebook.cells:
        cell.metadata["executionInfo"] = {"user": {"displayName": "Prof. Example"}}
        cell.metadata["colab"] = {"base_uri": "x"}
        cell.metadata["tags"] = ["nbval-check-output"]
        cell.metadata.get("nbgrader", {})["author"] = "Prof. Example"
    lab = release_notebook(notebook, STEM)
    assert "Prof." not in nbformat.writes(lab)
    assert {key for cell in lab.cells for key in cell.metadata} == {"nbgrader", "tags"}


def test_pictures_in_the_text_are_released_with_it() -> None:
    notebook = solved()
    cell = nbformat.v4.new_markdown_cell("![](attachment:a.png)")
    cell["attachments"] = {"a.png": {"image/png": "AAAA"}}
    notebook.cells.append(cell)
    assert release_notebook(notebook, STEM).cells[-1]["attachments"] == cell["attachments"]


def test_the_mark_of_a_release_changes_with_its_code_only() -> None:
    def mark(notebook: NotebookNode) -> str:
        return release_notebook(notebook, STEM).metadata["labkit"]["release"]

    first, prose, code = solved(), solved(), solved()
    prose.cells.insert(0, nbformat.v4.new_markdown_cell("A sentence more."))
    code.cells[0].source += "\nx = 1"
    assert mark(first) == mark(prose) != mark(code)


def test_a_solution_without_outputs_is_enough_for_grading_and_not_for_a_release() -> None:
    notebook = solved()
    for cell in notebook.cells:
        cell.execution_count = None
    assert student_cells(notebook.cells, STEM)
    assert "was never run" in refused(notebook)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> main\n", "git conflict"), ("<html>", "web page")],
)
def test_a_solution_that_is_no_notebook_is_named(tmp_path, text: str, reason: str) -> None:
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / f"{STEM}.ipynb").write_text(text)
    with pytest.raises(ValueError, match=rf"{STEM}\.ipynb cannot be read .*{reason}"):
        release(tmp_path)
    assert not (tmp_path / "labs").exists()
