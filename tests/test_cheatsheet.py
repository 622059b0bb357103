"""The page of calls: each line runs and gives what stands behind it, and no call is missing."""

import math
import re
from pathlib import Path

import nbformat
import pytest
import torch
from torch import nn

ROOT = Path(__file__).parents[1]
SHEET = (ROOT / "labs" / "cheatsheet.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", SHEET, re.MULTILINE | re.DOTALL)
CALL = re.compile(r"\btorch(?:\.[a-z_0-9]+)+(?=\()|\bnn\.functional\.[a-z_]+|\bmath\.[a-z0-9]+")


def test_each_line_gives_what_stands_behind_it() -> None:
    names = {"math": math, "torch": torch, "nn": nn}
    for line in "".join(BLOCKS).splitlines():
        call, _, result = line.partition("  # ")
        if result:
            assert " ".join(repr(eval(call, names)).split()) == result, call
        else:
            exec(call, names)


@pytest.mark.parametrize("path", sorted(ROOT.glob("solutions/lab*.ipynb")), ids=lambda p: p.stem)
def test_the_calls_of_every_solution_are_on_the_page(path: Path) -> None:
    solutions = [
        solution
        for cell in nbformat.read(path, as_version=4).cells
        for solution in re.findall(r"### BEGIN SOLUTION(.*?)### END SOLUTION", cell.source, re.S)
    ]
    assert solutions
    needed = {call.removeprefix("torch.nn.functional") for call in CALL.findall("".join(solutions))}
    assert not [call for call in sorted(needed) if call not in SHEET]
