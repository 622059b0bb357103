"""Exercise 6.9: a block whose scale is a power of two."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, randn, uniform
from labkit.checks.rules import Codes, Rule

MAGNITUDES = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def mxfp4_block(x: Tensor) -> tuple[int, Tensor]:
    """Return the exponent of the scale, and what the values of a block, not all 0, come back as."""
    return _stored(x, _exponent(x))


def _exponent(x: Tensor, turn: Callable[[float], int] = math.floor) -> int:
    return turn(math.log2(float(x.abs().max()))) - 2


def _stored(x: Tensor, exponent: int) -> tuple[int, Tensor]:
    scale = 2.0**exponent
    midpoints = (MAGNITUDES[1:] + MAGNITUDES[:-1]) / 2
    magnitude = MAGNITUDES[torch.bucketize(x.abs() / scale, midpoints)]
    return exponent, scale * torch.where(x < 0, -magnitude, magnitude)


def _cases(rng: torch.Generator) -> list[Case]:
    def block(largest: float, count: int = 32, rest: float = 0.9) -> Tensor:
        x = rest * largest * (2 * torch.rand(count, generator=rng) - 1)
        x[int(torch.randint(count, (), generator=rng))] = largest
        return x

    halfway = torch.tensor([0.25, -0.75, 1.25, -1.75, 2.5, -3.5, 5.0]) * 2.0 ** one(rng, -3, 3)
    return [
        Case("values halfway between two levels", (halfway,)),
        Case("four values", (block(uniform(rng, 4.1, 5.9), 4),)),
        Case("a largest value that saturates", (block(uniform(rng, 7.1, 7.9)),)),
        Case("a largest value just below a power of two", (-block(uniform(rng, 0.98, 0.999)),)),
        Case("a power of two", (block(4.0),)),
        Case("large values", (block(uniform(rng, 300, 500)),)),
        Case("small values", (0.01 * randn(rng, 32),)),
        Case("a negative extreme", (-block(uniform(rng, 1.1, 1.4), rest=0.4),)),
    ]


def _by_six(x: Tensor) -> tuple[float, Tensor]:
    """Take the scale of NVFP4, which is no power of two."""
    scale = float(x.abs().max()) / 6
    return math.log2(scale), _stored(x / scale, 0)[1] * scale


def _uniform(x: Tensor) -> tuple[int, Tensor]:
    exponent = _exponent(x)
    return exponent, 2.0**exponent * torch.round(x / 2.0**exponent).clamp(-6, 6)


def _truncated(x: Tensor) -> tuple[int, Tensor]:
    exponent = _exponent(x)
    codes = torch.searchsorted(MAGNITUDES, x.abs() / 2.0**exponent, right=True) - 1
    return exponent, 2.0**exponent * MAGNITUDES[codes] * x.sign()


def _halfway(up: Callable[[Tensor], Tensor]) -> Callable[[Tensor], tuple[int, Tensor]]:
    """Return the answer that sends values halfway up where ``up(index of the lower level)``."""

    def wrong(x: Tensor) -> tuple[int, Tensor]:
        exponent = _exponent(x)
        midpoints = (MAGNITUDES[1:] + MAGNITUDES[:-1]) / 2
        y = x.abs() / 2.0**exponent
        lower, upper = (torch.bucketize(y, midpoints, right=right) for right in (False, True))
        codes = torch.where((lower != upper) & up(lower), upper, lower)
        return exponent, 2.0**exponent * MAGNITUDES[codes] * x.sign()

    return wrong


def _unsaturated(x: Tensor) -> tuple[int, Tensor]:
    exponent = _exponent(x)
    y = x.abs() / 2.0**exponent
    step = 2.0 ** (y.clamp(min=1).log2().floor() - 1)
    return exponent, 2.0**exponent * torch.ceil(y / step - 0.5) * step * x.sign()


MXFP4_BLOCK = Exercise(
    id="6.9",
    title="A power of two for a scale",
    points=3,
    reference=mxfp4_block,
    cases=_cases,
    rules=(Codes(), Rule(relative=1e-5)),
    names=("exponent", "values"),
    hints=(
        "The largest level, 6, is 1.5 * 2^2. So the largest value of the block shall lie in the "
        "same binade as 6 once it is divided by the scale: between 4 and 8.",
        "exponent = floor(log2(max |x|)) - 2, scale = 2.0**exponent. Then find the nearest "
        "magnitude to |x| / scale, as in 6.1, and put the sign back.",
        "midpoints = (magnitudes[1:] + magnitudes[:-1]) / 2; nearest = magnitudes[torch.bucketize("
        "x.abs() / scale, midpoints)]; return exponent, scale * torch.copysign(nearest, x).",
    ),
    misconceptions=(
        Misconception(
            "rounds the exponent up",
            lambda x: _stored(x, _exponent(x, math.ceil)),
            "Then nothing saturates, but the steps of most blocks are twice as wide, and the level "
            "6 stays unused: the standard floors.",
        ),
        Misconception(
            "rounds the exponent to the nearest",
            lambda x: _stored(x, _exponent(x, round)),
            "The standard floors the exponent, whatever the mantissa is.",
        ),
        Misconception(
            "leaves out the exponent of the largest level",
            lambda x: _stored(x, _exponent(x) + 2),
            "The levels go up to 6, not to 1: subtract 2, the exponent of 6, from that of the "
            "largest value.",
        ),
        Misconception(
            "subtracts 3",
            lambda x: _stored(x, _exponent(x) - 1),
            "6 is 1.5 * 2^2: its exponent is 2. With 3 the largest values are cut off.",
        ),
        Misconception(
            "divides by the largest value over 6",
            _by_six,
            "That scale is no power of two. MXFP4 stores an exponent alone, in 8 bits.",
        ),
        Misconception(
            "rounds to whole numbers",
            _uniform,
            "The levels of E2M1 are not evenly spaced: 0.5 and 1.5 are among them, 5 is not.",
        ),
        Misconception(
            "takes the level below",
            _truncated,
            "The nearest level, so compare with the midpoints of the magnitudes.",
        ),
        Misconception(
            "loses the signs",
            lambda x: (_exponent(x), mxfp4_block(x)[1].abs()),
            "The magnitudes have no sign: put that of x back.",
        ),
        Misconception(
            "returns the levels without the scale",
            lambda x: (_exponent(x), mxfp4_block(x)[1] / 2.0 ** _exponent(x)),
            "The values are level times scale: multiply by 2.0**exponent at the end.",
        ),
        Misconception(
            "sends values halfway to the larger magnitude",
            _halfway(lambda lower: lower >= 0),
            "A value halfway between two magnitudes takes the smaller one here: count the "
            "midpoints that are smaller.",
        ),
        Misconception(
            "sends values halfway to the even mantissa",
            _halfway(lambda lower: lower % 2 == 1),
            "That is what hardware does. Here a value halfway between two magnitudes takes the "
            "smaller one, as in 6.1.",
        ),
        Misconception(
            "does not saturate",
            _unsaturated,
            "6 is the largest level: what lies beyond it is cut off there, and 8 does not exist.",
        ),
        Misconception(
            "returns the scale instead of its exponent",
            lambda x: (2.0 ** _exponent(x), mxfp4_block(x)[1]),
            "What is stored is the exponent e, a whole number: the scale follows from it.",
        ),
    ),
    minutes=(10, 15),
)
