"""Exercise 5.13: batch normalization while a network is trained for its codes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn, uniform
from labkit.checks.rules import Rule

Statistics = tuple[Tensor, Tensor]


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
    return _answer()(x, w, gamma, beta, mean, var, eps, bits, frozen)


def _factor(gamma: Tensor, var: Tensor, eps: float) -> Tensor:
    return gamma / torch.sqrt(var + eps)


def _on_grid(w: Tensor, bits: int) -> Tensor:
    scale = w.abs().max() / (2 ** (bits - 1) - 1)
    return torch.round(w / scale) * scale


def _of_batch(y: Tensor, given: Statistics) -> Statistics:
    return y.mean(0), y.var(0, unbiased=False)


def _stored(y: Tensor, given: Statistics) -> Statistics:
    return given


def _answer(
    factor: Callable[[Tensor, Tensor, float], Tensor] = _factor,
    grid: Callable[[Tensor, int], Tensor] = _on_grid,
    training: Callable[[Tensor, Statistics], Statistics] = _of_batch,
    deployed: Callable[[Tensor, Statistics], Statistics] = _stored,
    unfold: bool = True,
    fold: bool = True,
) -> Callable[..., Tensor]:
    """Return an answer with one of its parts made in another way."""

    def compute(
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
        f = (factor(gamma, var, eps) if fold else torch.ones_like(gamma))[:, None]
        w_hat = grid(w * f, bits)
        y = x @ (w_hat / f if unfold else w_hat).t()
        mean, var = (deployed if frozen else training)(y, (mean, var))
        return gamma * (y - mean) / torch.sqrt(var + eps) + beta

    return compute


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


def _scale_a_row(w: Tensor, bits: int) -> Tensor:
    scale = w.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    return torch.round(w / scale) * scale


def _folded_with_batch(*args: Any) -> Tensor:
    x, w, gamma, beta, mean, var, eps, bits, frozen = args
    if not frozen:
        mean, var = _of_batch(x @ w.t(), (mean, var))
    return folded_batchnorm(x, w, gamma, beta, mean, var, eps, bits, True)


def _real_statistics(*args: Any) -> Tensor:
    x, w, gamma, beta, mean, var, eps, bits, frozen = args
    y = x @ (_on_grid(w * _factor(gamma, var, eps)[:, None], bits)).t()
    factor = _factor(gamma, var, eps)
    if not frozen:
        mean, var = _of_batch(x @ w.t(), (mean, var))
    return gamma * (y / factor - mean) / torch.sqrt(var + eps) + beta


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
        "folded = w * factor[:, None]; scale = folded.abs().amax(1, keepdim=True) / (2 ** (bits - "
        "1) - 1); w_hat = torch.round(folded / scale) * scale; y = x @ (w_hat / factor[:, "
        "None]).t(); if not frozen: mean, var = y.mean(0), y.var(0, unbiased=False); return gamma "
        "* (y - mean) / torch.sqrt(var + eps) + beta.",
    ),
    misconceptions=(
        Misconception(
            "rounds the weights before they are folded",
            _answer(fold=False),
            "The chip holds folded weights: their scale is that of w * gamma / sqrt(var + eps).",
        ),
        Misconception(
            "normalizes the folded result once more",
            _answer(unfold=False),
            "Divide by the factor again before the batch normalization, or gamma counts twice.",
        ),
        Misconception(
            "always uses the statistics of the batch",
            _answer(deployed=_of_batch),
            "Frozen means: mean and var as they were stored, the numbers that the chip will have.",
        ),
        Misconception(
            "always uses the stored statistics",
            _answer(training=_stored),
            "While it is not frozen, batch normalization takes mean and variance of this batch.",
        ),
        Misconception(
            "has frozen and training exchanged",
            _answer(training=_stored, deployed=_of_batch),
            "frozen=True takes the stored mean and var, frozen=False those of the batch.",
        ),
        Misconception(
            "divides the variance by n - 1",
            _answer(training=lambda y, given: (y.mean(0), y.var(0))),
            "Batch normalization divides by n in its forward pass: var(0, unbiased=False).",
        ),
        Misconception(
            "takes the variance of the batch and the stored mean",
            _answer(training=lambda y, given: (given[0], y.var(0, unbiased=False))),
            "Both come from the batch while it is not frozen.",
        ),
        Misconception(
            "takes the mean of the batch and the stored variance",
            _answer(training=lambda y, given: (y.mean(0), given[1])),
            "Both come from the batch while it is not frozen.",
        ),
        Misconception(
            "takes the statistics of the real weights",
            _real_statistics,
            "The batch is normalized as it is, rounding included: mean and variance of y.",
        ),
        Misconception(
            "folds with the statistics of the batch",
            _folded_with_batch,
            "Fold with the stored var: the codes must not change with every batch.",
        ),
        Misconception(
            "gives each row its own scale",
            _answer(grid=_scale_a_row),
            "Here the layer has one scale: folded.abs().max() / qmax.",
        ),
        Misconception(
            "does not round",
            _answer(grid=lambda w, bits: w),
            "That is batch normalization as ever: round the folded weights to their grid.",
        ),
        Misconception(
            "takes one bit too many",
            _answer(grid=lambda w, bits: _on_grid(w, bits + 1)),
            "The largest code is 2 ** (bits - 1) - 1: one bit is the sign.",
        ),
    ),
)
