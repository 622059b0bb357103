"""The dry run, asked for in a notebook: `labkit check` on the notebook as it is saved."""

import subprocess
import sys
from pathlib import Path

from labkit.checks.card import Card, Code, Text

TITLE = "Dry run"
SECONDS = 900
COMMAND = "from labkit.cli import main; raise SystemExit(main())"
HOW = (
    "Save the notebook, and run `labkit check` with its name in a terminal: it says what the "
    "grader would take for your answers, what it would flag, and what is missing."
)


def rehearsal_card(notebook: str | Path | None) -> Card:
    """Return what the dry run of a saved notebook says, or how to ask for one.

    Parameters
    ----------
    notebook : str or Path, optional
        Which one; None if nobody says which one runs.
    """
    if notebook is None:
        return Card("plain", TITLE, (Text(HOW),))
    # A process of its own: checks know nothing of grading, and this kernel stays as it is.
    command = [sys.executable, "-c", COMMAND, "check", str(notebook)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Card("warn", TITLE, (Text(f"It took more than {SECONDS} seconds."), Text(HOW)))
    if done.returncode:
        return Card("warn", TITLE, (Code("It could not be done:", done.stderr.strip()),))
    return Card("plain", TITLE, (Code("The notebook as it was last saved:", done.stdout.strip()),))
