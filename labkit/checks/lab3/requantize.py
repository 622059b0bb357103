"""Exercise 3.7: from accumulators to codes."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import INT4, INT8, UINT8, one, whole
from labkit.checks.lab3.inputs import INT32, accumulators
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


def _without_31(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    product = acc.to(torch.int64) * mantissa
    q = rounding_right_shift(product, max(shift, 0)) + zero_point
    return q.clamp(qmin, qmax).to(torch.int32)


def _int32_product(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    product = (acc.to(torch.int64) * mantissa).to(torch.int32)
    return (rounding_right_shift(product, 31 + shift) + zero_point).clamp(qmin, qmax)


def _int32_product_divided(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    product = (acc.to(torch.int64) * mantissa).to(torch.int32)
    q = torch.round(product / 2 ** (31 + shift)) + zero_point
    return q.clamp(qmin, qmax).to(torch.int32)


def _rounded_down(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    return ((acc.to(torch.int64) * mantissa >> 31 + shift) + zero_point).clamp(qmin, qmax)


def _ties_up(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    product = acc.to(torch.int64) * mantissa + (1 << 30 + shift)
    return ((product >> 31 + shift) + zero_point).clamp(qmin, qmax)


def _real(acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int) -> Tensor:
    q = torch.round(acc.double() * mantissa / 2.0 ** (31 + shift)) + zero_point
    return q.clamp(qmin, qmax).to(torch.int32)


def _casts_first(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    q = rounding_right_shift(acc.to(torch.int64) * mantissa, 31 + shift) + zero_point
    return q.to(torch.uint8 if qmin >= 0 else torch.int8).to(torch.int32).clamp(qmin, qmax)


def _clamps_first(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    return requantize(acc, mantissa, shift, 0, qmin, qmax) + zero_point


def _no_clamp(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    return requantize(acc, mantissa, shift, zero_point, *INT32)


def _zero_point_first(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    return requantize(acc.to(torch.int64) + zero_point, mantissa, shift, 0, qmin, qmax)


def _rounded_twice(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    product = acc.to(torch.int64) * mantissa << max(-shift, 0)
    q = rounding_right_shift(rounding_right_shift(product, 31), max(shift, 0)) + zero_point
    return q.clamp(qmin, qmax)


def _cut_off(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    product = acc.to(torch.int64) * mantissa
    q = torch.div(product, 1 << (31 + shift), rounding_mode="trunc") + zero_point
    return q.clamp(qmin, qmax)


def _zero_point_rounded(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    product = acc.to(torch.int64) * mantissa + (zero_point << (31 + shift))
    return rounding_right_shift(product, 31 + shift).clamp(qmin, qmax)


def _rounded_twice_then_raised(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    high = rounding_right_shift(acc.to(torch.int64) * mantissa, 31)
    q = rounding_right_shift(high << max(-shift, 0), max(shift, 0)) + zero_point
    return q.clamp(qmin, qmax)


def _rounded_twice_up(
    acc: Tensor, mantissa: int, shift: int, zero_point: int, qmin: int, qmax: int
) -> Tensor:
    high = (acc.to(torch.int64) * mantissa + (1 << 30)) >> 31
    q = rounding_right_shift(high << max(-shift, 0), max(shift, 0)) + zero_point
    return q.clamp(qmin, qmax)


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
    misconceptions=(
        Misconception(
            "shifts by `shift` alone",
            _without_31,
            "The mantissa counts steps of 2^-31, so the product is 2^(31 + shift) times too large.",
        ),
        Misconception(
            "ignores `shift`",
            lambda acc, mantissa, shift, zero_point, qmin, qmax: requantize(
                acc, mantissa, 0, zero_point, qmin, qmax
            ),
            "The product is 2^(31 + shift) times too large, not 2^31 times.",
        ),
        Misconception(
            "shifts by 31 - shift",
            lambda acc, mantissa, shift, zero_point, qmin, qmax: requantize(
                acc, mantissa, -shift, zero_point, qmin, qmax
            ),
            "M = mantissa * 2^-31 * 2^-shift: both exponents are negative, so they add up.",
        ),
        Misconception(
            "multiplies in int32",
            _int32_product,
            "The product has up to 62 bits and wraps. Convert acc to int64 first.",
        ),
        Misconception(
            "multiplies in int32",
            _int32_product_divided,
            "The product has up to 62 bits and wraps. Convert acc to int64 first.",
        ),
        Misconception(
            "rounds down",
            _rounded_down,
            "A shift alone rounds down, which is half a code too low on average: use your "
            "rounding_right_shift.",
        ),
        Misconception(
            "cuts off what is behind the point",
            _cut_off,
            "Nearest is half a code closer on average: use your rounding_right_shift.",
        ),
        Misconception(
            "rounds twice",
            _rounded_twice,
            "The first rounding can make a tie of what was none: 2.4999 becomes 2.5, and 3. Shift "
            "once, by 31 + shift.",
        ),
        Misconception(
            "rounds twice",
            _rounded_twice_then_raised,
            "The first rounding can make a tie of what was none: 2.4999 becomes 2.5, and 3. Shift "
            "once, by 31 + shift.",
        ),
        Misconception(
            "sends ties up",
            _ties_up,
            "The rule of this exercise is ties away from zero: -2.5 becomes -3. Use your "
            "rounding_right_shift, before you add the zero point.",
        ),
        Misconception(
            "rounds in floating point",
            _real,
            "torch.round sends ties to the even neighbour: 2.5 becomes 2. Multiply and shift in "
            "integers.",
        ),
        Misconception(
            "converts to 8 bits before it clamps",
            _casts_first,
            "A code that does not fit wraps around. Clamp first, convert last.",
        ),
        Misconception(
            "does not clamp",
            _no_clamp,
            "Codes outside [qmin, qmax] do not exist: clamp them.",
        ),
        Misconception(
            "clamps before it adds the zero point",
            _clamps_first,
            "The sum can leave the range again. Clamp after adding zero_point.",
        ),
        Misconception(
            "leaves out the zero point",
            lambda acc, mantissa, shift, zero_point, qmin, qmax: requantize(
                acc, mantissa, shift, 0, qmin, qmax
            ),
            "Add zero_point after rounding: the code of 0.0 is zero_point.",
        ),
        Misconception(
            "takes the zero point away",
            lambda acc, mantissa, shift, zero_point, qmin, qmax: requantize(
                acc, mantissa, shift, -zero_point, qmin, qmax
            ),
            "On the way to codes it is added: the code of 0.0 is zero_point.",
        ),
        Misconception(
            "adds the zero point before it rounds",
            _zero_point_rounded,
            "Away from zero means away from the accumulator's zero: round first, then add "
            "zero_point.",
        ),
        Misconception(
            "clamps to int8, whatever qmin and qmax are",
            lambda acc, mantissa, shift, zero_point, qmin, qmax: requantize(
                acc, mantissa, shift, zero_point, *INT8
            ),
            "Codes may be unsigned, or have 4 bits: clamp to qmin and qmax.",
        ),
        Misconception(
            "returns int8 where codes are unsigned",
            lambda *args: requantize(*args).to(torch.int8),
            "The codes 128 to 255 do not fit into int8 and wrap. Return int32.",
        ),
        Misconception(
            "adds the zero point to the accumulator",
            _zero_point_first,
            "zero_point is counted in steps of the output, acc in steps of S_x S_w: add it after "
            "the multiplication.",
        ),
        Misconception(
            "rounds twice, ties up",
            _rounded_twice_up,
            "Each rounding moves the number again, and a tie below 0 must go away from 0. Shift "
            "once, by 31 + shift.",
        ),
    ),
)
