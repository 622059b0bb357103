"""Grading a folder: outcomes, points, files; the same bytes after any interruption.

`tests/benchmarks/grading_kill.py` kills the command itself, with a whole class.
"""

import csv
import json
import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

import grading_support as support
import pytest

from labkit.checks import registry
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.grading import grade
from labkit.grading.course import Course, sandbox_files
from labkit.grading.grades import RECORD
from labkit.grading.judging.execution import grade_answers, inputs_seed
from labkit.grading.judging.results import Graded, Outcome, Record, from_json, to_json
from labkit.grading.judging.run import Seconds
from labkit.grading.sandbox.box import Sandbox
from labkit.grading.sandbox.bubblewrap import problem
from labkit.grading.submission.reading import Submission

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}"),
]

CLASS, KILLS = 14, 3
QUICK = Seconds(cell=4.0, calls=2.0)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    return support.course(tmp_path_factory.mktemp("solutions"))


@pytest.fixture(scope="module", autouse=True)
def sandbox(course: Course) -> Iterator[Sandbox]:
    with support.one_sandbox(course) as box:
        yield box


def solved(course: Course) -> dict[str, str]:
    return {task.grade_id: task.solution for task in course.tasks}


def graded(
    course: Course, sandbox: Sandbox, answers: dict[str, str], seconds: Seconds = QUICK
) -> dict[str, Graded]:
    """Grade the solution with some answers replaced, by the exercise's id."""
    changed = {"exercise-" + key.replace(".", "-"): text for key, text in answers.items()}
    found = grade_answers(
        course, Submission.of(course, {**solved(course), **changed}), sandbox, support.SEED, seconds
    )
    return {result.exercise: result for result in found}


@pytest.fixture(scope="module")
def wrong(course: Course, sandbox: Sandbox) -> dict[str, Graded]:
    return graded(course, sandbox, support.WRONG)


def test_every_outcome_is_told_apart_and_costs_no_other_exercise(wrong: dict[str, Graded]) -> None:
    found = wrong
    outcomes = {key: result.outcome for key, result in found.items()}
    assert outcomes == {
        "1.1": Outcome.WRONG,
        "1.2": Outcome.ERROR,
        "1.3": Outcome.ALMOST,
        "1.4": Outcome.RIGHT,
        "1.5": Outcome.TIMEOUT,
        "1.6": Outcome.CRASH,
        "1.7": Outcome.ERROR,
        "1.8": Outcome.RIGHT,
        "1.9": Outcome.ERROR,
        "1.10": Outcome.NOT_ATTEMPTED,
        "1.11": Outcome.RIGHT,
        "1.12": Outcome.RIGHT,
        "1.13": Outcome.RIGHT,
        "1.14": Outcome.RIGHT,
    }
    assert found["1.3"].points == found["1.3"].max_points / 2
    assert found["1.3"].misconception == "does not clamp"
    assert "KeyError" in found["1.2"].summary
    assert "does not clamp" in found["1.3"].student_card.text


def test_an_answer_fitted_to_the_notebooks_inputs_gets_nothing(
    course: Course, sandbox: Sandbox, wrong: dict[str, Graded]
) -> None:
    exercise = next(e for e in registry.exercises(support.LAB) if e.id == "1.1")
    table = {case.args: exercise.reference(*case.args) for case in exercise.draw(NOTEBOOK_SEED)}
    answer = f"table = {table!r}\ndef integer_range(*args):\n    return table.get(args, (0, 0))"
    # Few bits, few choices: with this seed at least half of the inputs are the notebook's.
    handed_in = Submission.of(course, {"exercise-1-1": answer})

    def known(secret: int) -> int:
        cases = exercise.draw(inputs_seed(secret, "1.1", handed_in))
        return sum(case.args in table for case in cases)

    seed = next(s for s in range(200) if 2 * known(s) >= 24)
    found = grade_answers(course, handed_in, sandbox, seed, QUICK)[0]
    assert (found.outcome, found.points) == (Outcome.WRONG, 0)
    assert "inputs of the notebook only" in found.remark
    assert 2 * found.right >= found.total
    assert wrong["1.3"].remark == ""


def test_results_that_differ_when_called_again_are_pointed_out(
    course: Course, sandbox: Sandbox
) -> None:
    total = len(registry.exercises(support.LAB)[2].draw(support.SEED))
    counts = solved(course)["exercise-1-3"] + (
        "\n_right, _calls = quantize, []\ndef quantize(*args):\n"
        f"    _calls.append(1)\n    return _right(*args) + (len(_calls) > {total})"
    )
    found = graded(course, sandbox, {"1.3": counts})["1.3"]
    assert found.outcome is Outcome.RIGHT
    assert "results differ" in found.remark
    ends = counts.replace("return", f"if len(_calls) > {total}: import os; os._exit(0)\n    return")
    again = graded(course, sandbox, {"1.3": ends})
    assert "did not return" in again["1.3"].remark
    assert again["1.4"].outcome is Outcome.RIGHT
    assert again["1.4"].remark == ""


def test_memory_is_limited(course: Course, sandbox: Sandbox) -> None:
    answer = "def quantize(*args):\n    return torch.ones(10 ** 10)"
    assert graded(course, sandbox, {"1.3": answer})["1.3"].outcome is Outcome.MEMORY


def test_an_answer_stands_on_the_reference_of_an_earlier_one_that_failed(
    course: Course, sandbox: Sandbox
) -> None:
    uses = "def quantize_symmetric(x, bits):\n    qmax = 2 ** (bits - 1) - 1\n" + (
        "    scale = float(x.abs().max()) / qmax or 1.0\n"
        "    return quantize(x, scale, 0, -qmax, qmax), scale"
    )
    found = graded(course, sandbox, {"1.3": support.WRONG["1.3"], "1.6": uses})
    assert found["1.6"].outcome is Outcome.RIGHT


def test_what_else_a_wrong_answer_defines_is_there_for_later_ones(
    course: Course, sandbox: Sandbox
) -> None:
    wrong = "import numpy as np\nLOW = 0\ndef integer_range(*args):\n    return LOW, 1"
    uses = (
        "def quantize(x, scale, zero_point, qmin, qmax):\n"
        "    q = np.round(x.numpy() / scale) + zero_point + LOW\n"
        "    return np.clip(q, qmin, qmax).astype(np.int32)"
    )
    found = graded(course, sandbox, {"1.1": wrong, "1.3": uses})
    assert found["1.1"].outcome is not Outcome.RIGHT
    assert found["1.3"].outcome is Outcome.RIGHT


def test_a_whole_notebook_has_a_limit_of_its_own(course: Course, sandbox: Sandbox) -> None:
    found = graded(course, sandbox, {}, Seconds(notebook=0.0))
    assert all(result.outcome is Outcome.TIMEOUT for result in found.values())


def test_magics_do_not_cost_an_answer(course: Course, sandbox: Sandbox) -> None:
    answer = "%%time\n%matplotlib inline\n" + solved(course)["exercise-1-3"]
    assert graded(course, sandbox, {"1.3": answer})["1.3"].outcome is Outcome.RIGHT


def test_numpy_answers_count(course: Course, sandbox: Sandbox) -> None:
    answer = (
        "import numpy as np\ndef quantize(x, scale, zero_point, qmin, qmax):\n"
        "    q = np.rint(x.numpy() / scale) + zero_point\n"
        "    return np.clip(q, qmin, qmax).astype(np.int64)"
    )
    assert graded(course, sandbox, {"1.3": answer})["1.3"].outcome is Outcome.RIGHT


def test_without_a_sandbox_the_points_are_the_same(
    course: Course, wrong: dict[str, Graded]
) -> None:
    with Sandbox(sandbox_files(support.LAB), course.modules, kind="none") as plain:
        assert graded(course, plain, support.WRONG) == wrong


def test_a_class_is_graded_into_the_files_that_others_read(tmp_path: Path) -> None:
    submissions, solutions = support.class_of(tmp_path)
    records = grade(submissions, support.LAB, tmp_path / "out", solutions, seed=support.SEED)
    assert [r.student for r in records] == sorted(r.student for r in records)
    with open(tmp_path / "out" / "gradebook.csv", newline="", encoding="utf-8") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert rows["student-00"]["total"] == f"{support.FULL:g}"
    assert rows["student-00"]["status"] == "graded"
    assert rows["student-01"]["total"] == "0"
    assert "1.3 not attempted" in rows["student-01"]["outcomes"]
    assert "1.3 almost" in rows["student-02"]["outcomes"]
    assert rows["broken"]["status"].startswith("broken file: The notebook is not valid JSON")
    assert rows["broken"]["total"] == ""
    assert rows["empty"]["status"].startswith("broken file: There is no notebook, and nothing else")
    results = json.loads((tmp_path / "out" / "student-02" / "results.json").read_text())
    assert results["score"] == records[4].points
    assert [test["number"] for test in results["tests"]] == [t.exercise for t in records[4].graded]
    page = (tmp_path / "out" / "student-02" / "feedback.html").read_text()
    assert "does not clamp" in page
    assert "secret" not in page


def test_a_second_run_grades_only_what_changed(tmp_path: Path) -> None:
    submissions, solutions = support.class_of(tmp_path)
    out = tmp_path / "out"
    grade(submissions, support.LAB, out, solutions)
    before = {path: path.stat().st_mtime_ns for path in out.rglob(RECORD)}
    support.save(submissions / "student-01", support.solved_notebook())
    records = grade(submissions, support.LAB, out, solutions)
    after = {path: path.stat().st_mtime_ns for path in out.rglob(RECORD)}
    changed = [path.parent.name for path in before if before[path] != after[path]]
    assert changed == ["student-01"]
    assert {r.student: r.points for r in records}["student-01"] == support.FULL


def test_the_same_seed_gives_the_same_bytes_and_another_seed_is_refused(tmp_path: Path) -> None:
    submissions, solutions = support.class_of(tmp_path)
    for name in ("one", "other"):
        grade(
            submissions, support.LAB, tmp_path / name, solutions, seed=support.SEED, jobs=len(name)
        )
    assert support.contents(tmp_path / "one") == support.contents(tmp_path / "other")
    with pytest.raises(ValueError, match="seed of its own"):
        grade(submissions, support.LAB, tmp_path / "one", solutions, seed=support.SEED + 1)


def test_killed_runs_go_on_to_the_same_bytes(tmp_path: Path) -> None:
    submissions, solutions = support.class_of(tmp_path, size=CLASS)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    grade(submissions, support.LAB, undisturbed, solutions, seed=support.SEED)
    arguments = (submissions, support.LAB, killed, solutions)
    fork = multiprocessing.get_context("fork").Process
    counts = []
    for _ in range(KILLS):
        # Forked, so that torch and the sandbox are there at once.
        run = fork(target=grade, args=arguments, kwargs={"seed": support.SEED})
        run.start()
        start = len(list(killed.rglob(RECORD)))
        deadline = time.monotonic() + 600
        while len(list(killed.rglob(RECORD))) <= start and time.monotonic() < deadline:
            time.sleep(0.005)
        run.kill()
        run.join()
        counts.append(len(list(killed.rglob(RECORD))))
    assert counts == sorted(counts)
    assert counts[0] < len(list(undisturbed.rglob(RECORD)))
    grade(submissions, support.LAB, killed, solutions, seed=support.SEED)
    assert support.contents(killed) == support.contents(undisturbed)


def test_what_the_instructor_adds_counts_without_grading_again(tmp_path: Path) -> None:
    submissions, solutions = support.class_of(tmp_path, size=3)
    out = tmp_path / "out"
    grade(submissions, support.LAB, out, solutions, seed=support.SEED)
    before = {path: path.stat().st_mtime_ns for path in out.rglob(RECORD)}
    table = tmp_path / "by hand.csv"
    table.write_text("student,days_late,comment\nstudent-00,2,Late!\n", encoding="utf-8")
    records = grade(
        submissions,
        support.LAB,
        out,
        solutions,
        seed=support.SEED,
        adjustments=table,
        late_penalty=25,
    )
    totals = {record.student: record.total for record in records}
    assert totals["student-00"] == support.FULL / 2
    assert "Late!" in (out / "student-00" / "feedback.html").read_text("utf-8")
    assert {path: path.stat().st_mtime_ns for path in out.rglob(RECORD)} == before


def test_copies_are_flagged_in_the_class_and_on_the_instructors_page_only(tmp_path: Path) -> None:
    submissions, solutions = support.class_of(tmp_path, size=1)
    answer = (
        "def pack(codes, bits):\n    total = 0\n    step = 8 // bits\n    result = []\n"
        "    for start in range(0, len(codes), step):\n        value = 0\n"
        "        for place, code in enumerate(codes[start:start + step].tolist()):\n"
        "            value = value + (code % 2 ** bits) * 2 ** (bits * place)\n"
        "        result.append(value)\n        total = total + 1\n"
        "    return torch.tensor(result, dtype=torch.uint8)"
    )
    renamed = answer.replace("total", "n").replace("place", "where").replace("value", "byte")
    support.save(submissions / "mia", support.answered({"1.10": answer}))
    support.save(submissions / "noa", support.answered({"1.10": f"# my own\n{renamed}"}))
    records = grade(submissions, support.LAB, tmp_path / "out", solutions, seed=support.SEED)
    flags = {record.student: record.flags for record in records}
    assert flags["mia"] == ("1.10: same structure as in the submission of noa",)
    assert flags["noa"] == ("1.10: same structure as in the submission of mia",)
    assert any("the lab's own solution" in flag for flag in flags["student-00"])
    assert "same structure" in (tmp_path / "out/mia/instructor.html").read_text("utf-8")
    assert "same structure" not in (tmp_path / "out/mia/feedback.html").read_text("utf-8")


def test_a_wrong_solution_stops_the_run_before_any_student_pays(tmp_path: Path) -> None:
    submissions, solutions = support.class_of(tmp_path)
    notebook = support.solved_notebook()
    notebook["cells"][1]["source"] = (
        "def integer_range(*args):\n    ### BEGIN SOLUTION\n    return 0, 0\n    ### END SOLUTION"
    )
    support.save(solutions, notebook)
    with pytest.raises(ValueError, match=r"own solution of exercise 1\.1"):
        grade(submissions, support.LAB, tmp_path / "out", solutions)


def test_folders_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    submissions, solutions = support.class_of(tmp_path)
    with pytest.raises(ValueError, match="inside one another"):
        grade(submissions, support.LAB, submissions / "out", solutions)
    with pytest.raises(ValueError, match="is no folder"):
        grade(tmp_path / "nothing", support.LAB, tmp_path / "out", solutions)
    with pytest.raises(ValueError, match="the folder of the solutions"):
        grade(solutions, support.LAB, tmp_path / "out", solutions)
    (tmp_path / "nobody").mkdir()
    with pytest.raises(ValueError, match="holds no folders"):
        grade(tmp_path / "nobody", support.LAB, tmp_path / "out", solutions)
    with pytest.raises(ValueError, match="--solutions"):
        grade(submissions, support.LAB, tmp_path / "out", tmp_path / "elsewhere")


def test_a_record_is_read_as_it_was_written(wrong: dict[str, Graded]) -> None:
    record = Record("é\udcff", tuple(wrong.values()), flags=("a", "b"))
    assert from_json(to_json(record)) == record
    with pytest.raises(ValueError, match="no record"):
        from_json("[]")
