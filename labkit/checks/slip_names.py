"""Exercises in which the student says what is wrong with an implementation, from its output.

What is asked for is a name from a list. Every case is drawn, several for each name, so that a
constant or a guess is right on few of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Mismatch, Rule
from labkit.checks.values import Plain, as_array, describe

Inputs = Callable[[torch.Generator], tuple[Any, ...]]

TIMES = 3  # outputs of each slip
TRIES = 1000
APART = 1e-3


@dataclass(frozen=True)
class Name(Rule):
    """One name from a list.

    Attributes
    ----------
    names : tuple of str
        The list.
    signs : tuple of str
        For each name how an output of it is known; "" for none.
    """

    names: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()

    def mismatch(self, name: str, got: Plain, expected: Plain, args: tuple) -> Mismatch | None:
        """Return why a name is refused, or None."""
        if isinstance(got, str) and got == expected:
            return None
        if isinstance(got, str) and got in self.names:
            return Mismatch(f'{name} is "{got}"; this output is "{expected}".')
        listed = ", ".join(f'"{word}"' for word in self.names)
        return Mismatch(f"{name} is {describe(got)}; expected one of {listed}.")


def name_the_slip(
    id: str,
    title: str,
    reference: Callable[..., str],
    slips: Mapping[str, Callable[..., Any]],
    inputs: Inputs | Sequence[Inputs],
    hints: tuple[str, ...],
    confusions: Sequence[tuple[str, str, str]],
    minutes: tuple[int, int],
    signs: Mapping[str, str],
    points: int = 2,
    given: Callable[[Any], Any] = lambda output: output,
) -> Exercise:
    """Declare an exercise in which the slip of a hidden implementation is named from its output.

    Parameters
    ----------
    reference : callable
        A right answer: takes the inputs and the output, returns a name.
    slips : mapping
        The implementations by name; one of them is right.
    inputs : callable, or several of them
        ``inputs(rng)`` returns what all of them are called with. It is drawn again until no two
        of them return the same. Of several each slip gets one after the other.
    confusions : sequence of (one, other, message)
        Answers that take `one` for `other`, with what to tell who does.
    signs : mapping
        For names of slips how an output of each is known, in a sentence.
    given : callable
        How an output is handed over: a float32 as the decimal number that it stands for.

    Returns
    -------
    Exercise
        An extra.
    """
    kinds = (inputs,) if callable(inputs) else tuple(inputs)

    def cases(rng: torch.Generator) -> list[Case]:
        asked = [(name, kinds[k % len(kinds)]) for name in slips for k in range(TIMES)]
        found: list[Case] = []
        for i in torch.randperm(len(asked), generator=rng).tolist():
            name, drawn = asked[i]
            args = _telling(rng, slips, drawn)
            output = given(slips[name](*args))
            found.append(Case(f"hidden output {len(found) + 1}", (*args, output)))
        return found

    def confused(one: str, other: str) -> Callable[..., str]:
        return lambda *args: other if reference(*args) == one else reference(*args)

    first = next(iter(slips))
    return Exercise(
        id=id,
        title=title,
        points=points,
        minutes=minutes,
        extra=True,
        kind="names",
        reference=reference,
        cases=cases,
        rules=(Name(names=tuple(slips), signs=tuple(signs.get(name, "") for name in slips)),),
        hints=hints,
        misconceptions=(
            Misconception(
                f'calls every output "{first}"',
                lambda *args: first,
                "Compare the output with what each slip would give for these inputs.",
            ),
            *(
                Misconception(f'takes "{one}" for "{other}"', confused(one, other), message)
                for one, other, message in confusions
            ),
        ),
    )


def _telling(
    rng: torch.Generator,
    slips: Mapping[str, Callable[..., Any]],
    inputs: Inputs,
) -> tuple[Any, ...]:
    """Draw inputs for which all slips give different outputs."""
    for _ in range(TRIES):
        args = inputs(rng)
        results = [torch.as_tensor(slip(*args)).double() for slip in slips.values()]
        if all(_apart(a, b) for i, a in enumerate(results) for b in results[:i]):
            return args
    raise ValueError(f"no inputs of {TRIES} tell {', '.join(slips)} apart; expected others.")


def _apart(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape != other.shape or bool((one - other).abs().max() > APART)


def likeliest(slips: Mapping[str, Callable[..., Any]], args: Sequence[Any], output: Any) -> str:
    """Return the slip whose output for `args` is nearest to `output`."""
    got = as_array(output) if not isinstance(output, torch.Tensor) else output
    wanted = torch.as_tensor(got).double()

    def distance(name: str) -> float:
        return float((torch.as_tensor(slips[name](*args)).double() - wanted).abs().sum())

    return min(slips, key=distance)
