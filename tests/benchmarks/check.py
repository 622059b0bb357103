"""A bar against becoming slow: no stored ratio may fall by more than a third.

    python tests/benchmarks/check.py [kernels] [ptq] [calibration] [grading_speed]

Runs benchmarks (all four unless some are named), in each of which labkit and its rivals are timed
in turn, and compares how many times as fast labkit is with the tables beside this file. A ratio
has fallen if it did so in three runs, so that other work on the machine fails nothing. Figures are
compared with those of the same kind of chip: one whose int8 engine saturates, or one that does not.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
BENCHMARKS = ("kernels", "ptq", "calibration", "grading_speed")
LEAST, RUNS = 2 / 3, 3
KINDS = {
    "does not saturate": "a chip that does not saturate",
    "is exact": "a chip that does not saturate",
    "saturates": "a chip that saturates",
}
TIMES = re.compile(r"^([\d.]+)$")
IN_BRACKETS = re.compile(r"\(([\d.]+)x\)$")
FIGURE = re.compile(r"[\d.,]*( ?%.*| \([\d.]+x\))?")

Ratios = dict["Place", float]


class Place(NamedTuple):
    """Where a ratio stands in a file."""

    chip: str
    title: str
    row: str
    column: str


def ratios(text: str) -> Ratios:
    """Return how many times as fast labkit is, wherever a text of Markdown says it.

    That is in brackets behind a time, or in a column of "times ...". Where the column says "times
    labkit", every other row is a rival that took so many times as long.
    """
    found = {}
    for chip, title, head, row in _rows(text):
        ours = any("labkit" in cell for cell in row)
        label = " ".join(cell for cell in row if not FIGURE.fullmatch(cell))
        for column, cell in zip(head, row, strict=False):
            value = (TIMES if column.startswith("times") else IN_BRACKETS).search(cell)
            if value and ours != ("labkit" in column):
                found[Place(chip, title, label, column)] = float(value[1])
    return found


def _rows(text: str) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Yield the chip, the heading and the head of each row of a table, and the row."""
    chip, title, head = "any chip", "", []
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not head:
                head = cells
            elif not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                yield chip, title, head, cells
            continue
        head = []
        if line.startswith("## "):
            title = line[3:]
        chip = next((kind for words, kind in KINDS.items() if words in line), chip)
        # One and the same table of two kinds of chip: its heading says no more.
        title = "" if "chip" in title else title


def fallen(stored: Ratios, measure: Callable[[], Ratios]) -> tuple[int, dict[Place, str]]:
    """Measure up to three times; return how many ratios were compared, and what fell.

    Raises
    ------
    ValueError
        If nothing was measured on a kind of chip of which figures are stored.
    """
    below: dict[Place, str] = {}
    compared = 0
    for run in range(RUNS):
        found = measure()
        chips = {place.chip for place in found}
        expected = {place: ratio for place, ratio in stored.items() if place.chip in chips}
        if not expected:
            known = ", ".join(sorted({place.chip for place in stored})) or "no chip"
            raise ValueError(
                f"measured on {', '.join(sorted(chips)) or 'no chip'}, and stored are figures of "
                f"{known}; run the benchmark there, or store a table of this chip with --save."
            )
        now = {
            place: f"{ratio:g} stored, {found.get(place, 'not')} measured"
            for place, ratio in expected.items()
            if found.get(place, 0) < LEAST * ratio
        }
        below = now if run == 0 else {place: now[place] for place in below if place in now}
        compared = len(expected)
        if not below:
            break
    return compared, below


def measured(name: str) -> Ratios:
    """Run a benchmark and return the ratios that it prints."""
    command = [sys.executable, str(HERE / f"{name}.py")]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return ratios(run.stdout)


def main() -> int:
    """Say what fell; 1 if anything did."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME")
    failed = False
    for name in parser.parse_args().names or BENCHMARKS:
        stored = ratios((HERE / f"{name}.md").read_text("utf-8"))
        compared, below = fallen(stored, lambda name=name: measured(name))
        print(f"{name}: {compared} ratios compared, {len(below)} fell by more than a third")
        for place, words in below.items():
            print(f"    {', '.join(filter(None, place))}: {words}")
        failed |= bool(below)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
