"""What a confined process claims, checked: outcomes of calls, or the process counts as crashed."""

from typing import Any, get_args

import numpy as np

from labkit.checks.calling import Outcome, Status
from labkit.checks.values import Plain
from labkit.grading.process import Died

STATUSES = get_args(Status)
LONGEST_TEXT = 4000
GARBLED = "What came back is not what a call of your function gives."


def ran_from(reply: Any) -> tuple[str, str]:
    """Return (status, message) of a cell: "ran", "not started" or "raised".

    Raises
    ------
    Died
        If `reply` is anything else.
    """
    match reply:
        case ("ran" | "not started" | "raised" as status, str(message)):
            return status, _text(message)
    raise Died("crash", GARBLED)


def outcomes_from(reply: Any, count: int) -> list[Outcome]:
    """Return the outcomes of `count` calls.

    Raises
    ------
    Died
        If `reply` is anything but a list of `count` outcomes.
    """
    if not isinstance(reply, list) or len(reply) != count:
        raise Died("crash", GARBLED)
    return [_outcome(row) for row in reply]


def _outcome(row: Any) -> Outcome:
    match row:
        case (str(status), value, str(message), str(printed), tuple(changed), bool(numpy)) if (
            status in STATUSES
            and _is_plain(value)
            and all(type(position) is int and 0 <= position < 64 for position in changed)
        ):
            text = _text(message), _text(printed)
            return Outcome(status, value, *text, changed, numpy)  # type: ignore[arg-type]
    raise Died("crash", GARBLED)


def _is_plain(value: Plain) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str, np.ndarray)


def _text(text: str) -> str:
    """Cut `text`, and drop the control characters that no message needs."""
    return "".join(c for c in text[:LONGEST_TEXT] if c >= " " or c in "\n\t")
