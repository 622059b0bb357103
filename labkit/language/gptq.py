"""GPTQ: round weights one column after the other, and let later columns make up for the error.

What counts is the layer's output on calibration inputs x [tokens, in], not the weights themselves::

    error(w') = mean_t |x_t w^T - x_t w'^T|^2 = sum_o (w_o - w'_o) H (w_o - w'_o)^T,
    H = x^T x / tokens                                                                           (1)

If column i is rounded from w_i to w'_i, the best that the columns not yet rounded can do is
(Optimal Brain Surgeon; H over these columns only)::

    w_j -= (w_i - w'_i) / [H^-1]_ii * [H^-1]_ij                                                  (2)

The next step needs the inverse of H without column i. All these inverses are rows of one triangular
matrix: with H^-1 = U^T U (U upper triangular), (2) is ``w_j -= (w_i - w'_i) / U_ii * U_ij``.
Source: Frantar et al., "GPTQ", ICLR 2023, arXiv:2210.17323, algorithm 1.
"""

import torch
from torch import Tensor

from labkit.language.outliers import matrix, rows
from labkit.linear import QParams, dequantize, quantize
from labkit.validation import instance_of, real_tensor, true_or_false, whole_number

__all__ = ["gptq", "hessian", "inverse_factor", "layer_error"]


def hessian(x: Tensor) -> Tensor:
    """Return ``x^T x / tokens``, float64 [in, in], for inputs `x` [..., in].

    The mean of the Hessians of batches of equal size is that of all of them.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty real tensor with an axis.
    """
    x = rows(x, "x").double()
    return x.T @ x / len(x)


def layer_error(w: Tensor, rounded: Tensor, hessian: Tensor) -> Tensor:
    """Return what each row of (1) adds to the squared error of the output: float64 [out].

    Parameters
    ----------
    w, rounded : Tensor
        Real [out, in]: the weights, and what stands for them.
    hessian : Tensor
        Real [in, in], as `hessian` gives it.
    """
    d = matrix(w, "w").double() - matrix(rounded, "rounded").double()
    return ((d @ real_tensor(hessian, "hessian").double()) * d).sum(1)


def inverse_factor(hessian: Tensor, damping: float = 0.01) -> Tensor:
    """Return U, upper triangular, with ``U^T U = (H + damping mean(diag H) I)^-1``.

    A channel that was always 0 (a *dead* column) has no influence; its diagonal becomes that mean.

    Parameters
    ----------
    hessian : Tensor
        Real [in, in], symmetric, positive semidefinite: rank-deficient where there were fewer
        tokens than channels, or channels depend on one another.
    damping : float
        0 or more; a share of the mean of the diagonal.

    Returns
    -------
    Tensor
        float64 [in, in].

    Raises
    ------
    ValueError
        If the damped matrix is not positive definite.
    """
    if not damping >= 0:
        raise ValueError(f"damping is {damping}; expected 0 or more.")
    h = real_tensor(hessian, "hessian").double().clone()
    diagonal = h.diagonal()
    dead = diagonal == 0
    mean = float(diagonal.mean()) or 1.0
    diagonal += damping * mean
    diagonal[dead] = mean
    factor, failed = torch.linalg.cholesky_ex(h)
    if failed:
        raise ValueError(
            f"hessian is not positive definite with damping={damping}; expected x^T x of more "
            "tokens, or more damping (0.01 is usual)."
        )
    return torch.linalg.cholesky(torch.cholesky_inverse(factor), upper=True)


def gptq(
    w: Tensor,
    hessian: Tensor,
    qparams: QParams,
    damping: float = 0.01,
    block_size: int = 128,
    act_order: bool = False,
    fall_back: bool = True,
) -> Tensor:
    """Round `w` to the grid of `qparams`, as `quantize` does, but with the output in mind.

    Parameters
    ----------
    w : Tensor
        Real [out, in].
    hessian : Tensor
        Real [in, in], as `hessian` gives it.
    qparams : QParams
        The grid: for the tensor, each row (axis 0), or groups in a row (axis 1). It stays.
    damping : float
        As in `inverse_factor`.
    block_size : int
        Columns further right are updated once a block. The result does not depend on it.
    act_order : bool
        Begin with the columns of the largest inputs, which then have most others to help them.
    fall_back : bool
        Whether a row that came out worse than with `quantize` is rounded by it instead: (2) is
        greedy, and may push weights off the end of the grid.

    Returns
    -------
    Tensor
        Codes of dtype ``qparams.scheme.dtype``, [out, in]; ties to even, saturated. With
        `fall_back` no row has a larger `layer_error` than with `quantize`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described, or `hessian` not positive definite with that damping.
    """
    w = matrix(w, "w")
    instance_of(qparams, QParams, "qparams", "group_grid(w, Scheme(4), 64)")
    h = real_tensor(hessian, "hessian")
    block_size, n = whole_number(block_size, "block_size"), w.shape[1]
    if h.shape != (n, n):
        raise ValueError(f"hessian has shape {tuple(h.shape)}; expected [in, in], ({n}, {n}).")
    if block_size < 1:
        raise ValueError(f"block_size is {block_size}; expected 1 or more.")
    order = torch.arange(n)
    if true_or_false(act_order, "act_order"):
        order = h.diagonal().argsort(descending=True, stable=True)
    scale, zero_point = (p.expand(w.shape)[:, order].double() for p in qparams.expand_to(w.shape))
    u = inverse_factor(h[order][:, order], damping)
    codes = _columns(w[:, order].double(), u, scale, zero_point, qparams, block_size)
    codes = codes[:, order.argsort()].to(qparams.scheme.dtype)
    if not true_or_false(fall_back, "fall_back"):
        return codes
    nearest = quantize(w, qparams)
    worse = _error(w, codes, qparams, h) > _error(w, nearest, qparams, h)
    return torch.where(worse[:, None], nearest, codes)


def _columns(
    w: Tensor, u: Tensor, scale: Tensor, zero_point: Tensor, qparams: QParams, block_size: int
) -> Tensor:
    """Round column after column; `w` is changed on the way."""
    codes, n = torch.empty_like(w), w.shape[1]
    for start in range(0, n, block_size):
        end = min(start + block_size, n)
        errors = torch.empty(len(w), end - start, dtype=w.dtype)
        for i in range(start, end):
            real = torch.round(w[:, i] / scale[:, i]) + zero_point[:, i]
            codes[:, i] = real.clamp(qparams.scheme.qmin, qparams.scheme.qmax)
            rounded = (codes[:, i] - zero_point[:, i]) * scale[:, i]
            errors[:, i - start] = (w[:, i] - rounded) / u[i, i]
            w[:, i:end] -= errors[:, i - start, None] * u[i, i:end]
        w[:, end:] -= errors @ u[start:end, end:]
    return codes


def _error(w: Tensor, codes: Tensor, qparams: QParams, h: Tensor) -> Tensor:
    return layer_error(w, dequantize(codes, qparams), h)
