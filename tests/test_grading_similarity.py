"""Which answers count as equal in structure, and which do not."""

import ast
import importlib.util
import itertools
from pathlib import Path

import grading_support as support
import pytest

from labkit.checks import registry
from labkit.grading.course import Course, Task, load_course
from labkit.grading.results import Graded, Outcome, Record
from labkit.grading.similarity import COMMON, FEW, similarities, structure

SOLUTIONS = Path(__file__).parents[1] / "solutions"
STYLES = Path(__file__).parent / "right_answers"
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
    return course.tasks[-1]


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
    ],
    ids=lambda answer: answer[:12],
)
def test_what_is_short_or_hostile_has_no_structure_or_one(unpack: Task, answer: str) -> None:
    assert isinstance(structure(answer, unpack), str)


@pytest.mark.parametrize("answer", ["", "def unpack(p, b, n):\n    return p", "x = ["])
def test_what_is_short_has_no_structure(unpack: Task, answer: str) -> None:
    assert structure(answer, unpack) == ""


def record(student: str, answer: str, outcome: Outcome = Outcome.WRONG) -> Record:
    return Record(student, (Graded("1.11", "", "", outcome, 0, 2, answer=answer),))


def test_pairs_are_flagged_both_ways_whatever_their_order(course: Course) -> None:
    records = [record("ada", ANSWER), record("bob", ANSWER), record("eve", "x = 1")]
    flags = similarities(records, course)
    assert flags == {
        "ada": ("1.11: same structure as in the submission of bob",),
        "bob": ("1.11: same structure as in the submission of ada",),
    }
    assert similarities(records[::-1], course) == flags


def test_the_labs_own_solution_is_named_and_nobody_beside_it(course: Course, unpack: Task) -> None:
    records = [record("ada", unpack.solution), record("bob", unpack.solution)]
    flags = similarities(records, course)
    assert flags["ada"] == flags["bob"] == ("1.11: same structure as in the lab's own solution",)


def test_what_many_have_in_common_is_no_flag(course: Course) -> None:
    size = 40
    shared = int(COMMON * size)
    assert shared > FEW
    others = [record(f"x{i}", f"x = {i}") for i in range(size - shared)]
    few = [record(f"s{i}", ANSWER) for i in range(shared)]
    assert len(similarities([*few, *others], course)) == shared
    assert similarities([*few, record("one more", ANSWER), *others[1:]], course) == {}


def test_an_unsolved_cell_is_no_copy(course: Course) -> None:
    records = [record(name, ANSWER, Outcome.NOT_ATTEMPTED) for name in ("ada", "bob")]
    assert similarities(records, course) == {}


@pytest.mark.parametrize("lab", [n for n in registry.STEMS if (STYLES / f"lab{n}.py").exists()])
def test_right_answers_written_apart_are_not_taken_for_copies(lab: int) -> None:
    if not (SOLUTIONS / f"{registry.STEMS[lab]}.ipynb").exists():
        pytest.skip(f"lab {lab} has no notebook yet")
    course = load_course(lab, SOLUTIONS)
    trees = {}
    for number, names in answers_of(lab).items():
        task = next(task for task in course.tasks if task.exercise.id == number)
        styles = [structure(source, task) for source in names]
        trees[number] = [structure(task.solution, task), *styles]
    pairs = [(a, b) for found in trees.values() for a, b in itertools.combinations(found, 2)]
    assert any(a and b for a, b in pairs)
    assert not [a for a, b in pairs if a and a == b]


def answers_of(lab: int) -> dict[str, list[str]]:
    """Return the sources of the right answers of other styles, by exercise."""
    path = STYLES / f"lab{lab}.py"
    spec = importlib.util.spec_from_file_location(f"right_answers_lab{lab}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tree = ast.parse(path.read_text("utf-8"))
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    found = {}
    for number, styles in module.RIGHT_ANSWERS.items():
        names = [getattr(style, "__name__", "") for style in styles]
        found[number] = [ast.unparse(functions[name]) for name in names if name in functions]
    return found
