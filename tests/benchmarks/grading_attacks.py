"""What gets through in nbgrader and otter-grader, of the attacks that `labkit grade` withstands.

    python tests/benchmarks/grading_attacks.py [--only WORDS] [--save]

Each attack is handed in beside an honest submission, and graded by `nbgrader autograde` and by
`otter run`, in a sandbox for the sake of this machine (`tests/confined.py`); labkit grades all of
them in one class. LABKIT_NBGRADER and LABKIT_OTTER name Pythons that have the graders and torch.
`--save` writes grading_attacks.md.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "attacks"))

import confined
import grading_support as support
import other_attacks
import other_graders
import pytest
from table import markdown, saved_by
from tqdm import tqdm

from labkit.grading import grade
from labkit.grading.judging.run import Seconds

STORED = Path(__file__).with_suffix(".md")
QUICK = Seconds(cell=2.0, calls=1.5, notebook=30.0)
HONEST = ("honest-1", "zzz-honest")
LEGEND = """
An attack gets through if a wrong answer has *points*, if a *secret* (a word in the grader's
environment and in the other notebooks) is in what is kept of its outputs, if a file, a connection
to a port of this machine or a process is there *outside* of the notebook's own, or if its
*neighbour*, an honest submission, has not all its points. *No result*: it has no points, and no
graded notebook either; it counts as held. Where a grader runs in a container of its own, what is
*outside* ends there; points do not change, since answer and check share a process.
"""


def in_other_grader(grader: other_graders.Grader, names: Sequence[str]) -> dict[str, list[str]]:
    """Return what each attack came to in one of the other graders."""
    found = {}
    attacks = other_attacks.attacks(grader.name)
    for name in tqdm(names, desc=grader.name):
        result = grader.grade(attacks[name])
        if "neighbour" in result.effects:
            # Once more: on a busy machine an honest submission may run out of time by itself.
            result = grader.grade(attacks[name])
        found[name] = result.effects or ([] if result.points is not None else ["no result"])
    return found


def in_labkit(root: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Return what each attack came to in one class that labkit graded."""
    submissions, out, trace = root / "submissions", root / "out", root / "trace"
    attacks = other_attacks.original(str(trace))
    folders = {f"attack-{number}": name for number, name in enumerate(names)}
    for folder, name in folders.items():
        (submissions / folder).mkdir(parents=True)
        attacks[name](submissions / folder)
    for name in HONEST:
        notebook = support.solved_notebook()
        notebook["cells"][0]["source"] += f"\n# {confined.CANARY}"
        support.save(submissions / name, notebook)
    solutions = support.solutions_folder(root / "solutions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_CANARY", confined.CANARY)
        records = {r.student: r for r in grade(submissions, 1, out, solutions, seconds=QUICK)}
    harmed = trace.exists() or any(records[name].points != support.FULL for name in HONEST)
    found = {}
    for folder, name in folders.items():
        told = "".join(path.read_text("utf-8") for path in (out / folder).iterdir())
        effects = {"points": records[folder].points > 0, "secret": confined.CANARY in told}
        # All were graded together: what one of them has done is seen, and not which.
        effects["outside or neighbour, in the class"] = harmed
        found[name] = [effect for effect, true in effects.items() if true]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="attacks whose name holds this")
    parser.add_argument("--graders", nargs="+", default=[g.name for g in other_graders.GRADERS])
    parser.add_argument("--save", action="store_true")
    parsed = parser.parse_args()
    kinds = [kind for kind in other_graders.GRADERS if kind.name in parsed.graders]
    for kind in kinds:
        if problem := other_graders.missing(kind.name):
            raise SystemExit(problem)
    names = [name for name in other_attacks.NAMES if not parsed.only or parsed.only in name]
    columns = {}
    with tempfile.TemporaryDirectory(prefix="labkit-benchmark-") as folder:
        columns[f"labkit {version('labkit')}"] = in_labkit(Path(folder) / "labkit", names)
        for kind in kinds:
            grader = kind(Path(folder) / kind.name)
            columns[grader.version()] = in_other_grader(grader, names)
    rows = [
        (name, *(", ".join(found[name]) or "held" for found in columns.values())) for name in names
    ]
    through = [
        sum(found[name] not in ([], ["no result"]) for name in names) for found in columns.values()
    ]
    table = markdown(("attack", *columns), [*rows, (f"of {len(names)}, get through", *through)])
    print(table)
    if parsed.save:
        text = f"# Attacks on graders\n\n{saved_by(__file__)}\n{LEGEND}\n{table}\n"
        STORED.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
