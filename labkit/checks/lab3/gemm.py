"""Exercise 3.2: multiply matrices of codes."""

from collections.abc import Callable
from functools import partial

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


def _multiplied(
    q_lhs: Tensor,
    q_rhs: Tensor,
    *,
    left: Callable[[Tensor], Tensor] = torch.Tensor.long,
    right: Callable[[Tensor], Tensor] = torch.Tensor.long,
    length: Callable[[int], int] = lambda length: length,
    summed: Callable[[Tensor, Tensor], Tensor] = torch.matmul,
    ended: Callable[[Tensor], Tensor] = torch.Tensor.int,
) -> Tensor:
    """Return the product of the operands, of which any part may be another one."""
    used = length(q_lhs.shape[1])
    return ended(summed(left(q_lhs[:, :used]), right(q_rhs[:used])))


def _in(dtype: torch.dtype) -> Callable[..., Tensor]:
    """Return a product of operands of one dtype, in which their sums stay."""
    return partial(_multiplied, left=lambda q: q.to(dtype), right=lambda q: q.to(dtype))


def _each_product(lhs: Tensor, rhs: Tensor) -> Tensor:
    return (lhs.unsqueeze(2) * rhs.unsqueeze(0)).sum(1)


def _in_short_sums(count: int, saturated: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a product whose sums of `count` terms are kept in 16 bits before they are added."""

    def summed(lhs: Tensor, rhs: Tensor) -> Tensor:
        parts = zip(lhs.split(count, dim=1), rhs.split(count), strict=True)
        short = torch.stack([one @ other for one, other in parts])
        kept = short.clamp(-(2**15), 2**15 - 1) if saturated else short.to(torch.int16).long()
        return kept.sum(0)

    return summed


def _saturated(lhs: Tensor, rhs: Tensor) -> Tensor:
    """Return a product whose sums end at those of int16 after each term."""
    acc = torch.zeros(len(lhs), rhs.shape[1], dtype=torch.int64)
    for k in range(lhs.shape[1]):
        acc = (acc + lhs[:, k, None] * rhs[k]).clamp(-(2**15), 2**15 - 1)
    return acc


def _unsigned_less_128(q: Tensor) -> Tensor:
    return q.long() - 128 * (q.dtype == torch.uint8)


SHORT_SUMS = (
    "Two products of the largest codes need 17 bits (exercise 3.1): add up in int32 from the "
    "first one on."
)
WHOLE_LENGTH = "A sum has q_lhs.shape[1] products, also where that is no multiple of 2, 4 or 8."


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
            partial(_multiplied, left=lambda q: q, right=lambda q: q, summed=_each_product),
            "A product of two int8 tensors is int8 again, and wraps. Convert both to int32 "
            "before you multiply; converting the result comes too late.",
        ),
        Misconception(
            "adds up in 8 bits",
            _in(torch.int8),
            "An int8 product wraps at 127, and codes of uint8 above 127 become negative. Convert "
            "both to int32 first.",
        ),
        Misconception(
            "adds up in 16 bits",
            _in(torch.int16),
            "int16 holds one product of the largest codes and no second one (exercise 3.1). Use "
            "int32.",
        ),
        Misconception(
            "adds up in float32",
            _in(torch.float32),
            "float32 has 24 bits for the number: beyond 2^24 it cannot count by one any more. "
            "Convert to int32, not to float32.",
        ),
        Misconception(
            "adds up in float16",
            partial(_in(torch.float16), ended=lambda acc: acc.float()),
            "float16 has 11 bits for the number and ends at 65504: beyond 2048 it cannot count "
            "by one any more. Convert to int32.",
        ),
        Misconception(
            "adds up in bfloat16",
            partial(_in(torch.bfloat16), ended=lambda acc: acc.float()),
            "bfloat16 has 8 bits for the number: beyond 256 it cannot count by one any more. "
            "Convert to int32.",
        ),
        Misconception(
            "reads unsigned codes as signed ones",
            partial(_multiplied, left=lambda q: q.char().long(), right=lambda q: q.char().long()),
            "In int8 the code 255 of uint8 becomes -1. Convert each operand straight to int32.",
        ),
        Misconception(
            "takes the left operand for unsigned, whatever its dtype",
            partial(_multiplied, left=lambda q: q.byte().long()),
            "In uint8 the code -1 of int8 becomes 255. Convert each operand straight to int32.",
        ),
        Misconception(
            "takes the right operand for unsigned",
            partial(_multiplied, right=lambda q: q.byte().long()),
            "In uint8 the code -1 of int8 becomes 255. Convert each operand straight to int32.",
        ),
        Misconception(
            "takes 128 off unsigned codes",
            partial(_multiplied, left=_unsigned_less_128),
            "That makes other codes of them, and the zero point would have to move as well. "
            "Convert q_lhs to int32 as it is.",
        ),
        Misconception(
            "clamps unsigned codes to 127",
            partial(_multiplied, left=lambda q: q.long().clamp(max=127)),
            "The codes 128 to 255 of uint8 are lost that way. Convert q_lhs straight to int32.",
        ),
        Misconception(
            "takes the magnitudes of the codes",
            partial(_multiplied, left=lambda q: q.long().abs(), right=lambda q: q.long().abs()),
            "Codes have signs, and so have their products: no abs().",
        ),
        Misconception(
            "adds two products at a time in 16 bits, saturated",
            partial(_multiplied, summed=_in_short_sums(2, True)),
            SHORT_SUMS,
        ),
        Misconception(
            "adds two products at a time in 16 bits",
            partial(_multiplied, summed=_in_short_sums(2, False)),
            SHORT_SUMS,
        ),
        Misconception(
            "adds four products at a time in 16 bits",
            partial(_multiplied, summed=_in_short_sums(4, False)),
            SHORT_SUMS,
        ),
        Misconception(
            "adds eight products at a time in 16 bits",
            partial(_multiplied, summed=_in_short_sums(8, False)),
            SHORT_SUMS,
        ),
        Misconception(
            "leaves the last product out",
            partial(_multiplied, length=lambda length: length - 1),
            "range(K) runs to K - 1 already: the sum has q_lhs.shape[1] products.",
        ),
        Misconception(
            "drops what is beyond a multiple of 4",
            partial(_multiplied, length=lambda length: length - length % 4),
            WHOLE_LENGTH,
        ),
        Misconception(
            "drops what is beyond a multiple of 2",
            partial(_multiplied, length=lambda length: length - length % 2),
            WHOLE_LENGTH,
        ),
        Misconception(
            "drops what is beyond a multiple of 8",
            partial(_multiplied, length=lambda length: length - length % 8),
            WHOLE_LENGTH,
        ),
        Misconception(
            "transposes the right operand",
            partial(_multiplied, summed=lambda lhs, rhs: lhs @ rhs.t()),
            "q_rhs is [K, N] already, unlike the weights of F.linear: q_lhs @ q_rhs.",
        ),
        Misconception(
            "transposes the left operand",
            partial(_multiplied, summed=lambda lhs, rhs: lhs.t() @ rhs),
            "q_lhs is [M, K] already: q_lhs @ q_rhs.",
        ),
        Misconception(
            "takes the mean instead of the sum",
            partial(
                _multiplied,
                ended=lambda acc: acc,
                summed=lambda lhs, rhs: (lhs @ rhs) / lhs.shape[1],
            ),
            "A product of matrices adds up: no division by K.",
        ),
        Misconception(
            "clamps the sums to 8 bits",
            partial(_multiplied, ended=lambda acc: acc.clamp(-128, 127)),
            "These sums are accumulators, not codes yet: they need all of their 32 bits.",
        ),
        Misconception(
            "clamps the sums to 16 bits",
            partial(_multiplied, ended=lambda acc: acc.clamp(-(2**15), 2**15 - 1)),
            "These sums are accumulators: they need all of their 32 bits.",
        ),
        Misconception(
            "saturates the sum at 16 bits after each product",
            partial(_multiplied, summed=_saturated),
            "These sums are accumulators: they need all of their 32 bits.",
        ),
        Misconception(
            "leaves the first product out",
            partial(_multiplied, summed=lambda lhs, rhs: lhs[:, 1:] @ rhs[1:]),
            "range(1, K) begins at the second product: the sum has q_lhs.shape[1] of them, from 0 "
            "on.",
        ),
    ),
)
