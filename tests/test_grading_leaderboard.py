"""Ranks come from what the grader measured, and from nothing that an answer says of itself."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from labkit.checks import registry
from labkit.checks.calling import Outcome as CallOutcome
from labkit.checks.calling import call_all
from labkit.cli import main
from labkit.grading import grade
from labkit.grading.course import load_course
from labkit.grading.files import LEADERBOARD
from labkit.grading.judging.measuring import (
    FEWEST_CASES,
    _cases,
    open_rule,
    reference_shares,
    shares,
)
from labkit.grading.judging.results import Graded, Outcome, Record, from_json, to_json
from labkit.grading.releasing.release import ANSWER
from labkit.grading.reports.leaderboard.board import OWN, Board, board
from labkit.grading.reports.leaderboard.naming import public_names
from labkit.grading.reports.leaderboard.ranking import _quantile, standings
from labkit.grading.sandbox.box import problem

PROJECT = Path(__file__).parents[1]
OPEN = ("4.11", "5.9")
SECRET = 7
BUDGET = next(e for e in registry.exercises(4) if e.id == "4.11")
GREEDY = """
def choose_bits(layers, x, budget):
    noise = {b: (10 ** (-sensitivity(layers, x, b) / 10)).tolist() for b in (2, 4, 8)}
    chosen = [8] * len(layers)
    while sum(w.numel() * b for (w, _), b in zip(layers, chosen)) // 8 > budget:
        able = [i for i, b in enumerate(chosen) if b > 2]
        i = min(able, key=lambda i: noise[chosen[i] // 2][i] - noise[chosen[i]][i])
        chosen[i] //= 2
    return torch.tensor(chosen)
"""
FORGED = f"""
import contextlib
print("100.00 % of inputs keep their class", '{{"reached": [1.0]}}')
with contextlib.suppress(Exception):
    import labkit.checks.rules as rules
    rules.Open.share = lambda *args: 1.0
with contextlib.suppress(Exception):
    import labkit.grading.judging.measuring as measuring
    measuring.shares = lambda *args: (1.0,) * {FEWEST_CASES}
{GREEDY}
honest = choose_bits
def choose_bits(layers, x, budget):
    print("score 1.0, rank 1")
    return honest(layers, x, budget)
"""
OVER_BUDGET_LATER = (
    GREEDY
    + """
honest, calls = choose_bits, []
def choose_bits(layers, x, budget):
    calls.append(1)
    return honest(layers, x, budget) if len(calls) < 20 else torch.full((len(layers),), 8)
"""
)


def test_those_are_open_of_which_some_answers_are_better() -> None:
    found = [e.id for lab in registry.STEMS for e in registry.exercises(lab) if open_rule(e)]
    assert tuple(found) == OPEN


def test_a_draw_that_is_better_everywhere_is_first_and_who_cannot_be_told_shares_a_rank() -> None:
    rng = random.Random(1)
    hard = [rng.uniform(0.4, 0.9) for _ in range(24)]
    reached = {
        "best": [x + 0.05 for x in hard],
        "middle": [x + rng.gauss(0, 0.01) for x in hard],
        "like it": [x + rng.gauss(0, 0.01) for x in hard],
        "same": hard,
        "last": [x - 0.05 for x in hard],
    }
    found = standings(reached)
    assert {one.name: one.rank for one in found} == {
        **{"best": 1, "last": 5},
        **dict.fromkeys(("middle", "like it", "same"), 2),
    }
    # The inputs differ more from one another than people do: their intervals overlap.
    assert found[0].mean - found[0].margin < found[-1].mean + found[-1].margin


def test_nobody_stands_behind_who_has_reached_less() -> None:
    rng = random.Random(2)
    for _ in range(200):
        reached = {
            str(n): [0.7 + rng.gauss(0, spread) + rng.choice((0, 0.01)) for _ in range(24)]
            for n, spread in enumerate((0.001, 0.01, 0.03, 0.001, 0.02, 0.03))
        }
        found = standings(reached)
        assert [one.rank for one in found] == sorted(one.rank for one in found)
        assert [one.mean for one in found] == sorted((one.mean for one in found), reverse=True)
        assert found[0].rank == 1


def test_ranks_of_nobody_of_one_and_of_equals() -> None:
    assert standings({}) == []
    (one,) = standings({"ada": [0.5, 0.7]})
    assert (one.rank, one.mean) == (1, pytest.approx(0.6))
    assert {s.rank for s in standings({name: [0.5, 0.7] for name in "abc"})} == {1}
    assert standings({"ada": [0.5]})[0].margin == float("inf")


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(10, 2.228), (23, 2.069), (30, 2.042), (100, 1.984)]
)
def test_the_quantile_is_that_of_the_tables(degrees: int, quantile: float) -> None:
    assert _quantile(degrees) == pytest.approx(quantile, abs=6e-4)


def test_pseudonyms_are_unique_stable_and_need_the_secret() -> None:
    students = [f"student {n}" for n in range(1500)]
    found = public_names(students, "pseudonyms", SECRET)
    assert len(set(found.values())) == len(students)
    assert found == public_names(reversed(students), "pseudonyms", SECRET)
    other = public_names(students, "pseudonyms", SECRET + 1)
    assert sum(found[name] == other[name] for name in students) < 10
    assert not any("student" in name for name in found.values())
    assert public_names(students, "names", SECRET) == {name: name for name in students}


@pytest.mark.parametrize("exercise", OPEN)
def test_what_is_wrong_reaches_less_than_the_reference(exercise: str) -> None:
    lab = int(exercise[0])
    found = next(e for e in registry.exercises(lab) if e.id == exercise)
    own = reference_shares(found, SECRET)
    assert len(own) >= FEWEST_CASES
    assert own == reference_shares(found, SECRET)
    assert own != reference_shares(found, SECRET + 1)
    for wrong in found.misconceptions[:3]:
        reached = shares(found, SECRET, call_all(wrong.wrong, _cases(found, SECRET)))
        places = {one.name: one.rank for one in standings({"own": own, "wrong": reached})}
        assert places == {"own": 1, "wrong": 2}, wrong.name


@pytest.mark.parametrize(
    "value",
    [
        *(None, "1.0", 1.0, float("nan"), (1.0,) * FEWEST_CASES, torch.full((5,), 8).numpy()),
        *(torch.full((5,), 1).numpy(), torch.full((5, 1), 2).numpy(), (8, 8)),
    ],
)
def test_what_is_no_answer_reaches_nothing(value: object) -> None:
    forged = [CallOutcome("returned", value=value)] * len(_cases(BUDGET, SECRET))
    assert shares(BUDGET, SECRET, forged) == (0.0,) * len(forged)
    raised = [CallOutcome("raised", message="100 %")] * len(forged)
    assert set(shares(BUDGET, SECRET, raised)) == {0.0}


def record(student: str, reached: tuple[float, ...]) -> Record:
    graded = Graded("4.11", "", "", Outcome.RIGHT, 4, 4, reached=reached)
    return Record(student, (graded,))


def test_a_record_keeps_what_was_reached() -> None:
    kept = record("ada", (0.5, 0.25))
    assert from_json(to_json(kept)) == kept


@pytest.fixture(scope="module")
def lab4():
    return load_course(4, PROJECT / "solutions")


def test_the_page_names_as_it_was_told_and_runs_nothing(lab4) -> None:
    evil = "<script>alert(1)</script>\u202e"
    records = [record(evil, (0.9,) * 24), record("bob", (0.8,) * 24), record("eve", ())]
    named = board(records, lab4, "names", SECRET)
    page = named.page()
    assert "<script" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page
    assert OWN.replace("'", "&#x27;") in page
    assert "eve" not in page
    assert "rank 1 of 2, 90.00 ± 0.00 %" in named.lines(evil)[0]
    assert named.lines("eve") == []
    hidden = board(records, lab4, "pseudonyms", SECRET)
    assert not any(name in hidden.page() for name in ("bob", "script&gt;", "eve"))
    assert hidden.names["bob"] in hidden.page()
    assert hidden.names["bob"] in hidden.lines("bob")[0]


def test_a_class_without_a_right_answer_has_a_page(lab4) -> None:
    empty = board([replace(record("bob", ()), graded=())], lab4, "names", SECRET)
    assert "Nobody" in empty.page()
    assert isinstance(empty, Board)


def test_a_lab_without_an_open_exercise_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "in" / "ada").mkdir(parents=True)
    options = ["--lab", "1", "--out", str(tmp_path / "out"), "--sandbox", "none"]
    options += ["--solutions", str(PROJECT / "solutions"), "--leaderboard"]
    assert main(["grade", str(tmp_path / "in"), *options]) == 1
    assert "lab 1 has no open exercise" in capsys.readouterr().err


@pytest.mark.skipif(bool(problem("bubblewrap")), reason=problem("bubblewrap"))
def test_no_answer_makes_its_own_score(tmp_path: Path, lab4) -> None:
    answers = {
        **{"honest": GREEDY, "forged": FORGED},
        **{"later": OVER_BUDGET_LATER, "<b>all 8": "def choose_bits(*a):\n    return [8] * 5"},
    }
    released = json.loads((PROJECT / "labs" / "lab4_ptq.ipynb").read_text("utf-8"))
    for student, answer in answers.items():
        for cell in released["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == f"{ANSWER}4-11":
                cell["source"] = answer
        (tmp_path / "in" / student).mkdir(parents=True)
        (tmp_path / "in" / student / "lab4_ptq.ipynb").write_text(json.dumps(released))
    out = tmp_path / "out"
    folders = (tmp_path / "in", 4, out, PROJECT / "solutions")
    records = {r.student: r for r in grade(*folders, seed=SECRET, leaderboard="pseudonyms")}
    reached = {
        name: next(g.reached for g in record.graded if g.exercise == "4.11")
        for name, record in records.items()
    }
    assert len(reached["honest"]) >= FEWEST_CASES
    assert reached["forged"] == reached["honest"]
    assert reached["<b>all 8"] == ()
    assert reached["later"][:19] == reached["honest"][:19]
    assert set(reached["later"][19:]) == {0.0}
    page = (out / LEADERBOARD).read_text("utf-8")
    assert not any(name in page for name in answers)
    ranks = board(list(records.values()), lab4, "pseudonyms", SECRET)
    (line,) = ranks.lines("forged")
    assert "rank 1 of" in line
    assert line in (out / "forged" / "feedback.html").read_text("utf-8")
    # The same bytes again, and with the names once that is asked for.
    grade(*folders, seed=SECRET, leaderboard="pseudonyms")
    assert (out / LEADERBOARD).read_text("utf-8") == page
    grade(*folders, seed=SECRET, leaderboard="names")
    assert "forged" in (out / LEADERBOARD).read_text("utf-8")
