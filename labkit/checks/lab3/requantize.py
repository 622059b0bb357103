"""Exercise 3.7: from accumulators to codes."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import INT4, INT8, UINT8, one, whole
from labkit.checks.lab3.inputs import accumulators
from labkit.checks.lab3.requantize_slips import MISCONCEPTIONS
from labkit.checks.lab3.rounding_right_shift import rounding_right_shift
from labkit.checks.rules import Codes


def requantize(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    """Return clamp(round(acc * mantissa / 2^(31 + shift)) + zero_point, qmin, qmax)."""
    product = acc.to(torch.int64) * mantissa
    q = rounding_right_shift(product, 31 + shift) + zero_point
    return q.clamp(qmin, qmax).to(torch.int32)


def _requantize_cases(rng: torch.Generator) -> list[Case]:
    mantissas = whole(rng, 2**30, 2**31 - 1, 3).tolist()
    large = accumulators(rng, 2**28, 3, 3)
    # Below and above the tie the even neighbour; a zero point that changes the sign of all ties.
    odd = torch.tensor([4 * one(rng, 0, 4) + 1, 4 * one(rng, 0, 4) + 3], dtype=torch.int32)
    ties = torch.cat([odd, -odd])
    nearly_one, even = 2**31 - one(rng, 1, 999), 2 * one(rng, 10, 30)
    # Just below one half: what is left after a first rounding by `least` bits is a tie.
    least = one(rng, 6, 16)
    below = torch.tensor([2 ** (least - 1), -(2 ** (least - 1))], dtype=torch.int32)
    # Just below a tie, above it by the last bit of the mantissa; the even neighbour lies below.
    by_a_bit = torch.tensor([1, -1]) * ((4 * one(rng, 20, 30) + 1) * 2**24 - 1)
    huge = torch.tensor([2**30, -(2**30), 2**31 - 1, one(rng, 0, 2**29)], dtype=torch.int32)
    return [
        Case("one accumulator", (whole(rng, 500, 2000, 1).int(), 3 * 2**29, 4, 0, *INT8)),
        Case("zero point 0", (accumulators(rng, 9000, 5), mantissas[0], 6, 0, *INT8)),
        Case(
            "a zero point that is not 0", (accumulators(rng, 5000, 4), mantissas[1], 5, 77, *UINT8)
        ),
        Case("a negative zero point", (accumulators(rng, 5000, 2, 3), mantissas[2], 6, -40, *INT8)),
        Case("ties, an odd zero point", (ties, 2**30, 0, even + 1, *INT8)),
        Case("ties, an even zero point", (ties, 2**30, 0, -even, *INT8)),
        Case("a hair beside a tie", (ties, nearly_one, 1, 0, *INT8)),
        Case("just below one half", (below, 2**31 - 1, least, 3, *INT8)),
        Case("the mantissa's last bit", (by_a_bit.int(), 2**30 + 1, 24, 1, *INT8)),
        Case("results out of range", (accumulators(rng, 90000, 8), mantissas[0], 6, 9, *UINT8)),
        Case(
            "results out of range, 4 bits", (accumulators(rng, 9000, 8), mantissas[1], 6, 2, *INT4)
        ),
        Case("large accumulators", (large, mantissas[2], 21, 0, *INT8)),
        Case("a multiplier above 1", (accumulators(rng, 30, 6), mantissas[1], -2, 5, *INT8)),
        Case("a shift by 62 in all", (huge, mantissas[0], 31, 0, *INT8)),
        Case(
            "the lower end at the zero point", (accumulators(rng, 9000, 8), 2**30, 6, 10, 10, 127)
        ),
    ]


REQUANTIZE = Exercise(
    id="3.7",
    title="From accumulators to codes",
    points=3,
    minutes=(10, 15),
    reference=requantize,
    cases=_requantize_cases,
    rules=(Codes(),),
    hints=(
        "Four steps, as in lab 1: scale, round, shift by the zero point, clamp. The first two are "
        "one multiplication and your rounding_right_shift.",
        "acc * mantissa has up to 62 bits, so acc must be int64 before. Then it is 2^31 * 2^shift "
        "times too large.",
        "product = acc.to(torch.int64) * mantissa; q = rounding_right_shift(product, 31 + shift) + "
        "zero_point; return q.clamp(qmin, qmax).to(torch.int32).",
    ),
    misconceptions=MISCONCEPTIONS,
)
