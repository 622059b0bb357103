"""Grids for weights, chosen from the weights themselves."""

import torch
from torch import Tensor

from labkit.linear import choose_qparams, fake_quantize, from_range
from labkit.qparams import QParams, Scheme

METHODS = ("mse", "minmax")
# Shares of the full range that are tried, from clipping nearly everything to clipping nothing.
RATIOS = torch.arange(100, 9, -1) / 100


def weight_qparams(
    weight: Tensor, scheme: Scheme, per_channel: bool = True, method: str = "mse"
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
        error; all channels at once. (`labkit.calibration.MSE` finds the optimum itself, channel by
        channel, which takes long for a whole network.)

    Raises
    ------
    ValueError
        If there is no such method, or `weight` cannot be quantized.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; expected one of {', '.join(METHODS)}.")
    axis = 0 if per_channel else None
    full = choose_qparams(weight, scheme, axis)
    if method == "minmax":
        return full
    rows = weight.detach().flatten(1) if per_channel else weight.detach().reshape(1, -1)
    low, high = rows.amin(1), rows.amax(1)
    best_error = torch.full((len(rows),), torch.inf, dtype=torch.float64)
    scale, zero_point = full.scale.reshape(-1).clone(), full.zero_point.reshape(-1).clone()
    for ratio in RATIOS:
        grid = from_range(low * ratio, high * ratio, scheme, axis=0)
        error = (fake_quantize(rows, grid) - rows).double().square().sum(1)
        better = error < best_error
        best_error = torch.where(better, error, best_error)
        scale = torch.where(better, grid.scale, scale)
        zero_point = torch.where(better, grid.zero_point, zero_point)
    shape = full.scale.shape
    return QParams(scale.reshape(shape), zero_point.reshape(shape), scheme, axis)
