"""Exercise 6.9: a block whose scale is a power of two."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, randn, uniform
from labkit.checks.rules import Codes, Rule

_BELOW_8 = float(torch.nextafter(torch.tensor(8.0), torch.tensor(0.0)))
MAGNITUDES = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def mxfp4_block(x: Tensor) -> tuple[int, Tensor]:
    """Return the exponent of the scale, and what the values of a block, not all 0, come back as."""
    return _stored(x)


def _nearest(y: Tensor, upper: Callable[[Tensor], Tensor] = torch.zeros_like) -> Tensor:
    """Return the nearest levels; of two that are as near the lower, or where `upper` says so."""
    midpoints = (MAGNITUDES[1:] + MAGNITUDES[:-1]) / 2
    low, high = (torch.bucketize(y.abs(), midpoints, right=right) for right in (False, True))
    signs = torch.where(y < 0, -1.0, 1.0)
    return signs * MAGNITUDES[torch.where(upper(torch.where(y < 0, -1 - low, low)) > 0, high, low)]


def _stored(
    x: Tensor,
    *,
    largest: Callable[[Tensor], Tensor] = lambda x: x.abs().max(),
    log: Callable[[float], float] = math.log2,
    turn: Callable[[float], int] = math.floor,
    less: int = 2,
    nearest: Callable[[Tensor], Tensor] = _nearest,
    signed: Callable[[Tensor], Tensor] = torch.clone,
    back: bool = True,
) -> tuple[int, Tensor]:
    exponent = turn(log(float(largest(x)))) - less
    values = signed(nearest(x / 2.0**exponent))
    return exponent, values * 2.0**exponent if back else values


def _cases(rng: torch.Generator) -> list[Case]:
    def block(largest: float, count: int = 32, rest: float = 0.9) -> Tensor:
        x = rest * largest * (2 * torch.rand(count, generator=rng) - 1)
        x[int(torch.randint(count, (), generator=rng))] = largest
        return x

    midpoints = (MAGNITUDES[1:] + MAGNITUDES[:-1]) / 2
    halfway = torch.cat([midpoints, -midpoints]) * 2.0 ** one(rng, -3, 3)
    return [
        Case("values halfway between two levels", (halfway,)),
        Case("four values", (block(uniform(rng, 4.1, 5.9), 4),)),
        Case("a largest value that saturates", (block(uniform(rng, 7.1, 7.9)),)),
        Case("a largest value just below a power of two", (-block(uniform(rng, 0.98, 0.999)),)),
        Case("a power of two", (block(4.0),)),
        # float32 has no number between 7.9999995 and 8, nor between their logarithms and 3.
        Case("one step of float32 below a power of two", (block(_BELOW_8, 4),)),
        Case("a small power of two", (block(2.0**-29, 4),)),
        Case("a largest value just below 6", (block(uniform(rng, 5.72, 5.95)),)),
        Case("large values", (block(uniform(rng, 300, 500)),)),
        Case("small values", (0.01 * randn(rng, 32),)),
        Case("a negative extreme", (-block(uniform(rng, 1.1, 1.4), rest=0.4),)),
    ]


def _by_six(x: Tensor) -> tuple[float, Tensor]:
    """Take the scale of NVFP4, which is no power of two."""
    scale = float(x.abs().max()) / 6
    return math.log2(scale), _nearest(x / scale) * scale


def _in_steps(step: float) -> Callable[[Tensor], Tensor]:
    return lambda y: (torch.round(y / step) * step).clamp(-6, 6)


def _below(y: Tensor) -> Tensor:
    return y.sign() * MAGNITUDES[torch.searchsorted(MAGNITUDES, y.abs(), right=True) - 1]


def _unsaturated(y: Tensor) -> Tensor:
    step = 2.0 ** (y.abs().clamp(min=1).log2().floor() - 1)
    return y.sign() * torch.ceil(y.abs() / step - 0.5) * step


def _codes(y: Tensor) -> Tensor:
    """Return the codes of four bits, of which the highest is the sign."""
    return torch.bucketize(y.abs(), (MAGNITUDES[1:] + MAGNITUDES[:-1]) / 2) + 8 * (y < 0)


def _distant(y: Tensor) -> Tensor:
    """Look for the nearest among levels without a sign."""
    return MAGNITUDES[(y[:, None] - MAGNITUDES).abs().argmin(1)]


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
        "exponent = floor(log2(max |x|)) - 2, scale = 2.0**exponent. Take the logarithm in "
        "float64: that of float32 rounds up just below a power of two. Then find the nearest "
        "magnitude to |x| / scale, as in 6.1, and put the sign back.",
        "midpoints = (magnitudes[1:] + magnitudes[:-1]) / 2; nearest = magnitudes[torch.bucketize("
        "x.abs() / scale, midpoints)]; return exponent, scale * torch.copysign(nearest, x).",
    ),
    misconceptions=(
        Misconception(
            "rounds the exponent up",
            partial(_stored, turn=math.ceil),
            "Then nothing saturates, but the steps of most blocks are twice as wide, and the level "
            "6 stays unused: the standard floors.",
        ),
        Misconception(
            "rounds the exponent to the nearest",
            partial(_stored, turn=round),
            "The standard floors the exponent, whatever the mantissa is.",
        ),
        Misconception(
            "cuts the exponent off towards 0",
            partial(_stored, turn=int),
            "int(...) rounds a negative exponent up. The standard floors it: math.floor.",
        ),
        Misconception(
            "takes the logarithm in float32",
            partial(_stored, log=lambda largest: float(torch.tensor(largest).log2())),
            "Just below a power of two float32 rounds the logarithm up: of 7.9999995 it is 3.0, "
            "and the exponent one too large. Take it in float64, of .double() or a Python float, "
            "or ask math.frexp for the exponent itself.",
        ),
        Misconception(
            "divides two logarithms to another base",
            partial(_stored, log=lambda largest: math.log(largest) / math.log(2)),
            "Neither logarithm is exact, and at a power of two their quotient may end below a "
            "whole number: of 2^-29 it is -29.000000000000004. math.log2 is exact there.",
        ),
        Misconception(
            "leaves out the exponent of the largest level",
            partial(_stored, less=0),
            "The levels go up to 6, not to 1: subtract 2, the exponent of 6, from that of the "
            "largest value.",
        ),
        Misconception(
            "subtracts 3",
            partial(_stored, less=3),
            "6 is 1.5 * 2^2: its exponent is 2. With 3 the largest values are cut off.",
        ),
        Misconception(
            "subtracts 1",
            partial(_stored, less=1),
            "6 is 1.5 * 2^2: its exponent is 2. With 1 the upper levels are never used.",
        ),
        Misconception(
            "subtracts 8",
            partial(_stored, less=8),
            "8 is the exponent of the largest E4M3 number, 448, in MXFP8. That of 6 is 2.",
        ),
        Misconception(
            "adds the exponent of the largest level",
            partial(_stored, less=-2),
            "The larger the levels, the smaller the scale: subtract 2, the exponent of 6.",
        ),
        Misconception(
            "takes the largest value without its magnitude",
            partial(_stored, largest=lambda x: x.max()),
            "The largest may be negative: abs() before the maximum.",
        ),
        Misconception(
            "divides by the largest value over 6",
            _by_six,
            "That scale is no power of two. MXFP4 stores an exponent alone, in 8 bits.",
        ),
        Misconception(
            "takes the exponent of the largest value over 6",
            partial(_stored, largest=lambda x: x.abs().max() / 6, less=0),
            "The standard takes the exponent of the largest value and subtracts that of 6, which "
            "is 2: floor(log2(6)), not log2(6).",
        ),
        Misconception(
            "takes the exponent of the largest value over 6, rounded up",
            partial(_stored, largest=lambda x: x.abs().max() / 6, less=0, turn=math.ceil),
            "Then nothing saturates, but blocks lose a bit. The standard takes the exponent of the "
            "largest value, floored, and subtracts that of 6, which is 2.",
        ),
        Misconception(
            "takes the exponent of the largest value over 6, rounded to the nearest",
            partial(_stored, largest=lambda x: x.abs().max() / 6, less=0, turn=round),
            "The standard takes the exponent of the largest value, floored, and subtracts that of "
            "6, which is 2.",
        ),
        Misconception(
            "rounds to whole numbers",
            partial(_stored, nearest=_in_steps(1.0)),
            "The levels of E2M1 are not evenly spaced: 0.5 and 1.5 are among them, 5 is not.",
        ),
        Misconception(
            "rounds to multiples of a half",
            partial(_stored, nearest=_in_steps(0.5)),
            "The levels of E2M1 are not evenly spaced: above 2 there is neither 2.5 nor 3.5, 4.5, "
            "5 nor 5.5. Take the nearest of `magnitudes`.",
        ),
        Misconception(
            "takes the level below",
            partial(_stored, nearest=_below),
            "The nearest level, so compare with the midpoints of the magnitudes.",
        ),
        Misconception(
            "loses the signs",
            partial(_stored, signed=torch.abs),
            "The magnitudes have no sign: put that of x back.",
        ),
        Misconception(
            "makes negative values 0",
            partial(_stored, nearest=_distant),
            "The levels are magnitudes, and 0 is the nearest of them to everything negative: take "
            "abs() first, and put the sign back.",
        ),
        Misconception(
            "returns the levels without the scale",
            partial(_stored, back=False),
            "The values are level times scale: multiply by 2.0**exponent at the end.",
        ),
        *(
            Misconception(
                "returns codes instead of values",
                partial(_stored, nearest=codes, back=False),
                "A code says which magnitude it is. The values are magnitudes[code] * scale, with "
                "the sign of x.",
            )
            for codes in (_codes, lambda y: _codes(y) % 8)
        ),
        Misconception(
            "sends values halfway to the larger magnitude",
            partial(_stored, nearest=partial(_nearest, upper=torch.ones_like)),
            "A value halfway between two magnitudes takes the smaller one here: count the "
            "midpoints that are smaller.",
        ),
        Misconception(
            "sends values halfway to the even mantissa",
            partial(
                _stored,
                nearest=partial(_nearest, upper=lambda i: torch.where(i < 0, -1 - i, i) % 2),
            ),
            "That is what hardware does. Here a value halfway between two magnitudes takes the "
            "smaller one, as in 6.1.",
        ),
        Misconception(
            "sends values halfway to the lower level, which is the larger magnitude below 0",
            partial(_stored, nearest=partial(_nearest, upper=lambda i: i < 0)),
            "Of signed levels the lower is the one farther from 0 where x is negative. A value "
            "halfway takes the smaller magnitude: look for the nearest of abs(x) among the "
            "magnitudes, and put the sign back.",
        ),
        Misconception(
            "sends values halfway to the higher level, which is the larger magnitude above 0",
            partial(_stored, nearest=partial(_nearest, upper=lambda i: i >= 0)),
            "Of signed levels the higher is the one farther from 0 where x is positive. A value "
            "halfway takes the smaller magnitude: look for the nearest of abs(x) among the "
            "magnitudes, and put the sign back.",
        ),
        Misconception(
            "does not saturate",
            partial(_stored, nearest=_unsaturated),
            "6 is the largest level: what lies beyond it is cut off there, and 8 does not exist.",
        ),
        Misconception(
            "returns the scale instead of its exponent",
            lambda x: (2.0 ** mxfp4_block(x)[0], mxfp4_block(x)[1]),
            "What is stored is the exponent e, a whole number: the scale follows from it.",
        ),
    ),
    minutes=(10, 15),
)
