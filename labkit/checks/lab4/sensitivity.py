"""Exercise 4.7: which layer suffers most."""

from itertools import pairwise

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import randn
from labkit.checks.lab4.sensitivity_parts import Layers, rounded, run
from labkit.checks.lab4.sensitivity_slips import MISCONCEPTIONS
from labkit.checks.rules import Rule


def sensitivity(layers: Layers, x: Tensor, bits: int) -> Tensor:
    """Return the SQNR of the network's result, in dB, with one layer quantized at a time."""
    y, ratios = run(layers, x), []
    for i, (weight, bias) in enumerate(layers):
        z = run([*layers[:i], (rounded(weight, bits), bias), *layers[i + 1 :]], x)
        ratios.append((y**2).sum() / ((z - y) ** 2).sum())
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
    misconceptions=MISCONCEPTIONS,
)
