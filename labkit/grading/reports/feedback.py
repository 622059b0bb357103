"""The page that a student gets back, and the fuller one for the instructor."""

from collections.abc import Sequence

from labkit.grading.judging.results import Graded, Outcome, Record
from labkit.grading.printing import number
from labkit.grading.reports.gradebook import EXPLAINED, comments, summary
from labkit.grading.reports.pages import Html, document, table, text


def page(title: str, record: Record, instructor: bool, places: Sequence[str] = ()) -> str:
    """Return the feedback page.

    Parameters
    ----------
    title : str
        The lab's name.
    record : Record
        The student's results.
    instructor : bool
        Also show flags, and the calls with secret inputs and expected values.
    places : sequence of str
        What the student reads about the leaderboard.
    """
    parts = [f"<h1>{text(title)}</h1>", f"<p>{text(record.student)}</p>"]
    if instructor and record.reason:
        parts.append(f"<p>{text(record.status.capitalize())}: {text(record.reason)}</p>")
    parts += [f"<p><strong>{text(line)}</strong></p>" for line in summary(record)]
    parts += [f"<p>{text(line)}</p>" for line in places]
    if record.comment:
        parts.append(f"<blockquote>{text(record.comment)}</blockquote>")
    if record.graded:
        parts.append(_overview(record))
    if instructor and record.flags:
        items = "".join(f"<li>{text(flag)}</li>" for flag in record.flags)
        parts.append(f"<h2>Flags</h2><ul>{items}</ul>")
    parts += [_section(graded, instructor) for graded in record.graded]
    return document(f"{title}: {record.student}", parts)


def _overview(record: Record) -> str:
    rows = [
        (Html(f'<a href="#{_anchor(g)}">{text(g.exercise)} {text(g.title)}</a>'), g.outcome, _of(g))
        for g in record.graded
    ]
    return table(("Exercise", "Outcome", "Points"), rows)


def _section(graded: Graded, instructor: bool) -> str:
    result = f"<small>{text(graded.outcome)}, {_of(graded)} points</small>"
    head = f"{text(graded.exercise)} {text(graded.title)} {result}"
    parts = [f'<h2 id="{_anchor(graded)}">{head}</h2>']
    parts += [f"<p>{text(line)}</p>" for line in comments(graded)]
    if graded.outcome in EXPLAINED:
        parts.append(f"<p>As the notebook's check says it:</p>{graded.student_card.html}")
    if instructor:
        parts.append(_secret(graded))
    if graded.answer.strip():
        code = f"<pre><code>{text(graded.answer)}</code></pre>"
        whose = "The answer" if instructor else "Your answer"
        fold = "<details>" if graded.outcome is Outcome.RIGHT else "<details open>"
        parts.append(f"{fold}<summary>{whose}</summary>{code}</details>")
    return "\n".join(filter(None, parts))


def _secret(graded: Graded) -> str:
    """Return the card for the secret inputs, unless it says no more than the student's."""
    card = graded.instructor_card
    if graded.outcome is Outcome.RIGHT or not card.html or card == graded.student_card:
        return ""
    return f"<p>With the secret inputs:</p>{card.html}"


def _of(graded: Graded) -> str:
    return f"{number(graded.points)} of {number(graded.max_points)}"


def _anchor(graded: Graded) -> str:
    return f"exercise-{graded.exercise.replace('.', '-')}"
