"""Exercise 3.3: correct for the zero points."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.lab3.gemm import gemm
from labkit.checks.lab3.inputs import int8_codes, uint8_codes
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
    full = (torch.full((2, 300), 255).byte(), torch.full((300, 2), -128).char())
    return [
        Case("zero points 0", (*wide, 0, 0)),
        Case("one product", (*small, 3, 2)),
        Case("a zero point on the left only", (*square, 128, 0)),
        Case("a zero point on the right only", (*square, 0, -9)),
        Case("both, square matrices", (*square, 131, 17)),
        Case("both, other shapes", (*wide, 60, -33)),
        Case("both negative", (int8_codes(rng, 4, 6), int8_codes(rng, 6, 2), -100, -7)),
        Case("a long sum of extremes", (*full, 5, 127)),
        Case("not contiguous", (int8_codes(rng, 5, 2).t(), int8_codes(rng, 3, 5).t(), 11, -128)),
    ]


Correction = Callable[[Tensor, Tensor, Tensor, int, int], Tensor]


def _corrected(correction: Correction) -> Callable[..., Tensor]:
    """Return a gemm that takes away ``correction(rows, columns, length, z_lhs, z_rhs)``."""

    def wrong(q_lhs: Tensor, q_rhs: Tensor, lhs_zero_point: int, rhs_zero_point: int) -> Tensor:
        rows, columns = q_lhs.sum(1, keepdim=True), q_rhs.sum(0, keepdim=True)
        length = torch.tensor(q_lhs.shape[1])
        return gemm(q_lhs, q_rhs) - correction(
            rows, columns, length, lhs_zero_point, rhs_zero_point
        )

    return wrong


def _subtracts_in_8_bits(
    q_lhs: Tensor, q_rhs: Tensor, lhs_zero_point: int, rhs_zero_point: int
) -> Tensor:
    lhs = (q_lhs.to(torch.int32) - lhs_zero_point).to(q_lhs.dtype)
    return gemm(lhs, (q_rhs.to(torch.int32) - rhs_zero_point).to(q_rhs.dtype))


def _in_16_bits(q_lhs: Tensor, q_rhs: Tensor, lhs_zero_point: int, rhs_zero_point: int) -> Tensor:
    return (q_lhs.to(torch.int16) - lhs_zero_point) @ (q_rhs.to(torch.int16) - rhs_zero_point)


def _products_in_8_bits(
    q_lhs: Tensor, q_rhs: Tensor, lhs_zero_point: int, rhs_zero_point: int
) -> Tensor:
    rows = (q_lhs.int() * rhs_zero_point).to(q_lhs.dtype).sum(1, keepdim=True)
    columns = (q_rhs.int() * lhs_zero_point).to(q_rhs.dtype).sum(0, keepdim=True)
    corner = q_lhs.shape[1] * lhs_zero_point * rhs_zero_point
    return gemm(q_lhs, q_rhs) - rows - columns + corner


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
    misconceptions=(
        Misconception(
            "ignores the zero points",
            lambda q_lhs, q_rhs, lhs_zero_point, rhs_zero_point: gemm(q_lhs, q_rhs),
            "That is the product of the codes alone. Take the other three terms into account.",
        ),
        Misconception(
            "leaves out the last term",
            _corrected(lambda rows, columns, length, z_lhs, z_rhs: z_rhs * rows + z_lhs * columns),
            "Minus times minus: K * Z_lhs * Z_rhs has been taken away once too often. Add it.",
        ),
        Misconception(
            "subtracts the last term",
            _corrected(
                lambda rows, columns, length, z_lhs, z_rhs: (
                    z_rhs * rows + z_lhs * columns + length * z_lhs * z_rhs
                )
            ),
            "(-Z_lhs)(-Z_rhs) is positive: the last term is added.",
        ),
        Misconception(
            "adds Z_lhs * Z_rhs once",
            _corrected(
                lambda rows, columns, length, z_lhs, z_rhs: (
                    z_rhs * rows + z_lhs * columns - z_lhs * z_rhs
                )
            ),
            "The sum over k adds it K times: K * Z_lhs * Z_rhs, with K = q_lhs.shape[1].",
        ),
        Misconception(
            "multiplies each sum by its own zero point",
            _corrected(
                lambda rows, columns, length, z_lhs, z_rhs: (
                    z_lhs * rows + z_rhs * columns - length * z_lhs * z_rhs
                )
            ),
            "The cross terms cross: the rows of q_lhs go with rhs_zero_point, the columns of q_rhs "
            "with lhs_zero_point.",
        ),
        Misconception(
            "adds the two cross terms",
            _corrected(
                lambda rows, columns, length, z_lhs, z_rhs: (
                    -z_rhs * rows - z_lhs * columns - length * z_lhs * z_rhs
                )
            ),
            "(a - Z_a)(b - Z_b) has two terms with a minus: take them away.",
        ),
        Misconception(
            "adds the row sums",
            _corrected(
                lambda rows, columns, length, z_lhs, z_rhs: (
                    -z_rhs * rows + z_lhs * columns - length * z_lhs * z_rhs
                )
            ),
            "(a - Z_a)(b - Z_b) has two terms with a minus: take the row sums away as well.",
        ),
        Misconception(
            "adds the column sums",
            _corrected(
                lambda rows, columns, length, z_lhs, z_rhs: (
                    z_rhs * rows - z_lhs * columns - length * z_lhs * z_rhs
                )
            ),
            "(a - Z_a)(b - Z_b) has two terms with a minus: take the column sums away as well.",
        ),
        Misconception(
            "takes another length than K for the last term",
            _corrected(
                lambda rows, columns, length, z_lhs, z_rhs: (
                    z_rhs * rows + z_lhs * columns - len(rows) * z_lhs * z_rhs
                )
            ),
            "K is the length of the sums, q_lhs.shape[1]; M and N are the shape of the result.",
        ),
        Misconception(
            "takes another length than K for the last term",
            _corrected(
                lambda rows, columns, length, z_lhs, z_rhs: (
                    z_rhs * rows + z_lhs * columns - columns.numel() * z_lhs * z_rhs
                )
            ),
            "K is the length of the sums, q_lhs.shape[1]; M and N are the shape of the result.",
        ),
        Misconception(
            "sums over whole matrices",
            _corrected(
                lambda rows, columns, length, z_lhs, z_rhs: (
                    z_rhs * rows.sum() + z_lhs * columns.sum() - length * z_lhs * z_rhs
                )
            ),
            "Each row of q_lhs has a sum of its own (dim=1), and each column of q_rhs (dim=0).",
        ),
        Misconception(
            "corrects for lhs_zero_point alone",
            _corrected(lambda rows, columns, length, z_lhs, z_rhs: z_lhs * columns),
            "The right operand has a zero point, too.",
        ),
        Misconception(
            "corrects for rhs_zero_point alone",
            _corrected(lambda rows, columns, length, z_lhs, z_rhs: z_rhs * rows),
            "The left operand has a zero point, too.",
        ),
        Misconception(
            "subtracts the zero points in 8 bits",
            _subtracts_in_8_bits,
            "q - Z needs 9 bits: 3 - 128 wraps to 131 in uint8. That is why chips multiply the "
            "codes as they are and correct afterwards.",
        ),
        Misconception(
            "multiplies codes and zero points in 8 bits",
            _products_in_8_bits,
            "q_lhs * rhs_zero_point has the dtype of q_lhs and wraps. Sum first (torch sums in "
            "int64), then multiply the sums.",
        ),
        Misconception(
            "adds up in 16 bits",
            _in_16_bits,
            "q - Z fits into int16, the sum of the products does not (exercise 3.1). Use int32.",
        ),
    ),
)
