"""Exercise 4.1: batch normalization, folded into the convolution before it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Rule


def fold_batchnorm(
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    gamma: Tensor,
    beta: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the one layer that does the work of both."""
    factor = gamma / torch.sqrt(var + eps)
    return _scaled(weight, factor), (bias - mean) * factor + beta


def _scaled(weight: Tensor, factor: Tensor) -> Tensor:
    return weight * factor.reshape(-1, *[1] * (weight.ndim - 1))


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, shape: tuple[int, ...], eps: float, least: float = 0.1) -> Case:
        out = shape[0]
        bias, mean, beta = randn(rng, 3, out)
        var = least + torch.rand(out, generator=rng)
        gamma = (0.5 + torch.rand(out, generator=rng)) * randn(rng, out).sign()
        return Case(label, (randn(rng, *shape), bias, mean, var, gamma, beta, eps))

    dead = list(case("", (3, 1, 3, 3), 1e-3).args)
    dead[3] = dead[3] * torch.tensor([1.0, 0.0, 1.0])
    return [
        case("one channel", (1, 1, 1, 1), 0.01),
        case("a linear layer", (3, 2), 1e-3),
        case("as many outputs as inputs", (3, 3), 0.02),
        case("a convolution", (4, 3, 3, 3), 1e-3),
        case("a depthwise convolution", (5, 1, 3, 3), 1e-3),
        case("a convolution over time", (3, 2, 5), 0.01),
        case("a small variance", (3, 2, 1, 1), 0.05, 0.0),
        Case("a dead channel, variance 0", tuple(dead)),
    ]


Factor = Callable[[Tensor, Tensor, float], Tensor]
Bias = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def _with_factor(choose: Factor) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return the answer with another factor a channel, from gamma, var and eps."""

    def wrong(weight, bias, mean, var, gamma, beta, eps):
        factor = choose(gamma, var, eps)
        return _scaled(weight, factor), (bias - mean) * factor + beta

    return wrong


def _with_bias(choose: Bias) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return the answer with another bias, from bias, mean, factor and beta."""

    def wrong(weight, bias, mean, var, gamma, beta, eps):
        factor = gamma / torch.sqrt(var + eps)
        return _scaled(weight, factor), choose(bias, mean, factor, beta)

    return wrong


def _along_inputs(weight: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    _, _, var, gamma, _, eps = rest
    factor = gamma / torch.sqrt(var + eps)
    along = factor.reshape(1, -1, *[1] * (weight.ndim - 2))
    return weight * along, fold_batchnorm(weight, *rest)[1]


FOLD_BATCHNORM = Exercise(
    id="4.1",
    title="Folding batch normalization",
    points=2,
    minutes=(8, 12),
    reference=fold_batchnorm,
    cases=_cases,
    rules=(Rule(relative=1e-4, absolute=1e-6), Rule(relative=1e-4, absolute=1e-4)),
    names=("weight", "bias"),
    hints=(
        "Put y = w * x + b into gamma (y - mean) / sqrt(var + eps) + beta and sort: what is "
        "multiplied by x, and what is not?",
        "There is one factor for each output channel, gamma / sqrt(var + eps). It multiplies the "
        "weights of that channel, and (bias - mean).",
        "factor = gamma / torch.sqrt(var + eps); shape = [-1] + [1] * (weight.ndim - 1); return "
        "weight * factor.reshape(shape), (bias - mean) * factor + beta.",
    ),
    misconceptions=(
        Misconception(
            "loses the sign of gamma",
            _with_factor(lambda gamma, var, eps: torch.sqrt(gamma**2 / (var + eps))),
            "gamma may be negative: take the root of var + eps alone.",
        ),
        Misconception(
            "knows layers of two and of four dimensions only",
            lambda weight, *rest: (
                fold_batchnorm(weight, *rest)[0] if weight.ndim != 3 else weight,
                fold_batchnorm(weight, *rest)[1],
            ),
            "[out, ...] may have any number of dimensions: "
            "factor.reshape(-1, *[1] * (weight.ndim - 1)).",
        ),
        Misconception(
            "leaves out eps",
            _with_factor(lambda gamma, var, eps: gamma / torch.sqrt(var)),
            "The network was trained with it, and a dead channel divides by 0 without it: "
            "sqrt(var + eps).",
        ),
        Misconception(
            "adds eps after the square root",
            _with_factor(lambda gamma, var, eps: gamma / (torch.sqrt(var) + eps)),
            "eps belongs under the root: sqrt(var + eps).",
        ),
        Misconception(
            "divides by the variance",
            _with_factor(lambda gamma, var, eps: gamma / (var + eps)),
            "A standard deviation is the square root of the variance: gamma / sqrt(var + eps).",
        ),
        Misconception(
            "leaves out gamma",
            _with_factor(lambda gamma, var, eps: 1 / torch.sqrt(var + eps)),
            "After normalizing, batch normalization multiplies by gamma.",
        ),
        Misconception(
            "leaves out beta",
            _with_bias(lambda bias, mean, factor, beta: (bias - mean) * factor),
            "After normalizing, batch normalization adds beta, which no factor multiplies.",
        ),
        Misconception(
            "forgets the bias of the convolution",
            _with_bias(lambda bias, mean, factor, beta: beta - mean * factor),
            "If the layer has a bias, it passes through the normalization as well: (bias - mean) "
            "* factor + beta.",
        ),
        Misconception(
            "leaves the bias of the convolution as it is",
            _with_bias(lambda bias, mean, factor, beta: bias - mean * factor + beta),
            "The normalization multiplies everything that comes out of the layer, its bias too.",
        ),
        Misconception(
            "adds the mean",
            _with_bias(lambda bias, mean, factor, beta: (bias + mean) * factor + beta),
            "Batch normalization subtracts the mean.",
        ),
        Misconception(
            "subtracts the mean after multiplying",
            _with_bias(lambda bias, mean, factor, beta: bias * factor - mean + beta),
            "The mean is subtracted first and multiplied with all the rest: (bias - mean) * factor "
            "+ beta.",
        ),
        Misconception(
            "multiplies beta by the factor as well",
            _with_bias(lambda bias, mean, factor, beta: (bias - mean + beta) * factor),
            "beta comes last, after the multiplication: (bias - mean) * factor + beta.",
        ),
        Misconception(
            "uses an eps of 1e-5",
            _with_factor(lambda gamma, var, eps: gamma / torch.sqrt(var + 1e-5)),
            "That is torch's default. Networks are trained with others: use the eps that is given.",
        ),
        Misconception(
            "leaves the weights as they are",
            lambda weight, *rest: (weight, fold_batchnorm(weight, *rest)[1]),
            "Everything that goes through batch normalization is multiplied: weights, too.",
        ),
        Misconception(
            "lines the factors up with the input channels",
            _along_inputs,
            "Weights are stored as [out, in, ...], and batch normalization has a factor for each "
            "output: reshape(-1, 1, ...).",
        ),
    ),
)
