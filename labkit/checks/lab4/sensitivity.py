"""Exercise 4.7: which layer suffers most."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Rule

Layers = Sequence[tuple[Tensor, Tensor]]


def sensitivity(layers: Layers, x: Tensor, bits: int) -> Tensor:
    """Return the SQNR of the network's result, in dB, with one layer quantized at a time."""
    y = run(layers, x)
    return _in_db([(y, run(_changed(layers, i, rounded, bits), x)) for i in range(len(layers))])


def run(layers: Layers, x: Tensor) -> Tensor:
    """Return the result of a network of linear layers, with a ReLU after all but the last."""
    for weight, bias in layers[:-1]:
        x = (x @ weight.t() + bias).relu()
    weight, bias = layers[-1]
    return x @ weight.t() + bias


def rounded(weight: Tensor, bits: int) -> Tensor:
    """Return what the weights are after symmetric codes with one scale."""
    scale = weight.abs().max() / (2 ** (bits - 1) - 1)
    return torch.round(weight / scale) * scale


def _changed(
    layers: Layers, index: int, change: Callable[[Tensor, int], Tensor], bits: int
) -> Layers:
    return [(change(w, bits) if i == index else w, b) for i, (w, b) in enumerate(layers)]


def _in_db(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    ratios = [(y**2).sum() / ((other - y) ** 2).sum() for y, other in pairs]
    return 10 * torch.log10(torch.stack(ratios))


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, bits: int, *sizes: int, outlier: int = -1) -> Case:
        layers = [
            (randn(rng, out, inputs), 0.5 * randn(rng, out)) for inputs, out in pairwise(sizes)
        ]
        if outlier >= 0:
            layers[outlier][0][0, 0] = 20.0
        return Case(label, (layers, randn(rng, 9, sizes[0]), bits))

    return [
        case("one layer", 3, 3, 2),
        case("two layers", 4, 4, 6, 3),
        case("three layers", 4, 5, 8, 7, 3),
        case("three layers, 8 bits", 8, 5, 8, 7, 3),
        case("an outlier in the first layer", 5, 6, 12, 9, 4, outlier=0),
        case("an outlier in the middle", 6, 6, 12, 9, 8, 4, outlier=1),
    ]


def _accumulated(layers: Layers, x: Tensor, bits: int) -> Tensor:
    y, pairs = run(layers, x), []
    for i in range(len(layers)):
        layers = _changed(layers, i, rounded, bits)
        pairs.append((y, run(layers, x)))
    return _in_db(pairs)


def _of_weights(layers: Layers, x: Tensor, bits: int) -> Tensor:
    return _in_db([(w, rounded(w, bits)) for w, _ in layers])


def _per_channel(weight: Tensor, bits: int) -> Tensor:
    scale = weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    return torch.round(weight / scale) * scale


def _too_many_levels(weight: Tensor, bits: int) -> Tensor:
    return rounded(weight, bits + 1)


def _with(change: Callable[[Tensor, int], Tensor]) -> Callable[[Layers, Tensor, int], Tensor]:
    """Return the answer with weights rounded in another way."""

    def wrong(layers: Layers, x: Tensor, bits: int) -> Tensor:
        y = run(layers, x)
        return _in_db([(y, run(_changed(layers, i, change, bits), x)) for i in range(len(layers))])

    return wrong


def _running(
    compute: Callable[[Layers, Tensor], Tensor],
) -> Callable[[Layers, Tensor, int], Tensor]:
    """Return the answer for networks that compute in another way."""

    def wrong(layers: Layers, x: Tensor, bits: int) -> Tensor:
        y, indices = compute(layers, x), range(len(layers))
        return _in_db([(y, compute(_changed(layers, i, rounded, bits), x)) for i in indices])

    return wrong


def _without_relu(layers: Layers, x: Tensor) -> Tensor:
    for weight, bias in layers:
        x = x @ weight.t() + bias
    return x


def _codes(weight: Tensor, bits: int) -> Tensor:
    return torch.round(weight / weight.abs().max() * (2 ** (bits - 1) - 1))


def _wide(weight: Tensor, bits: int) -> Tensor:
    scale = weight.abs().max() / 2 ** (bits - 1)
    return torch.round(weight / scale) * scale


def _with_biases(layers: Layers, x: Tensor, bits: int) -> Tensor:
    y, pairs = run(layers, x), []
    for i, (weight, bias) in enumerate(layers):
        changed = [*layers[:i], (rounded(weight, bits), rounded(bias, bits)), *layers[i + 1 :]]
        pairs.append((y, run(changed, x)))
    return _in_db(pairs)


def _own_result(layers: Layers, x: Tensor, bits: int) -> Tensor:
    pairs = []
    for weight, bias in layers:
        pairs.append((x @ weight.t() + bias, x @ rounded(weight, bits).t() + bias))
        x = pairs[-1][0].relu()
    return _in_db(pairs)


def _rounded_input(layers: Layers, x: Tensor, bits: int) -> Tensor:
    return _in_db([(run(layers, x), run(layers, rounded(x, bits)))] * len(layers))


def _of_variances(layers: Layers, x: Tensor, bits: int) -> Tensor:
    y = run(layers, x)
    others = [run(_changed(layers, i, rounded, bits), x) for i in range(len(layers))]
    return 10 * torch.log10(torch.stack([y.var() / (other - y).var() for other in others]))


SENSITIVITY = Exercise(
    id="4.7",
    title="Which layer suffers most",
    points=3,
    minutes=(10, 15),
    extra=True,
    reference=sensitivity,
    cases=_cases,
    rules=(Rule(absolute=0.05),),
    hints=(
        "You need the network twice for each layer: as it is, and with that one layer rounded. "
        "Write a function that runs a list of layers first.",
        "scale = weight.abs().max() / (2**(bits - 1) - 1), back = torch.round(weight / scale) * "
        "scale. Put it in a copy of the list, so that the next turn finds the real weights again.",
        "for i: changed = list(layers); changed[i] = (back, bias); z = run(changed); sqnr = 10 * "
        "torch.log10((y**2).sum() / ((z - y)**2).sum()). No relu after the last layer.",
    ),
    misconceptions=(
        Misconception(
            "leaves earlier layers quantized",
            _accumulated,
            "One at a time: start each turn from the real weights, on a copy of the list.",
        ),
        Misconception(
            "compares the weights instead of the network's result",
            _of_weights,
            "The same noise in the weights may hurt much in one layer and not at all in another: "
            "run the network.",
        ),
        Misconception(
            "gives each output a scale of its own",
            _with(_per_channel),
            "One scale for the layer here: weight.abs().max() over the whole tensor.",
        ),
        Misconception(
            "uses one bit too many",
            _with(_too_many_levels),
            "Symmetric codes of b bits end at 2^(b-1) - 1: one bit is the sign.",
        ),
        Misconception(
            "takes 20 log10 of a ratio of powers",
            lambda layers, x, bits: 2 * sensitivity(layers, x, bits),
            "20 belongs to amplitudes. Squares are powers already: 10 log10.",
        ),
        Misconception(
            "has signal and noise the wrong way round",
            lambda layers, x, bits: -sensitivity(layers, x, bits),
            "SQNR is signal over noise: it is positive while the noise is smaller.",
        ),
        Misconception(
            "has a ReLU after the last layer",
            _running(lambda layers, x: run(layers, x).relu()),
            "Logits may be negative: no ReLU after the last layer.",
        ),
        Misconception(
            "leaves the ReLUs out",
            _running(_without_relu),
            "As in 4.3: a ReLU after all layers but the last.",
        ),
        Misconception(
            "leaves the weights as codes",
            _with(_codes),
            "The codes count steps. Multiply them by the scale, or the network is another one.",
        ),
        Misconception(
            "divides by 2^(b-1)",
            _with(_wide),
            "The largest weight has the code 2^(b-1) - 1: divide by that.",
        ),
        Misconception(
            "takes 10 log10 of a ratio of amplitudes",
            lambda layers, x, bits: sensitivity(layers, x, bits) / 2,
            "A norm has a root in it: 20 log10 of it, or 10 log10 of sums of squares.",
        ),
        Misconception(
            "takes the natural logarithm",
            lambda layers, x, bits: sensitivity(layers, x, bits) * math.log(10),
            "torch.log is the logarithm to base e. dB need torch.log10.",
        ),
        Misconception(
            "rounds the biases, too",
            _with_biases,
            "Only weights are quantized here. A bias has 32 bits (4.4).",
        ),
        Misconception(
            "compares what the layer itself puts out",
            _own_result,
            "An error early in the network grows or fades on its way: compare the results of the "
            "whole network.",
        ),
        Misconception(
            "quantizes the input instead of the weights",
            _rounded_input,
            "Each layer has its turn: its weights are rounded, the input stays as it is.",
        ),
        Misconception(
            "takes the variance for the power",
            _of_variances,
            "The SQNR compares powers, sums of squares. A constant error is an error, too, and a "
            "variance does not see it.",
        ),
    ),
)
