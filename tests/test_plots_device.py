"""The pictures of lab 8: what is drawn is what lies in memory, and what is counted."""

import matplotlib.pyplot as plt
import pytest
import torch

from labkit import plots
from labkit.checks import registry
from labkit.device import Arena, LayerCost, Lifetime, plan_arena

REFERENCE = {e.id: e.reference for e in registry.exercises(8)}


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plt.close("all")


def boxes(ax):
    """(first step, offset, steps, bytes) of each box, overlaps apart."""
    found = [(p.get_x(), p.get_y(), p.get_width(), p.get_height(), p) for p in ax.patches]
    plain = [box[:4] for box in found if box[4].get_label() != "overlap"]
    return plain, [box[:4] for box in found if box[4].get_label() == "overlap"]


def test_each_tensor_is_a_box_and_overlaps_stand_out() -> None:
    lifetimes = (Lifetime("a", 4, 0, 1), Lifetime("b", 6, 1, 2))
    plain, overlaps = boxes(plots.arena_over_time(plan_arena(lifetimes)))
    assert plain == [(0, 6, 2, 4), (1, 0, 2, 6)]
    assert overlaps == []
    wrong = Arena(6, {"a": 2, "b": 0}, lifetimes)
    ax = plots.arena_over_time(wrong)
    assert boxes(ax)[1] == [(1, 2, 1, 4)]
    assert "live at once at most 10" in ax.get_title()


def test_what_is_written_in_place_follows_without_an_overlap() -> None:
    lifetimes = (Lifetime("a", 4, 0, 1), Lifetime("b", 4, 1, 2, inside="a"))
    plain, overlaps = boxes(plots.arena_over_time(plan_arena(lifetimes)))
    assert plain == [(0, 0, 1.5, 4), (1.5, 0, 1.5, 4)]
    assert overlaps == []


def test_lives_and_reads_are_those_of_the_answer() -> None:
    ax = plots.lives(REFERENCE["8.6"], ((0,), (1,), (2, 1)))
    assert [(p.get_x(), p.get_width()) for p in ax.patches] == [(0, 1), (0, 3), (1, 2), (2, 1)]
    assert ax.lines[0].get_xydata().tolist() == [[0.5, 0], [1.5, 1], [2.5, 2], [2.5, 1]]


def test_the_star_is_the_peak_of_the_answer() -> None:
    ends = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1])
    ax = plots.peak_of_order(REFERENCE["8.7"], torch.tensor([5, 3, 4]), *ends)
    assert ax.lines[0].get_xydata().tolist() == [[0, 8]]
    assert sum(bar.get_height() for bar in ax.patches) == 5 + 3 + 3 + 4


def test_jumps_of_addresses_are_counted() -> None:
    ax = plots.addresses_read({"one": [0, 1, 2, 9], "other": [3, 5, 7]})
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["one: 1 jumps", "other: 2 jumps"]


def test_margins_of_right_and_wrong_answers() -> None:
    ax = plots.margins(torch.tensor([0, 3, 3, 60]), torch.tensor([False, True, True, True]))
    counts = [patch.get_data().values.sum() for patch in ax.patches]
    assert counts == [3, 1]


def test_bars_are_the_cycles_of_the_layers() -> None:
    layers = [LayerCost("conv", 100, 9, False, 218.0, 4.0), LayerCost("dw", 9, 9, True, 90.0, 4.0)]
    ax = plots.layers_on_chip(layers)
    assert [bar.get_width() for bar in ax.patches] == [218, 90, 4, 4]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["conv", "dw (depthwise)"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda f: plots.door_table(f, (0.5,), (0.5,), 0.02, 100),
        lambda f: plots.table_of_codes(f, (0.05, 0), (0.05, 0)),
        lambda f: plots.three_ways_down(f, 2),
        lambda f: plots.saturated_and_wrapped(f, 3),
        lambda f: plots.placed_tensors(f, *([torch.tensor([1])] * 3)),
    ],
)
def test_a_broken_answer_leaves_a_sentence(draw) -> None:
    assert "No picture" in draw(lambda *args: None).texts[0].get_text()

    def unwritten(*args):
        raise NotImplementedError("Exercise 8.1")

    assert "is not started" in draw(unwritten).texts[0].get_text()
