"""Exercise 4.3: calibrating a whole network."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import SCALE, randn
from labkit.checks.rules import Codes

Layers = Sequence[tuple[Tensor, Tensor]]


def calibrate(layers: Layers, batches: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return scale and zero point of the input and of each layer's result, uint8, min-max."""
    low, high = _ends(layers, batches)
    return _grids(low, high)


def _grids(
    low: Tensor, high: Tensor, turn: Callable[[Tensor], Tensor] = torch.round
) -> tuple[Tensor, Tensor]:
    low, high = low.clamp(max=0), high.clamp(min=0)
    scale = (high - low) / 255
    return scale, turn(-low / scale).to(torch.int64)


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
        Case("four layers", (layers(4, 6, 7, 6, 3), batches(4, 1, 2))),
    ]


def _with_ends(choose: Callable[[Layers, Sequence[Tensor]], list[Tensor]]) -> Callable[..., object]:
    """Return the answer with ranges taken from other tensors."""

    def wrong(layers: Layers, batches: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        tensors = choose(layers, batches)
        low = torch.stack([x.min() for x in tensors])
        return _grids(low, torch.stack([x.max() for x in tensors]))

    return wrong


def _before_relu(layers: Layers, batches: Sequence[Tensor]) -> list[Tensor]:
    found = []
    for x in batches:
        real = _tensors(layers, x)
        sums = [x @ w.t() + b for x, (w, b) in zip(real, layers, strict=False)]
        found.append([real[0], *sums])
    return _together(found)


def _without_relu(layers: Layers, batches: Sequence[Tensor]) -> list[Tensor]:
    found = []
    for x in batches:
        run = [x]
        for weight, bias in layers:
            run.append(run[-1] @ weight.t() + bias)
        found.append(run)
    return _together(found)


def _relu_after_last(layers: Layers, batches: Sequence[Tensor]) -> list[Tensor]:
    return _together([[*run[:-1], run[-1].relu()] for run in _runs(layers, batches)])


def _without_bias(layers: Layers, batches: Sequence[Tensor]) -> list[Tensor]:
    return _together(_runs([(w, 0 * b) for w, b in layers], batches))


def _runs(layers: Layers, batches: Sequence[Tensor]) -> list[list[Tensor]]:
    return [_tensors(layers, x) for x in batches]


def _together(runs: list[list[Tensor]]) -> list[Tensor]:
    return [torch.cat([x.flatten() for x in same]) for same in zip(*runs, strict=True)]


def _averaged(layers: Layers, batches: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    runs = _runs(layers, batches)
    low = torch.tensor([[float(x.min()) for x in run] for run in runs]).mean(0)
    high = torch.tensor([[float(x.max()) for x in run] for run in runs]).mean(0)
    return _grids(low, high)


def _not_widened(layers: Layers, batches: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    low, high = _ends(layers, batches)
    scale = (high - low) / 255
    return scale, torch.round(-low / scale).clamp(0, 255).to(torch.int64)


def _not_widened_or_clamped(layers: Layers, batches: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    low, high = _ends(layers, batches)
    scale = (high - low) / 255
    return scale, torch.round(-low / scale).to(torch.int64)


def _input_alone_widened(layers: Layers, batches: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    low, high = _ends(layers, batches)
    low[0], high[0] = low[0].clamp(max=0), high[0].clamp(min=0)
    scale = (high - low) / 255
    return scale, torch.round(-low / scale).clamp(0, 255).to(torch.int64)


def _symmetric(layers: Layers, batches: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    low, high = _ends(layers, batches)
    return torch.maximum(-low, high) / 127, torch.zeros(len(low), dtype=torch.int64)


def _changed_zero_points(
    layers: Layers, batches: Sequence[Tensor], change: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    scales, zero_points = calibrate(layers, batches)
    return scales, change(zero_points)


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
    misconceptions=(
        Misconception(
            "observes the sums before the ReLU",
            _with_ends(_before_relu),
            "The integer layer clamps to what comes after the ReLU: codes for negative sums would "
            "never be used.",
        ),
        Misconception(
            "puts a ReLU after the last layer",
            _with_ends(_relu_after_last),
            "Logits may be negative: the last layer has no ReLU.",
        ),
        Misconception(
            "leaves the biases out",
            _with_ends(_without_bias),
            "A layer puts out x @ weight.t() + bias.",
        ),
        Misconception(
            "looks at the last batch only",
            lambda layers, batches: calibrate(layers, batches[-1:]),
            "Ranges grow from batch to batch: keep the smallest and the largest of all.",
        ),
        Misconception(
            "looks at the first batch only",
            lambda layers, batches: calibrate(layers, batches[:1]),
            "Go through all batches before you choose a scale.",
        ),
        Misconception(
            "averages the extremes of the batches",
            _averaged,
            "That is the moving average's idea. Here it is min-max: nothing seen may be clipped.",
        ),
        Misconception(
            "does not widen the ranges to contain 0",
            _not_widened,
            "0.0 must have a code in every tensor: low = min(low, 0), high = max(high, 0).",
        ),
        Misconception(
            "does not widen the ranges, so that zero points leave the codes",
            _not_widened_or_clamped,
            "0.0 must have a code in every tensor: low = min(low, 0), high = max(high, 0).",
        ),
        Misconception(
            "widens the range of the input only",
            _input_alone_widened,
            "0.0 must have a code in every tensor, those between the layers and the result "
            "included: start low and high at 0.0.",
        ),
        Misconception(
            "leaves the ReLUs out",
            _with_ends(_without_relu),
            "What the next layer reads is what comes out of the ReLU.",
        ),
        Misconception(
            "has the sign of the zero points turned round",
            lambda layers, batches: _changed_zero_points(layers, batches, lambda z: -z),
            "The smallest value gets the code 0: zero_point = round(-low / scale).",
        ),
        Misconception(
            "cuts the zero points off instead of rounding them",
            lambda layers, batches: _grids(*_ends(layers, batches), turn=torch.floor),
            "Converting to an integer dtype goes to the code below: torch.round first.",
        ),
        Misconception(
            "keeps the zero points as int8",
            lambda layers, batches: _changed_zero_points(
                layers, batches, lambda z: z.to(torch.int8)
            ),
            "The codes are 0 to 255, and int8 ends at 127: 163 becomes -93. Use torch.int64.",
        ),
        Misconception(
            "makes the grids symmetric",
            _symmetric,
            "Activations have the codes 0 to 255 and a zero point of their own: 4.2, second row.",
        ),
        Misconception(
            "uses signed codes",
            lambda layers, batches: _changed_zero_points(layers, batches, lambda z: z - 128),
            "The codes run from 0 to 255 here: 4.2, second row.",
        ),
    ),
)
