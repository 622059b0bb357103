"""The page that a class may see: ranks, error bars, and no code of anybody's."""

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.checks.exercise import Exercise
from labkit.grading.course import Course
from labkit.grading.judging.measuring import FEWEST_CASES, open_rule, reference_shares
from labkit.grading.judging.results import Record
from labkit.grading.reports.leaderboard.naming import Naming, public_names
from labkit.grading.reports.leaderboard.ranking import CONFIDENCE, Standing, standings
from labkit.grading.reports.pages import COLOUR, Html, document, picture, table, text

OWN = "the lab's own solution"
WIDTH, HEIGHT, EDGE = 260, 20, 8


@dataclass(frozen=True)
class Board:
    """The ranks of one lab.

    Attributes
    ----------
    title : str
        The lab's name.
    names : dict
        Each student to what they are called in public.
    ranked : list of (Exercise, list of Standing)
        Each open exercise to everybody's place, by those names.
    own : dict
        The id of each open exercise to what the lab's own solution reaches.
    """

    title: str
    names: dict[str, str]
    ranked: list[tuple[Exercise, list[Standing]]]
    own: dict[str, Standing]

    def page(self) -> str:
        """Return the page."""
        share = f"{CONFIDENCE:.0%}"
        parts = [
            f"<h1>{text(self.title)}: leaderboard</h1>",
            "<p>Right answers, measured by the grader from what they return, on "
            f"{FEWEST_CASES} hidden inputs or more, the same for all. Lines are {share} confidence "
            "intervals of the mean. Two are compared input by input: who is not better beyond "
            f"chance ({share}) shares a rank.</p>",
        ]
        for exercise, found in self.ranked:
            rule = open_rule(exercise)
            parts += [f"<h2>{text(f'{exercise.id} {exercise.title}')}</h2>"]
            parts += [f"<p>Counted: {text(rule.what)}.</p>"] if rule else []
            parts += [self._table(exercise, found)]
        return document(f"{self.title}: leaderboard", parts)

    def lines(self, student: str) -> list[str]:
        """Return what a student reads about their own places."""
        name = self.names.get(student)
        return [
            f"Leaderboard of {exercise.id}: {name}, rank {one.rank} of {len(found)}, {_share(one)}."
            for exercise, found in self.ranked
            for one in found
            if one.name == name
        ]

    def _table(self, exercise: Exercise, found: Sequence[Standing]) -> str:
        own = self.own[exercise.id]
        everybody = [*found, own]
        low = min(one.mean - one.margin for one in everybody)
        high = max(one.mean + one.margin for one in everybody)
        rows = [(str(one.rank), one.name, _drawn(one, low, high), _share(one)) for one in found]
        rows.append(("", OWN, _drawn(own, low, high), _share(own)))
        if not found:
            return f"<p>Nobody's answer is right yet; {text(OWN)} reaches {_share(own)}.</p>"
        return table(("Rank", "Who", "", "Mean"), rows)


def board(records: Sequence[Record], course: Course, naming: Naming, secret: int) -> Board:
    """Rank a class.

    Parameters
    ----------
    records : sequence of Record
        The class, graded with a leaderboard.
    course : Course
        The lab.
    naming : "names" or "pseudonyms"
        What people are called.
    secret : int
        What hidden inputs and pseudonyms are drawn from.
    """
    names = public_names((record.student for record in records), naming, secret)
    ranked, own = [], {}
    for exercise in open_exercises(course):
        by_name = {
            names[record.student]: graded.reached
            for record in records
            for graded in record.graded
            if graded.exercise == exercise.id and graded.reached
        }
        ranked.append((exercise, standings(by_name)))
        (own[exercise.id],) = standings({OWN: reference_shares(exercise, secret)})
    return Board(f"Lab {course.lab}: {course.title}", names, ranked, own)


def require_open(course: Course) -> None:
    """Raise ValueError if nothing in a lab can be ranked."""
    if not open_exercises(course):
        raise ValueError(
            f"lab {course.lab} has no open exercise: its answers are right or wrong, and none is "
            "better than another. Leave --leaderboard out."
        )


def open_exercises(course: Course) -> list[Exercise]:
    """Return the exercises of a lab that can be ranked."""
    return [task.exercise for task in course.tasks if open_rule(task.exercise)]


def _share(one: Standing) -> str:
    return f"{100 * one.mean:.2f} ± {100 * one.margin:.2f} %"


def _drawn(one: Standing, low: float, high: float) -> Html:
    """Draw a mean as a point and its interval as a line."""

    def at(value: float) -> float:
        width = WIDTH - 2 * EDGE
        return round(EDGE + width * (value - low) / ((high - low) or 1.0), 1)

    left, middle, right = (at(one.mean + side * one.margin) for side in (-1, 0, 1))
    y = HEIGHT / 2
    marks = [
        f'<line x1="{left:g}" y1="{y:g}" x2="{right:g}" y2="{y:g}" stroke="{COLOUR}" '
        'stroke-width="2"/>',
        f'<circle cx="{middle:g}" cy="{y:g}" r="5" fill="{COLOUR}"/>',
    ]
    return picture(WIDTH, HEIGHT, _share(one), marks)
