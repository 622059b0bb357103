"""The pictures of the labs, one module a lab. Each function draws into axes and returns them."""

from labkit.plots.calibration import (
    accuracy_against_size,
    bucket_bars,
    codes_used,
    kl_of_coins,
    kl_search,
    merged_histogram,
    mse_curves,
    range_over_batches,
    thresholds,
)
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
    "accuracy_against_size",
    "bf16_drift",
    "bit_rows",
    "bucket_bars",
    "bytes_of",
    "channel_ranges",
    "codes_used",
    "collapsing_histogram",
    "energy_bars",
    "energy_table",
    "error_against_threshold",
    "four_panels",
    "gaps",
    "kl_of_coins",
    "kl_search",
    "merged_histogram",
    "mse_curves",
    "new_axes",
    "number_lines",
    "range_over_batches",
    "rulers",
    "size_bars",
    "staircase",
    "thresholds",
    "tie_drift",
    "weight_range",
    "wheel",
]
