"""Exercise 1.7: clipping, rounding and SQNR."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import INT4, INT8, UINT8, randn, uniform
from labkit.checks.lab1.dequantize import dequantize
from labkit.checks.lab1.quantize import quantize
from labkit.checks.rules import Rule


def quantization_error(
    x: Tensor, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[float, float, float]:
    """Return the mean squared clipping error, the rounding error, and the SQNR in dB.

    Some value is off, or the SQNR would be infinite.
    """
    squared = (x - dequantize(quantize(x, scale, zero_point, qmin, qmax), scale, zero_point)) ** 2
    clipped = (x < (qmin - zero_point) * scale) | (x > (qmax - zero_point) * scale)
    clipping = float(squared[clipped].sum()) / x.numel()
    rounding = float(squared[~clipped].sum()) / x.numel()
    return clipping, rounding, 10 * math.log10(float((x**2).mean()) / (clipping + rounding))


def _error_cases(rng: torch.Generator) -> list[Case]:
    normal = randn(rng, 200)
    # Away from the codes, where the error would be 0 and the SQNR infinite.
    steps = torch.randint(-9, 9, (3,), generator=rng)
    inside = 0.1 * steps + torch.tensor([0.01, 0.02, 0.04])
    beyond = torch.tensor([uniform(rng, 0.71, 0.74), 0.33, uniform(rng, -0.84, -0.81)])
    return [
        Case("one value", (torch.tensor([uniform(rng, 1.5, 4)]), 0.25, 3, *INT4)),
        Case("nothing is clipped", (inside, 0.1, 0, *INT8)),
        Case("clipped on both sides", (torch.tensor([1.23, -2.0, 0.68, -0.77]), 0.1, 0, *INT4)),
        Case("just outside the range", (beyond, 0.1, 0, *INT4)),
        Case("a zero point that is not 0", (inside + 0.5, 0.1, -4, *INT4)),
        Case("all values equal", (torch.full((3, 3), uniform(rng, 0.32, 0.38)), 0.1, 2, *UINT8)),
        Case("200 normal values", (normal, 0.05, 0, -31, 31)),
        Case(
            "an outlier",
            (torch.cat([normal[:30], torch.tensor([40.0])]).reshape(1, 31), 0.1, 10, *INT8),
        ),
        Case("a matrix", (randn(rng, 7, 11) + 1, 0.07, -9, -16, 15)),
    ]


def _outside(x: Tensor, q: Tensor, low: float, high: float, ends: tuple[int, int]) -> Tensor:
    return (x < low) | (x > high)


def _of_all(errors: Tensor, part: Tensor) -> float:
    return float(errors[part].sum()) / errors.numel()


def _of_its_part(errors: Tensor, part: Tensor) -> float:
    return float(errors[part].mean()) if part.any() else 0.0


def _power(x: Tensor) -> float:
    return float((x**2).mean())


def _tens(ratio: float) -> float:
    return 10 * float(torch.tensor(ratio, dtype=torch.float64).log10())


def _measured(
    x: Tensor,
    scale: float,
    zero_point: int,
    qmin: int,
    qmax: int,
    *,
    limit: Callable[[Tensor, int, int], Tensor] = torch.clamp,
    reach: Callable[[int, int], int] = lambda code, zero_point: code - zero_point,
    outside: Callable[..., Tensor] = _outside,
    error: Callable[[Tensor], Tensor] = torch.square,
    mean: Callable[[Tensor, Tensor], float] = _of_all,
    signal: Callable[[Tensor], float] = _power,
    noise: Callable[[float, float], float] = lambda clipping, rounding: clipping + rounding,
    decibels: Callable[[float], float] = _tens,
    given: Callable[..., tuple] = lambda *three: three,
) -> tuple[float, float, float]:
    """Return both errors and the SQNR, of which any part may be another one."""
    q = torch.round(x / scale) + zero_point
    errors = error(x - (limit(q, qmin, qmax) - zero_point) * scale)
    low, high = (reach(end, zero_point) * scale for end in (qmin, qmax))
    part = outside(x, q, low, high, (qmin, qmax))
    clipping, rounding = mean(errors, part), mean(errors, ~part)
    lost = noise(clipping, rounding)
    return given(clipping, rounding, decibels(signal(x) / lost if lost else math.inf))


def _ends_alone(x: Tensor, q: Tensor, low: float, high: float, ends: tuple[int, int]) -> Tensor:
    return (q <= ends[0]) | (q >= ends[1])


def _mean_of_part(
    x: Tensor, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[float, float, float]:
    clipping, rounding, sqnr = quantization_error(x, scale, zero_point, qmin, qmax)
    clipped = (x < (qmin - zero_point) * scale) | (x > (qmax - zero_point) * scale)
    share = float(clipped.double().mean())
    return (
        clipping / share if share > 0 else 0.0,
        rounding / (1 - share) if share < 1 else 0.0,
        sqnr,
    )


QUANTIZATION_ERROR = Exercise(
    id="1.7",
    title="Clipping, rounding and SQNR",
    points=3,
    minutes=(12, 18),
    extra=True,
    reference=quantization_error,
    cases=_error_cases,
    rules=(
        Rule(relative=2e-3, absolute=1e-7),
        Rule(relative=2e-3, absolute=1e-7),
        Rule(absolute=0.02),
    ),
    names=("clipping", "rounding", "sqnr"),
    hints=(
        "One bool tensor tells the two errors apart: which values lie outside what the codes can "
        "reach? The rest is a sum over each part.",
        "The codes reach from (qmin - zero_point) * scale to (qmax - zero_point) * scale. Divide "
        "both sums by the number of all values, so that they add up to the total error.",
        "squared = (x - round_trip) ** 2; clipping = squared[clipped].sum() / x.numel(); rounding "
        "the same with ~clipped; sqnr = 10 * torch.log10((x**2).mean() / (clipping + rounding)).",
    ),
    misconceptions=(
        Misconception(
            "returns the two errors in the wrong order",
            partial(_measured, given=lambda c, r, s: (r, c, s)),
            "Clipping comes first.",
        ),
        Misconception(
            "multiplies the logarithm by 20",
            partial(_measured, decibels=lambda ratio: 2 * _tens(ratio)),
            "20 is for amplitudes. Squares are powers already: 10 * log10.",
        ),
        Misconception(
            "divides noise by signal",
            partial(_measured, decibels=lambda ratio: -_tens(ratio)),
            "Signal over noise: a better grid has a larger SQNR.",
        ),
        Misconception(
            "averages each error over its own values only",
            _mean_of_part,
            "Divide both sums by the number of all values, so that they add up to the total.",
        ),
        Misconception(
            "calls a value clipped only when its code was clamped",
            partial(_measured, outside=lambda x, q, low, high, ends: (q < ends[0]) | (q > ends[1])),
            "A value up to half a step beyond the last code is outside the range, too: compare x "
            "itself with (qmax - zero_point) * scale.",
        ),
        Misconception(
            "calls every value on the first or the last code clipped",
            partial(_measured, outside=_ends_alone),
            "A value inside the range may land on its last code, too, and is only rounded there: "
            "compare x itself with (qmax - zero_point) * scale.",
        ),
        Misconception(
            "clips at one end only",
            partial(_measured, outside=lambda x, q, low, high, ends: x > high),
            "Values below (qmin - zero_point) * scale are clipped as well.",
        ),
        Misconception(
            "takes absolute errors",
            partial(_measured, error=torch.abs),
            "Mean squared errors: square before you sum.",
        ),
        Misconception(
            "averages each error over its own values only",
            partial(_measured, mean=_of_its_part),
            "Divide both sums by the number of all values, so that they add up to the total.",
        ),
        Misconception(
            "does not clamp the codes",
            partial(_measured, limit=lambda q, qmin, qmax: q),
            "There are no codes beyond qmin and qmax: without a clamp what is clipped has a "
            "rounding error only. Take quantize of 1.3.",
        ),
        Misconception(
            "leaves the zero point out of the ends of the range",
            partial(_measured, reach=lambda code, zero_point: code),
            "The first code stands for (qmin - zero_point) * scale, the last one for (qmax - "
            "zero_point) * scale.",
        ),
        Misconception(
            "adds the zero point to the ends of the range",
            partial(_measured, reach=lambda code, zero_point: code + zero_point),
            "The first code stands for (qmin - zero_point) * scale: take the zero point away.",
        ),
        Misconception(
            "counts values below the range alone as clipped",
            partial(_measured, outside=lambda x, q, low, high, ends: x < low),
            "Values above (qmax - zero_point) * scale are clipped as well.",
        ),
        Misconception(
            "adds the squared errors up",
            partial(_measured, mean=lambda errors, part: float(errors[part].sum())),
            "Divide both sums by the number of all values.",
        ),
        Misconception(
            "takes the roots of the mean squared errors",
            partial(_measured, given=lambda c, r, s: (math.sqrt(c), math.sqrt(r), s)),
            "Mean squared errors, without a root.",
        ),
        Misconception(
            "takes the natural logarithm",
            partial(_measured, decibels=lambda ratio: 10 * math.log(ratio)),
            "Decibels belong to the logarithm to base 10: math.log10.",
        ),
        Misconception(
            "forgets the factor 10",
            partial(_measured, decibels=math.log10),
            "A bel has ten decibels: 10 * log10.",
        ),
        Misconception(
            "takes the peak for the signal",
            partial(_measured, signal=lambda x: float(x.abs().max()) ** 2),
            "That is a PSNR. The power of the signal is mean(x^2).",
        ),
        Misconception(
            "takes the sum for the signal",
            partial(_measured, signal=lambda x: float((x**2).sum())),
            "Both are means: mean(x^2) over the mean squared error.",
        ),
        Misconception(
            "takes magnitudes for the signal",
            partial(_measured, signal=lambda x: float(x.abs().mean())),
            "The power of the signal is mean(x^2).",
        ),
        Misconception(
            "takes the variance for the power of the signal",
            partial(_measured, signal=lambda x: float(x.var())),
            "The variance leaves the mean out, and the codes have to carry that as well: "
            "mean(x^2).",
        ),
        Misconception(
            "takes the variance for the power of the signal",
            partial(_measured, signal=lambda x: float(x.var(correction=0))),
            "The variance leaves the mean out, and the codes have to carry that as well: "
            "mean(x^2).",
        ),
        Misconception(
            "leaves the clipping error out of the SQNR",
            partial(_measured, noise=lambda clipping, rounding: rounding),
            "The noise is all that is lost: clipping and rounding together.",
        ),
        Misconception(
            "leaves the rounding error out of the SQNR",
            partial(_measured, noise=lambda clipping, rounding: clipping),
            "The noise is all that is lost: clipping and rounding together.",
        ),
    ),
)
