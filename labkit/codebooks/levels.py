"""Any sorted table of levels: the nearest one, and the levels of a normal distribution."""

import torch
from torch import Tensor

from labkit.validation import first_wrong, real_tensor, whole_number

__all__ = ["lookup", "nearest", "normal_float"]


def nearest(x: Tensor, levels: Tensor) -> Tensor:
    """Return the code of the nearest level: how many midpoints lie below ``x``.

    ::

        code = #{ i : (levels[i] + levels[i + 1]) / 2 < x }

    Parameters
    ----------
    x : Tensor
        Real values, any shape; computed in float32, or in float64 if `x` is float64.
    levels : Tensor
        Real numbers [k], increasing.

    Returns
    -------
    Tensor
        int64 in the shape of `x`, from 0 to k - 1. A value on a midpoint gets the lower code;
        values beyond the ends saturate.

    Raises
    ------
    TypeError, ValueError
        If `x` or `levels` is not a finite, non-empty real tensor, or the levels do not increase.
    """
    x, levels = real_tensor(x, "x"), increasing(levels)
    midpoints = levels[:-1] / 2 + levels[1:] / 2
    return torch.bucketize(x, midpoints.to(x.dtype))


def lookup(codes: Tensor, levels: Tensor) -> Tensor:
    """Return ``levels[code]`` for each code: what `nearest` came from, to the nearest level."""
    return levels[codes.long()]


def increasing(levels: Tensor) -> Tensor:
    """Return `levels`, refused unless they are one row of increasing numbers."""
    levels = real_tensor(levels, "levels")
    if levels.ndim != 1:
        raise ValueError(f"levels has shape {tuple(levels.shape)}; expected one dimension.")
    wrong = levels[1:] <= levels[:-1]
    if bool(wrong.any()):
        raise ValueError(
            f"{first_wrong(levels[1:], wrong, 'levels[1:]')}, not above the level before it; "
            "expected increasing numbers. Use levels.unique(), which sorts and drops repeats."
        )
    return levels


def normal_float(bits: int) -> Tensor:
    """Return the levels of NormalFloat: quantiles of the normal distribution, scaled to [-1, 1].

    ::

        positive = Q(linspace(offset, 1/2, 2^(bits-1) + 1)),    its last one, 0, left out
        negative = -Q(linspace(offset, 1/2, 2^(bits-1))),       alike
        levels = sorted(positive, 0, negative) / largest

    with ``Q`` the quantile function of the normal distribution (`torch.special.ndtri`), and
    ``offset = 1 - (1 / 2^bits + 1 / (2^bits - 1)) / 4``, which is 0.9677083 for 4 bits: it keeps
    the outermost quantiles finite.

    Parameters
    ----------
    bits : int
        2 to 8.

    Returns
    -------
    Tensor
        float32 [2^bits], increasing, from -1 to 1, with 0 among them: 2^(bits-1) levels above it
        and one less below. For 4 bits these are the levels of NF4 as bitsandbytes has them.

    Raises
    ------
    TypeError, ValueError
        If `bits` is no whole number from 2 to 8.

    Notes
    -----
    Dettmers et al., "QLoRA", 2023, arXiv:2305.14314, section 3 and appendix E.

    What these levels are optimal for: equally many *normal* weights fall to each of the eight
    positive levels, and to each of the seven negative ones. They do not minimize the squared error
    of such weights, which asks for fewer levels in the middle and more outside (`optimal_levels`),
    nor do they know that each block is divided by its largest value, so that one value is always
    exactly 1 or -1 and the rest is distributed otherwise (Yoshida 2023, arXiv:2306.06965).
    """
    bits = whole_number(bits, "bits")
    if not 2 <= bits <= 8:
        raise ValueError(f"bits is {bits}; expected 2 to 8.")
    count = 2**bits
    # Seven digits, and shares in float32: the published table was made so, and shows it.
    offset = round(1 - (1 / count + 1 / (count - 1)) / 4, 7)

    def quantiles(number: int) -> Tensor:
        return torch.special.ndtri(torch.linspace(offset, 0.5, number).double())[:-1].float()

    levels = torch.cat([-quantiles(count // 2), torch.zeros(1), quantiles(count // 2 + 1).flip(0)])
    return levels / levels.max()


def number_of_levels(k: int) -> int:
    """Return `k`, refused unless it is a whole number above 0."""
    k = whole_number(k, "k")
    if k < 1:
        raise ValueError(f"k is {k}; expected 1 or more levels.")
    return k
