"""Exercise 8.1: from the bytes of a camera to codes, in one table."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, uniform
from labkit.checks.rules import Codes

Numbers = tuple[float, ...]


def input_table(mean: Numbers, std: Numbers, scale: float, zero_point: int) -> Tensor:
    """Return the code, 0 to 255, of each byte of each channel: uint8 [channels, 256].

    Ties go to the even neighbour; the check takes either.
    """
    return _table(mean, std, scale, zero_point)


def _column(values: Numbers) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1)


def _normalized(mean: Numbers, std: Numbers, largest: float = 255) -> Tensor:
    return (torch.arange(256) / largest - _column(mean)) / _column(std)


def _table(
    mean: Numbers,
    std: Numbers,
    scale: float,
    zero_point: int,
    *,
    real: Callable[[Numbers, Numbers], Tensor] = _normalized,
    steps: Callable[[Tensor, float], Tensor] = torch.div,
    turn: Callable[[Tensor], Tensor] = torch.round,
    into: Callable[[Tensor, int], Tensor] = lambda q, z: (q + z).clamp(0, 255).to(torch.uint8),
) -> Tensor:
    return into(turn(steps(real(mean, std), scale)), zero_point)


def _unrounded(
    mean: Numbers, std: Numbers, scale: float, zero_point: int
) -> tuple[Tensor, int, int]:
    return _normalized(mean, std) / scale + zero_point, 0, 255


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, channels: int, scale: float, low: int, high: int) -> Case:
        mean = tuple(uniform(rng, 0.3, 0.6) for _ in range(channels))
        std = tuple(uniform(rng, 0.2, 0.35) for _ in range(channels))
        scale = round(scale * uniform(rng, 0.9, 1.1), 5)
        return Case(label, (mean, std, scale, one(rng, low, high)))

    return [
        case("one channel", 1, 0.02, 90, 130),
        case("three channels", 3, 0.02, 90, 130),
        case("a grid that is too narrow, at both ends", 3, 0.008, 90, 130),
        case("a wide grid", 3, 0.07, 100, 140),
        case("a zero point of 0", 3, 0.02, 0, 0),
        case("four channels", 4, 0.018, 80, 120),
    ]


def _twice(mean: Numbers, std: Numbers) -> Tensor:
    return (_normalized(mean, std) - _column(mean)) / _column(std)


def _centered(mean: Numbers, std: Numbers) -> Tensor:
    return (torch.arange(256) / 127.5 - 1).expand(len(mean), -1).double()


INPUT_TABLE = Exercise(
    id="8.1",
    title="The door as a table",
    points=2,
    reference=input_table,
    cases=_cases,
    rules=(Codes(unrounded=_unrounded, dtype="uint8"),),
    hints=(
        "There are only 256 bytes. Do to torch.arange(256) what was done to the images: scale to "
        "[0, 1], normalize, quantize.",
        "mean and std differ from channel to channel: as columns, [channels, 1], they broadcast "
        "against the 256 bytes. Clamp to 0 and 255 before you convert to uint8.",
        "mean, std = (torch.tensor(v).reshape(-1, 1) for v in (mean, std)); x = (torch.arange(256) "
        "/ 255 - mean) / std; return (torch.round(x / scale) + zero_point).clamp(0, 255).to("
        "torch.uint8).",
    ),
    misconceptions=(
        Misconception(
            "normalizes bytes from 0 to 255",
            partial(_table, real=lambda mean, std: _normalized(mean, std, 1)),
            "mean and std are those of pixels from 0 to 1: divide the byte by 255 first. As it is, "
            "nearly every byte gets the last code.",
        ),
        Misconception(
            "scales to [0, 1] twice",
            partial(_table, real=lambda mean, std: _normalized(mean, std, 255 * 255)),
            "A byte over 255 lies in [0, 1] already. Scaled twice, all bytes look black.",
        ),
        Misconception(
            "divides by 256",
            partial(_table, real=lambda mean, std: _normalized(mean, std, 256)),
            "The byte 255 stands for 1.0, so divide by 255.",
        ),
        Misconception(
            "scales to -1 to 1",
            partial(_table, real=_centered),
            "Some networks were trained on pixels from -1 to 1. Here mean and std do that: "
            "(byte / 255 - mean) / std.",
        ),
        Misconception(
            "scales to -1 to 1 before it normalizes",
            partial(
                _table,
                real=lambda mean, std: (
                    (torch.arange(256) / 127.5 - 1 - _column(mean)) / _column(std)
                ),
            ),
            "mean and std are those of pixels from 0 to 1: divide the byte by 255, no more.",
        ),
        Misconception(
            "takes the variance for the deviation",
            partial(
                _table,
                real=lambda mean, std: (
                    (torch.arange(256) / 255 - _column(mean)) / _column(std).sqrt()
                ),
            ),
            "std is the deviation already: no root.",
        ),
        Misconception(
            "applies mean and deviation twice",
            partial(_table, real=_twice),
            "Normalize once: (byte / 255 - mean) / std. The second time belongs to a network whose "
            "first layer does it, or to nobody.",
        ),
        Misconception(
            "turns the order of the channels round",
            lambda mean, std, *grid: input_table(mean[::-1], std[::-1], *grid),
            "Row c of the table belongs to channel c of mean and std: RGB stays RGB. Where a "
            "camera gives BGR, exchange its bytes, not the table's rows.",
        ),
        Misconception(
            "has one table for all channels",
            lambda mean, std, *grid: input_table(mean[:1] * len(mean), std[:1] * len(mean), *grid),
            "Each channel has its own mean and std, so its own row.",
        ),
        Misconception(
            "multiplies by the deviation",
            partial(
                _table,
                real=lambda mean, std: (torch.arange(256) / 255 - _column(mean)) * _column(std),
            ),
            "Normalized is (x - mean) / std: divided.",
        ),
        Misconception(
            "forgets the zero point",
            partial(_table, into=lambda q, z: q.clamp(0, 255).to(torch.uint8)),
            "A normalized pixel of 0.0 has the code zero_point: add it after rounding.",
        ),
        Misconception(
            "converts before it clamps",
            partial(_table, into=lambda q, z: ((q + z).long() % 256).to(torch.uint8)),
            "A number beyond 255 wraps around in uint8, so white turns black: clamp, then convert.",
        ),
        Misconception(
            "cuts off instead of rounding",
            partial(_table, turn=torch.trunc),
            "Round to the nearest code. Converting to an integer cuts off.",
        ),
        Misconception(
            "scales the deviation to bytes and not the mean",
            partial(
                _table,
                real=lambda mean, std: (torch.arange(256) - _column(mean)) / (255 * _column(std)),
            ),
            "mean and std both belong to pixels from 0 to 1: divide the byte by 255 first, or "
            "multiply both by 255.",
        ),
        Misconception(
            "scales the mean to bytes and not the deviation",
            partial(
                _table,
                real=lambda mean, std: (torch.arange(256) - 255 * _column(mean)) / _column(std),
            ),
            "mean and std both belong to pixels from 0 to 1: divide the byte by 255 first, or "
            "multiply both by 255.",
        ),
        Misconception(
            "has a row for the first channel only",
            lambda mean, std, *grid: input_table(mean[:1], std[:1], *grid),
            "Each channel has its own mean and std, so its own row.",
        ),
        Misconception(
            "rounds down",
            partial(_table, turn=torch.floor),
            "Round to the nearest code: torch.round. (A cast to integers alone drops the fraction, "
            "too.)",
        ),
        Misconception(
            "multiplies by the scale",
            partial(_table, steps=torch.mul),
            "A code counts steps: divide by the scale.",
        ),
        Misconception(
            "subtracts the zero point",
            partial(_table, into=lambda q, z: (q - z).clamp(0, 255).to(torch.uint8)),
            "A normalized pixel of 0.0 has the code zero_point: add it after rounding.",
        ),
        Misconception(
            "leaves the mean out",
            partial(_table, real=lambda mean, std: torch.arange(256) / 255 / _column(std)),
            "Normalized is (x - mean) / std: the mean is taken away first.",
        ),
        Misconception(
            "leaves the deviation out",
            partial(_table, real=lambda mean, std: torch.arange(256) / 255 - _column(mean)),
            "Normalized is (x - mean) / std: divided by the deviation.",
        ),
        Misconception(
            "adds the mean",
            partial(
                _table,
                real=lambda mean, std: (torch.arange(256) / 255 + _column(mean)) / _column(std),
            ),
            "Normalized is (x - mean) / std: the mean is taken away.",
        ),
        Misconception(
            "divides by the deviation before it takes the mean away",
            partial(
                _table,
                real=lambda mean, std: torch.arange(256) / 255 / _column(std) - _column(mean),
            ),
            "Normalized is (x - mean) / std: the difference is divided, not the pixel alone.",
        ),
        Misconception(
            "has the table with a column for each channel",
            lambda *args: input_table(*args).T,
            "[channels, 256]: a row for each channel.",
        ),
        Misconception(
            "clamps to the range of int8",
            partial(_table, into=lambda q, z: (q + z).clamp(-128, 127).to(torch.int8)),
            "The network's input is uint8: 0 to 255.",
        ),
        Misconception(
            "clamps before it adds the zero point",
            partial(
                _table,
                into=lambda q, z: (q.clamp(0, 255) + z).clamp(0, 255).to(torch.uint8),
            ),
            "Codes below the zero point stand for what is negative: clamp last.",
        ),
    ),
    minutes=(6, 10),
)
