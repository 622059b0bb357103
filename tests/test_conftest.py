"""What notebooks find in their environment does not reach the tests that run after them."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def set_up(request, monkeypatch):
    """Set the environment up for a file, and return it."""
    for name in ("PYTHONSTARTUP", "LABKIT_CACHE"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # to be put back at the end
    conftest = request.config.pluginmanager.get_plugin(str(ROOT / "conftest.py"))

    def run(name):
        conftest.pytest_runtest_setup(SimpleNamespace(path=ROOT / name))
        return os.environ.get("PYTHONSTARTUP"), os.environ.get("LABKIT_CACHE")

    run.models = conftest.MODELS
    return run


def test_labs_find_no_model_and_what_comes_after_them_does(set_up):
    startup, models = set_up("labs/lab0_formats.ipynb")
    assert startup is not None
    assert models not in (None, set_up.models)
    assert set_up("solutions/lab0_formats.ipynb") == (startup, set_up.models)
    set_up("labs/lab0_formats.ipynb")
    assert set_up("tests/test_conftest.py") == (None, set_up.models)
