"""What all pages share: self-contained HTML without a script.

A policy in the head forbids the browser to load or run anything, whatever a student's code managed
to put into a message.
"""

from collections.abc import Iterable, Sequence
from html import escape

from labkit.grading.gradebook import printable

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse } td, th { text-align: left; padding: .2em .8em }
tr { border-bottom: 1px solid #80808060 }
pre { overflow-wrap: anywhere; white-space: pre-wrap; font-size: 14px }
section { margin: 2.5em 0 }
svg { max-width: 100%; height: auto }
svg text { font: 13px system-ui, sans-serif; fill: CanvasText }
"""


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
    """Return a table; all cells are plain text."""
    top = "".join(f'<th scope="col">{text(cell)}</th>' for cell in head)
    lines = ("".join(f"<td>{text(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def text(plain: str) -> str:
    """Return plain text as HTML."""
    return escape(printable(plain))
