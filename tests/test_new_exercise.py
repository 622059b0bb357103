"""A new exercise passes the suite as it stands, and nothing that was there is lost."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from labkit.checks import registry
from labkit.teaching.new_exercise import new_exercise

ROOT = Path(__file__).parents[1]
LAB = 1
STEM = registry.STEMS[LAB]
NUMBER = f"{LAB}.99"
COPIED = (
    *("labkit", "tests/right_answers", "tests/test_exercises.py", "tests/test_notebooks.py"),
    *("tests/browsers.py", "tests/half_solved.py"),
    *("tests/honest_answers.py", "tests/remembered.py"),
    *("tests/mutation.json", "tests/seconds.json"),
    *("conftest.py", "pyproject.toml"),
    *(f"{folder}/{STEM}.ipynb" for folder in ("solutions", "labs")),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project with one lab."""
    root = tmp_path_factory.mktemp("project")
    for name in COPIED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            skipped = shutil.ignore_patterns("__pycache__", "data")
            shutil.copytree(ROOT / name, root / name, ignore=skipped)
        else:
            shutil.copy(ROOT / name, root / name)
    # Megabytes of networks and pictures, which stay where they are.
    (root / "labkit" / "data").symlink_to(ROOT / "labkit" / "data")
    return root


def python(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    around = os.environ | {"PYTHONPATH": str(project), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=project, env=around, capture_output=True, text=True)


@pytest.mark.slow
def test_a_skeleton_passes_the_suite_as_it_stands(project: Path) -> None:
    before = nbformat.read(project / "solutions" / f"{STEM}.ipynb", as_version=4)
    done = python(project, "labkit.cli", "new-exercise", NUMBER, "Row magnitudes")
    assert done.returncode == 0, done.stderr
    assert f"labkit preview {NUMBER}" in done.stdout

    after = nbformat.read(project / "solutions" / f"{STEM}.ipynb", as_version=4)
    added = [cell for cell in after.cells if "row_magnitudes" in cell.id]
    kept = [cell.source for cell in after.cells if cell not in added]
    assert kept == [cell.source for cell in before.cells]
    assert len(added) == len(after.cells) - len(before.cells) > 5
    counts = [c.execution_count for c in after.cells if c.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))

    text = (project / "tests" / "test_notebooks.py").read_text("utf-8")
    forms = re.findall(r"^def (test_\w+)\(number: int\) -> None", text, re.MULTILINE)
    assert len(forms) > 5
    nodes = [f"tests/test_notebooks.py::{name}[{LAB}]" for name in forms]
    quiet = ("pytest", "-q", "-n", "0", "-p", "no:cacheprovider")
    for arguments in (nodes, ["tests/test_exercises.py", "-k", NUMBER]):
        done = python(project, *quiet, *arguments)
        assert done.returncode == 0, done.stdout[-3000:]
    tools = [["ruff", "check"], ["ruff", "format", "--check"]]
    for tool in tools:
        done = python(project, *tool, "labkit/checks", "tests/right_answers")
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("number", "title", "function", "reason"),
    [
        (f"{LAB}.3", "Again", "", f"{LAB}.3 is an exercise; the next number is"),
        ("99.1", "Nowhere", "", "the number is '99.1'"),
        ("one", "Nowhere", "", "the number is 'one'"),
        ("1.99", "Quantize", "", "asks for quantize already"),
        ("1.99", "Class", "", "no function can be named 'class'"),
        ("1.99", "3 bits", "", "no function can be named '3_bits'"),
        ("1.99", 'A "title"', "", "two to five plain words"),
        ("1.99", "Pack", "unpack", "asks for unpack already"),
    ],
)
def test_what_is_taken_or_cannot_be_used_is_refused(
    tmp_path: Path, number: str, title: str, function: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        new_exercise(tmp_path, number, title, function)
    assert list(tmp_path.iterdir()) == []


def test_outside_of_the_project_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is missing; run this in the project's folder"):
        new_exercise(tmp_path, "1.99", "Row magnitudes")
    assert list(tmp_path.iterdir()) == []
