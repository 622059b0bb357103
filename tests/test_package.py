"""The package as it is built: an sdist, a wheel from it, and a course without a checkout."""

import json
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from labkit.checks import registry
from labkit.checks.messages import TONES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
LABS = [f"{stem}.ipynb" for stem in registry.STEMS.values()]

# Runs in the new environment: its kernel is of that environment, too.
RUN = """
import json, sys
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

cells = [new_code_cell(source) for source in json.load(sys.stdin)]
client = NotebookClient(new_notebook(cells=cells), allow_errors=True)
print(json.dumps(client.execute().cells))
"""


def run(*command: object, cwd: Path, **options) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """Build from a copy of what git does not ignore, so that nothing of this folder helps."""
    folder = tmp_path_factory.mktemp("package")
    tree = folder / "tree"
    tree.mkdir()
    tracked = run("git", "ls-files", "-zco", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(lambda name: (ROOT / name).is_file(), tracked):
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    build = f"from setuptools.build_meta import build_sdist; build_sdist({str(folder)!r})"
    run(sys.executable, "-c", build, cwd=tree)
    (path,) = folder.glob("*.tar.gz")
    return path


@pytest.fixture(scope="module")
def wheel(sdist):
    """Build from the sdist."""
    with tarfile.open(sdist) as archive:
        archive.extractall(sdist.parent, filter="data")
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(sdist.parent)!r})"
    run(sys.executable, "-c", build, cwd=sdist.parent / sdist.name.removesuffix(".tar.gz"))
    (path,) = sdist.parent.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Give the interpreter of an environment that has the wheel, and what labkit needs."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    install = ["pip", "--python", python, "install", "--no-deps", "--no-index", wheel]
    run(sys.executable, "-m", *install, cwd=folder)
    # The dependencies are lent. The checkout is not: no .pth file of theirs is read.
    site = run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=folder).strip()
    (Path(site) / "lent.pth").write_text(sysconfig.get_path("purelib"))
    return python


def test_the_wheel_holds_the_labs_and_no_solution(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        released = [archive.read(f"labkit/labs/{lab}").decode() for lab in LABS]
    assert not [name for name in names if "solutions" in name or "tests" in name]
    assert all("NotImplementedError" in lab and "BEGIN SOLUTION" not in lab for lab in released)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/NOTICE.md") for name in names)
    assert any(name.endswith("etc/ipython/ipython_config.py") for name in names)
    templates = {name.rpartition("/")[2] for name in names if name.startswith("labkit/device/")}
    assert templates >= {"network.c.j2", "conv2d.c.j2", "board.c", "board.ld"}


def test_a_course_begins_without_a_checkout(python, tmp_path):
    where = run(python, "-c", "import labkit; print(labkit.__file__)", cwd=tmp_path)
    assert Path(where).is_relative_to(python.parents[1])
    said = run(python.parent / "labkit", "start", "desk", cwd=tmp_path)
    assert all(f"{lab}: copied" in said for lab in LABS)
    answer = "def integer_range(bits, signed):\n    return 0, 2**bits - 1"
    check = 'integer_range = lab.check("1.1", integer_range)'
    sources = ["from labkit import Lab\nlab = Lab(1)", answer, check, "robust.eval()"]
    cells = json.loads(
        run(python, "-c", RUN, cwd=tmp_path / "desk", input=json.dumps(sources), timeout=120)
    )
    shown = ["".join(o["data"]["text/plain"] for o in c["outputs"] if "data" in o) for c in cells]
    assert "1.1" in shown[2]
    assert "signed" in shown[2]
    assert "The cell that makes `robust` has not run" in shown[3]


def test_one_version_everywhere():
    from labkit import __version__

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    assert f"version: {__version__}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_extra_for_labs_is_what_requirements_txt_installs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {*project["dependencies"], *project["optional-dependencies"]["labs"]}
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    asked = {line for line in lines if line and not line.startswith(("#", "-"))}
    assert asked <= wanted
    assert asked >= set(project["optional-dependencies"]["labs"])


def test_the_page_for_assistants_uses_the_words_of_the_cards():
    page = (ROOT / "labs" / "AGENTS.md").read_text()
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")]
    assert rows == ["a card says", *(title for _, title in TONES.values()), "a slip by name"]
