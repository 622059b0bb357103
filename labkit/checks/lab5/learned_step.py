"""Exercise 5.4: the gradient of a learned step size."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import uniform
from labkit.checks.lab5.inputs import (
    INT4,
    INT8,
    TERNARY,
    UINT4,
    between_ties,
    clear_of_ends,
    gradients,
)
from labkit.checks.rules import Rule


def step_gradient(x: Tensor, scale: float, qmin: int, qmax: int, dy: Tensor) -> float:
    """Return the gradient of the step size, times LSQ's 1 / sqrt(N qmax)."""
    real = x / scale
    code = torch.round(real)
    inside = (code >= qmin) & (code <= qmax)
    slopes = torch.where(inside, code - real, code.clamp(qmin, qmax))
    return float((slopes * dy).sum() / (x.numel() * qmax) ** 0.5)


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, ends: tuple[int, int], beyond: int, *shape: int) -> Case:
        scale = uniform(rng, 0.05, 0.8)
        x = between_ties(rng, scale, ends[0] - beyond, ends[1] + beyond, *shape)
        x = clear_of_ends(x, scale, *ends)
        return Case(label, (x, scale, *ends, gradients(rng, *shape)))

    def one(label: str, least: float, most: float) -> Case:
        x = round(0.1 * uniform(rng, least, most), 3)
        return Case(label, (torch.tensor([x]), 0.1, *INT4, gradients(rng, 1)))

    return [
        one("one value that rounds up", 1.6, 1.9),
        one("one clipped value", 10, 30),
        one("one clipped below", -30, -10),
        case("nothing clipped", INT8, -3, 30),
        case("some clipped", INT4, 5, 25),
        case("unsigned codes", UINT4, 6, 4, 6),
        case("ternary", TERNARY, 2, 3, 2, 3, 3),
    ]


def _within(real: Tensor, code: Tensor, qmin: int, qmax: int) -> Tensor:
    return (code >= qmin) & (code <= qmax)


def _end(real: Tensor, code: Tensor, qmin: int, qmax: int) -> Tensor:
    return code.clamp(qmin, qmax)


def _summed(slopes: Tensor, dy: Tensor) -> Tensor:
    return (slopes * dy).sum()


def _factor(x: Tensor, qmin: int, qmax: int) -> float:
    return (x.numel() * qmax) ** -0.5


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
    summed: Callable[[Tensor, Tensor], Tensor] = _summed,
    factor: Callable[[Tensor, int, int], float] = _factor,
    unit: Callable[[float], float] = lambda scale: 1.0,
) -> float:
    """Return the gradient of the step size, of which any part may be another one."""
    real = steps(x, scale)
    code = turn(real)
    inside = within(real, code, qmin, qmax)
    slopes = torch.where(inside, inner(real, code, x), outer(real, code, qmin, qmax))
    return float(summed(slopes * unit(scale), dy) * factor(x, qmin, qmax))


LEARNED_STEP = Exercise(
    id="5.4",
    title="Learned step size",
    points=3,
    minutes=(15, 23),
    extra=True,
    reference=step_gradient,
    cases=_cases,
    rules=(Rule(relative=1e-3, absolute=1e-5),),
    hints=(
        "One value first: y = clamp(round(x / s)) * s. Where x is clipped, y is the last code "
        "times s. What is its slope as a function of s?",
        "Inside, use the product rule, with the straight-through slope 1 for round: the code, "
        "plus s times the slope of x / s. That is code - x / s, the rounding error in steps.",
        "slopes = torch.where(inside, code - x / scale, code.clamp(qmin, qmax)); the gradient is "
        "(slopes * dy).sum() / (x.numel() * qmax) ** 0.5.",
    ),
    misconceptions=(
        Misconception(
            "leaves out the factor 1 / sqrt(N qmax)",
            partial(_slope, factor=lambda x, qmin, qmax: 1.0),
            "Thousands of values pull at one step size. LSQ divides by sqrt(N qmax), N the number "
            "of values in x.",
        ),
        Misconception(
            "takes the mean instead of the factor 1 / sqrt(N qmax)",
            partial(_slope, factor=lambda x, qmin, qmax: 1 / x.numel()),
            "Add the slopes up, and divide by sqrt(N qmax), N the number of values in x.",
        ),
        Misconception(
            "gives values inside no say",
            partial(_slope, inner=lambda real, code, x: 0 * code),
            "The step moves them, too: inside the slope is the rounding error in steps, "
            "code - x / s.",
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
            "What rounds up pulls one way and what rounds down the other: code - x / s with its "
            "sign.",
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
            partial(_slope, summed=lambda slopes, dy: slopes.sum()),
            "Multiply each value's slope by its dy before you add them up.",
        ),
        Misconception(
            "has the factor squared",
            partial(_slope, factor=lambda x, qmin, qmax: 1 / (x.numel() * qmax)),
            "The factor is 1 / sqrt(N qmax), once: a root is missing, or it is applied twice.",
        ),
        Misconception(
            "multiplies by sqrt(N qmax)",
            partial(_slope, factor=lambda x, qmin, qmax: (x.numel() * qmax) ** 0.5),
            "LSQ's factor makes the sum of many gradients small: divide by sqrt(N qmax).",
        ),
        Misconception(
            "counts rows instead of values",
            partial(_slope, factor=lambda x, qmin, qmax: (len(x) * qmax) ** -0.5),
            "len(x) is the length of the first dimension. N is x.numel().",
        ),
        Misconception(
            "divides by the root of N only",
            partial(_slope, factor=lambda x, qmin, qmax: x.numel() ** -0.5),
            "The factor is 1 / sqrt(N qmax): a finer grid needs smaller steps, too.",
        ),
        Misconception(
            "divides by the root of qmax only",
            partial(_slope, factor=lambda x, qmin, qmax: qmax**-0.5),
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
            "takes qmax for the slope at both ends",
            partial(_slope, outer=lambda real, code, qmin, qmax: torch.full_like(code, qmax)),
            "Below the range the result is qmin * s, so its slope is qmin.",
        ),
        Misconception(
            "compares real numbers with codes",
            lambda x, scale, qmin, qmax, dy: float(
                torch.where(
                    (x >= qmin) & (x <= qmax),
                    torch.round(x / scale) - x / scale,
                    x.clamp(qmin, qmax).round(),
                )
                .mul(dy)
                .sum()
                * _factor(x, qmin, qmax)
            ),
            "x is in units of the data, qmin and qmax count steps: divide x by scale first.",
        ),
        Misconception(
            "measures the rounding error in units of the data",
            partial(_slope, unit=lambda scale: scale),
            "The slope counts steps: round(v) - v with v = x / scale, and the codes qmin and qmax.",
        ),
        Misconception(
            "multiplies two sums",
            partial(_slope, summed=lambda slopes, dy: slopes.sum() * dy.sum()),
            "Each value has its own slope and its own dy: multiply first, then add up.",
        ),
        Misconception(
            "has the number of codes in the factor instead of qmax",
            partial(_slope, factor=lambda x, qmin, qmax: (x.numel() * (qmax - qmin + 1)) ** -0.5),
            "LSQ's factor is 1 / sqrt(N * qmax): qmax is the largest code.",
        ),
        Misconception(
            "has the width of the range in the factor instead of qmax",
            partial(_slope, factor=lambda x, qmin, qmax: (x.numel() * (qmax - qmin)) ** -0.5),
            "LSQ's factor is 1 / sqrt(N * qmax): qmax is the largest code.",
        ),
        Misconception(
            "leaves qmax out of the root",
            partial(_slope, factor=lambda x, qmin, qmax: 1 / (x.numel() ** 0.5 * qmax)),
            "LSQ's factor is 1 / sqrt(N * qmax): both under the root.",
        ),
    ),
)
