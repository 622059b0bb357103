"""Hadamard rotation: outliers are spread over all channels, and the product stays.

With an orthogonal matrix R, ``x w^T = (x R) (w R)^T``. The entries of R = H / sqrt(n) are all
+-1 / sqrt(n), so each channel of ``x R`` is a sum of all channels of x: an outlier of size a
becomes a / sqrt(n) everywhere. Along the residual stream R is folded into the weights on both
sides; in front of a down projection, behind a product, it is computed on the way. Sources: Ashkboos
et al., "QuaRot", NeurIPS 2024, arXiv:2404.00456; Paley, "On orthogonal matrices", 1933.
"""

import functools
import math

import torch
from torch import Tensor

from labkit.validation import real_tensor, whole_number

__all__ = ["hadamard", "rotate", "rotate_back"]


def hadamard(n: int) -> Tensor:
    """Return an orthogonal matrix whose entries are all +-1 / sqrt(n): float32 [n, n].

    n = m 2^k: Sylvester's doubling ``[[H, H], [H, -H]]``, k times, of [1] or of a matrix of Paley,
    of order m = p + 1, where the prime p leaves 3 when divided by 4 (12, 20, 24, 44, 72, ...).

    Raises
    ------
    TypeError, ValueError
        If `n` is no whole number, or not of this kind.
    """
    if whole_number(n, "n") < 1:
        raise ValueError(f"n is {n}; expected 1 or more.")
    return rotate(torch.eye(n))


def rotate(x: Tensor) -> Tensor:
    """Return ``x R`` with R = `hadamard` of the last axis.

    Parameters
    ----------
    x : Tensor
        Real [..., n]: activations, or weights [out, n] that read them. Weights [n, in] that *write*
        a rotated stream: ``rotate(w.T).T``.

    Returns
    -------
    Tensor
        In the shape of `x`, float32 or float64. n (m + 2^k) products a row instead of n^2.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty real tensor with an axis, or there is no such R.
    """
    return _rotate(x, back=False)


def rotate_back(x: Tensor) -> Tensor:
    """Return ``x R^T``: what `rotate` made of it comes back. Arguments as there."""
    return _rotate(x, back=True)


def _rotate(x: Tensor, back: bool) -> Tensor:
    x = real_tensor(x, "x")
    if x.ndim == 0:
        raise ValueError("x is a single number; expected [..., n].")
    n = x.shape[-1]
    paley, sylvester = (factor.to(x.dtype) for factor in _factors(n))
    x = x.unflatten(-1, (len(paley), len(sylvester)))
    # R is the Kronecker product of the two: one acts on each of the two axes.
    return ((paley if back else paley.T) @ (x @ sylvester)).flatten(-2) / math.sqrt(n)


@functools.cache
def _factors(n: int) -> tuple[Tensor, Tensor]:
    """Return matrices of Paley and of Sylvester, of +-1, whose orders have the product n.

    The first is as small as can be: [1] where n is a power of 2.
    """
    m = n // (n & -n)
    while not (m == 1 or _has_paley(m)):
        if m == n:
            raise ValueError(
                f"n is {n}; expected a power of 2, times 1 or p + 1 for a prime p that leaves 3 "
                "when divided by 4. Rotate blocks: x.unflatten(-1, (-1, 64))."
            )
        m *= 2
    sylvester = torch.ones(1, 1)
    while m * len(sylvester) < n:
        sylvester = torch.kron(torch.tensor([[1.0, 1.0], [1.0, -1.0]]), sylvester)
    return _paley(m), sylvester


def _has_paley(m: int) -> bool:
    p = m - 1
    return p % 4 == 3 and all(p % d for d in range(2, math.isqrt(p) + 1))


def _paley(m: int) -> Tensor:
    """Return I + S, where S has 1 and -1 for squares and others modulo p: H H^T = m I."""
    if m == 1:
        return torch.ones(1, 1)
    p = m - 1
    places = torch.arange(p)
    residue = torch.full((p,), -1.0)
    residue[places**2 % p] = 1.0
    residue[0] = 0.0
    s = torch.zeros(m, m)
    s[0, 1:], s[1:, 0] = 1.0, -1.0
    s[1:, 1:] = residue[(places[:, None] - places) % p]
    return torch.eye(m) + s
