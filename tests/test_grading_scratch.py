"""Temporary folders: one that is in use stays, one that a killed process left behind goes."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from labkit.grading.sandbox.scratch import LOCK, PREFIX, ScratchFolder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_there_until_it_is_removed(temporary: Path) -> None:
    folder = ScratchFolder()
    (folder.path / "file").write_text("x")
    assert folder.path.parent == temporary
    folder.remove()
    assert list(temporary.iterdir()) == []


def test_one_in_use_stays(temporary: Path) -> None:
    first, second = ScratchFolder(), ScratchFolder()
    assert first.path.is_dir()
    assert first.path != second.path


def test_what_a_killed_process_left_behind_goes(temporary: Path) -> None:
    start = "from labkit.grading.sandbox.scratch import *; f = ScratchFolder()"
    code = f"{start}; print(f.path); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    left = Path(process.stdout.readline().strip())
    (left / "course").mkdir()
    ScratchFolder().remove()
    assert (left / LOCK).is_file()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ScratchFolder().remove()
    assert not left.exists()


def test_what_others_put_there_is_left_alone(temporary: Path) -> None:
    victim = temporary / "victim"
    victim.mkdir()
    (victim / LOCK).write_text("")
    (temporary / f"{PREFIX}link").symlink_to(victim)
    (temporary / f"{PREFIX}being-made").mkdir()
    (temporary / f"{PREFIX}file").write_text("")
    before = set(temporary.rglob("*"))
    ScratchFolder().remove()
    assert set(temporary.rglob("*")) == before
