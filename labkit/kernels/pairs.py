"""Weights that a processor without 8-bit dot products can multiply without leaving int16.

Such a processor adds the products of two neighbouring channels in int16 (`labkit.kernels.engines`).
With x from 0 to X that sum stays within ``X * max(|a|, |b|, |a + b|)``: weights of different signs
never leave it, and 255 (a + b) does where |a + b| > 128. Where a pair does, a channel is fed to the
engine once more, and its weight is shared out among the two::

    a x + b y = (a x + c y) + (b - c) y                 c = clamp(b, -128 - a, 128 - a)

All that is needed is a second copy of every other channel, half as much work again. Only where the
rests of two neighbouring pairs do not fit together either, every channel needs one, and every
weight is halved.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

INT16_MAX = 2**15 - 1
PART = 2**20  # weights at a time


class Split(NamedTuple):
    """Weights for an input of more channels.

    Attributes
    ----------
    weight : Tensor
        int8 [out, in + copies, ...].
    copied : slice or None
        The channels that follow once more behind the last; None: no channel does.
    """

    weight: Tensor
    copied: slice | None = None


def split(weight: Tensor, largest_x: int) -> Split:
    """Share weights out among as few copies of channels as keep sums of two products in int16.

    Parameters
    ----------
    weight : Tensor
        int8 [out, in] or [out, in, kernel height, kernel width].
    largest_x : int
        X; the smallest x is 0.
    """
    if fits(weight, largest_x):
        return Split(weight)
    if weight.shape[1] % 2 == 0:
        once, again = weight.clone(), slice(1, None, 2)
        limit = INT16_MAX // largest_x
        beside, odd = weight[:, ::2].to(torch.int16), weight[:, again].to(torch.int16)
        once[:, again] = odd.clamp(-limit - beside, limit - beside)
        shared = torch.cat([once, weight[:, again] - once[:, again]], dim=1)
        if fits(shared, largest_x):
            return Split(shared, again)
    return halves(weight)


def fits(weight: Tensor, largest_x: int) -> bool:
    """Tell whether no sum of two neighbouring channels' products can leave int16."""
    rows = max(1, PART // weight[0].numel())
    return all(largest_x * _largest(part) <= INT16_MAX for part in weight.split(rows))


def halves(weight: Tensor) -> Split:
    """Share every weight out among two copies of its channel: half of 127 twice fits anywhere."""
    half = weight >> 1
    return Split(torch.cat([half, weight - half], dim=1), slice(None))


def _largest(weight: Tensor) -> int:
    """Return the largest |a|, |b| or |a + b| of neighbouring channels."""
    w = weight.flatten(2) if weight.ndim > 2 else weight.unsqueeze(2)
    w = F.pad(w.to(torch.int16), (0, 0, 0, w.shape[1] % 2))
    return max(int(part.abs().max()) for part in (w, w[:, ::2] + w[:, 1::2]))
