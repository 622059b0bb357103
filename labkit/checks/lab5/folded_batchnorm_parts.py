"""A layer with batch normalization, of which any part may be another one (exercise 5.13)."""

from collections.abc import Callable

import torch
from torch import Tensor

Statistics = tuple[Tensor, Tensor]


def _factor(gamma: Tensor, var: Tensor, eps: float) -> Tensor:
    return gamma / torch.sqrt(var + eps)


def of_batch(y: Tensor, given: Statistics) -> Statistics:
    """Return mean and variance of the columns of `y`."""
    return y.mean(0), y.var(0, unbiased=False)


def stored(y: Tensor, given: Statistics) -> Statistics:
    """Return mean and variance as they were given."""
    return given


def _normalized(
    y: Tensor, mean: Tensor, var: Tensor, gamma: Tensor, beta: Tensor, eps: float
) -> Tensor:
    return gamma * (y - mean) / torch.sqrt(var + eps) + beta


def _largest(w: Tensor) -> Tensor:
    return w.abs().max()


def layer(
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
    spread: Callable[[Tensor, Tensor], Tensor] = lambda factor, w: factor[:, None],
    size: Callable[[Tensor], Tensor] = _largest,
    steps: Callable[[int], float] = lambda bits: 2 ** (bits - 1) - 1,
    turn: Callable[[Tensor], Tensor] = torch.round,
    back: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    unfolded: Callable[[Tensor, Tensor], Tensor] = torch.div,
    rounded: Callable[[bool], bool] = lambda frozen: True,
    training: Callable[[Tensor, Statistics], Statistics] = of_batch,
    deployed: Callable[[Tensor, Statistics], Statistics] = stored,
    normalized: Callable[..., Tensor] = _normalized,
) -> Tensor:
    """Return the layer's result, of which any part may be another one."""
    given = mean, var
    f = spread(factor(gamma, folding(x @ w.t(), var, frozen), eps), w)
    scale = size(w * f) / steps(bits)
    w_hat = unfolded(back(turn(w * f / scale), scale), f)
    y = x @ (w_hat if rounded(frozen) else w).t()
    return normalized(y, *(deployed if frozen else training)(y, given), gamma, beta, eps)
