"""The Docker sandbox: its command line, and everything around it with a docker that is none.

The stand-in for the command ``docker`` runs the program that it is given, in no container.
"""

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import grading_support as support
import pytest

from labkit.cli import main
from labkit.grading.course import Course, sandbox_files
from labkit.grading.inside.isolate import Limits
from labkit.grading.judging.execution import grade_answers
from labkit.grading.judging.results import Outcome
from labkit.grading.judging.run import Seconds
from labkit.grading.sandbox.box import Sandbox, docker
from labkit.grading.sandbox.process import Died, SandboxError
from labkit.grading.submission.reading import Submission

pytestmark = pytest.mark.slow

# Before any test puts another docker on the path.
REAL_PROBLEM = docker.problem()
STAND_IN = f"""#!{sys.executable} -I
import os, signal, sys
from pathlib import Path

here, arguments = Path(__file__).parent, sys.argv[1:]
if arguments[0] == "kill":
    os.kill(int((here / arguments[1]).read_text()), signal.SIGKILL)
elif arguments[0] == "run":
    _, source, target, _ = arguments[arguments.index("--mount") + 1].split(",")
    (here / arguments[arguments.index("--name") + 1]).write_text(str(os.getpid()))
    program = [sys.executable, *arguments[arguments.index({docker.IMAGE!r}) + 2 :]]
    old, new = target.removeprefix("target="), source.removeprefix("source=")
    os.execv(sys.executable, [part.replace(old, new) for part in program])
"""


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    return support.course(tmp_path_factory.mktemp("solutions"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("bin")
    (folder / "docker").write_text(STAND_IN)
    (folder / "docker").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        yield folder


@pytest.fixture(scope="module")
def sandbox(course: Course, folder: Path) -> Iterator[Sandbox]:
    with Sandbox(sandbox_files(support.LAB), kind="docker") as box:
        yield box


@pytest.mark.skipif(bool(REAL_PROBLEM), reason=f"no docker: {REAL_PROBLEM}")
def test_a_real_docker_grades(course: Course) -> None:
    with Sandbox(sandbox_files(support.LAB), kind="docker") as box:
        answers = {task.grade_id: task.solution for task in course.tasks}
        found = grade_answers(
            course, Submission.of(course, answers), box, support.SEED, Seconds(cell=120)
        )
    assert {result.outcome for result in found} == {Outcome.RIGHT}


def test_a_container_gets_nothing_but_the_course(tmp_path: Path) -> None:
    line = docker.command_line(tmp_path, Limits(memory=5, threads=6, files=7, scratch=8), "name")
    assert line[:2] == ["docker", "run"]
    assert line[-1] == docker.IMAGE
    options = dict(pairwise(line))
    assert options["--network"] == options["--ipc"] == options["--log-driver"] == "none"
    assert options["--cap-drop"] == "ALL"
    assert options["--security-opt"] == "no-new-privileges"
    assert options["--user"] == "65534:65534"
    assert options["--mount"] == f"type=bind,source={tmp_path},target=/course,readonly"
    assert options["--tmpfs"] == "/scratch:rw,noexec,nosuid,nodev,size=8"
    assert options["--memory"] == options["--memory-swap"] == str(5 + docker.MEMORY_OF_TORCH)
    assert options["--pids-limit"] == "6"
    assert {"nofile=7:7", "fsize=8:8", "core=0"} <= set(line)
    assert {"--read-only", "--rm", "--interactive"} <= set(line)
    # Nothing else of this machine: no volume, no device, no privilege, no second mount.
    assert line.count("--mount") == line.count("--tmpfs") == 1
    assert not {"-v", "--volume", "--device", "--privileged", "--cap-add", "--pid"} & set(line)


def test_outcomes_are_told_apart(course: Course, sandbox: Sandbox) -> None:
    answers = {task.grade_id: task.stub for task in course.tasks}
    answers["exercise-1-1"] = course.tasks[0].solution
    answers["exercise-1-3"] = "import os\nos._exit(3)"
    found = grade_answers(course, Submission.of(course, answers), sandbox, support.SEED)
    outcomes = {result.exercise: result.outcome for result in found}
    assert outcomes["1.1"] is Outcome.RIGHT
    assert outcomes["1.3"] is Outcome.CRASH
    assert "by an exit" in found[2].summary


def test_a_container_is_killed_by_its_name(sandbox: Sandbox, folder: Path) -> None:
    with sandbox.process() as process:
        with pytest.raises(Died) as end:
            process.ask(("cell", "<loop>", "while True: pass"), 1.0)
        assert end.value.reason == "timeout"
        newest = max(folder.glob("labkit-*"), key=lambda path: path.stat().st_mtime_ns)
        running = Path("/proc") / newest.read_text()
        assert running.exists()
    assert not running.exists()


def test_a_docker_that_fails_is_nobodys_fault(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 125\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with Sandbox({}, kind="docker") as box, pytest.raises(SandboxError, match="confined"):
        grade_answers(course, Submission.of(course, {"exercise-1-1": "x = 1"}), box, support.SEED)


def test_doctor_says_which_sandbox_works(
    folder: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert docker.problem() == ""
    main(["doctor"])
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["docker"] == "works"
    monkeypatch.setenv("PATH", "")
    main(["doctor"])
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["docker"] == "docker is not installed"
    assert lines["bubblewrap"].startswith("bubblewrap is not installed")


def test_without_an_image_docker_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\necho No such image >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert docker.problem().startswith("No such image; if the image is missing")
    assert "pip install --no-cache-dir torch==" in docker.recipe()
    assert docker.recipe().endswith(f"docker build -t {docker.IMAGE} -")
