"""`Lab`: what a notebook talks to."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.checks import registry, restart
from labkit.checks.borrowed import Borrowed, given_cells
from labkit.checks.calling import call_all, safe_to_use
from labkit.checks.card import Card, Table, Text, show
from labkit.checks.exercise import Exercise
from labkit.checks.messages import (
    TONES,
    fallback_note,
    hint_card,
    points,
    same_note,
    verdict_card,
)
from labkit.checks.nbgrader import bind, tell_nbgrader, under_nbgrader
from labkit.checks.page import keep_picture, write_page
from labkit.checks.plan import plan_card
from labkit.checks.progress import Progress
from labkit.checks.rehearsal import rehearsal_card
from labkit.checks.values import number
from labkit.checks.verdict import State, Verdict, judge
from labkit.start import LABS, notice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTEBOOK_SEED = 5


class CheckFailed(AssertionError):
    """Raised under nbgrader, which takes a cell without an exception for a right answer."""


class Lab:
    """The checks, hints and progress of one lab.

    Parameters
    ----------
    number : int
        Which lab.

    Examples
    --------
    >>> lab = Lab(1)
    >>> quantize = lab.check("1.3", quantize)  # doctest: +SKIP
    """

    def __init__(self, number: int) -> None:
        self._exercises = {e.id: e for e in registry.exercises(number)}
        self._number = number
        self._title = registry.title(number)
        self._progress = Progress.of_lab(number)
        self._verdicts: dict[str, Verdict] = {}
        self._passed: dict[str, Callable[..., Any]] = {}
        self._hints_shown: dict[str, int] = {}
        _explain_missing_names(LABS / f"{registry.STEMS[number]}.ipynb")
        if under_nbgrader():
            for exercise in self._exercises.values():
                # An answer cell that does not even run must cost the later ones nothing.
                bind(exercise)
        if other_release := notice(restart.running_notebook()):
            show(Card("warn", "Another release of labkit", (Text(other_release),)))

    def __repr__(self) -> str:
        return f"Lab {self._number}: {self._title}, {len(self._exercises)} exercises"

    def check(self, exercise_id: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Check an answer, show the card, and return the function to go on with.

        Parameters
        ----------
        exercise_id : str
            "1.3".
        function : callable
            The student's function.

        Returns
        -------
        callable
            `function` if it passed. Else the reference for the lab's cells and later answers, and
            `function` for your own cells and pictures.

        Raises
        ------
        CheckFailed
            Under nbgrader only, if the answer earns no points.
        """
        exercise = self._exercise(exercise_id)
        if again := isinstance(function, Borrowed):
            function = function.own
        if not callable(function) or function is exercise.reference:
            card = _no_answer(exercise, function)
            show(card)
            if under_nbgrader():
                raise CheckFailed(repr(card))
            return exercise.reference
        cases = exercise.draw(NOTEBOOK_SEED)
        verdict = judge(exercise, cases, call_all(function, cases), function)
        self._verdicts[exercise_id] = verdict
        card = verdict_card(verdict)
        if verdict.state is State.NOT_STARTED and self._progress.best.get(exercise_id):
            card = Card(card.tone, card.headline, (Text(fallback_note(exercise)), *card.blocks))
        passed = function is self._passed.get(exercise_id)
        if passed or (again and verdict.state is not State.NOT_STARTED):
            card = Card(card.tone, card.headline, (*card.blocks, Text(same_note(exercise, passed))))
        self._progress.record(verdict)
        show(card)
        if verdict.state is not State.PASSED:
            if under_nbgrader():
                bind(exercise)
                if not verdict.points:
                    raise CheckFailed(repr(card))
                tell_nbgrader(verdict.points)
                return exercise.reference
            return self._borrowed(exercise, function, verdict.state is not State.NOT_STARTED)
        self._passed[exercise_id] = safe_to_use(
            function, verdict.numpy, judges=exercise.kind == "test"
        )
        return self._passed[exercise_id]

    def _borrowed(
        self, exercise: Exercise, own: Callable[..., Any], started: bool
    ) -> Callable[..., Any]:
        """Return what stands under the name of an answer that did not pass."""
        answers = [each.function for each in self._exercises.values()]
        given = given_cells(LABS / f"{registry.STEMS[self._number]}.ipynb")
        return Borrowed(own, exercise.reference, given, answers, started)

    def failed_call(self, exercise_id: str) -> tuple[Any, ...]:
        """Return the arguments of the call that the last check of this exercise showed.

        Raises
        ------
        ValueError
            If that exercise has no failed check in this session.
        """
        verdict = self._verdicts.get(self._exercise(exercise_id).id)
        if verdict is None or verdict.failure is None:
            raise ValueError(
                f"exercise {exercise_id} has no failed check since the kernel started; "
                "run its check cell first."
            )
        return verdict.failure.case.args

    def hint(self, exercise_id: str) -> None:
        """Show the next hint of an exercise, under those already seen."""
        exercise = self._exercise(exercise_id)
        shown = min(self._hints_shown.get(exercise_id, 0) + 1, len(exercise.hints))
        self._hints_shown[exercise_id] = shown
        show(hint_card(exercise, shown))

    def plan(self) -> None:
        """Show how long each exercise takes, and which ones the core path leaves out."""
        show(plan_card(self._number))

    def progress(self) -> None:
        """Show the points of every exercise: the best reached, kept over restarts."""
        rows = []
        for exercise in self._exercises.values():
            best = self._progress.best.get(exercise.id, 0.0)
            verdict = self._verdicts.get(exercise.id)
            if best >= exercise.points:
                word = TONES[State.PASSED][1]
            elif verdict is not None:
                word = TONES[verdict.state][1]
            else:
                word = TONES[State.ALMOST if best else State.NOT_STARTED][1]
            score = f"{points(best)} of {exercise.points}"
            rows.append((f"{exercise.id} {exercise.title}", word, score))
        total = sum(self._progress.best.get(key, 0.0) for key in self._exercises)
        most = sum(exercise.points for exercise in self._exercises.values())
        notes = (Text(self._progress.problem),) if self._progress.problem else ()
        table = Table(("exercise", "state", "points"), tuple(rows))
        headline = f"Lab {self._number}: {self._title} · {points(total)} of {most} points"
        show(Card("good" if total == most else "plain", headline, (table, *notes)))

    def reveal(self, question: str, prediction: float | None, measured: float) -> None:
        """Put a prediction beside what was measured.

        Parameters
        ----------
        question : str
            What was asked, with its unit.
        prediction : float or None
            The student's number; None if there is none yet.
        measured : float
            What the notebook computed.

        Raises
        ------
        TypeError
            If the prediction is no number.
        """
        if not isinstance(prediction, int | float | None):
            raise TypeError(
                f"the prediction is {prediction!r}; expected a number without quotes, or None."
            )
        rows: tuple[tuple[str, ...], ...] = (("measured", number(measured)),)
        if prediction is None:
            note = "No prediction yet: write a number first, it makes the result stick."
        else:
            rows = (("your prediction", number(prediction)), *rows)
            note = f"Off by {number(abs(prediction - measured))}."
        show(Card("plain", question, (Table(("", "value"), rows), Text(note))))

    def keep(self, picture: "Axes | Figure", caption: str) -> None:
        """Keep one of your own pictures of this lab for the page with your results.

        Parameters
        ----------
        picture : Axes or Figure
            The picture, as `labkit.plots` returns it. It replaces an earlier one of this lab.
        caption : str
            What it shows, in a sentence.

        Raises
        ------
        ValueError, TypeError
            As `labkit.checks.page.keep_picture`.
        """
        keep_picture(self._number, picture, caption)

    def dry_run(self, notebook: str | Path | None = None) -> None:
        """Run your saved notebook as the grader would, and say what it would find.

        What would be taken for the answer to each exercise, what would be flagged, what is
        missing: with the inputs of the notebook, where the grader has hidden ones.

        Parameters
        ----------
        notebook : str or Path, optional
            Which one; by default the one that runs, where Jupyter says which that is.
        """
        show(rehearsal_card(notebook or restart.running_notebook()))

    def page(self, path: str | Path) -> None:
        """Write one HTML page with your results of all labs, to keep or to hand on.

        Parameters
        ----------
        path : str or Path
            Where to: "my_results.html". An earlier page there is replaced, no other file is.

        Raises
        ------
        ValueError
            As `labkit.checks.page.write_page`.
        """
        path = Path(path)
        write_page(path)
        text = (
            f"Your results of all labs, with the pictures that you kept, are in `{path}` beside "
            "this notebook: one file that opens in any browser."
        )
        show(Card("plain", "A page to keep", (Text(text),)))

    def _exercise(self, exercise_id: str) -> Exercise:
        if exercise_id not in self._exercises:
            known = ", ".join(self._exercises)
            advice = (
                "" if isinstance(exercise_id, str) else f' Write it in quotes: "{exercise_id}".'
            )
            raise ValueError(
                f"lab {self._number} has no exercise {exercise_id!r}; expected one of {known}."
                f"{advice}"
            )
        return self._exercises[exercise_id]


def _explain_missing_names(released: Path) -> None:
    """Do what the extension does, also where no configuration of IPython has loaded it."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        restart.load_ipython_extension(shell, released)


def _no_answer(exercise: Exercise, given: object) -> Card:
    kind = "the reference" if given is exercise.reference else f"a {type(given).__name__}"
    text = (
        f"{exercise.function} is {kind} now; expected your function. Run the cell with "
        f"`def {exercise.function}(...)` again, and give the check the function itself, "
        "without brackets behind it."
    )
    return Card("bad", f"✗ Not yet · Exercise {exercise.id}: {exercise.title}", (Text(text),))
