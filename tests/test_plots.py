"""The pictures: drawn for right answers, and a sentence instead of a crash for all others."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

from labkit import plots
from labkit.checks import registry
from labkit.plots.style import COLOURS

REFERENCES = {e.function: e.reference for e in registry.exercises(1)}
CODES = torch.tensor([3, -1, 7, -8], dtype=torch.int8)
OWN = {
    "rulers": lambda f: plots.rulers(f("scale_and_zero_point"), -1.0, 2.0, 0, 15),
    "staircase": lambda f: plots.staircase(f("quantize"), 0.25, 2, -8, 7),
    "four_panels": lambda f: plots.four_panels(
        f("quantize"), REFERENCES["dequantize"], torch.randn(5, 7), 0.02
    ),
    "tie_drift": lambda f: plots.tie_drift(f("round_half_even")),
    "error_against_threshold": lambda f: plots.error_against_threshold(
        f("quantization_error"), torch.randn(50), 4
    ),
    "bytes_of": lambda f: plots.bytes_of(f("pack"), CODES, 4),
}


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def words(ax) -> str:
    return " ".join(text.get_text() for text in ax.texts)


@pytest.mark.parametrize("name", OWN)
def test_a_right_answer_is_drawn(name: str) -> None:
    ax = OWN[name](REFERENCES.__getitem__)
    assert "No picture" not in words(ax)
    assert ax.has_data() or ax.child_axes
    ax.figure.canvas.draw()


@pytest.mark.parametrize("name", OWN)
def test_an_answer_that_is_not_started_is_named(name: str) -> None:
    def stub(*args):
        raise NotImplementedError("Exercise 1.9")

    ax = OWN[name](lambda _: stub)
    assert words(ax) == "Exercise 1.9 is not started: this picture draws your own function."
    ax.figure.canvas.draw()


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("result", [None, "text", (), torch.zeros(2, 3, 1), {"a": 1}])
def test_a_wrong_result_leaves_a_sentence_or_a_picture(name: str, result: object) -> None:
    ax = OWN[name](lambda _: lambda *args: result)
    ax.figure.canvas.draw()


def test_an_error_in_the_answer_is_quoted() -> None:
    def broken(*args):
        raise KeyError("scale")

    ax = plots.staircase(broken, 0.25, 2, -8, 7)
    assert words(ax) == "No picture: your function's result led to KeyError: 'scale'"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_results_that_are_not_finite_are_named(value: float) -> None:
    ax = plots.staircase(lambda x, *grid: torch.where(x > 0, value, x), 0.25, 2, -8, 7)
    assert "NaN or infinite" in words(ax)
    assert "NaN" not in words(plots.staircase(REFERENCES["quantize"], 0.25, 2, -8, 7))
    ax.figure.canvas.draw()


def test_a_sentence_takes_no_room_of_a_picture() -> None:
    def stub(*args):
        raise NotImplementedError("Exercise 1.9")

    alone = plots.staircase(stub, 0.25, 2, -8, 7)
    assert alone.figure.get_size_inches()[1] < 1
    _, (left, _) = plt.subplots(1, 2)
    plots.staircase(stub, 0.25, 2, -8, 7, ax=left)
    assert left.figure.get_size_inches()[1] > 2


def test_rulers_mark_zero_and_its_code() -> None:
    ax = plots.rulers(REFERENCES["scale_and_zero_point"], -1.0, 2.0, 0, 15)
    assert ax.get_title().startswith("scale 0.2, zero point 5;")
    rings = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_xdata() for line in rings] == [pytest.approx([0])] * 4
    assert len({line.get_color() for line in rings}) == 1


def test_least_error_is_where_the_measured_total_is_smallest() -> None:
    x = torch.randn(2000, generator=torch.Generator().manual_seed(0))
    ax = plots.error_against_threshold(REFERENCES["quantization_error"], x, 4)
    curve = next(line for line in ax.lines if line.get_label() == "total")
    dot = ax.lines[-1]
    assert dot.get_ydata()[0] == min(curve.get_ydata())


def test_channel_ranges_draws_the_step_of_one_scale_for_all() -> None:
    w = torch.tensor([[1.27], [0.1]])
    ax = plots.channel_ranges(w, 8)
    assert ax.lines[0].get_ydata()[0] == pytest.approx(0.01)
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([1.27, 0.1])


def test_accuracy_is_drawn_in_percent_with_its_error() -> None:
    ax = plots.accuracy_against_bits({"per tensor": [(2, 0.1, 0.01), (4, 0.5, 0.02)]}, 0.93)
    assert ax.containers[0].lines[0].get_ydata() == pytest.approx([10, 50])
    assert ax.get_xlabel() == "bits of a weight"


def test_histogram_counts_the_values_that_are_left() -> None:
    w = torch.randn(100)
    ax = plots.collapsing_histogram(w, {"1 step": torch.round(w.clamp(-1, 1))})
    assert ax.get_title(loc="left") == "1 step: 3 different values"


@pytest.mark.parametrize(
    "path", sorted(Path(plots.__file__).parent.glob("*.py")), ids=lambda p: p.stem
)
def test_every_colour_is_one_of_the_palette(path: Path) -> None:
    if path.stem != "style":
        assert (
            re.findall(r"color=[\"'](?!none)|#[0-9A-Fa-f]{6}|[\"']C\d[\"']", path.read_text()) == []
        )


def test_colours_are_told_apart() -> None:
    assert len(set(COLOURS.values())) == len(COLOURS)
