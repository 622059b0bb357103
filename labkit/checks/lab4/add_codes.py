"""Exercise 4.5: a residual sum of codes on different grids."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import uniform
from labkit.checks.lab4.add_codes_parts import Grid, real_values
from labkit.checks.lab4.add_codes_slips import MISCONCEPTIONS
from labkit.checks.rules import Codes


def add_codes(q_a: Tensor, a: Grid, q_b: Tensor, b: Grid, y: Grid, relu: bool) -> Tensor:
    """Return the codes, 0 to 255, of the sum of what two tensors of codes stand for."""
    scale, zero_point = y
    q = torch.round((real_values(q_a, a) + real_values(q_b, b)) / scale) + zero_point
    return q.clamp(zero_point if relu else 0, 255).to(torch.uint8)


def _unrounded(
    q_a: Tensor, a: Grid, q_b: Tensor, b: Grid, y: Grid, relu: bool
) -> tuple[Tensor, int, int]:
    real = (real_values(q_a, a) + real_values(q_b, b)) / y[0] + y[1]
    return real, y[1] if relu else 0, 255


def _cases(rng: torch.Generator) -> list[Case]:
    def codes(*shape: int) -> Tensor:
        return torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)

    def grid(low: int, high: int) -> Grid:
        zero_point = int(torch.randint(low, high, (), generator=rng))
        return uniform(rng, 0.01, 0.04), zero_point

    def case(label: str, shape: tuple[int, ...], y_scale: float, *ends: int, relu: bool) -> Case:
        y = round(y_scale * uniform(rng, 0.9, 1.1), 4), grid(*ends)[1]
        return Case(label, (codes(*shape), grid(60, 180), codes(*shape), grid(60, 180), y, relu))

    after = codes(3, 5), (0.02, 0), codes(3, 5), (0.02, 0), (0.02, 0)
    return [
        case("two numbers", (2,), 0.05, 90, 160, relu=False),
        case("rows", (3, 7), 0.05, 90, 160, relu=False),
        case("with a ReLU", (4, 6), 0.05, 90, 160, relu=True),
        case("a ReLU with zero point 0", (4, 6), 0.03, 0, 1, relu=True),
        case("sums beyond the grid", (5, 6), 0.008, 90, 160, relu=False),
        case("sums beyond the grid, with a ReLU", (5, 6), 0.008, 90, 160, relu=True),
        case("a batch of images", (2, 3, 4, 4), 0.06, 90, 160, relu=True),
        Case("three times the same grid", (*after, False)),
    ]


ADD_CODES = Exercise(
    id="4.5",
    title="A residual sum",
    points=2,
    minutes=(8, 12),
    extra=True,
    reference=add_codes,
    cases=_cases,
    rules=(Codes(unrounded=_unrounded),),
    hints=(
        "Two codes can be added when they count the same steps from the same zero. Which steps "
        "does the result count?",
        "Take the zero points away, bring both to steps of y with a factor each, S_a / S_y and "
        "S_b / S_y, add, round once, add Z_y, clamp. uint8 wraps, so convert before subtracting.",
        "real = (q_a.double() - a[1]) * a[0] + (q_b.double() - b[1]) * b[0]; q = torch.round(real "
        "/ y[0]) + y[1]; return q.clamp(y[1] if relu else 0, 255).to(torch.uint8).",
    ),
    misconceptions=MISCONCEPTIONS,
)
