"""Exercise 0.1: how many values. The warm-up, which the notebook first gets wrong on purpose."""

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Integer


def count_values(bits: int) -> int:
    """Return how many different values `bits` bits can hold: 2^bits."""
    return 2**bits


def _count_cases(rng: torch.Generator) -> list[Case]:
    # Few enough to write all patterns down, as an answer may do.
    drawn = 4 + torch.randperm(13, generator=rng)[:6]
    return [Case("1 bit" if b == 1 else f"{b} bits", (b,)) for b in (1, 3, *drawn.tolist())]


COUNT_VALUES = Exercise(
    id="0.1",
    title="How many values",
    points=1,
    minutes=(5, 8),
    reference=count_values,
    cases=_count_cases,
    rules=(Integer(),),
    hints=(
        "Write down all patterns of 1 bit, of 2 bits, of 3 bits. How does their number grow?",
        "Each further bit can be 0 or 1 after every pattern that you had: it doubles them.",
        "Doubled once for each bit: 2**bits.",
    ),
    misconceptions=(
        Misconception(
            "adds two for each bit",
            lambda bits: 2 * bits,
            "A further bit doubles the patterns, it does not add two: 2, 4, 8, 16. For 1 and 2 "
            "bits both give the same.",
        ),
        Misconception(
            "squares the bits",
            lambda bits: bits**2,
            "2 and 4 bits fit, 3 do not: the base is 2 and the number of bits is the exponent.",
        ),
        Misconception(
            "uses ^ for a power",
            lambda bits: 2 ^ bits,
            "In Python ^ compares bits (exclusive or); a power is written 2**bits.",
        ),
        Misconception(
            "returns a float",
            lambda bits: 2.0**bits,
            "A count is whole: 2**bits. math.pow and 2.0 make a float of it, which counts by one "
            "up to 2^53 only.",
        ),
        Misconception(
            "gives one value too few",
            lambda bits: 2**bits - 1,
            "2**bits - 1 is the largest unsigned number, and 0 is a value, too. (Symmetric codes, "
            "from -127 to 127, leave one out.)",
        ),
        Misconception(
            "counts whole bytes only",
            lambda bits: 256 ** (bits // 8),
            "bits // 8 drops what does not fill a byte, and every bit counts: 12 bits hold 4096 "
            "values.",
        ),
        Misconception(
            "counts the bytes that the bits fill",
            lambda bits: 256 ** -(-bits // 8),
            "That is for 8 or 16 bits; 12 of them hold 4096 values, not 65536.",
        ),
        Misconception(
            "keeps a bit for the sign",
            lambda bits: 2 ** (bits - 1),
            "A sign bit tells patterns apart as well: every bit doubles their number.",
        ),
    ),
)
