"""The pictures of the labs, one module a lab. Each function draws into axes and returns them."""

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

__all__ = [
    "accuracy_against_bits",
    "bytes_of",
    "channel_ranges",
    "collapsing_histogram",
    "error_against_threshold",
    "four_panels",
    "rulers",
    "staircase",
    "tie_drift",
]
