"""Figures that can be heard as well as seen: a description goes with each.

JupyterLab shows a plain ``image/png`` without an alternative text, so the picture comes as HTML,
too: an ``<img>`` with an ``alt``, which also a notebook that is not trusted keeps. Who does not
read HTML (LaTeX, a search for images) finds the plain picture beside it.
"""

from collections.abc import Iterator
from html import escape

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.category import StrCategoryFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter


class Picture(Figure):
    """A figure that a notebook shows with a description of what is drawn."""

    def _ipython_display_(self) -> None:
        from IPython.core.pylabtools import print_figure
        from IPython.display import display

        words, image = describe(self), print_figure(self, base64=True)
        html = (
            f'<img src="data:image/png;base64,{image}" alt="{escape(words)}" '
            'style="max-width:100%; height:auto">'
        )
        display({"text/html": html, "image/png": image, "text/plain": words}, raw=True)


def describe(figure: Figure) -> str:
    """Return what a figure shows in words: titles, axes with their ranges, and what is drawn."""
    parts = [words for ax in figure.axes for words in _panels(ax)]
    return " ".join(parts)


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
    # Axes.set_yticks(places, names) leaves a formatter of another kind than set_yticklabels.
    fixed = isinstance(axis.get_major_locator(), FixedLocator)
    named = FixedFormatter | StrCategoryFormatter
    if isinstance(axis.get_major_formatter(), named | FuncFormatter if fixed else named):
        names = list(filter(None, (tick.get_text() for tick in axis.get_ticklabels())))
        if names:  # an inner panel leaves those of a shared axis out
            yield f"{direction}: {label or 'one place each'}: {'; '.join(names)}."
    elif label:
        yield f"{direction}: {label}, from {limits[0]:.3g} to {limits[1]:.3g}."


def _ended(text: str) -> str:
    """Return `text` on one line, with a full stop."""
    line = " ".join(text.split())
    return line if line.endswith((".", "?", "!")) else f"{line}."
