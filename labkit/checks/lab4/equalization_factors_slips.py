"""Slips in cross-layer equalization, for exercise 4.9."""

from functools import partial

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.lab4.equalization_factors_parts import (
    balanced,
    centred,
    none_or_all,
    not_a_number,
    of_columns,
    of_rows,
    with_epsilon,
)

SMALL_NUMBERS = (1e-12, 1e-9, 1e-8, 1e-6, 1e-5)
EPSILON = (
    "A small number avoids the division by 0, but the factor is then huge, or nearly 0. Where one "
    "side is all 0 there is nothing to balance: s = 1."
)
ONE_OF_EACH = (
    "Channel i is row i of w1 and column i of w2: the range of w2 runs over its outputs and the "
    "pixels of the kernel, w2.transpose(0, 1).flatten(1).amax(1)."
)
LARGEST = "A scale must reach the largest weight: a range is the largest magnitude."


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "turns the fraction upside down",
        partial(balanced, factor=lambda r1, r2: r2 / r1),
        "w1 is divided by s: where r1 is large, s must be large.",
    ),
    Misconception(
        "leaves out the square root",
        partial(balanced, root=lambda ratio: ratio),
        "r1 / s = r2 * s gives s^2 = r1 / r2. Without the root the two ranges change places.",
    ),
    Misconception(
        "makes all ranges of the first layer 1",
        partial(balanced, factor=lambda r1, r2: r1, root=lambda r1: r1),
        "Then the second layer takes all of the imbalance. Share it: both ranges become "
        "sqrt(r1 r2).",
    ),
    Misconception(
        "makes all ranges of the second layer 1",
        partial(balanced, factor=lambda r1, r2: 1 / r2, root=lambda s: s),
        "Then the first layer takes all of the imbalance. Share it: both ranges become "
        "sqrt(r1 r2).",
    ),
    Misconception(
        "multiplies the ranges",
        partial(balanced, factor=torch.mul),
        "That is what both ranges become. s is what gets them there: r1 / s = sqrt(r1 r2).",
    ),
    Misconception(
        "takes the mean of the two ranges",
        partial(balanced, factor=lambda r1, r2: (r1 + r2) / 2, root=lambda s: s),
        "What makes the two equal is s = sqrt(r1 / r2): r1 / s = r2 * s.",
    ),
    Misconception(
        "takes the square instead of the root",
        partial(balanced, root=torch.square),
        "r1 / s = r2 * s gives s^2 = r1 / r2, so s is the root of that.",
    ),
    Misconception(
        "takes ranges without abs()",
        partial(
            balanced,
            first=lambda w: of_rows(w).abs(),
            second=lambda w: of_columns(w).abs(),
            size=lambda w: w,
        ),
        "The largest magnitude decides about a scale, whatever its sign.",
    ),
    Misconception(
        "takes ranges without abs()",
        partial(balanced, size=lambda w: w),
        "The largest magnitude decides about a scale, whatever its sign.",
    ),
    Misconception(
        "takes the mean of the magnitudes",
        partial(
            balanced,
            first=lambda w: w.flatten(1).mean(1),
            second=lambda w: w.transpose(0, 1).flatten(1).mean(1),
        ),
        LARGEST,
    ),
    Misconception(
        "takes the lengths of the rows and columns",
        partial(
            balanced,
            first=lambda w: w.flatten(1).norm(dim=1),
            second=lambda w: w.transpose(0, 1).flatten(1).norm(dim=1),
        ),
        LARGEST,
    ),
    Misconception(
        "takes one range for the whole first layer",
        partial(balanced, first=lambda w: w.max()),
        "Each channel has its own range: row i of w1.",
    ),
    Misconception(
        "takes one range for the whole second layer",
        partial(balanced, second=lambda w: w.max()),
        "Each channel has its own range: column i of w2.",
    ),
    Misconception(
        "takes the rows of the second layer instead of its columns",
        partial(balanced, second=of_rows),
        ONE_OF_EACH,
    ),
    Misconception(
        "takes the columns of the first layer instead of its rows",
        partial(balanced, first=of_columns),
        ONE_OF_EACH,
    ),
    Misconception(
        "takes the range of the second layer over its outputs alone",
        partial(balanced, second=lambda w: w.amax(0)),
        ONE_OF_EACH,
    ),
    Misconception(
        "takes the range of the second layer over its outputs alone",
        partial(balanced, second=lambda w: w.amax(0).squeeze()),
        ONE_OF_EACH,
    ),
    Misconception(
        "divides by 0 at channels of zeros",
        partial(balanced, mended=lambda s, usable: s),
        "Where one side is all 0 there is nothing to balance: s = 1.",
    ),
    Misconception(
        "replaces NaN only",
        partial(balanced, mended=not_a_number),
        "Where one side alone is 0, r1 / r2 is 0 or infinite, not NaN: ask for r1 > 0 and r2 > 0.",
    ),
    Misconception(
        "replaces NaN only",
        partial(balanced, mended=lambda s, usable: torch.nan_to_num(s, 1.0)),
        "Where one side alone is 0, r1 / r2 is 0 or infinite, not NaN: ask for r1 > 0 and r2 > 0.",
    ),
    Misconception(
        "replaces s = 0 only",
        partial(balanced, mended=lambda s, usable: torch.where(s == 0, 1.0, s)),
        "0 / 0 is NaN, and r1 / 0 infinite: ask for r1 > 0 and r2 > 0.",
    ),
    Misconception(
        "looks for zeros in the first layer only",
        partial(balanced, usable=lambda r1, r2: r1 > 0),
        "A column of the second layer may be all 0, too, and r1 / 0 is infinite.",
    ),
    Misconception(
        "leaves s = 0 where the first layer is all 0",
        partial(balanced, usable=lambda r1, r2: r2 > 0),
        "A row of the first layer may be all 0, too, and dividing it by s = 0 gives NaN: ask "
        "for r1 > 0 and r2 > 0.",
    ),
    Misconception(
        "gives 0 where a side is all 0",
        partial(balanced, mended=lambda s, usable: torch.where(usable, s, 0.0)),
        "The weights are divided by s: 1 leaves them as they are, 0 does not.",
    ),
    Misconception(
        "gives 1 to all channels if one is all 0",
        partial(balanced, mended=none_or_all),
        "Only the channels with a side of zeros keep s = 1: torch.where((r1 > 0) & (r2 > "
        "0), ..., 1.0).",
    ),
    *(
        Misconception(
            "puts a small number in place of ranges of 0",
            with_epsilon(partial(torch.add, other=small)),
            EPSILON,
        )
        for small in SMALL_NUMBERS
    ),
    *(
        Misconception(
            "puts a small number in place of ranges of 0",
            with_epsilon(partial(torch.clamp, min=small)),
            EPSILON,
        )
        for small in SMALL_NUMBERS
    ),
    Misconception(
        "takes the width from the smallest to the largest weight",
        partial(
            balanced,
            size=lambda w: w,
            first=lambda w: of_rows(w) + of_rows(-w),
            second=lambda w: of_columns(w) + of_columns(-w),
        ),
        LARGEST,
    ),
    Misconception(
        "takes the fourth root",
        partial(balanced, root=lambda ratio: ratio.sqrt().sqrt()),
        "r1 / s = r2 * s gives s^2 = r1 / r2, so s is the square root of that, once.",
    ),
    Misconception(
        "scales the factors to a mean of 1",
        partial(balanced, mended=centred),
        "s is what (2) gives: a common factor moves all of one layer into the other.",
    ),
    Misconception(
        "keeps the factors from falling below 1",
        partial(balanced, mended=lambda s, usable: torch.where(usable, s, 1.0).clamp(min=1)),
        "With r1 below r2, s is below 1: sqrt(r1 / r2) as it is.",
    ),
    Misconception(
        "keeps the factors from rising above 1",
        partial(balanced, mended=lambda s, usable: torch.where(usable, s, 1.0).clamp(max=1)),
        "With r1 above r2, s is above 1: sqrt(r1 / r2) as it is.",
    ),
)
