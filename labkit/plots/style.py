"""What all pictures share: one palette, one style, and what happens when an answer fails.

A picture drawn from a student's own function must not crash a lab: `students_own` turns a missing
or broken answer into a sentence in the picture.
"""

import functools
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

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
SIZE = (8.0, 3.4)  # inches: the width of a notebook's output at the default resolution


def new_axes(size: tuple[float, float] = SIZE) -> Axes:
    """Return fresh axes in the labs' style."""
    _, ax = plt.subplots(figsize=size, layout="constrained")
    return styled(ax)


def styled(ax: Axes) -> Axes:
    """Take away what carries no information: the frame's upper and right lines."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)
    return ax


def say(ax: Axes, sentence: str) -> Axes:
    """Empty the axes and write a sentence in them instead of a picture."""
    ax.clear()
    ax.set_axis_off()
    ax.text(0.5, 0.5, sentence, ha="center", va="center", wrap=True, color=COLOURS["ink"])
    return ax


def students_own(draw: Callable[..., Axes]) -> Callable[..., Axes]:
    """Decorate a drawing function that calls a student's function.

    The decorated function takes ``ax=None`` and draws into new axes by default. An answer that is
    not started, or that raises, or whose result cannot be drawn, leaves a sentence in the axes.
    """

    @functools.wraps(draw)
    def safe(*args: Any, ax: Axes | None = None, **options: Any) -> Axes:
        axes = new_axes() if ax is None else ax
        try:
            return draw(*args, ax=axes, **options)
        except NotImplementedError as reason:
            return say(axes, f"{reason} is not started: this picture draws your own function.")
        except Exception as error:
            kind = type(error).__name__
            text = str(error).splitlines()[0][:120] if str(error) else "no message"
            return say(axes, f"No picture: your function's result led to {kind}: {text}")

    return safe
