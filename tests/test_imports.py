"""Imports are cheap and run one way; modules stay short and refuse out loud."""

import ast
import os
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import labkit

PACKAGE = Path(labkit.__file__).parent
MOST_LINES = 300

# The references, each of which may import those on the rungs before its own.
LADDER = (
    {"validation", "progress_bar", "files"},
    {"qparams", "packing"},
    {"linear"},
    {"calibration", "kernels"},
    {"ptq"},
    {"qat", "device"},
)
# Codebooks, and blocks on top of them, stand beside that ladder: on formats and linear alone.
# Language models stand on blocks, calibration and kernels, and nothing stands on them.
BESIDE = {
    "codebooks": {"calibration", "kernels", "ptq", "qat", "blocks"},
    "blocks": {"calibration", "kernels", "ptq", "qat"},
    "language": {"ptq", "qat"},
}
REFERENCES = {"formats", *BESIDE}.union(*LADDER)
# A package as the design has it, for trying wrong imports in.
SKELETON = (
    *("validation", "qparams", "packing", "linear", "calibration", "ptq", "qat", "device"),
    *("formats", "cli"),
    *(
        "codebooks",
        "blocks",
        "kernels/__init__",
        "kernels/engine",
        "language/__init__",
        "language/model",
        "checks/__init__",
        "checks/lab",
        "grading/__init__",
    ),
)


def name_of(path, root):
    """The dotted name of a module under `root`, without the package's own."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def imported(path, root):
    """The modules under `root` that the one at `path` imports, wherever in it, lazily or not."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # `from . import x` is relative to the folder that holds the module.
            folder = ("labkit", *path.relative_to(root).parent.parts)
            start = folder[: len(folder) + 1 - node.level] if node.level else ()
            base = ".".join((*start, *filter(None, [node.module])))
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return {name.removeprefix("labkit.") for name in found if name.startswith("labkit.")}


def imports_under(root):
    """All modules under `root`, each with the modules under `root` that it imports.

    Without the package's own __init__, which loads what is asked of it when it is asked.
    """
    paths = {name_of(path, root): path for path in root.rglob("*.py") if path.parent != root}
    paths |= {path.stem: path for path in root.glob("*.py") if path.stem != "__init__"}
    return {name: (imported(path, root) & paths.keys()) - {name} for name, path in paths.items()}


def family(name):
    """The module or folder directly in labkit that `name` belongs to."""
    return name.partition(".")[0]


def families_reached(graph, start):
    """All families that the modules of `start` import, and those import, and so on."""
    seen, ahead = set(), [name for name in graph if family(name) == start]
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead += graph[name]
    return {family(name) for name in seen} - {start}


def wrong_ways(graph):
    """Every import, direct or through others, that runs against section 3 of the design."""
    names = {family(name) for name in graph}
    wrong = set()
    for rung, members in enumerate(LADDER):
        own_and_later = set().union(*LADDER[rung:])
        for member in members:
            wrong |= {(member, other) for other in families_reached(graph, member) & own_and_later}
    others = REFERENCES - {"formats", "validation"}
    wrong |= {("formats", other) for other in families_reached(graph, "formats") & others}
    for name in names:
        forbidden = {"cli"} | BESIDE.get(name, set())
        if name not in {"cli", "site", "teaching"}:
            forbidden |= {"grading", "site", "teaching"}
        if name in REFERENCES:
            forbidden |= {"checks"} | ({"language"} - {name})
        wrong |= {(name, other) for other in families_reached(graph, name) & forbidden}
    return wrong


@pytest.fixture(scope="module")
def graph():
    return imports_under(PACKAGE)


def test_imports_run_one_way(graph):
    assert {"linear", "checks.lab", "validation"} <= graph.keys()
    assert graph["linear"] >= {"qparams", "packing", "validation"}
    assert wrong_ways(graph) == set()


def test_no_two_modules_import_one_another(graph):
    assert len(tuple(TopologicalSorter(graph).static_order())) == len(graph)


def parts_of_the_grader(graph):
    """Its folders, and modules in none, each with those that it imports."""
    found = {}
    for name, others in graph.items():
        if name.startswith("grading."):
            part = name.split(".")[1]
            reached = {other.split(".")[1] for other in others if other.startswith("grading.")}
            found.setdefault(part, set()).update(reached - {part})
    return found


def test_no_two_parts_of_the_grader_import_one_another(graph):
    parts = parts_of_the_grader(graph)
    order = list(TopologicalSorter(parts).static_order())
    assert len(order) == len(parts)
    text = (PACKAGE / "README.md").read_text("utf-8")
    table = text[text.index("**Grading**") :]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    row = {
        part: number
        for number, cell in enumerate(rows)
        for part in parts
        if {f"{part}.py", f"{part}/"} & {*cell.split("`")}
    }
    assert row.keys() == parts.keys()
    assert [(a, b) for a in parts for b in parts[a] if row[b] > row[a]] == []


@pytest.mark.parametrize(
    ("path", "source", "wrong"),
    [
        ("linear.py", "import labkit.kernels", ("linear", "kernels")),
        ("linear.py", "def f():\n    from labkit import qat", ("linear", "qat")),
        ("qparams.py", "from labkit.packing import pack", ("qparams", "packing")),
        ("calibration.py", "from .kernels.engine import run", ("calibration", "kernels")),
        ("kernels/engine.py", "from ..ptq import load", ("kernels", "ptq")),
        ("ptq.py", "import labkit.helper", ("ptq", "qat")),
        ("formats.py", "from labkit import linear", ("formats", "linear")),
        ("codebooks.py", "from labkit import blocks", ("codebooks", "blocks")),
        ("language/model.py", "from labkit.qat import train", ("language", "qat")),
        ("kernels/engine.py", "from labkit import language", ("kernels", "language")),
        ("blocks.py", "from labkit import language", ("blocks", "language")),
        ("blocks.py", "from labkit.ptq import fold_batchnorm", ("blocks", "ptq")),
        ("linear.py", "from labkit.checks import lab", ("linear", "checks")),
        ("checks/lab.py", "from labkit.grading import grade", ("checks", "grading")),
        ("ptq.py", "from labkit.device import plan_arena", ("ptq", "device")),
        ("device.py", "from labkit import qat", ("device", "qat")),
        ("helper.py", "from labkit import grading", ("helper", "grading")),
        ("grading/__init__.py", "from labkit import cli", ("grading", "cli")),
    ],
)
def test_a_wrong_way_is_found(tmp_path, path, source, wrong):
    sources = {f"{name}.py": "" for name in SKELETON}
    sources |= {"helper.py": "from labkit import qat", path: source}
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert wrong in wrong_ways(imports_under(tmp_path))
    (tmp_path / path).write_text("")
    assert wrong_ways(imports_under(tmp_path)) == set()


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()


def test_importing_the_package_loads_nothing_heavy():
    loaded = set(run("import sys, labkit; print(*sys.modules)"))
    assert "labkit" in loaded
    assert not loaded & {"torch", "numpy", "matplotlib", "IPython", "nbformat", "labkit.linear"}


def test_importing_the_package_takes_under_three_tenths_of_a_second():
    def seconds():
        start = children_seconds()
        run("import labkit")
        return children_seconds() - start

    # Of the processor: a busy machine takes longer. Even so it slows some runs down, never up.
    assert any(seconds() < 0.3 for _ in range(20))


def children_seconds():
    times = os.times()
    return times.children_user + times.children_system


def test_modules_are_short():
    lines = {str(path.relative_to(PACKAGE)): count(path) for path in PACKAGE.rglob("*.py")}
    assert {name: n for name, n in lines.items() if n > MOST_LINES} == {}


def count(path):
    return len(path.read_text("utf-8").splitlines())


def silent(path):
    """Where a module stops silently under -O, or catches everything, Ctrl-C too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        bare = isinstance(node, ast.ExceptHandler) and node.type is None
        if bare or isinstance(node, ast.Assert):
            yield f"{path.name}:{node.lineno}"


def test_no_bare_assert_and_no_bare_except():
    assert [place for path in PACKAGE.rglob("*.py") for place in silent(path)] == []


def test_a_bare_assert_and_a_bare_except_are_found(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        "try:\n    assert 1\nexcept:\n    raise\ntry:\n    f()\nexcept OSError:\n    g()"
    )
    assert sorted(silent(module)) == ["module.py:2", "module.py:3"]
