"""The widgets: a control moves and the picture changes, and a picture stays where no control is."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from labkit.grading.releasing.release import NOTEBOOK_METADATA
from labkit.widgets import AGAIN, ELSEWHERE

pytestmark = pytest.mark.slow

SETUP = """
import torch

from labkit import widgets
from labkit.calibration import Histogram
from labkit.checks import registry

own = {e.function: e.reference for number in (0, 1) for e in registry.exercises(number)}
seen = Histogram()
seen.observe(torch.randn(2000, generator=torch.Generator().manual_seed(0)))
networks = [("W2", 250_000, 0.31), ("W4", 500_000, 0.9), ("W8", 1_000_000, 0.92)]
"""
# A cell of each kind, the control that is moved, its new value, and what the picture then says.
WIDGETS = [
    (
        'widgets.number_line_widget(own["float_value"]);',
        "exponent bits",
        "3",
        "one place each: e3 m3; int8",
    ),
    (
        'widgets.rulers_widget(own["scale_and_zero_point"], -1.0, 2.0, 0, 15);',
        "bits",
        "2",
        "scale 1, zero point 1",
    ),
    ("widgets.clipping_widget(seen);", "bits", "8", "8 bits, squared error"),
    ("widgets.budget_widget(networks, 300_000);", "budget in kB", "600", "600 kB: W4, 90.0 %"),
]


@pytest.fixture(scope="module")
def desk(labs, desk_with):
    """A notebook with each widget in a cell of its own, all of them run."""
    cells = [new_code_cell(source) for source in (SETUP, *(w[0] for w in WIDGETS))]
    nbformat.write(new_notebook(cells=cells, metadata=NOTEBOOK_METADATA), labs / "controls.ipynb")
    with desk_with("controls.ipynb") as desk:
        assert desk.run_all()
        yield desk


def pictures(desk, index):
    """What the pictures below a cell say to who cannot see them."""
    images = desk.cell(index).locator(".jp-OutputArea-output img")
    return [images.nth(i).get_attribute("alt") for i in range(images.count())]


@pytest.mark.parametrize("index", range(1, 1 + len(WIDGETS)))
def test_a_moved_control_draws_a_new_picture_below_the_static_one(index, desk):
    _, label, value, words = WIDGETS[index - 1]
    cell = desk.show(index)
    (static,) = pictures(desk, index)
    assert words not in static
    box = cell.get_by_label(label, exact=True)
    box.fill(value)
    box.press("Tab")
    cell.get_by_alt_text(words).wait_for()
    assert pictures(desk, index)[0] == static
    assert desk.console_errors == []


def test_the_slider_moves_with_the_keyboard_and_takes_the_number_with_it(desk):
    cell = desk.show(4)
    before = float(cell.get_by_label("budget in kB", exact=True).input_value())
    cell.locator(".noUi-handle").press("ArrowRight")
    cell.page.wait_for_function(
        "([input, before]) => Number(input.value) > before",
        arg=[cell.get_by_label("budget in kB", exact=True).element_handle(), before],
    )


def test_without_a_widget_manager_there_is_a_sentence_and_no_source(desk, desk_with):
    desk.command("docmanager:save")
    with desk_with("controls.ipynb", blocked="**/@jupyter-widgets/**") as plain:
        for index in range(1, 1 + len(WIDGETS)):
            cell = plain.show(index)
            assert pictures(plain, index)[0]
            assert ELSEWHERE in cell.text_content()
            assert "VBox(" not in cell.text_content()


def test_after_a_reload_the_pictures_are_there_and_a_sentence_says_what_to_do(desk):
    desk.command("docmanager:save")
    desk.shut_kernel_down()
    desk.open()
    for index in range(1, 1 + len(WIDGETS)):
        cell = desk.show(index)
        assert pictures(desk, index)[0]
        assert AGAIN in cell.text_content()
    assert desk.tracebacks() == []
