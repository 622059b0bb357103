"""The command ``labkit grade``."""

import argparse
import sys
from collections import Counter
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``labkit grade``."""
    parser.add_argument(
        "submissions", type=Path, help="a folder with one folder a student, the notebook inside"
    )
    parser.add_argument("--lab", type=int, required=True, help="which lab")
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument(
        "--solutions", type=Path, default=Path("solutions"), help="the folder of solved notebooks"
    )
    parser.add_argument("--seed", type=int, help="draw the secret inputs from this number")
    parser.add_argument("--jobs", type=int, help="submissions at a time (default: the cores)")
    parser.add_argument(
        "--sandbox",
        choices=("bubblewrap", "none"),
        default="bubblewrap",
        help="none: run submissions without protection",
    )


def run(parsed: argparse.Namespace) -> int:
    """Grade, say what came of it; 1 if a submission could not be graded for our own failure."""
    from labkit.grading.bubblewrap import problem
    from labkit.grading.classroom import GRADEBOOK, grade
    from labkit.grading.process import SandboxError
    from labkit.grading.results import Outcome

    if parsed.sandbox == "bubblewrap" and (why := problem()):
        print(
            f"labkit grade: no sandbox: {why}. A submission can do whatever you can; "
            "`--sandbox none` runs it all the same.",
            file=sys.stderr,
        )
        return 1
    try:
        records = grade(
            parsed.submissions,
            parsed.lab,
            parsed.out,
            parsed.solutions,
            seed=parsed.seed,
            jobs=parsed.jobs,
            sandbox=parsed.sandbox,
            progress=True,
        )
    except SandboxError as error:
        print(f"labkit grade: {error}", file=sys.stderr)
        return 1
    counts = Counter(str(record.status) for record in records)
    print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    print(parsed.out / GRADEBOOK)
    return 1 if counts[Outcome.FAILED] else 0
