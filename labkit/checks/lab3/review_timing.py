"""Exercise 3.14: the errors of a benchmark, found in its lines."""

from collections.abc import Sequence
from itertools import pairwise

import torch

from labkit.checks.inputs import one
from labkit.checks.reviews import review

ERRORS = {
    "no warm-up": "The first calls load code, choose kernels and fill caches. Each layer must have "
    "run before the loop.",
    "not waited for": "A layer that computes in threads of its own returns at once: each reading "
    "of the clock that ends a measurement needs a wait() before it.",
    "conversion timed": "to_codes stands between start and stop: the layer is charged for it.",
    "different inputs": "Two layers are compared on one input, so make_input is called once.",
    "too few runs": "Fewer than 10 runs say little: read the number in range(...).",
    "mean of the runs": "One run during which the computer was busy spoils a mean. The median, or "
    "the fastest, bears it.",
}
NAMES = ("float_layer", "int8_layer"), ("real", "integer"), ("layer_a", "layer_b")
BESIDE = ("gc.collect()", 'print("running")', "results = []", "# one thread for both", "wait()")
FEWEST = 10


def review_timing(script: list[str]) -> list[str]:
    """Return the errors of a timing script."""
    loop = next(i for i, line in enumerate(script) if line.startswith("for "))
    before, timed = script[:loop], script[loop:]
    found = []
    runs = int(script[loop].split("range(")[1].split(")")[0])
    layers = {_called(line) for line in timed if "# timed" in line}
    if any(not any(_called(line) == layer for line in before) for layer in layers):
        found.append("no warm-up")
    if any("# timed" in a and "wait()" not in b for a, b in pairwise(timed)):
        found.append("not waited for")
    if any("to_codes(" in line for line in timed):
        found.append("conversion timed")
    if sum("make_input(" in line for line in script) > 1:
        found.append("different inputs")
    if runs < FEWEST:
        found.append("too few runs")
    if "mean(" in script[-1]:
        found.append("mean of the runs")
    return found


def _called(line: str) -> str:
    return line.strip().split("(")[0]


def _layers(script: Sequence[str]) -> list[str]:
    return [_called(line) for line in script if "# timed" in line]


def _warm(script: Sequence[str]) -> str:
    above = [_called(line) for line in script if not line.startswith(" ")]
    warm = [layer for layer in _layers(script) if layer in above]
    return f"{COUNTED[len(warm)]} been called above the loop"


def _waited(script: Sequence[str]) -> str:
    waits = sum(line == "    wait()" for line in script)
    beside = ", and a `wait()` above the loop waits for none of them" * ("wait()" in script)
    return f"{COUNTED[waits]} been waited for{beside}"


def _converted(script: Sequence[str]) -> str:
    inside = any("to_codes" in line for line in script if line.startswith(" "))
    return f"`to_codes` stands {'inside of the loop' if inside else 'above the loop only'}"


def _inputs(script: Sequence[str]) -> str:
    made = [line.split(" = ")[1] for line in script if "make_input" in line]
    same = ", with the same number" if len(set(made)) == 1 else ", with two numbers"
    return f"`make_input` is called {'once' if len(made) == 1 else f'twice{same}'}"


def _runs(script: Sequence[str]) -> str:
    return f"it has `{next(line for line in script if 'range(' in line)}`"


def _statistic(script: Sequence[str]) -> str:
    return f"it prints `{script[-1].removeprefix('print(').split('(')[0]}`"


COUNTED = ("no layer has", "only one of the two layers has", "both layers have")
SIGHTS = {
    "no warm-up": _warm,
    "not waited for": _waited,
    "conversion timed": _converted,
    "different inputs": _inputs,
    "too few runs": _runs,
    "mean of the runs": _statistic,
}


def write_script(rng: torch.Generator, wrong: frozenset[str]) -> list[str]:
    """Write a script with the errors `wrong` and no others; all else is drawn."""

    def chance() -> bool:
        return one(rng, 0, 1) == 1

    real, integer = NAMES[one(rng, 0, len(NAMES) - 1)]
    size = 2 ** one(rng, 3, 9)
    both = chance()
    unwaited = {real, integer} if both else {real if chance() else integer}
    forgotten = {real, integer} if chance() and chance() else {real if chance() else integer}
    other = "different inputs" in wrong
    given = {real: "y" if other else "x", integer: "codes"}
    convert = "codes = to_codes(x)"
    head = [f"x = make_input({size})"]
    head += [f"y = make_input({2 * size if chance() else size})"] if other else []
    # A conversion outside of the clock is right wherever it stands.
    head += [convert]
    cold = forgotten if "no warm-up" in wrong else set()
    head += [f"{layer}({given[layer]})" for layer in (real, integer) if layer not in cold]
    head.insert(one(rng, 0, len(head)), BESIDE[one(rng, 0, len(BESIDE) - 1)])
    few, many = one(rng, 1, FEWEST - 1), one(rng, FEWEST, 500)
    if chance():
        few, many = FEWEST - 1, FEWEST
    runs = few if "too few runs" in wrong else many
    loop = [f"for run in range({runs}):"]
    for layer in (real, integer) if chance() else (integer, real):
        loop.append("    start = clock()")
        if layer == integer and "conversion timed" in wrong:
            loop.append(f"    {convert}")
        loop.append(f"    {layer}({given[layer]})  # timed")
        if not ("not waited for" in wrong and layer in unwaited):
            loop.append("    wait()")
        loop.append(f"    {layer}_times.append(clock() - start)")
    statistic = "mean" if "mean of the runs" in wrong else "median" if chance() else "min"
    loop.append(f"print({statistic}({real}_times) / {statistic}({integer}_times))")
    return [*head, *loop]


REVIEW_TIMING = review(
    id="3.14",
    minutes=(15, 22),
    reference=review_timing,
    script=write_script,
    errors=ERRORS,
    sights=SIGHTS,
    hints=(
        "Take the errors one by one. Which line would be there, or be missing, and where?",
        "Split the script at the line that begins with `for`. Above it the layers must have been "
        "called once. Below it there must be no to_codes, and a wait() behind each line that ends "
        "with `# timed`.",
        "loop = next(i for i, line in enumerate(script) if line.startswith('for ')); before, timed "
        "= script[:loop], script[loop:]. A layer is line.strip().split('(')[0]; the runs are "
        "int(script[loop].split('range(')[1].split(')')[0]).",
    ),
)
