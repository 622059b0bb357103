"""The pictures of lab 5: what a right answer draws, a sentence for all others."""

import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from labkit import plots
from labkit.checks.lab5 import EXERCISES

REFERENCES = {e.function: e.reference for e in EXERCISES}
PROBLEM = (
    torch.tensor([[0.4, -0.9, 0.1], [0.2, 0.3, -0.4]]),
    torch.tensor([[1.0, 0.5, -1.0], [-0.5, 1.0, 1.0], [2.0, 0.0, 1.0]]),
    torch.tensor([0, 1, 1]),
    0.5,
)
OWN = {
    "fake_quantize": lambda f: plots.slope_of_rounding(f, 0.5, -3, 3),
    "loss_and_slope": lambda f: plots.descent_through_rounding(f, [0.2, 4.0], [3.0, -1.0], 0.1, 40),
    "fake_quantize_backward": lambda f: plots.gradient_window(f, 0.5, 2, 0, 7),
    "step_gradient": lambda f: plots.step_size_gradient(f, -3, 3),
    "fine_tune": lambda f: plots.paths_of_weights(f, PROBLEM, 5, 0.3),
    "binary_weights": lambda f: plots.binary_error(f, PROBLEM[0]),
}


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plt.close("all")


def line(ax, label: str) -> np.ndarray:
    (found,) = [item for item in ax.lines if str(item.get_label()).startswith(label)]
    return np.asarray(found.get_ydata(), dtype=float)


@pytest.mark.parametrize("name", OWN)
def test_a_right_answer_is_drawn_with_labelled_axes(name: str) -> None:
    ax = OWN[name](REFERENCES[name])
    ax = ax.child_axes[0] if ax.child_axes else ax
    assert ax.lines
    assert ax.get_xlabel()
    assert ax.get_ylabel()


OTHERS = runpy.run_path(str(Path(__file__).parent / "right_answers" / "lab5.py"))["RIGHT_ANSWERS"]
IN_OTHER_STYLES = [
    (e.function, answer)
    for e in EXERCISES
    if e.function in OWN
    for answer in OTHERS[e.id]
    if answer.__name__ != "fake_in_numpy"  # its picture is about the gradient, which numpy has not
]


@pytest.mark.parametrize(
    ("name", "answer"), IN_OTHER_STYLES, ids=[answer.__name__ for _, answer in IN_OTHER_STYLES]
)
def test_right_answers_of_other_styles_are_drawn_alike(name: str, answer) -> None:
    """Also those that work in place on what they get."""
    drawn, expected = OWN[name](answer), OWN[name](REFERENCES[name])
    assert len(drawn.lines) == len(expected.lines)
    for one, other in zip(drawn.lines, expected.lines, strict=True):
        y, wanted = (np.asarray(item.get_ydata(), dtype=float) for item in (one, other))
        if str(one.get_label()) != "slope of y":  # straight through or not: both may be shown
            differ = ~np.isclose(y, wanted, rtol=1e-3, atol=1e-4)
            # Between the last code and the tie beyond it LSQ clips already, torch not yet.
            assert differ.mean() < 0.15


def test_a_gradient_that_is_cut_off_is_said() -> None:
    def through_int(x, scale, zero_point, qmin, qmax):
        q = (torch.round(x / scale) + zero_point).clamp(qmin, qmax).to(torch.int32)
        return (q - zero_point) * scale

    assert "cut it off" in OWN["fake_quantize"](through_int).get_title()
    assert "% of all x" in OWN["fake_quantize"](REFERENCES["fake_quantize"]).get_title()


@pytest.mark.parametrize("name", OWN)
def test_what_cannot_be_drawn_is_said(name: str) -> None:
    def not_started(*args):
        raise NotImplementedError("Exercise 5.1")

    for wrong, words in (
        (not_started, "Exercise 5.1 is not started"),
        (lambda *args: None, "No picture"),
        (lambda *args: torch.full((2, 3, 4), torch.nan), "No picture"),
        (lambda *args: 1 / 0, "ZeroDivisionError"),
    ):
        ax = OWN[name](wrong)
        assert words in ax.texts[0].get_text()
        assert not ax.lines


def test_plain_rounding_has_no_slope_and_a_straight_line_has_one() -> None:
    ax = OWN["fake_quantize"](REFERENCES["fake_quantize"])
    assert not line(ax, "slope").any()
    assert "at 100 %" in ax.get_title()
    ax = OWN["fake_quantize"](lambda x, *rest: 2 * x)
    assert (line(ax, "slope") == 2).all()


def test_numbers_reach_the_targets_they_round_to() -> None:
    _, ax = OWN["loss_and_slope"](REFERENCES["loss_and_slope"]).child_axes
    assert round(line(ax, "x[0]")[-1]) == 3
    assert round(line(ax, "x[1]")[-1]) == -1


def test_the_window_is_open_where_codes_are() -> None:
    ax = OWN["fake_quantize_backward"](REFERENCES["fake_quantize_backward"])
    x, through = np.asarray(ax.lines[1].get_xdata()), line(ax, "your gradient")
    assert through[(x > -0.99) & (x < 2.49)].all()
    assert not through[(x < -1.26) | (x > 2.76)].any()


def test_single_values_show_the_two_rules_of_the_step_size() -> None:
    ax = OWN["step_gradient"](REFERENCES["step_gradient"])
    found = line(ax, "your gradient") * 3**0.5
    assert found[0] == pytest.approx(-3)
    assert found[-1] == pytest.approx(3)
    assert np.abs(found[80:-80]).max() <= 0.5 + 1e-6


def test_the_weights_that_cross_a_tie_are_counted() -> None:
    ax = OWN["fine_tune"](lambda w, x, labels, scale, steps, rate: -w if steps else w)
    assert ax.get_title().startswith("4 of 6")
    ax = OWN["fine_tune"](lambda w, *rest: w)
    assert ax.get_title().startswith("0 of 6")


def test_the_mean_size_lies_at_the_bottom_of_the_error() -> None:
    ax = OWN["binary_weights"](REFERENCES["binary_weights"])
    curve, dot = ax.lines[0], ax.lines[1]
    best = curve.get_xdata()[int(np.argmin(curve.get_ydata()))]
    assert dot.get_xdata()[0] == pytest.approx(float(best), abs=0.02)
    assert dot.get_ydata()[0] == pytest.approx(min(curve.get_ydata()), abs=1e-4)


@pytest.mark.parametrize("steps", [1, 19, 20, 100])
def test_a_run_is_drawn_in_three_panels(steps: int) -> None:
    numbers = np.linspace(1, 0, steps)
    ax = plots.fine_tuning(numbers, numbers, numbers)
    assert ax.get_title() == "accuracy in %"
    assert ax.lines[0].get_ydata()[0] == 100
    panels = ax.figure.axes
    assert [len(panel.lines) for panel in panels] == [1, *[1 + (steps >= 20)] * 2]


def test_every_result_is_drawn_beside_fp32() -> None:
    points = {"W4A4": (0.9, 0.01), "W2A8": (0.5, 0.02)}
    results = {
        name: {"FP32": {"FP32": (real, 0.0)}, "PTQ": points, "QAT": points}
        for name, real in (("resnet", 0.93), ("mobilenet", 0.92))
    }
    ax = plots.bits_and_accuracy(results)
    assert [panel.get_title() for panel in ax.figure.axes] == ["resnet", "mobilenet"]
    assert ax.lines[0].get_ydata()[0] == 92
    assert [bar.lines[0].get_ydata().tolist() for bar in ax.containers] == [[90, 50]] * 2
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()] == ["FP32", "PTQ", "QAT"]


def test_decisions_are_counted_step_by_step():
    ax = plots.soft_decisions({0: torch.tensor([0.5, 0.5, 0.1]), 9: torch.tensor([0.0, 1.0, 1.0])})
    first, last = ax.figure.axes
    assert [ax.get_title() for ax in (first, last)] == ["step 0", "step 9"]
    assert max(bar.get_height() for bar in last.patches) == 2
