"""The page that a student gets back, and the fuller one for the instructor.

Self-contained HTML without a script; a policy in its head forbids the browser to load or run
anything, whatever a student's code managed to put into a message.
"""

from html import escape

from labkit.grading.gradebook import number, printable
from labkit.grading.results import Graded, Outcome, Record

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse } td, th { text-align: left; padding: .2em .8em }
tr { border-bottom: 1px solid #80808060 }
pre { overflow-wrap: anywhere; white-space: pre-wrap; font-size: 14px }
section { margin: 2.5em 0 }
"""


def page(title: str, record: Record, instructor: bool) -> str:
    """Return the feedback page.

    Parameters
    ----------
    title : str
        The lab's name.
    record : Record
        The student's results.
    instructor : bool
        Also show flags, and the calls with secret inputs and expected values.
    """
    name = _text(record.student)
    parts = [f"<h1>{_text(title)}</h1>", f"<p>{name}</p>"]
    if record.reason:
        parts.append(f"<p><strong>{_text(record.status)}</strong>: {_text(record.reason)}</p>")
    if record.graded:
        parts.append(_overview(record))
    if instructor and record.flags:
        items = "".join(f"<li>{_text(flag)}</li>" for flag in record.flags)
        parts.append(f"<h2>Flags</h2><ul>{items}</ul>")
    parts += [_section(graded, instructor) for graded in record.graded]
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{_text(title)}: {name}</title>'
        f"<style>{STYLE}</style>"
    )
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _overview(record: Record) -> str:
    rows = "".join(
        f"<tr><td>{_text(g.exercise)} {_text(g.title)}</td><td>{_text(g.outcome)}</td>"
        f"<td>{number(g.points)} of {number(g.max_points)}</td></tr>"
        for g in record.graded
    )
    total = f"{number(record.points)} of {number(record.max_points)}"
    return (
        f"<p><strong>{total} points</strong></p><table><thead><tr><th>Exercise</th>"
        f"<th>Outcome</th><th>Points</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _section(graded: Graded, instructor: bool) -> str:
    parts = [f"<h2>{_text(graded.exercise)} {_text(graded.title)}</h2>"]
    parts.append(f"<p>{_text(graded.summary)}</p>")
    if graded.student_card.html and graded.outcome is not Outcome.RIGHT:
        parts.append(graded.student_card.html)
    if instructor and graded.instructor_card.html and graded.outcome is not Outcome.RIGHT:
        parts.append("<p>With the secret inputs:</p>" + graded.instructor_card.html)
    if graded.answer.strip():
        code = f"<pre><code>{_text(graded.answer)}</code></pre>"
        parts.append(f"<details><summary>Your answer</summary>{code}</details>")
    return f"<section>{''.join(parts)}</section>"


def _text(text: str) -> str:
    return escape(printable(text))
