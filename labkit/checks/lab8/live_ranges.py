"""Exercise 8.6: when each tensor of a network is needed."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Codes

Inputs = tuple[tuple[int, ...], ...]
Range = tuple[Tensor, Tensor]


def live_ranges(inputs: Inputs) -> Range:
    """Return the first and the last step in which each tensor is live."""
    first = [0, *range(len(inputs))]
    last = list(first)
    for step, taken in enumerate(inputs):
        for tensor in taken:
            last[tensor] = step
    return torch.tensor(first), torch.tensor(last)


CHAIN = ((0,), (1,), (2,))
RESIDUAL = ((0,), (1,), (2, 1), (3,))
BRANCHES = ((0,), (0,), (0,), (1, 2), (4, 3), (5,))
DEEP = ((0,), (1,), (2,), (3, 1), (4,), (5, 4), (6, 0))


def drawn(rng: torch.Generator, steps: int) -> Inputs:
    """Return a network at random: each step takes one or two of the tensors before it."""

    def taken(step: int) -> tuple[int, ...]:
        near = max(0, step - int(torch.randint(0, 2, (), generator=rng)))
        far = int(torch.randint(0, step + 1, (), generator=rng))
        return (near,) if near == far else (near, far)

    return tuple(taken(step) for step in range(steps))


def _cases(rng: torch.Generator) -> list[Case]:
    return [
        Case("a chain", (CHAIN,)),
        Case("a residual", (RESIDUAL,)),
        Case("an input that is read three times", (BRANCHES,)),
        Case("a long way round", (DEEP,)),
        Case("a tensor that nobody reads", (((0,), (1,), (1,), (3,)),)),
        Case("twelve steps", (drawn(rng, 12),)),
        Case("twenty steps", (drawn(rng, 20),)),
    ]


def _tensors(first: list[int], last: list[int]) -> Range:
    return torch.tensor(first), torch.tensor(last)


def _lived(
    inputs: Inputs,
    *,
    seen: Callable[[tuple[int, ...]], tuple[int, ...]] = lambda taken: taken,
    born: Callable[[int], int] = lambda tensor: max(tensor - 1, 0),
    read: Callable[[list[int], int, int], int] = lambda readers, made, steps: readers[-1],
    unread: Callable[[int, int], int] = lambda made, steps: made,
    given: Callable[[list[int], list[int]], Range] = _tensors,
) -> Range:
    """Return first and last steps; every misconception changes parts of this."""
    steps, tensors = len(inputs), range(len(inputs) + 1)
    last = []
    for tensor in tensors:
        made = max(tensor - 1, 0)
        readers = [step for step, taken in enumerate(inputs) if tensor in seen(taken)]
        last.append(read(readers, made, steps) if readers else unread(made, steps))
    return given([born(tensor) for tensor in tensors], last)


NO_READER = (
    "A tensor that nobody reads, such as the result, is live in the step that makes it, and no "
    "longer: begin with last = first."
)
A_STEP_LATER = "The last step in which a tensor is live is that of its last reader: no + 1."
SEVERAL = "A step may take several tensors: all of them are live in it."
THE_RESULT = (
    "There are len(inputs) + 1 tensors: tensor 0 and one for each step. The result of the last "
    "step is one of them, though no step reads it."
)


LIVE_RANGES = Exercise(
    id="8.6",
    title="Who is live when",
    points=2,
    reference=live_ranges,
    cases=_cases,
    rules=(Codes(), Codes()),
    names=("first", "last"),
    hints=(
        "Tensor 0 is there from step 0 on, and step i makes tensor i + 1. Each tensor is live "
        "until the last step that reads it.",
        "Go through the steps in order and write down, for each tensor that a step takes, the "
        "number of that step: what is written last remains. Begin with last = first, for a tensor "
        "that nobody reads.",
        "first = [0, *range(len(inputs))]; last = list(first); for step, taken in enumerate("
        "inputs): for tensor in taken: last[tensor] = step. Return torch.tensor(first), "
        "torch.tensor(last).",
    ),
    misconceptions=(
        Misconception(
            "lets a tensor die at its first reader",
            partial(_lived, read=lambda readers, made, steps: readers[0]),
            "A residual is read again later, and by then its bytes would belong to another tensor: "
            "keep it until the last reader.",
        ),
        Misconception(
            "keeps all tensors to the end",
            partial(
                _lived,
                read=lambda readers, made, steps: steps - 1,
                unread=lambda made, steps: steps - 1,
            ),
            "Dead tensors take memory that others could use: a life ends with its last reader.",
        ),
        Misconception(
            "ends a life before its last reader",
            partial(_lived, read=lambda readers, made, steps: max(readers[-1] - 1, made)),
            "The step that reads a tensor still needs it, while it writes its own result: that "
            "step counts.",
        ),
        Misconception(
            "looks at the first input of each step only",
            partial(_lived, seen=lambda taken: taken[:1]),
            SEVERAL,
        ),
        Misconception(
            "lets tensors that nobody reads die in step 0",
            partial(_lived, unread=lambda made, steps: 0),
            NO_READER,
        ),
        Misconception(
            "forgets all readers",
            partial(_lived, read=lambda readers, made, steps: made),
            "A tensor that dies in the step that makes it could never be read.",
        ),
        Misconception(
            "counts steps by the tensors that they make",
            partial(
                _lived,
                born=lambda tensor: tensor,
                read=lambda readers, made, steps: readers[-1] + 1,
                unread=lambda made, steps: made + 1,
            ),
            "Tensor i + 1 is made in step i: steps count from 0, and tensor 0 is there from "
            "step 0 on.",
        ),
        *(
            Misconception(
                "knows of no tensor that nobody reads but the result",
                partial(_lived, unread=unread),
                "Others may have no reader, too: such a tensor is live in the step that makes it, "
                "and no longer. Begin with last = first for all of them.",
            )
            for unread in (
                lambda made, steps: made if made == steps - 1 else 0,
                lambda made, steps: made if made == steps - 1 else -1,
                lambda made, steps: steps if made == steps - 1 else 0,
                lambda made, steps: steps if made == steps - 1 else -1,
            )
        ),
        Misconception(
            "keeps tensors that nobody reads to the end",
            partial(_lived, unread=lambda made, steps: steps - 1),
            NO_READER,
        ),
        Misconception(
            "keeps tensors that nobody reads beyond the end",
            partial(_lived, unread=lambda made, steps: steps),
            NO_READER,
        ),
        Misconception(
            "gives tensors that nobody reads the last step -1",
            partial(_lived, unread=lambda made, steps: -1),
            NO_READER,
        ),
        Misconception(
            "has no entry for the result",
            partial(_lived, given=lambda first, last: _tensors(first[:-1], last[:-1])),
            THE_RESULT,
        ),
        Misconception(
            "has no entry for the result",
            lambda inputs: tuple(part[: 1 + max(map(max, inputs))] for part in live_ranges(inputs)),
            THE_RESULT,
        ),
        Misconception(
            "ends a life one step after its last reader",
            partial(_lived, read=lambda readers, made, steps: readers[-1] + (readers[-1] > made)),
            A_STEP_LATER,
        ),
        Misconception(
            "ends a life one step after its last reader",
            partial(_lived, read=lambda readers, made, steps: readers[-1] + 1),
            A_STEP_LATER,
        ),
        Misconception(
            "ends a life one step after its last reader",
            partial(
                _lived,
                read=lambda readers, made, steps: readers[-1] + 1,
                unread=lambda made, steps: made + 1,
            ),
            A_STEP_LATER,
        ),
        Misconception(
            "lets a life begin one step after the tensor is made",
            partial(_lived, born=lambda tensor: tensor),
            "Step i makes tensor i + 1, so that one is live from step i on; tensor 0 is there from "
            "step 0 on.",
        ),
        Misconception(
            "lets all lives begin in step 0",
            partial(_lived, born=lambda tensor: 0),
            "Step i makes tensor i + 1, which is not there before: its first step is i.",
        ),
        Misconception(
            "keeps the result alone beyond the end",
            partial(_lived, given=lambda first, last: _tensors(first, [*last[:-1], len(last) - 1])),
            "The last step is len(inputs) - 1: there is no step after it.",
        ),
        Misconception(
            "looks at the last input of each step only",
            partial(_lived, seen=lambda taken: taken[-1:]),
            SEVERAL,
        ),
        Misconception(
            "looks at the largest input of each step only",
            partial(_lived, seen=lambda taken: (max(taken),)),
            SEVERAL,
        ),
        Misconception(
            "counts readers",
            partial(
                _lived,
                read=lambda readers, made, steps: len(readers),
                unread=lambda made, steps: 0,
            ),
            "Asked for is the number of the last step that reads a tensor, not how many do.",
        ),
        Misconception(
            "returns how many steps each life has",
            partial(
                _lived,
                given=lambda first, last: _tensors(
                    first, [b - a + 1 for a, b in zip(first, last, strict=True)]
                ),
            ),
            "Asked for is the number of the last step, not how many there are.",
        ),
        Misconception(
            "lets the input begin before the first step",
            partial(_lived, born=lambda tensor: tensor - 1),
            "There is no step -1: tensor 0 is there from step 0 on.",
        ),
        Misconception(
            "takes the network for a chain",
            partial(
                _lived,
                given=lambda first, last: _tensors(first, [*range(len(last) - 1), len(last) - 2]),
            ),
            "A tensor need not be read in the next step: `inputs` says who reads it, and when.",
        ),
    ),
    minutes=(6, 10),
)
