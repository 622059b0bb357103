"""Slips in batch normalization while training, for exercise 5.13."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception
from labkit.checks.lab5.folded_batchnorm_parts import Statistics, layer, of_batch, stored


def _with_batch(y: Tensor, var: Tensor, frozen: bool) -> Tensor:
    return var if frozen else y.var(0, unbiased=False)


def _of_images(y: Tensor, given: Statistics) -> Statistics:
    return y.mean(1, keepdim=True), y.var(1, unbiased=False, keepdim=True)


def _of_all(y: Tensor, given: Statistics) -> Statistics:
    return y.mean(), y.var(unbiased=False)


def _mixed(share: float) -> Callable[[Tensor, Statistics], Statistics]:
    """Return what averages the batch's statistics, with this weight, with the stored ones."""

    def training(y: Tensor, given: Statistics) -> Statistics:
        pairs = zip(given, of_batch(y, given), strict=True)
        mean, var = ((1 - share) * stored + share * new for stored, new in pairs)
        return mean, var

    return training


def _folded_with_batch(
    x: Tensor, w: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, *others: Any
) -> Tensor:
    if not others[-1]:
        mean, var = of_batch(x @ w.t(), (mean, var))
    frozen: Any = (*others[:-1], True)
    return layer(x, w, gamma, beta, mean, var, *frozen)


def _real_statistics(x: Tensor, w: Tensor, *others: Any) -> Tensor:
    y = x @ w.t()
    real = y.mean(0), y.var(0, unbiased=False)
    return layer(x, w, *others, training=lambda y, given: real)


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "rounds the weights before they are folded",
        partial(layer, factor=lambda gamma, var, eps: torch.ones_like(gamma)),
        "The chip holds folded weights: their scale is that of w * gamma / sqrt(var + eps).",
    ),
    Misconception(
        "normalizes the folded result once more",
        partial(layer, unfolded=lambda w_hat, f: w_hat),
        "Divide by the factor again before the batch normalization, or gamma counts twice.",
    ),
    Misconception(
        "multiplies by the factor once more",
        partial(layer, unfolded=torch.mul),
        "To undo the folding, divide the rounded weights by the factor.",
    ),
    Misconception(
        "always uses the statistics of the batch",
        partial(layer, deployed=of_batch),
        "Frozen means: mean and var as they were stored, the numbers that the chip will have.",
    ),
    Misconception(
        "takes the mean of the batch although frozen",
        partial(layer, deployed=lambda y, given: (y.mean(0), given[1])),
        "Frozen means both as they were stored: `mean` as well as `var`.",
    ),
    Misconception(
        "takes the variance of the batch although frozen",
        partial(layer, deployed=lambda y, given: (given[0], y.var(0, unbiased=False))),
        "Frozen means both as they were stored: `var` as well as `mean`.",
    ),
    Misconception(
        "always uses the stored statistics",
        partial(layer, training=stored),
        "While it is not frozen, batch normalization takes mean and variance of this batch.",
    ),
    Misconception(
        "has frozen and training exchanged",
        partial(layer, training=stored, deployed=of_batch),
        "frozen=True takes the stored mean and var, frozen=False those of the batch.",
    ),
    Misconception(
        "divides the variance by n - 1",
        partial(layer, training=lambda y, given: (y.mean(0), y.var(0))),
        "Batch normalization divides by n in its forward pass: var(0, unbiased=False).",
    ),
    Misconception(
        "takes the variance of the batch and the stored mean",
        partial(layer, training=lambda y, given: (given[0], y.var(0, unbiased=False))),
        "Both come from the batch while it is not frozen.",
    ),
    Misconception(
        "takes the mean of the batch and the stored variance",
        partial(layer, training=lambda y, given: (y.mean(0), given[1])),
        "Both come from the batch while it is not frozen.",
    ),
    Misconception(
        "takes the statistics of all outputs together",
        partial(layer, training=_of_all),
        "Each output has a mean and a variance of its own, over the batch: y.mean(0).",
    ),
    Misconception(
        "takes the standard deviation for the variance",
        partial(layer, training=lambda y, given: (y.mean(0), y.std(0, unbiased=False))),
        "The variance is what stands under the root: y.var(0, unbiased=False).",
    ),
    *(
        Misconception(
            "averages the statistics of the batch with the stored ones",
            partial(layer, training=_mixed(share)),
            "Running averages are only kept for later. While it is not frozen, the batch is "
            "normalized with its own mean and variance.",
        )
        for share in (0.1, 0.9, 0.5)
    ),
    Misconception(
        "takes the statistics of each image",
        partial(layer, training=_of_images),
        "Each output has a mean and a variance of its own, over the batch: y.mean(0).",
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
        partial(layer, folding=_with_batch),
        "Fold with the stored var: the codes must not change with every batch.",
    ),
    Misconception(
        "gives each row its own scale",
        partial(layer, size=lambda w: w.abs().amax(1, keepdim=True)),
        "Here the layer has one scale: folded.abs().max() / qmax.",
    ),
    Misconception(
        "gives each column its own scale",
        partial(layer, size=lambda w: w.abs().amax(0, keepdim=True)),
        "Here the layer has one scale: folded.abs().max() / qmax.",
    ),
    Misconception(
        "takes the largest weight instead of the largest magnitude",
        partial(layer, size=torch.max),
        "The largest folded weight may lie below 0: folded.abs().max().",
    ),
    Misconception(
        "does not round",
        partial(layer, turn=torch.clone),
        "That is batch normalization as ever: round the folded weights to their grid.",
    ),
    Misconception(
        "rounds only where frozen",
        partial(layer, rounded=lambda frozen: frozen),
        "While it trains, the network must feel the rounding: y is made of the rounded weights, "
        "frozen or not.",
    ),
    Misconception(
        "rounds only where not frozen",
        partial(layer, rounded=lambda frozen: not frozen),
        "Frozen are the statistics alone: y is made of the rounded weights, frozen or not.",
    ),
    Misconception(
        "rounds down",
        partial(layer, turn=torch.floor),
        "A code is the nearest integer: torch.round(folded / scale).",
    ),
    Misconception(
        "cuts off instead of rounding",
        partial(layer, turn=torch.trunc),
        "A code is the nearest integer: torch.round(folded / scale).",
    ),
    Misconception(
        "takes one bit too many",
        partial(layer, steps=lambda bits: 2**bits - 1),
        "The largest code is 2 ** (bits - 1) - 1: one bit is the sign.",
    ),
    Misconception(
        "divides by 2^(bits-1)",
        partial(layer, steps=lambda bits: 2 ** (bits - 1)),
        "The largest code is 2 ** (bits - 1) - 1, and the largest folded weight lands on it.",
    ),
    Misconception(
        "leaves the weights as codes",
        partial(layer, back=lambda q, scale: q),
        "Back to real weights: multiply the codes by scale.",
    ),
    Misconception(
        "has the factor along the inputs",
        partial(
            layer,
            spread=lambda f, w: f if w.shape[0] == w.shape[1] else f[:, None],
        ),
        "The factor has one number for each output, a row of w: factor[:, None].",
    ),
    Misconception(
        "leaves gamma out of the factor",
        partial(layer, factor=lambda gamma, var, eps: 1 / torch.sqrt(var + eps)),
        "What is folded is the whole slope of the normalization: gamma / sqrt(var + eps).",
    ),
    Misconception(
        "folds gamma alone",
        partial(layer, factor=lambda gamma, var, eps: gamma),
        "What is folded is the whole slope of the normalization: gamma / sqrt(var + eps).",
    ),
    Misconception(
        "folds without the root",
        partial(layer, factor=lambda gamma, var, eps: gamma / (var + eps)),
        "var is a variance: the factor is gamma / sqrt(var + eps).",
    ),
    Misconception(
        "leaves eps out of the factor",
        partial(layer, factor=lambda gamma, var, eps: gamma / torch.sqrt(var)),
        "The factor is the one that the chip will have: gamma / sqrt(var + eps).",
    ),
    Misconception(
        "adds eps after the root",
        partial(layer, factor=lambda gamma, var, eps: gamma / (torch.sqrt(var) + eps)),
        "eps stands under the root: gamma / sqrt(var + eps).",
    ),
    Misconception(
        "normalizes without the root",
        partial(
            layer,
            normalized=lambda y, mean, var, gamma, beta, eps: (
                gamma * (y - mean) / (var + eps) + beta
            ),
        ),
        "Divide by the standard deviation, sqrt(var + eps).",
    ),
    Misconception(
        "leaves eps out of the normalization",
        partial(
            layer,
            normalized=lambda y, mean, var, gamma, beta, eps: (
                gamma * (y - mean) / torch.sqrt(var) + beta
            ),
        ),
        "eps stands under the root there, too: sqrt(var + eps).",
    ),
    Misconception(
        "adds eps after the root in the normalization",
        partial(
            layer,
            normalized=lambda y, mean, var, gamma, beta, eps: (
                gamma * (y - mean) / (torch.sqrt(var) + eps) + beta
            ),
        ),
        "eps stands under the root: sqrt(var + eps).",
    ),
    Misconception(
        "normalizes with an eps of its own",
        partial(
            layer,
            normalized=lambda y, mean, var, gamma, beta, eps: (
                gamma * (y - mean) / torch.sqrt(var + 1e-5) + beta
            ),
        ),
        "1e-5 is what batch_norm takes if it is told nothing. eps is an argument: pass it on.",
    ),
    Misconception(
        "leaves gamma out of the normalization",
        partial(
            layer,
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
            layer,
            normalized=lambda y, mean, var, gamma, beta, eps: (
                gamma * (y - mean) / torch.sqrt(var + eps)
            ),
        ),
        "beta is added last: gamma * (y - mean) / sqrt(var + eps) + beta.",
    ),
)
