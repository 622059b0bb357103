"""What each lab gives to grading: its answers pass, and its sandbox hides what it asks for."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import grading_support as support
import pytest

from labkit.checks import registry
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.grading.course import (
    PACKAGE,
    REFERENCES,
    SHARED,
    STAND_IN,
    Course,
    load_course,
    sandbox_files,
)
from labkit.grading.judging.execution import grade_answers, inputs_seed
from labkit.grading.judging.results import Graded, Outcome, Record
from labkit.grading.reports.feedback import page
from labkit.grading.reports.gradebook import gradescope
from labkit.grading.sandbox.box import Sandbox
from labkit.grading.sandbox.bubblewrap import problem
from labkit.grading.submission.reading import Submission

pytestmark = pytest.mark.slow

SOLUTIONS = Path(__file__).parents[1] / "solutions"
# An answer whose message tells which inputs it was called with, and nothing else.
TELLS = """
def {}(*args):
    import hashlib, torch
    torch.set_printoptions(precision=9, threshold=10**6)
    told = repr(args)
    torch.set_printoptions(profile="default")
    raise ValueError(hashlib.sha256(told.encode()).hexdigest())
"""
LABS = [lab for lab, stem in registry.STEMS.items() if (SOLUTIONS / f"{stem}.ipynb").exists()]


@pytest.fixture(scope="module", params=LABS)
def course(request: pytest.FixtureRequest) -> Course:
    return load_course(request.param, SOLUTIONS)


@pytest.fixture(scope="module")
def sandbox(course: Course) -> Iterator[Sandbox]:
    if problem():
        pytest.skip(f"no sandbox: {problem()}")
    with Sandbox(sandbox_files(course.lab), course.modules) as box:
        yield box


def graded(course: Course, sandbox: Sandbox, field: str) -> list[Graded]:
    answers = {task.grade_id: getattr(task, field) for task in course.tasks}
    return grade_answers(course, Submission.of(course, answers), sandbox, seed=support.SEED)


def test_the_solution_gets_all_points(course: Course, sandbox: Sandbox) -> None:
    found = graded(course, sandbox, "solution")
    assert {result.exercise: str(result.outcome) for result in found} == dict.fromkeys(
        (task.exercise.id for task in course.tasks), "right"
    )
    assert sum(result.points for result in found) == sum(t.exercise.points for t in course.tasks)


def test_the_unsolved_lab_gets_none(course: Course, sandbox: Sandbox) -> None:
    found = graded(course, sandbox, "stub")
    assert {result.outcome for result in found} == {Outcome.NOT_ATTEMPTED}
    assert sum(result.points for result in found) == 0


def test_answers_that_tell_their_inputs_tell_the_instructor_only(
    course: Course, sandbox: Sandbox
) -> None:
    answers = {task.grade_id: TELLS.format(task.exercise.function) for task in course.tasks}
    handed_in = Submission.of(course, answers)
    found = grade_answers(course, handed_in, sandbox, seed=support.SEED)
    tell: dict = {}
    exec(TELLS.format("told"), tell)
    for task, result in zip(course.tasks, found, strict=True):
        drawn_from = inputs_seed(support.SEED, task.exercise.id, handed_in)
        secret, public = (
            {str(raised(tell["told"], case.args)) for case in task.exercise.draw(seed)}
            for seed in (drawn_from, NOTEBOOK_SEED)
        )
        record = Record("ada", (result,))
        students = page("Lab", record, instructor=False) + gradescope(record)
        assert not [digest for digest in secret - public if digest in students]
        instructors = page("Lab", record, instructor=True)
        assert any(digest in instructors for digest in secret), task.exercise.id


def raised(function, arguments) -> Exception:
    try:
        function(*arguments)
    except ValueError as error:
        return error
    raise AssertionError("it did not raise")


def test_earlier_packages_work_inside_and_the_labs_own_does_not(
    course: Course, sandbox: Sandbox
) -> None:
    for number, names in REFERENCES.items():
        for name in names:
            spec = importlib.util.find_spec(f"labkit.{name}")
            if spec is None or spec.origin is None:
                continue
            public = public_function(Path(spec.origin))
            use = f"from labkit.{name} import {public}\n{public}()"
            with sandbox.process() as process:
                status, message = process.ask(("cell", "<probe>", use), 20)
            assert status == "raised"
            stands_in = "is not there while answers are graded" in message
            assert stands_in == (number >= course.lab), (name, message)


def public_function(path: Path) -> str:
    """Return something that a module offers and that cannot be called without arguments."""
    tree = ast.parse(path.read_text("utf-8"))
    functions = [n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.args.args]
    names = [a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names]
    public = [n for n in (functions or names) if not n.startswith("_") and n[0].islower()]
    return public[-1]


def test_every_module_is_there_as_itself_or_as_a_stand_in(course: Course) -> None:
    files = sandbox_files(course.lab)
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE)
        if name.parts[0] in ("checks", "grading", "data"):
            continue
        assert files[f"labkit/{name}"] in (path, PACKAGE / STAND_IN)
    for name in SHARED:
        assert files[f"labkit/{name}.py"] == PACKAGE / f"{name}.py"
    assert not any(name.startswith(f"labkit/checks/lab{course.lab}") for name in files)


def test_of_the_given_cells_definitions_are_kept_and_work_is_not(tmp_path: Path) -> None:
    notebook = support.solved_notebook()
    notebook["cells"][0]["source"] += (
        "\nSTEPS = 16\nimages = torch.zeros(3)\nimages[0] = 255.0\nlab.progress()"
        "\n%matplotlib inline\ndef twice(x):\n    return 2 * x"
    )
    support.save(tmp_path, notebook)
    setup = load_course(support.LAB, tmp_path).setup
    assert "STEPS = 16" in setup
    assert "def twice" in setup
    assert "images" not in setup
    assert "progress" not in setup
