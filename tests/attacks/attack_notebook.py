"""Submissions whose notebook, file or folder is the attack. Each writes into a student's folder."""

import copy
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import nbformat
from grading_support import NAME, Notebook, save

Attack = Callable[[Path, Notebook], None]
ATTACKS: dict[str, Attack] = {}


def attack(name: str) -> Callable[[Attack], Attack]:
    def register(function: Attack) -> Attack:
        ATTACKS[name] = function
        return function

    return register


def nbgrader_cells(notebook: Notebook) -> list[Notebook]:
    return [cell for cell in notebook["cells"] if "nbgrader" in cell["metadata"]]


@attack("raises its own points")
def _(folder: Path, notebook: Notebook) -> None:
    for cell in nbgrader_cells(notebook):
        cell["metadata"]["nbgrader"].update(points=1e9, grade=True, solution=True, locked=False)
    save(folder, notebook)


@attack("brings its own checks")
def _(folder: Path, notebook: Notebook) -> None:
    for cell in nbgrader_cells(notebook):
        if cell["metadata"]["nbgrader"]["grade_id"].startswith("check-"):
            cell["source"] = "print('✓ Passed · 2 of 2 points')"
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "✓ Passed"}]
    save(folder, notebook)


@attack("doubles and shuffles answer cells")
def _(folder: Path, notebook: Notebook) -> None:
    cells = nbgrader_cells(notebook)
    notebook["cells"] = [*cells[::-1], *copy.deepcopy(cells), *cells]
    save(folder, notebook)


@attack("deletes every graded cell")
def _(folder: Path, notebook: Notebook) -> None:
    notebook["cells"] = [c for c in notebook["cells"] if "nbgrader" not in c["metadata"]]
    save(folder, notebook)


@attack("gives all cells one id")
def _(folder: Path, notebook: Notebook) -> None:
    for cell in nbgrader_cells(notebook):
        cell["metadata"]["nbgrader"]["grade_id"] = "exercise-1-3"
    save(folder, notebook)


@attack("names exercises that do not exist")
def _(folder: Path, notebook: Notebook) -> None:
    for number, cell in enumerate(nbgrader_cells(notebook)):
        cell["metadata"]["nbgrader"]["grade_id"] = f"exercise-9-{number}/../../x"
    save(folder, notebook)


@attack("puts other types everywhere")
def _(folder: Path, notebook: Notebook) -> None:
    values = [None, 3, [], {}, "x", True, [[1]], {"grade_id": []}]
    for number, cell in enumerate(notebook["cells"]):
        cell["source"] = values[number % 8]
        cell["metadata"] = values[(number + 1) % 8]
        cell["metadata"] = (
            {"nbgrader": values[(number + 3) % 8]} if number % 2 else cell["metadata"]
        )
    notebook["cells"] += values
    save(folder, notebook)


@attack("asks for another kernel")
def _(folder: Path, notebook: Notebook) -> None:
    notebook["metadata"]["kernelspec"] = {"name": "bash", "argv": ["touch", "TRACE"]}
    for cell in nbgrader_cells(notebook):
        cell["source"] = "%%bash\ntouch TRACE"
    save(folder, notebook)


@attack("uses magics")
def _(folder: Path, notebook: Notebook) -> None:
    for cell in nbgrader_cells(notebook):
        cell["source"] = "!touch TRACE\n%run TRACE\nget_ipython().system('touch TRACE')"
    save(folder, notebook)


@attack("holds megabytes of output")
def _(folder: Path, notebook: Notebook) -> None:
    output = {"output_type": "stream", "name": "stdout", "text": "x" * (5 << 20)}
    notebook["cells"][0]["outputs"] = [output]
    save(folder, notebook)


@attack("is too large")
def _(folder: Path, notebook: Notebook) -> None:
    with open(folder / NAME, "wb") as file:
        file.truncate(3 << 30)


@attack("is nested deeply")
def _(folder: Path, notebook: Notebook) -> None:
    (folder / NAME).write_text('{"cells": ' + "[" * 400_000 + "]" * 400_000 + "}")


@attack("holds millions of values")
def _(folder: Path, notebook: Notebook) -> None:
    (folder / NAME).write_text('{"cells": [' + "[]," * 3_000_000 + "[]]}")


@attack("holds numbers beyond measure")
def _(folder: Path, notebook: Notebook) -> None:
    (folder / NAME).write_text('{"cells": [], "x": [NaN, Infinity, 1e999999, %s]}' % ("9" * 10**6))


@attack("is a cell of millions of lines")
def _(folder: Path, notebook: Notebook) -> None:
    notebook["cells"].append(nbformat.v4.new_code_cell("\n" * 9_000_000))
    save(folder, notebook)


@attack("is thousands of cells of thousands of lines")
def _(folder: Path, notebook: Notebook) -> None:
    notebook["cells"] += [nbformat.v4.new_code_cell("\n" * 1900)] * 4900
    save(folder, notebook)


@attack("defines evil in cells of its own")
def _(folder: Path, notebook: Notebook) -> None:
    evil = (
        "class Evil:\n    import os\n    os.environ.clear()",
        "def lab(): pass\ndef Lab(): pass\ndef torch(): pass\ndef Tensor(): pass",
        "import builtins, labkit.grading.inside.answers as answers\n"
        "@lambda function: setattr(answers, '_call', lambda *a: [])\ndef f(): pass",
        "@lambda function: __import__('os')._exit(0)\ndef f(): pass",
    )
    notebook["cells"] += [nbformat.v4.new_code_cell(source) for source in evil]
    for cell in nbgrader_cells(notebook):
        if cell["metadata"]["nbgrader"]["grade_id"] == "exercise-1-3":
            cell["source"] = "def quantize(*args): return None"
    save(folder, notebook)


@attack("is a zip archive")
def _(folder: Path, notebook: Notebook) -> None:
    with zipfile.ZipFile(folder / NAME, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../../TRACE", b"0" * (10 << 20))


@attack("is a link to a neighbour's notebook")
def _(folder: Path, notebook: Notebook) -> None:
    (folder / NAME).symlink_to(folder.parent / "honest-1" / NAME)


@attack("is a link to a file of the system")
def _(folder: Path, notebook: Notebook) -> None:
    (folder / NAME).symlink_to("/etc/passwd")


@attack("is a named pipe")
def _(folder: Path, notebook: Notebook) -> None:
    os.mkfifo(folder / NAME)


@attack("is a folder")
def _(folder: Path, notebook: Notebook) -> None:
    (folder / NAME).mkdir()


@attack("is an endless device")
def _(folder: Path, notebook: Notebook) -> None:
    (folder / NAME).symlink_to("/dev/zero")


@attack("is a link as a folder")
def _(folder: Path, notebook: Notebook) -> None:
    folder.rmdir()
    folder.symlink_to(folder.parent / "honest-1")


@attack("has an old format")
def _(folder: Path, notebook: Notebook) -> None:
    save(folder, {"worksheets": [{"cells": notebook["cells"]}], "nbformat": 3})


@attack("is there three times")
def _(folder: Path, notebook: Notebook) -> None:
    for name in ("a.ipynb", "b.ipynb", "c.IPYNB"):
        save(folder, notebook, name)


@attack("holds halves of characters")
def _(folder: Path, notebook: Notebook) -> None:
    for cell in nbgrader_cells(notebook):
        cell["source"] = "x = '\ud800'\n" + "".join(cell["source"])
    save(folder, notebook)


@attack("is not UTF-8")
def _(folder: Path, notebook: Notebook) -> None:
    (folder / NAME).write_bytes(json.dumps(notebook).encode("utf-16"))


@attack("has an answer of ten megabytes")
def _(folder: Path, notebook: Notebook) -> None:
    for cell in nbgrader_cells(notebook):
        cell["source"] = "# " + "x" * (1 << 20)
    save(folder, notebook)


@attack('=HYPERLINK("http://127.0.0.1","formula")'.replace("/", "_"))
def _(folder: Path, notebook: Notebook) -> None:
    save(folder, notebook)


@attack("<img src=x onerror=alert(1)>")
def _(folder: Path, notebook: Notebook) -> None:
    save(folder, notebook)


@attack("gradebook.csv")
def _(folder: Path, notebook: Notebook) -> None:
    save(folder, notebook)


@attack('a name\nof two lines,and "more"')
def _(folder: Path, notebook: Notebook) -> None:
    save(folder, notebook)


# A terminal or a browser would obey these, a spreadsheet would run them.
for _name in (
    "\x1b]0;owned\x07\x1b[2J",
    "\x9b2J",
    "\u202egnp.exe",
    "\u200b=1+1",
    "\uff1dcmd()",
    "\xa0@SUM(1)",
    "--help",
    "$(touch TRACE)",
    "a;=1+1",
    os.fsdecode(b"\xff\xfe"),
    "x" * 255,
    "class.html",
):

    @attack(_name)
    def _(folder: Path, notebook: Notebook) -> None:
        save(folder, notebook)
