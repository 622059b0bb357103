"""What goes with a picture for who cannot see it."""

import base64
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import pytest

from labkit import plots
from labkit.plots.picture import describe


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def curve():
    ax = plots.new_axes()
    ax.plot([0, 4], [1, 3], label="error")
    ax.plot([0, 4], [1, 1], label="_not in the legend")
    ax.set(title="two lines\nof title", xlabel="bits", ylabel="error in dB", xlim=(0, 4))
    return ax


def test_titles_axes_ranges_and_curves_are_said():
    ax = curve()
    ax.set_ylim(0, 1234567)
    assert describe(ax.figure) == (
        "two lines of title. Across: bits, from 0 to 4. "
        "Up: error in dB, from 0 to 1.23e+06. Drawn: error."
    )


def test_bars_are_named():
    ax = plots.new_axes()
    ax.barh(["int8", "fp32"], [1, 4])
    assert describe(ax.figure) == "Up: one place each: int8; fp32."


def test_places_with_names_are_said():
    ax = plots.new_axes()
    ax.plot([0, 1], [0, 1])
    ax.set_xticks([])
    ax.set_yticks([0, 1], ["codes q", "real x"])
    assert describe(ax.figure) == "Up: one place each: codes q; real x."


def test_insets_are_described_and_hidden_axes_are_not():
    ax = plots.new_axes()
    ax.set_xlabel("hidden")
    ax.set_axis_off()
    inset = ax.inset_axes((0, 0, 0.5, 1))
    inset.plot([0, 1], [0, 1])
    inset.set_title("before", loc="left")
    assert describe(ax.figure) == "before."


def test_a_sentence_in_place_of_a_picture_is_said():
    def stub(*args):
        raise NotImplementedError("Exercise 1.9")

    ax = plots.staircase(stub, 0.25, 2, -8, 7)
    assert describe(ax.figure).startswith("Exercise 1.9 is not started")


def test_a_notebook_gets_the_picture_and_its_description(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **rest: shown.append(data))
    ax = curve()
    ax.set_title('<script>"')
    ax.figure._ipython_display_()
    (data,) = shown
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == describe(ax.figure)
    image = ElementTree.fromstring(data["text/html"].removesuffix(">") + "/>")
    assert image.attrib["alt"] == describe(ax.figure)
    assert image.attrib["src"] == f"data:image/png;base64,{data['image/png']}"
