"""However honest cells are arranged, the points are those of the notebook, or a flag says why.

LABKIT_ARRANGEMENTS=2000 tries that many; by default a few hundred.
"""

import contextlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import arrangements
import grading_support as support
import pytest

from labkit.checks import registry
from labkit.grading.course import sandbox_files
from labkit.grading.judging.execution import grade_answers
from labkit.grading.sandbox.box import Sandbox
from labkit.grading.sandbox.bubblewrap import problem
from labkit.grading.submission.reading import parse

pytestmark = [
    pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}"),
    pytest.mark.slow,
]

COUNT = int(os.environ.get("LABKIT_ARRANGEMENTS", "200"))
FIRST = int(os.environ.get("LABKIT_FIRST_ARRANGEMENT", "0"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(sandbox_files(support.LAB), arrangements.course().modules) as box:
        yield box


def test_the_points_are_those_of_the_notebook_or_a_flag_says_why(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    lab, kernel = arrangements.course(), arrangements.Kernel(tmp_path)
    unexplained, equal = [], 0
    for number in range(FIRST, FIRST + COUNT):
        draft = arrangements.arranged(lab, number)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            shown = kernel.points(draft.cells)
        notebook = {"cells": draft.cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        submission = parse(json.dumps(notebook).encode(), lab)
        graded = grade_answers(lab, submission, sandbox, seed=number)
        flags = [
            *submission.flags,
            *(f"{one.exercise}: {one.remark}" for one in graded if one.remark),
        ]
        differ = [one for one in graded if one.points != shown[one.exercise]]
        equal += not differ
        for one in differ:
            called = _called(one.exercise, draft.cells)
            if not any(_explains(flag, called) for flag in flags):
                unexplained.append(
                    (number, draft.done, one.exercise, shown[one.exercise], one.points, one.summary)
                )
    assert unexplained == []
    assert equal > 0.8 * COUNT


def _explains(flag: str, exercises: list[str]) -> bool:
    """Tell whether a flag is about one of some exercises: they stand before its colon."""
    about = flag.partition(":")[0].split(", ")
    return flag.startswith("answer cells were moved") or not set(about).isdisjoint(exercises)


def _called(exercise: str, cells: list[dict[str, Any]]) -> list[str]:
    """Return the exercises whose flags explain one: itself, and those that its answer calls."""
    names = {e.function: e.id for e in registry.exercises(support.LAB)}
    (function,) = [name for name, number in names.items() if number == exercise]
    sources = "\n".join(cell["source"] for cell in cells if f"def {function}" in cell["source"])
    return [number for name, number in names.items() if name in sources or number == exercise]
