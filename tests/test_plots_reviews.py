"""The picture of every review."""

import matplotlib.pyplot as plt
import pytest

from labkit import plots
from labkit.plots.picture import describe

FOUND = {"no error": (15.3, 5.45), "no seed": (15.9, 5.45), "wrong signal": (14.5, 5.45)}


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plt.close("all")


def test_each_error_is_a_row_and_each_measure_a_panel():
    ax = plots.errors_of_a_script(FOUND, ["SQNR in dB", "bits per weight"])
    assert [label.get_text() for label in ax.get_yticklabels()] == list(FOUND)
    first, second = ax.figure.axes
    for panel, place, unit in ((first, 0, "SQNR in dB"), (second, 1, "bits per weight")):
        values = [results[place] for results in FOUND.values()]
        (dots,) = [line for line in panel.lines if line.get_label() == "with this one alone"]
        assert list(dots.get_xdata()) == values[1:]
        assert [text.get_text() for text in panel.texts] == [f"{value:.3g}" for value in values]
        assert panel.get_xlabel() == unit


def test_what_goes_with_it_names_the_rows_once():
    ax = plots.errors_of_a_script(FOUND, ["SQNR in dB", "bits per weight"])
    assert describe(ax.figure).count("no seed") == 1
    assert "one place each: ." not in describe(ax.figure)
