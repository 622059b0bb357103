"""Exercise 8.3: an activation function as a table of 256 bytes."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, uniform
from labkit.checks.rules import Codes


def silu_table(x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int) -> Tensor:
    """Return the code of silu(x) for each code of x, -128 first: int8 [256].

    Ties go to the even neighbour; the check takes either.
    """
    return _coded(_silu((_CODES - x_zero_point) * x_scale), y_scale, y_zero_point)


_CODES = torch.arange(-128, 128, dtype=torch.float64)


def _silu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def _coded(
    y: Tensor, scale: float, zero_point: int, turn: Callable[[Tensor], Tensor] = torch.round
) -> Tensor:
    return (turn(y / scale) + zero_point).clamp(-128, 127).to(torch.int8)


def _unrounded(
    x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int
) -> tuple[Tensor, int, int]:
    y = _silu((_CODES - x_zero_point) * x_scale)
    return y / y_scale + y_zero_point, -128, 127


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, x: float, x_ends: tuple, y: float, y_ends: tuple) -> Case:
        grids = ((x, x_ends), (y, y_ends))
        found = [(round(s * uniform(rng, 0.9, 1.1), 5), one(rng, *ends)) for s, ends in grids]
        return Case(label, (*found[0], *found[1]))

    return [
        case("a usual grid", 0.05, (-30, -10), 0.03, (-120, -100)),
        case("a zero point above the middle", 0.04, (10, 40), 0.02, (-110, -90)),
        case("results that saturate", 0.06, (-40, -20), 0.011, (-115, -100)),
        case("a coarse grid", 0.15, (-20, 20), 0.09, (-120, -100)),
        case("a fine grid", 0.006, (-20, 20), 0.003, (-60, -20)),
    ]


def _on(codes: Callable[[int, float], Tensor]) -> Callable[..., Tensor]:
    """Return the answer whose real numbers are ``codes(x_zero_point, x_scale)``."""
    return lambda x_scale, x_zero, y_scale, y_zero: _coded(
        _silu(codes(x_zero, x_scale)), y_scale, y_zero
    )


def _wraps(x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int) -> Tensor:
    y = _silu((_CODES - x_zero_point) * x_scale)
    q = torch.round(y / y_scale).long() + y_zero_point
    return ((q + 128) % 256 - 128).to(torch.int8)


SILU_TABLE = Exercise(
    id="8.3",
    title="An activation as a table",
    points=2,
    reference=silu_table,
    cases=_cases,
    rules=(Codes(unrounded=_unrounded, dtype="int8"),),
    hints=(
        "For each of the 256 codes: what does it stand for, what is the function of that, and "
        "which code has the result?",
        "torch.arange(-128, 128) are the codes in order. Dequantize them with the grid of x, apply "
        "x * sigmoid(x), quantize with the grid of y, and clamp before you convert to int8.",
        "x = (torch.arange(-128, 128) - x_zero_point) * x_scale; y = x * torch.sigmoid(x); return "
        "(torch.round(y / y_scale) + y_zero_point).clamp(-128, 127).to(torch.int8).",
    ),
    misconceptions=(
        Misconception(
            "begins with code 0",
            lambda *grids: silu_table(*grids).roll(128),
            "The first entry belongs to code -128. A table in the order of the byte begins with "
            "code 0 instead; the kernel here looks up q + 128.",
        ),
        Misconception(
            "takes the codes for 0 to 255",
            _on(lambda zero_point, scale: (_CODES + 128 - zero_point) * scale),
            "Codes of int8 run from -128 to 127.",
        ),
        Misconception(
            "applies the function to codes",
            _on(lambda zero_point, scale: _CODES),
            "A code is no value: dequantize it first, (q - zero_point) * scale.",
        ),
        Misconception(
            "forgets the zero point of the input",
            _on(lambda zero_point, scale: _CODES * scale),
            "The value of a code is (q - zero_point) * scale.",
        ),
        Misconception(
            "forgets the zero point of the result",
            lambda x_scale, x_zero, y_scale, y_zero: silu_table(x_scale, x_zero, y_scale, 0),
            "0.0 has the code y_zero_point: add it after rounding.",
        ),
        Misconception(
            "puts the result on the grid of the input",
            lambda x_scale, x_zero, y_scale, y_zero: silu_table(x_scale, x_zero, x_scale, x_zero),
            "The result has a grid of its own: y_scale and y_zero_point.",
        ),
        Misconception(
            "converts before it clamps",
            _wraps,
            "A large result wraps around in int8 and turns negative: clamp, then convert.",
        ),
        Misconception(
            "cuts off instead of rounding",
            lambda x_scale, x_zero, y_scale, y_zero: _coded(
                _silu((_CODES - x_zero) * x_scale), y_scale, y_zero, torch.trunc
            ),
            "Round to the nearest code before you convert.",
        ),
        Misconception(
            "takes the sigmoid alone",
            lambda x_scale, x_zero, y_scale, y_zero: _coded(
                torch.sigmoid((_CODES - x_zero) * x_scale), y_scale, y_zero
            ),
            "SiLU is x * sigmoid(x).",
        ),
        Misconception(
            "takes the hard swish",
            lambda x_scale, x_zero, y_scale, y_zero: _coded(
                torch.nn.functional.hardswish((_CODES - x_zero) * x_scale), y_scale, y_zero
            ),
            "Hard swish is a cheaper neighbour of SiLU, made of straight lines. A table costs the "
            "same for both: x * sigmoid(x).",
        ),
        Misconception(
            "clamps to the range of uint8",
            lambda x_scale, x_zero, y_scale, y_zero: (
                (torch.round(_silu((_CODES - x_zero) * x_scale) / y_scale) + y_zero)
                .clamp(0, 255)
                .to(torch.uint8)
            ),
            "The result is int8: -128 to 127.",
        ),
        Misconception(
            "subtracts the zero point from the value",
            _on(lambda zero_point, scale: _CODES * scale - zero_point),
            "The zero point is a code: (q - zero_point) * scale.",
        ),
    ),
    minutes=(5, 8),
    extra=True,
)
