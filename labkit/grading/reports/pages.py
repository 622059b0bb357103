"""What all pages share: self-contained HTML without a script.

A policy in the head forbids the browser to load or run anything, whatever a student's code managed
to put into a message.
"""

from collections.abc import Iterable, Sequence
from html import escape

from labkit.grading.printing import printable

COLOUR, BAR = "#3b6fb6", 120
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em }
h1 { line-height: 1.2 } h2 { margin: 1.6em 0 .4em; font-size: 1.25em }
h2 small { font-weight: normal; font-size: .8em }
table { border-collapse: collapse; margin: 1em 0 }
td, th { text-align: left; vertical-align: top; padding: .2em .7em .2em 0 }
tr { border-bottom: 1px solid #80808060 }
pre { overflow-wrap: anywhere; white-space: pre-wrap; font-size: 14px }
blockquote { margin: 1em 0; padding-left: 1em; border-left: 4px solid #808080 }
a { color: inherit } summary { cursor: pointer }
svg { max-width: 100%; height: auto; vertical-align: middle } td svg { max-width: none }
svg text { font: 13px system-ui, sans-serif; fill: CanvasText }
"""


class Html(str):
    """Text that is HTML already; all other text is escaped."""

    __slots__ = ()


def document(title: str, parts: Iterable[str]) -> str:
    """Return a whole page; `title` is plain text, `parts` are HTML."""
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{text(title)}</title>'
        f"<style>{STYLE}</style>"
    )
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are plain text, or `Html`."""
    top = "".join(f'<th scope="col">{text(cell)}</th>' for cell in head)
    lines = ("".join(f"<td>{text(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def picture(width: float, height: float, label: str, marks: Iterable[str]) -> Html:
    """Return an SVG drawing; `label` says in plain text what it shows."""
    return Html(
        f'<svg role="img" aria-label="{text(label)}" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}">{"".join(marks)}</svg>'
    )


def bar(shares: dict[float, float]) -> Html:
    """Draw shares side by side, each in its shade; the frame is the whole class."""
    marks, left = [], 0.0
    for shade, share in shares.items():
        marks.append(
            f'<rect x="{left:g}" y="1" width="{share * BAR:g}" height="14" fill="{COLOUR}" '
            f'fill-opacity="{shade}"/>'
        )
        left += share * BAR
    marks.append(
        f'<rect x="0.5" y="1.5" width="{BAR - 1}" height="13" fill="none" stroke="#808080"/>'
    )
    label = " and ".join(percent(share) or "0 %" for share in shares.values())
    return picture(BAR, 16, label, marks)


def percent(share: float) -> str:
    """Write a share, and nothing for none."""
    return f"{100 * share:.0f} %" if share else ""


def text(plain: str) -> str:
    """Return plain text as HTML, and `Html` as it is."""
    return plain if isinstance(plain, Html) else escape(printable(plain))
