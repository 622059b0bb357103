"""Exercise 3.2: multiply matrices of codes."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.lab3.inputs import int8_codes, uint8_codes
from labkit.checks.rules import Codes


def gemm(q_lhs: Tensor, q_rhs: Tensor) -> Tensor:
    """Return the exact product of two matrices of 8-bit codes, int32."""
    return q_lhs.to(torch.int32) @ q_rhs.to(torch.int32)


def _gemm_cases(rng: torch.Generator) -> list[Case]:
    one, small = whole(rng, 90, 120, 1, 1).char(), whole(rng, -5, 5, 1, 3).char()
    long_lhs = torch.randint(200, 256, (3, 2051), generator=rng, dtype=torch.uint8)
    long_rhs = torch.randint(100, 128, (2051, 4), generator=rng, dtype=torch.int8)
    return [
        Case("one product", (one, -one)),
        Case("a row times a column", (small, small.t())),
        Case("signed codes", (int8_codes(rng, 3, 4), int8_codes(rng, 4, 2))),
        Case("unsigned times signed", (uint8_codes(rng, 2, 5), int8_codes(rng, 5, 3))),
        Case("square, unsigned times signed", (uint8_codes(rng, 4, 4), int8_codes(rng, 4, 4))),
        Case(
            "the largest codes",
            (torch.full((2, 7), 255).byte(), torch.full((7, 1), 127).char()),
        ),
        Case("a sum beyond 2^24", (long_lhs, long_rhs)),
        Case("not contiguous", (int8_codes(rng, 6, 3).t(), int8_codes(rng, 2, 6).t())),
    ]


def _through_float32(q_lhs: Tensor, q_rhs: Tensor) -> Tensor:
    return (q_lhs.to(torch.float32) @ q_rhs.to(torch.float32)).to(torch.int32)


GEMM = Exercise(
    id="3.2",
    title="Multiply matrices of codes",
    points=2,
    minutes=(5, 8),
    reference=gemm,
    cases=_gemm_cases,
    rules=(Codes(),),
    hints=(
        "torch computes in the dtype of what it is given. In which dtype is the product of two "
        "int8 tensors? Try torch.tensor([100]).char() * 2.",
        "Make room first: convert both operands to int32, and only then multiply.",
        "q_lhs.to(torch.int32) @ q_rhs.to(torch.int32).",
    ),
    misconceptions=(
        Misconception(
            "multiplies in 8 bits",
            lambda q_lhs, q_rhs: (q_lhs.unsqueeze(2) * q_rhs.unsqueeze(0)).sum(1),
            "A product of two int8 tensors is int8 again, and wraps. Convert both to int32 before "
            "you multiply; converting the result comes too late.",
        ),
        Misconception(
            "adds up in 8 bits",
            lambda q_lhs, q_rhs: q_lhs.to(torch.int8) @ q_rhs.to(torch.int8),
            "An int8 product wraps at 127, and codes of uint8 above 127 become negative. Convert "
            "both to int32 first.",
        ),
        Misconception(
            "adds up in 16 bits",
            lambda q_lhs, q_rhs: q_lhs.to(torch.int16) @ q_rhs.to(torch.int16),
            "int16 holds one product of the largest codes and no second one (exercise 3.1). Use "
            "int32.",
        ),
        Misconception(
            "adds up in float32",
            _through_float32,
            "float32 has 24 bits for the number: beyond 2^24 it cannot count by one any more. "
            "Convert to int32, not to float32.",
        ),
        Misconception(
            "reads unsigned codes as signed ones",
            lambda q_lhs, q_rhs: gemm(q_lhs.to(torch.int8), q_rhs.to(torch.int8)),
            "In int8 the code 255 of uint8 becomes -1. Convert each operand straight to int32.",
        ),
        Misconception(
            "takes the left operand for unsigned, whatever its dtype",
            lambda q_lhs, q_rhs: gemm(q_lhs.to(torch.uint8), q_rhs),
            "In uint8 the code -1 of int8 becomes 255. Convert each operand straight to int32.",
        ),
        Misconception(
            "clamps the sums to 8 bits",
            lambda q_lhs, q_rhs: gemm(q_lhs, q_rhs).clamp(-128, 127),
            "These sums are accumulators, not codes yet: they need all of their 32 bits.",
        ),
    ),
)
