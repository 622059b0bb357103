"""What is handed to nbgrader and otter-grader is what is handed to labkit; what gets through there
is measured by `tests/benchmarks/grading_attacks.py`.
"""

import json
from pathlib import Path

import other_attacks
import other_graders
import pytest


@pytest.mark.parametrize("grader", ["nbgrader", "otter"])
def test_each_attack_of_the_table_exists_in_every_grader(grader: str) -> None:
    assert set(other_attacks.attacks(grader)) == set(other_attacks.NAMES)
    assert set(other_attacks.original("trace")) == set(other_attacks.NAMES)
    assert set(other_attacks.NEW[grader]) == set(other_attacks.NBGRADER)


@pytest.mark.parametrize("grader", ["nbgrader", "otter"])
def test_a_source_is_handed_in_as_the_answer(grader: str, tmp_path: Path) -> None:
    other_attacks.attacks(grader)["connects to the test's listener"](tmp_path)
    notebook = json.loads((tmp_path / other_graders.NAME).read_text("utf-8"))
    _, answer, _ = notebook["cells"]
    assert "create_connection((host, 4711)" in answer["source"]
    assert "PORT" not in answer["source"]


def test_the_right_answer_makes_what_is_asked_true_and_its_input_does_not() -> None:
    names = {"torch": other_graders.torch}
    exec(other_graders.SOLVED, names)
    assert [eval(line, names) for line in other_graders.expected()] == [True, True]
    names["quantize"] = lambda x, *rest: x
    assert [eval(line, names) for line in other_graders.expected()] == [False, False]
