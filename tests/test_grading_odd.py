"""Odd but right: what honest students write, and what their editors make of it. None loses a point.

All are graded in one class; the ones below change exercise 1.3 of a solved notebook.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import grading_support as support
import nbformat
import pytest
from grading_support import NAME, Notebook, save

from labkit.checks import registry
from labkit.grading import grade
from labkit.grading.judging.results import Outcome, Record
from labkit.grading.sandbox.bubblewrap import problem

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}"),
]

KEY = "exercise-1-3"
HEAD = "def quantize(x, scale, zero_point, qmin, qmax):\n"
BODY = "(torch.round(x / scale) + zero_point).clamp(qmin, qmax).to(torch.int32)"
RIGHT = f"{HEAD}    return {BODY}"
NUMPY = "np.clip(np.round(x.numpy() / scale) + zero_point, qmin, qmax).astype(np.int32)"

CELLS = {
    "a lambda": f"quantize = lambda x, scale, zero_point, qmin, qmax: {BODY}",
    "an object": "class Codes:\n    def __call__(self, x, scale, zero_point, qmin, qmax):\n"
    f"        return {BODY}\nquantize = Codes()",
    "a partial": "from functools import partial\ndef codes(_, x, scale, zero_point, qmin, qmax):\n"
    f"    return {BODY}\nquantize = partial(codes, None)",
    "a decorator": f"@torch.no_grad()\n{RIGHT}",
    "compiled by torch": "@torch.jit.script\ndef quantize(x: Tensor, scale: float, "
    f"zero_point: int, qmin: int, qmax: int) -> Tensor:\n    return {BODY}",
    "numpy": f"import numpy as np\n{HEAD}    return {NUMPY}",
    "numpy in another byte order": f"import numpy as np\n{HEAD}    return {NUMPY}.astype('>i4')",
    "numpy from behind": f"import numpy as np\n{HEAD}    q = {NUMPY}\n"
    "    return q[::-1].copy()[::-1]",
    "the time on the first line": f"%%time\n{RIGHT}",
    "a magic, and a remainder on a line of its own": f"%%time\n{HEAD}    assert (7\n"
    f"            % 4) == 3\n    return {BODY}",
    "a question": f"{RIGHT}\ntorch.round?",
    "the shell": f"files = !ls\n{RIGHT}",
    "the shell of IPython": f"get_ipython().run_line_magic('matplotlib', 'inline')\n{RIGHT}",
    "a hint first": f"lab.hint('1.3')\n{RIGHT}\nquantize = lab.check('1.3', quantize)",
    "display": f"{RIGHT}\ndisplay(quantize(torch.ones(2), 0.1, 0, -128, 127))",
    "display in the function": f"{HEAD}    display(x)\n    return {BODY}",
    "a try with what another cell made": f"{RIGHT}\nprint(quantize(weights, 0.1, 0, -128, 127))",
    "a global constant": f"r = torch.round\n{HEAD}    return {BODY.replace('torch.round', 'r')}",
    "many prints and a warning": f"import warnings\n{HEAD}    print('x' * 100000)\n"
    f"    warnings.warn('x')\n    return {BODY}",
    "threads": f"torch.set_num_threads(2)\n{RIGHT}",
    "tabs": RIGHT.replace("    ", "\t"),
    "lines that end as on Windows": RIGHT.replace("\n", "\r\n"),
}

Write = Callable[[Path, Notebook], None]
NOTEBOOKS: dict[str, Write] = {}


def notebook(function: Write) -> Write:
    NOTEBOOKS[function.__name__.replace("_", " ")] = function
    return function


def solved(source: str = RIGHT) -> Notebook:
    found = support.solved_notebook()
    answer(found)["source"] = source
    return found


def answer(found: Notebook) -> Notebook:
    return next(c for c in found["cells"] if grade_id(c) == KEY)


def grade_id(cell: Notebook) -> str:
    return cell["metadata"].get("nbgrader", {}).get("grade_id", "")


def add(found: Notebook, *sources: str, at: int = 1) -> Notebook:
    found["cells"][at:at] = [nbformat.v4.new_code_cell(source) for source in sources]
    return found


@notebook
def a_byte_order_mark(folder: Path, found: Notebook) -> None:
    (folder / NAME).write_text(json.dumps(found), encoding="utf-8-sig")


@notebook
def metadata_lost(folder: Path, found: Notebook) -> None:
    for cell in found["cells"]:
        cell["metadata"] = {"id": "colab"}
    save(folder, found)


@notebook
def metadata_lost_and_a_lambda(folder: Path, found: Notebook) -> None:
    metadata_lost(folder, solved(CELLS["a lambda"]))


@notebook
def an_older_format(folder: Path, found: Notebook) -> None:
    found["nbformat_minor"] = 0
    for cell in found["cells"]:
        cell.pop("id", None)
    save(folder, found)


@notebook
def cells_in_reverse(folder: Path, found: Notebook) -> None:
    found["cells"].reverse()
    save(folder, found)


@notebook
def a_wrong_try_above(folder: Path, found: Notebook) -> None:
    first = copy.deepcopy(answer(found)) | {"source": "def quantize(x, *rest):\n    return x"}
    found["cells"].insert(found["cells"].index(answer(found)), first)
    save(folder, found)


@notebook
def a_split_cell(folder: Path, found: Notebook) -> None:
    first = copy.deepcopy(answer(found)) | {"source": "def nearest(x):\n    return torch.round(x)"}
    answer(found)["source"] = CELLS["a lambda"].replace("torch.round", "nearest")
    found["cells"].insert(found["cells"].index(answer(found)), first)
    save(folder, found)


@notebook
def answer_and_check_in_one_cell(folder: Path, found: Notebook) -> None:
    check = next(c for c in found["cells"] if grade_id(c) == "check-1-3")
    answer(found)["source"] += "\n" + check["source"]
    found["cells"].remove(check)
    save(folder, found)


@notebook
def two_answers_in_one_cell(folder: Path, found: Notebook) -> None:
    other = next(c for c in found["cells"] if grade_id(c) == "exercise-1-4")
    answer(found)["source"] += "\n\n" + other["source"]
    found["cells"].remove(other)
    save(folder, found)


@notebook
def a_helper_in_a_cell_of_its_own(folder: Path, found: Notebook) -> None:
    helper = (
        "%matplotlib inline\nimport numpy as np\nfrom typing import NamedTuple\n"
        "tried = torch.randn(3)\nCODE = torch.int32\n\nclass Ends(NamedTuple):\n    low: int\n"
        "    high: int\n\ndef nearest(x: Tensor, ends: Ends) -> Tensor:\n"
        "    return torch.from_numpy(np.round(x.numpy())).clamp(*ends).to(CODE)\n"
        "print(nearest(tried, Ends(0, 1)))"
    )
    answer(found)["source"] = f"{HEAD}    return nearest(x / scale + zero_point, Ends(qmin, qmax))"
    save(folder, add(found, helper))


@notebook
def cells_of_its_own_that_fail(folder: Path, found: Notebook) -> None:
    sources = (
        "x = [",
        "1 / 0",
        "while True: pass",
        "from os import nothing",
        "%%bash\necho",
        "del x",
    )
    save(folder, add(found, *sources, "def quantize(x): return 0"))


@notebook
def what_macos_leaves_beside_a_copy(folder: Path, found: Notebook) -> None:
    save(folder, found, "lab1_linear (1).ipynb")
    (folder / "._lab1_linear (1).ipynb").write_bytes(b"\0\5\x16\7")
    save(folder / ".ipynb_checkpoints", found)


@notebook
def the_state_of_many_widgets(folder: Path, found: Notebook) -> None:
    found["metadata"]["widgets"] = {"state": {str(i): [0] * 1100 for i in range(1000)}}
    save(folder, found)


@notebook
def an_answer_above_the_stub_of_an_older_release(folder: Path, found: Notebook) -> None:
    add(found, RIGHT, at=found["cells"].index(answer(found)))
    answer(found)["source"] = f'{HEAD}    raise NotImplementedError("Exercise 1.3")'
    save(folder, found)


# Written with a newer Python than any: what its syntax or its library has, none has here.
NEWER = {
    "a helper in newer syntax": "def nearest(x) gives Tensor:\n    return torch.round(x)",
    "a newer library": "from itertools import batched_and_sorted as nearest",
}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    root = tmp_path_factory.mktemp("odd")
    for name, source in CELLS.items():
        save(root / "submissions" / name, solved(source))
    for name, write in NOTEBOOKS.items():
        (root / "submissions" / name).mkdir(parents=True)
        write(root / "submissions" / name, solved())
    for name, source in NEWER.items():
        found = add(solved(RIGHT.replace("torch.round", "nearest")), source)
        found["metadata"]["language_info"] = {"name": "python", "version": "4.0.1"}
        save(root / "submissions" / name, found)
    solutions = support.solutions_folder(root / "solutions")
    found = grade(root / "submissions", support.LAB, root / "out", solutions, seed=support.SEED)
    return {record.student: record for record in found}


@pytest.mark.parametrize("name", NEWER)
def test_a_newer_python_is_named(records: dict[str, Record], name: str) -> None:
    (lost,) = (g for g in records[name].graded if g.outcome is not Outcome.RIGHT)
    assert (lost.exercise, lost.outcome) == ("1.3", Outcome.ERROR)
    assert "was written with Python 4.0 and is graded with" in lost.summary
    assert any("Python 4.0" in flag for flag in records[name].flags)


@pytest.mark.parametrize("name", [*CELLS, *NOTEBOOKS])
def test_nobody_loses_a_point(records: dict[str, Record], name: str) -> None:
    record = records[name]
    lost = [(g.exercise, g.summary) for g in record.graded if g.outcome is not Outcome.RIGHT]
    assert (record.status, lost) == ("graded", [])
    assert record.points == support.FULL == sum(e.points for e in registry.exercises(support.LAB))
