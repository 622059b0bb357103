"""The first cell of each lab: on Colab it installs the course and no torch, elsewhere nothing."""

import sys
import types
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell

from labkit.checks import registry, selection
from labkit.grading.course import load_course
from labkit.grading.releasing import colab
from labkit.grading.submission.reading import parse

LABS = Path(__file__).parents[1] / "labs"


def cell(number: int) -> str:
    """Return the source of a lab's first code cell."""
    lab = nbformat.read(LABS / f"{registry.STEMS[number]}.ipynb", as_version=4)
    return next(one.source for one in lab.cells if one.cell_type == "code")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what pip is asked for by cells that run."""
    found: list[str] = []
    shell = InteractiveShell.instance()
    monkeypatch.setitem(shell.magics_manager.magics["line"], "pip", found.append)
    yield found
    InteractiveShell.clear_instance()


def run(source: str) -> None:
    InteractiveShell.instance().run_cell(source).raise_error()


@pytest.mark.parametrize("number", registry.STEMS)
def test_elsewhere_it_does_nothing(number: int, asked: list[str]) -> None:
    run(cell(number))
    assert asked == []


@pytest.mark.parametrize("number", registry.STEMS)
def test_on_colab_it_installs_the_course_alone(number: int, asked, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    run(cell(number))
    assert asked == [f'install --quiet --no-deps "{colab.ZIP}"']


def test_a_class_names_its_own_address(tmp_path, asked, monkeypatch) -> None:
    address = "https://example.org/get?file=students.zip&version=2#sha256=0"
    (tmp_path / "course.toml").write_text(f"colab = '{address}'\n[labs.1]\n", "utf-8")
    monkeypatch.setenv("LABKIT_COURSE", str(tmp_path / "course.toml"))
    (source,) = (one["source"] for one in colab.with_cell([]))
    assert "Drag" not in source
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    run(source)
    assert asked == [f'install --quiet --no-deps "{address}"']


@pytest.mark.parametrize(
    "address", ["3", "'students.zip'", "'http://example.org/a.zip'", "'https://a/\";rm x'"]
)
def test_what_is_no_address_is_refused(tmp_path, monkeypatch, address: str) -> None:
    (tmp_path / "course.toml").write_text(f"colab = {address}\n", "utf-8")
    monkeypatch.setenv("LABKIT_COURSE", str(tmp_path / "course.toml"))
    with pytest.raises(ValueError, match="expected an address like"):
        selection.colab()


def test_who_takes_it_out_or_names_another_file_has_no_flag() -> None:
    path = LABS.parent / "solutions" / f"{registry.STEMS[1]}.ipynb"
    course = load_course(1, path.parent)
    released = nbformat.read(LABS / path.name, as_version=4)
    for source in ("", cell(1).replace(colab.ZIP, "students (1).zip")):
        for one in released.cells:
            if one.cell_type == "code" and one.id == colab.ID:
                one.source = source
        handed_in = parse(nbformat.writes(released).encode(), course)
        assert handed_in.flags == ()
