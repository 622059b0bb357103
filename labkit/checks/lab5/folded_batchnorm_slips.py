"""Slips in batch normalization while training, for exercise 5.13."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception

Statistics = tuple[Tensor, Tensor]


def _factor(gamma: Tensor, var: Tensor, eps: float) -> Tensor:
    return gamma / torch.sqrt(var + eps)


def _of_batch(y: Tensor, given: Statistics) -> Statistics:
    return y.mean(0), y.var(0, unbiased=False)


def _stored(y: Tensor, given: Statistics) -> Statistics:
    return given


def _normalized(
    y: Tensor, mean: Tensor, var: Tensor, gamma: Tensor, beta: Tensor, eps: float
) -> Tensor:
    return gamma * (y - mean) / torch.sqrt(var + eps) + beta


def _largest(w: Tensor) -> Tensor:
    return w.abs().max()


def _layer(
    x: Tensor,
    w: Tensor,
    gamma: Tensor,
    beta: Tensor,
    mean: Tensor,
    var: Tensor,
    eps: float,
    bits: int,
    frozen: bool,
    *,
    folding: Callable[[Tensor, Tensor, bool], Tensor] = lambda y, var, frozen: var,
    factor: Callable[[Tensor, Tensor, float], Tensor] = _factor,
    size: Callable[[Tensor], Tensor] = _largest,
    steps: Callable[[int], float] = lambda bits: 2 ** (bits - 1) - 1,
    turn: Callable[[Tensor], Tensor] = torch.round,
    back: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    unfolded: Callable[[Tensor, Tensor], Tensor] = torch.div,
    training: Callable[[Tensor, Statistics], Statistics] = _of_batch,
    deployed: Callable[[Tensor, Statistics], Statistics] = _stored,
    normalized: Callable[..., Tensor] = _normalized,
) -> Tensor:
    """Return the layer's result, of which any part may be another one."""
    given = mean, var
    f = factor(gamma, folding(x @ w.t(), var, frozen), eps)[:, None]
    scale = size(w * f) / steps(bits)
    y = x @ unfolded(back(turn(w * f / scale), scale), f).t()
    return normalized(y, *(deployed if frozen else training)(y, given), gamma, beta, eps)


def _with_batch(y: Tensor, var: Tensor, frozen: bool) -> Tensor:
    return var if frozen else y.var(0, unbiased=False)


def _rows(w: Tensor) -> Tensor:
    return w.abs().amax(1, keepdim=True)


def _of_all(y: Tensor, given: Statistics) -> Statistics:
    return y.mean(), y.var(unbiased=False)


def _folded_with_batch(
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
    if not frozen:
        mean, var = _of_batch(x @ w.t(), (mean, var))
    return _layer(x, w, gamma, beta, mean, var, eps, bits, True)


def _real_statistics(x: Tensor, w: Tensor, *others: Any) -> Tensor:
    y = x @ w.t()
    real = y.mean(0), y.var(0, unbiased=False)
    return _layer(x, w, *others, training=lambda y, given: real)


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "rounds the weights before they are folded",
        partial(_layer, factor=lambda gamma, var, eps: torch.ones_like(gamma)),
        "The chip holds folded weights: their scale is that of w * gamma / sqrt(var + eps).",
    ),
    Misconception(
        "normalizes the folded result once more",
        partial(_layer, unfolded=lambda w_hat, f: w_hat),
        "Divide by the factor again before the batch normalization, or gamma counts twice.",
    ),
    Misconception(
        "multiplies by the factor once more",
        partial(_layer, unfolded=torch.mul),
        "To undo the folding, divide the rounded weights by the factor.",
    ),
    Misconception(
        "always uses the statistics of the batch",
        partial(_layer, deployed=_of_batch),
        "Frozen means: mean and var as they were stored, the numbers that the chip will have.",
    ),
    Misconception(
        "takes the mean of the batch although frozen",
        partial(_layer, deployed=lambda y, given: (y.mean(0), given[1])),
        "Frozen means both as they were stored: `mean` as well as `var`.",
    ),
    Misconception(
        "takes the variance of the batch although frozen",
        partial(_layer, deployed=lambda y, given: (given[0], y.var(0, unbiased=False))),
        "Frozen means both as they were stored: `var` as well as `mean`.",
    ),
    Misconception(
        "always uses the stored statistics",
        partial(_layer, training=_stored),
        "While it is not frozen, batch normalization takes mean and variance of this batch.",
    ),
    Misconception(
        "has frozen and training exchanged",
        partial(_layer, training=_stored, deployed=_of_batch),
        "frozen=True takes the stored mean and var, frozen=False those of the batch.",
    ),
    Misconception(
        "divides the variance by n - 1",
        partial(_layer, training=lambda y, given: (y.mean(0), y.var(0))),
        "Batch normalization divides by n in its forward pass: var(0, unbiased=False).",
    ),
    Misconception(
        "takes the variance of the batch and the stored mean",
        partial(_layer, training=lambda y, given: (given[0], y.var(0, unbiased=False))),
        "Both come from the batch while it is not frozen.",
    ),
    Misconception(
        "takes the mean of the batch and the stored variance",
        partial(_layer, training=lambda y, given: (y.mean(0), given[1])),
        "Both come from the batch while it is not frozen.",
    ),
    Misconception(
        "takes the statistics of all outputs together",
        partial(_layer, training=_of_all),
        "Each output has a mean and a variance of its own, over the batch: y.mean(0).",
    ),
    Misconception(
        "takes the standard deviation for the variance",
        partial(_layer, training=lambda y, given: (y.mean(0), y.std(0, unbiased=False))),
        "The variance is what stands under the root: y.var(0, unbiased=False).",
    ),
    Misconception(
        "averages the statistics of the batch with the stored ones",
        partial(
            _layer,
            training=lambda y, given: (
                0.9 * given[0] + 0.1 * y.mean(0),
                0.9 * given[1] + 0.1 * y.var(0, unbiased=False),
            ),
        ),
        "Running averages are only kept for later. While it is not frozen, the batch is "
        "normalized with its own mean and variance.",
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
        "folds with the variance of the batch",
        partial(_layer, folding=_with_batch),
        "Fold with the stored var: the codes must not change with every batch.",
    ),
    Misconception(
        "gives each row its own scale",
        partial(_layer, size=_rows),
        "Here the layer has one scale: folded.abs().max() / qmax.",
    ),
    Misconception(
        "gives each column its own scale",
        partial(_layer, size=lambda w: w.abs().amax(0, keepdim=True)),
        "Here the layer has one scale: folded.abs().max() / qmax.",
    ),
    Misconception(
        "takes the largest weight instead of the largest magnitude",
        partial(_layer, size=torch.max),
        "The largest folded weight may lie below 0: folded.abs().max().",
    ),
    Misconception(
        "does not round",
        partial(_layer, turn=torch.clone),
        "That is batch normalization as ever: round the folded weights to their grid.",
    ),
    Misconception(
        "rounds down",
        partial(_layer, turn=torch.floor),
        "A code is the nearest integer: torch.round(folded / scale).",
    ),
    Misconception(
        "cuts off instead of rounding",
        partial(_layer, turn=torch.trunc),
        "A code is the nearest integer: torch.round(folded / scale).",
    ),
    Misconception(
        "takes one bit too many",
        partial(_layer, steps=lambda bits: 2**bits - 1),
        "The largest code is 2 ** (bits - 1) - 1: one bit is the sign.",
    ),
    Misconception(
        "divides by 2^(bits-1)",
        partial(_layer, steps=lambda bits: 2 ** (bits - 1)),
        "The largest code is 2 ** (bits - 1) - 1, and the largest folded weight lands on it.",
    ),
    Misconception(
        "leaves the weights as codes",
        partial(_layer, back=lambda q, scale: q),
        "Back to real weights: multiply the codes by scale.",
    ),
    Misconception(
        "leaves gamma out of the factor",
        partial(_layer, factor=lambda gamma, var, eps: 1 / torch.sqrt(var + eps)),
        "What is folded is the whole slope of the normalization: gamma / sqrt(var + eps).",
    ),
    Misconception(
        "folds gamma alone",
        partial(_layer, factor=lambda gamma, var, eps: gamma),
        "What is folded is the whole slope of the normalization: gamma / sqrt(var + eps).",
    ),
    Misconception(
        "folds without the root",
        partial(_layer, factor=lambda gamma, var, eps: gamma / (var + eps)),
        "var is a variance: the factor is gamma / sqrt(var + eps).",
    ),
    Misconception(
        "leaves eps out of the factor",
        partial(_layer, factor=lambda gamma, var, eps: gamma / torch.sqrt(var)),
        "The factor is the one that the chip will have: gamma / sqrt(var + eps).",
    ),
    Misconception(
        "adds eps after the root",
        partial(_layer, factor=lambda gamma, var, eps: gamma / (torch.sqrt(var) + eps)),
        "eps stands under the root: gamma / sqrt(var + eps).",
    ),
    Misconception(
        "normalizes without the root",
        partial(
            _layer,
            normalized=lambda y, mean, var, gamma, beta, eps: (
                gamma * (y - mean) / (var + eps) + beta
            ),
        ),
        "Divide by the standard deviation, sqrt(var + eps).",
    ),
    Misconception(
        "leaves gamma out of the normalization",
        partial(
            _layer,
            normalized=lambda y, mean, var, gamma, beta, eps: (
                (y - mean) / torch.sqrt(var + eps) + beta
            ),
        ),
        "The factor is undone before, so gamma has its turn here: gamma * (y - mean) / "
        "sqrt(var + eps) + beta.",
    ),
    Misconception(
        "leaves beta out",
        partial(
            _layer,
            normalized=lambda y, mean, var, gamma, beta, eps: (
                gamma * (y - mean) / torch.sqrt(var + eps)
            ),
        ),
        "beta is added last: gamma * (y - mean) / sqrt(var + eps) + beta.",
    ),
)
