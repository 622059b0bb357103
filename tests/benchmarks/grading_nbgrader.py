"""The points that nbgrader gives beside those of `labkit grade`, on the notebooks as released.

    python tests/benchmarks/grading_nbgrader.py [--labs 0 1 2] [--save]

Submissions are right, half right, wrong, raise, are no Python, are unsolved, or all of these in
turn. LABKIT_NBGRADER names a Python that has nbgrader. `--save` writes grading_nbgrader.md.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import nbgrader_course
from table import machine, markdown, saved_by

from labkit.checks import registry
from labkit.grading import grade

STORED = Path(__file__).with_suffix(".md")
PROJECT = Path(__file__).parents[2]
HEAD = ("lab", "submission", "exercises", "nbgrader, points", "labkit, points", "differ in")


def compare(lab: int, root: Path) -> list[tuple[int, str, int, str, str, str]]:
    """Return a row for each submission of one lab."""
    stem = registry.STEMS[lab]
    solved, released = (
        json.loads((PROJECT / folder / f"{stem}.ipynb").read_text("utf-8"))
        for folder in ("solutions", "labs")
    )
    handed_in = nbgrader_course.submissions(solved, released, lab)
    course = nbgrader_course.NbgraderCourse(root / "nbgrader")
    print(f"lab {lab}: nbgrader took {course.grade(stem, solved, handed_in):.0f} s", flush=True)
    theirs, totals = course.scores(), course.exported()
    for student, notebook in handed_in.items():
        folder = root / "submissions" / student
        folder.mkdir(parents=True)
        (folder / f"{stem}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    records = grade(root / "submissions", lab, root / "out", PROJECT / "solutions")
    rows = []
    for record in sorted(records, key=lambda record: list(handed_in).index(record.student)):
        ours = {graded.exercise: graded.points for graded in record.graded}
        other = theirs[record.student]
        differ = [key for key in ours if ours[key] != other.get(key)]
        shown = f"{totals[record.student]:g}", f"{record.total:g}", ", ".join(differ) or "none"
        rows.append((lab, record.student, len(ours), *shown))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labs", type=int, nargs="+", default=list(registry.STEMS))
    parser.add_argument("--save", action="store_true")
    parsed = parser.parse_args()
    if problem := nbgrader_course.missing():
        raise SystemExit(problem)
    rows = []
    for lab in parsed.labs:
        root = Path(tempfile.mkdtemp(prefix="labkit-benchmark-"))
        try:
            rows += compare(lab, root)
        finally:
            shutil.rmtree(root)
    exercises = sum(row[2] for row in rows)
    differ = sum(len(row[-1].split(", ")) for row in rows if row[-1] != "none")
    text = (
        f"{saved_by(__file__)} with {nbgrader_course.version()}: "
        f"{len(rows)} submissions with {exercises} exercises, {differ} of which get other points.\n"
        f"\n{machine()}\n\n{markdown(HEAD, rows)}\n"
    )
    print(text)
    if parsed.save:
        STORED.write_text(f"# Points of nbgrader and labkit\n\n{text}", "utf-8")


if __name__ == "__main__":
    main()
