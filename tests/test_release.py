"""Releasing: what students get, and what is refused."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from labkit.checks import registry
from labkit.cli import main
from labkit.grading.releasing.release import bundle, exercise_id, release, release_notebook
from labkit.grading.releasing.student_readme import student_readme

ROOT = Path(__file__).parents[1]
STEM = registry.STEMS[1]


def answer_cell(number: str, body: str = "    return 1\n") -> NotebookNode:
    source = f"def f():\n    ### BEGIN SOLUTION\n{body}    ### END SOLUTION\n"
    identity = f"exercise-{number.replace('.', '-')}"
    return cell(source, grade_id=identity, solution=True, grade=False, locked=False)


def check_cell(number: str, points: int) -> NotebookNode:
    identity = f"check-{number.replace('.', '-')}"
    return cell(
        f'f = lab.check("{number}", f)',
        grade_id=identity,
        solution=False,
        grade=True,
        locked=True,
        points=points,
    )


def cell(source: str, **nbgrader: object) -> NotebookNode:
    made = new_code_cell(source, execution_count=1)
    made.outputs = [nbformat.v4.new_output("stream", text="out\n")]
    if nbgrader:
        made.metadata["nbgrader"] = {"schema_version": 3, "task": False, **nbgrader}
    return made


def solved() -> NotebookNode:
    cells = [new_markdown_cell("# Lab"), cell("import torch")]
    for exercise in registry.exercises(1):
        cells += [answer_cell(exercise.id), check_cell(exercise.id, exercise.points)]
    return new_notebook(cells=cells)


def test_solution_becomes_a_stub_and_outputs_go() -> None:
    lab = release_notebook(solved(), STEM)
    sources = "\n".join(c.source for c in lab.cells)
    assert "return 1" not in sources
    assert "SOLUTION" not in sources
    assert '    raise NotImplementedError("Exercise 1.3")' in sources
    assert all(c.execution_count is None and c.outputs == [] for c in lab.cells[1:])
    assert lab.cells[2].metadata.nbgrader.grade_id == "exercise-1-1"


def test_stub_keeps_the_indentation_of_what_it_replaces() -> None:
    notebook = solved()
    notebook.cells[2].source = (
        "class A:\n    def f(self):\n        ### BEGIN SOLUTION\n        return 1\n"
        "        ### END SOLUTION\n"
    )
    stub = release_notebook(notebook, STEM).cells[2].source
    assert stub == 'class A:\n    def f(self):\n        raise NotImplementedError("Exercise 1.1")'


def test_hidden_tests_vanish() -> None:
    notebook = solved()
    notebook.cells[
        1
    ].source = "import torch\n### BEGIN HIDDEN TESTS\nsecret = 1\n### END HIDDEN TESTS\nx = 2"
    assert release_notebook(notebook, STEM).cells[1].source == "import torch\nx = 2"


def test_releasing_twice_gives_the_same_bytes() -> None:
    first = nbformat.writes(release_notebook(solved_with_ids(), STEM))
    assert first == nbformat.writes(release_notebook(solved_with_ids(), STEM))


def solved_with_ids() -> NotebookNode:
    notebook = solved()
    for number, each in enumerate(notebook.cells):
        each["id"] = f"cell-{number}"
    return notebook


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda n: n.cells[1].update(execution_count=None), "cell 1 was never run"),
        (
            lambda n: n.cells[1].update(
                outputs=[nbformat.v4.new_output("error", ename="E", evalue="v", traceback=[])]
            ),
            "cell 1 ended in an error",
        ),
        (lambda n: n.cells[2].update(source="### BEGIN SOLUTION\nx = 1"), "opened and not closed"),
        (lambda n: n.cells[2].update(source="x = 1\n### END SOLUTION"), "closed and not opened"),
        (lambda n: n.cells.pop(), "the exercises declared for lab 1 are"),
        (lambda n: n.cells[3].metadata.nbgrader.update(points=99), "the exercises declared"),
        (lambda n: n.cells.append(n.cells[-1]), "stands on more than one cell"),
        (
            lambda n: n.cells[1].update(source="### BEGIN SOLUTION\nx\n### END SOLUTION"),
            'no nbgrader grade_id of the form "exercise-1-3"',
        ),
    ],
)
def test_what_is_refused(spoil, message) -> None:
    notebook = solved()
    spoil(notebook)
    with pytest.raises(ValueError, match=message):
        release_notebook(notebook, STEM)


def test_unknown_lab_is_refused() -> None:
    with pytest.raises(ValueError, match="no lab that"):
        release_notebook(solved(), "lab9_other")


def project(tmp_path: Path) -> Path:
    (tmp_path / "solutions").mkdir()
    nbformat.write(solved_with_ids(), tmp_path / "solutions" / f"{STEM}.ipynb")
    return tmp_path


def test_check_finds_missing_changed_and_orphaned_labs(tmp_path, capsys) -> None:
    root = project(tmp_path)
    missing = [s.name for s in release(root, check=True) if s.reason == "is missing"]
    assert missing == [f"{STEM}.ipynb", "index.ipynb", "README.md"]
    assert not (root / "labs").exists()
    assert release(root) == []
    assert release(root, check=True) == []
    lab = root / "labs" / f"{STEM}.ipynb"
    lab.write_text(lab.read_text().replace("import torch", "import numpy"))
    (root / "labs" / "lab7_gone.ipynb").write_text("{}")
    assert main(["release", "--check", "--root", str(root)]) == 1
    assert capsys.readouterr().out.splitlines()[:2] == [
        f"labs/{STEM}.ipynb differs from what its solution releases",
        "labs/lab7_gone.ipynb has no solution",
    ]


def test_nothing_to_release_is_an_error(tmp_path, capsys) -> None:
    assert main(["release", "--root", str(tmp_path)]) == 1
    assert "holds no lab*.ipynb" in capsys.readouterr().err


def test_bundle_holds_no_solution_and_is_the_same_every_time(tmp_path) -> None:
    names = bundle(ROOT, tmp_path / "a.zip")
    bundle(ROOT, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert "labkit/linear.py" in names
    needed = {"requirements.txt", "setup.py", "etc/ipython/ipython_config.py", "labs/index.ipynb"}
    assert needed <= set(names)
    assert not any(n.startswith(("solutions", "tests")) for n in names)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".ipynb"):
                assert b"BEGIN SOLUTION" not in archive.read(name)


def test_every_link_in_the_students_readme_leads_to_a_file_in_the_zip(tmp_path) -> None:
    names = bundle(ROOT, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        text = archive.read("quantization-labs/README.md").decode()
    linked = re.findall(r'\]\((?!https?:)([^)#]+)|src="([^"]+)"', text)
    assert {link or source for link, source in linked} <= set(names)
    assert "labs/pictures/card.png" in text
    assert not any(words in text for words in ("pytest", "solutions", "For instructors", "Binder"))


def test_the_readme_of_a_part_of_the_course_is_of_that_part() -> None:
    text = student_readme((ROOT / "README.md").read_text("utf-8"), ["labs/lab1_linear.ipynb"])
    assert "[1 Linear quantization](labs/lab1_linear.ipynb)" in text
    assert "2 Calibration" not in text
    assert "<img" not in text
    assert "NOTICE.md says" in text


def test_a_solved_notebook_that_lies_in_labs_is_not_bundled(tmp_path) -> None:
    root = project(tmp_path)
    release(root)
    for name in ("my_solution.ipynb", "deeper/lab1_linear.ipynb", "notes.txt"):
        (root / "labs" / name).parent.mkdir(exist_ok=True)
        (root / "labs" / name).write_text("x")
    names = bundle(root, tmp_path / "a.zip")
    assert {"labs/notes.txt", f"labs/{STEM}.ipynb", "labs/index.ipynb"} <= set(names)
    assert not {"labs/my_solution.ipynb", "labs/deeper/lab1_linear.ipynb"} & set(names)


def test_exercise_id_reads_both_kinds_of_cell() -> None:
    assert exercise_id(answer_cell("1.10")) == "1.10"
    assert exercise_id(check_cell("1.3", 2)) == "1.3"
    assert exercise_id(cell("x")) == ""


def test_labs_are_in_step_with_solutions() -> None:
    assert release(ROOT, check=True) == []


def test_a_student_can_run_the_bundle(tmp_path) -> None:
    bundle(ROOT, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path)
    command = [sys.executable, "-c", "from labkit import cli; cli.main(['--version'])"]
    found = subprocess.run(
        command, cwd=tmp_path / "quantization-labs", capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith("labkit ")
