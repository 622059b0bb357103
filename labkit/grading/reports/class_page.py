"""How the class did, on one page: points, each exercise, the misconceptions, the flags."""

from collections import Counter
from collections.abc import Sequence

from labkit.grading.judging.results import Graded, Outcome, Record
from labkit.grading.printing import number
from labkit.grading.reports.pages import COLOUR, Html, bar, document, percent, picture, table, text

# One hue from full to faint; the numbers stand beside it, so it can be read without colours.
SHADES = {Outcome.RIGHT: 1.0, Outcome.ALMOST: 0.5}
WIDTH, HEIGHT = 560, 120
STEPS = (1, 2, 5, 10, 20, 50)
BINS = 15


def class_page(title: str, records: Sequence[Record], passed_over: Sequence[str] = ()) -> str:
    """Return the page about a class; for the instructor, since it names students.

    Parameters
    ----------
    title : str
        The lab's name.
    records : sequence of Record
        The class.
    passed_over : sequence of str
        What lay among the submissions and is nobody's, and why.
    """
    graded = [record for record in records if record.graded]
    parts = [f"<h1>{text(title)}: the class</h1>"]
    counts = Counter(str(record.status) for record in records)
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    parts.append(f"<p>{len(records)} submissions: {text(statuses)}.</p>")
    if left := [(r.student, f"{r.status}: {r.reason}") for r in records if not r.graded]:
        parts += ["<h2>Not graded</h2>", table(("Student", "Why"), left)]
    if passed_over:
        parts += ["<h2>Passed over</h2>", f"<p>{_lines(passed_over)}</p>"]
    if graded:
        by_exercise = list(zip(*(record.graded for record in graded), strict=True))
        parts += ["<h2>Points</h2>", _histogram(graded)]
        parts += ["<h2>Exercises</h2>", _exercises(by_exercise)]
        parts += ["<h2>Known misconceptions</h2>", _misconceptions(by_exercise)]
    if flagged := [(record.student, _lines(record.flags)) for record in records if record.flags]:
        parts += ["<h2>Flags</h2>", "<p>For you to judge.</p>"]
        parts.append(table(("Student", "What to look at"), flagged))
    return document(f"{title}: the class", parts)


def _histogram(records: Sequence[Record]) -> str:
    """Draw how many students have how many points."""
    most = records[0].max_points
    step = next((step for step in STEPS if step * BINS >= most), most / BINS)
    bins = max(1, -int(-most // step))
    places = (min(max(int(record.total / step), 0), bins - 1) for record in records)
    counts = Counter(places)
    tallest, width = max(counts.values()), WIDTH / bins
    marks = []
    for index in range(bins):
        size = HEIGHT * counts[index] / tallest
        left, top = 10 + index * width, 20 + HEIGHT - size
        marks += [
            f'<rect x="{left + 2:g}" y="{top:g}" width="{width - 4:g}" height="{size:g}" '
            f'fill="{COLOUR}"/>',
            _label(left + width / 2, top - 4, str(counts[index] or "")),
        ]
    ends = [number(min(index * step, most)) for index in range(bins + 1)]
    marks += [_label(10 + i * width, HEIGHT + 37, end) for i, end in enumerate(ends)]
    marks.append(_label(10 + WIDTH / 2, HEIGHT + 58, "points"))
    mean = sum(record.total for record in records) / len(records)
    label = f"Points of {len(records)} students: {number(mean)} of {number(most)} on average"
    return f"<p>{text(label)}.</p>" + picture(WIDTH + 20, HEIGHT + 66, label, marks)


def _label(x: float, y: float, words: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="middle">{text(words)}</text>'


def _exercises(by_exercise: Sequence[Sequence[Graded]]) -> str:
    outcomes = [o for o in Outcome if any(one.outcome is o for g in by_exercise for one in g)]
    rows = []
    for graded in by_exercise:
        shares = {o: sum(one.outcome is o for one in graded) / len(graded) for o in outcomes}
        mean = sum(one.points for one in graded) / len(graded)
        rows.append(
            (
                f"{graded[0].exercise} {graded[0].title}",
                bar({shade: shares.get(outcome, 0.0) for outcome, shade in SHADES.items()}),
                f"{number(mean)} of {number(graded[0].max_points)}",
                *(percent(share) for share in shares.values()),
            )
        )
    legend = "Bars: the share of answers that are right, and in a lighter shade almost right."
    return f"<p>{legend}</p>" + table(("Exercise", "", "Mean points", *outcomes), rows)


def _misconceptions(by_exercise: Sequence[Sequence[Graded]]) -> str:
    rows = []
    for graded in by_exercise:
        found = Counter(one.misconception for one in graded if one.misconception)
        for name, count in sorted(found.items(), key=lambda pair: (-pair[1], pair[0])):
            share = count / len(graded)
            drawn = bar({SHADES[Outcome.RIGHT]: share})
            rows.append(
                (graded[0].exercise, f"The code {name}.", drawn, str(count), percent(share))
            )
    if not rows:
        return "<p>None was found.</p>"
    return table(("Exercise", "Misconception", "", "Students", "Share"), rows)


def _lines(flags: Sequence[str]) -> Html:
    return Html("<br>".join(map(text, flags)))
