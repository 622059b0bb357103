"""labkit/README.md names every part of the package, and nothing that is not there."""

import re
from pathlib import Path

import pytest

import labkit

PACKAGE = Path(labkit.__file__).parent
MAP = (PACKAGE / "README.md").read_text("utf-8")


def named():
    """Every file and folder in backticks, as it stands in the map."""
    return set(re.findall(r"`([\w/]+(?:\.py|/))`", MAP))


def test_all_that_is_named_is_there():
    parts = ("..", ".", "grading", "kernels", "ptq", "checks", "checks/diagnosis")
    folders = [PACKAGE / part for part in parts]
    folders += [path.parent for path in (PACKAGE / "grading").glob("*/__init__.py")]
    lost = {name for name in named() if not any((f / name).exists() for f in folders)}
    assert lost == set()


def test_every_part_of_the_package_and_of_the_grader_is_named():
    for folder in (PACKAGE, PACKAGE / "grading"):
        parts = {p.name for p in folder.glob("*.py") if p.name != "__init__.py"}
        parts |= {f"{p.parent.name}/" for p in folder.glob("*/__init__.py")}
        assert parts - named() == set()


@pytest.mark.parametrize(
    ("file", "names"), re.findall(r"^\| .* \| `([\w/.]+)` \| (`.*`) \|$", MAP, re.M)
)
def test_where_a_line_is_said_to_be_it_is(file, names):
    source = (PACKAGE / file).read_text("utf-8")
    for name in re.findall(r"`(\w+)`", names):
        known = rf"^ *(?:def|class) {name}\b|^{name}\b.* = |\.{name}\("
        assert re.search(known, source, re.MULTILINE), name
