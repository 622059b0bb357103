"""Slips in the gradient of a learned step size, for exercise 5.4."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception


def _within(real: Tensor, code: Tensor, qmin: int, qmax: int) -> Tensor:
    return (code >= qmin) & (code <= qmax)


def _end(real: Tensor, code: Tensor, qmin: int, qmax: int) -> Tensor:
    return code.clamp(qmin, qmax)


def _slope(
    x: Tensor,
    scale: float,
    qmin: int,
    qmax: int,
    dy: Tensor,
    *,
    steps: Callable[[Tensor, float], Tensor] = torch.div,
    turn: Callable[[Tensor], Tensor] = torch.round,
    within: Callable[[Tensor, Tensor, int, int], Tensor] = _within,
    inner: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda real, code, x: code - real,
    outer: Callable[[Tensor, Tensor, int, int], Tensor] = _end,
    above: Callable[[Tensor, Tensor], Tensor] = lambda dy, inside: dy,
    summed: Callable[[Tensor, Tensor], Tensor] = lambda slopes, dy: (slopes * dy).sum(),
    count: Callable[[Tensor, Tensor], float] = lambda x, inside: x.numel(),
    factor: Callable[[Tensor, int, int], Tensor | float] = lambda n, qmin, qmax: (n * qmax) ** -0.5,
    unit: Callable[[float], float] = lambda scale: 1.0,
) -> float:
    """Return the gradient of the step size, of which any part may be another one."""
    real = steps(x, scale)
    code = turn(real)
    inside = within(real, code, qmin, qmax)
    slopes = torch.where(inside, inner(real, code, x), outer(real, code, qmin, qmax))
    n = torch.tensor(float(count(x, inside)))
    return float(summed(slopes * unit(scale), above(dy, inside)) * factor(n, qmin, qmax))


def _inside(x: Tensor, inside: Tensor) -> int:
    return int(inside.sum())


def _compared_as_it_is(x: Tensor, scale: float, qmin: int, qmax: int, dy: Tensor) -> float:
    inside, real = (x >= qmin) & (x <= qmax), x / scale
    slopes = torch.where(inside, real.round() - real, x.clamp(qmin, qmax).round())
    return float((slopes * dy).sum() / (x.numel() * qmax) ** 0.5)


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "leaves out the factor 1 / sqrt(N qmax)",
        partial(_slope, factor=lambda n, qmin, qmax: 1.0),
        "Thousands of values pull at one step size. LSQ divides by sqrt(N qmax), N the number "
        "of values in x.",
    ),
    Misconception(
        "takes the mean instead of the factor 1 / sqrt(N qmax)",
        partial(_slope, factor=lambda n, qmin, qmax: 1 / n),
        "Add the slopes up, and divide by sqrt(N qmax), N the number of values in x.",
    ),
    Misconception(
        "gives values inside no say",
        partial(_slope, inner=lambda real, code, x: 0 * code),
        "The step moves them, too: inside the slope is the rounding error in steps, code - x / s.",
    ),
    Misconception(
        "uses the clipped rule everywhere",
        partial(_slope, inner=lambda real, code, x: code),
        "Inside the range x / s changes with s, too: the slope is code - x / s.",
    ),
    Misconception(
        "uses the inner rule everywhere",
        partial(_slope, outer=lambda real, code, qmin, qmax: code.clamp(qmin, qmax) - real),
        "Where x is clipped, y = code * s does not depend on x / s: the slope is qmin or qmax.",
    ),
    Misconception(
        "does not clamp the code",
        partial(_slope, outer=lambda real, code, qmin, qmax: code - real),
        "A value beyond the range is clipped, and its slope is the last code, qmin or qmax.",
    ),
    Misconception(
        "takes the code before the clamp for clipped values",
        partial(_slope, outer=lambda real, code, qmin, qmax: code),
        "What is clipped has the last code: its slope is qmin or qmax, however far out x is.",
    ),
    Misconception(
        "gives clipped values no say",
        partial(_slope, outer=lambda real, code, qmin, qmax: 0 * code),
        "Clipped values are the ones that want a larger step: their slope is qmin or qmax.",
    ),
    Misconception(
        "gives clipped values the slopes -1 and 1",
        partial(_slope, outer=lambda real, code, qmin, qmax: code.sign()),
        "A clipped y is the last code times s: its slope is that code, qmin or qmax.",
    ),
    Misconception(
        "takes x / s for the slope of clipped values",
        partial(_slope, outer=lambda real, code, qmin, qmax: real),
        "What is clipped has the last code: its slope is qmin or qmax, however far out x is.",
    ),
    Misconception(
        "takes the rule of PACT",
        partial(
            _slope,
            inner=lambda real, code, x: 0 * code,
            outer=lambda real, code, qmin, qmax: (code > qmax).float(),
        ),
        "PACT learns where the range ends, with the slope 1 above and 0 elsewhere. Here the "
        "step learns: qmax or qmin where x is clipped, and code - x / s inside.",
    ),
    Misconception(
        "has the sign turned round for clipped values",
        partial(_slope, outer=lambda real, code, qmin, qmax: -code.clamp(qmin, qmax)),
        "Where x is clipped, y = qmax * s or qmin * s: the slope is qmax or qmin itself.",
    ),
    Misconception(
        "has the sign turned round inside the range",
        partial(_slope, inner=lambda real, code, x: real - code),
        "The slope of x / s with s is -x / s^2: code - x / s, not the other way round.",
    ),
    Misconception(
        "forgets the code inside the range",
        partial(_slope, inner=lambda real, code, x: -real),
        "By the product rule there are two terms inside: code - x / s.",
    ),
    Misconception(
        "subtracts x instead of x / s",
        partial(_slope, inner=lambda real, code, x: code - x),
        "The code counts steps, and so must what is subtracted from it: code - x / s.",
    ),
    Misconception(
        "takes the magnitude of the rounding error",
        partial(_slope, inner=lambda real, code, x: (code - real).abs()),
        "What rounds up pulls one way and what rounds down the other: code - x / s with its sign.",
    ),
    Misconception(
        "rounds down",
        partial(_slope, turn=torch.floor),
        "The code is the nearest integer: torch.round(x / s).",
    ),
    Misconception(
        "cuts off instead of rounding",
        partial(_slope, turn=torch.trunc),
        "The code is the nearest integer: torch.round(x / s).",
    ),
    Misconception(
        "multiplies x by the step",
        partial(_slope, steps=torch.mul),
        "How many steps x is long: x / scale.",
    ),
    Misconception(
        "takes the last codes for clipped",
        partial(_slope, within=lambda real, code, qmin, qmax: (code > qmin) & (code < qmax)),
        "What rounds to qmin or qmax is rounded, not clipped: there, too, code - x / s.",
    ),
    Misconception(
        "takes the mean instead of the sum",
        partial(_slope, summed=lambda slopes, dy: (slopes * dy).mean()),
        "All values share the step, so their gradients add up; the factor tames the sum.",
    ),
    Misconception(
        "forgets the gradient that comes from above",
        partial(_slope, above=lambda dy, inside: torch.ones_like(dy)),
        "Multiply each value's slope by its dy before you add them up.",
    ),
    Misconception(
        "counts clipped values without their dy",
        partial(_slope, above=lambda dy, inside: torch.where(inside, dy, 1.0)),
        "qmin and qmax are slopes, too: multiply them by the dy of their values.",
    ),
    Misconception(
        "counts the values inside without their dy",
        partial(_slope, above=lambda dy, inside: torch.where(inside, 1.0, dy)),
        "The rounding error is a slope, too: multiply it by the dy of its value.",
    ),
    Misconception(
        "takes the magnitudes of dy",
        partial(_slope, above=lambda dy, inside: dy.abs()),
        "dy has a sign, which says whether y should grow or fall: leave it.",
    ),
    Misconception(
        "has the factor squared",
        partial(_slope, factor=lambda n, qmin, qmax: 1 / (n * qmax)),
        "The factor is 1 / sqrt(N qmax), once: a root is missing, or it is applied twice.",
    ),
    Misconception(
        "multiplies by sqrt(N qmax)",
        partial(_slope, factor=lambda n, qmin, qmax: (n * qmax) ** 0.5),
        "LSQ's factor makes the sum of many gradients small: divide by sqrt(N qmax).",
    ),
    Misconception(
        "counts rows instead of values",
        partial(_slope, count=lambda x, inside: len(x)),
        "len(x) is the length of the first dimension. N is x.numel().",
    ),
    *(
        Misconception(
            "counts in N the values inside only",
            partial(_slope, count=count),
            "N is the number of all values that share the step, clipped ones, too: x.numel().",
        )
        for count in (_inside, lambda x, inside: max(_inside(x, inside), 1))
    ),
    Misconception(
        "counts in N the clipped values only",
        partial(_slope, count=lambda x, inside: max(int((~inside).sum()), 1)),
        "N is the number of all values that share the step: x.numel().",
    ),
    Misconception(
        "counts columns instead of values",
        partial(_slope, count=lambda x, inside: x.shape[-1]),
        "The paper counts the values of one image. Here N is x.numel().",
    ),
    Misconception(
        "divides by the root of N only",
        partial(_slope, factor=lambda n, qmin, qmax: n**-0.5),
        "The factor is 1 / sqrt(N qmax): a finer grid needs smaller steps, too.",
    ),
    Misconception(
        "divides by the root of qmax only",
        partial(_slope, count=lambda x, inside: 1),
        "The factor is 1 / sqrt(N qmax): N, the number of values, is missing.",
    ),
    Misconception(
        "takes clipped values at the lower end for inside",
        partial(_slope, within=lambda real, code, qmin, qmax: code <= qmax),
        "A value below the range is clipped as well: its slope is qmin.",
    ),
    Misconception(
        "takes -qmax for the slope below the range",
        partial(_slope, outer=lambda real, code, qmin, qmax: code.sign() * qmax),
        "Below the range the result is qmin * s, so its slope is qmin, which is 0 for unsigned "
        "codes.",
    ),
    Misconception(
        "takes 0 for the slope below the range",
        partial(_slope, outer=lambda real, code, qmin, qmax: code.clamp(0, qmax)),
        "Below the range the result is qmin * s, so its slope is qmin.",
    ),
    Misconception(
        "takes the range for symmetric",
        partial(
            _slope,
            within=lambda real, code, qmin, qmax: code.abs() <= qmax,
            outer=lambda real, code, qmin, qmax: code.sign() * qmax,
        ),
        "Not every range reaches as far down as up: below qmin a value is clipped, with the slope "
        "qmin.",
    ),
    Misconception(
        "takes qmax for the slope at both ends",
        partial(_slope, outer=lambda real, code, qmin, qmax: torch.full_like(code, qmax)),
        "Below the range the result is qmin * s, so its slope is qmin.",
    ),
    Misconception(
        "compares real numbers with codes",
        _compared_as_it_is,
        "x is in units of the data, qmin and qmax count steps: divide x by scale first.",
    ),
    Misconception(
        "measures the rounding error in units of the data",
        partial(_slope, unit=lambda scale: scale),
        "The slope counts steps: round(v) - v with v = x / scale, and the codes qmin and qmax.",
    ),
    Misconception(
        "multiplies a sum by a mean",
        partial(_slope, summed=lambda slopes, dy: slopes.sum() * dy.mean()),
        "Each value has its own slope and its own dy: multiply first, then add up.",
    ),
    Misconception(
        "multiplies two sums",
        partial(_slope, summed=lambda slopes, dy: slopes.sum() * dy.sum()),
        "Each value has its own slope and its own dy: multiply first, then add up.",
    ),
    Misconception(
        "has the number of codes in the factor instead of qmax",
        partial(_slope, factor=lambda n, qmin, qmax: (n * (qmax - qmin + 1)) ** -0.5),
        "LSQ's factor is 1 / sqrt(N * qmax): qmax is the largest code.",
    ),
    Misconception(
        "has the width of the range in the factor instead of qmax",
        partial(_slope, factor=lambda n, qmin, qmax: (n * (qmax - qmin)) ** -0.5),
        "LSQ's factor is 1 / sqrt(N * qmax): qmax is the largest code.",
    ),
    Misconception(
        "leaves qmax out of the root",
        partial(_slope, factor=lambda n, qmin, qmax: 1 / (n**0.5 * qmax)),
        "LSQ's factor is 1 / sqrt(N * qmax): both under the root.",
    ),
)
