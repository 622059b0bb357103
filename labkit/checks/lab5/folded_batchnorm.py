"""Exercise 5.13: batch normalization while a network is trained for its codes."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import randn, uniform
from labkit.checks.lab5.folded_batchnorm_slips import MISCONCEPTIONS
from labkit.checks.rules import Rule


def folded_batchnorm(
    x: Tensor,
    w: Tensor,
    gamma: Tensor,
    beta: Tensor,
    mean: Tensor,
    var: Tensor,
    eps: float,
    bits: int,
    frozen: bool,
) -> Tensor:
    """Return a linear layer with batch normalization whose folded weights are rounded."""
    factor = (gamma / torch.sqrt(var + eps))[:, None]
    y = x @ (_on_grid(w * factor, bits) / factor).t()
    if not frozen:
        mean, var = y.mean(0), y.var(0, unbiased=False)
    return gamma * (y - mean) / torch.sqrt(var + eps) + beta


def _on_grid(w: Tensor, bits: int) -> Tensor:
    scale = w.abs().max() / (2 ** (bits - 1) - 1)
    return torch.round(w / scale) * scale


def _cases(rng: torch.Generator) -> list[Case]:
    def case(
        label: str, shape: tuple[int, int, int], bits: int, frozen: bool, eps: float = 1e-3
    ) -> Case:
        images, outputs, inputs = shape
        sizes = torch.linspace(0.3, 2.0, outputs)[torch.randperm(outputs, generator=rng)]
        w, x = randn(rng, outputs, inputs), 0.5 + randn(rng, images, inputs)
        gamma, beta = sizes * (1 + 0.2 * torch.rand(outputs, generator=rng)), randn(rng, outputs)
        gamma[0] = -gamma[0]
        mean, var = randn(rng, outputs), 0.2 + 2 * torch.rand(outputs, generator=rng)
        return Case(label, (x, w, gamma, beta, mean, var, eps, bits, frozen))

    return [
        case("one output, frozen", (3, 1, 2), 4, True),
        case("one output, training", (3, 1, 2), 4, False),
        case("a layer, frozen", (6, 4, 3), 4, True),
        case("a layer, training", (6, 4, 3), 4, False),
        case("as many outputs as inputs, frozen", (5, 4, 4), 3, True),
        case("as many outputs as inputs, training", (5, 4, 4), 3, False),
        case("2 bits, training", (8, 5, 6), 2, False),
        case("8 bits, frozen", (8, 5, 6), 8, True),
        case("a large eps, training", (7, 4, 5), 4, False, round(uniform(rng, 0.3, 0.6), 2)),
        case("a large eps, frozen", (7, 4, 5), 4, True, round(uniform(rng, 0.3, 0.6), 2)),
    ]


FOLDED_BATCHNORM = Exercise(
    id="5.13",
    title="Batch normalization in training",
    points=2,
    minutes=(10, 15),
    extra=True,
    reference=folded_batchnorm,
    cases=_cases,
    rules=(Rule(relative=1e-3, absolute=1e-4),),
    hints=(
        "Which weights will the chip have? Those are rounded, with one scale. What has to be "
        "undone before a batch normalization follows as usual?",
        "factor = gamma / sqrt(var + eps), of the stored var; round w * factor[:, None]; divide by "
        "the factor again and compute y. Then mean and var: of y's columns in training, the stored "
        "ones where frozen.",
        "folded = w * factor[:, None]; scale = folded.abs().max() / (2 ** (bits - 1) - 1); "
        "w_hat = torch.round(folded / scale) * scale; y = x @ (w_hat / factor[:, "
        "None]).t(); if not frozen: mean, var = y.mean(0), y.var(0, unbiased=False); return gamma "
        "* (y - mean) / torch.sqrt(var + eps) + beta.",
    ),
    misconceptions=MISCONCEPTIONS,
)
