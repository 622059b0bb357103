"""The dry run: what the grader would take, flag and miss, told to the student beforehand."""

import json
from pathlib import Path

import grading_support as support
import pytest

from labkit.checks.rehearsal import HOW, rehearsal_card
from labkit.cli import main
from labkit.start import LABS

NAME = "lab1_linear.ipynb"


def test_a_notebook_is_run_as_the_grader_would(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    notebook = json.loads((LABS / NAME).read_text("utf-8"))
    answers = {
        "exercise-1-1": "import numpy as np\ndef integer_range(*args):\n    return 0, 1",
        "exercise-1-3": "def quantize(x, scale, zero_point, qmin, qmax):\n"
        "    q = np.round(x.numpy() / scale) + zero_point\n"
        "    return np.clip(q, qmin, qmax).astype(np.int32)",
        "exercise-1-4": "from labkit.linear import dequantize",
        "exercise-1-5": "def round_half_even(x:\n    return x",
    }
    for cell in notebook["cells"]:
        key = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
        cell["source"] = answers.get(key, cell["source"])
    support.save(tmp_path, notebook, "mine.ipynb")
    assert main(["check", str(tmp_path / "mine.ipynb")]) == 0
    told = capsys.readouterr().out
    lines = {line.split(" ")[0]: line for line in told.splitlines() if line[:2] == "1."}
    assert "Not yet" in lines["1.1"]
    assert "Passed" in lines["1.3"]
    assert "labkit.linear.dequantize is not there" in told
    assert "SyntaxError: '(' was never closed" in told
    assert "Not started" in lines["1.6"]
    assert "- the notebook is not named" in told
    assert f"2 of {support.FULL} points" in told


def test_what_is_no_lab_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "other.ipynb").write_text('{"cells": []}')
    assert main(["check", str(tmp_path / "other.ipynb")]) == 1
    assert main(["check", str(tmp_path / "missing.ipynb")]) == 1
    assert "holds no cell of a lab" in capsys.readouterr().err


def test_a_notebook_that_nobody_names_is_told_how(tmp_path: Path) -> None:
    assert HOW in repr(rehearsal_card(None))
    assert "could not be done" in repr(rehearsal_card(tmp_path / "missing.ipynb"))
