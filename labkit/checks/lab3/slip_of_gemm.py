"""Exercise 3.13: which slip gave these accumulators."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.inputs import one, whole
from labkit.checks.slip_names import likeliest, name_the_slip

Gemm = Callable[[Tensor, Tensor, int, int], Tensor]

SLIPS: dict[str, Gemm] = {
    "right": lambda lhs, rhs, zl, zr: (lhs - zl) @ (rhs - zr),
    "no zero points": lambda lhs, rhs, zl, zr: lhs @ rhs,
    "left one only": lambda lhs, rhs, zl, zr: (lhs - zl) @ rhs,
    "right one only": lambda lhs, rhs, zl, zr: lhs @ (rhs - zr),
    "zero points added": lambda lhs, rhs, zl, zr: (lhs + zl) @ (rhs + zr),
    "last term left out": lambda lhs, rhs, zl, zr: (lhs - zl) @ (rhs - zr) - lhs.shape[1] * zl * zr,
}


def slip_of_gemm(
    q_lhs: Tensor, q_rhs: Tensor, lhs_zero_point: int, rhs_zero_point: int, acc: Tensor
) -> str:
    """Return the name of the slip that gives the accumulators, by trying all of them."""
    return likeliest(SLIPS, (q_lhs, q_rhs, lhs_zero_point, rhs_zero_point), acc)


def _inputs(rng: torch.Generator) -> tuple[Tensor, Tensor, int, int]:
    rows, inner, columns = one(rng, 2, 4), one(rng, 3, 6), one(rng, 2, 4)
    lhs, rhs = whole(rng, -50, 50, rows, inner), whole(rng, -50, 50, inner, columns)
    return lhs, rhs, one(rng, 2, 30), -one(rng, 2, 30)


SLIP_OF_GEMM = name_the_slip(
    id="3.13",
    title="Name the slip",
    minutes=(10, 15),
    reference=slip_of_gemm,
    slips=SLIPS,
    inputs=_inputs,
    hints=(
        "Subtract the right accumulators. What is left is a pattern: one number everywhere, equal "
        "rows, or equal columns.",
        "Without the last term the difference is K * Z * Z everywhere. Without the left zero point "
        "all its rows are equal: it depends on the column sums of q_rhs only.",
        "Write the six as lines, (q_lhs - lhs_zero_point) @ (q_rhs - rhs_zero_point) and the five "
        "others, and return the name of the one that torch.equal finds.",
    ),
    confusions=(
        (
            "last term left out",
            "right",
            "A constant difference is easy to overlook in large numbers: subtract the right ones.",
        ),
        (
            "left one only",
            "right one only",
            "The left zero point meets the column sums of q_rhs, the right one the row sums of "
            "q_lhs.",
        ),
        (
            "zero points added",
            "no zero points",
            "Adding them is twice as far off as leaving them out, in first order.",
        ),
    ),
    signs={
        "right": "Right accumulators are (q_lhs - lhs_zero_point) @ (q_rhs - rhs_zero_point).",
        "no zero points": "Without zero points they are q_lhs @ q_rhs.",
        "left one only": "With the left one only, it is the left one that is subtracted: (q_lhs - "
        "lhs_zero_point) @ q_rhs.",
        "right one only": "With the right one only, it is the right one that is subtracted: q_lhs "
        "@ (q_rhs - rhs_zero_point).",
        "zero points added": "With zero points added they are (q_lhs + lhs_zero_point) @ (q_rhs + "
        "rhs_zero_point).",
        "last term left out": "Without the last term, K * lhs_zero_point * rhs_zero_point is "
        "missing everywhere, with K = q_lhs.shape[1]: the right ones less that number.",
    },
)
