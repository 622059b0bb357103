"""Sliders: linked with labelled number boxes, absent without a front end, never needed."""

import sys

import matplotlib.pyplot as plt
import pytest

from labkit import plots, widgets
from labkit.checks import registry
from labkit.widgets import Control

FLOAT_VALUE = next(e.reference for e in registry.exercises(0) if e.id == "0.3")
SCALE = next(e.reference for e in registry.exercises(1) if e.id == "1.2")


@pytest.fixture(autouse=True)
def _no_front_end(monkeypatch):
    for name in widgets._FRONT_ENDS:
        monkeypatch.delenv(name, raising=False)
    yield
    plt.close("all")


@pytest.fixture
def front_end(monkeypatch):
    """Pretend that a person looks on; return what is displayed."""
    shown = []
    monkeypatch.setenv("JPY_SESSION_NAME", "labs/lab0_formats.ipynb")
    monkeypatch.setattr("IPython.display.display", shown.append)
    return shown


def draw_both():
    return [
        widgets.number_line_widget(FLOAT_VALUE),
        widgets.rulers_widget(SCALE, -1.0, 2.0, 0, 15),
    ]


def test_without_a_front_end_there_is_the_static_picture_only(monkeypatch):
    monkeypatch.setattr("IPython.display.display", pytest.fail)
    for ax in draw_both():
        assert ax.has_data()


def test_without_ipywidgets_there_is_the_static_picture_only(front_end, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    for ax in draw_both():
        assert ax.has_data()
    assert front_end == []


def test_with_a_front_end_sliders_follow_the_picture(front_end):
    pytest.importorskip("ipywidgets")
    draw_both()
    assert [type(box).__name__ for box in front_end] == ["VBox", "VBox"]
    for box in front_end:
        for row in box.children[:-1]:
            number, slider = row.children
            assert number.description
            assert number.value == slider.value


@pytest.mark.parametrize("child", [0, 1])
def test_both_the_number_and_the_slider_draw_with_all_values(child, front_end):
    pytest.importorskip("ipywidgets")
    calls = []

    def draw(**values):
        calls.append(values)
        return plots.new_axes()

    controls = {"a": Control("the a", 4, 2, 8), "b": Control("the b", 0.5, 0.0, 2.0)}
    box = widgets.sliders(draw, controls)
    assert calls == []
    box.children[0].children[child].value = 6
    assert calls == [{"a": 6, "b": 0.5}]
    assert len(front_end) == 1
    assert plt.get_fignums() == []


def test_an_unfinished_answer_stays_a_sentence(front_end):
    pytest.importorskip("ipywidgets")

    def stub(*args):
        raise NotImplementedError("Exercise 0.3")

    ax = widgets.number_line_widget(stub)
    assert "Exercise 0.3 is not started" in ax.texts[0].get_text()
    front_end[0].children[0].children[0].value = 2
    assert len(front_end) == 2  # the sliders, then the picture with the same sentence
