"""Inputs of lab 7: activations with outliers, made up and real, and draws without ties."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from labkit.checks.inputs import one, randn
from labkit.language import channel_maxima, real_layers

MARGIN = 2e-3


def outlying(rng: torch.Generator, tokens: int, width: int, times: float = 30.0) -> Tensor:
    """Return normal activations [tokens, width] in which one channel is `times` as large."""
    x = randn(rng, tokens, width)
    x[:, one(rng, 0, width - 1)] *= times
    return x


def real_piece(rng: torch.Generator, key: str, tokens: int, width: int) -> tuple[Tensor, Tensor]:
    """Return inputs [tokens, width] and weights [6, width] of a real layer.

    Its largest channel and others that are drawn, at tokens that are drawn.
    """
    layer = real_layers()[key]
    first = channel_maxima(layer.calibration).argmax()
    others = torch.randperm(layer.weight.shape[1], generator=rng)
    channels = torch.cat([first[None], others[others != first][: width - 1]])
    channels = channels[torch.randperm(width, generator=rng)]
    rows = torch.randperm(len(layer.calibration), generator=rng)[:tokens]
    outputs = torch.randperm(len(layer.weight), generator=rng)[:6]
    return layer.calibration[rows][:, channels], layer.weight[outputs][:, channels]


def clear(draw: Callable[[], tuple], reals: Callable[..., Tensor]) -> tuple[Any, ...]:
    """Draw arguments until none of the numbers that are rounded lies next to a tie.

    One flipped code would change everything that is computed from it.
    """
    while True:
        args = draw()
        real = reals(*args).double()
        if bool((((real - real.floor()) - 0.5).abs() > MARGIN).all()):
            return args
