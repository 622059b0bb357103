"""The lab's own solution is graded once, and again when anything changed that could matter."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import grading_support as support
import pytest

from labkit.grading.course import Course
from labkit.grading.judging import grader, proved


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return support.course(tmp_path / "solutions")


def test_a_proof_holds_for_the_very_same_course_packages_and_sandbox(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not proved.is_proved(course, "bubblewrap")
    proved.keep_proof(course, "bubblewrap")
    assert proved.is_proved(course, "bubblewrap")
    assert not proved.is_proved(course, "docker")
    assert not proved.is_proved(replace(course, setup=course.setup + "\nx = 1"), "bubblewrap")
    (tmp_path / "site" / "other-1.0.dist-info").mkdir(parents=True)
    monkeypatch.setattr(proved, "site_folders", lambda: [str(tmp_path / "site")])
    assert not proved.is_proved(course, "bubblewrap")


def test_where_nothing_can_be_kept_nothing_is_lost(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    proved.keep_proof(course, "none")
    assert not proved.is_proved(course, "none")


class NoSandbox:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        pass


def test_a_solution_is_graded_until_it_has_passed(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(grader, "Sandbox", lambda *_, **__: NoSandbox())

    def fails(self: grader.Grader) -> None:
        calls.append("fails")
        raise ValueError("the lab's own solution")

    monkeypatch.setattr(grader.Grader, "_require_solved", fails)
    for _ in range(2):
        with pytest.raises(ValueError, match="own solution"), grader.Grader(course, 1):
            pass
    monkeypatch.setattr(grader.Grader, "_require_solved", lambda self: calls.append("passes"))
    for seed in (1, 2):
        with grader.Grader(course, seed):
            pass
    assert calls == ["fails", "fails", "passes"]


def test_starting_to_grade_imports_nothing_that_it_can_do_without() -> None:
    code = "import sys, labkit.grading.classroom; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slow = {"nbformat", "jsonschema", "yaml", "distributed", "matplotlib", "IPython"}
    assert not slow & set(found.stdout.split())
