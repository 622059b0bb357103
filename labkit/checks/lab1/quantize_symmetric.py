"""Exercise 1.6: symmetric quantization."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.grids import of_steps, of_turning
from labkit.checks.inputs import INT8, SCALE, neat
from labkit.checks.lab1.quantize import quantize
from labkit.checks.rules import Codes


def quantize_symmetric(x: Tensor, bits: int) -> tuple[Tensor, float]:
    """Return codes in [-(2^(bits-1) - 1), 2^(bits-1) - 1] and the scale, with zero point 0."""
    qmax = 2 ** (bits - 1) - 1
    largest = float(x.abs().max())
    scale = largest / qmax if largest > 0 else 1.0
    return quantize(x, scale, 0, -qmax, qmax), scale


def _real_symmetric(x: Tensor, bits: int) -> tuple[Tensor, int, int]:
    qmax = 2 ** (bits - 1) - 1
    return x.double() / quantize_symmetric(x, bits)[1], -qmax, qmax


def _symmetric_cases(rng: torch.Generator) -> list[Case]:
    small = neat(rng, 4).clamp(-0.9, 0.9)
    positive = 0.2 + neat(rng, 3).abs()
    return [
        Case("one value", (torch.tensor([-0.021]), 8)),
        Case("the largest value is positive", (torch.cat([small, positive[:1] + 1]), 8)),
        Case("the largest magnitude is negative", (torch.cat([small, -positive[:1] - 1]), 8)),
        Case("all values negative", (-positive, 4)),
        Case("all values positive", (positive, 4)),
        Case("nothing but zeros", (torch.zeros(2, 3), 8)),
        Case("two bits", (neat(rng, 3, 5), 2)),
        Case("an outlier", (torch.cat([neat(rng, 9), torch.tensor([-33.0])]), 5)),
        Case("12 bits", (neat(rng, 7, 3), 12)),
    ]


def _qmax(bits: int) -> int:
    return 2 ** (bits - 1) - 1


def _one_for_zeros(largest: float, steps: float) -> float:
    return largest / steps or 1.0


def _coded(
    x: Tensor,
    bits: int,
    *,
    reach: Callable[[Tensor], float] = lambda x: float(x.abs().max()),
    steps: Callable[[int], float] = _qmax,
    scales: Callable[[float, float], float] = _one_for_zeros,
    turn: Callable[[Tensor], Tensor] = torch.round,
    limit: Callable[[Tensor, int], Tensor] = lambda q, qmax: q.clamp(-qmax, qmax),
    kept: torch.dtype = torch.int32,
    given: Callable[[float, int], Any] = lambda scale, bits: scale,
) -> tuple[Tensor, Any]:
    """Return codes and scale, of which any part may be another one."""
    scale = scales(reach(x), steps(bits))
    return limit(turn(x / scale), _qmax(bits)).to(kept), given(scale, bits)


def _bounded(largest: float, steps: float, least: float) -> float:
    return max(largest / steps, least)


def _as_they_are(q: Tensor, qmax: int) -> Tensor:
    return q


def _divided(x: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    scale = x.abs().max() / _qmax(bits)
    return torch.round(x / scale).to(torch.int32), scale


def _scale_per_row(x: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    scale = x.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 1)
    return torch.round(x / scale).to(torch.int32), scale


QUANTIZE_SYMMETRIC = Exercise(
    id="1.6",
    title="Symmetric quantization",
    points=2,
    minutes=(8, 12),
    reference=quantize_symmetric,
    cases=_symmetric_cases,
    rules=(Codes(unrounded=_real_symmetric), SCALE),
    names=("q", "scale"),
    hints=(
        "With zero point 0 both halves of the real axis get the same number of codes. Which single "
        "value of x decides how long a step must be?",
        "The largest magnitude, x.abs().max(), must land on the largest code, 2**(bits - 1) - 1.",
        "qmax = 2**(bits - 1) - 1; scale = x.abs().max() / qmax (1.0 if x is all zeros); then your "
        "quantize with zero point 0 and the codes from -qmax to qmax.",
    ),
    misconceptions=(
        Misconception(
            "takes the largest value instead of the largest magnitude",
            partial(_coded, reach=lambda x: float(x.max())),
            "If the farthest value is negative, it is clipped. Use x.abs().max().",
        ),
        Misconception(
            "takes the largest value instead of the largest magnitude",
            partial(_coded, reach=lambda x: float(x.max()), limit=_as_they_are),
            "If the farthest value is negative, its code does not fit. Use x.abs().max().",
        ),
        Misconception(
            "divides by 2^(bits-1)",
            partial(_coded, steps=lambda bits: 2 ** (bits - 1), limit=_as_they_are),
            "The largest code is 2^(bits-1) - 1, and the largest value must land on it.",
        ),
        Misconception(
            "divides by the number of steps of a signed range",
            partial(_coded, steps=lambda bits: (2**bits - 1) / 2, limit=_as_they_are),
            "Zero has a code of its own: on either side there are 2^(bits-1) - 1 steps.",
        ),
        Misconception(
            "divides zeros by a scale of 0",
            _divided,
            "A tensor of zeros has the largest magnitude 0, and 0 / 0 is NaN: its scale is 1.0.",
        ),
        Misconception(
            "spreads the distance from the smallest to the largest value over all codes",
            partial(
                _coded, reach=lambda x: float(x.max() - x.min()), steps=lambda bits: 2**bits - 1
            ),
            "That is the affine rule. Symmetric codes must reach the largest magnitude from 0.",
        ),
        Misconception(
            "returns int8, however many bits are asked for",
            lambda x, bits: (
                quantize_symmetric(x, bits)[0].to(torch.int8),
                quantize_symmetric(x, bits)[1],
            ),
            "Codes of more than 8 bits wrap around in int8. Use int32.",
        ),
        Misconception(
            "returns the codes without the range of `bits`",
            lambda x, bits: (
                quantize(x, quantize_symmetric(x, bits)[1], 0, *INT8),
                float(x.abs().max()) / 2 ** (bits - 1) or 1.0,
            ),
            "Both the scale and the clamp follow from the largest code, 2^(bits-1) - 1.",
        ),
        *of_turning(_coded),
        *of_steps(_coded),
        Misconception(
            "gives zeros the scale 0",
            partial(_coded, given=lambda scale, bits: 0.0 if scale == 1 else scale),
            "Whoever divides by it gets NaN: a tensor of zeros has the scale 1.0.",
        ),
        Misconception(
            "gives zeros the scale 1 / qmax",
            partial(_coded, scales=lambda largest, steps: (largest or 1.0) / steps),
            "The scale itself is 1.0 for zeros: put it in after the division.",
        ),
        Misconception(
            "takes the signed maximum's magnitude",
            partial(_coded, reach=lambda x: abs(float(x.max()))),
            "The magnitude comes before the maximum: x.abs().max().",
        ),
        Misconception(
            "returns 1 / scale instead of the scale",
            partial(_coded, given=lambda scale, bits: 1 / scale),
            "The scale is the length of a step, what a code is multiplied by: largest / qmax.",
        ),
        Misconception(
            "has unsigned codes",
            partial(_coded, limit=lambda q, qmax: q.clamp(0, qmax)),
            "Symmetric codes reach from -qmax to qmax.",
        ),
        Misconception(
            "takes the mean of the magnitudes",
            partial(_coded, reach=lambda x: float(x.abs().mean())),
            "The largest magnitude must land on the largest code, or values are clipped.",
        ),
        *(
            Misconception(
                "gives zeros a tiny scale",
                partial(_coded, scales=partial(_bounded, least=10.0**-n)),
                "A tensor of zeros has the scale 1.0: a bound from below gives it a tiny one.",
            )
            for n in range(4, 12)
        ),
        Misconception(
            "takes a scale for each row",
            _scale_per_row,
            "Here the whole tensor shares one scale, a number: the largest magnitude of all its "
            "values.",
        ),
        Misconception(
            "takes half the distance from the smallest to the largest value",
            partial(_coded, reach=lambda x: float(x.max() - x.min()) / 2),
            "With zero point 0 the grid reaches as far down as up: the largest magnitude decides, "
            "x.abs().max().",
        ),
        Misconception(
            "returns the largest magnitude for the scale",
            lambda x, bits: (quantize_symmetric(x, bits)[0], float(x.abs().max()) or 1.0),
            "The scale is the length of one step: the largest magnitude over qmax.",
        ),
    ),
)
