"""Exercise 1.7: clipping, rounding and SQNR."""

import math
from collections.abc import Callable
from typing import Any

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


def _swapped(*args: Any) -> tuple[float, float, float]:
    clipping, rounding, sqnr = quantization_error(*args)
    return rounding, clipping, sqnr


def _amplitude(*args: Any) -> tuple[float, float, float]:
    clipping, rounding, sqnr = quantization_error(*args)
    return clipping, rounding, 2 * sqnr


def _power_ratio(*args: Any) -> tuple[float, float, float]:
    clipping, rounding, sqnr = quantization_error(*args)
    return clipping, rounding, -sqnr


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


def _at_the_ends(
    x: Tensor, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[float, float, float]:
    q = torch.round(x / scale) + zero_point
    back = dequantize(q.clamp(qmin, qmax), scale, zero_point)
    return _apart(x, back, (q < qmin) | (q > qmax))


def _apart(x: Tensor, back: Tensor, clipped: Tensor) -> tuple[float, float, float]:
    """Return both errors and the SQNR for a mask of what is called clipped."""
    squared = (x - back) ** 2
    clipping = float(squared[clipped].sum()) / x.numel()
    rounding = float(squared[~clipped].sum()) / x.numel()
    return clipping, rounding, 10 * math.log10(float((x**2).mean()) / (clipping + rounding))


def _on_the_ends(
    x: Tensor, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[float, float, float]:
    q = quantize(x, scale, zero_point, qmin, qmax)
    return _apart(x, dequantize(q, scale, zero_point), (q == qmin) | (q == qmax))


def _upper_end(
    x: Tensor, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[float, float, float]:
    q = quantize(x, scale, zero_point, qmin, qmax)
    return _apart(x, dequantize(q, scale, zero_point), x > (qmax - zero_point) * scale)


def _absolute(
    x: Tensor, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[float, float, float]:
    q = quantize(x, scale, zero_point, qmin, qmax)
    distance = (x - dequantize(q, scale, zero_point)).abs()
    clipped = (x < (qmin - zero_point) * scale) | (x > (qmax - zero_point) * scale)
    clipping = float(distance[clipped].sum()) / x.numel()
    rounding = float(distance[~clipped].sum()) / x.numel()
    return clipping, rounding, 10 * math.log10(float((x**2).mean()) / (clipping + rounding))


def _means_of_parts(
    x: Tensor, scale: float, zero_point: int, qmin: int, qmax: int
) -> tuple[float, float, float]:
    clipping, rounding, _ = _mean_of_part(x, scale, zero_point, qmin, qmax)
    return clipping, rounding, 10 * math.log10(float((x**2).mean()) / (clipping + rounding))


def _variance(correction: int) -> Callable[..., tuple[float, float, float]]:
    def answer(*args: Any) -> tuple[float, float, float]:
        clipping, rounding, _ = quantization_error(*args)
        signal = (args[0] - args[0].mean()).square().sum() / (args[0].numel() - correction)
        return clipping, rounding, float(10 * torch.log10(signal / (clipping + rounding)))

    return answer


def _noise_of(part: int) -> Callable[..., tuple[float, float, float]]:
    """Return the wrong answer whose SQNR knows one of the two errors only."""

    def wrong(x: Tensor, *grid: Any) -> tuple[float, float, float]:
        errors = quantization_error(x, *grid)[:2]
        power = float((x.double() ** 2).mean())
        ratio = power / errors[part] if errors[part] else math.inf
        return *errors, 10 * math.log10(ratio)

    return wrong


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
            "returns the two errors in the wrong order", _swapped, "Clipping comes first."
        ),
        Misconception(
            "multiplies the logarithm by 20",
            _amplitude,
            "20 is for amplitudes. Squares are powers already: 10 * log10.",
        ),
        Misconception(
            "divides noise by signal",
            _power_ratio,
            "Signal over noise: a better grid has a larger SQNR.",
        ),
        Misconception(
            "averages each error over its own values only",
            _mean_of_part,
            "Divide both sums by the number of all values, so that they add up to the total.",
        ),
        Misconception(
            "calls a value clipped only when its code was clamped",
            _at_the_ends,
            "A value up to half a step beyond the last code is outside the range, too: compare x "
            "itself with (qmax - zero_point) * scale.",
        ),
        Misconception(
            "calls every value on the first or the last code clipped",
            _on_the_ends,
            "A value inside the range may land on its last code, too, and is only rounded there: "
            "compare x itself with (qmax - zero_point) * scale.",
        ),
        Misconception(
            "clips at one end only",
            _upper_end,
            "Values below (qmin - zero_point) * scale are clipped as well.",
        ),
        Misconception(
            "takes absolute errors", _absolute, "Mean squared errors: square before you sum."
        ),
        Misconception(
            "averages each error over its own values only",
            _means_of_parts,
            "Divide both sums by the number of all values, so that they add up to the total.",
        ),
        Misconception(
            "takes the variance for the power of the signal",
            _variance(1),
            "The variance leaves the mean out, and the codes have to carry that as well: "
            "mean(x^2).",
        ),
        Misconception(
            "takes the variance for the power of the signal",
            _variance(0),
            "The variance leaves the mean out, and the codes have to carry that as well: "
            "mean(x^2).",
        ),
        Misconception(
            "leaves the clipping error out of the SQNR",
            _noise_of(1),
            "The noise is all that is lost: clipping and rounding together.",
        ),
        Misconception(
            "leaves the rounding error out of the SQNR",
            _noise_of(0),
            "The noise is all that is lost: clipping and rounding together.",
        ),
    ),
)
