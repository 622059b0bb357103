"""Grading on a Dask cluster: a real scheduler and two worker processes, one of which is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grading_support as support
import pytest

from labkit.grading import grade
from labkit.grading.grades import RECORD
from labkit.grading.sandbox.bubblewrap import problem

distributed = pytest.importorskip("distributed", reason="needs pip install 'labkit[cluster]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}"),
]


@dataclass(frozen=True)
class Running:
    """A scheduler's address, and its worker processes."""

    address: str
    workers: list[subprocess.Popen]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "scheduler.json"
    options = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
    one = ["--no-nanny", "--nthreads", "1", "--local-directory", str(folder)]
    programs = [["scheduler", "--port", "0"], ["worker", *one], ["worker", *one]]
    started = []
    with open(folder / "log", "wb") as log:
        for program in programs:
            line = [sys.executable, "-m", "dask", *program, *options]
            started.append(subprocess.Popen(line, stdout=log, stderr=log))
    try:
        with distributed.Client(scheduler_file=str(file), timeout=600) as client:
            client.wait_for_workers(2, timeout=600)
            address = client.scheduler.address
        yield Running(address, started[1:])
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def test_a_killed_worker_loses_nothing(tmp_path: Path, cluster: Running) -> None:
    submissions, solutions = support.class_of(tmp_path, size=8)
    with support.one_sandbox(support.course(tmp_path / "course")):
        grade(submissions, support.LAB, tmp_path / "here", solutions, seed=support.SEED)
    out = tmp_path / "there"
    arguments = (submissions, support.LAB, out, solutions)
    options = {"seed": support.SEED, "scheduler": cluster.address}
    run = threading.Thread(target=grade, args=arguments, kwargs=options)
    run.start()
    while run.is_alive() and not list(out.rglob(RECORD)):
        time.sleep(0.005)
    finished = len(list(out.rglob(RECORD)))
    os.kill(cluster.workers[0].pid, signal.SIGKILL)
    run.join(600)
    assert not run.is_alive()
    assert 0 < finished < len(list(out.rglob(RECORD)))
    assert cluster.workers[0].wait(60) == -signal.SIGKILL
    assert cluster.workers[1].poll() is None
    assert support.contents(out) == support.contents(tmp_path / "here")


def test_a_worker_with_another_labkit_is_refused(
    tmp_path: Path, cluster: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    submissions, solutions = support.class_of(tmp_path, size=1)
    monkeypatch.setattr("labkit.grading.classroom.course_key", lambda *_: "another")
    with pytest.raises(ValueError, match="another labkit"):
        grade(submissions, support.LAB, tmp_path / "out", solutions, scheduler=cluster.address)


def test_a_scheduler_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submissions, solutions = support.class_of(tmp_path, size=1)
    monkeypatch.setattr("labkit.grading.cluster.PATIENCE", 0.5)
    address = "tcp://127.0.0.1:9"
    with pytest.raises(ValueError, match=f"answers at {address}"):
        grade(submissions, support.LAB, tmp_path / "out", solutions, scheduler=address)


def test_without_dask_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submissions, solutions = support.class_of(tmp_path, size=1)
    monkeypatch.setitem(sys.modules, "labkit.grading.cluster", None)
    with pytest.raises(ValueError, match=r"labkit\[cluster\]"):
        grade(submissions, support.LAB, tmp_path / "out", solutions, scheduler="tcp://x:1")
