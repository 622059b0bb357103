"""Exercise 0.8: the bytes of a network."""

import math

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
            lambda shapes, bits: sum(math.prod(shape) * bits for shape in shapes),
            "A byte has 8 bits: divide by 8.",
        ),
        Misconception(
            "drops a byte that is not full",
            lambda shapes, bits: sum(math.prod(shape) * bits // 8 for shape in shapes),
            "Three numbers of 4 bits need two bytes: round up.",
        ),
        Misconception(
            "rounds up once for all tensors",
            lambda shapes, bits: math.ceil(sum(map(math.prod, shapes)) * bits / 8),
            "Each tensor starts at a whole byte: round up tensor by tensor, then add.",
        ),
        Misconception(
            "gives every value whole bytes",
            lambda shapes, bits: sum(math.prod(shape) * math.ceil(bits / 8) for shape in shapes),
            "Values of fewer than 8 bits are packed: two of 4 bits in a byte. Round up after you "
            "multiply.",
        ),
        Misconception(
            "leaves the biases out",
            lambda shapes, bits: network_bytes([s for s in shapes if len(s) > 1], bits),
            "One-dimensional tensors are parameters as well.",
        ),
        Misconception(
            "takes a tensor of shape () for an empty one",
            lambda shapes, bits: network_bytes([s for s in shapes if s], bits),
            "Such a tensor has no dimensions, and one number: batch normalization counts its "
            "batches in one. math.prod(()) is 1.",
        ),
        Misconception(
            "adds the dimensions",
            lambda shapes, bits: sum(math.ceil(sum(shape) * bits / 8) for shape in shapes),
            "A tensor of shape (3, 3) has 9 numbers: multiply the dimensions.",
        ),
        Misconception(
            "has whole bytes for each value, rounded down",
            lambda shapes, bits: sum(math.prod(s) * (bits // 8) for s in shapes),
            "bits // 8 is 0 for 4 bits: multiply by the number of values first, and divide by 8 "
            "then.",
        ),
        Misconception(
            "counts tensors instead of their values",
            lambda shapes, bits: len(shapes) * bits // 8,
            "A tensor of shape (3, 3) has 9 numbers: math.prod(shape) of them.",
        ),
    ),
)
