"""Exercise 3.9: a linear layer in integers only."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import INT8, UINT8, one, whole
from labkit.checks.lab3.fold_zero_point import fold_zero_point
from labkit.checks.lab3.gemm import gemm
from labkit.checks.lab3.inputs import accumulators, int8_codes, uint8_codes, weight_codes
from labkit.checks.lab3.integer_linear_slips import MISCONCEPTIONS
from labkit.checks.lab3.requantize import requantize
from labkit.checks.rules import Codes


def integer_linear(
    q_x: Tensor,
    q_w: Tensor,
    q_bias: Tensor,
    x_zero_point: int,
    mantissa: int,
    shift: int,
    zero_point: int,
    qmin: int,
    qmax: int,
) -> Tensor:
    """Return the codes of a linear layer's result, [M, out], from codes [M, in] and [out, in]."""
    acc = gemm(q_x, q_w.t()) + fold_zero_point(q_bias, q_w, x_zero_point)
    return requantize(acc, mantissa, shift, zero_point, qmin, qmax)


def _linear_cases(rng: torch.Generator) -> list[Case]:
    mantissas = torch.randint(2**30, 2**31, (5,), generator=rng).tolist()
    none, bias = torch.zeros(3).int(), accumulators(rng, 90, 5)
    square = (uint8_codes(rng, 4, 4), weight_codes(rng, 4, 4), accumulators(rng, 20000, 4))
    wide = (uint8_codes(rng, 2, 300), weight_codes(rng, 5, 300), accumulators(rng, 90000, 5))
    signed = (int8_codes(rng, 3, 40), weight_codes(rng, 6, 40), accumulators(rng, 40000, 6))
    small = (whole(rng, 5, 9, 1, 1).byte(), whole(rng, -30, -20, 1, 1).char(), bias[:1])
    # A sum that float32 has not, and a bias that leaves little of it.
    left = 2 * one(rng, 3, 40) + 1
    largest = (torch.full((1, 521), 255).byte(), torch.full((1, 521), 127).char())
    taken_back = torch.tensor([left - 521 * 255 * 127], dtype=torch.int32)
    halves = (whole(rng, 0, 3, 4, 3).byte(), whole(rng, -3, 3, 5, 3).char(), bias)
    return [
        Case("one product", (*small, 4, 2**30, 3, 0, *INT8)),
        Case(
            "no bias, zero points 0",
            (uint8_codes(rng, 2, 6), weight_codes(rng, 3, 6), none, 0, mantissas[0], 9, 0, *INT8),
        ),
        Case(
            "a zero point of the input",
            (uint8_codes(rng, 2, 6), weight_codes(rng, 3, 6), none, 120, mantissas[1], 9, 0, *INT8),
        ),
        Case("a bias", (*signed, 0, mantissas[2], 11, 0, *INT8)),
        Case("as many rows as inputs and outputs", (*square, 101, mantissas[3], 10, 20, *UINT8)),
        Case("everything at once", (*wide, 131, mantissas[4], 11, -30, *INT8)),
        Case("signed codes, unsigned results", (*signed, -90, mantissas[1], 11, 128, *UINT8)),
        Case("results beyond the codes", (*signed, -3, mantissas[3], 6, 5, *INT8)),
        Case("results that end in one half", (*halves, 1, 2**30, 0, 7, *INT8)),
        Case("a bias takes a large sum back", (*largest, taken_back, 0, 2**30, -1, 3, *INT8)),
        Case("the lower end at the zero point", (*square, 128, mantissas[0], 10, 30, 30, 127)),
    ]


INTEGER_LINEAR = Exercise(
    id="3.9",
    title="A linear layer in integers only",
    points=3,
    minutes=(8, 12),
    reference=integer_linear,
    cases=_linear_cases,
    rules=(Codes(),),
    hints=(
        "You have all the parts: gemm, fold_zero_point, requantize. In which order?",
        "gemm wants [M, K] and [K, N]; the weights are [out, in]. The folded bias has the shape "
        "[out] and is added to every row of the accumulators.",
        "acc = gemm(q_x, q_w.t()) + fold_zero_point(q_bias, q_w, x_zero_point); return "
        "requantize(acc, mantissa, shift, zero_point, qmin, qmax).",
    ),
    misconceptions=MISCONCEPTIONS,
)
