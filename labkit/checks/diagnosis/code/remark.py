"""What the code of an answer shows, in the words of a card."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Remark:
    """Something that the code shows: a key, words, and whether it is surely worth saying.

    Attributes
    ----------
    key, text : str
        As in `labkit.checks.diagnosis.finding.Finding`.
    sure : bool
        Whether it is always said.
    cause : bool
        Whether it claims a cause; else it is a question: what it asks about may be right.
    mends : bool
        Whether every call is right without it: that has been tried.
    """

    key: str
    text: str
    sure: bool = False
    cause: bool = True
    mends: bool = False
