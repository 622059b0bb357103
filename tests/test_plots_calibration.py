"""The picture of a layer's values and where each method's range ends."""

import matplotlib.pyplot as plt
import pytest
from calibration_data import draw

from labkit.calibration import METHODS, Histogram
from labkit.linear import Scheme
from labkit.plots.calibration import thresholds


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plt.close("all")


def of(kind):
    seen = Histogram()
    seen.observe(draw(kind, 500))
    return seen


def vertical_lines(ax):
    return sorted(float(line.get_xdata()[0]) for line in ax.lines)


@pytest.mark.parametrize("kind", ["normal", "relu", "all zero", "subnormal", "huge", "all sizes"])
def test_every_threshold_is_drawn_and_every_value_counted(kind):
    seen = of(kind)
    ranges = {name: method(seen, Scheme(4)) for name, method in METHODS.items()}
    ax = thresholds(seen, ranges)
    ends = sorted(end for low, high in ranges.values() for end in {low, high})
    assert vertical_lines(ax) == pytest.approx(ends)
    assert sum(bar.get_height() for bar in ax.patches) == pytest.approx(500)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert [label.partition(":")[0] for label in labels] == ["values", *METHODS]
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel()
    assert ax.get_ylabel()


def test_it_draws_into_axes_that_are_given():
    _, ax = plt.subplots()
    assert thresholds(of("normal"), {"mine": (-1.0, 1.0)}, ax) is ax
    assert len(plt.get_fignums()) == 1
