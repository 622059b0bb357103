"""The pictures of the labs, one module a lab. Each function draws into axes and returns them."""

from labkit.plots.costs import energy_bars, energy_table, size_bars
from labkit.plots.formats import bf16_drift, bit_rows, gaps, number_lines, weight_range, wheel
from labkit.plots.linear import (
    accuracy_against_bits,
    bytes_of,
    channel_ranges,
    collapsing_histogram,
    error_against_threshold,
    four_panels,
    rulers,
    staircase,
    tie_drift,
)
from labkit.plots.style import new_axes

__all__ = [
    "accuracy_against_bits",
    "bf16_drift",
    "bit_rows",
    "bytes_of",
    "channel_ranges",
    "collapsing_histogram",
    "energy_bars",
    "energy_table",
    "error_against_threshold",
    "four_panels",
    "gaps",
    "new_axes",
    "number_lines",
    "rulers",
    "size_bars",
    "staircase",
    "tie_drift",
    "weight_range",
    "wheel",
]
