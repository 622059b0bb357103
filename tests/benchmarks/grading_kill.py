"""A class that is graded while the command is killed again and again: the same bytes in the end?

    python tests/benchmarks/grading_kill.py [--submissions 200] [--kills 5] [--save]

One submission in seven is hostile, one folder is broken, one empty. `kill -9` hits the command
`labkit grade` at moments spread over the class, and the same command goes on. Every file but those
of the grader's own is compared with an undisturbed run. `--save` writes grading_kill.md.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import grading_support as support
from table import machine, markdown, saved_by

from labkit.grading.files import GRADEBOOK
from labkit.grading.grades import RECORD

STORED = Path(__file__).with_suffix(".md")
LABKIT = "from labkit.cli import main; raise SystemExit(main())"


def command(root: Path, out: str) -> list[str]:
    """Return the command that grades the class in `root`."""
    options = ["--lab", str(support.LAB), "--out", out, "--seed", str(support.SEED)]
    return [sys.executable, "-c", LABKIT, "grade", "submissions", *options]


def done(folder: Path) -> int:
    """Return how many submissions have a record."""
    return len(list(folder.glob(f"*/{RECORD}")))


def killed_at(root: Path, out: str, count: int) -> int:
    """Start the command, kill it once `count` records are there, return how many there are."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command(root, out), cwd=root, stdout=quiet, stderr=quiet) as run:
        while done(root / out) < count:
            if run.poll() is not None:
                raise RuntimeError(f"it ended by itself before {count} records were there")
            time.sleep(0.002)
        run.kill()
    return done(root / out)


def hostile_or_broken(path: Path) -> tuple[int, int]:
    """Return the submissions, and those that crashed, ran out of something or could not be read."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    words = ("crash", "memory", "timeout")
    bad = [r for r in rows if r["status"] != "graded" or any(w in r["outcomes"] for w in words)]
    return len(rows), len(bad)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=200)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--save", action="store_true")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="labkit-benchmark-") as folder:
        root = Path(folder)
        # Two more are the broken one and the empty one.
        support.class_of(root, parsed.submissions - 2)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(command(root, "undisturbed"), cwd=root, check=True, **quiet)
        step = parsed.submissions / (parsed.kills + 1)
        kills = [killed_at(root, "killed", round(step * (i + 1))) for i in range(parsed.kills)]
        subprocess.run(command(root, "killed"), cwd=root, check=True, **quiet)
        one, other = (support.contents(root / name) for name in ("undisturbed", "killed"))
        count, bad = hostile_or_broken(root / "undisturbed" / GRADEBOOK)
    differ = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    rows = [
        ("submissions", count),
        ("of these broken or hostile", bad),
        ("records that were there at each kill", ", ".join(map(str, kills))),
        ("files compared", len(one)),
        ("files that differ", len(differ)),
        ("the gradebook", "differs" if GRADEBOOK in differ else "is the same, byte for byte"),
    ]
    text = f"{saved_by(__file__)}\n\n{machine()}\n\n{markdown(('what', 'found'), rows)}\n"
    print(text, *differ, sep="\n")
    if parsed.save:
        STORED.write_text(f"# Killed while grading\n\n{text}", "utf-8")
    raise SystemExit(bool(differ))


if __name__ == "__main__":
    main()
