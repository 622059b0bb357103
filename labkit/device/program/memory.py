"""Where the numbers of a tensor lie: in which piece of memory, and in which order.

Images lie as [N, H, W, C], as a camera gives them; other tensors as torch has them. What moves
codes about moves nothing here: it only says anew where each code lies, until a kernel wants them in
order.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(eq=False)
class Buffer:
    """A piece of memory of bytes.

    Attributes
    ----------
    name : str
        A C identifier.
    size : int
        Bytes.
    where : str
        C that points to its beginning; of a piece of the arena, known when all are placed.
    first, last : int
        The calls that make it and that need it last.
    in_arena : bool
        Or it is a constant, the pixels, or the logits.
    """

    name: str
    size: int
    where: str = ""
    first: int = 0
    last: int = 0
    in_arena: bool = True


@dataclass(frozen=True)
class Placed:
    """A tensor: the place in a buffer of each of its numbers, int64 in its shape."""

    buffer: Buffer
    places: Tensor = field(repr=False)

    @property
    def shape(self) -> torch.Size:
        """Of the tensor, as torch has it."""
        return self.places.shape

    def lies(self, order: Sequence[int]) -> bool:
        """Tell whether it fills its buffer with its axes in that order."""
        own = self.places.numel() == self.buffer.size
        return own and torch.equal(self.places, positions(self.shape, order))

    def fills(self) -> bool:
        """Tell whether each byte of its buffer is one of its numbers, in whatever order."""
        numbers = self.places.reshape(-1).sort().values
        return torch.equal(numbers, torch.arange(self.buffer.size))


def natural(dimensions: int) -> tuple[int, ...]:
    """Return the order of axes in memory: channels last in images."""
    return (0, 2, 3, 1) if dimensions == 4 else tuple(range(dimensions))


def positions(shape: Sequence[int], order: Sequence[int]) -> Tensor:
    """Return the place of each number of a tensor whose axes lie in an order."""
    dense = torch.arange(math.prod(shape)).reshape([shape[axis] for axis in order])
    return dense.permute([order.index(axis) for axis in range(len(order))])


def in_memory(values: Tensor, order: Sequence[int]) -> Tensor:
    """Return the numbers of a tensor one behind the other, its axes in an order."""
    return values.permute(list(order)).reshape(-1)


def steps_of(shape: Sequence[int], order: Sequence[int], onto: Sequence[int]) -> list[int]:
    """Return how far apart neighbours lie along each axis, 0 where they are repeated.

    Parameters
    ----------
    shape : sequence of int
        Of a tensor that fills its buffer.
    order : sequence of int
        In which its axes lie.
    onto : sequence of int
        The shape that it is broadcast to; the result has a number for each of its axes.
    """
    steps, step = [0] * len(shape), 1
    for axis in reversed(order):
        steps[axis] = step if shape[axis] > 1 else 0
        step *= shape[axis]
    return [0] * (len(onto) - len(shape)) + steps


def joined(sizes: Sequence[int], *steps: Sequence[int]) -> tuple[list[int], list[list[int]]]:
    """Join neighbouring axes over which several tensors go alike; sizes of 1 disappear.

    Returns
    -------
    sizes : list of int
    steps : list of list of int
        Of each tensor.
    """
    kept: list[tuple[int, list[int]]] = []
    for size, *apart in zip(sizes, *steps, strict=True):
        if size == 1:
            continue
        if kept and all(a == b * size for a, b in zip(kept[-1][1], apart, strict=True)):
            kept[-1] = (kept[-1][0] * size, apart)
        else:
            kept.append((size, apart))
    kept = kept or [(1, [0] * len(steps))]
    return [size for size, _ in kept], [
        list(column) for column in zip(*(a for _, a in kept), strict=True)
    ]
