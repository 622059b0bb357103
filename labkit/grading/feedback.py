"""The page that a student gets back, and the fuller one for the instructor."""

from labkit.grading.gradebook import number, summary
from labkit.grading.pages import document, table, text
from labkit.grading.results import Graded, Outcome, Record


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
    parts = [f"<h1>{text(title)}</h1>", f"<p>{text(record.student)}</p>"]
    if record.reason:
        parts.append(f"<p><strong>{text(record.status)}</strong></p>")
    parts += [f"<p>{text(line)}</p>" for line in summary(record)]
    if record.graded:
        parts.append(_overview(record))
    if instructor and record.flags:
        items = "".join(f"<li>{text(flag)}</li>" for flag in record.flags)
        parts.append(f"<h2>Flags</h2><ul>{items}</ul>")
    parts += [_section(graded, instructor) for graded in record.graded]
    return document(f"{title}: {record.student}", parts)


def _overview(record: Record) -> str:
    rows = [
        (f"{g.exercise} {g.title}", g.outcome, f"{number(g.points)} of {number(g.max_points)}")
        for g in record.graded
    ]
    return table(("Exercise", "Outcome", "Points"), rows)


def _section(graded: Graded, instructor: bool) -> str:
    parts = [f"<h2>{text(graded.exercise)} {text(graded.title)}</h2>"]
    parts.append(f"<p>{text(graded.summary)}</p>")
    if graded.student_card.html and graded.outcome is not Outcome.RIGHT:
        parts.append(graded.student_card.html)
    if instructor and graded.instructor_card.html and graded.outcome is not Outcome.RIGHT:
        parts.append("<p>With the secret inputs:</p>" + graded.instructor_card.html)
    if graded.answer.strip():
        code = f"<pre><code>{text(graded.answer)}</code></pre>"
        parts.append(f"<details><summary>Your answer</summary>{code}</details>")
    return f"<section>{''.join(parts)}</section>"
