"""Grids for weights, chosen from the weights themselves."""

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.linear import choose_qparams, from_range
from labkit.qparams import QParams, Scheme

METHODS = ("mse", "minmax")
# Shares of the full range that are tried, from clipping nearly everything to clipping nothing.
RATIOS = torch.arange(100, 9, -1) / 100


def weight_qparams(
    weight: Tensor,
    scheme: Scheme,
    per_channel: bool = True,
    method: str = "mse",
    group_size: int | None = None,
) -> QParams:
    """Choose the grid of a layer's weights.

    Parameters
    ----------
    weight : Tensor
        [out, in] or [out, in / groups, kernel height, kernel width].
    scheme : Scheme
        The integers.
    per_channel : bool
        One scale for each output channel, rather than one for the layer.
    method : str
        "minmax": the full range. "mse": the share of it, in steps of 1 %, with the smallest squared
        error; all scales at once. (`labkit.calibration.MSE` finds the optimum itself, one scale
        after the other, which takes long for a whole network.)
    group_size : int, optional
        One scale for so many neighbours in each row of a matrix, [out, in].

    Raises
    ------
    ValueError
        If there is no such method, or `weight` cannot be quantized.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; expected one of {', '.join(METHODS)}.")
    axis = 1 if group_size else (0 if per_channel else None)
    full = choose_qparams(weight, scheme, axis, group_size)
    if method == "minmax":
        return full
    scale, zero_point = _search(_sharing(weight.detach(), per_channel, group_size), scheme)
    shape = full.scale.shape
    return QParams(scale.reshape(shape), zero_point.reshape(shape), scheme, axis, group_size)


def _sharing(weight: Tensor, per_channel: bool, group_size: int | None) -> Tensor:
    """Return a matrix with one row for each scale; zeros, which have no error, fill it up."""
    if group_size:
        missing = -weight.shape[1] % group_size
        return F.pad(weight, (0, missing)).reshape(-1, group_size)
    return weight.flatten(1) if per_channel else weight.reshape(1, -1)


def _search(rows: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
    """Return the best scale and zero point of each row."""
    low, high = rows.amin(1), rows.amax(1)
    best = from_range(low, high, scheme, axis=0)
    scale, zero_point = best.scale, best.zero_point
    least = torch.full((len(rows),), torch.inf, dtype=torch.float64)
    for ratio in RATIOS:
        grid = from_range(low * ratio, high * ratio, scheme, axis=0)
        error = _restored(rows, grid).sub_(rows).double().square_().sum(1)
        better = error < least
        least = torch.where(better, error, least)
        scale = torch.where(better, grid.scale, scale)
        zero_point = torch.where(better, grid.zero_point, zero_point)
    return scale, zero_point


def _restored(rows: Tensor, grid: QParams) -> Tensor:
    """Return ``fake_quantize(rows, grid)``, whose checks would take longer than its arithmetic."""
    scale, zero_point = grid.scale[:, None], grid.zero_point[:, None]
    steps = (rows / scale).round_().add_(zero_point)
    return steps.clamp_(grid.scheme.qmin, grid.scheme.qmax).sub_(zero_point).mul_(scale)
