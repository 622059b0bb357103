"""Containers install the same course as README.md, and never a CUDA build by accident."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCKERFILE, POST_BUILD = ROOT / ".devcontainer" / "Dockerfile", ROOT / ".binder" / "postBuild"
PINNED = re.search(r"^torch==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)[1]


@pytest.mark.parametrize("path", [DOCKERFILE, POST_BUILD], ids=lambda path: path.name)
def test_torch_comes_first_and_without_cuda(path):
    text = path.read_text()
    (version,) = re.findall(r"torch==(\S+) --torch-backend=cpu", text)
    assert version == PINNED
    assert text.index("--torch-backend=cpu") < text.index("-r requirements.txt")


def test_the_readme_installs_that_torch_too():
    found = re.findall(r"torch==([\d.]+)", (ROOT / "README.md").read_text())
    assert found
    assert set(found) == {PINNED}


def test_the_editors_file_names_what_is_there():
    settings = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert (ROOT / ".devcontainer" / settings["build"]["dockerfile"]).is_file()
    assert settings["postCreateCommand"] == "labkit doctor"


def test_binders_script_is_one():
    assert POST_BUILD.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", POST_BUILD], check=True)
