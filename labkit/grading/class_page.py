"""How the class did, on one page: points, each exercise, the misconceptions, the flags."""

from collections import Counter
from collections.abc import Sequence

from labkit.grading.gradebook import number
from labkit.grading.pages import document, table, text
from labkit.grading.results import Graded, Outcome, Record

# One hue from full to faint, and a pattern of words beside it: read without colours, too.
SHADES = {Outcome.RIGHT: 1.0, Outcome.ALMOST: 0.55}
BINS = 10
WIDTH, ROW = 420, 26
COLOUR = "#3b6fb6"


def class_page(title: str, records: Sequence[Record]) -> str:
    """Return the page about a class; for the instructor, since it names students."""
    graded = [record for record in records if record.graded]
    parts = [f"<h1>{text(title)}: the class</h1>"]
    counts = Counter(str(record.status) for record in records)
    parts.append(
        f"<p>{text(', '.join(f'{n} {status}' for status, n in sorted(counts.items())))}</p>"
    )
    if graded:
        by_exercise = list(zip(*(record.graded for record in graded), strict=True))
        parts += ["<h2>Points</h2>", _histogram(graded)]
        parts += ["<h2>Exercises</h2>", _bars(by_exercise), _exercises(by_exercise)]
        parts += ["<h2>Known misconceptions</h2>", _misconceptions(by_exercise)]
    flagged = [(record.student, flag) for record in records for flag in record.flags]
    if flagged:
        parts += ["<h2>Flags</h2>", table(("Student", "Flag"), flagged)]
    return document(f"{title}: the class", parts)


def _histogram(records: Sequence[Record]) -> str:
    """Draw how many students reached each tenth of the points."""
    most = records[0].max_points
    shares = [min(max(record.total / most, 0.0), 1.0) for record in records]
    counts = Counter(min(int(share * BINS), BINS - 1) for share in shares)
    tallest = max(counts.values())
    step, height = WIDTH / BINS, 120
    marks = []
    for index in range(BINS):
        size = height * counts[index] / tallest
        left, middle, top = index * step, (index + 0.5) * step, 20 + height - size
        marks += [
            f'<rect x="{left + 2:g}" y="{top:g}" width="{step - 4:g}" height="{size:g}" '
            f'fill="{COLOUR}"/>',
            f'<text x="{middle:g}" y="{top - 4:g}" text-anchor="middle">{counts[index]}</text>',
            f'<text x="{left:g}" y="{height + 38}">{number(most * index / BINS)}</text>',
        ]
    mean = sum(record.total for record in records) / len(records)
    label = f"Points of {len(records)} students, {number(mean)} of {number(most)} on average"
    return f"<p>{text(label)}.</p>" + _svg(WIDTH, height + 44, label, marks)


def _bars(by_exercise: Sequence[Sequence[Graded]]) -> str:
    """Draw for each exercise the share that is right, and the share that is almost right."""
    marks = []
    for index, graded in enumerate(by_exercise):
        y, left = index * ROW, 60.0
        marks.append(f'<text x="0" y="{y + 17}">{text(graded[0].exercise)}</text>')
        for outcome, shade in SHADES.items():
            share = sum(one.outcome is outcome for one in graded) / len(graded)
            marks.append(
                f'<rect x="{left:g}" y="{y + 4}" width="{share * WIDTH:g}" height="{ROW - 8}" '
                f'fill="{COLOUR}" fill-opacity="{shade}"/>'
            )
            left += share * WIDTH
        marks.append(
            f'<text x="{left + 6:g}" y="{y + 17}">{_percent(graded, Outcome.RIGHT)}</text>'
        )
    label = "Share of answers that are right (full) and almost right (faint), by exercise"
    return f"<p>{label}.</p>" + _svg(WIDTH + 110, ROW * len(by_exercise), label, marks)


def _exercises(by_exercise: Sequence[Sequence[Graded]]) -> str:
    outcomes = [o for o in Outcome if any(one.outcome is o for g in by_exercise for one in g)]
    rows = [
        (
            f"{graded[0].exercise} {graded[0].title}",
            f"{number(sum(one.points for one in graded) / len(graded))} "
            f"of {number(graded[0].max_points)}",
            *(_percent(graded, outcome) for outcome in outcomes),
        )
        for graded in by_exercise
    ]
    return table(("Exercise", "Points on average", *outcomes), rows)


def _misconceptions(by_exercise: Sequence[Sequence[Graded]]) -> str:
    rows = []
    for graded in by_exercise:
        found = Counter(one.misconception for one in graded if one.misconception)
        for name, count in sorted(found.items(), key=lambda pair: (-pair[1], pair[0])):
            share = f"{100 * count / len(graded):.0f} %"
            rows.append((graded[0].exercise, f"The code {name}.", str(count), share))
    if not rows:
        return "<p>None was found.</p>"
    return table(("Exercise", "Misconception", "Students", "Share"), rows)


def _percent(graded: Sequence[Graded], outcome: Outcome) -> str:
    return f"{100 * sum(one.outcome is outcome for one in graded) / len(graded):.0f} %"


def _svg(width: float, height: float, label: str, marks: Sequence[str]) -> str:
    return (
        f'<svg role="img" aria-label="{text(label)}" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}">{"".join(marks)}</svg>'
    )
