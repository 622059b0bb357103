"""Exercise 6.1: the nearest level."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn, whole
from labkit.checks.rules import Codes


def assign_codes(x: Tensor, levels: Tensor) -> Tensor:
    """Return the code of the nearest level for each value; ties go to the lower code."""
    return torch.bucketize(x, (levels[1:] + levels[:-1]) / 2)


def _cases(rng: torch.Generator) -> list[Case]:
    def levels(k: int) -> Tensor:
        # Whole numbers of eighths: midpoints and ties are exact in float32.
        return (whole(rng, 1, 12, k).cumsum(0) - 4 * k) / 8

    def eighths(*shape: int) -> Tensor:
        return whole(rng, -64, 64, *shape) / 8

    two, five, many = levels(2), levels(5), levels(256)
    spread = 60 * randn(rng, 3, 2, 3, 3)
    spread[0, 0, 0, 0] = many[-1]
    ties = (five[1:] + five[:-1]) / 2
    return [
        Case("two levels", (eighths(3), two)),
        Case("a row", (eighths(9), five)),
        Case("values on a midpoint", (ties, five)),
        Case("values beyond the ends", (torch.tensor([-99.0, 99.0]), five)),
        Case("a matrix", (2 * randn(rng, 4, 5), levels(8))),
        Case("a kernel, and 256 levels", (spread, many)),
        Case("a single level", (eighths(4), levels(1))),
    ]


def _coded(
    x: Tensor,
    levels: Tensor,
    *,
    coded: Callable[[Tensor, Tensor], Tensor] = assign_codes,
    single: Callable[[Tensor], Tensor | int] = torch.clone,
    given: Callable[[Tensor], Tensor] = torch.clone,
) -> Tensor | int:
    codes = coded(x, levels)
    return given(codes) if len(levels) > 1 else single(given(codes))


def _upper(x: Tensor, levels: Tensor) -> Tensor:
    return torch.bucketize(x, (levels[1:] + levels[:-1]) / 2, right=True)


def _even(x: Tensor, levels: Tensor) -> Tensor:
    lower = assign_codes(x, levels)
    return torch.where(lower % 2 == 0, lower, _upper(x, levels))


def _towards_0(x: Tensor, levels: Tensor) -> Tensor:
    lower, upper = assign_codes(x, levels), _upper(x, levels)
    return torch.where(levels[upper].abs() < levels[lower].abs(), upper, lower)


def on_a_grid(x: Tensor, levels: Tensor) -> Tensor:
    """Return codes as if the levels lay at equal distances: a slip, here and where codes go on."""
    step = (levels[-1] - levels[0]) / max(len(levels) - 1, 1) or 1.0
    return torch.round((x - levels[0]) / step).clamp(0, len(levels) - 1).long()


def _equal_parts(x: Tensor, levels: Tensor) -> Tensor:
    return torch.bucketize(x, torch.linspace(levels[0], levels[-1], len(levels) + 1)[1:-1])


def below(x: Tensor, levels: Tensor) -> Tensor:
    """Return the code of the level below each value: a slip, here and where codes go on."""
    return (torch.bucketize(x, levels, right=True) - 1).clamp(min=0)


def above(x: Tensor, levels: Tensor) -> Tensor:
    """Return the code of the level above each value: a slip, here and where codes go on."""
    return torch.bucketize(x, levels).clamp(max=len(levels) - 1)


def _unguarded(x: Tensor, levels: Tensor) -> Tensor:
    step = (levels[-1] - levels[0]) / (len(levels) - 1)
    return torch.round((x - levels[0]) / step).clamp(0, len(levels) - 1).long()


ASSIGN_CODES = Exercise(
    id="6.1",
    title="The nearest level",
    points=2,
    reference=assign_codes,
    cases=_cases,
    rules=(Codes(),),
    hints=(
        "Where does one code end and the next one begin? Halfway between two levels.",
        "Compute the midpoints of neighbouring levels. A code is the number of midpoints that lie "
        "below the value: one on a midpoint belongs to the lower level.",
        "return torch.bucketize(x, (levels[1:] + levels[:-1]) / 2). Or, slower: "
        "(x[..., None] - levels).abs().argmin(-1).",
    ),
    misconceptions=(
        Misconception(
            "gives a value on a midpoint the upper code",
            partial(_coded, coded=_upper),
            "A value on a midpoint is as near to both; here it gets the lower code. So count the "
            "midpoints that are smaller, not those that are smaller or equal.",
        ),
        Misconception(
            "gives a value on a midpoint the even code",
            partial(_coded, coded=_even),
            "Rounding sends ties to the even neighbour. Here a value on a midpoint gets the lower "
            "code: count the midpoints that are smaller.",
        ),
        Misconception(
            "gives a value on a midpoint the level that is nearer to 0",
            partial(_coded, coded=_towards_0),
            "A value on a midpoint gets the lower code, on both sides of 0: count the midpoints "
            "that are smaller.",
        ),
        Misconception(
            "returns one number where there is a single level",
            partial(_coded, single=lambda codes: 0),
            "A single level has no midpoints, and Python's sum of nothing is the number 0. The "
            "codes have the shape of x in any case: begin with torch.zeros_like(x, "
            "dtype=torch.int64).",
        ),
        Misconception(
            "returns the levels instead of their codes",
            lambda x, levels: levels[assign_codes(x, levels)],
            "What is stored is the number of the level, 0 to k - 1: a few bits. levels[code] makes "
            "it real again.",
        ),
        Misconception(
            "compares with the levels instead of the midpoints",
            partial(_coded, coded=above),
            "Between two levels the nearer one counts, and that changes at the midpoint: "
            "(levels[1:] + levels[:-1]) / 2.",
        ),
        Misconception(
            "takes the levels for a uniform grid",
            partial(_coded, coded=on_a_grid),
            "Scale and zero point belong to levels at equal distances. These lie anywhere.",
        ),
        Misconception(
            "cuts the range into parts of one width",
            partial(_coded, coded=_equal_parts),
            "The levels lie anywhere, and so do the borders between them: the midpoints of "
            "neighbouring levels.",
        ),
        Misconception(
            "flattens the codes",
            lambda x, levels: torch.cat([assign_codes(x, levels).flatten(), torch.zeros(1).long()])[
                :-1
            ].reshape(1, -1),
            "The codes have the shape of x.",
        ),
        Misconception(
            "gives a value the level below it",
            partial(_coded, coded=below),
            "The nearest level may be the one above: a code changes at the midpoint of two levels.",
        ),
        Misconception(
            "takes the largest difference for the nearest",
            lambda x, levels: (x[..., None] - levels).abs().argmax(-1),
            "The nearest level has the smallest distance: argmin.",
        ),
        Misconception(
            "takes the smallest difference without its magnitude",
            lambda x, levels: torch.full_like(x, len(levels) - 1).long(),
            "A difference may be negative, and the most negative is the smallest: abs() before "
            "argmin.",
        ),
        Misconception(
            "takes half the distances of neighbours for their midpoints",
            lambda x, levels: torch.bucketize(x, ((levels[1:] - levels[:-1]) / 2).sort().values),
            "The midpoint of two levels is half their sum: (levels[1:] + levels[:-1]) / 2.",
        ),
        Misconception(
            "compares with the levels instead of the midpoints",
            torch.bucketize,
            "Between two levels the nearer one counts, and that changes at the midpoint: "
            "(levels[1:] + levels[:-1]) / 2.",
        ),
        Misconception(
            "takes the levels for a uniform grid",
            partial(_coded, coded=_unguarded),
            "Scale and zero point belong to levels at equal distances. These lie anywhere.",
        ),
        Misconception(
            "returns int8",
            partial(_coded, given=lambda codes: codes.to(torch.int8)),
            "Codes go up to k - 1, which is 255 with 256 levels, and int8 ends at 127: leave them "
            "in int64.",
        ),
    ),
    minutes=(7, 11),
)
