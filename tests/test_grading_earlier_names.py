"""Scripts that import the grader's modules by earlier names get the modules of today."""

import importlib
import subprocess
import sys

import pytest

from labkit.grading import earlier_names

SCRIPT = """
from labkit.grading.lms import fill_canvas, fill_moodle
from labkit.grading.results import Graded, Outcome, Record
from labkit.grading.submission import Broken, Submission, parse
from labkit.grading.sandbox import Sandbox
from labkit.grading.sheets.table import Table
from labkit.grading.judging import results
from labkit.grading.reports.sheets import table
assert Record is results.Record and Table is table.Table
"""


def test_a_script_of_an_instructor_still_runs() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(earlier_names.FOLDER_OF))
def test_every_earlier_name_is_the_module_of_today_and_says_its_name(name: str) -> None:
    earlier = f"{earlier_names.PACKAGE}.{name}"
    now = earlier_names.name_now(earlier)
    sys.modules.pop(earlier, None)
    with pytest.warns(DeprecationWarning, match=f"{earlier} is called {now}: import that"):
        module = importlib.import_module(earlier)
    assert module is importlib.import_module(now)
    assert module.__name__ == now


def test_what_never_had_another_name_is_not_found() -> None:
    assert earlier_names.name_now("labkit.grading.course") is None
    assert earlier_names.name_now("labkit.lms") is None
    with pytest.raises(ModuleNotFoundError, match=r"labkit\.grading\.nonsense"):
        importlib.import_module("labkit.grading.nonsense")
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec("from labkit.grading.submission import nonsense")
