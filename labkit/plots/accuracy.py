"""Accuracy against what calibration was given: the last picture of lab 2."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from labkit.plots.picture import Picture
from labkit.plots.style import COLOURS, styled

_LINES = ("-", "--", "-.", ":")
_COLOURS = ("codes", "rounding", "error", "clipping", "ink")
_MARKERS = "os^Dv"


def accuracy_against_size(
    results: Mapping[int, Mapping[str, Sequence[tuple[int, float, float]]]], fp32: float
) -> Axes:
    """Draw accuracy against the size of the calibration set, a panel a number of bits.

    Parameters
    ----------
    results : mapping
        Bits to method to (images, accuracy, standard error), accuracies as shares of 1.
    fp32 : float
        Accuracy of the network that was not quantized.

    Returns
    -------
    Axes
        The last panel's.
    """
    figure, axes = plt.subplots(
        1,
        len(results),
        figsize=(8, 3.6),
        sharey=True,
        layout="constrained",
        squeeze=False,
        FigureClass=Picture,
    )
    for ax, (bits, methods) in zip(axes[0], results.items(), strict=True):
        styled(ax).axhline(100 * fp32, color=COLOURS["faint"], ls="--", label="FP32")
        for i, (name, points) in enumerate(methods.items()):
            images, mean, error = np.array(points, dtype=float).T
            # Moved apart a little, so that lines which agree can both be seen.
            shifted = images * 1.05 ** (i - len(methods) / 2)
            style = {"marker": _MARKERS[i], "ls": _LINES[i % len(_LINES)], "capsize": 2}
            ax.errorbar(
                shifted, 100 * mean, 100 * error, color=COLOURS[_COLOURS[i]], label=name, **style
            )
        ax.set_xscale("log", base=2)
        ax.set_xticks(images, [f"{n:.0f}" for n in images])
        ax.set_title(f"{bits} bits")
        ax.set_xlabel("calibration images")
    axes[0][0].set_ylim(0, 100)
    axes[0][0].set_ylabel("accuracy in %, with standard error")
    lines, names = ax.get_legend_handles_labels()
    figure.legend(lines, names, fontsize=9, loc="outside upper center", ncols=6, frameon=False)
    return ax
