"""Exercise 0.8: the bytes of a network."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.lab0.inputs import integer
from labkit.checks.rules import Codes


def network_bytes(shapes: list[tuple[int, ...]], bits: int) -> int:
    """Return the bytes of packed tensors, each of which starts at a whole byte."""
    return sum(math.ceil(math.prod(shape) * bits / 8) for shape in shapes)


def _bytes_cases(rng: torch.Generator) -> list[Case]:
    def odd() -> int:
        return 2 * integer(rng, 3, 40) + 1

    small = [(odd(), 3), (odd(),)]
    network = [(8 * odd(), 1, 3, 3), (8 * odd(),), (10, 8 * odd()), (10,)]
    uneven = [(odd(), 7), (odd(),), (5, 1, 3, 3)]
    return [
        Case("8 bits", (small, 8)),
        Case("32 bits", (small, 32)),
        Case("a small network in 4 bits", (network, 4)),
        Case("odd counts in 4 bits", (uneven, 4)),
        Case("odd counts in 2 bits", (uneven, 2)),
        Case("1 bit", (uneven, 1)),
        Case("tensors that do not fill a byte", ([(1,)] * 5, 1)),
        Case("a small network in 16 bits", (network, 16)),
        Case("one tensor", ([(128, 64, 3, 3)], 8)),
        Case("3 bits", (uneven, 3)),
        Case("a single number, shape ()", ([(odd(), 3), ()], 4)),
    ]


Shape = tuple[int, ...]


def _whole_bytes(costs: Sequence[float]) -> float:
    return sum(math.ceil(bits / 8) for bits in costs)


def _stored(
    shapes: list[Shape],
    bits: int,
    *,
    kept: Callable[[Shape], bool] = lambda shape: True,
    count: Callable[[Shape], int] = math.prod,
    cost: Callable[[int, int], float] = lambda count, bits: count * bits,
    total: Callable[[Sequence[float]], float] = _whole_bytes,
) -> float:
    """Return the bytes of packed tensors, of which any part may be another one."""
    return total([cost(count(shape), bits) for shape in shapes if kept(shape)])


def _stored_by_rows(shapes: list[Shape], bits: int, *, along: int) -> int:
    """Return the bytes where parts of a tensor start at a whole byte: its rows, or its items."""
    total = 0
    for shape in shapes:
        row = math.prod(shape[-1:] if along else shape[1:])
        total += math.prod(shape) // max(row, 1) * math.ceil(row * bits / 8)
    return total


def _aligned(costs: Sequence[float], unit: int) -> float:
    return sum(unit * math.ceil(c / 8 / unit) for c in costs)


NETWORK_BYTES = Exercise(
    id="0.8",
    title="Bytes of a network",
    points=2,
    minutes=(4, 6),
    reference=network_bytes,
    cases=_bytes_cases,
    rules=(Codes(),),
    hints=(
        "How many numbers has a tensor of shape (32, 1, 3, 3)? How many bits are they, how many "
        "bytes?",
        "Values below 8 bits are packed: two of 4 bits share a byte. A last byte that is not full "
        "still counts. Is that once for the network, or once for each tensor?",
        "The sum over shapes of math.ceil(math.prod(shape) * bits / 8).",
    ),
    misconceptions=(
        Misconception(
            "counts bits",
            partial(_stored, total=sum),
            "A byte has 8 bits: divide by 8.",
        ),
        Misconception(
            "drops a byte that is not full",
            partial(_stored, total=lambda costs: sum(c // 8 for c in costs)),
            "Three numbers of 4 bits need two bytes: round up.",
        ),
        Misconception(
            "rounds up once for all tensors",
            partial(_stored, total=lambda costs: math.ceil(sum(costs) / 8)),
            "Each tensor starts at a whole byte: round up tensor by tensor, then add.",
        ),
        Misconception(
            "starts each row of a tensor at a whole byte",
            partial(_stored_by_rows, along=-1),
            "Only tensors start at a whole byte: multiply all dimensions first, and round up once "
            "for each tensor.",
        ),
        Misconception(
            "starts each part of a tensor along its first dimension at a whole byte",
            partial(_stored_by_rows, along=0),
            "Only tensors start at a whole byte: multiply all dimensions first, and round up once "
            "for each tensor.",
        ),
        Misconception(
            "gives every value whole bytes",
            partial(_stored, cost=lambda count, bits: 8 * count * math.ceil(bits / 8)),
            "Values of fewer than 8 bits are packed: two of 4 bits in a byte. Round up after you "
            "multiply.",
        ),
        Misconception(
            "leaves the biases out",
            partial(_stored, kept=lambda shape: len(shape) > 1),
            "One-dimensional tensors are parameters as well.",
        ),
        Misconception(
            "takes a tensor of shape () for an empty one",
            partial(_stored, kept=bool),
            "Such a tensor has no dimensions, and one number: batch normalization counts its "
            "batches in one. math.prod(()) is 1.",
        ),
        Misconception(
            "takes a tensor of shape () for an empty one",
            partial(_stored, count=lambda shape: math.prod(shape) if shape else 0),
            "Such a tensor has no dimensions, and one number: batch normalization counts its "
            "batches in one. math.prod(()) is 1.",
        ),
        *(
            Misconception(
                f"starts each tensor at a multiple of {unit} bytes",
                partial(_stored, total=partial(_aligned, unit=unit)),
                "Engines do so for fast access. Here each tensor starts at a whole byte.",
            )
            for unit in (2, 4, 8, 16, 32, 64)
        ),
        Misconception(
            "counts a byte more for each tensor",
            partial(_stored, total=lambda costs: sum(c // 8 + 1 for c in costs)),
            "Only what does not fill its last byte needs one more: math.ceil(bits / 8), or "
            "(bits + 7) // 8.",
        ),
        Misconception(
            "does not round",
            partial(_stored, total=lambda costs: sum(c / 8 for c in costs)),
            "Each tensor starts at a whole byte: round up tensor by tensor.",
        ),
        Misconception(
            "rounds to the nearest byte",
            partial(_stored, total=lambda costs: sum(round(c / 8) for c in costs)),
            "One bit needs a byte as well: round up, math.ceil.",
        ),
        Misconception(
            "counts kilobytes",
            partial(_stored, total=lambda costs: sum(math.ceil(c / 8) for c in costs) / 1024),
            "The result is in bytes.",
        ),
        Misconception(
            "counts 4 bytes for each value",
            partial(_stored, cost=lambda count, bits: 32 * count),
            "That is float32: a value has `bits` bits here.",
        ),
        Misconception(
            "counts the first dimension alone",
            partial(_stored, count=lambda shape: shape[0] if shape else 1),
            "len(w) is the first dimension. A tensor of shape (3, 3) has 9 numbers.",
        ),
        Misconception(
            "counts the dimensions, not their product",
            partial(_stored, count=len),
            "A tensor of shape (3, 3) has 9 numbers: math.prod(shape).",
        ),
        Misconception(
            "adds the dimensions",
            partial(_stored, count=sum),
            "A tensor of shape (3, 3) has 9 numbers: multiply the dimensions.",
        ),
        Misconception(
            "has whole bytes for each value, rounded down",
            partial(_stored, cost=lambda count, bits: 8 * count * (bits // 8)),
            "bits // 8 is 0 for 4 bits: multiply by the number of values first, and divide by 8 "
            "then.",
        ),
        Misconception(
            "counts tensors instead of their values",
            partial(_stored, count=lambda shape: 1, total=lambda costs: sum(costs) // 8),
            "A tensor of shape (3, 3) has 9 numbers: math.prod(shape) of them.",
        ),
    ),
)
