"""Slips on the way from accumulators to codes, for exercise 3.7."""

from functools import partial

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.inputs import INT8, UINT8
from labkit.checks.lab3.inputs import INT32
from labkit.checks.lab3.requantize_parts import (
    half_up,
    in_int32,
    in_the_other_order,
    raised_then_twice,
    requantized,
    to_even,
    towards_zero,
    twice,
    with_bits,
    wrapped,
)
from labkit.checks.lab3.rounding_right_shift import rounding_right_shift

TWICE = (
    "The first rounding can make a tie of what was none: 2.4999 becomes 2.5, and 3. Shift once, "
    "by 31 + shift."
)
WRAPS = "The product has up to 62 bits and wraps. Convert acc to int64 first."
BOTH_ENDS = "A result may lie beyond the codes on either side: clamp to [qmin, qmax]."
TO_QMIN_QMAX = "Codes may be unsigned, or have 4 bits: clamp to qmin and qmax."
NO_CLAMP = "Codes outside [qmin, qmax] do not exist: clamp them."
DOWN = (
    "A shift alone rounds down, which is half a code too low on average: use your "
    "rounding_right_shift."
)


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "shifts by `shift` alone",
        partial(requantized, exponent=lambda shift: max(shift, 0)),
        "The mantissa counts steps of 2^-31, so the product is 2^(31 + shift) times too large.",
    ),
    Misconception(
        "ignores `shift`",
        partial(requantized, exponent=lambda shift: 31),
        "The product is 2^(31 + shift) times too large, not 2^31 times.",
    ),
    Misconception(
        "shifts by 31 - shift",
        partial(requantized, exponent=lambda shift: 31 - shift),
        "M = mantissa * 2^-31 * 2^-shift: both exponents are negative, so they add up.",
    ),
    Misconception(
        "shifts by one too few",
        partial(requantized, exponent=lambda shift: 30 + shift),
        "The mantissa counts steps of 2^-31: shift by 31 + shift.",
    ),
    Misconception(
        "shifts by one too many",
        partial(requantized, exponent=lambda shift: min(32 + shift, 62)),
        "The mantissa counts steps of 2^-31: shift by 31 + shift.",
    ),
    Misconception(
        "multiplies in int32",
        partial(requantized, multiplied=in_int32),
        WRAPS,
    ),
    Misconception(
        "multiplies in int32",
        partial(requantized, multiplied=in_int32, shifted=to_even),
        WRAPS,
    ),
    Misconception(
        "rounds down",
        partial(requantized, shifted=torch.Tensor.__rshift__),
        DOWN,
    ),
    Misconception(
        "cuts off what is behind the point",
        partial(requantized, shifted=towards_zero),
        "The nearest code is half as far away on average: use your rounding_right_shift.",
    ),
    Misconception(
        "rounds twice",
        partial(requantized, shifted=raised_then_twice),
        TWICE,
    ),
    Misconception(
        "rounds twice",
        partial(requantized, shifted=twice(rounding_right_shift, rounding_right_shift)),
        TWICE,
    ),
    Misconception(
        "sends ties up",
        partial(requantized, shifted=half_up),
        "The rule of this exercise is ties away from zero: -2.5 becomes -3. Use your "
        "rounding_right_shift, before you add the zero point.",
    ),
    Misconception(
        "rounds in floating point",
        partial(requantized, shifted=to_even),
        "torch.round sends ties to the even neighbour: 2.5 becomes 2. Multiply and shift in "
        "integers.",
    ),
    Misconception(
        "converts to 8 bits before it clamps",
        partial(requantized, cast=wrapped),
        "A code that does not fit wraps around. Clamp first, convert last.",
    ),
    Misconception(
        "does not clamp",
        partial(requantized, ends=lambda qmin, qmax: INT32),
        NO_CLAMP,
    ),
    Misconception(
        "does not clamp above",
        partial(requantized, ends=lambda qmin, qmax: (qmin, INT32[1])),
        BOTH_ENDS,
    ),
    Misconception(
        "does not clamp below",
        partial(requantized, ends=lambda qmin, qmax: (INT32[0], qmax)),
        BOTH_ENDS,
    ),
    Misconception(
        "clamps before it adds the zero point",
        partial(requantized, early=torch.clamp, ends=lambda qmin, qmax: INT32),
        "The sum can leave the range again. Clamp after adding zero_point.",
    ),
    Misconception(
        "clamps before and after it adds the zero point",
        partial(requantized, early=torch.clamp),
        "What is beyond the codes may come back with zero_point: clamp only once, after adding it.",
    ),
    Misconception(
        "leaves out the zero point",
        partial(requantized, added=lambda q, zero_point: q),
        "Add zero_point after rounding: the code of 0.0 is zero_point.",
    ),
    Misconception(
        "subtracts the zero point",
        partial(requantized, added=torch.sub),
        "On the way to codes it is added: the code of 0.0 is zero_point.",
    ),
    Misconception(
        "adds the zero point before it rounds",
        partial(
            requantized,
            offset=lambda product, zero_point, power: product + (zero_point << power),
            added=lambda q, zero_point: q,
        ),
        "Away from zero means away from the accumulator's zero: round first, then add zero_point.",
    ),
    Misconception(
        "adds the zero point to the product",
        partial(
            requantized,
            offset=lambda product, zero_point, power: product + zero_point,
            added=lambda q, zero_point: q,
        ),
        "zero_point is counted in steps of the output, and the product is 2^(31 + shift) times "
        "larger: add it after the shift.",
    ),
    Misconception(
        "adds the zero point to the accumulator",
        partial(
            requantized,
            begun=lambda acc, zero_point: acc.to(torch.int64) + zero_point,
            added=lambda q, zero_point: q,
        ),
        "zero_point is counted in steps of the output, acc in steps of S_x S_w: add it after the "
        "multiplication.",
    ),
    Misconception(
        "takes the zero point off the accumulator",
        partial(
            requantized,
            begun=lambda acc, zero_point: acc.to(torch.int64) - zero_point,
            added=lambda q, zero_point: q,
        ),
        "An accumulator has no zero point any more. The result has one: add zero_point after "
        "rounding.",
    ),
    Misconception(
        "clamps to int8, whatever qmin and qmax are",
        partial(requantized, ends=lambda qmin, qmax: INT8),
        TO_QMIN_QMAX,
    ),
    Misconception(
        "clamps to uint8, whatever qmin and qmax are",
        partial(requantized, ends=lambda qmin, qmax: UINT8),
        TO_QMIN_QMAX,
    ),
    Misconception(
        "clamps to -127 ... 127",
        partial(requantized, ends=lambda qmin, qmax: (-127, 127)),
        TO_QMIN_QMAX,
    ),
    Misconception(
        "clamps to symmetric ends",
        partial(requantized, ends=lambda qmin, qmax: (-qmax, qmax)),
        "The lower end is qmin, which may be 0 or the zero point: clamp to [qmin, qmax].",
    ),
    Misconception(
        "returns int8 where codes are unsigned",
        partial(requantized, ended=torch.Tensor.char),
        "The codes 128 to 255 do not fit into int8 and wrap. Return int32.",
    ),
    Misconception(
        "returns uint8 where codes are signed",
        partial(requantized, ended=torch.Tensor.byte),
        "Codes below 0 do not fit into uint8 and wrap. Return int32.",
    ),
    Misconception(
        "rounds twice, ties up",
        partial(requantized, shifted=twice(half_up, rounding_right_shift)),
        "Each rounding moves the number again, and a tie below 0 must go away from 0. Shift "
        "once, by 31 + shift.",
    ),
    Misconception(
        "rounds twice, ties up both times",
        partial(requantized, shifted=twice(half_up, half_up)),
        "Each rounding moves the number again, and a tie below 0 must go away from 0. Shift "
        "once, by 31 + shift.",
    ),
    Misconception(
        "rounds twice",
        partial(requantized, shifted=in_the_other_order),
        TWICE,
    ),
    Misconception(
        "computes in float32",
        partial(
            requantized,
            multiplied=lambda acc, mantissa: acc.float() * mantissa,
            shifted=lambda product, power: torch.round(product / 2.0**power).to(torch.int64),
        ),
        "float32 has 24 bits of the 62, and torch.round sends ties to the even neighbour. Multiply "
        "in int64 and shift with your rounding_right_shift.",
    ),
    *(
        Misconception(
            f"keeps {bits} bits of the mantissa",
            partial(
                requantized,
                multiplied=with_bits(bits),
            ),
            "A mantissa has 31 bits, and the last one decides beside a tie: multiply by all of it, "
            "in int64.",
        )
        for bits in (15, 16, 23, 24)
    ),
    Misconception(
        "keeps the accumulators to 16 bits",
        partial(
            requantized,
            begun=lambda acc, zero_point: acc.to(torch.int64).clamp(-(2**15), 2**15 - 1),
        ),
        "An accumulator has 32 bits, and its product with the mantissa 62: convert acc to int64.",
    ),
)
