"""What is said about a wrong answer."""

from dataclasses import dataclass

from labkit.checks.exercise import Misconception

MOST = 2
"""How many findings a card shows."""


@dataclass(frozen=True)
class Finding:
    """What is said about a wrong answer.

    Attributes
    ----------
    key : str
        What names it: "mistake: does not clamp", "argument: zero_point left out, 0".
    text : str
        One or two sentences: the slip, and what to try.
    cause : bool
        Whether it claims a cause; else it is a fact that can be seen.
    misconception : Misconception, optional
        The stored one that it is.
    """

    key: str
    text: str
    cause: bool = True
    misconception: Misconception | None = None
