"""Slips in a residual sum of codes on different grids, for exercise 4.5."""

from functools import partial

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.lab4.add_codes_parts import (
    added,
    as_bytes,
    clamped_real,
    each_rounded,
    in_bits,
    wide,
)

TWO_ROUNDINGS = "Two roundings lose more than one. Add first, then round once."
NO_BOUND = 2**31
NO_END = "There are no codes beyond 0 and 255, and none below y[1] with relu: clamp."
TO_255 = "The codes of the result are uint8, 0 to 255: clamp(y[1] if relu else 0, 255)."
AFTER_THE_SUM = (
    "The ReLU comes after the sum: a negative number may still take away from the other."
)


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "adds the codes",
        partial(added, steps=lambda q, scale, y_scale: q),
        "Codes of different scales count different steps. Bring both to the steps of the "
        "result first.",
    ),
    Misconception(
        "rounds each of the two before adding",
        each_rounded(lambda q, scale, y_scale: q * scale / y_scale),
        TWO_ROUNDINGS,
    ),
    Misconception(
        "rounds each of the two before adding",
        # The same in the order of the formula: another last bit, and so other ties.
        each_rounded(lambda q, scale, y_scale: scale / y_scale * q),
        TWO_ROUNDINGS,
    ),
    Misconception(
        "leaves out the zero points of the inputs",
        partial(added, centred=lambda q, zero_point: q.double()),
        "A code q stands for (q - Z) S: subtract a's and b's zero point.",
    ),
    Misconception(
        "adds the zero points of the inputs",
        partial(added, centred=lambda q, zero_point: q.double() + zero_point),
        "A code q stands for (q - Z) S: subtract a's and b's zero point.",
    ),
    Misconception(
        "subtracts the zero points in uint8",
        partial(added, centred=lambda q, zero_point: (q - zero_point).double()),
        "uint8 has no negative numbers: 200 - 210 is 246. Convert first, q_a.double() - a[1].",
    ),
    Misconception(
        "takes the grid of the first input for the second as well",
        partial(added, second=lambda a, b: a),
        "Each of the two was calibrated on its own.",
    ),
    Misconception(
        "takes the first input's scale for the second as well",
        partial(added, second=lambda a, b: (a[0], b[1])),
        "Each of the two was calibrated on its own: b[0] for q_b.",
    ),
    Misconception(
        "takes the first input's zero point for the second as well",
        partial(added, second=lambda a, b: (b[0], a[1])),
        "Each of the two was calibrated on its own: b[1] for q_b.",
    ),
    Misconception(
        "does not divide by the scale of the result",
        partial(added, steps=lambda q, scale, y_scale: q * scale),
        "The sum is a real number: over y[0] it counts steps of the result.",
    ),
    Misconception(
        "multiplies by the scale of the result",
        partial(added, steps=lambda q, scale, y_scale: q * scale * y_scale),
        "A real number over the scale is a code: divide by y[0].",
    ),
    Misconception(
        "has the factors of the inputs upside down",
        partial(added, steps=lambda q, scale, y_scale: q * y_scale / scale),
        "(q - Z) S is the real number, and over y[0] it counts steps: S_a / S_y, S_b / S_y.",
    ),
    Misconception(
        "applies the ReLU to each of the two",
        partial(added, each=lambda steps, relu: steps.relu() if relu else steps),
        AFTER_THE_SUM,
    ),
    Misconception(
        "cuts off instead of rounding",
        partial(added, turn=torch.trunc),
        "Converting to an integer dtype drops what is behind the point: torch.round first.",
    ),
    Misconception(
        "adds one half and cuts off, which goes up below 0",
        partial(added, turn=lambda steps: torch.trunc(steps + 0.5)),
        "Converting to an integer dtype cuts towards 0, so that -2.7 + 0.5 becomes -2: "
        "torch.round first.",
    ),
    Misconception(
        "rounds down",
        partial(added, turn=torch.floor),
        "//, floor and a conversion to an integer dtype go to the code below: torch.round first.",
    ),
    Misconception(
        "leaves out the zero point of the result",
        partial(added, shifted=lambda q, zero_point: q),
        "0.0 has the code y[1] in the result: add it after rounding.",
    ),
    Misconception(
        "leaves out the zero point of the result",
        partial(added, shifted=lambda q, zero_point: q, low=lambda zero_point, relu: 0),
        "0.0 has the code y[1] in the result: add it after rounding.",
    ),
    Misconception(
        "lets negative sums through a ReLU",
        partial(added, low=lambda zero_point, relu: 0),
        "With relu the lowest code is that of 0.0, the zero point of the result.",
    ),
    Misconception(
        "clamps at the zero point whether relu is set or not",
        partial(added, low=lambda zero_point, relu: zero_point),
        "Without relu the sum may be negative: the lowest code is 0.",
    ),
    *(
        Misconception(
            "clamps to -128 ... 127",
            partial(added, low=low, high=lambda zero_point, relu: 127, coded=wide),
            TO_255,
        )
        for low in (
            lambda zero_point, relu: -128,
            lambda zero_point, relu: zero_point if relu else -128,
        )
    ),
    Misconception(
        "clamps at 127",
        partial(added, high=lambda zero_point, relu: 127),
        TO_255,
    ),
    *(
        Misconception(
            "adds the zero point of the result after it has clamped",
            partial(added, low=low, high=lambda zero_point, relu: 255 + zero_point, coded=end),
            "Results leave the codes again: add y[1] first, then clamp(y[1] if relu else 0, 255).",
        )
        for low in (
            lambda zero_point, relu: zero_point if relu else 0,
            lambda zero_point, relu: zero_point,
        )
        for end in (as_bytes, wide)
    ),
    Misconception(
        "saturates without a ReLU only",
        partial(added, high=lambda zero_point, relu: NO_BOUND if relu else 255),
        "A sum beyond the grid wraps around in uint8, with a ReLU, too: clamp to 255.",
    ),
    Misconception(
        "does not saturate",
        partial(
            added,
            low=lambda zero_point, relu: zero_point if relu else -NO_BOUND,
            high=lambda zero_point, relu: NO_BOUND,
        ),
        "A sum beyond the grid wraps around in uint8: clamp to 0 and 255 before converting.",
    ),
    Misconception(
        "does not clamp, and wraps around",
        partial(
            added,
            low=lambda zero_point, relu: -NO_BOUND,
            high=lambda zero_point, relu: NO_BOUND,
        ),
        "There are no codes beyond 0 and 255, and none below y[1] with relu: clamp before "
        "converting to uint8.",
    ),
    Misconception(
        "does not clamp at all",
        partial(
            added,
            low=lambda zero_point, relu: -NO_BOUND,
            high=lambda zero_point, relu: NO_BOUND,
            coded=wide,
        ),
        NO_END,
    ),
    Misconception(
        "does not clamp at all",
        partial(
            added,
            low=lambda zero_point, relu: zero_point if relu else -NO_BOUND,
            high=lambda zero_point, relu: NO_BOUND,
            coded=wide,
        ),
        "There are no codes beyond 0 and 255: clamp with and without relu, before converting "
        "to uint8.",
    ),
    Misconception(
        "takes both zero points off each of the two",
        partial(added, zeros=lambda a, b: (a + b, a + b)),
        "A code q stands for (q - Z) S with the zero point of its own grid: a[1] for q_a, b[1] "
        "for q_b.",
    ),
    Misconception(
        "exchanges the zero points of the two",
        partial(added, zeros=lambda a, b: (b, a)),
        "A code q stands for (q - Z) S with the zero point of its own grid: a[1] for q_a, b[1] "
        "for q_b.",
    ),
    Misconception(
        "divides by the sum of the two scales",
        partial(added, result=lambda a, b, y: (a[0] + b[0], y[1])),
        "The result has a grid of its own, which was calibrated: divide by y[0].",
    ),
    Misconception(
        "divides by the larger of the two scales",
        partial(added, result=lambda a, b, y: (max(a[0], b[0]), y[1])),
        "The result has a grid of its own, which was calibrated: divide by y[0].",
    ),
    Misconception(
        "rounds the factors of the inputs to whole numbers",
        partial(added, steps=lambda q, scale, y_scale: q * round(scale / y_scale)),
        "S_a / S_y is no whole number, and often below 1: multiply by it as it is, then round "
        "the sum.",
    ),
    *(
        Misconception(
            f"rounds the factors of the inputs to {bits} bits behind the point",
            partial(
                added,
                steps=in_bits(bits),
            ),
            "So few bits are too coarse for sums of codes up to 255: multiply by S_a / S_y as "
            "it is, or keep 16 bits and more.",
        )
        for bits in (4, 6, 8)
    ),
    Misconception(
        "clamps the real sum at the zero point, which is a code",
        clamped_real,
        "In real numbers a ReLU clamps at 0.0; among codes at y[1]. Clamp the codes: "
        "clamp(y[1] if relu else 0, 255).",
    ),
)
