"""The pictures of lab 7 that draw no student's function; the others are in test_plots_slips."""

import matplotlib.pyplot as plt
import pytest
import torch

from labkit import plots


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plt.close("all")


def test_keys_and_values_are_drawn_from_the_largest_channel_down() -> None:
    keys = torch.tensor([[1.0, -8.0, 2.0], [0.0, 4.0, -2.0]])
    ax = plots.keys_and_values(keys, torch.ones(2, 3))
    assert [line.get_ydata().tolist() for line in ax.lines] == [[8, 2, 1], [1, 1, 1]]
    assert "4.0" in ax.get_legend().get_texts()[0].get_text()


def test_perplexities_stand_over_their_bits_with_their_errors() -> None:
    ax = plots.perplexity_over_bits({"a": (4.5, 40.0, 2.0), "b": (2.5, 90.0, 5.0)}, 34.0)
    found = {
        tuple(container.lines[0].get_xydata()[0].tolist()): container.lines[2][0].get_segments()[0]
        for container in ax.containers
    }
    assert set(found) == {(4.5, 40.0), (2.5, 90.0)}
    assert found[4.5, 40.0][:, 1].tolist() == [38, 42]
    assert ax.lines[0].get_ydata()[0] == 34
    # What the picture's description is made of.
    _, labels = ax.get_legend_handles_labels()
    assert labels == ["float: 34", "b: 2.5 bits, 90", "a: 4.5 bits, 40"]
    with pytest.raises(ValueError, match="rows is empty"):
        plots.perplexity_over_bits({}, 1.0)


def test_an_unfinished_answer_is_said_in_the_picture() -> None:
    def broken(*args):
        raise NotImplementedError("Exercise 7.2")

    assert "not started" in plots.outliers(broken, torch.ones(2, 2)).texts[0].get_text()
