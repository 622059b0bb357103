"""Slides of a lab: its pictures, its questions with their answers one step later, no solution."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from labkit.checks import registry
from labkit.cli import main
from labkit.grading.releasing.release import ANSWER, grade_id
from labkit.teaching.slides import slides_of, write_slides

ROOT = Path(__file__).parents[1]


def solved(number: int) -> nbformat.NotebookNode:
    path = ROOT / "solutions" / f"{registry.STEMS[number]}.ipynb"
    return nbformat.read(path, as_version=4)


def kind(cell: nbformat.NotebookNode) -> str:
    return cell.metadata["slideshow"]["slide_type"]


@pytest.mark.parametrize("number", registry.STEMS)
def test_every_question_and_every_picture_of_a_lab_is_on_a_slide(number: int) -> None:
    lab = solved(number)
    slides = slides_of(lab)
    nbformat.validate(slides)
    words = [cell.source for cell in slides.cells if cell.cell_type == "markdown"]
    asked = sum(cell.source.count("**Predict:**") for cell in lab.cells)
    assert sum(text.startswith("### What do you expect?") for text in words) == asked > 0
    drawn = [o for c in lab.cells for o in c.get("outputs", ()) if "image/png" in o.get("data", {})]
    shown = [o for cell in slides.cells for o in cell.get("outputs", ())]
    assert [o.data["image/png"] for o in shown] == [o.data["image/png"] for o in drawn]
    assert all(len(o.metadata["image/png"]["alt"]) > 20 for o in shown)


@pytest.mark.parametrize("number", registry.STEMS)
def test_no_solution_is_on_a_slide(number: int) -> None:
    lab = solved(number)
    text = "\n".join(cell.source for cell in slides_of(lab).cells)
    for cell in lab.cells:
        if grade_id(cell).startswith(ANSWER):
            for region in re.findall(r"BEGIN SOLUTION\n(.*?)\n *### END", cell.source, re.DOTALL):
                assert region.strip() not in text


def test_an_answer_comes_one_step_after_its_question() -> None:
    cells = slides_of(solved(1)).cells
    texts = [cell.source for cell in cells]
    place = next(i for i, text in enumerate(texts) if "with 2 bits, signed and narrow?" in text)
    assert (kind(cells[place]), kind(cells[place + 1])) == ("slide", "fragment")
    assert texts[place + 1] == "**Values of a weight with 2 bits, signed and narrow: 3**"
    assert texts[0].startswith("# Lab 1: Linear quantization\n\nA trained network is")
    assert not any("Done when" in text or "<details>" in text for text in texts)


def test_what_is_too_much_for_a_slide_stands_on_the_next_one() -> None:
    seen = ["*What you see:* " + "word " * 60] * 3
    lab = new_notebook(cells=[new_markdown_cell(text) for text in ("# Lab 1: A title", *seen)])
    kinds = [kind(cell) for cell in slides_of(lab).cells]
    assert kinds == ["slide", "fragment", "slide", "slide"]


def test_the_command_writes_a_page_and_its_notebook(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["slides", "1", "--out", str(tmp_path)]) == 0
    notebook, page = map(Path, capsys.readouterr().out.split())
    cells = nbformat.read(notebook, as_version=4).cells
    html = page.read_text("utf-8")
    assert "<title>Lab 1: Linear quantization: slides</title>" in html
    assert html.count("<section>") == sum(kind(cell) == "slide" for cell in cells)
    assert html.count('class="fragment"') == sum(kind(cell) == "fragment" for cell in cells)
    assert "@import" not in html
    body = re.sub(r"<(script|style)>.*?</\1>", "", html, flags=re.DOTALL)
    assert re.findall(r"<(script|link|iframe)", body) == []
    assert re.findall(r'src="(?!data:)', body) == []
    assert "<math" in body
    assert "$" not in body
    before = (notebook.read_bytes(), page.read_bytes())
    write_slides(ROOT, 1, tmp_path)
    assert (notebook.read_bytes(), page.read_bytes()) == before


def test_a_lab_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no lab 99"):
        write_slides(ROOT, 99, tmp_path)
    with pytest.raises(ValueError, match="is missing; run this in the project's folder"):
        write_slides(tmp_path, 1, tmp_path)
