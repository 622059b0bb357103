"""Exercise 5.4: the gradient of a learned step size."""

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
    return float(_slopes(x, scale, qmin, qmax).mul(dy).sum() * _factor(x, qmax))


def _slopes(x: Tensor, scale: float, qmin: int, qmax: int) -> Tensor:
    real = x / scale
    code = torch.round(real)
    inside = (code >= qmin) & (code <= qmax)
    return torch.where(inside, code - real, code.clamp(qmin, qmax))


def _factor(x: Tensor, qmax: int) -> float:
    return (x.numel() * qmax) ** -0.5


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


def _total(x: Tensor, slopes: Tensor, dy: Tensor, qmax: int) -> float:
    return float((slopes * dy).sum() * _factor(x, qmax))


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
        "times s. What is its slope with s?",
        "Inside, use the product rule, with the straight-through slope 1 for round: the code, "
        "plus s times the slope of x / s. That is code - x / s, the rounding error in steps.",
        "slopes = torch.where(inside, code - x / scale, code.clamp(qmin, qmax)); the gradient is "
        "(slopes * dy).sum() / (x.numel() * qmax) ** 0.5.",
    ),
    misconceptions=(
        Misconception(
            "leaves out the factor 1 / sqrt(N qmax)",
            lambda x, scale, qmin, qmax, dy: float((_slopes(x, scale, qmin, qmax) * dy).sum()),
            "Thousands of values pull at one step size. LSQ divides by sqrt(N qmax), N the number "
            "of values in x.",
        ),
        Misconception(
            "takes the mean instead of the factor 1 / sqrt(N qmax)",
            lambda x, scale, qmin, qmax, dy: float((_slopes(x, scale, qmin, qmax) * dy).mean()),
            "Add the slopes up, and divide by sqrt(N qmax), N the number of values in x.",
        ),
        Misconception(
            "gives values inside no say",
            lambda x, scale, qmin, qmax, dy: _total(
                x,
                torch.round(x / scale).clamp(qmin, qmax)
                * (torch.round(x / scale) != torch.round(x / scale).clamp(qmin, qmax)),
                dy,
                qmax,
            ),
            "The step moves them, too: inside the slope is the rounding error in steps, "
            "code - x / s.",
        ),
        Misconception(
            "uses the clipped rule everywhere",
            lambda x, scale, qmin, qmax, dy: _total(
                x, torch.round(x / scale).clamp(qmin, qmax), dy, qmax
            ),
            "Inside the range x / s changes with s, too: the slope is code - x / s.",
        ),
        Misconception(
            "uses the inner rule everywhere",
            lambda x, scale, qmin, qmax, dy: _total(
                x, torch.round(x / scale).clamp(qmin, qmax) - x / scale, dy, qmax
            ),
            "Where x is clipped, y = code * s does not depend on x / s: the slope is qmin or qmax.",
        ),
        Misconception(
            "gives clipped values no say",
            lambda x, scale, qmin, qmax, dy: _total(
                x,
                (torch.round(x / scale) - x / scale)
                * (torch.round(x / scale) == torch.round(x / scale).clamp(qmin, qmax)),
                dy,
                qmax,
            ),
            "Clipped values are the ones that want a larger step: their slope is qmin or qmax.",
        ),
        Misconception(
            "has the sign turned round inside the range",
            lambda x, scale, qmin, qmax, dy: _total(
                x,
                torch.where(
                    torch.round(x / scale) == torch.round(x / scale).clamp(qmin, qmax),
                    x / scale - torch.round(x / scale),
                    torch.round(x / scale).clamp(qmin, qmax),
                ),
                dy,
                qmax,
            ),
            "The slope of x / s with s is -x / s^2: code - x / s, not the other way round.",
        ),
        Misconception(
            "takes the mean instead of the sum",
            lambda x, scale, qmin, qmax, dy: step_gradient(x, scale, qmin, qmax, dy) / x.numel(),
            "All values share the step, so their gradients add up; the factor tames the sum.",
        ),
        Misconception(
            "forgets the gradient that comes from above",
            lambda x, scale, qmin, qmax, dy: _total(
                x, _slopes(x, scale, qmin, qmax), torch.ones_like(dy), qmax
            ),
            "Multiply each value's slope by its dy before you add them up.",
        ),
        Misconception(
            "has the factor squared",
            lambda x, scale, qmin, qmax, dy: (
                step_gradient(x, scale, qmin, qmax, dy) * _factor(x, qmax)
            ),
            "The factor is 1 / sqrt(N qmax), once: a root is missing, or it is applied twice.",
        ),
        Misconception(
            "counts rows instead of values",
            lambda x, scale, qmin, qmax, dy: (
                step_gradient(x, scale, qmin, qmax, dy) * (x.numel() / len(x)) ** 0.5
            ),
            "len(x) is the length of the first dimension. N is x.numel().",
        ),
        Misconception(
            "divides by the root of N only",
            lambda x, scale, qmin, qmax, dy: step_gradient(x, scale, qmin, qmax, dy) * qmax**0.5,
            "The factor is 1 / sqrt(N qmax): a finer grid needs smaller steps, too.",
        ),
        Misconception(
            "takes clipped values at the lower end for inside",
            lambda x, scale, qmin, qmax, dy: _total(
                x,
                torch.where(x > qmax * scale, float(qmax), torch.round(x / scale) - x / scale),
                dy,
                qmax,
            ),
            "A value below the range is clipped as well: its slope is qmin.",
        ),
        Misconception(
            "takes -qmax for the slope below the range",
            lambda x, scale, qmin, qmax, dy: _total(
                x,
                torch.where(x < qmin * scale, -float(qmax), _slopes(x, scale, qmin, qmax)),
                dy,
                qmax,
            ),
            "Below the range the result is qmin * s, so its slope is qmin, which is 0 for unsigned "
            "codes.",
        ),
        Misconception(
            "compares real numbers with codes",
            lambda x, scale, qmin, qmax, dy: _total(
                x,
                torch.where(
                    (x >= qmin) & (x <= qmax),
                    torch.round(x / scale) - x / scale,
                    x.clamp(qmin, qmax).round(),
                ),
                dy,
                qmax,
            ),
            "x is in units of the data, qmin and qmax count steps: divide x by scale first.",
        ),
        Misconception(
            "measures the rounding error in units of the data",
            lambda x, scale, qmin, qmax, dy: step_gradient(x, scale, qmin, qmax, dy) * scale,
            "The slope counts steps: round(v) - v with v = x / scale, and the codes qmin and qmax.",
        ),
        Misconception(
            "multiplies two sums",
            lambda x, scale, qmin, qmax, dy: float(
                _slopes(x, scale, qmin, qmax).sum() * dy.sum() * _factor(x, qmax)
            ),
            "Each value has its own slope and its own dy: multiply first, then add up.",
        ),
        Misconception(
            "has the number of codes in the factor instead of qmax",
            lambda x, scale, qmin, qmax, dy: (
                step_gradient(x, scale, qmin, qmax, dy) * (qmax / (qmax - qmin + 1)) ** 0.5
            ),
            "LSQ's factor is 1 / sqrt(N * qmax): qmax is the largest code.",
        ),
        Misconception(
            "has the width of the range in the factor instead of qmax",
            lambda x, scale, qmin, qmax, dy: (
                step_gradient(x, scale, qmin, qmax, dy) * (qmax / (qmax - qmin)) ** 0.5
            ),
            "LSQ's factor is 1 / sqrt(N * qmax): qmax is the largest code.",
        ),
        Misconception(
            "leaves qmax out of the root",
            lambda x, scale, qmin, qmax, dy: (
                float((_slopes(x, scale, qmin, qmax) * dy).sum()) / (x.numel() ** 0.5 * qmax)
            ),
            "LSQ's factor is 1 / sqrt(N * qmax): both under the root.",
        ),
    ),
)
