"""Which answers count as equal in structure, and which do not."""

from pathlib import Path

import grading_support as support
import honest_answers
import pytest

from labkit.checks import registry
from labkit.grading.course import Course, Task, load_course
from labkit.grading.judging.results import Graded, Outcome, Record
from labkit.grading.reports.similarity import COMMON, FEW, similarities, structure

SOLUTIONS = Path(__file__).parents[1] / "solutions"
ANSWER = '''
def unpack(packed: Tensor, bits: int, count: int) -> Tensor:
    """Return codes."""
    result = []
    for byte in packed.tolist():
        for place in range(8 // bits):
            code = (byte >> (bits * place)) % 2**bits
            if code >= 2 ** (bits - 1):
                code = code - 2**bits
            result.append(code)
    return torch.tensor(result[:count], dtype=torch.int32)
'''


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    return support.course(tmp_path_factory.mktemp("solutions"))


@pytest.fixture(scope="module")
def unpack(course: Course) -> Task:
    return next(task for task in course.tasks if task.exercise.function == "unpack")


def test_names_comments_and_annotations_do_not_matter(unpack: Task) -> None:
    other = (
        ANSWER.replace("result", "out")
        .replace("place", "i")
        .replace("-> Tensor", "")
        .replace("    result", "    # the codes\n    result")
        .replace('    """Return codes."""\n', "")
        .replace("code = (", "code: int = (")
    )
    assert other != ANSWER
    assert structure(other, unpack) == structure(ANSWER, unpack) != ""


def test_imports_under_another_name_do_not_matter(unpack: Task) -> None:
    aliased = ("import torch as t\n" + ANSWER).replace("torch.t", "t.t").replace("torch.i", "t.i")
    assert structure(aliased, unpack) == structure(ANSWER, unpack)


def test_what_the_stub_holds_and_magics_do_not_matter(unpack: Task) -> None:
    assert ANSWER.count("\n    result = []") == 1
    left = ANSWER + '\n    raise NotImplementedError("Exercise 1.11")\n'
    assert structure("%%time\n" + left, unpack) == structure(ANSWER, unpack)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (">>", "<<"),
        ("torch.int32", "torch.int8"),
        ("bits - 1", "bits - 2"),
        ("result[:count]", "result"),
        ("place in range(8 // bits)", "place in reversed(range(8 // bits))"),
    ],
)
def test_what_the_code_does_matters(unpack: Task, old: str, new: str) -> None:
    assert structure(ANSWER.replace(old, new), unpack) != structure(ANSWER, unpack)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "def unpack(p, b, n):\n    return p",
        "x = [",
        "\0",
        "def unpack(" + "(" * 5000,
        "-" * 19_000 + "1",
        "x = " + "[" * 90 + "]" * 90,
        ".a" * 9_000,
        "a" + ".a" * 9_000,
        "if 1:\n" + "".join(f"{' ' * i}if 1:\n" for i in range(1, 99)) + " " * 99 + "x",
        "\n".join(["x = 1"] * 30_000),
        "x = 0x" + "f" * 5_000,
        "x = f'{\"a\u00a0b\"}'",
        "\n".join(["x = " + "-" * 150 + "1"] * 120),
    ],
    ids=lambda answer: answer[:12],
)
def test_what_is_short_or_hostile_has_no_structure_or_one(unpack: Task, answer: str) -> None:
    assert isinstance(structure(answer, unpack), str)


@pytest.mark.parametrize("answer", ["", "def unpack(p, b, n):\n    return p", "x = ["])
def test_what_is_short_has_no_structure(unpack: Task, answer: str) -> None:
    assert structure(answer, unpack) == ""


def record(
    student: str, answer: str, exercise: str = "1.11", outcome: Outcome = Outcome.WRONG
) -> Record:
    return Record(student, (Graded(exercise, "", "", outcome, 0, 2, answer=answer),))


def test_pairs_are_flagged_both_ways_whatever_their_order(course: Course) -> None:
    records = [record("ada", ANSWER), record("bob", ANSWER), record("eve", "x = 1")]
    flags = similarities(records, course)
    assert flags == {
        "ada": ("1.11: same structure as in the submission of bob",),
        "bob": ("1.11: same structure as in the submission of ada",),
    }
    assert similarities(records[::-1], course) == flags


def test_the_labs_own_solution_is_named_and_nobody_beside_it(course: Course) -> None:
    own = next(task.solution for task in course.tasks if task.exercise.id == "1.7")
    flags = similarities([record("ada", own, "1.7"), record("bob", own, "1.7")], course)
    assert flags["ada"] == flags["bob"] == ("1.7: same structure as in the lab's own solution",)


def test_what_a_hint_gave_away_is_no_sign_of_copying(course: Course, unpack: Task) -> None:
    last = "torch.where(codes >= 2**(bits - 1), codes - 2**bits, codes)"
    assert last in unpack.exercise.hints[-1]
    hint = (
        "def unpack(packed, bits, count, signed):\n    codes = (packed.to(torch.int32).unsqueeze(1)"
        " >> torch.arange(0, 8, bits)) & (2**bits - 1)\n    codes = codes.flatten()[:count]\n"
        f"    if signed:\n        codes = {last}\n    return codes"
    )
    assert structure(hint, unpack) == ""
    renamed = hint.replace("codes", "found").replace("packed", "data")
    assert structure(renamed, unpack) != ""
    assert similarities([record("ada", hint), record("bob", hint)], course) == {}


def test_what_many_have_in_common_is_no_flag(course: Course) -> None:
    size = 40
    shared = int(COMMON * size)
    assert shared > FEW
    others = [record(f"x{i}", f"x = {i}") for i in range(size - shared)]
    few = [record(f"s{i}", ANSWER) for i in range(shared)]
    assert len(similarities([*few, *others], course)) == shared
    assert similarities([*few, record("one more", ANSWER), *others[1:]], course) == {}


def test_an_unsolved_cell_is_no_copy(course: Course) -> None:
    names, outcome = ("ada", "bob"), Outcome.NOT_ATTEMPTED
    records = [record(name, ANSWER, outcome=outcome) for name in names]
    assert similarities(records, course) == {}


@pytest.mark.parametrize("lab", registry.STEMS)
def test_right_answers_written_apart_are_not_taken_for_copies(lab: int) -> None:
    course = load_course(lab, SOLUTIONS)
    cells = honest_answers.cells(lab)
    found = 0
    for task in course.tasks:
        answers = [task.solution, *cells[task.exercise.id]]
        trees = [tree for tree in (structure(answer, task) for answer in answers) if tree]
        assert len(trees) == len(set(trees)), task.exercise.id
        found += len(trees)
    assert found
