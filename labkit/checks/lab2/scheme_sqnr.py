"""Exercise 2.9: symmetric against affine codes."""

import math

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
    return [
        Case("after a ReLU", (normal.relu(), 8)),
        Case("after a ReLU, 4 bits", (normal.relu(), 4)),
        Case("both signs", (normal, 8)),
        Case("all far above 0", (3 + torch.rand(300, generator=rng), 6)),
        Case("all negative", (-normal.abs(), 8)),
        Case("mostly positive, as after a swish", (normal * normal.sigmoid(), 5)),
        Case("a batch of images", (randn(rng, 2, 3, 8, 8).relu(), 6)),
    ]


def _amplitude(x: Tensor, bits: int) -> tuple[float, float]:
    symmetric, affine = scheme_sqnr(x, bits)
    return 2 * symmetric, 2 * affine


def _not_widened(x: Tensor, bits: int) -> tuple[float, float]:
    scale = float(x.max() - x.min()) / (2**bits - 1)
    low = float(x.min())
    back = torch.round((x.double() - low) / scale) * scale + low
    return _symmetric(x.double(), bits), _sqnr(x.double(), back)


def _unsigned_symmetric(x: Tensor, bits: int) -> tuple[float, float]:
    x = x.double()
    return _sqnr(x, _steps(x, 2**bits - 1)), scheme_sqnr(x, bits)[1]


def _steps(x: Tensor, steps: int) -> Tensor:
    scale = float(x.abs().max()) / steps
    return torch.round(x / scale) * scale


def _signed_codes_for_both(x: Tensor, bits: int) -> tuple[float, float]:
    x = x.double()
    return _symmetric(x, bits), _affine(x, min(float(x.min()), 0.0), bits - 1)


def _no_zero_point(x: Tensor, bits: int) -> tuple[float, float]:
    x, qmax = x.double(), 2**bits - 1
    scale = (max(float(x.max()), 0.0) - min(float(x.min()), 0.0)) / qmax
    return _symmetric(x, bits), _sqnr(x, torch.round(x / scale).clamp(0, qmax) * scale)


SCHEME_SQNR = Exercise(
    id="2.9",
    title="Symmetric against affine",
    points=2,
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
            _amplitude,
            "20 belongs to amplitudes. Squares are powers already: 10 log10.",
        ),
        Misconception(
            "does not widen the affine range to contain 0",
            _not_widened,
            "The numbers look better, but 0.0 has no code any more. rmin = min(x.min(), 0) and "
            "rmax = max(x.max(), 0).",
        ),
        Misconception(
            "gives the symmetric scheme codes up to 2^bits - 1",
            _unsigned_symmetric,
            "Its codes are signed: half of them lie below 0, so the largest is 2^(bits-1) - 1.",
        ),
        Misconception(
            "gives the affine scheme only half of its codes",
            _signed_codes_for_both,
            "Unsigned codes of b bits go from 0 to 2^b - 1.",
        ),
        Misconception(
            "leaves the zero point out",
            _no_zero_point,
            "Without it all negative values are clipped. The zero point is round(-rmin / scale).",
        ),
    ),
)
