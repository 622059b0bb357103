"""The pictures of lab 4: what a right answer draws, a sentence for all others."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from labkit import plots
from labkit.checks.lab4 import EXERCISES

REFERENCES = {e.function: e.reference for e in EXERCISES}
W1 = torch.tensor([[4.0, -100.0], [0.5, 0.25], [0.0, 0.0]])
W2 = torch.tensor([[1.0, -2.0, 3.0], [0.5, 1.0, 1.0]])
Y = torch.arange(12.0).reshape(4, 3)
SHIFT = torch.tensor([0.5, -0.25, 0.0])
OWN = {
    "equalization_factors": lambda f: plots.equalized_ranges(f, W1, W2),
    "correct_bias": lambda f: plots.mean_errors(f, torch.ones(3), Y, Y + SHIFT),
    "pareto_front": lambda f: plots.trade_off(
        f, ["a", "b", "c"], [3000, 1000, 2000], [0.9, 0.8, 0.7], [1.0, 2.0, 3.0], [0.02] * 3
    ),
}


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("name", OWN)
def test_what_cannot_be_drawn_is_said(name: str) -> None:
    def not_started(*args):
        raise NotImplementedError("Exercise 4.1")

    for wrong, words in (
        (not_started, "Exercise 4.1 is not started"),
        (lambda *args: torch.ones(2, 2), "No picture"),
        (lambda *args: torch.full((3,), torch.nan), "No picture"),
        (lambda *args: 1 / 0, "ZeroDivisionError"),
    ):
        ax = OWN[name](wrong)
        assert words in ax.texts[0].get_text()
        assert not ax.lines


def test_factors_make_both_ranges_the_same() -> None:
    ax = OWN["equalization_factors"](REFERENCES["equalization_factors"])
    first, second = (np.asarray(line.get_ydata()) for line in ax.child_axes[1].lines)
    assert first[:2] == pytest.approx(second[:2])
    assert first[2] == 0


def test_a_right_bias_leaves_no_mean_error() -> None:
    ax = OWN["correct_bias"](REFERENCES["correct_bias"])
    (before,) = ax.containers
    assert [bar.get_height() for bar in before] == pytest.approx(SHIFT.tolist())
    assert ax.lines[0].get_ydata() == pytest.approx([0, 0, 0], abs=1e-6)
    assert ax.get_xlabel()
    assert ax.get_ylabel()


def test_the_front_runs_from_small_to_large() -> None:
    ax = OWN["pareto_front"](REFERENCES["pareto_front"])
    assert ax.lines[0].get_xdata() == pytest.approx([80, 90])
    assert ax.lines[1].get_xdata() == pytest.approx([70])
    assert [label.get_text()[0] for label in ax.get_yticklabels()] == ["b", "c", "a"]
    assert ax.get_xlabel()


def test_the_worst_layer_stands_out() -> None:
    ax = plots.layers_in_db([("conv", 30.0), ("fc", 10.0), ("other", 20.0)])
    colours = [bar.get_facecolor() for bar in ax.patches]
    assert colours[0] == colours[2] != colours[1]
    assert "No picture" in plots.layers_in_db([("conv", float("nan"))]).texts[0].get_text()


def test_logits_lie_beside_those_of_the_float_network() -> None:
    real = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    ax = plots.logits_beside_float(real, {"near": real + 0.1, "far": -real})
    panels = ax.child_axes
    assert [panel.get_title() for panel in panels] == ["near", "far"]
    for panel, shown in zip(panels, (real + 0.1, -real), strict=True):
        assert panel.lines[0].get_xdata() == pytest.approx(real.flatten().numpy())
        assert panel.lines[0].get_ydata() == pytest.approx(shown.flatten().numpy())
        assert panel.get_xlabel()
    assert panels[0].get_ylabel()


@pytest.mark.parametrize("others", [{}, {"broken": torch.full((2, 2), torch.nan)}])
def test_logits_that_cannot_be_drawn_are_a_sentence(others) -> None:
    assert "No picture" in plots.logits_beside_float(torch.ones(2, 2), others).texts[0].get_text()
