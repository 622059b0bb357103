"""Slips in spending a budget of bytes, for exercise 4.11."""

import operator
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception
from labkit.checks.lab4.budgets import BITS, noise_of, weight_bytes
from labkit.checks.lab4.sensitivity import sensitivity
from labkit.checks.lab4.sensitivity_parts import Layers, rounded

Order = Callable[[Layers, Tensor], Sequence[int]]
Taken = Callable[[Layers, Sequence[int]], float]
Limit = Callable[[int], float]


def cheapest(
    layers: Layers,
    x: Tensor,
    budget: int,
    *,
    price: Callable[[Layers, Tensor, int], Sequence[float]] = noise_of,
    taken: Taken = weight_bytes,
    limit: Limit = lambda budget: budget,
) -> Tensor:
    """Return the bits of least price that fit, of which any part may be another one."""
    prices = {bits: price(layers, x, bits) for bits in BITS}
    fitting = [
        bits for bits in product(BITS, repeat=len(layers)) if taken(layers, bits) <= limit(budget)
    ]
    return torch.tensor(
        min(fitting, key=lambda bits: sum(prices[b][i] for i, b in enumerate(bits)))
    )


def _raised(
    layers: Layers,
    x: Tensor,
    budget: int,
    *,
    order: Order,
    by_level: bool = False,
    taken: Taken = weight_bytes,
    limit: Limit = lambda budget: budget,
) -> Tensor:
    """Return the bits after raising layers in an order, of which any part may be another one."""
    bits = [2] * len(layers)
    turns = [(i, higher) for i in order(layers, x) for higher in BITS[1:]]
    for i, higher in sorted(turns, key=lambda turn: turn[1]) if by_level else turns:
        tried = [*bits[:i], higher, *bits[i + 1 :]]
        if taken(layers, tried) <= limit(budget):
            bits = tried
    return torch.tensor(bits)


Worst = Callable[[Sequence[Tensor], Sequence[int], int], float]


def _at_its_bits(decibels: Sequence[Tensor], bits: Sequence[int], i: int) -> float:
    return float(decibels[BITS.index(bits[i])][i])


def _worst_first(layers: Layers, x: Tensor, budget: int, *, taken: Taken = weight_bytes) -> Tensor:
    """Raise the layer that suffers most and still fits, again and again."""
    decibels = [sensitivity(layers, x, bits) for bits in BITS]
    bits = [2] * len(layers)
    while True:
        higher = {i: [*bits[:i], 2 * b, *bits[i + 1 :]] for i, b in enumerate(bits) if b < 8}
        fitting = [i for i, tried in higher.items() if taken(layers, tried) <= budget]
        if not fitting:
            return torch.tensor(bits)
        bits = higher[min(fitting, key=lambda i: _at_its_bits(decibels, bits, i))]


def _until_full(
    layers: Layers,
    x: Tensor,
    budget: int,
    *,
    goes_on: Callable[[float, float], bool],
    worst: Worst = _at_its_bits,
) -> Tensor:
    """Raise the layer that suffers most until there is no room: the last step may leave it."""
    decibels = [sensitivity(layers, x, bits) for bits in BITS]
    bits = [2] * len(layers)
    while min(bits) < 8 and goes_on(weight_bytes(layers, bits), budget):
        lower = [i for i, b in enumerate(bits) if b < 8]
        bits[min(lower, key=lambda i: worst(decibels, bits, i))] *= 2
    return torch.tensor(bits)


def _the_same_everywhere(bits: int) -> Callable[[Layers, Tensor, int], Tensor]:
    return lambda layers, x, budget: torch.full((len(layers),), bits)


def _by_size(layers: Layers, x: Tensor, sign: int = 1) -> list[int]:
    return sorted(range(len(layers)), key=lambda i: sign * layers[i][0].numel())


def _by_decibels(bits: int, sign: int) -> Order:
    """Return the layers by what 4.7 gives at some bits: 1 those that suffer most first."""
    return lambda layers, x: torch.argsort(sign * sensitivity(layers, x, bits)).tolist()


def _as_mean(layers: Layers, bits: Sequence[int]) -> float:
    """Return the bytes of layers that have equally many weights."""
    return sum(bits) / len(bits) * sum(w.numel() for w, _ in layers) / 8


def _weight_error(layers: Layers, x: Tensor, bits: int) -> Sequence[float]:
    return [float(((rounded(w, bits) - w) ** 2).sum() / (w**2).sum()) for w, _ in layers]


def _at(level: int) -> Worst:
    """Return what a layer has at one number of bits, whatever it has now."""
    return lambda decibels, bits, i: float(decibels[level][i])


def _with_biases(layers: Layers, bits: Sequence[int]) -> float:
    return weight_bytes(layers, bits) + sum(4 * bias.numel() for _, bias in layers)


LARGEST_FIRST = "There a byte buys least. Ask for the noise that it takes away: 4.7 measures it."
LEFT_AT_2 = (
    "They are cheap, but the others are left at 2 bits, where nothing survives. Compare whole "
    "choices: 4.7 measures the noise of each layer at each number of bits."
)
MEAN = (
    "A layer with more weights costs more: the bytes are the sum of w.numel() * bits over all "
    "layers, over 8."
)
ORDER = (
    "Where a layer stands says nothing of what it needs. Measure it: 4.7, at each number of bits."
)
ONE_BY_ONE = (
    "Those that come last are left at 2 bits, where nothing survives. Compare whole choices, each "
    "with the noise of its layers at its own bits."
)
SUFFER_MOST = "Few dB mean much noise: the bits belong where the dB of 4.7 are lowest, not highest."


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "keeps all layers at 2 bits",
        _the_same_everywhere(2),
        "That fits, and most of the budget is left: spend it where it helps most. The budget is "
        "in bytes: weights times bits, over 8. If you count that and raise one layer at a time: "
        "while all others have 2 bits, no single step helps. Start at 8 bits and take away, or "
        "compare whole choices.",
    ),
    Misconception(
        "takes 4 bits everywhere",
        _the_same_everywhere(4),
        "That fits, but part of the budget is left: raise the layers that suffer most to 8.",
    ),
    Misconception(
        "ignores the budget",
        _the_same_everywhere(8),
        "The bytes are the sum of weights times bits, over 8.",
    ),
    Misconception(
        "spends less than the budget",
        partial(cheapest, limit=lambda budget: budget - 1),
        "A choice that takes exactly the budget fits, too: bytes <= budget.",
    ),
    Misconception(
        "looks at the error of the weights",
        partial(cheapest, price=_weight_error),
        "The same error hurts in one layer and is harmless in another, where it meets inputs "
        "that are 0. Measure at the network's result: 4.7 does.",
    ),
    Misconception(
        "adds up decibels",
        partial(cheapest, price=lambda *args: (-sensitivity(*args)).tolist()),
        "10 dB more count as much where 40 dB are there already as where nothing is left. Noises "
        "add up, decibels do not: noise = 10 ** (-dB / 10).",
    ),
    Misconception(
        "goes by a rule of thumb, 8 bits at both ends and 4 between",
        lambda layers, x, budget: torch.tensor([8, *[4] * (len(layers) - 2), 8]),
        "Often right, but here the layers that suffer may be anywhere. Measure them: 4.7.",
    ),
    Misconception(
        "spends the bytes on the largest layers first",
        partial(_raised, order=lambda layers, x: _by_size(layers, x)[::-1]),
        LARGEST_FIRST,
    ),
    Misconception(
        "spends the bytes on the largest layers first",
        partial(_raised, order=partial(_by_size, sign=-1)),
        LARGEST_FIRST,
    ),
    Misconception(
        "spends the bytes on the smallest layers first",
        partial(_raised, order=_by_size),
        LEFT_AT_2,
    ),
    Misconception(
        "gives the layers that suffer least the most bits",
        partial(_raised, order=_by_decibels(2, -1)),
        SUFFER_MOST,
    ),
    Misconception(
        "gives the layers that suffer least the most bits",
        partial(_raised, order=_by_decibels(8, -1)),
        SUFFER_MOST,
    ),
    Misconception(
        "gives the layers that suffer least the most bits",
        partial(_raised, order=_by_decibels(4, -1)),
        SUFFER_MOST,
    ),
    Misconception(
        "gives the layers that suffer least the most bits",
        partial(_raised, order=_by_decibels(4, -1), by_level=True),
        SUFFER_MOST,
    ),
    Misconception(
        "takes the mean of the bits, as if all layers had equally many weights",
        partial(cheapest, taken=_as_mean),
        MEAN,
    ),
    Misconception(
        "takes the mean of the bits, as if all layers had equally many weights",
        partial(_worst_first, taken=_as_mean),
        MEAN,
    ),
    Misconception(
        "raises the layers from the first to the last",
        partial(_raised, order=lambda layers, x: range(len(layers))),
        ORDER,
    ),
    Misconception(
        "raises the layers from the last to the first",
        partial(_raised, order=lambda layers, x: range(len(layers))[::-1]),
        ORDER,
    ),
    Misconception(
        "gives one layer after the other all bits that fit, by its decibels at 2 bits",
        partial(_raised, order=_by_decibels(2, 1)),
        ONE_BY_ONE,
    ),
    Misconception(
        "gives one layer after the other all bits that fit, by its decibels at 4 bits",
        partial(_raised, order=_by_decibels(4, 1)),
        ONE_BY_ONE,
    ),
    Misconception(
        "gives one layer after the other all bits that fit, by its decibels at 8 bits",
        partial(_raised, order=_by_decibels(8, 1)),
        ONE_BY_ONE,
    ),
    *(
        Misconception(
            "raises the layer that suffers most once more than fits",
            partial(_until_full, goes_on=goes_on, worst=worst),
            "It looks at the budget before the step, and the step leaves it: count the bytes with "
            "the new bits, and keep the old ones if they are too many.",
        )
        for goes_on in (operator.lt, operator.le)
        for worst in (_at_its_bits, *map(_at, range(len(BITS))))
    ),
    Misconception(
        "counts biases among the bytes",
        partial(cheapest, taken=_with_biases),
        "The budget is for the weights alone: the sum of w.numel() * bits over all layers, over 8.",
    ),
)
