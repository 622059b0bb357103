"""Containers install the same course as README.md, and never a CUDA build by accident."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCKERFILE, POST_BUILD = ROOT / ".devcontainer" / "Dockerfile", ROOT / ".binder" / "postBuild"
PINNED = re.search(r"^torch==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)[1]


@pytest.mark.parametrize(
    ("path", "course"), [(DOCKERFILE, "[labs]"), (POST_BUILD, "-r requirements.txt")]
)
def test_torch_comes_first_and_without_cuda(path, course):
    text = path.read_text()
    (version,) = re.findall(r"torch==(\S+) --torch-backend=cpu", text)
    assert version == PINNED
    assert text.index("--torch-backend=cpu") < text.index(course)


def test_a_class_finds_no_solutions_in_its_container():
    ignored = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
    assert {"solutions", "tests", ".venv"} <= set(ignored)
    assert "COPY --from=wheel /wheels /wheels" in DOCKERFILE.read_text()


def test_the_container_begins_with_a_copy_of_the_labs_and_any_command(tmp_path):
    (line,) = re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE.read_text(), re.MULTILINE)
    command = [part.replace("/home/student", str(tmp_path)) for part in json.loads(line)]
    done = subprocess.run([*command, "echo", "a hub"], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\na hub\n")
    assert (tmp_path / "work" / "index.ipynb").is_file()


def test_the_readme_installs_that_torch_too():
    found = re.findall(r"torch==([\d.]+)", (ROOT / "README.md").read_text())
    assert found
    assert set(found) == {PINNED}


def test_the_editors_file_names_what_is_there():
    settings = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert (ROOT / ".devcontainer" / settings["build"]["dockerfile"]).is_file()
    # The folder that is open in the editor, not the image's copy, is what runs.
    assert settings["postCreateCommand"] == "pip install --no-deps -e . && labkit doctor"


def test_binders_script_is_one():
    assert POST_BUILD.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", POST_BUILD], check=True)
