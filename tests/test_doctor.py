"""`labkit doctor`: what a bug report needs, and whether one can begin."""

import os
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import labkit.device.compiling
from labkit import doctor
from labkit.cli import main


def test_doctor_names_what_a_bug_report_needs(capsys) -> None:
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    named = {line.split("  ")[0] for line in printed.splitlines()}
    assert {"python", "torch", "processor", "int8 engines", "progress"} <= named
    assert {"bubblewrap", "docker"} <= {line.split()[0] for line in printed.splitlines()}

    assert "verdict        ready for the labs\n" in printed


def test_a_missing_package_and_a_wrong_version_are_named(monkeypatch, capsys):
    asked = [
        "torch==1.0",
        "numpy>=2.1",
        "nowhere-to-be-found>=3",
        'pytest==1; extra == "test"',
        'never-heard-of; extra == "labs"',
        'other-system; sys_platform == "nothing"',
    ]
    monkeypatch.setattr(metadata, "requires", lambda name: asked)
    assert [wrong for wrong, _ in doctor.problems()] == [
        f"torch is {metadata.version('torch')}, and labkit needs ==1.0",
        "nowhere-to-be-found is not installed",
        "never-heard-of is not installed",
    ]
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "not ready for the labs:\n- torch is " in printed
    assert f'Do this: {shlex.quote(sys.executable)} -m pip install "labkit[labs]".' in printed


def test_without_a_torch_that_can_be_imported_it_says_so(tmp_path) -> None:
    """A command that fails to start would help nobody."""
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.13: no such file')\n")
    code = "from labkit.cli import main; raise SystemExit(main(['doctor']))"
    around = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=around, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "not ready for the labs:\n- torch cannot be imported (libcudart.so.13" in done.stdout
    assert '-m pip install --force-reinstall "torch==' in done.stdout


def test_colab_keeps_its_own_torch_and_needs_no_jupyterlab(monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab_20260101")
    asked = ["torch==1.0", 'never-heard-of; extra == "labs"']
    monkeypatch.setattr(metadata, "requires", lambda name: asked)
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "labkit needs ==1.0. Go on with it; a number or a picture may differ" in printed
    assert "verdict        ready for the labs\n" in printed


def test_what_is_optional_is_named_and_stops_nobody(monkeypatch, capsys) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(labkit.device.compiling.importlib.util, "find_spec", lambda name: None)
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "C compiler     none, and lab 8 leaves its program out" in printed
    assert "bubblewrap     bubblewrap is not installed" in printed


@pytest.mark.parametrize("inside", [False, True])
def test_a_folder_for_progress_that_cannot_be_written(inside, monkeypatch, tmp_path):
    monkeypatch.delenv("LABKIT_PROGRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    closed = Path(".labkit") if inside else Path()
    closed.mkdir(exist_ok=True)
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: Path(path) != closed)
    ((wrong, do),) = doctor.problems()
    assert f"the folder {closed} cannot be written" in wrong
    assert "labkit start" in do


def test_a_full_disk_is_named(monkeypatch):
    usage = doctor.shutil.disk_usage(".")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage._replace(free=3 << 20))
    ((wrong, _),) = doctor.problems()
    assert wrong.endswith("has 3 MiB left")
