"""Exercise 8.7: the most that an order of steps needs at once."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.lab8.live_ranges import BRANCHES, CHAIN, DEEP, RESIDUAL, drawn, live_ranges
from labkit.checks.rules import Integer

Two = tuple[int, int]


def peak_bytes(sizes: Tensor, first: Tensor, last: Tensor) -> Two:
    """Return the largest sum of live tensors, and the first step in which it is reached."""
    return _peak(sizes, first, last)


def _peak(
    sizes: Tensor,
    first: Tensor,
    last: Tensor,
    *,
    counted: Callable[[Tensor], Tensor] = torch.clone,
    live: Callable[..., Tensor] = lambda step, first, last: (first <= step) & (step <= last),
    steps: Callable[[int], range] = lambda final: range(final + 1),
    added: Callable[[Tensor], Tensor] = torch.sum,
    which: Callable[[dict[int, int]], int] = lambda sums: max(sums, key=sums.__getitem__),
    given: Callable[[int, int], Two] = lambda peak, step: (peak, step),
) -> Two:
    sizes = counted(sizes)
    sums = {t: int(added(sizes[live(t, first, last)])) for t in steps(int(last.max()))}
    return given(max(sums.values()), which(sums))


def _cases(rng: torch.Generator) -> list[Case]:
    def sizes(inputs: tuple, low: int = 1, high: int = 90) -> tuple[Tensor, Tensor, Tensor]:
        return whole(rng, low, high, len(inputs) + 1), *live_ranges(inputs)

    def growing(inputs: tuple) -> tuple[Tensor, Tensor, Tensor]:
        count = len(inputs) + 1
        return 10 * torch.arange(1, count + 1) + whole(rng, 0, 9, count), *live_ranges(inputs)

    equal = torch.full((4,), 8), *live_ranges(CHAIN)
    # No sum of fewer than 16 such sizes is a number of float32.
    large, *lives = sizes(drawn(rng, 20), 2**14, 2**16)
    return [
        Case("a chain", growing(CHAIN)),
        Case("a residual", growing(RESIDUAL)),
        Case("tensors of one size", equal),
        Case("branches", sizes(BRANCHES)),
        Case("a long way round", growing(DEEP)),
        Case("twelve steps", sizes(drawn(rng, 12))),
        Case("twenty steps, megabytes", (1024 * large + 1, *lives)),
    ]


def _later(sums: dict[int, int]) -> int:
    return max(sums, key=lambda step: (sums[step], step))


PEAK_BYTES = Exercise(
    id="8.7",
    title="The peak of an order",
    points=2,
    reference=peak_bytes,
    cases=_cases,
    rules=(Integer(), Integer()),
    names=("peak", "step"),
    hints=(
        "For each step: which tensors are live in it, and how many bytes are they together? The "
        "largest of these sums is the peak.",
        "A tensor is live in a step if first <= step <= last, both ends included. Steps run from "
        "0 to the largest last.",
        "sums = [int(sizes[(first <= s) & (s <= last)].sum()) for s in range(int(last.max()) + "
        "1)]; return max(sums), sums.index(max(sums)).",
    ),
    misconceptions=(
        Misconception(
            "adds up all tensors",
            lambda sizes, first, last: (int(sizes.sum()), peak_bytes(sizes, first, last)[1]),
            "Tensors that are never needed together need not exist together: add up those of each "
            "step, and take the largest sum.",
        ),
        Misconception(
            "takes the largest tensor",
            lambda sizes, first, last: (int(sizes.max()), peak_bytes(sizes, first, last)[1]),
            "While a step runs, its inputs and its result are there at the same time: add them up.",
        ),
        Misconception(
            "leaves out the step that reads a tensor last",
            partial(
                _peak,
                live=lambda step, first, last: (first <= step) & ((step < last) | (first == last)),
            ),
            "In the step `last` the tensor is still read: both ends count.",
        ),
        Misconception(
            "leaves out the step that makes a tensor",
            partial(
                _peak,
                live=lambda step, first, last: ((first < step) | (first == last)) & (step <= last),
            ),
            "In the step `first` the tensor is written already: both ends count.",
        ),
        Misconception(
            "leaves out the step that makes a tensor",
            partial(_peak, live=lambda step, first, last: (first < step) & (step <= last)),
            "In the step `first` the tensor is written already: both ends count.",
        ),
        Misconception(
            "leaves out both ends of a life",
            partial(_peak, live=lambda step, first, last: (first < step) & (step < last)),
            "A tensor is live from `first` to `last`, both included.",
        ),
        Misconception(
            "leaves out the step that reads a tensor last",
            partial(_peak, live=lambda step, first, last: (first <= step) & (step < last)),
            "In the step `last` the tensor is still read: both ends count.",
        ),
        Misconception(
            "never looks at the last step",
            partial(_peak, steps=range),
            "Steps run from 0 to the largest `last`, which is one of them: range(int(last.max()) + "
            "1), since range and arange end before their end.",
        ),
        Misconception(
            "counts a tensor only where its life begins and ends",
            partial(_peak, live=lambda step, first, last: (step == first) | (step == last)),
            "Between those two steps a tensor waits for its last reader, and takes its bytes all "
            "the same: first <= step <= last.",
        ),
        Misconception(
            "never looks at step 0",
            partial(_peak, steps=lambda final: range(1, final + 1)),
            "Steps run from 0 to the largest `last`, both included.",
        ),
        Misconception(
            "returns the largest number of live tensors",
            partial(_peak, counted=torch.ones_like),
            "Tensors are of different sizes: add up bytes.",
        ),
        Misconception(
            "keeps dead tensors",
            partial(_peak, live=lambda step, first, last: first <= step),
            "After its last reader a tensor is dead, and its bytes are free.",
        ),
        Misconception(
            "looks at what a step makes and the tensor before it",
            lambda sizes, first, last: (
                int((sizes[1:] + sizes[:-1]).max()),
                peak_bytes(sizes, first, last)[1],
            ),
            "A tensor that is needed again later, such as a residual, is live as well, and takes "
            "bytes.",
        ),
        Misconception(
            "returns the last step of several",
            partial(_peak, which=_later),
            "If several steps reach the peak, the first of them is asked for.",
        ),
        Misconception(
            "returns the number of a tensor instead of the step",
            lambda sizes, first, last: (peak_bytes(sizes, first, last)[0], int(sizes.argmax())),
            "The second number is the step in which the sum is largest, not the largest tensor.",
        ),
        Misconception(
            "counts steps from 1",
            partial(_peak, given=lambda peak, step: (peak, step + 1)),
            "Steps count from 0, as in `first` and `last`.",
        ),
        Misconception(
            "adds up all tensors",
            lambda sizes, first, last: (int(sizes.sum()), 0),
            "Tensors that are never needed together need not exist together: add up those of each "
            "step, and take the largest sum.",
        ),
        Misconception(
            "adds up in bytes",
            partial(_peak, added=lambda sizes: sizes.sum() % 256),
            "A sum of sizes does not fit into uint8: it wraps at 256. Add up in int64.",
        ),
        Misconception(
            "adds up in int16",
            partial(_peak, added=lambda sizes: (sizes.sum() + 2**15) % 2**16 - 2**15),
            "A sum of sizes does not fit into int16: it wraps. Add up in int64.",
        ),
        Misconception(
            "adds up in float32",
            partial(_peak, added=lambda sizes: sizes.float().sum()),
            "float32 has 24 bits, and counts single bytes up to 16 MB only. Add up in int64.",
        ),
    ),
    minutes=(5, 8),
)
