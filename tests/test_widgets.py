"""Sliders: linked with labelled number boxes, absent without a front end, never needed."""

import functools
import re
import sys

import matplotlib.pyplot as plt
import pytest
import torch
from IPython.display import HTML

from labkit import plots, widgets, zoo
from labkit.calibration import Histogram
from labkit.checks import registry
from labkit.widgets import Control

FLOAT_VALUE = next(e.reference for e in registry.exercises(0) if e.id == "0.3")
SCALE = next(e.reference for e in registry.exercises(1) if e.id == "1.2")
NETWORKS = [("W2", 250, 0.31), ("W4", 500, 0.9), ("W8", 1000, 0.92)]


@pytest.fixture(autouse=True)
def _no_front_end(monkeypatch):
    for name in widgets._FRONT_ENDS:
        monkeypatch.delenv(name, raising=False)
    yield
    plt.close("all")


@pytest.fixture
def front_end(monkeypatch):
    """Pretend that a person looks on; return what is displayed, without the sentences."""
    shown = []

    def display(thing):
        if not isinstance(thing, HTML):
            shown.append(thing)

    monkeypatch.setenv("JPY_SESSION_NAME", "labs/lab0_formats.ipynb")
    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(widgets, "_display", display)
    return shown


@functools.cache
def activations():
    """What a layer of the trained network puts out on real images."""
    images, _ = zoo.load_data("fashion_mnist", "calibration")
    seen = Histogram()
    network = zoo.load_model("resnet").eval()
    hook = network.stage1.register_forward_hook(lambda module, inputs, y: seen.observe(y))
    with torch.no_grad():
        network(images[:8])
    hook.remove()
    return seen


def draw_all():
    return [
        widgets.number_line_widget(FLOAT_VALUE),
        widgets.rulers_widget(SCALE, -1.0, 2.0, 0, 15),
        widgets.clipping_widget(activations()),
        widgets.budget_widget(NETWORKS, 500),
    ]


def test_without_a_front_end_there_is_the_static_picture_only(monkeypatch):
    monkeypatch.setattr("IPython.display.display", pytest.fail)
    for ax in draw_all():
        assert ax.has_data()


def test_without_ipywidgets_there_is_the_static_picture_only(front_end, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    for ax in draw_all():
        assert ax.has_data()
    assert front_end == []


def test_with_a_front_end_sliders_follow_the_picture(front_end):
    pytest.importorskip("ipywidgets")
    draw_all()
    assert [type(box).__name__ for box in front_end] == ["VBox"] * 4
    for box in front_end:
        for row in box.children[:-1]:
            number, slider = row.children
            assert number.description
            assert number.value == slider.value


def test_a_sentence_that_outlasts_the_kernel_comes_before_the_sliders(monkeypatch):
    pytest.importorskip("ipywidgets")
    shown = []
    monkeypatch.setenv("JPY_SESSION_NAME", "labs/lab0_formats.ipynb")
    monkeypatch.setattr("IPython.display.display", lambda thing, raw=False: shown.append(thing))
    widgets.budget_widget(NETWORKS, 500)
    sentence, sliders = shown
    assert "run this cell again" in sentence.data
    assert "application/vnd.jupyter.widget-view+json" in sliders
    assert "VBox" not in sliders["text/plain"]


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


def errors(ax):
    """Return total, clipping and rounding error as the title says them."""
    return [float(number) for number in re.findall(r"[\d.]+(?:e-\d+)?", ax.get_title())[1:]]


def test_the_static_threshold_has_the_least_error_of_all():
    least, clipping, rounding = errors(widgets.clipping_widget(activations(), 4))
    assert least == pytest.approx(clipping + rounding, rel=0.02)
    largest = activations().max
    for share in (0.1, 0.2, 0.4, 0.7, 1.0):
        total, *_ = errors(widgets.clipped_histogram(activations(), share * largest, 4))
        assert total >= least


def test_a_wider_threshold_clips_less_and_rounds_more():
    largest = max(activations().max, -activations().min)
    narrow = errors(widgets.clipped_histogram(activations(), 0.2 * largest, 4))
    wide = errors(widgets.clipped_histogram(activations(), largest, 4))
    assert wide[1] == 0 < narrow[1]
    assert wide[2] > narrow[2] > 0


def test_a_moved_threshold_draws_a_new_picture(front_end):
    pytest.importorskip("ipywidgets")
    widgets.clipping_widget(activations())
    threshold = front_end[0].children[0].children[0]
    threshold.value = threshold.max / 2
    (figure,) = front_end[1:]
    ends = [line.get_xdata()[0] for line in figure.axes[0].lines]
    assert ends == pytest.approx([-threshold.value, threshold.value])


@pytest.mark.parametrize("values", [None, torch.zeros(5)])
def test_a_histogram_with_nothing_to_clip_is_refused(values):
    seen = Histogram()
    if values is not None:
        seen.observe(values)
    with pytest.raises(ValueError, match=r"zeros only|observed"):
        widgets.clipping_widget(seen)


def test_a_larger_budget_marks_a_better_network(front_end):
    pytest.importorskip("ipywidgets")
    assert widgets.budget_widget(NETWORKS, 500).get_title().startswith("0.5 kB: W4, 90.0 %")
    (budget,) = front_end[0].children[0].children[:1]
    budget.value = 1.0
    assert front_end[1].axes[0].get_title().startswith("1 kB: W8, 92.0 %")
