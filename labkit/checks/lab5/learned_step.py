"""Exercise 5.4: the gradient of a learned step size."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
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
from labkit.checks.lab5.learned_step_slips import MISCONCEPTIONS
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
    misconceptions=MISCONCEPTIONS,
)
