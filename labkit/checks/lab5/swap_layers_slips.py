"""Slips in preparing a network, for exercise 5.5."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception


def _leaves(weights: list[Any], depth: int = 0) -> list[tuple[int, Tensor]]:
    """Return the weights in their order, each with how many blocks it lies in."""
    found: list[tuple[int, Tensor]] = []
    for item in weights:
        found += _leaves(item, depth + 1) if isinstance(item, list) else [(depth, item)]
    return found


def _qmax(bits: int) -> int:
    return 2 ** (bits - 1) - 1


def _as_asked(number: int, count: int, bits: int) -> int:
    return bits


def _all(depth: int, number: int, count: int) -> bool:
    return True


def _largest(w: Tensor) -> Tensor:
    return w.abs().amax(1, keepdim=True)


def _prepared(
    weights: list[Any],
    x: Tensor,
    bits: int,
    *,
    chosen: Callable[[int, int, int], bool] = _all,
    width: Callable[[int, int, int], int] = _as_asked,
    size: Callable[[Tensor], Tensor] = _largest,
    steps: Callable[[int], float] = _qmax,
    turn: Callable[[Tensor], Tensor] = torch.round,
    limit: Callable[[Tensor, int], Tensor] = lambda q, qmax: q.clamp(-qmax, qmax),
    back: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    given: Callable[[Tensor, int], Tensor] = lambda x, bits: x,
    entering: Callable[[Tensor, int], Tensor] = lambda x, bits: x,
    passed: Callable[[Tensor, int], Tensor] = lambda y, bits: y,
) -> Tensor:
    """Return the result of the network, of which any part may be another one."""
    x, leaves = given(x, bits), _leaves(weights)
    for number, (depth, w) in enumerate(leaves):
        if chosen(depth, number, len(leaves)):
            b = width(number, len(leaves), bits)
            scale = size(w) / steps(b)
            w = back(limit(turn(w / scale), _qmax(b)), scale)
        x = passed(entering(x, bits) @ w.t(), bits)
    return x


def _unlimited(q: Tensor, qmax: int) -> Tensor:
    return q


def _rounded(x: Tensor, bits: int) -> Tensor:
    scale = x.abs().max() / _qmax(bits)
    return torch.round(x / scale) * scale


def _rounded_in_rows(x: Tensor, bits: int) -> Tensor:
    scale = x.abs().amax(1, keepdim=True) / _qmax(bits)
    return torch.round(x / scale) * scale


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "leaves every layer as it was",
        partial(_prepared, chosen=lambda depth, number, count: False),
        "Assigning to a loop variable changes nothing in the model: use setattr(parent, name, "
        "new), or a parametrization.",
    ),
    Misconception(
        "swaps the layers of the first level only",
        partial(_prepared, chosen=lambda depth, number, count: depth == 0),
        "Layers hide in blocks: go through model.modules(), not model.children().",
    ),
    Misconception(
        "swaps the layers inside blocks only",
        partial(_prepared, chosen=lambda depth, number, count: depth > 0),
        "The children of the model itself count, too.",
    ),
    Misconception(
        "stops at the second level",
        partial(_prepared, chosen=lambda depth, number, count: depth <= 1),
        "A block may hold blocks: model.modules() finds layers at any depth, and so does a "
        "function that calls itself.",
    ),
    Misconception(
        "stops at the third level",
        partial(_prepared, chosen=lambda depth, number, count: depth <= 2),
        "A block may lie in a block in a block: model.modules() finds layers at any depth.",
    ),
    Misconception(
        "leaves the first layer as it was",
        partial(_prepared, chosen=lambda depth, number, count: number > 0),
        "Some papers keep the first layer real. Here every linear layer is swapped.",
    ),
    Misconception(
        "leaves the last layer as it was",
        partial(_prepared, chosen=lambda depth, number, count: number < count - 1),
        "Every linear layer is swapped, the last one, too: does the loop end one too early?",
    ),
    Misconception(
        "swaps the first layer only",
        partial(_prepared, chosen=lambda depth, number, count: number == 0),
        "Every linear layer is swapped: does a return stand inside the loop?",
    ),
    Misconception(
        "uses one scale for the whole weight",
        partial(_prepared, size=lambda w: w.abs().max()),
        "One scale for each output channel: w.abs().amax(1, keepdim=True).",
    ),
    Misconception(
        "has one scale for each input instead of each output",
        partial(_prepared, size=lambda w: w.abs().amax(0, keepdim=True)),
        "The rows of a weight [out, in] are the outputs: take the maximum along dim 1.",
    ),
    Misconception(
        "takes the largest weight instead of the largest magnitude",
        partial(_prepared, size=lambda w: w.amax(1, keepdim=True)),
        "A row may have its largest weight below 0: w.abs() first.",
    ),
    Misconception(
        "takes the largest weight instead of the largest magnitude, and does not clamp",
        partial(_prepared, size=lambda w: w.amax(1, keepdim=True), limit=_unlimited),
        "A row may have its largest weight below 0: w.abs() first.",
    ),
    Misconception(
        "takes the mean of the magnitudes",
        partial(_prepared, size=lambda w: w.abs().mean(1, keepdim=True)),
        "The largest magnitude of a row lands on the last code: amax, not mean.",
    ),
    Misconception(
        "takes half the distance from the smallest to the largest weight",
        partial(
            _prepared,
            size=lambda w: (w.amax(1, keepdim=True) - w.amin(1, keepdim=True)) / 2,
        ),
        "The grid is symmetric around 0, so the largest magnitude decides: w.abs().amax(1, "
        "keepdim=True).",
    ),
    Misconception(
        "takes one bit too many",
        partial(_prepared, width=lambda number, count, bits: bits + 1),
        "Signed and narrow: qmax = 2 ** (bits - 1) - 1.",
    ),
    Misconception(
        "divides by 2^(b-1)",
        partial(_prepared, steps=lambda bits: 2 ** (bits - 1), limit=_unlimited),
        "Signed and narrow: the largest weight has the code 2 ** (bits - 1) - 1.",
    ),
    Misconception(
        "divides by 2^(b-1) and clamps",
        partial(_prepared, steps=lambda bits: 2 ** (bits - 1)),
        "Signed and narrow: the largest weight has the code 2 ** (bits - 1) - 1, and is not "
        "clipped.",
    ),
    Misconception(
        "divides by 2^(b-1) and clamps to -2^(b-1)",
        partial(
            _prepared,
            steps=lambda bits: 2 ** (bits - 1),
            limit=lambda q, qmax: q.clamp(-qmax - 1, qmax),
        ),
        "Signed and narrow: the largest magnitude has the code 2 ** (bits - 1) - 1 or minus that, "
        "and no code lies below.",
    ),
    Misconception(
        "divides by 2^b - 1",
        partial(_prepared, steps=lambda bits: 2**bits - 1),
        "One bit is the sign: on each side of 0 there are 2 ** (bits - 1) - 1 steps.",
    ),
    Misconception(
        "always has 8 bits",
        partial(_prepared, width=lambda number, count, bits: 8),
        "The number of bits is an argument: qmax = 2 ** (bits - 1) - 1.",
    ),
    Misconception(
        "has 8 bits and one scale for the whole weight",
        partial(_prepared, width=lambda number, count, bits: 8, size=lambda w: w.abs().max()),
        "The number of bits is an argument, and each row has a scale of its own: qmax = 2 ** "
        "(bits - 1) - 1 and w.abs().amax(1, keepdim=True).",
    ),
    Misconception(
        "keeps 8 bits in the first and the last layer",
        partial(
            _prepared,
            width=lambda number, count, bits: 8 if number in (0, count - 1) else bits,
        ),
        "That is usual in networks for images. Here every linear layer gets `bits` bits.",
    ),
    Misconception(
        "keeps 8 bits in the first layer",
        partial(_prepared, width=lambda number, count, bits: bits if number else 8),
        "That is usual in networks for images. Here every linear layer gets `bits` bits.",
    ),
    Misconception(
        "keeps 8 bits in the last layer",
        partial(_prepared, width=lambda number, count, bits: bits if number < count - 1 else 8),
        "That is usual in networks for images. Here every linear layer gets `bits` bits.",
    ),
    Misconception(
        "rounds down",
        partial(_prepared, turn=torch.floor),
        "A code is the nearest integer: torch.round(w / scale).",
    ),
    Misconception(
        "cuts off instead of rounding",
        partial(_prepared, turn=torch.trunc),
        "A conversion to integers goes towards 0. A code is the nearest integer: torch.round.",
    ),
    Misconception(
        "has unsigned codes",
        partial(_prepared, limit=lambda q, qmax: q.clamp(0, qmax)),
        "Weights have both signs: the codes go from -qmax to qmax.",
    ),
    Misconception(
        "leaves the weights as codes",
        partial(_prepared, back=lambda q, scale: q),
        "Fake quantization comes back to real numbers: multiply the codes by the scale.",
    ),
    Misconception(
        "divides the codes by the scale",
        partial(_prepared, back=torch.div),
        "A code counts steps, and scale is the length of one: multiply to come back.",
    ),
    Misconception(
        "quantizes the input as well",
        partial(_prepared, given=_rounded),
        "Only weights are quantized here; x stays as it is.",
    ),
    Misconception(
        "quantizes what comes into each layer as well",
        partial(_prepared, entering=_rounded),
        "Only weights are quantized here; what goes from layer to layer stays as it is.",
    ),
    Misconception(
        "quantizes what comes into each layer as well",
        partial(_prepared, entering=_rounded_in_rows),
        "Only weights are quantized here; what goes from layer to layer stays as it is.",
    ),
    Misconception(
        "quantizes the results of the layers as well",
        partial(_prepared, passed=_rounded),
        "Only weights are quantized here; what the layers compute stays as it is.",
    ),
    Misconception(
        "has a ReLU behind each layer",
        partial(_prepared, passed=lambda y, bits: y.relu()),
        "The network is made of linear layers alone: return what blocks(weights) makes of x.",
    ),
)
