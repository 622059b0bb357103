"""What all pictures share: one palette, one style, and what happens when an answer fails.

A picture drawn from a student's own function must not crash a lab: `students_own` turns a missing
or broken answer into a sentence in the picture.
"""

import functools
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import nn

from labkit.plots.picture import Picture

# Okabe and Ito's colours, which people with any common colour vision can tell apart
# (Okabe & Ito, "Color Universal Design", 2008). A colour keeps its meaning in every lab.
COLOURS = {
    "real": "#0072B2",
    "codes": "#D55E00",
    "error": "#CC79A7",
    "clipping": "#E69F00",
    "rounding": "#009E73",
    "other": "#56B4E9",
    "ink": "#333333",
    "faint": "#BBBBBB",
}
PAPER = "white"  # what parts shapes that touch
SIZE = (8.0, 3.4)  # inches: the width of a notebook's output at the default resolution
SENTENCE_SIZE = (8.0, 0.7)


def new_axes(size: tuple[float, float] = SIZE) -> Axes:
    """Return fresh axes in the labs' style."""
    _, ax = plt.subplots(figsize=size, layout="constrained", FigureClass=Picture)
    return styled(ax)


def styled(ax: Axes) -> Axes:
    """Take away what carries no information: the frame's upper and right lines."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)
    return ax


def say(ax: Axes, sentence: str) -> Axes:
    """Empty the axes and write a sentence in them instead of a picture, small if it is alone."""
    ax.clear()
    if isinstance(ax.figure, Figure) and ax.figure.axes == [ax]:
        ax.figure.set_size_inches(SENTENCE_SIZE)
    ax.set_axis_off()
    ax.text(0.5, 0.5, sentence, ha="center", va="center", wrap=True, color=COLOURS["ink"])
    return ax


def students_own(draw: Callable[..., Axes]) -> Callable[..., Axes]:
    """Decorate a drawing function that calls a student's function.

    The decorated function takes ``ax=None`` and draws into new axes by default. An answer that is
    not started, or that raises, or whose result cannot be drawn, leaves a sentence in the axes. One
    that changes its inputs changes copies: a picture must not spoil what later cells compute with.
    Of a result that is not finite everywhere, the rest is drawn, and a note says so.
    """

    @functools.wraps(draw)
    def safe(*args: Any, ax: Axes | None = None, **options: Any) -> Axes:
        axes = new_axes() if ax is None else ax
        try:
            return _note_gaps(draw(*map(_on_copies, args), ax=axes, **options))
        except NotImplementedError as reason:
            return say(axes, f"{reason} is not started: this picture draws your own function.")
        except Exception as error:
            kind = type(error).__name__
            text = str(error).splitlines()[0][:120] if str(error) else "no message"
            return say(axes, f"No picture: your function's result led to {kind}: {text}")

    return safe


def _on_copies(item: Any) -> Any:
    """Return a function, or functions by name, as called on copies; all else as it is."""
    if isinstance(item, dict):
        return {name: _on_copies(value) for name, value in item.items()}
    if not callable(item) or isinstance(item, nn.Module | type):
        return item

    @functools.wraps(item)
    def called(*args: Any, **options: Any) -> Any:
        return item(*map(_copied, args), **{name: _copied(v) for name, v in options.items()})

    return called


def _copied(value: Any) -> Any:
    """Return a copy of what holds tensors; a gradient flows through it, as for slopes it must."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, tuple | list):
        return type(value)(map(_copied, value))
    return value


def _note_gaps(ax: Axes) -> Axes:
    """Say in the axes that some values are NaN or infinite, if any that were drawn are."""
    drawn = [
        values
        for panel in (ax, *ax.child_axes)
        for values in (
            *(line.get_ydata(orig=False) for line in panel.lines),
            *(bar.get_height() for bar in panel.patches if isinstance(bar, Rectangle)),
            *(bar.get_width() for bar in panel.patches if isinstance(bar, Rectangle)),
            *(image.get_array() for image in panel.images),
        )
    ]
    if not all(np.isfinite(np.asarray(values, dtype=float)).all() for values in drawn):
        note = "Gaps: some of your function's results are NaN or infinite."
        box = {"facecolor": "white", "edgecolor": COLOURS["error"]}
        ax.text(0.01, 0.97, note, transform=ax.transAxes, va="top", zorder=5, bbox=box)
    return ax
