"""Weights with a scale for each group of neighbours in a row, and what they cost.

A row of a language model's matrix has hundreds or thousands of weights. One scale for all of them
is coarse at 4 bits; one for 32 or 64 neighbours is not, and costs a fraction of a bit a weight.
"""

import torch
from torch import Tensor

from labkit.language.outliers import matrix
from labkit.linear import QParams, Scheme, choose_qparams, fake_quantize, from_range
from labkit.qparams import positive_group_size
from labkit.validation import real_tensor, whole_number

__all__ = ["best_grid", "bits_per_weight", "group_grid"]

SHRINK = tuple(1 - step / 40 for step in range(21))


def group_grid(w: Tensor, scheme: Scheme, group_size: int) -> QParams:
    """Choose a grid for each group, from its smallest and its largest weight.

    Parameters
    ----------
    w : Tensor
        Real [out, in].
    scheme : Scheme
        The integers to use, for example ``Scheme(4)``.
    group_size : int
        How many neighbours of a row share a scale. The last group may be shorter.

    Returns
    -------
    QParams
        scale [out, in / group_size].

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """
    return choose_qparams(matrix(w, "w"), scheme, 1, group_size)


def best_grid(
    w: Tensor,
    scheme: Scheme,
    group_size: int,
    importance: Tensor | None = None,
    shrink: tuple[float, ...] = SHRINK,
) -> QParams:
    """Choose the range of each group among smaller ones, by the squared error that is left.

    ::

        range = f [min(w), max(w)],   f = argmin sum_c importance_c (w_c - w'_c)^2

    Clipping a group's largest weight may pay, since all others are rounded more finely then.

    Parameters
    ----------
    w, scheme, group_size
        As in `group_grid`.
    importance : Tensor, optional
        Real [in], 0 or more: the mean square of each channel of the input (the diagonal of its
        Hessian). None: all channels count alike.
    shrink : tuple of float
        The factors to try, in (0, 1].

    Returns
    -------
    QParams
        scale [out, in / group_size]; never a larger error than with the first factor.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Notes
    -----
    The search over clipping that GPTQ's code calls `mse` and AWQ's `auto_clip`.
    """
    w, size = matrix(w, "w"), positive_group_size(group_size)
    weights = (
        torch.ones(w.shape[1]) if importance is None else real_tensor(importance, "importance")
    )
    if weights.shape != w.shape[1:] or bool((weights < 0).any()):
        raise ValueError("importance is not as expected: [in] numbers, 0 or more.")
    if not shrink or not all(0 < factor <= 1 for factor in shrink):
        raise ValueError(f"shrink is {shrink}; expected factors in (0, 1], at least one.")
    runs = w.split(size, dim=1)
    low = torch.cat([run.amin(1, keepdim=True) for run in runs], dim=1)
    high = torch.cat([run.amax(1, keepdim=True) for run in runs], dim=1)
    group = torch.arange(w.shape[1]) // size

    def error(factor: float) -> Tensor:
        grid = from_range(factor * low, factor * high, scheme, 1, size)
        squared = weights.to(w) * (w - fake_quantize(w, grid)).square()
        return torch.zeros_like(low).index_add(1, group, squared)

    best = torch.stack([error(factor) for factor in shrink]).argmin(0)
    factor = torch.tensor(shrink)[best]
    return from_range(factor * low, factor * high, scheme, 1, size)


def bits_per_weight(scheme: Scheme, group_size: int, scale_bits: int = 16) -> float:
    """Return what a weight costs, with its share of the scale and of the zero point.

    ::

        bits + (scale_bits + bits of the zero point) / group_size

    A symmetric scheme stores no zero point; another one stores it in the bits of a code.

    Raises
    ------
    TypeError, ValueError
        If `group_size` is below 1 or `scale_bits` below 0.
    """
    size, scale_bits = positive_group_size(group_size), whole_number(scale_bits, "scale_bits")
    if scale_bits < 0:
        raise ValueError(f"scale_bits is {scale_bits}; expected 0 or more.")
    beside = scale_bits + (0 if scheme.symmetric else scheme.bits)
    return scheme.bits + beside / size
