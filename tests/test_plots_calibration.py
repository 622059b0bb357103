"""The pictures of lab 2: every number of a right answer drawn, a sentence for all others."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from calibration_data import draw

from labkit import plots
from labkit.calibration import METHODS, Histogram
from labkit.checks import registry
from labkit.linear import Scheme
from labkit.plots.calibration import thresholds

REFERENCES = {e.function: e.reference for e in registry.exercises(2)}
BATCHES = [torch.tensor([-1.0, 2.0]), torch.tensor([[-3.0, 0.5]]), torch.tensor([-2.0, 4.0])]
VALUES, COUNTS = torch.tensor([0.0, 0.5, 1.0, 3.0]), torch.tensor([5, 9, 4, 1])
BINS = torch.tensor([9.0, 5.0, 0.0, 2.0, 0.0, 1.0])
OWN = {
    "min_max_range": lambda f: plots.range_over_batches({"mine": f}, BATCHES),
    "bucket_counts": lambda f: plots.bucket_bars(f, torch.cat([VALUES, -VALUES]), 12),
    "mse_curve": lambda f: plots.mse_curves(f, VALUES, COUNTS, torch.tensor([1.0, 2, 3]), (8, 3)),
    "kl_divergence": lambda f: plots.kl_of_coins(f),
    "merge_levels": lambda f: plots.merged_histogram(f, BINS, 2),
    "kl_curve": lambda f: plots.kl_search(f, BINS, 0.5, 2),
}


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


def words(ax):
    return " ".join(text.get_text() for text in ax.texts)


@pytest.mark.parametrize("name", OWN)
def test_a_right_answer_is_drawn(name):
    ax = OWN[name](REFERENCES[name])
    assert "No picture" not in words(ax)
    assert ax.has_data() or ax.child_axes
    for panel in ax.child_axes or [ax]:
        assert panel.get_ylabel()
    assert (ax.child_axes or [ax])[-1].get_xlabel()
    ax.figure.canvas.draw()


@pytest.mark.parametrize("name", OWN)
def test_an_answer_that_is_not_started_is_named(name):
    def stub(*args):
        raise NotImplementedError("Exercise 2.9")

    assert words(OWN[name](stub)).startswith("Exercise 2.9 is not started")


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    "result", [None, "text", (), torch.zeros(2, 3, 1), torch.nan, (torch.nan, torch.nan)]
)
def test_a_wrong_result_is_said_in_the_picture(name, result):
    ax = OWN[name](lambda *args: result)
    assert "No picture" in words(ax)
    ax.figure.canvas.draw()


def test_every_range_is_drawn_after_its_batch():
    ax = OWN["min_max_range"](REFERENCES["min_max_range"])
    low, high = (line.get_ydata() for line in ax.lines)
    assert list(low) == [-1.0, -3.0, -3.0]
    assert list(high) == [2.0, 2.0, 4.0]


def test_a_bar_stands_over_its_bucket():
    ax = OWN["bucket_counts"](REFERENCES["bucket_counts"])
    bars = {bar.get_x(): (bar.get_width(), bar.get_height()) for bar in ax.patches}
    # 12 bits: sign, exponent, 3 bits of the mantissa, so 8 buckets an octave.
    assert bars == {0.5: (0.0625, 1), 1.0: (0.125, 1), 3.0: (0.25, 1)}


def test_the_mark_is_where_the_error_is_least():
    given = torch.tensor([1.0, 2, 3])
    ax = plots.mse_curves(lambda *args: torch.tensor([3.0, 0.5, 2.0]), VALUES, COUNTS, given, [4])
    curve, mark = ax.lines
    assert list(curve.get_ydata()) == [3.0, 0.5, 2.0]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (2.0, 0.5)


def test_an_infinite_divergence_leaves_a_gap_in_the_curve():
    curve = torch.tensor([torch.inf, 2.0, 0.25, torch.inf, 1.0])
    ax = plots.kl_search(lambda *args: curve, BINS, 0.5, 2)
    drawn, mark = ax.child_axes[1].lines[:2]
    assert np.array_equal(np.isnan(drawn.get_ydata()), np.isinf(curve.numpy()))
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (2.0, 0.25)
    nowhere = plots.kl_search(lambda *args: torch.full((5,), torch.inf), BINS, 0.5, 2)
    assert "no finite number" in words(nowhere)


@pytest.mark.parametrize(
    ("x", "titles"),
    [
        (torch.tensor([0.0, 1.0, 3.0]), ("zero point 0, 3 of 8", "zero point 0, 3 of 8")),
        (torch.tensor([-1.0, 2.5]), ("zero point 0, 2 of 8", "zero point 2, 2 of 8")),
    ],
)
def test_codes_are_counted_for_both_schemes(x, titles):
    panels = plots.codes_used(x, 3).child_axes
    for panel, title in zip(panels, titles, strict=True):
        assert title in panel.get_title(loc="left")


def test_accuracy_has_a_panel_for_each_number_of_bits():
    points = {
        "MSE": [(8, 0.9, 0.01), (64, 0.8, 0.02)],
        "entropy": [(8, 0.7, 0.01), (64, 0.6, 0.01)],
    }
    ax = plots.accuracy_against_size({8: points, 4: points}, 0.95)
    assert [panel.get_title() for panel in ax.figure.axes] == ["8 bits", "4 bits"]
    assert list(ax.containers[0].lines[0].get_ydata()) == [90.0, 80.0]
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()] == [
        "FP32",
        "MSE",
        "entropy",
    ]
    ax.figure.canvas.draw()
