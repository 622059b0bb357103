"""The command ``labkit grade``: what it prints, what it returns, when it refuses."""

import argparse
from pathlib import Path

import grading_support as support
import pytest

from labkit.cli import main
from labkit.grading import command
from labkit.grading.sandbox import bubblewrap
from labkit.grading.sandbox.bubblewrap import problem

pytestmark = pytest.mark.slow


def arguments(root: Path, *more: str) -> list[str]:
    folders = [str(root / "submissions"), "--out", str(root / "out")]
    return [*folders, "--lab", "1", "--solutions", str(root / "solutions"), *more]


def hand_in(root: Path) -> None:
    support.solutions_folder(root / "solutions")
    support.save(root / "submissions" / "ada", support.solved_notebook())
    (root / "submissions" / "bob").mkdir()


@pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")
def test_a_class_is_graded_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    hand_in(tmp_path)
    assert main(["grade", *arguments(tmp_path, "--seed", "3", "--jobs", "2")]) == 0
    printed = capsys.readouterr().out
    assert "1 broken file, 1 graded" in printed
    assert str(tmp_path / "out" / "gradebook.csv") in printed


CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Lab 1 (4711)\n"
    "    Points Possible,,,,,{most}\n"
    '"Lovelace, Ada",101,S1,ada,A,\n"Hopper, Grace",102,S2,grace,A,\n'
)


@pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")
def test_a_template_is_filled_in_and_what_does_not_match_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    hand_in(tmp_path)
    template = tmp_path / "export.csv"
    template.write_text(CANVAS.format(most=100), encoding="utf-8")
    assert main(["grade", *arguments(tmp_path, "--canvas", str(template))]) == 0
    printed = capsys.readouterr().out
    assert f"out of 100 there and {support.FULL} here" in printed
    assert "no points entered for the folders: bob" in printed
    assert "left as they were: Hopper, Grace" in printed
    filled = (tmp_path / "out" / "canvas.csv").read_text("utf-8")
    expected = CANVAS.format(most=100).replace("ada,A,", f"ada,A,{support.FULL}")
    assert filled == expected
    # What was graded is not graded again, so a corrected template takes no time.
    template.write_text(CANVAS.format(most=support.FULL), encoding="utf-8")
    assert main(["grade", *arguments(tmp_path, "--canvas", str(template))]) == 0
    assert "out of" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (CANVAS.replace("Lab 1", "Lab 2").encode(), "--column"),
        (b"no,export\n", "no export that can be filled in"),
        (CANVAS.encode("utf-16"), "is not in UTF-8"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_refused_before_grading(
    tmp_path: Path, capsys: pytest.CaptureFixture, data: bytes, message: str
) -> None:
    hand_in(tmp_path)
    template = tmp_path / "export.csv"
    template.write_bytes(data)
    more = ("--sandbox", "none", "--canvas", str(template))
    assert main(["grade", *arguments(tmp_path, *more)]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_bubblewrap_it_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert "not installed" in bubblewrap.problem()
    assert main(["grade", *arguments(tmp_path)]) == 1
    assert "--sandbox none" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_unless_told_to_run_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert main(["grade", *arguments(tmp_path, "--sandbox", "none")]) == 0


def test_what_does_not_fit_is_said_and_not_raised(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    hand_in(tmp_path)
    assert main(["grade", *arguments(tmp_path, "--lab", "99", "--sandbox", "none")]) == 1
    assert "99" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["--lab", "--out"])
def test_the_lab_and_the_results_must_be_named(missing: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    given = ["submissions", "--lab", "1", "--out", "out"]
    position = given.index(missing)
    with pytest.raises(SystemExit):
        parser.parse_args(given[:position] + given[position + 2 :])
