"""Exercise 4.3: calibrating a whole network."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import SCALE, randn
from labkit.checks.lab4.calibrate_slips import MISCONCEPTIONS
from labkit.checks.rules import Codes

Layers = Sequence[tuple[Tensor, Tensor]]


def calibrate(layers: Layers, batches: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return scale and zero point of the input and of each layer's result, uint8, min-max."""
    low, high = _ends(layers, batches)
    return _grids(low, high)


def _grids(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    low, high = low.clamp(max=0), high.clamp(min=0)
    scale = (high - low) / 255
    return scale, torch.round(-low / scale).to(torch.int64)


def _tensors(layers: Layers, x: Tensor) -> list[Tensor]:
    """Return the input and what each layer puts out, with a ReLU after all but the last."""
    tensors = [x]
    for number, (weight, bias) in enumerate(layers, 1):
        x = x @ weight.t() + bias
        if number < len(layers):
            x = x.relu()
        tensors.append(x)
    return tensors


def _ends(layers: Layers, batches: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    runs = [_tensors(layers, x) for x in batches]
    low = torch.tensor([[float(x.min()) for x in run] for run in runs]).amin(0)
    high = torch.tensor([[float(x.max()) for x in run] for run in runs]).amax(0)
    return low, high


def _unrounded(layers: Layers, batches: Sequence[Tensor]) -> tuple[Tensor, int, int]:
    low, high = _ends(layers, batches)
    low, high = low.double().clamp(max=0), high.double().clamp(min=0)
    return -low * 255 / (high - low), 0, 255


def _cases(rng: torch.Generator) -> list[Case]:
    def layers(*sizes: int) -> list[tuple[Tensor, Tensor]]:
        return [(randn(rng, out, inputs), 0.5 * randn(rng, out)) for inputs, out in pairwise(sizes)]

    def batches(inputs: int, *factors: float) -> list[Tensor]:
        return [factor * randn(rng, 5, inputs) for factor in factors]

    def shorter(batches: list[Tensor]) -> list[Tensor]:
        return [*batches[:-1], batches[-1][:-2]]

    def above(layer: tuple[Tensor, Tensor], sign: float = 1.0) -> tuple[Tensor, Tensor]:
        """Make what a layer puts out for positive inputs lie far above 0, or below."""
        weight, bias = layer
        return sign * weight.abs(), sign * (1 + bias.abs())

    positive = 1 + torch.rand(4, 3, generator=rng)
    three, far, two = layers(3, 6, 5, 4), layers(3, 6, 4), layers(3, 5, 2)
    far[0][0][0].abs_()  # or all hidden values may be 0, which have no scale
    return [
        Case("one layer, one batch", (layers(2, 2), batches(2, 1))),
        Case("two layers", (layers(3, 5, 4), batches(3, 1))),
        Case("the largest values in the first batch", (three, batches(3, 4, 1, 1))),
        Case("the largest values in the second batch", (three, batches(3, 1, 4, 1))),
        Case("inputs far above 0", (far, [5 + torch.rand(4, 3, generator=rng)])),
        Case("no tensor contains 0", ([above(layer) for layer in two], [positive])),
        Case(
            "logits far below 0", ([above(two[0]), above(two[1], -1.0)], [positive, 2 * positive])
        ),
        Case(
            "four layers, a shorter last batch", (layers(4, 6, 7, 6, 3), shorter(batches(4, 1, 2)))
        ),
    ]


CALIBRATE = Exercise(
    id="4.3",
    title="Calibrating a network",
    points=3,
    minutes=(12, 18),
    reference=calibrate,
    cases=_cases,
    rules=(SCALE, Codes(unrounded=_unrounded)),
    names=("scales", "zero_points"),
    hints=(
        "A network of n layers has n + 1 tensors: the input, and one result a layer. Write down "
        "for two layers which they are.",
        "For each batch: keep the smallest and the largest of x; then x = relu(x @ weight.t() + "
        "bias), without the relu after the last layer; and so on. Over batches keep the extremes.",
        "low and high are lists of len(layers) + 1 numbers that start at 0.0, which also widens "
        "the ranges. At the end scale = (high - low) / 255, zero_point = round(-low / scale).",
    ),
    misconceptions=MISCONCEPTIONS,
)
