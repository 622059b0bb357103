"""AWQ: weights that meet large inputs are made larger before rounding, and so lose less.

A column is multiplied by s before rounding, and the channel that it meets divided::

    y = (x / s) Q(w s)^T,     s_c = mean_t |x[t, c]|^alpha                                       (1)

The rounding error of a weight is at most half a step, and a quarter on average, whatever the
weight's size, and is divided by s: smaller where s is large, larger where it is small. Only one
number is searched for, alpha from 0 to 1, by the error of the layer's output. Source: Lin et al.,
"AWQ", MLSys 2024, arXiv:2306.00978, section 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from labkit.language.gptq import layer_error
from labkit.language.groups import group_grid
from labkit.language.outliers import matrix
from labkit.linear import Scheme, fake_quantize
from labkit.validation import real_tensor

__all__ = ["Scaled", "awq", "awq_scales"]

ALPHAS = tuple(step / 20 for step in range(21))


@dataclass(frozen=True, eq=False)
class Scaled:
    """What a search found.

    Attributes
    ----------
    alpha : float
        The best exponent.
    scales : Tensor
        s, float32 [in], positive.
    errors : dict
        The squared error of the output for each exponent that was tried; 0 is plain rounding.
    """

    alpha: float
    scales: Tensor
    errors: dict[float, float]


def awq_scales(magnitude: Tensor, alpha: float) -> Tensor:
    """Return s of (1), over the geometric mean of its ends: float32 [in].

    Parameters
    ----------
    magnitude : Tensor
        Real [in]: ``mean_t |x[t, c]|``. Channels below a ten-thousandth of the mean (dead ones,
        too) count as that.
    alpha : float
        0: all scales are 1.

    Raises
    ------
    TypeError, ValueError
        If `magnitude` is not a finite real vector of numbers that are 0 or more.
    """
    magnitude = real_tensor(magnitude, "magnitude")
    if magnitude.ndim != 1 or bool((magnitude < 0).any()):
        raise ValueError("magnitude is not as expected: [in] numbers, 0 or more.")
    least = 1e-4 * float(magnitude.mean()) or 1.0
    s = magnitude.clamp(min=least) ** alpha
    return (s / (s.max() * s.min()).sqrt()).float()


def awq(
    w: Tensor,
    magnitude: Tensor,
    hessian: Tensor,
    scheme: Scheme,
    group_size: int,
    alphas: Sequence[float] = ALPHAS,
) -> Scaled:
    """Search the exponent of (1).

    Parameters
    ----------
    w : Tensor
        Real [out, in]. Layers that share an input share its scales: put them one below the other.
    magnitude : Tensor
        Real [in], ``x.abs().mean(0)``.
    hessian : Tensor
        Real [in, in], ``labkit.language.hessian(x)``.
    scheme, group_size
        The grid of ``w s``, as in `group_grid`.
    alphas : sequence of float
        The exponents to try.

    Returns
    -------
    Scaled
        With 0 among `alphas`, its error is never above that of plain rounding.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """
    w = matrix(w, "w")
    if not alphas:
        raise ValueError("alphas is empty; expected exponents from 0 to 1.")
    errors = {}
    for alpha in alphas:
        s = awq_scales(magnitude, alpha)
        rounded = fake_quantize(w * s, group_grid(w * s, scheme, group_size)) / s
        errors[alpha] = float(layer_error(w, rounded, hessian).sum())
    best = min(errors, key=errors.__getitem__)
    return Scaled(best, awq_scales(magnitude, best), errors)
