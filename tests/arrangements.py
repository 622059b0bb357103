"""Arrangements of honest cells, and what a notebook shows that is run from top to bottom.

The notebook is run in one IPython shell of this process, with names of its own each time.
"""

import copy
import functools
import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import grading_support as support
import nbformat
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from labkit.checks import lab as checks
from labkit.grading.course import Course, course_from
from labkit.grading.releasing.release import ANSWER, CHECK

EXERCISES = ("1.1", "1.3", "1.4", "1.6")
GIVEN = (
    "STEPS = 255\n\n\ndef spread(x):\n    return float(x.max() - x.min())",
    "weights = torch.linspace(-1, 1, 9)\nwidth = spread(weights)",
)
AFTER = "codes = quantize(weights, 0.1, 0, -128, 127)\nprint(codes, width)"

RANGE = "def integer_range(bits, signed, narrow):\n"
RANGES = "    low = -(2 ** (bits - 1)) if signed else 0\n    return low + narrow, low + 2**bits - 1"
HEAD = "def quantize(x, scale, zero_point, qmin, qmax):\n"
CODES = "(torch.round(x / scale) + zero_point).clamp(qmin, qmax).to(torch.int32)"
BACK = "def dequantize(q, scale, zero_point):\n"
REAL = "(q.to(torch.int32) - zero_point).to(torch.float32) * scale"
SYMMETRIC = (
    "def quantize_symmetric(x, bits):\n    qmax = 2 ** (bits - 1) - 1\n"
    "    scale = float(x.abs().max()) / qmax or 1.0\n"
    "    return quantize(x, scale, 0, -qmax, qmax), scale"
)
NUMPY = "np.clip(np.round(x.numpy() / scale) + zero_point, qmin, qmax).astype(np.int64)"
PARTED = "\n\n### here\n"
"""Where a cell can be split."""

RIGHT = {
    "1.1": (
        RANGE + RANGES,
        f"LOW = 0{PARTED}{RANGE}    low = -(2 ** (bits - 1)) if signed else LOW\n"
        "    return low + narrow, low + 2**bits - 1",
        f"if True:\n    {RANGE}    {RANGES}".replace("\n    return", "\n        return"),
    ),
    "1.3": (
        f"{HEAD}    return {CODES}",
        f"quantize = lambda x, scale, zero_point, qmin, qmax: {CODES}",
        f"from typing import Callable\nquantize: Callable = lambda x, scale, zero_point, qmin, "
        f"qmax: {CODES}",
        f"import numpy as np{PARTED}{HEAD}    return {NUMPY}",
        f"def nearest(x):\n    return torch.round(x){PARTED}{HEAD}"
        f"    return {CODES.replace('torch.round', 'nearest')}",
        f"quantize, tried = (lambda x, scale, zero_point, qmin, qmax: {CODES}), 0",
        f"try:\n    import numpy as np\nexcept ImportError:\n    np = None{PARTED}"
        f"{HEAD}    return {NUMPY}",
        f"with torch.no_grad():\n    half = torch.tensor(0.5){PARTED}{HEAD}    return {CODES}",
        f"limits = []\nfor name in ('low', 'high'):\n    limits.append(name){PARTED}{HEAD}"
        f"    assert len(limits) == 2\n    return {CODES}",
        f"here = torch.device('cpu'){PARTED}{HEAD}    return {CODES}.to(here)",
        f"%time k = 1\n{HEAD}    return {CODES}",
        f"%%time\n{HEAD}    return {CODES}",
        f"!true \\\n    and more\n{HEAD}    return {CODES}",
        f"torch.round?\n{HEAD}    return {CODES}",
        f"import asyncio\nawait asyncio.sleep(0)\n{HEAD}    return {CODES}",
        f"print(weights, width)\n{HEAD}    return {CODES}",
    ),
    "1.4": (
        f"{BACK}    return {REAL}",
        f"import numpy as np{PARTED}{BACK}"
        "    return ((q.numpy().astype(np.int64) - zero_point) * scale).astype(np.float32)",
        f"class Back:\n    def __call__(self, q, scale, zero_point):\n        return {REAL}"
        f"{PARTED}dequantize = Back()",
    ),
    "1.6": (SYMMETRIC, SYMMETRIC.replace("quantize(x,", "quantize(x.float(),")),
}
WRONG = {
    "1.1": (f"import math\n{RANGE}    return 0, 1", "integer_range = ["),
    "1.3": (f"import numpy as np\n{HEAD}    return x", f"{HEAD}    raise ValueError('no')"),
    "1.4": (f"{BACK}    return q", f"{BACK.replace('dequantize', 'dequantise')}    return {REAL}"),
    "1.6": (SYMMETRIC.replace("bits - 1) - 1", "bits - 1)"),),
}
OWN = (
    "print(torch.__version__)",
    "import numpy as np",
    "from __future__ import annotations",
    "%matplotlib inline",
    "%%time\nlater = 3",
    "%%timeit -n 1 -r 1\nsum(range(3))",
    "!pip list \\\n    --quiet",
    "torch.clamp?",
    "help(len)",
    "%%capture kept\nprint(1)",
    "1 / 0",
    "print(weights.mean(), width)\nTRIED = 1",
    "x = [",
    "LOW = 0",
    "def nearest(x):\n    return torch.round(x)",
    "scale, zero_point, bits = 0.1, 3, 8",
    "args = (torch.ones(2), 0.1, 0, -128, 127)\ntry:\n    print(quantize(*args))\n"
    "except Exception as error:\n    print(error)",
)
LAST = ("max = 3", "LOW = 7", "def nearest(x):\n    return 0", "torch = None", "del torch")


@dataclass
class Draft:
    """A notebook that is being arranged: its cells, and which have been done to it."""

    rng: random.Random
    cells: list[dict[str, Any]]
    done: list[str] = field(default_factory=list)

    def position(self, kind: str, exercise: str) -> int | None:
        """Return where the answer or check of an exercise stands."""
        key = kind + exercise.replace(".", "-")
        found = (i for i, cell in enumerate(self.cells) if grade_id(cell) == key)
        return next(found, None)


def grade_id(cell: dict[str, Any]) -> str:
    return cell["metadata"].get("nbgrader", {}).get("grade_id", "")


def code(source: str) -> dict[str, Any]:
    return json_like(nbformat.v4.new_code_cell(source))


def json_like(cell: nbformat.NotebookNode) -> dict[str, Any]:
    return {"cell_type": "code", "source": cell["source"], "metadata": dict(cell["metadata"])}


@functools.cache
def course() -> Course:
    """Return lab 1 with four of its exercises and with given cells."""
    notebook = support.solved_notebook()
    for source in reversed(GIVEN):
        notebook["cells"].insert(1, nbformat.v4.new_code_cell(source, execution_count=1))
    notebook["cells"].append(nbformat.v4.new_code_cell(AFTER, execution_count=1))
    whole = course_from(support.LAB, nbformat.writes(nbformat.from_dict(notebook)))
    return replace(whole, tasks=tuple(t for t in whole.tasks if t.exercise.id in EXERCISES))


def arranged(lab: Course, seed: int) -> Draft:
    """Return a notebook of honest cells in an arrangement of its own."""
    rng = random.Random(seed)
    cells = [code(source) for source in (support.SETUP, *GIVEN)]
    for task in lab.tasks:
        key, chance = task.exercise.id, rng.random()
        source = task.stub if chance < 0.06 else rng.choice((WRONG if chance < 0.2 else RIGHT)[key])
        for grade, text in ((task.grade_id, source), (task.check_id, task.check_source)):
            cells.append({**code(text), "metadata": {"nbgrader": {"grade_id": grade}}})
    cells.append(code(AFTER))
    draft = Draft(rng, cells)
    for change in rng.choices(CHANGES, k=rng.randint(0, 4)):
        draft.done.append(change.__name__)
        change(draft)
    return draft


def _own_cells(draft: Draft) -> None:
    for source in draft.rng.sample(OWN, draft.rng.randint(1, 4)):
        draft.cells.insert(draft.rng.randint(3, len(draft.cells)), code(source))


def _a_scratch_cell_at_the_end(draft: Draft) -> None:
    draft.cells.append(code(draft.rng.choice(LAST)))


def _split(draft: Draft) -> None:
    for position, cell in reversed(list(enumerate(draft.cells))):
        if PARTED in cell["source"]:
            parts = [{**copy.deepcopy(cell), "source": s} for s in cell["source"].split(PARTED)]
            if draft.rng.random() < 0.5:
                parts[0]["metadata"] = {}
            draft.cells[position : position + 1] = parts


def _answer_and_check_merged(draft: Draft) -> None:
    key = draft.rng.choice(EXERCISES)
    answer, check = draft.position(ANSWER, key), draft.position(CHECK, key)
    if answer is not None and check is not None and answer < check:
        draft.cells[answer]["source"] += "\n" + draft.cells.pop(check)["source"]


def _two_answers_merged(draft: Draft) -> None:
    one, other = (draft.position(ANSWER, key) for key in draft.rng.sample(EXERCISES, 2))
    if one is not None and other is not None:
        draft.cells[one]["source"] += "\n\n" + draft.cells[other]["source"]
        del draft.cells[other]


def _in_a_cell_of_its_own(draft: Draft) -> None:
    key = draft.rng.choice(EXERCISES)
    position = draft.position(ANSWER, key)
    if position is None:
        return
    task = next(task for task in course().tasks if task.exercise.id == key)
    own = code(draft.cells[position]["source"])
    draft.cells[position]["source"] = draft.rng.choice((task.stub, task.stub, "", "# see below"))
    draft.cells.insert(position + draft.rng.choice((0, 1, 1, 1, 2)), own)


def _tried_above(draft: Draft) -> None:
    key = draft.rng.choice(EXERCISES)
    position = draft.position(ANSWER, key)
    if position is not None:
        tried = copy.deepcopy(draft.cells[position])
        tried["source"] = draft.rng.choice(WRONG[key])
        draft.cells.insert(position, tried)


def _experiments_below(draft: Draft) -> None:
    key = draft.rng.choice(EXERCISES)
    position, check = draft.position(ANSWER, key), draft.position(CHECK, key)
    if position is not None and check is not None:
        tried = copy.deepcopy(draft.cells[position])
        tried["source"] = draft.rng.choice((*WRONG[key], *RIGHT[key]))
        draft.cells.insert(check + 1, tried)


def _moved(draft: Draft) -> None:
    position = draft.position(draft.rng.choice((ANSWER, CHECK)), draft.rng.choice(EXERCISES))
    if position is not None:
        cell = draft.cells.pop(position)
        draft.cells.insert(draft.rng.randint(3, len(draft.cells)), cell)


def _ids_lost(draft: Draft) -> None:
    for cell in draft.cells:
        cell["metadata"] = {}


def _given_edited(draft: Draft) -> None:
    draft.cells[0]["source"] += "\nimport numpy as np\nprint(torch.__version__)"


def _check_edited(draft: Draft) -> None:
    position = draft.position(CHECK, draft.rng.choice(EXERCISES))
    if position is not None:
        draft.cells[position]["source"] += "\nprint('checked')"


def _turned_into_markdown(draft: Draft) -> None:
    position = draft.position(ANSWER, draft.rng.choice(EXERCISES))
    if position is not None:
        draft.cells[position]["cell_type"] = "markdown"


CHANGES: tuple[Callable[[Draft], None], ...] = (
    *(_own_cells, _own_cells, _a_scratch_cell_at_the_end, _split, _split),
    *(_answer_and_check_merged, _two_answers_merged, _in_a_cell_of_its_own, _tried_above),
    *(_experiments_below, _moved, _ids_lost, _given_edited, _check_edited, _turned_into_markdown),
)


class Kernel:
    """One IPython shell, in which one notebook after another is run.

    It has a thread of its own, as a kernel has a process: in this one a browser's event loop may
    be running, and a cell that awaits something needs one itself.
    """

    def __init__(self, folder: Path) -> None:
        os.environ["LABKIT_PROGRESS"] = str(folder)
        config = Config()
        config.HistoryManager.enabled = False
        self._shell = InteractiveShell(config=config)
        # What the tests' notebooks start is `!pip`, which would reach into this environment.
        self._shell.system = self._shell.getoutput = lambda *_: []
        self._shell.showtraceback = self._shell.showsyntaxerror = lambda *_, **__: None
        self._thread = ThreadPoolExecutor(1)

    def points(self, cells: list[dict[str, Any]]) -> dict[str, float]:
        """Return the points that each exercise's last check shows, all cells run in their order."""
        return self._thread.submit(self._points, cells).result()

    def _points(self, cells: list[dict[str, Any]]) -> dict[str, float]:
        names = self._shell.user_ns
        before = set(names)
        made: list[checks.Lab] = []
        first = checks.Lab.__init__

        def remember(lab: checks.Lab, number: int) -> None:
            first(lab, number)
            made.append(lab)

        silent = patch.object(checks, "show", lambda card: None)
        with silent, patch.object(checks.Lab, "__init__", remember):
            for cell in cells:
                if cell["cell_type"] == "code":
                    self._shell.run_cell(cell["source"], silent=True)
        self._shell.compile.flags &= ~0x1000000  # from __future__ import annotations
        for name in set(names) - before:
            del names[name]
        verdicts = made[-1]._verdicts if made else {}
        return {key: verdicts[key].points if key in verdicts else 0.0 for key in EXERCISES}
