"""What grading one submission comes to, as plain data."""

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What came of one exercise, in the words of the gradebook."""

    RIGHT = "right"
    ALMOST = "almost"
    WRONG = "wrong"
    NOT_ATTEMPTED = "not attempted"
    ERROR = "error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASH = "crash"
    BROKEN = "broken file"
    FAILED = "grader failed"


@dataclass(frozen=True)
class Shown:
    """A card as HTML and as plain text."""

    html: str = ""
    text: str = ""


@dataclass(frozen=True)
class Graded:
    """One exercise of one student.

    Attributes
    ----------
    exercise, title, function : str
        Which exercise.
    outcome : Outcome
        What came of it, on the secret inputs.
    points, max_points : float
        Earned and possible.
    right, total : int
        Calls with a right result, of all.
    summary : str
        A sentence without secret inputs or expected values.
    misconception : str
        The known mistake that explains the results, in a few words; empty if none does.
    student_card : Shown
        The card that the notebook shows, from the notebook's own inputs.
    instructor_card : Shown
        The card for the secret inputs.
    answer : str
        The student's source.
    remark : str
        What an instructor should look at; empty if nothing.
    reached : tuple of float
        Of a right answer to an open exercise what it reaches on each input that is the same for
        all; empty without a leaderboard.
    """

    exercise: str
    title: str
    function: str
    outcome: Outcome
    points: float
    max_points: float
    right: int = 0
    total: int = 0
    summary: str = ""
    misconception: str = ""
    student_card: Shown = Shown()
    instructor_card: Shown = Shown()
    answer: str = ""
    remark: str = ""
    reached: tuple[float, ...] = ()


@dataclass(frozen=True)
class Record:
    """One row of the gradebook.

    Attributes
    ----------
    student : str
        The name of the folder.
    graded : tuple of Graded
        One for each exercise, in the lab's order.
    status : str
        "graded", "broken file" or "grader failed".
    reason : str
        Why, where `status` is not "graded".
    flags : tuple of str
        What an instructor should look at.
    late : float
        Points taken off for being late.
    extra : float
        Points added by hand.
    comment : str
        What the instructor says to the student.
    """

    student: str
    graded: tuple[Graded, ...]
    status: str = "graded"
    reason: str = ""
    flags: tuple[str, ...] = field(default=())
    late: float = 0.0
    extra: float = 0.0
    comment: str = ""

    @property
    def points(self) -> float:
        """Points of all exercises together."""
        return sum(graded.points for graded in self.graded)

    @property
    def total(self) -> float:
        """What counts in the end: ``points - late + extra``."""
        return self.points - self.late + self.extra

    @property
    def max_points(self) -> float:
        """Points that could be had."""
        return sum(graded.max_points for graded in self.graded)


def to_json(record: Record) -> str:
    """Write a record; the same record gives the same text."""
    return json.dumps(asdict(record), indent=1, ensure_ascii=True)


def from_json(text: str) -> Record:
    """Read what `to_json` wrote.

    Raises
    ------
    ValueError
        If `text` is anything else.
    """
    try:
        row = json.loads(text)
        graded = tuple(_graded(item) for item in row.pop("graded"))
        return Record(**{**row, "graded": graded, "flags": tuple(row["flags"])})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"this is no record of a graded submission: {error}.") from None


def _graded(item: dict[str, Any]) -> Graded:
    cards = {key: Shown(**item[key]) for key in ("student_card", "instructor_card")}
    values = {"outcome": Outcome(item["outcome"]), "reached": tuple(item["reached"])}
    return Graded(**{**item, **cards, **values})
