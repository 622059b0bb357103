"""Exercise 0.6: round a float32 to bf16 by hand."""

from collections.abc import Callable
from functools import partial

import torch

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.lab0.inputs import integer
from labkit.checks.rules import Codes


def round_to_bf16(pattern: int) -> int:
    """Return the 16 bits of the bf16 nearest to a float32, given by its 32 bits; ties to even.

    Just below the middle when the upper half is even, exactly half when it is odd: the sum carries
    into the upper half when, and only when, that has to go up. Infinity stays infinity.
    """
    return (pattern + 0x7FFF + (pattern >> 16 & 1)) >> 16


def _bf16_cases(rng: torch.Generator) -> list[Case]:
    # NaN is left out: a carry would turn some of its patterns into infinity.
    def upper() -> int:
        return integer(rng, 0x3D00, 0x4500)

    patterns = [
        ("just below the middle", 0x3F807FFF),
        ("just above the middle", 0x3F808001),
        ("a tie above an even pattern", 0x3F808000),
        ("a tie above an odd pattern", 0x3F818000),
        ("the largest float32, which becomes infinity", 0x7F7FFFFF),
        ("a subnormal", 0x00018000),
        ("zero", 0x00000000),
        ("minus infinity", 0xFF800000),
        ("a number that bf16 has", upper() << 16),
        ("a negative tie", 0x80008000 | (upper() | 1) << 16),
        ("a negative number", 0x80000000 | upper() << 16 | integer(rng, 0x8001, 0x10000)),
        ("a carry into the exponent", (upper() | 0x7F) << 16 | integer(rng, 0x8000, 0x10000)),
        *(("a random tie", upper() << 16 | 0x8000) for _ in range(4)),
        *(("a random number", integer(rng, 0x3D000000, 0x45000000)) for _ in range(4)),
    ]
    return [Case(f"{label}, {pattern:#010x}", (pattern,)) for label, pattern in patterns]


def _rounded(
    pattern: int,
    *,
    taken: Callable[[int], int] = lambda pattern: pattern,
    middle: int = 0x8000,
    tie: Callable[[int], int] = lambda pattern: pattern >> 16 & 1,
    carried: Callable[[int, int], int] = lambda upper, up: upper + up,
    given: Callable[[int], int] = lambda upper: upper,
) -> int:
    """Compare the lower half with its middle, of which any part may be another one."""
    upper, lower = divmod(taken(pattern), 2**16)
    up = int(lower > middle or (lower == middle and tie(pattern)))
    return given(carried(upper, up))


ROUND_TO_BF16 = Exercise(
    id="0.6",
    title="Round to bf16 by hand",
    points=3,
    minutes=(8, 12),
    extra=True,
    reference=round_to_bf16,
    cases=_bf16_cases,
    rules=(Codes(),),
    hints=(
        "A bf16 is the upper half of a float32. The lower half says how far the number is on its "
        "way to the next bf16: where is the middle?",
        "The lower half is below, above or exactly 0x8000. On a tie, go to the pattern whose last "
        "bit is 0. Is adding one to the upper half always safe?",
        "upper = pattern >> 16, lower = pattern & 0xFFFF. Add 1 to upper if lower > 0x8000, or if "
        "lower == 0x8000 and upper is odd; a carry into the exponent is right.",
    ),
    misconceptions=(
        Misconception(
            "cuts the lower half off",
            partial(_rounded, middle=2**16),
            "That always goes towards zero: half of all numbers end one gap too low. Look at the "
            "lower half.",
        ),
        Misconception(
            "rounds ties up",
            partial(_rounded, tie=lambda pattern: 1),
            "Exactly in the middle this always goes away from zero, which shifts a mean. Ties go "
            "to the pattern that ends in 0.",
        ),
        Misconception(
            "rounds ties down",
            partial(_rounded, tie=lambda pattern: 0),
            "Exactly in the middle this always goes towards zero. Ties go to the pattern that "
            "ends in 0: the bit that decides is the last of the upper half, pattern >> 16 & 1.",
        ),
        Misconception(
            "rounds ties to odd",
            partial(_rounded, tie=lambda pattern: 1 - (pattern >> 16 & 1)),
            "The other way round: up from a pattern that ends in 1, so that the result ends in 0.",
        ),
        Misconception(
            "loses the carry",
            partial(_rounded, carried=lambda upper, up: upper & 0xFF80 | (upper + up) & 0x7F),
            "A mantissa of ones that is rounded up becomes 0 and carries into the exponent: 1.9999 "
            "becomes 2. Add to the whole upper half.",
        ),
        Misconception(
            "leaves the result in 32 bits",
            partial(_rounded, given=lambda upper: upper << 16),
            "A bf16 has 16 bits: shift the upper half down.",
        ),
        Misconception(
            "leaves the result in 32 bits",
            lambda pattern: pattern + 0x7FFF + (pattern >> 16 & 1),
            "A bf16 has 16 bits: shift the upper half down.",
        ),
        Misconception(
            "loses the sign",
            partial(_rounded, given=lambda upper: upper & 0x7FFF),
            "The highest of the 16 bits is the sign: keep it, & 0xFFFF.",
        ),
        Misconception(
            "loses the sign",
            partial(_rounded, taken=lambda pattern: pattern & 0x7FFFFFFF),
            "The highest of the 16 bits is the sign: keep it, & 0xFFFF.",
        ),
        *(
            Misconception(
                "takes too low a number for the middle",
                partial(_rounded, middle=middle),
                "The lower half has 16 bits, from 0 to 0xFFFF: its middle is 0x8000.",
            )
            for middle in (0x4000, 0x800, 0)
        ),
        Misconception(
            "rounds ties towards plus infinity",
            partial(_rounded, tie=lambda pattern: 1 - (pattern >> 31)),
            "A tie goes to the pattern that ends in 0, whatever its sign is.",
        ),
        Misconception(
            "keeps large numbers from becoming infinity",
            partial(
                _rounded,
                carried=lambda upper, up: upper + (up if (upper + up) & 0x7FFF != 0x7F80 else 0),
            ),
            "The carry is right up to the end: what lies nearer to the next power of two than to "
            "the largest bf16 becomes infinity.",
        ),
        Misconception(
            "adds 1 to the mantissa with |",
            partial(_rounded, carried=lambda upper, up: upper | up),
            "| sets a bit that may be set already. Add: a carry goes on to the left.",
        ),
        Misconception(
            "takes the bits of fp16",
            lambda pattern: pattern >> 13 & 0xFFFF,
            "A bf16 keeps the 8 exponent bits of a float32, and so its upper 16 bits.",
        ),
        Misconception(
            "looks at the last bit of the upper half only",
            lambda pattern: (pattern >> 16) + (pattern >> 16 & 1),
            "Whether to go up is decided by the lower half: above the middle up, below it down. "
            "The last bit of the upper half counts at a tie only.",
        ),
        Misconception(
            "returns the lower half",
            lambda pattern: pattern & 0xFFFF,
            "A bf16 is the upper half of a float32: sign, exponent and the first 7 mantissa bits. "
            "Shift it down by 16.",
        ),
    ),
)
