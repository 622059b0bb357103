"""What a check does under nbgrader, which takes a cell without an exception for a right answer."""

import os

from labkit.checks.exercise import Exercise


def under_nbgrader() -> bool:
    """Return whether nbgrader runs this kernel."""
    return bool(os.environ.get("NBGRADER_EXECUTION"))


def bind(exercise: Exercise) -> None:
    """Put the reference in the notebook's namespace, where the raising cell cannot assign it."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        shell.user_ns[exercise.function] = exercise.reference


def tell_nbgrader(points: float) -> None:
    """Make `points` the result of the cell, which nbgrader takes for partial credit."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        shell.displayhook(points)
