"""What a confined process claims, checked: outcomes of calls, or the process counts as crashed."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from labkit.checks.calling import Outcome, Status
from labkit.checks.exercise import Case
from labkit.checks.values import UNPRINTABLE, Plain
from labkit.grading.sandbox.process import Died

STATUSES = get_args(Status)
LONGEST_TEXT = 4000
MOST_TEXTS = 100
GARBLED = "What came back is not what a call of your function gives."

Ran = tuple[Literal["ran", "not started", "raised"], str]


def ran_from(reply: Any) -> Ran:
    """Return (status, message) of a cell.

    Raises
    ------
    Died
        If `reply` is anything else.
    """
    match reply:
        case ("ran" | "not started" | "raised" as status, str(message)):
            return status, _text(message)
    raise Died("crash", GARBLED)


def outcomes_from(reply: Any, cases: Sequence[Case]) -> list[Outcome]:
    """Return the outcomes of the calls on `cases`.

    Raises
    ------
    Died
        If `reply` is anything but a list of as many outcomes.
    """
    if not isinstance(reply, list) or len(reply) != len(cases):
        raise Died("crash", GARBLED)
    return [_outcome(row, len(case.args)) for row, case in zip(reply, cases, strict=True)]


def texts_from(reply: Any) -> list[str]:
    """Return some lines of text.

    Raises
    ------
    Died
        If `reply` is anything else, or too many.
    """
    if (
        not isinstance(reply, list)
        or len(reply) > MOST_TEXTS
        or not all(isinstance(text, str) for text in reply)
    ):
        raise Died("crash", GARBLED)
    return [_text(text) for text in reply]


def _outcome(row: Any, arguments: int) -> Outcome:
    match row:
        case (str(status), value, str(message), str(printed), tuple(changed), bool(numpy)) if (
            status in STATUSES
            and _is_plain(value)
            and all(type(position) is int and 0 <= position < arguments for position in changed)
        ):
            text = _text(message), _text(printed)
            return Outcome(status, value, *text, changed, numpy)  # type: ignore[arg-type]
    raise Died("crash", GARBLED)


def _is_plain(value: Plain) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str, np.ndarray)


def _text(text: str) -> str:
    """Cut `text`, and replace what cannot be displayed."""
    return UNPRINTABLE.sub("?", text[:LONGEST_TEXT])
