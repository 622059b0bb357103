"""`labkit statistics`: what learners get wrong in each lab, and how often, over many classes.

The pages name no student. A share stands with its standard error: of twelve students, three more
or fewer are chance.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from labkit.checks import registry
from labkit.files import write_whole
from labkit.grading.grades import kept_records
from labkit.grading.judging.results import Graded, Outcome, Record
from labkit.grading.reports.pages import Html, bar, document, table, text

Classes = Mapping[str, Sequence[Record]]
"""Each class by its name, with the records of those who were graded."""
ANSWERED = (Outcome.ALMOST, Outcome.WRONG, Outcome.ERROR)
"""Outcomes of an answer that is not right, and of which a known mistake may be the cause."""


def write_statistics(folders: Sequence[Path], out: Path) -> list[Path]:
    """Write a page for each lab of which there are results; return them.

    Parameters
    ----------
    folders : sequence of Path
        What `labkit grade --out` made, one folder for each class and lab. A class has the name of
        its folder, or of the one above if folders of several classes share a name.
    out : Path
        Where to.

    Raises
    ------
    ValueError
        If a folder holds no results.
    """
    labs: dict[int, dict[str, list[Record]]] = defaultdict(dict)
    for folder, name in zip(folders, _names(folders), strict=True):
        records = [record for record in kept_records(folder) if record.graded]
        if records:
            labs[int(records[0].graded[0].exercise.partition(".")[0])][name] = records
    pages = []
    for lab, classes in sorted(labs.items()):
        pages.append(out / f"lab{lab}.html")
        write_whole(pages[-1], statistics_page(lab, classes))
    return pages


def statistics_page(lab: int, classes: Classes) -> str:
    """Return the page of a lab."""
    title = f"Lab {lab}: {registry.title(lab)}: what learners get wrong"
    columns = _by_exercise(classes)
    parts = [
        f"<h1>{text(title)}</h1>",
        table(("Class", "Students", "Mean points"), _summary(classes)),
        "<h2>Exercises</h2>",
        "<p>The share of answers that are right, with its standard error.</p>",
        table(("Exercise", "", "All", *classes), _exercises(columns)),
        "<h2>Known misconceptions</h2>",
        "<p>Of all students, the share whose answer shows it.</p>",
        table(("Exercise", "Misconception", "", "All", *classes), _misconceptions(columns)),
        "<h2>Not explained</h2>",
        "<p>Of the answers that are not right, those that no known misconception explains: worth "
        "a look, since a message could be written for what they have in common.</p>",
        table(("Exercise", "Not right", "", "Not explained"), _unexplained(columns)),
    ]
    return document(title, parts)


def _names(folders: Sequence[Path]) -> list[str]:
    resolved = [folder.resolve() for folder in folders]
    counts = Counter(folder.name for folder in resolved)
    return [f.name if counts[f.name] == 1 else f"{f.parent.name}/{f.name}" for f in resolved]


def _by_exercise(classes: Classes) -> dict[str, dict[str, list[Graded]]]:
    """Return each exercise with the answers of each class; labs may have got new exercises."""
    found: dict[str, dict[str, list[Graded]]] = {}
    for name, records in classes.items():
        for graded in (one for record in records for one in record.graded):
            answers = found.setdefault(graded.exercise, {key: [] for key in classes})
            answers[name].append(graded)
    return dict(sorted(found.items(), key=lambda pair: [*map(int, pair[0].split("."))]))


def _summary(classes: Classes) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, records in classes.items():
        mean = sum(record.points for record in records) / len(records)
        rows.append((name, str(len(records)), f"{mean:.1f} of {records[0].max_points:g}"))
    return rows


def _exercises(columns: Mapping[str, Mapping[str, list[Graded]]]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for exercise, classes in columns.items():
        everybody = _together(classes)
        right = [sum(g.outcome is Outcome.RIGHT for g in found) for found in classes.values()]
        shares = (_share(n, len(f)) for n, f in zip(right, classes.values(), strict=True))
        drawn = bar({1.0: sum(right) / len(everybody)})
        head = f"{exercise} {everybody[-1].title}"
        rows.append((head, drawn, _share(sum(right), len(everybody)), *shares))
    return rows


def _misconceptions(columns: Mapping[str, Mapping[str, list[Graded]]]) -> list[tuple[str, ...]]:
    rows: list[tuple[float, tuple[str, ...]]] = []
    for exercise, classes in columns.items():
        everybody = _together(classes)
        counts = Counter(g.misconception for g in everybody if g.misconception)
        for name, count in counts.items():
            share = count / len(everybody)
            each = (
                _share(sum(g.misconception == name for g in found), len(found))
                for found in classes.values()
            )
            cells = (f"The code {name}.", bar({1.0: share}), _share(count, len(everybody)))
            rows.append((-share, (exercise, *cells, *each)))
    return [row for _, row in sorted(rows)]


def _unexplained(columns: Mapping[str, Mapping[str, list[Graded]]]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for exercise, classes in columns.items():
        wrong = [g for g in _together(classes) if g.outcome in ANSWERED]
        if wrong:
            unnamed = sum(not g.misconception for g in wrong)
            share = bar({1.0: unnamed / len(wrong)})
            rows.append((exercise, str(len(wrong)), share, str(unnamed)))
    return rows


def _together(classes: Mapping[str, list[Graded]]) -> list[Graded]:
    return [graded for found in classes.values() for graded in found]


def _share(count: int, total: int) -> str:
    """Write a share with its standard error; a dash where nobody was asked."""
    if not total:
        return Html("&ndash;")
    # One more right and one more wrong: that all of three are right does not make it certain.
    likely = (count + 1) / (total + 2)
    error = math.sqrt(likely * (1 - likely) / (total + 2))
    return f"{100 * count / total:.0f} ± {100 * error:.0f} %"
