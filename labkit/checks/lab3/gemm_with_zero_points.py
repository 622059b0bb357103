"""Exercise 3.3: correct for the zero points."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import whole
from labkit.checks.lab3.gemm import gemm
from labkit.checks.lab3.inputs import int8_codes, uint8_codes
from labkit.checks.lab3.zero_point_slips import MISCONCEPTIONS
from labkit.checks.rules import Codes


def gemm_with_zero_points(
    q_lhs: Tensor, q_rhs: Tensor, lhs_zero_point: int, rhs_zero_point: int
) -> Tensor:
    """Return the product of (q_lhs - lhs_zero_point) and (q_rhs - rhs_zero_point)."""
    rows = q_lhs.sum(dim=1, keepdim=True)
    columns = q_rhs.sum(dim=0, keepdim=True)
    corner = q_lhs.shape[1] * lhs_zero_point * rhs_zero_point
    return gemm(q_lhs, q_rhs) - rhs_zero_point * rows - lhs_zero_point * columns + corner


def _zero_point_cases(rng: torch.Generator) -> list[Case]:
    small = (whole(rng, 5, 9, 1, 1).byte(), whole(rng, -9, -5, 1, 1).char())
    square = (uint8_codes(rng, 3, 3), int8_codes(rng, 3, 3))
    wide = (uint8_codes(rng, 2, 9), int8_codes(rng, 9, 4))
    # The sums are odd and beyond 2^24: float32 has none of them.
    full = (torch.full((2, 301), 255).byte(), torch.full((301, 2), -128).char())
    return [
        Case("zero points 0", (*wide, 0, 0)),
        Case("one product", (*small, 3, 2)),
        Case("a zero point on the left only", (*square, 128, 0)),
        Case("a zero point on the right only", (*square, 0, -9)),
        Case("both, square matrices", (*square, 131, 17)),
        Case("both, other shapes", (*wide, 60, -33)),
        Case("both negative", (int8_codes(rng, 4, 6), int8_codes(rng, 6, 2), -100, -7)),
        Case("a long sum of extremes", (*full, 4, 127)),
        Case("not contiguous", (int8_codes(rng, 5, 2).t(), int8_codes(rng, 3, 5).t(), 11, -128)),
    ]


GEMM_WITH_ZERO_POINTS = Exercise(
    id="3.3",
    title="Correct for the zero points",
    points=2,
    minutes=(10, 15),
    reference=gemm_with_zero_points,
    cases=_zero_point_cases,
    rules=(Codes(),),
    hints=(
        "Multiply (a - Z_a)(b - Z_b) out on paper: four terms. Then sum each of them over k.",
        "A factor that does not depend on k leaves the sum: sum_k Z_b * a is Z_b times the sum of "
        "a row of q_lhs. How many times is Z_a * Z_b added up?",
        "gemm(q_lhs, q_rhs) - rhs_zero_point * q_lhs.sum(dim=1, keepdim=True) - lhs_zero_point * "
        "q_rhs.sum(dim=0, keepdim=True) + K * lhs_zero_point * rhs_zero_point, with K = "
        "q_lhs.shape[1].",
    ),
    misconceptions=MISCONCEPTIONS,
)
