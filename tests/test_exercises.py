"""Every exercise of every lab: right answers accepted, known mistakes named, all others refused."""

import functools
import runpy
import time

import honest_answers
import numpy as np
import pytest
import torch
from remembered import Remembered

from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.exercise import Exercise, Misconception
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.messages import verdict_card
from labkit.checks.verdict import State, Verdict, judge


def right_answers(number: int) -> dict[str, list]:
    found: dict[str, list] = {}
    for path in honest_answers.files(number):
        found |= runpy.run_path(str(path))["RIGHT_ANSWERS"]
    return found


EXERCISES = [e for number in registry.STEMS for e in registry.exercises(number)]
MISTAKES = [(e, m) for e in EXERCISES for m in e.misconceptions]
RIGHT = [
    (exercise, answer)
    for number in registry.STEMS
    for answers in [right_answers(number)]
    for exercise in registry.exercises(number)
    for answer in answers[exercise.id]
]
SEEDS = (NOTEBOOK_SEED, 0, 1, 2**40 + 7)
PATIENCE = 600  # a busy machine is no bug


class Liar:
    """Equal to everything, and an array of whatever is wanted."""

    shape = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __array__(self, *args: object, **options: object) -> np.ndarray:
        return np.zeros(())


class LyingTensor(torch.Tensor):
    """A tensor that compares equal to all others."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        return True


WRONG = {
    "None": lambda *args: None,
    "zero": lambda *args: 0,
    "its input": lambda *args: args[0],
    "all inputs": lambda *args: args,
    "NaN": lambda *args: torch.full((2, 3), torch.nan),
    "three times NaN": lambda *args: (torch.nan,) * 3,
    "two numbers in a tensor": lambda *args: torch.tensor([0.5, 2.0]),
    "a liar": lambda *args: Liar(),
    "lying tensors": lambda *args: torch.zeros(3).as_subclass(LyingTensor),
    "a text": lambda *args: "42",
    "an empty tensor": lambda *args: torch.zeros(0),
    "a generator": lambda *args: (x for x in args),
}


def verdict(exercise: Exercise, answer, seed: int = NOTEBOOK_SEED) -> Verdict:
    known = remembered(exercise.id)
    cases = known.cases(seed)
    return judge(known.exercise, cases, call_all(answer, cases, PATIENCE))


@functools.cache
def remembered(key: str) -> Remembered:
    return Remembered.of(next(e for e in EXERCISES if e.id == key))


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_the_reference_passes(exercise: Exercise) -> None:
    for seed in SEEDS:
        assert verdict(exercise, exercise.reference, seed).state is State.PASSED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("exercise", "answer"),
    RIGHT,
    # An object's repr holds its address: another name at every run.
    ids=[f"{e.id}-{getattr(a, '__name__', type(a).__name__)}" for e, a in RIGHT],
)
def test_right_answers_of_other_styles_are_accepted(exercise: Exercise, answer) -> None:
    for seed in SEEDS:
        found = verdict(exercise, answer, seed)
        assert found.state is State.PASSED, repr(verdict_card(found))


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_there_are_three_other_right_answers(exercise: Exercise) -> None:
    assert sum(e.id == exercise.id for e, _ in RIGHT) >= 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("exercise", "mistake"), MISTAKES, ids=[f"{e.id}-{m.name}" for e, m in MISTAKES]
)
def test_each_mistake_is_refused_with_its_own_message(
    exercise: Exercise, mistake: Misconception
) -> None:
    for seed in SEEDS:
        found = verdict(exercise, mistake.wrong, seed)
        assert found.state is not State.PASSED
        assert found.diagnosis is not None
        assert found.diagnosis.message == mistake.message
        assert mistake.message in " ".join(repr(verdict_card(found)).split("\n"))


def said(exercise: Exercise, args: tuple):
    """What the reference returns; a test that raises says no."""
    try:
        return exercise.reference(*args)
    except Exception:
        if exercise.kind != "test":
            raise
        return False


def table_of_the_notebook(exercise: Exercise):
    """An answer that knows what the notebook calls it with, and nothing else."""

    def key(args: tuple) -> str:
        return repr([(a.dtype, a.tolist()) if isinstance(a, torch.Tensor) else a for a in args])

    known = {key(c.args): said(exercise, c.args) for c in exercise.draw(NOTEBOOK_SEED)}
    return lambda *args: known.get(key(args))


@pytest.mark.slow
@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_a_table_of_the_notebooks_inputs_passes_nowhere_else(exercise: Exercise) -> None:
    table = table_of_the_notebook(exercise)
    for seed in SEEDS[1:]:
        assert verdict(exercise, table, seed).state is not State.PASSED


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_nonsense_earns_nothing(exercise: Exercise) -> None:
    found = {name: verdict(exercise, wrong) for name, wrong in WRONG.items()}
    refused = State.NOT_YET, State.RAISED
    assert [(name, v.state) for name, v in found.items() if v.state not in refused] == []
    assert [name for name, v in found.items() if v.points] == []


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_a_right_answer_in_a_wrong_shape_is_refused(exercise: Exercise) -> None:
    def in_a_box(*args):
        result = exercise.reference(*args)
        return (result,) if isinstance(result, tuple) else torch.as_tensor(result)[None, None]

    def stacked(*args):
        result = exercise.reference(*args)
        return torch.stack([torch.as_tensor(result)] * 2) if not isinstance(result, tuple) else 1

    for wrong in (in_a_box, stacked):
        found = verdict(exercise, wrong)
        # A test returns a bool; called here, it could meet an implementation that raises.
        scalar = exercise.kind == "test" or (
            exercise.names == () and np.ndim(exercise.reference(*exercise.draw(0)[0].args)) == 0
        )
        if not (wrong is in_a_box and scalar):  # one number in a box is still that number
            assert found.state is not State.PASSED


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_a_check_is_quick_and_says_the_same_at_every_run(exercise: Exercise) -> None:
    start = time.thread_time()  # not what an earlier answer still does in a thread of its own
    cards = []
    for _ in range(2):
        cases = exercise.draw(NOTEBOOK_SEED)
        cards.append(verdict_card(judge(exercise, cases, call_all(lambda *args: None, cases))))
    assert time.thread_time() - start < 2
    assert repr(cards[0]) == repr(cards[1])
    assert cards[0]._repr_html_() == cards[1]._repr_html_()


def test_ids_are_unique_and_of_their_lab() -> None:
    assert len({e.id for e in EXERCISES}) == len(EXERCISES)
    for number in registry.STEMS:
        assert all(e.id.split(".")[0] == str(number) for e in registry.exercises(number))


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_hints_climb_in_at_least_three_steps(exercise: Exercise) -> None:
    assert len(exercise.hints) >= 3
    assert len(set(exercise.hints)) == len(exercise.hints)
    assert len(exercise.misconceptions) >= 3


def test_a_mistake_is_named_within_the_tolerance_of_its_exercise() -> None:
    exercise = next(e for e in EXERCISES if e.id == "2.6")
    mistake = exercise.misconceptions[0]
    near = 1 + exercise.rules[0].relative / 2

    def nearly_as_mistaken(*args):
        return near * torch.as_tensor(mistake.wrong(*args)).double()

    assert exercise.rules[0].relative > 1e-5
    assert verdict(exercise, nearly_as_mistaken).diagnosis.message == mistake.message


def test_where_some_numbers_are_wrong_a_call_with_right_ones_is_not_shown() -> None:
    exercise = next(e for e in EXERCISES if e.id == "1.3")

    def real(x, *grid):
        q = exercise.reference(x, *grid).float()
        return q if x.numel() < 3 else q + 7.5

    assert any(case.args[0].numel() < 3 for case in exercise.draw(NOTEBOOK_SEED))
    failure = verdict(exercise, real).failure
    assert failure is not None
    assert failure.rows
    assert "The numbers are right" not in failure.problem
