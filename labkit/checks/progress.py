"""A student's progress: a small file beside the notebook, never inside it.

Writing the open notebook from Python would bring up JupyterLab's "File Changed" at the next save.
The file is ``.labkit/lab1.json`` in the folder where the kernel runs (the notebook's); the
environment variable LABKIT_PROGRESS names another folder.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from labkit.checks.verdict import Verdict
from labkit.files import write_whole


@dataclass
class Progress:
    """The best result of each exercise of one lab.

    Attributes
    ----------
    path : Path
        The file.
    best : dict
        Exercise id to the most points reached.
    problem : str
        Why the file cannot be used, in a sentence; empty if it can.
    """

    path: Path
    best: dict[str, float] = field(default_factory=dict)
    problem: str = ""

    @classmethod
    def of_lab(cls, number: int) -> "Progress":
        """Read the progress of lab `number`; a broken file is kept aside and said so."""
        folder = Path(os.environ.get("LABKIT_PROGRESS", ".labkit"))
        progress = cls(folder / f"lab{number}.json")
        try:
            text = progress.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return progress
        except OSError as error:
            progress.problem = f"Your earlier progress could not be read ({error.strerror})."
            return progress
        try:
            best = json.loads(text)["best"]
            progress.best = {str(key): float(value) for key, value in best.items()}
        except (ValueError, TypeError, KeyError, AttributeError):
            aside = progress.path.with_suffix(".broken.json")
            progress.problem = f"The progress file was not readable; it is kept as {aside.name}."
            _attempt(progress, lambda: os.replace(progress.path, aside))
        return progress

    def record(self, verdict: Verdict) -> None:
        """Keep the points of `verdict` if they are the best so far, and write the file whole."""
        key = verdict.exercise.id
        if verdict.points <= self.best.get(key, 0.0):
            return
        self.best[key] = verdict.points
        _attempt(self, self._write)

    def _write(self) -> None:
        write_whole(self.path, json.dumps({"best": self.best}, indent=1, sort_keys=True) + "\n")


def _attempt(progress: Progress, action: Callable[[], object]) -> None:
    try:
        action()
    except OSError as error:
        progress.problem = (
            f"Your progress could not be written to {progress.path} ({error.strerror}); it lasts "
            "until this kernel stops."
        )
