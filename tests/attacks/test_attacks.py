"""A class of hostile submissions among honest ones: none gains, reads, harms or stops anything.

All are graded in one run, as an instructor would. Every hostile submission leaves the other
exercises unsolved, so any point is a point gained. An outer limit ends the run if it hangs.
"""

import csv
import json
import os
import re
import signal
import socket
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import attack_channel
import attack_check
import attack_escape
import attack_exhaust
import attack_notebook
import attack_values
import grading_support as support
import pytest

from labkit.checks import registry
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.grading import grade
from labkit.grading.course import Course, load_course
from labkit.grading.judging.execution import inputs_seed
from labkit.grading.judging.results import Outcome, Record
from labkit.grading.judging.run import Seconds
from labkit.grading.sandbox.bubblewrap import problem
from labkit.grading.submission.reading import parse

CELLS = {
    **attack_check.ATTACKS,
    **attack_values.ATTACKS,
    **attack_channel.ATTACKS,
    **attack_escape.ATTACKS,
    **attack_exhaust.ATTACKS,
}
NAMES = [*CELLS, *attack_notebook.ATTACKS]
HONEST = ("honest-1", "honest-2", "zzz-honest-3")
CANARY = "canary-4f1d"
SEED = 777_000_777
EXERCISE = next(exercise for exercise in registry.exercises(1) if exercise.id == "1.3")
QUICK = Seconds(cell=2.0, calls=1.5, notebook=30.0)
OUTER_LIMIT = 1200
OBEYED = set("\x00\x07\x1b\x7f\x9b\u202e\u2028")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}"),
]


@dataclass(frozen=True)
class Aftermath:
    """What there is to look at when the class has been graded."""

    records: dict[str, Record]
    out: Path
    trace: Path
    connections: list[object]
    submissions: Path
    course: Course


def solved() -> dict:
    notebook = support.solved_notebook()
    notebook["cells"][0]["source"] += f"\n# {CANARY}"
    return notebook


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    root = tmp_path_factory.mktemp("class")
    submissions, out, trace = root / "submissions", root / "grades", root / "trace"
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[object] = []
    threading.Thread(target=accept, args=(listener, connections), daemon=True).start()
    solutions = support.solutions_folder(root / "solutions")
    port = str(listener.getsockname()[1])
    for name in HONEST:
        folder(submissions, name)
        support.save(submissions / name, solved())
    for name, source in CELLS.items():
        source = source.replace("PORT", port).replace("TRACE", str(trace))
        source = source.replace("COUNT", str(len(EXERCISE.draw(SEED))))
        folder(submissions, name)
        support.save(submissions / name, support.answered({"1.3": source}))
    for name, write in attack_notebook.ATTACKS.items():
        write(folder(submissions, name), support.released_notebook())
    os.environ["LABKIT_CANARY"] = CANARY
    # The sandbox's folder is in its processes' command lines: so they are told from others'.
    (root / "sandboxes").mkdir()
    tempfile.tempdir = str(root / "sandboxes")
    signal.signal(signal.SIGALRM, hung)
    signal.alarm(OUTER_LIMIT)
    try:
        records = grade(submissions, 1, out, solutions, seed=SEED, seconds=QUICK)
    finally:
        signal.alarm(0)
        del os.environ["LABKIT_CANARY"]
        tempfile.tempdir = None
        listener.close()
    found = {r.student: r for r in records}
    return Aftermath(found, out, trace, connections, submissions, load_course(1, solutions))


def folder(submissions: Path, name: str) -> Path:
    path = submissions / name
    path.mkdir(parents=True)
    return path


def accept(listener: socket.socket, connections: list[object]) -> None:
    while True:
        try:
            connections.append(listener.accept())
        except OSError:
            return


def hung(*_: object) -> None:
    raise TimeoutError(f"the class was not graded in {OUTER_LIMIT} seconds")


def test_there_are_many_attacks() -> None:
    assert len(NAMES) == len(set(NAMES)) > 100


@pytest.mark.parametrize("name", NAMES)
def test_no_attack_gains_a_point_or_goes_without_a_reason(aftermath: Aftermath, name: str) -> None:
    record = aftermath.records[name]
    assert record.points == 0
    assert record.status in ("graded", Outcome.BROKEN)
    assert all(graded.outcome is not Outcome.FAILED for graded in record.graded)
    if name in CELLS:
        outcome = {graded.exercise: graded for graded in record.graded}["1.3"]
        assert outcome.outcome not in (Outcome.RIGHT, Outcome.ALMOST)
        assert outcome.summary
    assert record.graded or record.reason


@pytest.mark.parametrize("name", HONEST)
def test_neighbours_of_attacks_get_all_their_points(aftermath: Aftermath, name: str) -> None:
    assert aftermath.records[name].points == support.FULL


def test_nothing_secret_reaches_a_result(aftermath: Aftermath) -> None:
    for path in aftermath.out.rglob("*"):
        if path.is_file() and ".labkit" not in path.parts and path.parent.name not in HONEST:
            text = path.read_text("utf-8")
            assert CANARY not in text, path
            assert str(SEED) not in text, path
            assert "ESCAPED" not in text, path


def digits(seed: int) -> set[str]:
    """Return the inputs of one exercise as the attacks write them."""
    tensors = [case.args[0] for case in EXERCISE.draw(seed)]
    return {f"{value:.5f}" for tensor in tensors for value in tensor.flatten().tolist()}


def written(path: Path) -> set[str]:
    """Return the numbers with exactly five decimals in a file."""
    return set(re.findall(r"(?<![\d.])-?\d+\.\d{5}(?!\d)", path.read_text("utf-8")))


def hidden_digits(aftermath: Aftermath, name: str) -> set[str]:
    """Return the hidden inputs of one submission, as the attacks write them."""
    data = next((aftermath.submissions / name).glob("*.ipynb")).read_bytes()
    handed_in = parse(data, aftermath.course)
    seed = inputs_seed(SEED, EXERCISE.id, handed_in)
    return digits(seed) - digits(NOTEBOOK_SEED)


def test_hidden_inputs_do_not_reach_a_student(aftermath: Aftermath) -> None:
    files = [*aftermath.out.rglob("feedback.html"), *aftermath.out.rglob("results.json")]
    read = {path: written(path) for path in files}
    for name in CELLS:
        secret = hidden_digits(aftermath, name)
        assert len(secret) > 20
        assert not [path for path, numbers in read.items() if secret & numbers], name


def test_what_an_instructor_may_see_was_delivered(aftermath: Aftermath) -> None:
    name = "hides the inputs in its answer"
    assert hidden_digits(aftermath, name) & written(aftermath.out / name / "instructor.html")


def test_no_two_submissions_have_the_same_hidden_inputs(aftermath: Aftermath) -> None:
    one, other = (hidden_digits(aftermath, name) for name in list(CELLS)[:2])
    assert one != other
    assert len(one - other) > len(one & other)


def test_nothing_was_written_connected_or_left_running(aftermath: Aftermath) -> None:
    assert not aftermath.trace.exists()
    assert aftermath.connections == []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        assert os.fsencode(aftermath.out.parent / "sandboxes") not in command


def test_the_gradebook_is_whole_and_holds_no_formula(aftermath: Aftermath) -> None:
    with open(aftermath.out / "gradebook.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 1 + len(aftermath.records) == 1 + len(NAMES) + len(HONEST)
    assert all(len(row) == len(rows[0]) for row in rows)
    cells = [cell for row in rows for cell in row]
    assert not any(cell.startswith(tuple("=+-@\t\uff1d\u200b\xa0")) for cell in cells)
    assert not OBEYED & set("".join(cells))


def test_feedback_holds_no_markup_of_a_student(aftermath: Aftermath) -> None:
    for path in aftermath.out.rglob("*.html"):
        text = path.read_text("utf-8")
        assert "<script" not in text
        assert "<img" not in text
        assert not OBEYED & set(text)
    for path in aftermath.out.rglob("results.json"):
        results = json.loads(path.read_text("utf-8"))
        assert results["score"] == sum(test["score"] for test in results["tests"])
        assert all(test["output_format"] == "text" for test in results["tests"])
