"""Grids for weights, chosen from the weights themselves."""

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.linear import choose_qparams, from_range
from labkit.qparams import QParams, Scheme

METHODS = ("mse", "minmax")
# Shares of the full range that are tried, from clipping nearly everything to clipping nothing.
RATIOS = torch.arange(100, 9, -1) / 100
TILE = 2**16  # weights at a time
LOOKS = 4  # ratios between two looks at which rows can still gain


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
    full = from_range(low, high, scheme, axis=0)
    scale, zero_point = full.scale.clone(), full.zero_point.clone()
    least = torch.full((len(rows),), torch.inf, dtype=torch.float64)
    left = torch.arange(len(rows))
    for number, ratio in enumerate(RATIOS):
        grid = from_range(low[left] * ratio, high[left] * ratio, scheme, axis=0)
        error = _error(rows, grid)
        better = error < least[left]
        improved = left[better]
        least[improved] = error[better]
        scale[improved], zero_point[improved] = grid.scale[better], grid.zero_point[better]
        if number % LOOKS == 0:
            # A narrower range clips more still, and what it clips is a part of its error. It may
            # reach a step further: it lies on a grid of its own.
            hopeful = _error(rows, grid, further=1, rounded=False) < least[left]
            if not bool(hopeful.all()):
                rows, left = rows[hopeful], left[hopeful]
        if not len(left):
            break
    return scale, zero_point


def _error(rows: Tensor, grid: QParams, further: int = 0, rounded: bool = True) -> Tensor:
    """Return the squared error of each row, or that of clipping alone.

    In steps, ``clamp(round(w / S), qmin - Z, qmax - Z) - w / S``: `fake_quantize` less `w`, without
    checks that would take longer than the arithmetic.
    """
    lowest, highest = (
        (end - grid.zero_point).to(rows.dtype)[:, None]
        for end in (grid.scheme.qmin - further, grid.scheme.qmax + further)
    )
    squares = torch.zeros(len(rows), dtype=torch.float64)
    height, width = max(1, TILE // rows.shape[1]), min(TILE, rows.shape[1])
    for i in range(0, len(rows), height):
        tile = slice(i, i + height)
        for part in rows[tile].split(width, 1):
            real = part / grid.scale[tile, None]
            steps = real.round() if rounded else real
            # In two calls, since torch's `clamp` is five times slower for ends that are tensors.
            steps = steps.maximum(lowest[tile]).minimum(highest[tile])
            norm = torch.linalg.vector_norm(steps.sub_(real), dim=1, dtype=torch.float64)
            squares[tile] += norm.square()
    return squares * grid.scale.double().square()
