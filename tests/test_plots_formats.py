"""The pictures of lab 0: drawn for right answers, and a sentence instead of a crash for others."""

import matplotlib.pyplot as plt
import pytest
from torch import nn

from labkit import plots
from labkit.checks import registry
from labkit.energy import MEMORY_PJ

REFERENCES = {e.function: e.reference for e in registry.exercises(0)}
OWN = {
    "bit_rows": lambda f: plots.bit_rows(f("float_fields"), [1.0, -6.5]),
    "number_lines": lambda f: plots.number_lines(f("float_value"), [(5, 2), (2, 5)]),
    "gaps": lambda f: plots.gaps(f("float_gap")),
    "bf16_drift": lambda f: plots.bf16_drift(f("round_to_bf16")),
    "wheel": lambda f: plots.wheel(f("twos_complement"), 4),
    "size_bars": lambda f: plots.size_bars(f("network_bytes"), [(3, 5), (3,)], {"fp32": 80}),
    "energy_bars": lambda f: plots.energy_bars(
        f("inference_energy"), 1000, {"fp32": 400, "int8": 100}
    ),
}


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def words(ax) -> str:
    return " ".join(text.get_text() for text in ax.texts)


@pytest.mark.parametrize("name", OWN)
def test_a_right_answer_is_drawn(name):
    ax = OWN[name](REFERENCES.__getitem__)
    assert "No picture" not in words(ax)
    assert ax.has_data() or ax.texts
    ax.figure.canvas.draw()


@pytest.mark.parametrize("name", OWN)
def test_an_answer_that_is_not_started_is_named(name):
    def stub(*args):
        raise NotImplementedError("Exercise 0.9")

    ax = OWN[name](lambda _: stub)
    assert words(ax) == "Exercise 0.9 is not started: this picture draws your own function."


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("result", [None, "text", (), {"a": 1}, -1, float("nan")])
def test_a_wrong_result_leaves_a_sentence_or_a_picture(name, result):
    OWN[name](lambda _: lambda *args: result).figure.canvas.draw()


def test_a_field_that_does_not_fit_is_said():
    def sign_left_in(pattern):
        return pattern >> 31, pattern >> 23, pattern & 0x7FFFFF

    ax = plots.bit_rows(sign_left_in, [-6.5])
    assert "the exponent of -6.5 is 385, which 8 bits cannot hold" in words(ax)


def test_bit_rows_show_the_bits_of_the_number():
    ax = plots.bit_rows(REFERENCES["float_fields"], [-6.5])
    digits = "".join(t.get_text() for t in ax.texts if t.get_text() in ("0", "1"))
    assert digits == "11000000110100000000000000000000"


def test_number_lines_show_every_value_once():
    near = plots.number_lines(REFERENCES["float_value"], [(5, 2)])
    shown = {float(x) for line in near.lines[:2] for x in line.get_xdata()}
    assert len(shown) == 2 * 31 * 4 - 1  # both signs, 31 exponents, 4 mantissas, one zero


def test_the_wheel_refuses_patterns_that_are_not_a_circle():
    ax = plots.wheel(lambda value, bits: abs(value), 4)
    assert "got only 9 patterns" in words(ax)


def test_energy_bars_leave_out_a_cache_that_is_too_small():
    ax = plots.energy_bars(REFERENCES["inference_energy"], 10, {"fp32": 2**21, "int8": 2**19})
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["fp32, DRAM", "int8, DRAM", "int8, 1 MB cache"]


def test_energy_table_shows_every_price():
    ax = plots.energy_table()
    assert f"{MEMORY_PJ['dram_high']:g}" in words(ax)


def test_weight_range_counts_every_weight_that_is_not_zero():
    ax = plots.weight_range(nn.Linear(3, 5), ["fp16", "int8"])
    assert [t.get_text() for t in ax.texts] == ["fp16", "int8"]
    assert max(bar.get_height() for bar in ax.patches) == 1
