"""Exercise 4.7: which layer suffers most."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Rule

Layers = Sequence[tuple[Tensor, Tensor]]


def sensitivity(layers: Layers, x: Tensor, bits: int) -> Tensor:
    """Return the SQNR of the network's result, in dB, with one layer quantized at a time."""
    y, ratios = run(layers, x), []
    for i, (weight, bias) in enumerate(layers):
        z = run([*layers[:i], (rounded(weight, bits), bias), *layers[i + 1 :]], x)
        ratios.append((y**2).sum() / ((z - y) ** 2).sum())
    return 10 * torch.log10(torch.stack(ratios))


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


Layer = tuple[Tensor, Tensor]
Power = Callable[[Tensor], Tensor]


def _square_sum(y: Tensor) -> Tensor:
    return y.square().sum()


def _one_at_a_time(layers: Layers, alone: Layers, i: int) -> Layers:
    return [*layers[:i], alone[i], *layers[i + 1 :]]


def _ratio(y: Tensor, error: Tensor, power: Power) -> Tensor:
    return power(y) / power(error)


def _measured(
    layers: Layers,
    x: Tensor,
    bits: int,
    *,
    extent: Callable[[Tensor], Tensor] = lambda weight: weight.abs().max(),
    lowest: Callable[[Tensor], Tensor | float] = lambda weight: 0.0,
    top: Callable[[int], int] = lambda bits: 2 ** (bits - 1) - 1,
    turn: Callable[[Tensor], Tensor] = torch.round,
    back: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    biased: Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor] = lambda bias, coarse: bias,
    network: Callable[[Layers, Layers, int], Layers] = _one_at_a_time,
    compute: Callable[[Layers, Tensor], Tensor] = run,
    signal: Callable[[Tensor, Tensor], Tensor] = lambda y, z: y,
    power: Power = _square_sum,
    ratio: Callable[[Tensor, Tensor, Power], Tensor] = _ratio,
    in_db: Callable[[Tensor], Tensor] = lambda ratio: 10 * torch.log10(ratio).mean(),
) -> Tensor:
    """Return the SQNR a layer, of which any part may be another one."""

    def coarse(real: Tensor) -> Tensor:
        scale, low = extent(real) / top(bits), lowest(real)
        return back(turn((real - low) / scale), scale) + low

    y, found = compute(layers, x), []
    alone = [(coarse(weight), biased(bias, coarse)) for weight, bias in layers]
    for i in range(len(layers)):
        z = compute(network(layers, alone, i), x)
        found.append(in_db(ratio(signal(y, z), z - y, power)))
    return torch.stack(found)


def _width(weight: Tensor) -> Tensor:
    return weight.max() - weight.min()


def _of_weights(layers: Layers, x: Tensor, bits: int) -> Tensor:
    pairs = [(w, rounded(w, bits) - w) for w, _ in layers]
    return torch.stack([10 * torch.log10(_ratio(*pair, _square_sum)) for pair in pairs])


def _own_result(layers: Layers, x: Tensor, bits: int) -> Tensor:
    found = []
    for weight, bias in layers:
        y, error = x @ weight.t() + bias, x @ (rounded(weight, bits) - weight).t()
        found.append(10 * torch.log10(_ratio(y, error, _square_sum)))
        x = y.relu()
    return torch.stack(found)


def _rounded_input(layers: Layers, x: Tensor, bits: int) -> Tensor:
    y = run(layers, x)
    error = run(layers, rounded(x, bits)) - y
    return (10 * torch.log10(_ratio(y, error, _square_sum))).expand(len(layers))


def _without_relu(layers: Layers, x: Tensor) -> Tensor:
    for weight, bias in layers:
        x = x @ weight.t() + bias
    return x


def _without_bias(layers: Layers, x: Tensor) -> Tensor:
    return run([(weight, 0 * bias) for weight, bias in layers], x)


ONE_BY_ONE = "One at a time: start each turn from the real weights, on a copy of the list."
ALL_TOGETHER = (
    "The signal is the sum of all squares, the noise too, and there is one ratio: "
    "10 * log10((y**2).sum() / ((z - y)**2).sum())."
)


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
            partial(
                _measured, network=lambda layers, alone, i: [*alone[: i + 1], *layers[i + 1 :]]
            ),
            ONE_BY_ONE,
        ),
        Misconception(
            "quantizes all layers every time",
            partial(_measured, network=lambda layers, alone, i: alone),
            ONE_BY_ONE,
        ),
        Misconception(
            "gives each output a scale of its own",
            partial(_measured, extent=lambda weight: weight.abs().amax(1, keepdim=True)),
            "One scale for the layer here: weight.abs().max() over the whole tensor.",
        ),
        Misconception(
            "takes the largest weight instead of the largest magnitude",
            partial(_measured, extent=torch.max),
            "The largest magnitude may lie below 0: weight.abs().max().",
        ),
        Misconception(
            "uses one bit too many",
            partial(_measured, top=lambda bits: 2**bits - 1),
            "Symmetric codes of b bits end at 2^(b-1) - 1: one bit is the sign.",
        ),
        Misconception(
            "divides by 2^(b-1)",
            partial(_measured, top=lambda bits: 2 ** (bits - 1)),
            "The largest weight has the code 2^(b-1) - 1: divide by that.",
        ),
        Misconception(
            "cuts off instead of rounding",
            partial(_measured, turn=torch.trunc),
            "Nearest is half a step closer: torch.round.",
        ),
        Misconception(
            "rounds down",
            partial(_measured, turn=torch.floor),
            "floor goes to the code below, off by up to a whole step: torch.round.",
        ),
        Misconception(
            "leaves the weights as codes",
            partial(_measured, back=lambda codes, scale: codes),
            "The codes count steps. Multiply them by the scale, or the network is another one.",
        ),
        Misconception(
            "rounds the biases, too",
            partial(_measured, biased=lambda bias, coarse: coarse(bias)),
            "Only weights are quantized here. A bias has 32 bits (4.4).",
        ),
        Misconception(
            "has a ReLU after the last layer",
            partial(_measured, compute=lambda layers, x: run(layers, x).relu()),
            "Logits may be negative: no ReLU after the last layer.",
        ),
        Misconception(
            "leaves the ReLUs out",
            partial(_measured, compute=_without_relu),
            "As in 4.3: a ReLU after all layers but the last.",
        ),
        Misconception(
            "leaves the biases out",
            partial(_measured, compute=_without_bias),
            "A layer puts out x @ weight.t() + bias.",
        ),
        Misconception(
            "takes the quantized network's result for the signal",
            partial(_measured, signal=lambda y, z: z),
            "The signal is what the network puts out as it is: (y**2).sum().",
        ),
        Misconception(
            "takes the variance for the power",
            partial(_measured, power=torch.var),
            "The SQNR compares powers, sums of squares. A constant error is an error, too, and "
            "a variance does not see it.",
        ),
        Misconception(
            "takes the mean over the inputs of each one's SQNR",
            partial(_measured, power=lambda y: y.square().sum(1)),
            ALL_TOGETHER,
        ),
        Misconception(
            "takes the mean over the classes of each one's SQNR",
            partial(_measured, power=lambda y: y.square().sum(0)),
            ALL_TOGETHER,
        ),
        Misconception(
            "takes 10 log10 of a ratio of amplitudes",
            partial(_measured, power=torch.linalg.norm),
            "A norm has a root in it: 20 log10 of it, or 10 log10 of sums of squares.",
        ),
        Misconception(
            "has signal and noise the wrong way round",
            partial(_measured, ratio=lambda y, error, power: power(error) / power(y)),
            "SQNR is signal over noise: it is positive while the noise is smaller.",
        ),
        Misconception(
            "takes the largest result for the signal",
            partial(
                _measured, ratio=lambda y, error, power: y.abs().max() ** 2 / error.square().mean()
            ),
            "That is the PSNR. The SQNR compares the sum of the squares of all results with "
            "that of the errors.",
        ),
        Misconception(
            "takes 20 log10 of a ratio of powers",
            partial(_measured, in_db=lambda ratio: 20 * torch.log10(ratio).mean()),
            "20 belongs to amplitudes. Squares are powers already: 10 log10.",
        ),
        Misconception(
            "takes the natural logarithm",
            partial(_measured, in_db=lambda ratio: 10 * torch.log(ratio).mean()),
            "torch.log is the logarithm to base e. dB need torch.log10.",
        ),
        Misconception(
            "returns the ratio itself",
            partial(_measured, in_db=torch.mean),
            "In dB it is 10 * torch.log10 of that.",
        ),
        Misconception(
            "compares the weights instead of the network's result",
            _of_weights,
            "The same noise in the weights may hurt much in one layer and not at all in "
            "another: run the network.",
        ),
        Misconception(
            "compares what the layer itself puts out",
            _own_result,
            "An error early in the network grows or fades on its way: compare the results of "
            "the whole network.",
        ),
        Misconception(
            "quantizes the input instead of the weights",
            _rounded_input,
            "Each layer has its turn: its weights are rounded, the input stays as it is.",
        ),
        Misconception(
            "quantizes all layers but one",
            partial(
                _measured,
                network=lambda layers, alone, i: [*alone[:i], layers[i], *alone[i + 1 :]],
            ),
            "It is the other way round: layer i alone is quantized, all others stay real.",
        ),
        Misconception(
            "adds magnitudes up instead of squares",
            partial(_measured, power=lambda y: y.abs().sum()),
            "The SQNR compares powers, sums of squares: (y**2).sum() over ((z - y)**2).sum().",
        ),
        Misconception(
            "compares the sum of the signal with the mean of the noise",
            partial(_measured, ratio=lambda y, error, power: power(y) / error.square().mean()),
            "Both are sums, or both means: (y**2).sum() over ((z - y)**2).sum().",
        ),
        Misconception(
            "compares the mean of the signal with the sum of the noise",
            partial(_measured, ratio=lambda y, error, power: y.square().mean() / power(error)),
            "Both are sums, or both means: (y**2).sum() over ((z - y)**2).sum().",
        ),
        Misconception(
            "takes the logarithm to base 2",
            partial(_measured, in_db=lambda ratio: 10 * torch.log2(ratio).mean()),
            "dB need the logarithm to base 10: torch.log10.",
        ),
        Misconception(
            "leaves out the factor of 10",
            partial(_measured, in_db=lambda ratio: torch.log10(ratio).mean()),
            "log10 alone gives bel; decibels are 10 times as many.",
        ),
        Misconception(
            "quantizes from the smallest weight to the largest",
            partial(_measured, extent=_width, top=lambda bits: 2**bits - 1, lowest=torch.min),
            "The grid is symmetric here: scale = weight.abs().max() / (2**(bits - 1) - 1), zero "
            "point 0.",
        ),
        Misconception(
            "spreads the codes over the width of the weights",
            partial(_measured, extent=_width, top=lambda bits: 2**bits - 1),
            "With zero point 0 the grid is the same on both sides: scale = weight.abs().max() / "
            "(2**(bits - 1) - 1).",
        ),
    ),
)
