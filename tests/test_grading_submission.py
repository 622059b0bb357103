"""Reading notebooks: where answers are found, what is flagged, and that nothing crashes.

LABKIT_FUZZ=10000 mutates that many notebooks; by default a few hundred.
"""

import copy
import json
import os
from dataclasses import replace

import grading_support as support
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.grading.course import Course
from labkit.grading.releasing.release import ANSWER
from labkit.grading.submission.reading import Broken, parse

EXAMPLES = int(os.environ.get("LABKIT_FUZZ", "300"))
KEY = "exercise-1-3"
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    return support.course(tmp_path_factory.mktemp("solutions"))


def raw(notebook: object) -> bytes:
    return json.dumps(notebook).encode()


def cell(notebook: support.Notebook, key: str = KEY) -> support.Notebook:
    return next(c for c in notebook["cells"] if grade_id(c) == key)


def grade_id(cell: support.Notebook) -> str:
    return cell["metadata"].get("nbgrader", {}).get("grade_id", "")


def test_answers_are_found_by_their_id(course: Course) -> None:
    found = parse(raw(support.answered({"1.3": "mine"})), course)
    assert found.answers == {KEY: "mine"}
    assert found.flags == ()


def test_a_source_in_lines_is_joined(course: Course) -> None:
    notebook = support.answered({"1.3": ["a = 1\n", "b = 2"]})
    assert parse(raw(notebook), course).answers[KEY] == "a = 1\nb = 2"


def test_moved_answers_count_and_are_flagged(course: Course) -> None:
    notebook = support.answered({"1.3": "mine"})
    notebook["cells"].reverse()
    found = parse(raw(notebook), course)
    assert found.answers[KEY] == "mine"
    assert any("moved" in flag for flag in found.flags)


def test_of_a_doubled_answer_the_last_changed_one_above_its_check_counts(course: Course) -> None:
    notebook = support.answered({"1.3": "first"})
    stub = copy.deepcopy(cell(support.released_notebook()))
    second, third = ({**copy.deepcopy(stub), "source": source} for source in ("second", "third"))
    where = notebook["cells"].index(cell(notebook))
    notebook["cells"][where + 1 : where + 1] = [second, stub]
    notebook["cells"].append(third)
    found = parse(raw(notebook), course)
    assert found.answers[KEY] == "second"
    assert any("4 times" in flag for flag in found.flags)


@pytest.mark.parametrize("metadata", [{}, {"nbgrader": {"grade_id": "renamed"}}])
def test_a_renamed_answer_is_found_by_the_name_of_its_function(
    course: Course, metadata: dict
) -> None:
    notebook = support.answered({"1.3": "def quantize(*args):\n    return 1"})
    cell(notebook)["metadata"] = metadata
    found = parse(raw(notebook), course)
    assert "return 1" in found.answers[KEY]
    assert any("by the name" in flag for flag in found.flags)


def test_what_is_said_of_several_answers_is_said_once(course: Course) -> None:
    answers = {f"1.{n}": f"def {name}(): pass" for n, name in ((3, "quantize"), (4, "dequantize"))}
    notebook = support.answered(answers)
    cell(notebook, "exercise-1-3")["cell_type"] = "raw"
    cell(notebook, "exercise-1-4")["cell_type"] = "markdown"
    flags = parse(raw(notebook), course).flags
    assert flags == ("1.3, 1.4: the answer cell is no code cell; it was run as code",)


def test_a_split_answer_counts_as_a_whole(course: Course) -> None:
    halves = ("def quantize(*args):\n    x = 1", "    return x")
    notebook = support.answered({"1.3": halves[0]})
    where = notebook["cells"].index(cell(notebook))
    notebook["cells"].insert(where + 1, {**copy.deepcopy(cell(notebook)), "source": halves[1]})
    found = parse(raw(notebook), course)
    assert found.answers[KEY] == "\n".join(halves)
    assert any("joined" in flag for flag in found.flags)


def test_edited_given_cells_are_flagged_and_predictions_are_not(course: Course) -> None:
    solved = support.solved_notebook()
    extra = [
        {**copy.deepcopy(solved["cells"][0]), "source": text, "metadata": {}}
        for text in ("guess = None  # your number", "print(1)", "print(2)")
    ]
    with_given = replace(course, given=(*course.given, *(c["source"] for c in extra)))
    notebook = support.released_notebook()
    notebook["cells"] += copy.deepcopy(extra)
    assert parse(raw(notebook), with_given).flags == ()
    notebook["cells"][-3]["source"] = "guess = 3.5"
    assert parse(raw(notebook), with_given).flags == ()
    notebook["cells"][-2]["source"] = "print(11)"
    (flag,) = parse(raw(notebook), with_given).flags
    assert "'print(1)';" in flag
    del notebook["cells"][-1]
    (flag,) = parse(raw(notebook), with_given).flags
    assert "'print(1)' and 1 more;" in flag


def test_a_missing_answer_and_an_edited_check_are_flagged(course: Course) -> None:
    notebook = support.released_notebook()
    notebook["cells"] = [c for c in notebook["cells"] if grade_id(c) != KEY]
    cell(notebook, "check-1-4")["source"] = "print('passed')"
    cell(notebook, "check-1-5")["metadata"] = {}
    found = parse(raw(notebook), course)
    assert KEY not in found.answers
    assert any("1.3: the answer cell is missing" in flag for flag in found.flags)
    assert any("1.4: the check cell was edited" in flag for flag in found.flags)
    assert any("1.5: the check cell is missing" in flag for flag in found.flags)


def test_a_check_above_a_cell_without_an_answer_is_flagged(course: Course) -> None:
    notebook = support.released_notebook()
    moved = cell(notebook, "check-1-3")
    notebook["cells"].remove(moved)
    notebook["cells"].insert(1, moved)
    found = parse(raw(notebook), course)
    flag = "1.3: its check stands above its answer cell, which holds no answer"
    assert found.flags == (flag,)


def test_a_byte_order_mark_is_no_obstacle(course: Course) -> None:
    assert parse(b"\xef\xbb\xbf" + raw(support.released_notebook()), course).flags == ()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "not valid JSON"),
        (b"[]", "no notebook"),
        (b"{}", "no list of cells"),
        (b'{"cells": {}}', "no list of cells"),
        (b'{"worksheets": []}', "old format"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b'{"cells": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"cells": [' + b"0," * 1_100_000 + b"0]}", "values"),
        (b'{"cells": [' + b"0," * 6000 + b"0]}", "cells"),
        (b'{"x": ' + b"9" * 100_000 + b"}", "not valid JSON"),
    ],
    ids=lambda value: value[:12] if isinstance(value, bytes) else value,
)
def test_what_is_no_notebook_has_a_reason(data: bytes, reason: str, course: Course) -> None:
    with pytest.raises(Broken, match=reason):
        parse(data, course)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_mutated_notebooks_are_read_or_refused(course: Course, data: st.DataObject) -> None:
    notebook = support.released_notebook()
    for _ in range(data.draw(st.integers(1, 4))):
        mutate(notebook, data)
    text = bytearray(raw(notebook))
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(text)))
        text[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    try:
        found = parse(bytes(text), course)
    except Broken:
        return
    assert all(isinstance(source, str) for source in found.answers.values())
    assert set(found.answers) <= {task.grade_id for task in course.tasks}


def mutate(node: object, data: st.DataObject) -> None:
    """Replace, remove or double something somewhere in a JSON tree."""
    while isinstance(node, dict | list) and node:
        keys = sorted(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        choice = data.draw(st.integers(0, 9))
        if choice < 6 and isinstance(node[key], dict | list) and node[key]:  # type: ignore[index]
            node = node[key]  # type: ignore[index]
        elif choice == 8:
            del node[key]  # type: ignore[attr-defined]
            return
        elif choice == 9 and isinstance(node, list):
            node.append(copy.deepcopy(node[key]))
            return
        else:
            node[key] = data.draw(JSON)  # type: ignore[index]
            return


def test_every_answer_cell_is_a_task(course: Course) -> None:
    keys = [grade_id(c) for c in support.released_notebook()["cells"]]
    assert [task.grade_id for task in course.tasks] == [k for k in keys if k.startswith(ANSWER)]
