"""Four scales that are all published as "symmetric", and are not the same.

A symmetric grid has its zero point at 0. That leaves open which code the largest value gets, and
papers and libraries differ in it:

| name | scale | codes | where |
|---|---|---|---|
| narrow | max|x| / (2^(b-1) - 1) | -(2^(b-1) - 1) to 2^(b-1) - 1 | Q8_0, SmoothQuant, ONNX |
| half | max|x| / ((2^b - 1) / 2) | -2^(b-1) to 2^(b-1) - 1 | torchao, gpt-fast |
| signed extreme | extreme / -2^(b-1) | -2^(b-1) to 2^(b-1) - 1 | Q4_0, Q5_0 |
| range | (max - min) / 2^b | -2^(b-1) to 2^(b-1) - 1 | TinyML courses |
"""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.validation import real_tensor, whole_number

__all__ = ["SYMMETRIC_SCALES", "symmetric_round_trip", "symmetric_scale"]


def _largest(x: Tensor) -> Tensor:
    return x.abs().amax(-1, keepdim=True)


def _extreme(x: Tensor) -> Tensor:
    return x.gather(-1, x.abs().argmax(-1, keepdim=True))


SYMMETRIC_SCALES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "narrow": lambda x, bits: _largest(x) / (2 ** (bits - 1) - 1),
    "half": lambda x, bits: _largest(x) / ((2**bits - 1) / 2),
    "signed extreme": lambda x, bits: _extreme(x) / -(2 ** (bits - 1)),
    "range": lambda x, bits: (x.amax(-1, keepdim=True) - x.amin(-1, keepdim=True)) / 2**bits,
}


def symmetric_scale(x: Tensor, name: str, bits: int = 8) -> Tensor:
    """Return the scale of each row by one of the four rules.

    Parameters
    ----------
    x : Tensor
        Real values [..., n].
    name : str
        A key of `SYMMETRIC_SCALES`.
    bits : int
        2 or more.

    Returns
    -------
    Tensor
        float32 [..., 1]; 1 for rows in which all values are 0, or, for "range", are the same.
        Negative where a signed extreme is positive.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a finite, non-empty real tensor, there is no such rule, or `bits` is below 2.
    """
    x, bits = real_tensor(x, "x"), whole_number(bits, "bits")
    if name not in SYMMETRIC_SCALES:
        raise ValueError(f"name is {name!r}; expected one of {', '.join(SYMMETRIC_SCALES)}.")
    if bits < 2:
        raise ValueError(f"bits is {bits}; expected 2 or more.")
    if x.ndim == 0:
        raise ValueError("x is a single number; expected at least one dimension.")
    scale = SYMMETRIC_SCALES[name](x, bits)
    return torch.where(scale == 0, 1.0, scale).float()


def symmetric_round_trip(x: Tensor, name: str, bits: int = 8) -> Tensor:
    """Return ``scale * clamp(round(x / scale), qmin, qmax)``; arguments as `symmetric_scale`.

    Returns
    -------
    Tensor
        float32 in the shape of `x`; ties to even.
    """
    scale = symmetric_scale(x, name, bits)
    qmax = 2 ** (bits - 1) - 1
    qmin = -qmax if name == "narrow" else -qmax - 1
    return torch.round(x.detach() / scale).clamp(qmin, qmax).float() * scale
