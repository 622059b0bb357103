"""The command ``labkit grade``."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labkit.grading.judging.results import Record
    from labkit.grading.reports.lms import Filled

SANDBOXES = ("bubblewrap", "docker", "none")
MOST_LINES = 20
SYSTEMS = ("canvas", "moodle")


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
        choices=SANDBOXES,
        default="bubblewrap",
        help="docker: where bubblewrap cannot be had; none: without protection",
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="work on a Dask cluster")
    parser.add_argument(
        "--adjustments",
        type=Path,
        metavar="FILE.csv",
        help="columns: student, and any of days_late, extra, comment, 1.3 (points for 1.3)",
    )
    parser.add_argument(
        "--late-penalty",
        type=float,
        default=0.0,
        metavar="PERCENT",
        help="of the points, for each day late",
    )
    parser.add_argument(
        "--leaderboard",
        nargs="?",
        choices=("pseudonyms", "names"),
        const="pseudonyms",
        help="rank the answers to open exercises on a page for the class",
    )
    for name in SYSTEMS:
        parser.add_argument(
            f"--{name}",
            type=Path,
            metavar="TEMPLATE.csv",
            help=f"fill in what {name.capitalize()} exported",
        )
    parser.add_argument("--column", help="the column to fill in there, if it is not clear")


def run(parsed: argparse.Namespace) -> int:
    """Grade, say what came of it; 1 if a submission could not be graded for our own failure."""
    from labkit.grading.classroom import grade
    from labkit.grading.collecting.students import students
    from labkit.grading.files import CLASS_PAGE, GRADEBOOK, LEADERBOARD
    from labkit.grading.judging.results import Outcome
    from labkit.grading.sandbox.box import problem
    from labkit.grading.sandbox.process import SandboxError

    if parsed.scheduler is None and (why := problem(parsed.sandbox)):
        return _complain(
            f"no sandbox: {why}. A submission can do whatever you can; `--sandbox none` runs it "
            "all the same, and `labkit doctor` says which sandbox works here."
        )
    templates = {name: _text(path) for name in SYSTEMS if (path := getattr(parsed, name))}
    # Tried first: an hour of grading should not end in a column that is not there.
    for name, template in templates.items():
        _filled(name, template, [], parsed)
    try:
        records = grade(
            parsed.submissions,
            parsed.lab,
            parsed.out,
            parsed.solutions,
            seed=parsed.seed,
            jobs=parsed.jobs,
            sandbox=parsed.sandbox,
            scheduler=parsed.scheduler,
            adjustments=parsed.adjustments,
            late_penalty=parsed.late_penalty,
            leaderboard=parsed.leaderboard,
            progress=True,
        )
    except SandboxError as error:
        return _complain(str(error))
    _list("passed over", students(parsed.submissions, parsed.out)[1])
    counts = Counter(str(record.status) for record in records)
    print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    print(parsed.out / GRADEBOOK)
    print(parsed.out / CLASS_PAGE)
    if parsed.leaderboard:
        print(f"{parsed.out / LEADERBOARD}, for the class: {parsed.leaderboard}")
    for name, template in templates.items():
        filled = _filled(name, template, records, parsed)
        _write(parsed.out / f"{name}.csv", filled, records)
        if filled.numbers:
            from labkit.grading.reports.handing_back import write_feedback_zip

            print(f"{write_feedback_zip(parsed.out, filled.numbers)}, their pages")
    return 1 if counts[Outcome.FAILED] else 0


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(
            f"{path} is not in UTF-8, as Canvas and Moodle export it; take the file as it was "
            "downloaded, or save it as CSV UTF-8."
        ) from None


def _filled(
    name: str, template: str, records: "list[Record]", parsed: argparse.Namespace
) -> "Filled":
    from labkit.grading.reports.lms import fill_canvas, fill_moodle

    fill = {"canvas": fill_canvas, "moodle": fill_moodle}[name]
    return fill(template, records, parsed.lab, parsed.column)


def _write(path: Path, filled: "Filled", records: "list[Record]") -> None:
    from labkit.grading.files import write_private
    from labkit.grading.printing import defused, number

    write_private(path, filled.text)
    print(f"{path}, column {filled.column!r}")
    lab = next((record.max_points for record in records if record.graded), filled.most)
    if lab is not None and filled.most not in (None, lab):
        print(f"  out of {number(filled.most)} there and {number(lab)} here: change it there")
    if filled.unmatched:
        print(f"  no points entered for the folders: {', '.join(map(defused, filled.unmatched))}")
    if filled.excused:
        print(f"  excused there, so left: {', '.join(map(defused, filled.excused))}")
    if filled.empty:
        print(f"  left as they were: {', '.join(map(defused, filled.empty))}")


def _list(what: str, found: "Sequence[object]") -> None:
    """Print what an instructor should know about, as much as fits on a screen."""
    from labkit.grading.printing import printable

    if found:
        print(f"{what}:")
    for one in found[:MOST_LINES]:
        print(f"  {printable(str(one))}")
    if found[MOST_LINES:]:
        print(f"  and {len(found) - MOST_LINES} more, in the page about the class")


def _complain(message: str) -> int:
    print(f"labkit grade: {message}", file=sys.stderr)
    return 1
