"""The picture of every review: what each error of a script does to its result."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from labkit.plots.picture import Picture
from labkit.plots.style import COLOURS, styled


def errors_of_a_script(found: Mapping[str, Sequence[float]], measures: Sequence[str]) -> Axes:
    """Draw what a script reports without an error, and how far each error moves that.

    Parameters
    ----------
    found : mapping
        What was done to the script to its results, one for each measure; the first is the script
        without errors.
    measures : sequence of str
        What the results are, with their units. A panel each.

    Returns
    -------
    Axes
        The first panel's.
    """
    names, values = list(found), np.array(list(found.values()), dtype=float)
    rows = np.arange(len(names))
    figure, axes = plt.subplots(
        1,
        len(measures),
        figsize=(8, 0.8 + 0.3 * len(names)),
        sharey=True,
        squeeze=False,
        layout="constrained",
        FigureClass=Picture,
    )
    for ax, measure, results in zip(axes[0], measures, values.T, strict=True):
        styled(ax).axvline(results[0], color=COLOURS["rounding"], label="without an error")
        ax.hlines(rows, results[0], results, color=COLOURS["error"], lw=3)
        ax.plot(results[1:], rows[1:], "o", color=COLOURS["error"], label="with this one alone")
        ax.plot(results[0], 0, "o", color=COLOURS["rounding"])
        ax.margins(x=0.25)
        ax.set_xlabel(measure)
        for row, result in zip(rows, results, strict=True):
            below = result < results[0]
            ax.annotate(
                f"{result:.3g}",
                (result, row),
                (-4 if below else 4, 5),
                textcoords="offset points",
                ha="right" if below else "left",
                size=8,
            )
    axes[0][0].set_yticks(rows, names, size=9)
    axes[0][0].invert_yaxis()
    lines, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(lines, labels, fontsize=9, loc="outside upper center", ncols=2, frameon=False)
    return axes[0][0]
