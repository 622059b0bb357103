"""The pictures of lab 3: drawn for right answers, and a sentence instead of a crash for others."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from labkit import plots
from labkit.checks.lab3 import EXERCISES

REFERENCES = {e.function: e.reference for e in EXERCISES}
LHS = torch.tensor([[1, 2, 3], [250, 0, 7]], dtype=torch.uint8)
RHS = torch.tensor([[1, -2], [3, 4], [-5, 6]], dtype=torch.int8)
IMAGE = torch.arange(12, dtype=torch.int8).reshape(1, 3, 4)
OWN = {
    "overflowing_sum": lambda f: plots.overflowing_sum(f("overflow_length"), 255, 127, 16),
    "four_terms": lambda f: plots.four_terms(f("gemm_with_zero_points"), LHS, RHS, 128, 3),
    "multiplier_error": lambda f: plots.multiplier_error(f("quantize_multiplier"), 1e-5),
    "rounding_rules": lambda f: plots.rounding_rules(f("rounding_right_shift"), 3),
    "activation_curves": lambda f: plots.activation_curves(
        f("activation_range"), REFERENCES["requantize"], 0.06, -20
    ),
    "patches_as_columns": lambda f: plots.patches_as_columns(f("im2col"), IMAGE, 3, -9),
}


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def words(ax) -> str:
    inside = [text for child in ax.child_axes for text in child.texts]
    return " ".join(text.get_text() for text in [*ax.texts, *inside])


def line(ax, label):
    return next(found for found in ax.lines if found.get_label() == label)


@pytest.mark.parametrize("name", OWN)
def test_a_right_answer_is_drawn(name):
    ax = OWN[name](REFERENCES.__getitem__)
    assert "No picture" not in words(ax)
    assert ax.has_data() or ax.child_axes
    ax.figure.canvas.draw()


@pytest.mark.parametrize("name", OWN)
def test_an_answer_that_is_not_started_is_named(name):
    def stub(*args):
        raise NotImplementedError("Exercise 3.9")

    ax = OWN[name](lambda _: stub)
    assert words(ax) == "Exercise 3.9 is not started: this picture draws your own function."
    assert not ax.child_axes


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    "result", [None, "text", (), (None, None), -1, float("nan"), torch.zeros(2, 3)], ids=repr
)
def test_a_wrong_result_leaves_a_sentence_or_a_picture(name, result):
    OWN[name](lambda _: lambda *args: result).figure.canvas.draw()


def test_the_wrapped_sum_is_that_of_int16():
    ax = OWN["overflowing_sum"](REFERENCES.__getitem__)
    terms = np.arange(len(line(ax, "exact").get_ydata()))
    assert np.array_equal(line(ax, "exact").get_ydata(), terms * 255 * 127)
    wrapped = (terms * 255 * 127).astype(np.int64).astype(np.int16)
    assert np.array_equal(line(ax, "int16 that wraps").get_ydata(), wrapped)
    assert line(ax, "int16 that saturates").get_ydata().max() == 32767


def test_the_four_terms_add_up_to_the_result():
    ax = OWN["four_terms"](REFERENCES.__getitem__)
    panels = [np.asarray(child.images[0].get_array()) for child in ax.child_axes if child.images]
    assert np.array_equal(sum(panels[:4]), panels[4])


def test_every_pixel_is_written_in_the_picture_of_the_columns():
    ax = OWN["patches_as_columns"](REFERENCES.__getitem__)
    assert len(words(ax).split()) == 5 * 6 + 9 * 12


def test_the_error_of_a_right_multiplier_stays_below_half_a_step():
    ax = OWN["multiplier_error"](REFERENCES.__getitem__)
    assert max(line(ax, "your pair").get_ydata()) <= 2.0**-31


def test_the_layer_is_compared_in_steps_of_its_scale():
    real = torch.linspace(-1, 1, 50)
    ax = plots.integer_against_real(real, real + 0.3, scale=0.1)
    full = [bar.get_x() for bar in ax.patches if bar.get_height() == 50]
    assert full
    assert full[0] == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize("back", [torch.zeros(3), torch.full((5,), torch.nan)])
def test_a_layer_that_cannot_be_compared_is_said(back):
    assert "No picture" in words(plots.integer_against_real(torch.zeros(5), back, 0.1))


def test_the_roof_is_the_bandwidth_and_then_the_best_speed():
    points = {"float32": [(1, 0.5, 5e9), (64, 32.0, 60e9)], "int8": [(1, 2.0, 2e10)]}
    ax = plots.roofline(points, bandwidth=1e10)
    roof = ax.lines[0]
    reach, height = roof.get_xdata(), roof.get_ydata()
    assert np.allclose(height, np.minimum(10 * reach, 60))
    assert words(ax).split() == ["1", "64", "1"]
    ax.figure.canvas.draw()


def test_channels_are_drawn_from_the_smallest_weights_up():
    sizes = torch.tensor([0.3, 0.1, 0.2])
    ax = plots.sqnr_of_channels({"one scale": torch.tensor([30.0, 10, 20])}, sizes)
    assert ax.lines[0].get_ydata().tolist() == [10, 20, 30]


def test_channels_without_finite_numbers_are_said():
    found = {"one scale": torch.tensor([30.0, torch.inf])}
    assert "No picture" in words(plots.sqnr_of_channels(found, torch.ones(2)))
