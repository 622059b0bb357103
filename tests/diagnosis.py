"""How often a card names the slip: wrong answers of learners, and what is said about them.

::

    python tests/diagnosis.py               a table, one row a lab
    python tests/diagnosis.py --lab 3 -v    what is said about every answer of a lab

``answers/labN.jsonl`` holds one answer a line: the exercise, the slip in words, the code, and
``says``: the keys of findings that name that slip (a person's judgement). A finding that claims a
cause and is none of them counts as a wrong cause, whatever else stands on the card. ``fits`` holds
keys of findings that are true of the code and do not name its slip: such a card hints.
"""

import argparse
import ast
import builtins
import json
import linecache
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.exercise import Exercise
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.verdict import State, Verdict, judge
from labkit.linear import Scheme, choose_qparams

ANSWERS = Path(__file__).parent / "answers"
STORED = [number for number in registry.STEMS if (ANSWERS / f"lab{number}.jsonl").exists()]
SEED_OF_LAB = 0


@dataclass(frozen=True)
class Answer:
    """One answer of a learner."""

    exercise: Exercise
    kind: str
    slip: str
    code: str
    says: tuple[str, ...]
    fits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What came of it: "passed", "named", "wrong cause", "hinted" or "unnamed".

    A right answer is "almost" where the card calls its numbers right and its container wrong.
    """

    answer: Answer
    verdict: Verdict

    @property
    def word(self) -> str:
        """How the card did."""
        if self.verdict.state is State.PASSED:
            return "passed"
        if self.answer.kind == "right" and self._form_alone:
            return "almost"
        if any(key in self.answer.says for key in self.keys):
            return "named"
        if any(f.cause and f.key not in self.answer.fits for f in self.verdict.findings):
            return "wrong cause"
        return "hinted" if self.keys else "unnamed"

    @property
    def _form_alone(self) -> bool:
        """Whether a card says that the numbers are right and only what holds them is not."""
        failure = self.verdict.failure
        right = failure is not None and "numbers are right" in failure.problem
        return right and self.verdict.state is State.ALMOST

    @property
    def keys(self) -> list[str]:
        """What the card says: its findings, and a problem of form or an error in its own words."""
        failure = self.verdict.failure
        shown = ["problem"] if failure is not None and not failure.rows else []
        return shown + [finding.key for finding in self.verdict.findings]


def answers(number: int) -> list[Answer]:
    """Return the stored answers to the exercises of a lab."""
    exercises = {e.id: e for e in registry.exercises(number)}
    rows = [json.loads(line) for line in (ANSWERS / f"lab{number}.jsonl").read_text().splitlines()]
    return [
        Answer(
            exercises[row["exercise"]],
            row["kind"],
            row["slip"],
            row["code"],
            tuple(row.get("says", ())),
            tuple(row.get("fits", ())),
        )
        for row in rows
    ]


def around(number: int) -> dict[str, Any]:
    """Return what an answer finds in its notebook: imports, references, and some variables."""
    names: dict[str, Any] = {"__builtins__": builtins, "math": math, "struct": struct}
    names |= {
        "Callable": Callable,
        "torch": torch,
        "nn": nn,
        "np": np,
        "F": nn.functional,
        "Tensor": torch.Tensor,
        "pairwise": pairwise,
    }
    names |= {"Scheme": Scheme, "choose_qparams": choose_qparams}
    rng = torch.Generator().manual_seed(SEED_OF_LAB)
    names |= {
        "robust": nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(8, 10)),
        "w_depthwise": torch.randn(32, 1, 3, 3, generator=rng),
        "zero_point": 30,
        "total": 1000,
        "largest": 4.0,
    }
    return names | {e.function: e.reference for e in registry.exercises(number)}


def run(answer: Answer, names: dict[str, Any], read_code: bool = True) -> Result:
    """Check an answer as a notebook does."""
    names = dict(names)
    source = f"<answer {answer.exercise.id} {abs(hash(answer.code))}>"
    linecache.cache[source] = (len(answer.code), None, answer.code.splitlines(True), source)
    exec(compile(ast.parse(answer.code), source, "exec"), names)
    function = names[answer.exercise.function]
    cases = answer.exercise.draw(NOTEBOOK_SEED)
    outcomes = call_all(function, cases)
    return Result(answer, judge(answer.exercise, cases, outcomes, function if read_code else None))


def results(number: int, read_code: bool = True) -> list[Result]:
    """Check all answers of a lab; without `read_code` as a grader does, by results alone."""
    names = around(number)
    return [run(answer, names, read_code) for answer in answers(number)]


WORDS = ("named", "hinted", "unnamed", "wrong cause", "passed")


def row(found: Sequence[Result]) -> dict[str, int]:
    """Count wrong answers by what their cards say, and right ones that are refused."""
    wrong = [r.word for r in found if r.answer.kind == "wrong"]
    right = [r.word for r in found if r.answer.kind == "right"]
    counts = {word: wrong.count(word) for word in WORDS}
    almost = right.count("almost")
    refused = len(right) - right.count("passed") - almost
    return {"wrong": len(wrong), **counts, "almost": almost, "refused": refused}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lab", type=int, choices=STORED)
    parser.add_argument("-v", "--verbose", action="store_true", help="every answer")
    parser.add_argument("--results-only", action="store_true", help="as the grader sees them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    totals: list[Result] = []
    print(
        f"{'lab':>5} {'wrong':>6}"
        + "".join(f"{w:>14}" for w in (*WORDS, "right almost", "refused"))
    )
    for number in STORED if options.lab is None else (options.lab,):
        found = results(number, not options.results_only)
        totals += found
        if options.verbose:
            for place, result in enumerate(found):
                if result.answer.kind == "wrong":
                    print(
                        f"\n{number}/{place} {result.answer.exercise.id} [{result.word}] "
                        f"{result.answer.slip}"
                    )
                    if "problem" in result.keys and result.verdict.failure is not None:
                        print(f"    problem\n        {result.verdict.failure.problem}")
                    for finding in result.verdict.findings:
                        print(f"    {finding.key}\n        {finding.text}")
        _print(str(number), row(found))
    _print("all", row(totals))


def _print(name: str, counts: dict[str, int]) -> None:
    wrong = counts["wrong"] or 1
    shares = [f"{counts[w]} ({counts[w] / wrong:.1%})" for w in WORDS]
    print(
        f"{name:>5} {counts['wrong']:>6}"
        + "".join(f"{s:>14}" for s in shares)
        + f"{counts['almost']:>14}{counts['refused']:>14}"
    )


if __name__ == "__main__":
    main()
