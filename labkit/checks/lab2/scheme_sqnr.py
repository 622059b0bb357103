"""Exercise 2.9: symmetric against affine codes."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Rule


def scheme_sqnr(x: Tensor, bits: int) -> tuple[float, float]:
    """Return the SQNR in dB of symmetric signed and of affine unsigned codes, nothing clipped."""
    x = x.double()
    return _symmetric(x, bits), _affine(x, min(float(x.min()), 0.0), bits)


def _symmetric(x: Tensor, bits: int) -> float:
    scale = float(x.abs().max()) / (2 ** (bits - 1) - 1)
    return _sqnr(x, torch.round(x / scale) * scale)


def _affine(x: Tensor, rmin: float, bits: int) -> float:
    qmax = 2**bits - 1
    scale = (max(float(x.max()), 0.0) - rmin) / qmax
    zero_point = min(max(round(-rmin / scale), 0), qmax)
    q = (torch.round(x / scale) + zero_point).clamp(0, qmax)
    return _sqnr(x, (q - zero_point) * scale)


def _sqnr(x: Tensor, x_back: Tensor) -> float:
    return 10 * math.log10(float((x**2).mean() / ((x - x_back) ** 2).mean()))


def _sqnr_cases(rng: torch.Generator) -> list[Case]:
    normal = randn(rng, 400)
    # Of 3 bits, 0.3 below 0 is 1.6 steps: rounding the zero point moves every code.
    ends = torch.cat([torch.tensor([-0.3, 1.0]), 1.3 * torch.rand(38, generator=rng) - 0.3])
    return [
        Case("after a ReLU", (normal.relu(), 8)),
        Case("after a ReLU, 4 bits", (normal.relu(), 4)),
        Case("both signs", (normal, 8)),
        Case("all far above 0", (3 + torch.rand(300, generator=rng), 6)),
        Case("all negative", (-normal.abs(), 8)),
        Case("a zero point between two codes", (ends, 3)),
        Case("mostly positive, as after a swish", (normal * normal.sigmoid(), 5)),
        Case("a batch of images", (randn(rng, 2, 3, 8, 8).relu(), 6)),
    ]


def _around_zero(x: Tensor) -> tuple[float, float]:
    return min(float(x.min()), 0.0), max(float(x.max()), 0.0)


def _of_the_data(x: Tensor) -> tuple[float, float]:
    return float(x.min()), float(x.max())


def _tens(ratio: float) -> float:
    return 10 * math.log10(ratio)


def _compared(
    x: Tensor,
    bits: int,
    *,
    step: Callable[[Tensor, int], float] = lambda x, half: float(x.abs().max()) / (half - 1),
    ends: Callable[[Tensor], tuple[float, float]] = _around_zero,
    steps: Callable[[int], int] = lambda bits: 2**bits - 1,
    zero_point: Callable[[float], float] = round,
    among: Callable[[float, int], float] = lambda zero, qmax: min(max(zero, 0), qmax),
    turn: Callable[[Tensor], Tensor] = torch.round,
    back: Callable[[Tensor, float], Tensor] = lambda q, zero: q - zero,
    power: Callable[[Tensor], Tensor] = lambda x: (x**2).mean(),
    decibels: Callable[[float], float] = _tens,
    order: Callable[[float, float], tuple[float, float]] = lambda one, other: (one, other),
) -> tuple[float, float]:
    """Return the SQNR of both schemes, of which any part may be another one."""
    x = x.double()
    length = step(x, 2 ** (bits - 1))
    rmin, rmax = ends(x)
    scale = (rmax - rmin) / steps(bits)
    zero = among(zero_point(-rmin / scale), 2**bits - 1)
    q = (turn(x / scale) + zero).clamp(0, 2**bits - 1)
    errors = x - turn(x / length) * length, x - back(q, zero) * scale
    one, other = (decibels(float(power(x) / power(error))) for error in errors)
    return order(one, other)


def _zero_point_not_rounded(x: Tensor, bits: int) -> tuple[float, float]:
    x = x.double()
    rmin, rmax = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    scale = (rmax - rmin) / (2**bits - 1)
    return _symmetric(x, bits), _sqnr(x, torch.round((x - rmin) / scale) * scale + rmin)


def _not_widened(x: Tensor, bits: int) -> tuple[float, float]:
    scale = float(x.max() - x.min()) / (2**bits - 1)
    low = float(x.min())
    back = torch.round((x.double() - low) / scale) * scale + low
    return _symmetric(x.double(), bits), _sqnr(x.double(), back)


def _signed_codes_for_both(x: Tensor, bits: int) -> tuple[float, float]:
    x = x.double()
    return _symmetric(x, bits), _affine(x, min(float(x.min()), 0.0), bits - 1)


SCHEME_SQNR = Exercise(
    id="2.9",
    title="Symmetric against affine",
    points=2,
    minutes=(7, 11),
    reference=scheme_sqnr,
    cases=_sqnr_cases,
    rules=(Rule(absolute=0.02), Rule(absolute=0.02)),
    names=("symmetric", "affine"),
    hints=(
        "Write the step of each scheme first: one covers [-max|x|, max|x|], the other [min x, "
        "max x] with 0 inside, with about as many codes.",
        "symmetric: scale = max|x| / (2**(bits - 1) - 1), zero point 0. affine: scale = (rmax - "
        "rmin) / (2**bits - 1), zero point round(-rmin / scale), codes 0 to 2**bits - 1.",
        "back = (clamp(round(x / scale) + zero_point, qmin, qmax) - zero_point) * scale, for each "
        "scheme; SQNR = 10 * log10(mean(x**2) / mean((x - back)**2)).",
    ),
    misconceptions=(
        Misconception(
            "takes 20 log10 of a ratio of powers",
            partial(_compared, decibels=lambda ratio: 2 * _tens(ratio)),
            "20 belongs to amplitudes. Squares are powers already: 10 log10.",
        ),
        Misconception(
            "takes the natural logarithm",
            partial(_compared, decibels=lambda ratio: 10 * math.log(ratio)),
            "Decibels belong to the logarithm to base 10: torch.log10 or math.log10.",
        ),
        Misconception(
            "divides the error by the signal",
            partial(_compared, decibels=lambda ratio: -_tens(ratio)),
            "A good quantizer has many dB: the signal stands above the fraction bar.",
        ),
        Misconception(
            "returns the affine scheme first",
            partial(_compared, order=lambda one, other: (other, one)),
            "The symmetric one comes first: return symmetric, affine.",
        ),
        Misconception(
            "does not round the zero point",
            _zero_point_not_rounded,
            "The zero point is a code: round(-rmin / scale). Otherwise 0.0 has none.",
        ),
        Misconception(
            "does not widen the affine range to contain 0",
            _not_widened,
            "The numbers look better, but 0.0 has no code any more. rmin = min(x.min(), 0) and "
            "rmax = max(x.max(), 0).",
        ),
        Misconception(
            "does not widen the affine range to contain 0",
            partial(_compared, ends=_of_the_data, among=lambda zero, qmax: zero),
            "The numbers look better, but 0.0 has no code any more. rmin = min(x.min(), 0) and "
            "rmax = max(x.max(), 0).",
        ),
        Misconception(
            "does not widen the affine range, so that the zero point ends at an end of the codes",
            partial(_compared, ends=_of_the_data),
            "Values far from 0 are clipped then. rmin = min(x.min(), 0) and rmax = max(x.max(), "
            "0): the zero point is one of the codes by itself.",
        ),
        Misconception(
            "gives the symmetric scheme codes up to 2^bits - 1",
            partial(_compared, step=lambda x, half: float(x.abs().max()) / (2 * half - 1)),
            "Its codes are signed: half of them lie below 0, so the largest is 2^(bits-1) - 1.",
        ),
        Misconception(
            "divides by 2^(bits-1) in the symmetric scheme",
            partial(_compared, step=lambda x, half: float(x.abs().max()) / half),
            "The largest code is 2^(bits-1) - 1, and stands for max|x|.",
        ),
        Misconception(
            "takes the largest value instead of the largest magnitude",
            partial(_compared, step=lambda x, half: float(x.max()) / (half - 1)),
            "The symmetric scheme covers both sides: x.abs().max().",
        ),
        Misconception(
            "gives the affine scheme only half of its codes",
            _signed_codes_for_both,
            "Unsigned codes of b bits go from 0 to 2^b - 1.",
        ),
        Misconception(
            "divides by 2^bits in the affine scheme",
            partial(_compared, steps=lambda bits: 2**bits),
            "2^bits codes have 2^bits - 1 steps between them.",
        ),
        Misconception(
            "starts the affine range at 0 always",
            partial(_compared, ends=lambda x: (0.0, max(float(x.max()), 1e-9))),
            "Values below 0 must be covered, too: rmin = min(x.min(), 0).",
        ),
        Misconception(
            "gives the zero point the wrong sign",
            partial(_compared, zero_point=lambda real: -round(real), among=lambda zero, qmax: zero),
            "rmin is not above 0, so the zero point round(-rmin / scale) is not below it.",
        ),
        Misconception(
            "does not take the zero point away on the way back",
            partial(_compared, back=lambda q, zero: q),
            "What comes back is (q - zero_point) * scale.",
        ),
        Misconception(
            "clamps without the zero point",
            partial(_compared, zero_point=lambda real: 0),
            "All negative values are clipped that way. Add round(-rmin / scale) before you clamp, "
            "and take it away afterwards.",
        ),
        Misconception(
            "rounds down",
            partial(_compared, turn=torch.floor),
            "A code is the nearest integer: torch.round.",
        ),
        Misconception(
            "cuts off decimals",
            partial(_compared, turn=torch.trunc),
            "A code is the nearest integer: torch.round.",
        ),
        Misconception(
            "rounds the zero point down",
            partial(_compared, zero_point=math.floor),
            "The zero point is the nearest code: round(-rmin / scale).",
        ),
        Misconception(
            "forgets the factor 10",
            partial(_compared, decibels=math.log10),
            "A bel has ten decibels: 10 * log10.",
        ),
        Misconception(
            "takes the variance for the power",
            partial(_compared, power=torch.var),
            "The power is the mean of the squares: the mean of the values belongs to the signal, "
            "and a constant error to the noise.",
        ),
    ),
)
