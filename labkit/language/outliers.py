"""Outliers of activations: where they sit, and grids that live with them.

In a language model a few channels of a layer's input are many times larger than all others, on
nearly every token. A single grid that reaches them leaves a few codes for the rest. Ways out: a
grid for each token, or the outlier channels in float (Dettmers et al., "LLM.int8()", NeurIPS 2022,
arXiv:2208.07339, section 3).
"""

import torch
from torch import Tensor

from labkit.linear import QParams, Scheme, choose_qparams, from_range, quantize
from labkit.validation import real_tensor

__all__ = [
    "channel_maxima",
    "split_linear",
    "split_outliers",
    "tensor_grid",
    "token_grid",
    "token_maxima",
]

INT8 = Scheme(8, symmetric=True, narrow=True)


def channel_maxima(x: Tensor) -> Tensor:
    """Return ``max_t |x[t, c]|`` for each channel: [in], for `x` [..., in].

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty real tensor with an axis.
    """
    return rows(x, "x").abs().amax(0)


def token_maxima(x: Tensor) -> Tensor:
    """Return ``max_c |x[t, c]|`` for each token: [...], for `x` [..., in]; raises likewise."""
    return rows(x, "x").abs().amax(1).reshape(x.shape[:-1])


def token_grid(x: Tensor, scheme: Scheme = INT8) -> QParams:
    """Choose a grid for each token, from the token itself: *dynamic*, as nothing is known before.

    Parameters
    ----------
    x : Tensor
        Real [tokens, in].
    scheme : Scheme
        The integers to use; by default symmetric, -127 to 127.

    Returns
    -------
    QParams
        scale [tokens], ``max_c |x[t, c]| / 127``; axis 0.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty real matrix.
    """
    return choose_qparams(matrix(x, "x"), scheme, axis=0)


def tensor_grid(maxima: Tensor, scheme: Scheme = INT8) -> QParams:
    """Choose one grid for all tokens, from what was seen on other text: *static*.

    Parameters
    ----------
    maxima : Tensor
        Magnitudes that were seen: `channel_maxima`, or any other shape.
    scheme : Scheme
        The integers to use; by default symmetric, -127 to 127.

    Returns
    -------
    QParams
        scale (), ``max(maxima) / 127``. What is larger at run time saturates.

    Raises
    ------
    TypeError, ValueError
        If `maxima` is not a finite, non-empty real tensor.
    """
    largest = real_tensor(maxima, "maxima").abs().amax()
    return from_range(-largest, largest, scheme)


def split_outliers(x: Tensor, threshold: float = 6.0) -> Tensor:
    """Return which channels hold a value of `threshold` or more: bool [in], for `x` [..., in].

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty real tensor, or `threshold` is negative or NaN.
    """
    if not threshold >= 0:
        raise ValueError(f"threshold is {threshold}; expected a magnitude, 0 or more.")
    return channel_maxima(x) >= threshold


def split_linear(x: Tensor, w: Tensor, threshold: float = 6.0) -> Tensor:
    """Multiply as LLM.int8 does: outlier channels in float, all others in 8 bits.

    ::

        y = x[:, o] w[:, o]^T + S_x S_w (q_x q_w^T),   o = split_outliers(x)

    Parameters
    ----------
    x : Tensor
        Real [tokens, in].
    w : Tensor
        Real [out, in].
    threshold : float
        From which magnitude on a channel is an outlier.

    Returns
    -------
    Tensor
        float32 [tokens, out]. A grid for each token and each row of `w`, chosen without the
        outlier channels; the sums of products of codes are exact.

    Raises
    ------
    TypeError, ValueError
        If `x` or `w` is not a finite, non-empty real matrix, or their widths differ.
    """
    x, w = matrix(x, "x"), matrix(w, "w")
    same_width(x, w)
    outlier = split_outliers(x, threshold)
    y = x[:, outlier] @ w[:, outlier].T
    inner, weights = x[:, ~outlier], w[:, ~outlier]
    if inner.shape[1] == 0:
        return y.float()
    x_grid, w_grid = token_grid(inner), choose_qparams(weights, INT8, axis=0)
    # float32 counts to 2^24: sums of so many products of codes are exact in it.
    exact = torch.float32 if inner.shape[1] <= 2**24 // 127**2 else torch.float64
    products = quantize(inner, x_grid).to(exact) @ quantize(weights, w_grid).to(exact).T
    return (y + x_grid.scale[:, None] * products * w_grid.scale).float()


def rows(x: Tensor, name: str) -> Tensor:
    """Return `x` [..., in] as [tokens, in], refused unless it is real, finite and has an axis."""
    x = real_tensor(x, name)
    if x.ndim == 0:
        raise ValueError(f"{name} is a single number; expected [..., channels].")
    return x.reshape(-1, x.shape[-1])


def matrix(x: Tensor, name: str) -> Tensor:
    """Return `x`, refused unless it is a finite, non-empty real matrix."""
    x = real_tensor(x, name)
    if x.ndim != 2:
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}; expected two dimensions. "
            f"{name}.flatten(0, -2) puts all tokens one below the other."
        )
    return x


def same_width(x: Tensor, w: Tensor) -> None:
    """Refuse `x` and `w` whose last axes differ."""
    if x.shape[-1] != w.shape[-1]:
        raise ValueError(
            f"x has {x.shape[-1]} channels and w {w.shape[-1]} columns; expected as many. "
            "Weights are [out, in]."
        )
