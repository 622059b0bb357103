"""What a check shows: one card, the same content as HTML and as plain text.

The words carry the meaning, since JupyterLab strips styles, roles and scripts from the output of
a notebook that it does not trust. No colour is set on text or background, so that every theme's
own contrast holds; the coloured edge only repeats what the first word says.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

BETWEEN_BACKTICKS = re.compile("`([^`]+)`")
EDGE = {"good": "#2f9e44", "warn": "#e8850c", "bad": "#e03131", "plain": "#808080"}


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str

    def html(self) -> str:
        """Return a ``<p>``."""
        return f'<p style="margin:.4em 0">{_inline(self.text)}</p>'

    def plain(self) -> str:
        """Return the text itself."""
        return self.text


@dataclass(frozen=True)
class Code:
    """A line or block of code, with what it is."""

    label: str
    code: str

    def html(self) -> str:
        """Return the label and a ``<pre>``."""
        style = "margin:.2em 0 .4em 0; white-space:pre-wrap; overflow-wrap:anywhere"
        return (
            f'<p style="margin:.4em 0 0 0">{escape(self.label)}</p>'
            f'<pre style="{style}"><code>{escape(self.code)}</code></pre>'
        )

    def plain(self) -> str:
        """Return the label and the indented code."""
        return self.label + "\n" + "\n".join("    " + line for line in self.code.splitlines())


@dataclass(frozen=True)
class Table:
    """A small table with a heading row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def html(self) -> str:
        """Return a ``<table>`` with header cells: names on the left, numbers on the right."""

        def cells(row: Sequence[str], kind: str) -> str:
            sides = ["left"] + ["right"] * (len(row) - 1)
            tags = [kind if cell else "td" for cell in row]  # a heading without words heads nothing
            return "".join(
                f'<{tag} style="text-align:{side}; padding:.15em .8em">{escape(cell)}</{tag}>'
                for tag, side, cell in zip(tags, sides, row, strict=True)
            )

        body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in self.rows)
        return (
            f'<table style="margin:.3em 0"><thead><tr>{cells(self.columns, "th")}</tr></thead>'
            f"<tbody>{body}</tbody></table>"
        )

    def plain(self) -> str:
        """Return aligned columns."""
        lines = (self.columns, *self.rows)
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        return "\n".join(
            "    " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for line in lines
        )


@dataclass(frozen=True)
class Fold:
    """Something to open with a click: a native ``<details>``."""

    summary: str
    text: str
    is_open: bool = False

    def html(self) -> str:
        """Return ``<details>``."""
        paragraphs = "".join(Text(part).html() for part in self.text.split("\n\n"))
        flag = " open" if self.is_open else ""
        return f"<details{flag}><summary>{escape(self.summary)}</summary>{paragraphs}</details>"

    def plain(self) -> str:
        """Return summary and text; plain text cannot be folded."""
        return f"{self.summary}: {self.text}"


def _inline(text: str) -> str:
    """Escape `text`, and set what stands between backticks as code."""
    return BETWEEN_BACKTICKS.sub(r"<code>\1</code>", escape(text))


Block = Text | Code | Table | Fold


@dataclass(frozen=True)
class Card:
    """A headline and blocks below it.

    Attributes
    ----------
    tone : str
        "good", "warn", "bad" or "plain": the colour of the edge.
    headline : str
        State first, then what it is about.
    blocks : sequence of Block
        The rest, in reading order.
    """

    tone: str
    headline: str
    blocks: tuple[Block, ...] = ()

    def _repr_html_(self) -> str:
        style = (
            "border:1px solid #808080; border-left:6px solid "
            f"{EDGE[self.tone]}; padding:.4em .9em; margin:.3em 0; max-width:56em"
        )
        inner = "".join(block.html() for block in self.blocks)
        return (
            f'<div class="labkit-card" style="{style}">'
            f'<p style="margin:.2em 0"><strong>{escape(self.headline)}</strong></p>{inner}</div>'
        )

    def __repr__(self) -> str:
        lines = [self.headline, *(block.plain() for block in self.blocks)]
        return "\n".join(lines)


def show(card: Card) -> None:
    """Display `card`: HTML in a notebook, plain text in a terminal."""
    from IPython.display import display

    display(card)
