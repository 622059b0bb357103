"""Exercise 8.6: when each tensor of a network is needed."""

from collections.abc import Callable

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


def _last(change: Callable[[Inputs, list[int]], list[int]]) -> Callable[[Inputs], Range]:
    """Return the answer whose last steps are changed."""

    def wrong(inputs: Inputs) -> Range:
        first, last = live_ranges(inputs)
        return first, torch.tensor(change(inputs, last.tolist()))

    return wrong


def _first_reader(inputs: Inputs, last: list[int]) -> list[int]:
    made = [0, *range(len(inputs))]
    return [
        next((step for step, taken in enumerate(inputs) if tensor in taken), made[tensor])
        for tensor in range(len(last))
    ]


def _only_first_input(inputs: Inputs, last: list[int]) -> list[int]:
    return live_ranges(tuple(taken[:1] for taken in inputs))[1].tolist()


def _unread(value: Callable[[Inputs], int]) -> Callable[[Inputs, list[int]], list[int]]:
    """Return the change that ends tensors that nobody reads in another step."""

    def change(inputs: Inputs, last: list[int]) -> list[int]:
        read = {tensor for taken in inputs for tensor in taken}
        return [end if i in read else value(inputs) for i, end in enumerate(last)]

    return change


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
            _last(_first_reader),
            "A residual is read again later, and by then its bytes would belong to another tensor: "
            "keep it until the last reader.",
        ),
        Misconception(
            "keeps all tensors to the end",
            _last(lambda inputs, last: [len(inputs) - 1] * len(last)),
            "Dead tensors take memory that others could use: a life ends with its last reader.",
        ),
        Misconception(
            "ends a life before its last reader",
            _last(
                lambda inputs, last: [
                    max(end - 1, start)
                    for end, start in zip(last, [0, *range(len(inputs))], strict=True)
                ]
            ),
            "The step that reads a tensor still needs it, while it writes its own result: that "
            "step counts.",
        ),
        Misconception(
            "looks at the first input of each step only",
            _last(_only_first_input),
            "A step may take several tensors: all of them are live in it.",
        ),
        Misconception(
            "forgets all readers",
            lambda inputs: (live_ranges(inputs)[0],) * 2,
            "A tensor that dies in the step that makes it could never be read.",
        ),
        Misconception(
            "counts steps by the tensors that they make",
            lambda inputs: (
                torch.arange(len(inputs) + 1),
                _last(lambda _, last: [step + 1 for step in last])(inputs)[1],
            ),
            "Tensor i + 1 is made in step i: steps count from 0, and tensor 0 is there from "
            "step 0 on.",
        ),
        Misconception(
            "keeps tensors that nobody reads to the end",
            _last(_unread(lambda inputs: len(inputs) - 1)),
            "A tensor that nobody reads is live in the step that makes it, and no longer: begin "
            "with last = first.",
        ),
        Misconception(
            "lets tensors that nobody reads die in step 0",
            _last(_unread(lambda inputs: 0)),
            "A tensor that nobody reads, such as the result, is live in the step that makes it: "
            "begin with last = first.",
        ),
        Misconception(
            "has no entry for the result",
            lambda inputs: tuple(part[:-1] for part in live_ranges(inputs)),
            "There are len(inputs) + 1 tensors: tensor 0 and one for each step. The result of the "
            "last step is one of them, though no step reads it.",
        ),
        Misconception(
            "has no entry for the result",
            lambda inputs: tuple(part[: 1 + max(map(max, inputs))] for part in live_ranges(inputs)),
            "There are len(inputs) + 1 tensors: tensor 0 and one for each step. The result of the "
            "last step is one of them, though no step reads it.",
        ),
        Misconception(
            "ends a life one step after its last reader",
            _last(
                lambda inputs, last: [
                    end + (end > start)
                    for end, start in zip(last, [0, *range(len(inputs))], strict=True)
                ]
            ),
            "The last step in which a tensor is live is that of its last reader: no + 1.",
        ),
        Misconception(
            "ends a life one step after its last reader",
            _last(lambda inputs, last: [end + 1 for end in last]),
            "The last step in which a tensor is live is that of its last reader: no + 1.",
        ),
        Misconception(
            "lets a life begin one step after the tensor is made",
            lambda inputs: (torch.arange(len(inputs) + 1), live_ranges(inputs)[1]),
            "Step i makes tensor i + 1, so that one is live from step i on; tensor 0 is there from "
            "step 0 on.",
        ),
        Misconception(
            "keeps tensors that nobody reads beyond the end",
            _last(_unread(len)),
            "A tensor that nobody reads is live in the step that makes it, and no longer: begin "
            "with last = first.",
        ),
        Misconception(
            "keeps the result alone beyond the end",
            _last(lambda inputs, last: [*last[:-1], len(inputs)]),
            "The last step is len(inputs) - 1: there is no step after it.",
        ),
        Misconception(
            "looks at the last input of each step only",
            _last(
                lambda inputs, last: live_ranges(tuple(taken[-1:] for taken in inputs))[1].tolist()
            ),
            "A step may take several tensors: all of them are live in it.",
        ),
        Misconception(
            "counts readers",
            _last(
                lambda inputs, last: [
                    sum(i in taken for taken in inputs) for i in range(len(inputs) + 1)
                ]
            ),
            "Asked for is the number of the last step that reads a tensor, not how many do.",
        ),
        Misconception(
            "takes the network for a chain",
            _last(lambda inputs, last: [*range(len(inputs)), len(inputs) - 1]),
            "A tensor need not be read in the next step: `inputs` says who reads it, and when.",
        ),
    ),
    minutes=(6, 10),
)
