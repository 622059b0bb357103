"""Honest answers that the grader fails: none, of the right answers of all labs; none is flagged."""

import json
import os

import grading_support as support
import honest_answers
import pytest

from labkit.checks import registry
from labkit.grading import grade
from labkit.grading.judging.results import Outcome, Record
from labkit.grading.sandbox.bubblewrap import problem

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}"),
]


@pytest.fixture(scope="module", params=registry.STEMS)
def records(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A class in which every student writes in a style of their own."""
    lab = request.param
    root = tmp_path_factory.mktemp(f"lab{lab}")
    for style, notebook in enumerate(honest_answers.notebooks(lab)):
        folder = root / "submissions" / f"style-{style}"
        folder.mkdir(parents=True)
        (folder / f"{registry.STEMS[lab]}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    # The same inputs at every run in CI; everywhere else others each time.
    seed = support.SEED if os.environ.get("CI") else None
    solutions = honest_answers.PROJECT / "solutions"
    return grade(root / "submissions", lab, root / "out", solutions, seed=seed)


def test_every_right_answer_gets_all_its_points(records: list[Record]) -> None:
    attempted = [
        (record.student, graded)
        for record in records
        for graded in record.graded
        if graded.outcome is not Outcome.NOT_ATTEMPTED
    ]
    refused = [
        (student, graded.exercise, graded.outcome, graded.summary)
        for student, graded in attempted
        if graded.outcome is not Outcome.RIGHT or graded.points != graded.max_points
    ]
    assert refused == []
    lab = int(attempted[0][1].exercise.split(".")[0])
    assert len(attempted) == sum(map(len, honest_answers.cells(lab).values()))


def test_nothing_honest_is_flagged(records: list[Record]) -> None:
    assert [(record.student, record.flags) for record in records if record.flags] == []
