"""Exercise 4.1: batch normalization, folded into the convolution before it."""

from collections.abc import Callable
from functools import partial
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
    return weight * _lined_up(factor, weight.ndim), (bias - mean) * factor + beta


def _lined_up(factor: Tensor, dims: int) -> Tensor:
    return factor.reshape(-1, *[1] * (dims - 1))


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


def _folded(
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    gamma: Tensor,
    beta: Tensor,
    eps: float,
    *,
    spread: Callable[[Tensor, float], Tensor] = lambda var, eps: torch.sqrt(var + eps),
    gained: Callable[[Tensor, Tensor], Tensor] = torch.div,
    lined_up: Callable[[Tensor, int], Tensor] = _lined_up,
    weighed: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    biased: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    centred: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    ended: Callable[[Tensor, Tensor], Tensor] = lambda beta, factor: beta,
) -> tuple[Tensor, Tensor]:
    """Return weight and bias, of which any part may be another one."""
    factor = gained(gamma, spread(var, eps))
    new_bias = biased(bias, factor) - centred(mean, factor) + ended(beta, factor)
    return weighed(weight, lined_up(factor, weight.ndim)), new_bias


def _without_third(weight: Tensor, factor: Tensor) -> Tensor:
    return weight if weight.ndim == 3 else weight * factor


def _with_sums(weight: Tensor, bias: Tensor, mean: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    new_weight, new_bias = fold_batchnorm(weight, bias, 0 * mean, *rest)
    return new_weight, new_bias - mean * new_weight.flatten(1).sum(1)


ANY_DIMS = (
    "[out, ...] may have any number of dimensions: factor.reshape(-1, *[1] * (weight.ndim - 1))."
)
OUTPUTS = (
    "Weights are stored as [out, in, ...], and batch normalization has a factor for each output: "
    "reshape(-1, 1, ...)."
)


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
            partial(_folded, gained=lambda gamma, spread: gamma.abs() / spread),
            "gamma may be negative: take the root of var + eps alone.",
        ),
        Misconception(
            "knows layers of two and of four dimensions only",
            partial(_folded, weighed=_without_third),
            ANY_DIMS,
        ),
        Misconception(
            "knows layers of four dimensions only",
            partial(_folded, lined_up=lambda factor, dims: factor.reshape(-1, 1, 1, 1)),
            ANY_DIMS,
        ),
        Misconception(
            "knows layers of two dimensions only",
            partial(_folded, lined_up=lambda factor, dims: factor[:, None]),
            ANY_DIMS,
        ),
        Misconception(
            "leaves out eps",
            partial(_folded, spread=lambda var, eps: torch.sqrt(var)),
            "The network was trained with it, and a dead channel divides by 0 without it: "
            "sqrt(var + eps).",
        ),
        Misconception(
            "adds eps after the square root",
            partial(_folded, spread=lambda var, eps: torch.sqrt(var) + eps),
            "eps belongs under the root: sqrt(var + eps).",
        ),
        Misconception(
            "squares eps under the root",
            partial(_folded, spread=lambda var, eps: torch.sqrt(var + eps**2)),
            "eps is added to the variance as it is: sqrt(var + eps).",
        ),
        Misconception(
            "keeps the variance above eps instead of adding it",
            partial(_folded, spread=lambda var, eps: torch.sqrt(var.clamp(min=eps))),
            "eps is added to every variance: sqrt(var + eps).",
        ),
        Misconception(
            "takes eps away",
            partial(_folded, spread=lambda var, eps: torch.sqrt(var - eps)),
            "eps is added, so that the root is never 0: sqrt(var + eps).",
        ),
        Misconception(
            "divides by the variance",
            partial(_folded, spread=torch.add),
            "A standard deviation is the square root of the variance: gamma / sqrt(var + eps).",
        ),
        Misconception(
            "takes var for the standard deviation, and squares it",
            partial(_folded, spread=lambda var, eps: torch.sqrt(var**2 + eps)),
            "var is the variance already: sqrt(var + eps).",
        ),
        Misconception(
            "uses an eps of 1e-5",
            partial(_folded, spread=lambda var, eps: torch.sqrt(var + 1e-5)),
            "That is torch's default. Networks are trained with others: use the eps that is given.",
        ),
        Misconception(
            "leaves out gamma",
            partial(_folded, gained=lambda gamma, spread: 1 / spread),
            "After normalizing, batch normalization multiplies by gamma.",
        ),
        Misconception(
            "multiplies by the standard deviation",
            partial(_folded, gained=torch.mul),
            "Normalizing divides by the standard deviation: gamma / sqrt(var + eps).",
        ),
        Misconception(
            "has gamma and the standard deviation upside down",
            partial(_folded, gained=lambda gamma, spread: spread / gamma),
            "The factor is gamma / sqrt(var + eps).",
        ),
        Misconception(
            "leaves out beta",
            partial(_folded, ended=lambda beta, factor: 0 * beta),
            "After normalizing, batch normalization adds beta, which no factor multiplies.",
        ),
        Misconception(
            "takes beta away",
            partial(_folded, ended=lambda beta, factor: -beta),
            "Batch normalization adds beta: (bias - mean) * factor + beta.",
        ),
        Misconception(
            "multiplies beta by the factor as well",
            partial(_folded, ended=torch.mul),
            "beta comes last, after the multiplication: (bias - mean) * factor + beta.",
        ),
        Misconception(
            "forgets the bias of the convolution",
            partial(_folded, biased=lambda bias, factor: 0 * bias),
            "If the layer has a bias, it passes through the normalization as well: (bias - "
            "mean) * factor + beta.",
        ),
        Misconception(
            "adds the mean",
            partial(_folded, centred=lambda mean, factor: -mean * factor),
            "Batch normalization subtracts the mean.",
        ),
        Misconception(
            "takes the bias away from the mean",
            partial(
                _folded,
                biased=lambda bias, factor: -bias * factor,
                centred=lambda mean, factor: -mean * factor,
            ),
            "The layer's bias is added and the mean subtracted: (bias - mean) * factor + beta.",
        ),
        Misconception(
            "leaves out the mean",
            partial(_folded, centred=lambda mean, factor: 0 * mean),
            "Batch normalization subtracts the mean first: (bias - mean) * factor + beta.",
        ),
        Misconception(
            "does not multiply the bias by the factor",
            partial(_folded, biased=lambda bias, factor: bias, centred=lambda mean, factor: mean),
            "The normalization multiplies everything that comes out of the layer, its bias "
            "too: (bias - mean) * factor + beta.",
        ),
        Misconception(
            "leaves the weights as they are",
            partial(_folded, weighed=lambda weight, factor: weight),
            "Everything that goes through batch normalization is multiplied: weights, too.",
        ),
        Misconception(
            "lines the factors up with the input channels",
            partial(
                _folded, lined_up=lambda factor, dims: factor.reshape(1, -1, *[1] * (dims - 2))
            ),
            OUTPUTS,
        ),
        Misconception(
            "lines the factors up with the last dimension",
            partial(_folded, lined_up=lambda factor, dims: factor),
            OUTPUTS,
        ),
        Misconception(
            "leaves the bias of the convolution as it is",
            partial(_folded, biased=lambda bias, factor: bias),
            "The normalization multiplies everything that comes out of the layer, its bias too.",
        ),
        Misconception(
            "subtracts the mean after multiplying",
            partial(_folded, centred=lambda mean, factor: mean),
            "The mean is subtracted first and multiplied with all the rest: (bias - mean) * factor "
            "+ beta.",
        ),
        Misconception(
            "adds eps to the factor, after the division",
            lambda *layer: _folded(*layer, spread=lambda var, eps: 1 / (1 / torch.sqrt(var) + eps)),
            "eps belongs under the root: torch.rsqrt(var + eps).",
        ),
        Misconception(
            "multiplies the mean by the sum of the weights",
            _with_sums,
            "mean is that of what the layer puts out, no input any more: (bias - mean) * factor + "
            "beta.",
        ),
        Misconception(
            "exchanges gamma and beta",
            lambda weight, bias, mean, var, gamma, beta, eps: fold_batchnorm(
                weight, bias, mean, var, beta, gamma, eps
            ),
            "gamma multiplies and beta is added: gamma / sqrt(var + eps), and + beta.",
        ),
    ),
)
