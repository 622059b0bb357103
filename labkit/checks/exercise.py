"""What an exercise is: declared here as data, run and judged elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from labkit.checks.rules import Rule
from labkit.checks.values import input_size


@dataclass(frozen=True)
class Case:
    """One call of the student's function.

    Attributes
    ----------
    label : str
        What is special about this input, as the card names it: "values out of range".
    args : tuple
        Positional arguments: tensors, numbers, strings, None, implementations, and tuples or
        lists of these.
    must : bool
        Whether no point is earned without it, however many other calls are right.
    """

    label: str
    args: tuple[Any, ...]
    must: bool = False


@dataclass(frozen=True)
class Misconception:
    """A wrong answer that people really give.

    Attributes
    ----------
    name : str
        What the code does wrong, in a few words that continue "your code ...".
    wrong : callable
        An implementation that errs in this way; an answer with the same results is diagnosed.
        Those that are a `functools.partial` of one function, with other keywords, are also tried
        two at a time: ``partial(_coded, turn=torch.floor)`` and ``partial(_coded, steps=128)``.
    message : str
        What a student who wrote it needs to read: the consequence, and what to change.
    """

    name: str
    wrong: Callable[..., Any]
    message: str


@dataclass(frozen=True)
class Exercise:
    """One exercise: everything that the check, the hints and the grader need.

    Attributes
    ----------
    id : str
        A name for good, "1.3": lab and number. Never changed once published.
    title : str
        Two to five words.
    points : int
        What a full answer earns; half of it goes to an answer that is almost right.
    reference : callable
        A right answer. Its name and parameters are those of the stub.
    cases : callable
        ``cases(rng)`` returns the inputs, drawn from a ``torch.Generator``; the notebook uses
        one fixed seed, a grader a secret one.
    rules : tuple of Rule
        How to compare: one rule for each value that the function returns.
    hints : tuple of str
        From a nudge to a worked step, in Markdown-free text.
    misconceptions : tuple of Misconception
        Wrong answers with a message of their own.
    minutes : tuple of int
        How long it takes a person who knows torch, and one who meets all of it for the first time.
    extra : bool
        Whether the core path of its lab leaves it out; later cells then use the reference.
    names : tuple of str
        What the returned values are called in messages; empty for a single value.
    kind : "values" or "test" or "names"
        What the function returns: values, as nearly always; whether an implementation is right
        ("test": raising is to say no, and returning nothing to say yes); or the names of slips.
    spared : int
        How many wrong calls a passed answer may have.
    tested : Exercise, optional
        Whose implementations a test judges.
    traits : tuple of (words, holds)
        What a test's inputs may have in common that hides mistakes: "no `x` is a tie", and whether
        it holds for the arguments of a call.
    reminders : tuple of (words, holds)
        What to recall to a test that refuses the reference, and whether that concerns a call: the
        first argument is the one number that the two disagree about, if there is one.
    allowed : mapping
        For right implementations that a test may wrongly refuse, by their labels, what is allowed.
    """

    id: str
    title: str
    points: int
    reference: Callable[..., Any]
    cases: Callable[[torch.Generator], Sequence[Case]]
    rules: tuple[Rule, ...]
    hints: tuple[str, ...]
    misconceptions: tuple[Misconception, ...]
    minutes: tuple[int, int]
    extra: bool = False
    names: tuple[str, ...] = ()
    kind: Literal["values", "test", "names"] = "values"
    spared: int = 0
    tested: "Exercise | None" = None
    traits: tuple[tuple[str, Callable[..., bool]], ...] = ()
    reminders: tuple[tuple[str, Callable[..., bool]], ...] = ()
    allowed: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def function(self) -> str:
        """The name of the function that the student writes."""
        return self.reference.__name__

    def draw(self, seed: int) -> list[Case]:
        """Return the cases of `seed`; the same for the same seed."""
        return list(self.cases(torch.Generator().manual_seed(seed)))


def smallest(cases: Sequence[Case], calls: Sequence[int]) -> int:
    """Return which of some calls is shown: one that must be right, then the smallest input."""
    return min(calls, key=lambda i: (not cases[i].must, input_size(cases[i].args), i))
