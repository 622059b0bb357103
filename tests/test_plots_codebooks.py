"""The pictures of codebooks and blocks: what is drawn is what the format says."""

import matplotlib.pyplot as plt
import pytest
import torch

from labkit import plots
from labkit.blocks import BLOCK_FORMATS


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("format", BLOCK_FORMATS.values(), ids=BLOCK_FORMATS)
def test_every_byte_of_a_block_is_a_cell(format) -> None:
    ax = plots.block_bytes(format)
    assert [cell.get_x() for cell in ax.patches] == list(range(format.bytes))
    assert f"{format.bits_per_weight:g} bits a weight" in ax.get_title()
    colours = [cell.get_facecolor() for cell in ax.patches]
    first = 0
    for part in format.fields:
        assert len(set(colours[first : first + part.bytes])) == 1
        first += part.bytes
    assert len(set(colours)) == len({part.name for part in format.fields})


def test_bars_of_bits_end_at_the_bits_of_the_format() -> None:
    ax = plots.bits_of_formats()
    last = ax.containers[-1]
    ends = [bar.get_x() + bar.get_width() for bar in last]
    assert ends == pytest.approx([f.bits_per_weight for f in BLOCK_FORMATS.values()])
    with pytest.raises(ValueError, match="formats is empty"):
        plots.bits_of_formats([])


def test_levels_lie_below_the_histogram() -> None:
    levels = torch.tensor([-1.0, 0.0, 2.0])
    ax = plots.levels_on_weights(torch.randn(100), {"a": levels, "b": levels + 1})
    assert [line.get_xdata().tolist() for line in ax.lines] == [[-1, 0, 2], [0, 1, 3]]
    assert ax.lines[0].get_ydata().max() < 0
    broken = plots.levels_on_weights(torch.tensor([torch.nan]), {})
    assert "No picture" in broken.texts[0].get_text()


def test_four_scales_have_as_many_codes_as_they_say() -> None:
    ax = plots.four_symmetric_scales(torch.tensor([-4.0, 1.0, 2.0]), bits=4)
    grids = [line.get_xdata() for line in ax.lines[1:5]]
    assert [len(grid) for grid in grids] == [15, 16, 16, 16]
    assert [min(grid) for grid in grids] == pytest.approx([-4, -8 * 4 / 7.5, -4, -3])


def test_accuracies_stand_over_their_bits() -> None:
    ax = plots.accuracy_against_true_bits([("a", 4.5, 0.9, 0.01), ("b", 2, 0.5, 0.02)], 0.95)
    points = [container.lines[0].get_xydata()[0].tolist() for container in ax.containers]
    assert points == [pytest.approx([4.5, 90]), pytest.approx([2, 50])]
    assert "a: 4.5 bits, 90.0 %" in ax.texts[0].get_text()
    with pytest.raises(ValueError, match="rows is empty"):
        plots.accuracy_against_true_bits([], 0.9)
