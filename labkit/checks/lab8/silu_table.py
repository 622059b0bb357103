"""Exercise 8.3: an activation function as a table of 256 bytes."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, uniform
from labkit.checks.rules import Codes


def silu_table(x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int) -> Tensor:
    """Return the code of silu(x) for each code of x, -128 first: int8 [256].

    Ties go to the even neighbour; the check takes either.
    """
    return _table(x_scale, x_zero_point, y_scale, y_zero_point)


_CODES = torch.arange(-128, 128, dtype=torch.float64)


def _silu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def _table(
    x_scale: float,
    x_zero_point: int,
    y_scale: float,
    y_zero_point: int,
    *,
    real: Callable[[Tensor, int, float], Tensor] = lambda q, z, scale: (q - z) * scale,
    function: Callable[[Tensor], Tensor] = _silu,
    steps: Callable[[Tensor, float], Tensor] = torch.div,
    turn: Callable[[Tensor], Tensor] = torch.round,
    into: Callable[[Tensor, int], Tensor] = lambda q, z: (q + z).clamp(-128, 127).to(torch.int8),
    ordered: Callable[[Tensor], Tensor] = torch.clone,
) -> Tensor:
    y = function(real(_CODES, x_zero_point, x_scale))
    return ordered(into(turn(steps(y, y_scale)), y_zero_point))


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
            partial(_table, ordered=lambda table: table.roll(128)),
            "The first entry belongs to code -128. A table in the order of the byte begins with "
            "code 0 instead; the kernel here looks up q + 128.",
        ),
        Misconception(
            "takes the codes for 0 to 255",
            partial(_table, real=lambda q, z, scale: (q + 128 - z) * scale),
            "Codes of int8 run from -128 to 127.",
        ),
        Misconception(
            "applies the function to codes",
            partial(_table, real=lambda q, z, scale: q),
            "A code is no value: dequantize it first, (q - zero_point) * scale.",
        ),
        Misconception(
            "forgets the scale of the input",
            partial(_table, real=lambda q, z, scale: q - z),
            "The value of a code is (q - zero_point) * scale.",
        ),
        Misconception(
            "forgets the zero point of the input",
            partial(_table, real=lambda q, z, scale: q * scale),
            "The value of a code is (q - zero_point) * scale.",
        ),
        Misconception(
            "adds the zero point of the input",
            partial(_table, real=lambda q, z, scale: (q + z) * scale),
            "The value of a code is (q - zero_point) * scale.",
        ),
        Misconception(
            "divides by the scale of the input",
            partial(_table, real=lambda q, z, scale: (q - z) / scale),
            "The value of a code is (q - zero_point) * scale.",
        ),
        Misconception(
            "forgets the zero point of the result",
            partial(_table, into=lambda q, z: q.clamp(-128, 127).to(torch.int8)),
            "0.0 has the code y_zero_point: add it after rounding.",
        ),
        Misconception(
            "puts the result on the grid of the input",
            lambda x_scale, x_zero, y_scale, y_zero: silu_table(x_scale, x_zero, x_scale, x_zero),
            "The result has a grid of its own: y_scale and y_zero_point.",
        ),
        Misconception(
            "multiplies by the scale of the result",
            partial(_table, steps=torch.mul),
            "A code counts steps: divide by y_scale.",
        ),
        Misconception(
            "converts before it clamps",
            partial(
                _table,
                into=lambda q, z: ((q.long() + z + 128) % 256 - 128).to(torch.int8),
            ),
            "A large result wraps around in int8 and turns negative: clamp, then convert.",
        ),
        Misconception(
            "clamps before it adds the zero point",
            partial(
                _table,
                into=lambda q, z: (q.clamp(-128, 127) + z).clamp(-128, 127).to(torch.int8),
            ),
            "What is clamped are codes: add the zero point first, clamp last.",
        ),
        Misconception(
            "cuts off instead of rounding",
            partial(_table, turn=torch.trunc),
            "Round to the nearest code before you convert.",
        ),
        Misconception(
            "rounds down",
            partial(_table, turn=torch.floor),
            "Round to the nearest code before you convert.",
        ),
        Misconception(
            "takes the sigmoid alone",
            partial(_table, function=torch.sigmoid),
            "SiLU is x * sigmoid(x).",
        ),
        Misconception(
            "takes the hard swish",
            partial(_table, function=F.hardswish),
            "Hard swish is a cheaper neighbour of SiLU, made of straight lines. A table costs the "
            "same for both: x * sigmoid(x).",
        ),
        Misconception(
            "takes the GELU",
            partial(_table, function=F.gelu),
            "GELU is another smooth ReLU. SiLU is x * sigmoid(x).",
        ),
        Misconception(
            "takes the quick GELU",
            partial(_table, function=lambda x: x * torch.sigmoid(1.702 * x)),
            "With 1.702 the curve is near GELU's. SiLU is x * sigmoid(x).",
        ),
        *(
            Misconception(
                f"takes the {name}",
                partial(_table, function=function),
                f"The {name} is another function. SiLU is x * sigmoid(x).",
            )
            for name, function in (
                ("ReLU6", F.relu6),
                ("leaky ReLU", F.leaky_relu),
                ("ELU", F.elu),
                ("softplus", F.softplus),
                ("Mish", F.mish),
                ("hard sigmoid", F.hardsigmoid),
                ("tanh", torch.tanh),
                ("tanh times x", lambda x: x * torch.tanh(x)),
            )
        ),
        Misconception(
            "takes the ReLU",
            partial(_table, function=torch.relu),
            "SiLU is x * sigmoid(x).",
        ),
        Misconception(
            "has no code -128",
            partial(_table, into=lambda q, z: (q + z).clamp(-127, 127).to(torch.int8)),
            "Only weights leave out -128. The result goes down to -128.",
        ),
        Misconception(
            "begins with code -127",
            partial(_table, real=lambda q, z, scale: (q + 1 - z) * scale),
            "Codes of int8 run from -128 to 127: torch.arange(-128, 128).",
        ),
        Misconception(
            "rounds up",
            partial(_table, turn=torch.ceil),
            "Round to the nearest code before you convert.",
        ),
        Misconception(
            "clamps to the range of uint8",
            partial(_table, into=lambda q, z: (q + z).clamp(0, 255).to(torch.uint8)),
            "The result is int8: -128 to 127.",
        ),
        Misconception(
            "subtracts the zero point from the value",
            partial(_table, real=lambda q, z, scale: q * scale - z),
            "The zero point is a code: (q - zero_point) * scale.",
        ),
    ),
    minutes=(5, 8),
    extra=True,
)
