"""Exercise 3.1: how long a sum may be."""

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, whole
from labkit.checks.rules import Codes


def overflow_length(largest_x: int, largest_w: int, bits: int) -> int:
    """Return how many products largest_x * largest_w a signed accumulator of `bits` bits holds."""
    return (2 ** (bits - 1) - 1) // (largest_x * largest_w)


def _overflow_cases(rng: torch.Generator) -> list[Case]:
    drawn = whole(rng, 2, 255, 4, 2).tolist()
    return [
        Case("uint8 times int8 in 16 bits", (255, 127, 16)),
        Case("uint8 times int8 in 25 bits, what float32 holds exactly", (255, 127, 25)),
        Case("uint8 times int8 in 32 bits", (255, 127, 32)),
        Case("not even one product", (one(rng, 200, 255), one(rng, 200, 255), 16)),
        Case("ones", (1, 1, one(rng, 6, 12))),
        Case("powers of two", (2 ** one(rng, 3, 7), 2 ** one(rng, 3, 7), one(rng, 16, 24))),
        # The largest number is none of float32's.
        Case("powers of two, many bits", (2 ** one(rng, 5, 7), 128, one(rng, 26, 32))),
        Case("powers of two in 64 bits", (2 ** one(rng, 22, 24), 2 ** one(rng, 22, 24), 64)),
        Case("4 bits in 16 bits", (one(rng, 9, 15), one(rng, 3, 7), 16)),
        *(Case("drawn at random", (x, w, 20 + 4 * i)) for i, (x, w) in enumerate(drawn)),
    ]


OVERFLOW_LENGTH = Exercise(
    id="3.1",
    title="How long a sum may be",
    points=1,
    minutes=(5, 8),
    extra=True,
    reference=overflow_length,
    cases=_overflow_cases,
    rules=(Codes(),),
    hints=(
        "How large is the largest number in a signed integer of 8 bits? Of n bits? How large is "
        "one product?",
        "The largest number is 2**(bits - 1) - 1. Count how many whole products fit below it.",
        "(2**(bits - 1) - 1) // (largest_x * largest_w), with // so that the result is an integer.",
    ),
    misconceptions=(
        Misconception(
            "takes the accumulator for unsigned",
            lambda largest_x, largest_w, bits: (2**bits - 1) // (largest_x * largest_w),
            "Products can be negative, so one bit is the sign: the largest is 2**(bits - 1) - 1.",
        ),
        Misconception(
            "lets the sum reach 2**(bits - 1)",
            lambda largest_x, largest_w, bits: 2 ** (bits - 1) // (largest_x * largest_w),
            "That number does not exist: signed integers end one below it, 127 for 8 bits.",
        ),
        Misconception(
            "counts the product that overflows",
            lambda largest_x, largest_w, bits: overflow_length(largest_x, largest_w, bits) + 1,
            "Asked is how many still fit, not which one is too many.",
        ),
        Misconception(
            "divides to a real number",
            lambda largest_x, largest_w, bits: (2 ** (bits - 1) - 1) / (largest_x * largest_w),
            "A count is whole: use // instead of /.",
        ),
        Misconception(
            "cuts off a quotient of floats",
            lambda largest_x, largest_w, bits: int((2 ** (bits - 1) - 1) / (largest_x * largest_w)),
            "/ makes a float of 53 bits, in which 2**63 - 1 is 2**63. // stays in integers.",
        ),
        Misconception(
            "rounds to the nearest",
            lambda largest_x, largest_w, bits: round(
                (2 ** (bits - 1) - 1) / (largest_x * largest_w)
            ),
            "A product that fits by half does not fit: round down.",
        ),
        Misconception(
            "adds the two codes instead of multiplying them",
            lambda largest_x, largest_w, bits: (2 ** (bits - 1) - 1) // (largest_x + largest_w),
            "What is added up are products: largest_x * largest_w each.",
        ),
        Misconception(
            "takes ^ for a power",
            lambda largest_x, largest_w, bits: (2 ^ (bits - 1) - 1) // (largest_x * largest_w),
            "In Python ^ combines bits (exclusive or). A power is written 2 ** n.",
        ),
        Misconception(
            "ignores `bits`",
            lambda largest_x, largest_w, bits: overflow_length(largest_x, largest_w, 32),
            "The accumulator is not always one of 32 bits: its largest number is "
            "2**(bits - 1) - 1.",
        ),
        Misconception(
            "ignores `bits`",
            lambda largest_x, largest_w, bits: overflow_length(largest_x, largest_w, 16),
            "The accumulator is not always one of 16 bits: its largest number is "
            "2**(bits - 1) - 1.",
        ),
        Misconception(
            "divides in float32",
            lambda largest_x, largest_w, bits: int(
                torch.tensor(2.0 ** (bits - 1) - 1) / (largest_x * largest_w)
            ),
            "float32 counts by one up to 2^24 only. Divide Python's integers, with //.",
        ),
        Misconception(
            "divides by one of the two codes only",
            lambda largest_x, largest_w, bits: (2 ** (bits - 1) - 1) // max(largest_x, largest_w),
            "What is added up are products: divide by largest_x * largest_w.",
        ),
    ),
)
