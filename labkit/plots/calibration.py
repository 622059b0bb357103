"""The pictures of lab 2, calibration."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from labkit.calibration.histogram import Histogram
from labkit.plots.style import COLOURS, new_axes

_LINES = ("-", "--", "-.", ":")
_COLOURS = ("codes", "rounding", "error", "clipping", "ink")


def thresholds(
    histogram: Histogram,
    ranges: Mapping[str, tuple[float, float]],
    ax: Axes | None = None,
    bins: int = 200,
) -> Axes:
    """Draw the histogram of a layer, counts on a log axis, and where each method's range ends.

    Parameters
    ----------
    histogram : Histogram
        What was observed.
    ranges : mapping of str to (float, float)
        rmin and rmax by the name of the method.
    ax : Axes, optional
        Where to draw; new axes by default.
    bins : int
        Bars from the smallest to the largest value.

    Returns
    -------
    Axes
    """
    ax = new_axes() if ax is None else ax
    values, counts = histogram.points()
    ax.hist(values, bins, weights=counts, color=COLOURS["real"], alpha=0.5, label="values")
    for i, (name, (low, high)) in enumerate(ranges.items()):
        colour, line = COLOURS[_COLOURS[i % len(_COLOURS)]], _LINES[i % len(_LINES)]
        label = f"{name}: {low:.4g} to {high:.4g}"
        for end in np.unique([low, high]):
            ax.axvline(end, color=colour, ls=line, lw=2, label=label)
            label = "_"
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.5)
    ax.set_xlabel("value")
    ax.set_ylabel("how many values")
    ax.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return ax
