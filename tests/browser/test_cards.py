"""The cards and the map of the course in JupyterLab's themes: accessible, and readable."""

import nbformat
import pytest
from accessibility import pale, serious
from nbformat.v4 import new_code_cell, new_notebook

from labkit.grading.releasing.release import NOTEBOOK_METADATA

pytestmark = pytest.mark.slow

THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")
STATES = ("Not started", "raised", "Not yet", "Almost", "Passed", "Hint", "measured")
OTHERS = ("The course", "has not run since", "passed before")
CARDS = """
from labkit import Lab, progress
from labkit.checks.card import show
from labkit.checks.restart import missing_card

lab = Lab(1)


def stub(*args):
    raise NotImplementedError("Exercise 1.1")


def off_by_one(bits, signed, narrow):
    print("called with", bits)
    return (-(2 ** (bits - 1)) if signed else 0), 2 ** (bits - 1)


def right(bits, signed, narrow):
    lowest = -(2 ** (bits - 1)) if signed else 0
    return lowest + narrow, lowest + 2**bits - 1


lab.check("1.1", stub)
lab.check("1.1", off_by_one)
lab.check("1.1", lambda bits: bits.colour)
lab.check("1.1", lambda bits, signed, narrow: right(bits, signed, False))
lab.check("1.1", right)
lab.check("1.3", lambda x, scale, zero_point, qmin, qmax: (x / scale - zero_point).int())
lab.hint("1.1")
lab.hint("1.1")
lab.progress()
lab.reveal("SQNR in dB", 30, 37.5)
lab.check("1.1", right)
progress()
show(missing_card("w", "w = layer.weight"))
"""


def one_cell(source):
    return new_notebook(cells=[new_code_cell(source)], metadata=NOTEBOOK_METADATA)


@pytest.fixture(scope="module")
def cards(labs, desk_with):
    """A notebook that shows one card of each kind below one cell."""
    nbformat.write(one_cell(CARDS), labs / "cards.ipynb")
    with desk_with("cards.ipynb") as desk:
        desk.run(0)
        assert desk.tracebacks() == []
        yield desk


@pytest.fixture(scope="module")
def untrusted(labs, cards, desk_with):
    """The same in a notebook from elsewhere: JupyterLab takes away what it does not trust."""
    notebook = one_cell(CARDS)
    notebook.cells[0] |= {"outputs": cards.outputs(0), "execution_count": 1}
    nbformat.write(notebook, labs / "untrusted.ipynb")
    with desk_with("untrusted.ipynb") as desk:
        yield desk


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("kind", ["cards", "untrusted"])
def test_the_text_of_every_card_can_be_read(kind, theme, request):
    desk = request.getfixturevalue(kind)
    desk.theme(theme)
    words = desk.shows(0, STATES[-1])
    assert [state for state in STATES + OTHERS if state not in words] == []
    assert pale(desk.page, ".labkit-card") == []


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_serious_in_the_cards(theme, cards, axe):
    cards.theme(theme)
    assert serious(cards.page, axe, ".labkit-card") == []


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_serious_in_the_map_of_the_course(theme, cards, axe):
    cards.theme(theme)
    cards.command("docmanager:open", path="README.md", factory="Markdown Preview")
    cards.page.wait_for_selector(".jp-MarkdownViewer table")
    assert serious(cards.page, axe, ".jp-MarkdownViewer .jp-RenderedMarkdown") == []
    assert pale(cards.page, ".jp-MarkdownViewer .jp-RenderedMarkdown") == []
    cards.command("application:close")
