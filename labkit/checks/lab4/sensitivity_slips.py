"""Slips in finding the layer that suffers most, for exercise 4.7."""

from functools import partial

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.lab4.sensitivity_parts import (
    measured,
    of_weights,
    own_result,
    rounded_input,
    run,
    width,
    without_bias,
    without_relu,
)

ONE_BY_ONE = "One at a time: start each turn from the real weights, on a copy of the list."
ALL_TOGETHER = (
    "The signal is the sum of all squares, the noise too, and there is one ratio: "
    "10 * log10((y**2).sum() / ((z - y)**2).sum())."
)


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "leaves earlier layers quantized",
        partial(measured, network=lambda layers, alone, i: [*alone[: i + 1], *layers[i + 1 :]]),
        ONE_BY_ONE,
    ),
    Misconception(
        "quantizes all layers every time",
        partial(measured, network=lambda layers, alone, i: alone),
        ONE_BY_ONE,
    ),
    Misconception(
        "gives each output a scale of its own",
        partial(measured, extent=lambda weight: weight.abs().amax(1, keepdim=True)),
        "One scale for the layer here: weight.abs().max() over the whole tensor.",
    ),
    Misconception(
        "takes the largest weight instead of the largest magnitude",
        partial(measured, extent=torch.max),
        "The largest magnitude may lie below 0: weight.abs().max().",
    ),
    Misconception(
        "uses one bit too many",
        partial(measured, top=lambda bits: 2**bits - 1),
        "Symmetric codes of b bits end at 2^(b-1) - 1: one bit is the sign.",
    ),
    Misconception(
        "divides by 2^(b-1)",
        partial(measured, top=lambda bits: 2 ** (bits - 1)),
        "The largest weight has the code 2^(b-1) - 1: divide by that.",
    ),
    Misconception(
        "cuts off instead of rounding",
        partial(measured, turn=torch.trunc),
        "Nearest is half a step closer: torch.round.",
    ),
    Misconception(
        "rounds down",
        partial(measured, turn=torch.floor),
        "floor goes to the code below, off by up to a whole step: torch.round.",
    ),
    Misconception(
        "leaves the weights as codes",
        partial(measured, back=lambda codes, scale: codes),
        "The codes count steps. Multiply them by the scale, or the network is another one.",
    ),
    Misconception(
        "rounds the biases, too",
        partial(measured, biased=lambda bias, coarse: coarse(bias)),
        "Only weights are quantized here. A bias has 32 bits (4.4).",
    ),
    Misconception(
        "has a ReLU after the last layer",
        partial(measured, compute=lambda layers, x: run(layers, x).relu()),
        "Logits may be negative: no ReLU after the last layer.",
    ),
    Misconception(
        "leaves the ReLUs out",
        partial(measured, compute=without_relu),
        "As in 4.3: a ReLU after all layers but the last.",
    ),
    Misconception(
        "leaves the biases out",
        partial(measured, compute=without_bias),
        "A layer puts out x @ weight.t() + bias.",
    ),
    Misconception(
        "takes the quantized network's result for the signal",
        partial(measured, signal=lambda y, z: z),
        "The signal is what the network puts out as it is: (y**2).sum().",
    ),
    Misconception(
        "takes the variance for the power",
        partial(measured, power=torch.var),
        "The SQNR compares powers, sums of squares. A constant error is an error, too, and "
        "a variance does not see it.",
    ),
    Misconception(
        "takes the mean over the inputs of each one's SQNR",
        partial(measured, power=lambda y: y.square().sum(1)),
        ALL_TOGETHER,
    ),
    Misconception(
        "takes the mean over the classes of each one's SQNR",
        partial(measured, power=lambda y: y.square().sum(0)),
        ALL_TOGETHER,
    ),
    Misconception(
        "takes 10 log10 of a ratio of amplitudes",
        partial(measured, power=torch.linalg.norm),
        "A norm has a root in it: 20 log10 of it, or 10 log10 of sums of squares.",
    ),
    Misconception(
        "has signal and noise the wrong way round",
        partial(measured, ratio=lambda y, error, power: power(error) / power(y)),
        "SQNR is signal over noise: it is positive while the noise is smaller.",
    ),
    Misconception(
        "takes the largest result for the signal",
        partial(measured, ratio=lambda y, error, power: y.abs().max() ** 2 / error.square().mean()),
        "That is the PSNR. The SQNR compares the sum of the squares of all results with "
        "that of the errors.",
    ),
    Misconception(
        "takes 20 log10 of a ratio of powers",
        partial(measured, in_db=lambda ratio: 20 * torch.log10(ratio).mean()),
        "20 belongs to amplitudes. Squares are powers already: 10 log10.",
    ),
    Misconception(
        "takes the natural logarithm",
        partial(measured, in_db=lambda ratio: 10 * torch.log(ratio).mean()),
        "torch.log is the logarithm to base e. dB need torch.log10.",
    ),
    Misconception(
        "returns the ratio itself",
        partial(measured, in_db=torch.mean),
        "In dB it is 10 * torch.log10 of that.",
    ),
    Misconception(
        "compares the weights instead of the network's result",
        of_weights,
        "The same noise in the weights may hurt much in one layer and not at all in "
        "another: run the network.",
    ),
    Misconception(
        "compares what the layer itself puts out",
        own_result,
        "An error early in the network grows or fades on its way: compare the results of "
        "the whole network.",
    ),
    Misconception(
        "quantizes the input instead of the weights",
        rounded_input,
        "Each layer has its turn: its weights are rounded, the input stays as it is.",
    ),
    Misconception(
        "quantizes all layers but one",
        partial(
            measured,
            network=lambda layers, alone, i: [*alone[:i], layers[i], *alone[i + 1 :]],
        ),
        "It is the other way round: layer i alone is quantized, all others stay real.",
    ),
    Misconception(
        "adds magnitudes up instead of squares",
        partial(measured, power=lambda y: y.abs().sum()),
        "The SQNR compares powers, sums of squares: (y**2).sum() over ((z - y)**2).sum().",
    ),
    Misconception(
        "compares the sum of the signal with the mean of the noise",
        partial(measured, ratio=lambda y, error, power: power(y) / error.square().mean()),
        "Both are sums, or both means: (y**2).sum() over ((z - y)**2).sum().",
    ),
    Misconception(
        "compares the mean of the signal with the sum of the noise",
        partial(measured, ratio=lambda y, error, power: y.square().mean() / power(error)),
        "Both are sums, or both means: (y**2).sum() over ((z - y)**2).sum().",
    ),
    Misconception(
        "takes the logarithm to base 2",
        partial(measured, in_db=lambda ratio: 10 * torch.log2(ratio).mean()),
        "dB need the logarithm to base 10: torch.log10.",
    ),
    Misconception(
        "leaves out the factor of 10",
        partial(measured, in_db=lambda ratio: torch.log10(ratio).mean()),
        "log10 alone gives bel; decibels are 10 times as many.",
    ),
    Misconception(
        "quantizes from the smallest weight to the largest",
        partial(measured, extent=width, top=lambda bits: 2**bits - 1, lowest=torch.min),
        "The grid is symmetric here: scale = weight.abs().max() / (2**(bits - 1) - 1), zero "
        "point 0.",
    ),
    Misconception(
        "spreads the codes over the width of the weights",
        partial(measured, extent=width, top=lambda bits: 2**bits - 1),
        "With zero point 0 the grid is the same on both sides: scale = weight.abs().max() / "
        "(2**(bits - 1) - 1).",
    ),
)
