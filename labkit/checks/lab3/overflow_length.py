"""Exercise 3.1: how long a sum may be."""

import operator
from collections.abc import Callable
from functools import partial

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


def _fitted(
    largest_x: int,
    largest_w: int,
    bits: int,
    *,
    width: Callable[[int], int] = lambda bits: bits,
    end: Callable[[int], int] = lambda bits: 2 ** (bits - 1) - 1,
    product: Callable[[int, int], float] = operator.mul,
    divided: Callable[[int, float], float] = operator.floordiv,
    counted: Callable[[float], float] = lambda count: count,
) -> float:
    """Return how many products fit, of which any part may be another one."""
    return counted(divided(end(width(bits)), product(largest_x, largest_w)))


PRODUCTS = "What is added up are products: divide by largest_x * largest_w."


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
            partial(_fitted, end=lambda bits: 2**bits - 1),
            "Products can be negative, so one bit is the sign: the largest is 2**(bits - 1) - 1.",
        ),
        Misconception(
            "takes the accumulator for unsigned, and lets the sum reach 2**bits",
            partial(_fitted, end=lambda bits: 2**bits),
            "One bit is the sign, and one number is 0: the largest is 2**(bits - 1) - 1.",
        ),
        Misconception(
            "lets the sum reach 2**(bits - 1)",
            partial(_fitted, end=lambda bits: 2 ** (bits - 1)),
            "That number does not exist: signed integers end one below it, 127 for 8 bits.",
        ),
        Misconception(
            "does not count a sum that reaches the end",
            partial(_fitted, end=lambda bits: 2 ** (bits - 1) - 2),
            "The largest number, 2**(bits - 1) - 1, still fits: compare with <=, not with <.",
        ),
        Misconception(
            "takes two bits away for signs",
            partial(_fitted, end=lambda bits: 2 ** (bits - 2) - 1),
            "The accumulator has one sign, however many factors have one: 2**(bits - 1) - 1.",
        ),
        Misconception(
            "counts the product that overflows",
            partial(_fitted, counted=lambda count: count + 1),
            "Asked is how many still fit, not which one is too many.",
        ),
        Misconception(
            "counts one product fewer than fit",
            partial(_fitted, counted=lambda count: count - 1),
            "The quotient, rounded down, already is the number that fits: take nothing away.",
        ),
        Misconception(
            "says that one product always fits",
            partial(_fitted, counted=lambda count: max(count, 1)),
            "In a narrow accumulator not even one does, and then the answer is 0: return the "
            "quotient as it is.",
        ),
        Misconception(
            "divides to a real number",
            partial(_fitted, divided=operator.truediv),
            "A count is whole: use // instead of /.",
        ),
        Misconception(
            "cuts off a quotient of floats",
            partial(_fitted, divided=lambda end, product: int(end / product)),
            "/ makes a float of 53 bits, in which 2**63 - 1 is 2**63. // stays in integers.",
        ),
        Misconception(
            "rounds to the nearest",
            partial(_fitted, divided=lambda end, product: round(end / product)),
            "A product that fits by half does not fit: round down.",
        ),
        Misconception(
            "rounds up",
            partial(_fitted, divided=lambda end, product: -(-end // product)),
            "A product that fits in part does not fit: round down, with //.",
        ),
        Misconception(
            "adds the two codes instead of multiplying them",
            partial(_fitted, product=operator.add),
            "What is added up are products: largest_x * largest_w each.",
        ),
        Misconception(
            "takes ^ for a power",
            partial(_fitted, end=lambda bits: (2 ^ (bits - 1)) - 1),
            "In Python ^ combines bits (exclusive or). A power is written 2 ** n.",
        ),
        Misconception(
            "takes ^ for a power",
            partial(_fitted, end=lambda bits: 2 ^ (bits - 1) - 1),
            "In Python ^ combines bits (exclusive or). A power is written 2 ** n.",
        ),
        Misconception(
            "ignores `bits`",
            partial(_fitted, width=lambda bits: 32),
            "The accumulator is not always one of 32 bits: its largest number is 2**(bits - 1) - "
            "1.",
        ),
        Misconception(
            "ignores `bits`",
            partial(_fitted, width=lambda bits: 16),
            "The accumulator is not always one of 16 bits: its largest number is 2**(bits - 1) - "
            "1.",
        ),
        Misconception(
            "divides in float32",
            partial(_fitted, divided=lambda end, product: int(torch.tensor(float(end)) / product)),
            "float32 counts by one up to 2^24 only. Divide Python's integers, with //.",
        ),
        Misconception(
            "divides by one of the two codes only",
            partial(_fitted, product=max),
            PRODUCTS,
        ),
        Misconception(
            "divides by `largest_x` only",
            partial(_fitted, product=lambda x, w: x),
            PRODUCTS,
        ),
        Misconception(
            "divides by `largest_w` only",
            partial(_fitted, product=lambda x, w: w),
            PRODUCTS,
        ),
        Misconception(
            "squares `largest_x`",
            partial(_fitted, product=lambda x, w: x * x),
            PRODUCTS,
        ),
        Misconception(
            "squares `largest_w`",
            partial(_fitted, product=lambda x, w: w * w),
            PRODUCTS,
        ),
        Misconception(
            "counts the codes, 0 among them, instead of taking the largest",
            partial(_fitted, product=lambda x, w: (x + 1) * (w + 1)),
            "largest_x and largest_w are magnitudes already: no 1 is added to them.",
        ),
    ),
)
