"""Which cells count, and in which order: the rule, without running anything."""

import grading_support as support
import pytest

from labkit.grading.course import Course
from labkit.grading.submission.makes import is_stub, makes
from labkit.grading.submission.rule import Arrangement, Cell, Step

F = "def quantize(*args):\n    return 1"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    return support.course(tmp_path_factory.mktemp("solutions"))


def arrangement(course: Course, *cells: tuple[str, str]) -> Arrangement:
    return Arrangement([Cell(i, source, key) for i, (source, key) in enumerate(cells, 1)], course)


def task(course: Course, exercise: str = "1.3"):
    return next(task for task in course.tasks if task.exercise.id == exercise)


def sources(found: list[Step]) -> list[str]:
    return [step.source for step in found]


@pytest.mark.parametrize(
    "source",
    [
        F,
        "async def quantize(): pass",
        "quantize = lambda x: x",
        "quantize: object = 1",
        "a, quantize = 1, 2",
        "if True:\n    def quantize(): pass",
        "try:\n    import x\nexcept ImportError:\n    quantize = None",
        "from mine import quantize",
        "!ls \\\n  -l\ndef quantize(): pass",
        "def quantize(x:\n    pass",
    ],
)
def test_every_way_to_make_a_function_is_seen(source: str) -> None:
    assert makes(source, "quantize")


@pytest.mark.parametrize(
    "source",
    [
        "quantize(1)",
        "class A:\n    def quantize(self): pass",
        "def other():\n    quantize = 1",
        'quantize = lab.check("1.3", quantize)',
        "[quantize for quantize in ()]",
    ],
)
def test_what_only_uses_the_name_makes_nothing(source: str) -> None:
    assert not makes(source, "quantize")


def test_a_stub_stays_one_whatever_is_said_in_it(course: Course) -> None:
    stub = task(course).stub
    assert is_stub(f"# later\n{stub}  # to do\n", task(course))
    assert not is_stub(stub.replace("raise", "return x\n    raise"), task(course))
    older = (
        'def quantize(x, *rest):\n    """Docs."""\n    raise NotImplementedError("Exercise 1.3")'
    )
    assert is_stub(older, task(course))
    assert not is_stub(f"import numpy as np\n{older}", task(course))
    assert not is_stub(older.replace("NotImplemented", "Value"), task(course))


def test_cells_run_from_top_to_bottom_up_to_the_check(course: Course) -> None:
    this = task(course)
    found = arrangement(
        course,
        ("LOW = 1", ""),
        (this.stub, this.grade_id),
        (F, ""),
        (this.check_source, this.check_id),
        ("LOW = 2", ""),
    )
    assert sources(found.steps(this, {})) == ["LOW = 1", F]
    assert found.answer(this) == F


def test_an_answer_below_its_check_counts_if_there_is_none_above(course: Course) -> None:
    this = task(course)
    check = (this.check_source, this.check_id)
    found = arrangement(course, (this.stub, this.grade_id), check, ("x = 1", ""), (F, ""))
    assert found.places["1.3"].is_below
    assert sources(found.steps(this, {})) == ["x = 1", F]


def test_below_its_check_an_exercise_is_settled(course: Course) -> None:
    this, later = task(course), task(course, "1.4")
    again = "def quantize(*args):\n    return 2"
    found = arrangement(
        course,
        (F, this.grade_id),
        (this.check_source, this.check_id),
        (again, this.grade_id),
        (later.check_source, later.check_id),
    )
    assert found.answer(this) == F
    assert sources(found.steps(later, {"1.3": []})) == [
        F,
        "_judged_1_3 = quantize",
        again,
        "quantize = _judged_1_3",
    ]


def test_what_is_handed_on_stands_where_the_check_does(course: Course) -> None:
    this, later = task(course), task(course, "1.4")
    reference = Step("<lab 1.3>", "the lab's own")
    found = arrangement(
        course,
        (F, this.grade_id),
        (this.check_source, this.check_id),
        ("own = 1", ""),
        (later.check_source, later.check_id),
    )
    steps = found.steps(later, {"1.3": [reference]}, only_definitions={0}, left_out={2})
    assert sources(steps) == [F, "the lab's own"]
    assert steps[0].only_definitions


def test_an_earlier_exercise_that_stands_further_down_runs_before(course: Course) -> None:
    this, later = task(course), task(course, "1.4")
    found = arrangement(
        course,
        ("def dequantize(): pass", later.grade_id),
        (later.check_source, later.check_id),
        (F, this.grade_id),
        (this.check_source, this.check_id),
    )
    assert sources(found.steps(later, {"1.3": []})) == ["def dequantize(): pass", F]
