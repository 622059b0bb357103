"""The pages that stand alone: results, feedback, the class, a notebook as HTML."""

import os

import pytest
from accessibility import pale, serious
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook

from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.messages import verdict_card
from labkit.checks.page import keep_picture, results_page
from labkit.checks.verdict import judge
from labkit.grading.judging.results import Graded, Outcome, Record, Shown
from labkit.grading.reports.class_page import class_page
from labkit.grading.reports.feedback import page as feedback_page
from labkit.plots import best_within_budget

pytestmark = pytest.mark.slow

PAGES = ("results", "feedback", "instructor", "class")
NOTEBOOK = """
from labkit import Lab, plots

lab = Lab(1)
lab.check("1.1", lambda bits, signed, narrow: (0, 2**bits))
lab.progress()
plots.energy_table();
"""


def graded():
    """Two exercises, one with the card of a wrong answer."""
    right, wrong = registry.exercises(1)[:2]
    cases = wrong.draw(5)
    card = verdict_card(judge(wrong, cases, call_all(lambda *args: (1.0, 0), cases)))
    shown = Shown(card._repr_html_(), repr(card))
    sentence, source = "None of the calls is right.", "def f():\n    return 1.0, 0"
    return (
        Graded(right.id, right.title, right.function, Outcome.RIGHT, 1, 1, 3, 3, "All right."),
        Graded(
            exercise=wrong.id,
            title=wrong.title,
            function=wrong.function,
            outcome=Outcome.WRONG,
            points=0,
            max_points=2,
            summary=sentence,
            student_card=shown,
            instructor_card=shown,
            answer=source,
            misconception="forgets to widen the range",
        ),
    )


def results_page_with_a_picture():
    """The page of a student who kept a picture of lab 1."""
    keep_picture(1, best_within_budget([("W4", 500_000, 0.9)], 600_000), "my networks")
    return results_page()


@pytest.fixture(scope="module")
def pages():
    """Name to HTML of every page that stands alone."""
    record = Record("ada", graded(), flags=("edited",))
    made = {
        "results": results_page_with_a_picture(),
        "feedback": feedback_page("Lab 1", record, instructor=False),
        "instructor": feedback_page("Lab 1", record, instructor=True),
        "class": class_page("Lab 1", [record, Record("eve", (), Outcome.BROKEN, "It is empty.")]),
    }
    assert made.keys() == set(PAGES)
    return made


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious_in_a_page(name, scheme, pages, browser, axe):
    page = browser.new_page(color_scheme=scheme)
    page.set_content(pages[name])
    assert serious(page, axe) == []
    assert pale(page, "body") == []
    page.close()


@pytest.fixture(scope="module")
def executed():
    """A small notebook that has been run as people run it, with pictures."""
    notebook = new_notebook(cells=[new_code_cell(NOTEBOOK)])
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    NotebookClient(notebook).execute(env=environment)
    return notebook


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_notebook_as_html_has_readable_cards_and_described_pictures(
    theme, executed, browser, axe
):
    html, _ = HTMLExporter(theme=theme).from_notebook_node(executed)
    page = browser.new_page()
    page.set_content(html, wait_until="domcontentloaded")
    assert page.locator(".labkit-card").count() == 2
    assert serious(page, axe, ".labkit-card") == []
    assert pale(page, ".labkit-card") == []
    assert "picojoules" in page.get_by_role("img").get_attribute("alt")
    page.close()


# What VS Code gives an output to stand on, in the themes it comes with; links and code as there.
VS_CODE = {
    "light": "body{color:#3b3b3b; background:#fff} code{color:#a31515}",
    "dark": "body{color:#cccccc; background:#1f1f1f} code{color:#d7ba7d}",
    "high contrast": "body{color:#fff; background:#000} code{color:#d7ba7d}",
}


@pytest.mark.parametrize("theme", VS_CODE)
def test_cards_can_be_read_on_the_grounds_of_vs_code(theme, executed, browser, axe):
    outputs = (o.data["text/html"] for o in executed.cells[0].outputs if "text/html" in o.data)
    page = browser.new_page()
    page.set_content(
        f"<!doctype html><html lang='en'><title>x</title><style>{VS_CODE[theme]}</style>"
        f"<main>{''.join(outputs)}</main></html>"
    )
    assert page.locator(".labkit-card").count() == 2
    assert serious(page, axe, ".labkit-card") == []
    assert pale(page, ".labkit-card") == []
    page.close()


def test_axe_and_contrast_find_what_is_wrong(browser, axe):
    page = browser.new_page()
    page.set_content("<p style='color:#999; background:#fff'>pale</p><img src='x.png'>")
    found = serious(page, axe)
    assert any(line.startswith("color-contrast") for line in found)
    assert any(line.startswith("image-alt") for line in found)
    assert [text for _, text in pale(page, "body")] == ["pale"]
    page.close()
