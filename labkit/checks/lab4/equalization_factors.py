"""Exercise 4.9: cross-layer equalization."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Rule


def equalization_factors(w1: Tensor, w2: Tensor) -> Tensor:
    """Return s a channel: w1 / s and w2 * s have equal ranges; 1 where a side is all 0.

    The second layer is not depthwise: each of its outputs reads all channels.
    """
    r1, r2 = _of_rows(w1.abs()), _of_columns(w2.abs())
    return torch.where((r1 > 0) & (r2 > 0), torch.sqrt(r1 / r2), 1.0)


def _of_rows(w: Tensor) -> Tensor:
    return w.flatten(1).amax(1)


def _of_columns(w: Tensor) -> Tensor:
    return _of_rows(w.transpose(0, 1))


def _cases(rng: torch.Generator) -> list[Case]:
    def case(
        label: str, first: tuple[int, ...], second: tuple[int, ...], dead: tuple[int, ...] = ()
    ) -> Case:
        channels = first[0]
        w1, w2 = randn(rng, *first), randn(rng, *second)
        w1 *= (3 * randn(rng, channels)).exp().reshape(-1, *[1] * (len(first) - 1))
        if dead:
            w1[list(dead[:2])], w2[:, list(dead[1:])] = 0, 0
        return Case(label, (w1, w2))

    return [
        case("one channel", (1, 1), (1, 1)),
        case("two linear layers", (3, 2), (4, 3)),
        case("square layers", (3, 3), (3, 3)),
        case("two convolutions", (4, 2, 3, 3), (5, 4, 3, 3)),
        case("a depthwise convolution, then 1 x 1", (4, 1, 3, 3), (6, 4, 1, 1)),
        case("channels of zeros in one layer, and in both", (5, 3), (2, 5), (0, 1, 3)),
    ]


def _balanced(
    w1: Tensor,
    w2: Tensor,
    *,
    size: Callable[[Tensor], Tensor] = torch.abs,
    first: Callable[[Tensor], Tensor] = _of_rows,
    second: Callable[[Tensor], Tensor] = _of_columns,
    bounded: Callable[[Tensor], Tensor] = lambda r: r,
    factor: Callable[[Tensor, Tensor], Tensor] = torch.div,
    root: Callable[[Tensor], Tensor] = torch.sqrt,
    usable: Callable[[Tensor, Tensor], Tensor] = lambda r1, r2: (r1 > 0) & (r2 > 0),
    mended: Callable[[Tensor, Tensor], Tensor] = lambda s, usable: torch.where(usable, s, 1.0),
) -> Tensor:
    """Return the factors, of which any part may be another one."""
    r1, r2 = first(size(w1)), second(size(w2))
    r1 = r1.reshape(-1, *[1] * (r2.ndim - 1))
    return mended(root(factor(bounded(r1), bounded(r2))), usable(r1, r2))


def _with_epsilon(bounded: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return partial(_balanced, bounded=bounded, mended=lambda s, usable: s)


def _centred(s: Tensor, usable: Tensor) -> Tensor:
    factors = torch.where(usable, s, 1.0)
    return factors / factors.mean()


def _not_a_number(s: Tensor, usable: Tensor) -> Tensor:
    return torch.where(s.isnan(), 1.0, s)


def _none_or_all(s: Tensor, usable: Tensor) -> Tensor:
    return s if usable.all() else torch.ones_like(s)


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


EQUALIZATION_FACTORS = Exercise(
    id="4.9",
    title="Cross-layer equalization",
    points=2,
    minutes=(8, 12),
    reference=equalization_factors,
    cases=_cases,
    rules=(Rule(relative=1e-4),),
    hints=(
        "Channel i has a range in w1, row i, and one in w2, column i. After w1 / s and w2 * s both "
        "should be the same: solve r1 / s = r2 * s.",
        "r1 = largest |w1| of each row; r2 = largest |w2| of each column, that is over dim 0 and "
        "all dims after 1. s = sqrt(r1 / r2), and 1 where either is 0.",
        "r1 = w1.abs().flatten(1).amax(1); r2 = w2.abs().transpose(0, 1).flatten(1).amax(1); "
        "return torch.where((r1 > 0) & (r2 > 0), torch.sqrt(r1 / r2), 1.0).",
    ),
    misconceptions=(
        Misconception(
            "turns the fraction upside down",
            partial(_balanced, factor=lambda r1, r2: r2 / r1),
            "w1 is divided by s: where r1 is large, s must be large.",
        ),
        Misconception(
            "leaves out the square root",
            partial(_balanced, root=lambda ratio: ratio),
            "r1 / s = r2 * s gives s^2 = r1 / r2. Without the root the two ranges change places.",
        ),
        Misconception(
            "makes all ranges of the first layer 1",
            partial(_balanced, factor=lambda r1, r2: r1, root=lambda r1: r1),
            "Then the second layer takes all of the imbalance. Share it: both ranges become "
            "sqrt(r1 r2).",
        ),
        Misconception(
            "makes all ranges of the second layer 1",
            partial(_balanced, factor=lambda r1, r2: 1 / r2, root=lambda s: s),
            "Then the first layer takes all of the imbalance. Share it: both ranges become "
            "sqrt(r1 r2).",
        ),
        Misconception(
            "multiplies the ranges",
            partial(_balanced, factor=torch.mul),
            "That is what both ranges become. s is what gets them there: r1 / s = sqrt(r1 r2).",
        ),
        Misconception(
            "takes the mean of the two ranges",
            partial(_balanced, factor=lambda r1, r2: (r1 + r2) / 2, root=lambda s: s),
            "What makes the two equal is s = sqrt(r1 / r2): r1 / s = r2 * s.",
        ),
        Misconception(
            "takes the square instead of the root",
            partial(_balanced, root=torch.square),
            "r1 / s = r2 * s gives s^2 = r1 / r2, so s is the root of that.",
        ),
        Misconception(
            "takes ranges without abs()",
            partial(
                _balanced,
                first=lambda w: _of_rows(w).abs(),
                second=lambda w: _of_columns(w).abs(),
                size=lambda w: w,
            ),
            "The largest magnitude decides about a scale, whatever its sign.",
        ),
        Misconception(
            "takes ranges without abs()",
            partial(_balanced, size=lambda w: w),
            "The largest magnitude decides about a scale, whatever its sign.",
        ),
        Misconception(
            "takes the mean of the magnitudes",
            partial(
                _balanced,
                first=lambda w: w.flatten(1).mean(1),
                second=lambda w: w.transpose(0, 1).flatten(1).mean(1),
            ),
            LARGEST,
        ),
        Misconception(
            "takes the lengths of the rows and columns",
            partial(
                _balanced,
                first=lambda w: w.flatten(1).norm(dim=1),
                second=lambda w: w.transpose(0, 1).flatten(1).norm(dim=1),
            ),
            LARGEST,
        ),
        Misconception(
            "takes one range for the whole first layer",
            partial(_balanced, first=lambda w: w.max()),
            "Each channel has its own range: row i of w1.",
        ),
        Misconception(
            "takes one range for the whole second layer",
            partial(_balanced, second=lambda w: w.max()),
            "Each channel has its own range: column i of w2.",
        ),
        Misconception(
            "takes the rows of the second layer instead of its columns",
            partial(_balanced, second=_of_rows),
            ONE_OF_EACH,
        ),
        Misconception(
            "takes the columns of the first layer instead of its rows",
            partial(_balanced, first=_of_columns),
            ONE_OF_EACH,
        ),
        Misconception(
            "takes the range of the second layer over its outputs alone",
            partial(_balanced, second=lambda w: w.amax(0)),
            ONE_OF_EACH,
        ),
        Misconception(
            "takes the range of the second layer over its outputs alone",
            partial(_balanced, second=lambda w: w.amax(0).squeeze()),
            ONE_OF_EACH,
        ),
        Misconception(
            "divides by 0 at channels of zeros",
            partial(_balanced, mended=lambda s, usable: s),
            "Where one side is all 0 there is nothing to balance: s = 1.",
        ),
        Misconception(
            "replaces NaN only",
            partial(_balanced, mended=_not_a_number),
            "Where one side alone is 0, r1 / r2 is 0 or infinite, not NaN: ask for r1 > 0 and "
            "r2 > 0.",
        ),
        Misconception(
            "replaces NaN only",
            partial(_balanced, mended=lambda s, usable: torch.nan_to_num(s, 1.0)),
            "Where one side alone is 0, r1 / r2 is 0 or infinite, not NaN: ask for r1 > 0 and "
            "r2 > 0.",
        ),
        Misconception(
            "replaces s = 0 only",
            partial(_balanced, mended=lambda s, usable: torch.where(s == 0, 1.0, s)),
            "0 / 0 is NaN, and r1 / 0 infinite: ask for r1 > 0 and r2 > 0.",
        ),
        Misconception(
            "looks for zeros in the first layer only",
            partial(_balanced, usable=lambda r1, r2: r1 > 0),
            "A column of the second layer may be all 0, too, and r1 / 0 is infinite.",
        ),
        Misconception(
            "leaves s = 0 where the first layer is all 0",
            partial(_balanced, usable=lambda r1, r2: r2 > 0),
            "A row of the first layer may be all 0, too, and dividing it by s = 0 gives NaN: ask "
            "for r1 > 0 and r2 > 0.",
        ),
        Misconception(
            "gives 0 where a side is all 0",
            partial(_balanced, mended=lambda s, usable: torch.where(usable, s, 0.0)),
            "The weights are divided by s: 1 leaves them as they are, 0 does not.",
        ),
        Misconception(
            "gives 1 to all channels if one is all 0",
            partial(_balanced, mended=_none_or_all),
            "Only the channels with a side of zeros keep s = 1: torch.where((r1 > 0) & (r2 > "
            "0), ..., 1.0).",
        ),
        *(
            Misconception(
                "puts a small number in place of ranges of 0",
                _with_epsilon(partial(torch.add, other=small)),
                EPSILON,
            )
            for small in SMALL_NUMBERS
        ),
        *(
            Misconception(
                "puts a small number in place of ranges of 0",
                _with_epsilon(partial(torch.clamp, min=small)),
                EPSILON,
            )
            for small in SMALL_NUMBERS
        ),
        Misconception(
            "takes the width from the smallest to the largest weight",
            partial(
                _balanced,
                size=lambda w: w,
                first=lambda w: _of_rows(w) + _of_rows(-w),
                second=lambda w: _of_columns(w) + _of_columns(-w),
            ),
            LARGEST,
        ),
        Misconception(
            "takes the fourth root",
            partial(_balanced, root=lambda ratio: ratio.sqrt().sqrt()),
            "r1 / s = r2 * s gives s^2 = r1 / r2, so s is the square root of that, once.",
        ),
        Misconception(
            "scales the factors to a mean of 1",
            partial(_balanced, mended=_centred),
            "s is what (2) gives: a common factor moves all of one layer into the other.",
        ),
        Misconception(
            "keeps the factors from falling below 1",
            partial(_balanced, mended=lambda s, usable: torch.where(usable, s, 1.0).clamp(min=1)),
            "With r1 below r2, s is below 1: sqrt(r1 / r2) as it is.",
        ),
        Misconception(
            "keeps the factors from rising above 1",
            partial(_balanced, mended=lambda s, usable: torch.where(usable, s, 1.0).clamp(max=1)),
            "With r1 above r2, s is above 1: sqrt(r1 / r2) as it is.",
        ),
    ),
)
