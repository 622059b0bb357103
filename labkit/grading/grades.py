"""The folder GRADES between runs: the seed, who is done, the log. What makes a run resumable."""

import fcntl
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.files import remove_partials
from labkit.grading.collecting.entries import Entry
from labkit.grading.files import RESERVED, write_private
from labkit.grading.judging.results import Outcome, Record, from_json, to_json

RECORD = "record.json"
OWN = ".labkit"
"""The folder in GRADES for what is the grader's own: the seed, the lock, the log."""


class Grades:
    """Results of earlier runs, and of this one as they come in.

    Parameters
    ----------
    folder : Path
        Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder.

        Raises
        ------
        ValueError
            If one is in there.
        """
        (self.folder / OWN).mkdir(parents=True, exist_ok=True)
        with open(self.folder / OWN / "lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ValueError(
                    f"another run is grading into {self.folder}; wait for its end."
                ) from None
            remove_partials(self.folder)
            yield

    def seed(self, given: int | None, lab: int) -> int:
        """Return the seed of the secret inputs: the kept one, `given`, or a new one.

        Raises
        ------
        ValueError
            If the folder holds results of another lab or another seed.
        """
        path = self.folder / OWN / "seed.json"
        if path.exists():
            kept = json.loads(path.read_text("utf-8"))
            if kept["lab"] != lab or given not in (None, kept["seed"]):
                raise ValueError(
                    f"{self.folder} holds results of lab {kept['lab']} with a seed of its own; "
                    "name another folder with --out, or leave --seed out."
                )
            return int(kept["seed"])
        seed = secrets.randbits(128) if given is None else given
        write_private(path, json.dumps({"lab": lab, "seed": seed}) + "\n")
        return seed

    def finished(self, entry: Entry, key: str) -> Record | None:
        """Return the record of an earlier run, if it is of the very same entry and course."""
        try:
            path = self.folder / entry.student / RECORD
            digest, _, text = path.read_text("utf-8").partition("\n")
            record = from_json(text) if digest == entry.digest(key) else None
        except (OSError, ValueError):
            return None
        return None if record is None or record.status == Outcome.FAILED else record

    def keep(self, record: Record, entry: Entry, key: str) -> None:
        """Write a record, so that a later run need not grade this entry."""
        folder = self.folder / entry.student
        if entry.student not in RESERVED:
            folder.mkdir(exist_ok=True)
            remove_partials(folder)
            write_private(folder / RECORD, entry.digest(key) + "\n" + to_json(record) + "\n")

    def log(self, student: str, **what: str) -> None:
        """Add a line to the log, which is no part of the results."""
        line = {"student": student, "time": time.strftime("%FT%TZ", time.gmtime()), **what}
        with open(self.folder / OWN / "log", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def kept_records(folder: Path) -> list[Record]:
    """Return all records of a folder of results, by student.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = []
    for path in sorted(folder.glob(f"*/{RECORD}")):
        _, _, text = path.read_text("utf-8").partition("\n")
        found.append(from_json(text))
    if not found:
        raise ValueError(f"{folder} holds no results; expected what `labkit grade --out` made.")
    return found
