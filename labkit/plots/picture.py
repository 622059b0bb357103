"""Figures that can be heard as well as seen: a description goes with each.

Notebook front ends take it from the picture's metadata (nbconvert reads ``alt``, VS Code
``vscode_altText``), all others from the plain text that stands beside the picture in the file.
"""

from collections.abc import Iterator
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.category import StrCategoryFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter


class Picture(Figure):
    """A figure that a notebook shows with a description of what is drawn."""

    def _repr_mimebundle_(self, **kinds: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        from IPython.core.pylabtools import print_figure

        words = describe(self)
        data = {"image/png": print_figure(self, base64=True), "text/plain": words}
        return data, {"image/png": {"alt": words, "vscode_altText": words}}


def describe(figure: Figure) -> str:
    """Return what a figure shows in words: titles, axes with their ranges, and what is drawn."""
    parts = [words for ax in figure.axes for words in _panels(ax)]
    return "Picture. " + " ".join(parts)


def _panels(ax: Axes) -> Iterator[str]:
    """Describe axes and those inset in them."""
    words = " ".join(_sentences(ax))
    if words:
        yield words
    for inset in ax.child_axes:
        if isinstance(inset, Axes):
            yield from _panels(inset)


def _sentences(ax: Axes) -> Iterator[str]:
    titles = [ax.get_title(loc=place) for place in ("left", "center", "right")]
    yield from (_ended(title) for title in titles if title)
    if ax.axison:
        yield from _axis("Across", ax.xaxis, ax.get_xlim())
        yield from _axis("Up", ax.yaxis, ax.get_ylim())
    _, labels = ax.get_legend_handles_labels()
    if labels:
        yield f"Drawn: {'; '.join(labels)}."
    if not ax.has_data():
        yield from (_ended(text.get_text()) for text in ax.texts)


def _axis(direction: str, axis: Axis, limits: tuple[float, float]) -> Iterator[str]:
    label = axis.get_label_text()
    if isinstance(axis.get_major_formatter(), FixedFormatter | StrCategoryFormatter):
        names = [tick.get_text() for tick in axis.get_ticklabels()]
        yield f"{direction}: {label or 'one place each'}: {'; '.join(filter(None, names))}."
    elif label:
        yield f"{direction}: {label}, from {limits[0]:.3g} to {limits[1]:.3g}."


def _ended(text: str) -> str:
    """Return `text` on one line, with a full stop."""
    line = " ".join(text.split())
    return line if line.endswith((".", "?", "!")) else f"{line}."
