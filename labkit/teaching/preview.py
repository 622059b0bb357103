"""`labkit preview`: the card for an answer, or for every known mistake, without a notebook."""

from pathlib import Path
from types import FunctionType
from typing import Any

from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.card import Card
from labkit.checks.errors import explain
from labkit.checks.exercise import Exercise
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.messages import hint_card, verdict_card
from labkit.checks.verdict import judge
from labkit.grading.course import released_course
from labkit.grading.reports.pages import document, text
from labkit.start import LABS

Preview = tuple[str, Card]
"""What the card is for, in words, and the card."""


def preview(exercise_id: str, answer: Path | None = None, labs: Path = LABS) -> list[Preview]:
    """Return the cards that a notebook would show.

    Parameters
    ----------
    exercise_id : str
        "1.3".
    answer : Path, optional
        A file that defines the function, as its cell does: what the lab's own cells import and
        define is there. Without it there is a card for the right answer, for every mistake that
        the exercise knows, and for its hints.
    labs : Path
        Where the labs are.

    Raises
    ------
    ValueError
        If there is no such exercise, or the file does not define its function.
    """
    exercise = _exercise(exercise_id)
    if answer is not None:
        return [(f"{answer.name}", _card(exercise, _defined(answer, exercise, labs)))]
    return [
        ("the right answer", _card(exercise, exercise.reference)),
        *((f"code that {m.name}", _card(exercise, m.wrong)) for m in exercise.misconceptions),
        ("all hints", hint_card(exercise, len(exercise.hints))),
    ]


def preview_page(exercise_id: str, cards: list[Preview]) -> str:
    """Return the cards as a page of their own."""
    title = f"Exercise {exercise_id}: what its cards say"
    parts = [f"<h1>{text(title)}</h1>"]
    for what, card in cards:
        parts += [f"<h2>For {text(what)}</h2>", card._repr_html_()]
    return document(title, parts)


def _exercise(exercise_id: str) -> Exercise:
    lab = exercise_id.partition(".")[0]
    if not lab.isdigit() or int(lab) not in registry.STEMS:
        raise ValueError(
            f"there is no exercise {exercise_id!r}; expected one like 1.3 of the labs "
            f"{sorted(registry.STEMS)}."
        )
    exercises = {exercise.id: exercise for exercise in registry.exercises(int(lab))}
    if exercise_id not in exercises:
        raise ValueError(f"lab {lab} has no exercise {exercise_id}; expected {[*exercises]}.")
    return exercises[exercise_id]


def _card(exercise: Exercise, function: Any) -> Card:
    cases = exercise.draw(NOTEBOOK_SEED)
    return verdict_card(judge(exercise, cases, call_all(function, cases), function))


def _defined(answer: Path, exercise: Exercise, labs: Path) -> Any:
    """Run a file where the lab's own definitions stand, and return the function that it makes."""
    lab = int(exercise.id.partition(".")[0])
    released = (labs / f"{registry.STEMS[lab]}.ipynb").read_text("utf-8")
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(released_course(lab, released).setup, names)
    given = set(names)
    try:
        exec(compile(answer.read_text("utf-8"), str(answer), "exec"), names)
    except Exception as error:
        raise ValueError(f"{answer} does not run: {explain(error)}") from None
    function = names.get(exercise.function)
    if not callable(function):
        made = {name: names[name] for name in names.keys() - given}
        others = sorted(name for name, one in made.items() if isinstance(one, FunctionType))
        raise ValueError(
            f"{answer} makes no function {exercise.function}, which exercise {exercise.id} asks "
            f"for; there are {', '.join(others) or 'none'}."
        )
    return function
