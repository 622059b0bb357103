"""The command ``labkit collect``."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``labkit collect``."""
    parser.add_argument(
        "sources",
        type=Path,
        nargs="+",
        metavar="SOURCE",
        help="a zip or folder as Moodle, Canvas, Gradescope or nbgrader hand it out",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="SUBMISSIONS", help="one folder a student"
    )


def run(parsed: argparse.Namespace) -> int:
    """Collect, and say what was taken and what was not."""
    from labkit.grading.collecting.collect import collect
    from labkit.grading.printing import printable

    collected = collect(parsed.sources, parsed.out)
    count = sum(map(len, collected.students.values()))
    platforms = ", ".join(dict.fromkeys(collected.systems))
    print(
        f"{parsed.out}: {len(collected.students)} students, {count} notebooks (from: {platforms})"
    )
    instead = {name: f" ({', '.join(files)})" for name, files in collected.instead.items()}
    without = [
        f"{name}{instead.get(name, '')}" for name, found in collected.students.items() if not found
    ]
    for what, names in (("without a notebook", without), ("late", collected.late)):
        if names:
            print(f"{what}: {printable(', '.join(sorted(names)))}")
    if collected.left:
        print("not taken:")
        for one in collected.left:
            print(f"  {printable(str(one))}")
    return 0
