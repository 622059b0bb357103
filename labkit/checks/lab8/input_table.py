"""Exercise 8.1: from the bytes of a camera to codes, in one table."""

from collections.abc import Callable

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
    return _coded(_normalized(mean, std), scale, zero_point)


def _column(values: Numbers) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1)


def _normalized(mean: Numbers, std: Numbers, largest: float = 255) -> Tensor:
    return (torch.arange(256) / largest - _column(mean)) / _column(std)


def _coded(
    x: Tensor, scale: float, zero_point: int, turn: Callable[[Tensor], Tensor] = torch.round
) -> Tensor:
    return (turn(x / scale) + zero_point).clamp(0, 255).to(torch.uint8)


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


def _of(x: Callable[[Numbers, Numbers], Tensor]) -> Callable[..., Tensor]:
    return lambda mean, std, scale, zero_point: _coded(x(mean, std), scale, zero_point)


def _twice(mean: Numbers, std: Numbers) -> Tensor:
    return (_normalized(mean, std) - _column(mean)) / _column(std)


def _wraps(mean: Numbers, std: Numbers, scale: float, zero_point: int) -> Tensor:
    q = torch.round(_normalized(mean, std) / scale) + zero_point
    return (q.to(torch.int64) % 256).to(torch.uint8)


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
            _of(lambda mean, std: _normalized(mean, std, 1)),
            "mean and std are those of pixels from 0 to 1: divide the byte by 255 first. As it is, "
            "nearly every byte gets the last code.",
        ),
        Misconception(
            "scales to [0, 1] twice",
            _of(lambda mean, std: _normalized(mean, std, 255 * 255)),
            "A byte over 255 lies in [0, 1] already. Scaled twice, all bytes look black.",
        ),
        Misconception(
            "divides by 256",
            _of(lambda mean, std: _normalized(mean, std, 256)),
            "The byte 255 stands for 1.0, so divide by 255.",
        ),
        Misconception(
            "applies mean and deviation twice",
            _of(_twice),
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
            _of(lambda mean, std: (torch.arange(256) / 255 - _column(mean)) * _column(std)),
            "Normalized is (x - mean) / std: divided.",
        ),
        Misconception(
            "forgets the zero point",
            lambda mean, std, scale, zero_point: input_table(mean, std, scale, 0),
            "A normalized pixel of 0.0 has the code zero_point: add it after rounding.",
        ),
        Misconception(
            "converts before it clamps",
            _wraps,
            "A number beyond 255 wraps around in uint8, so white turns black: clamp, then convert.",
        ),
        Misconception(
            "cuts off instead of rounding",
            lambda mean, std, scale, zero_point: _coded(
                _normalized(mean, std), scale, zero_point, torch.trunc
            ),
            "Round to the nearest code. Converting to an integer cuts off.",
        ),
        Misconception(
            "scales the deviation to bytes and not the mean",
            _of(lambda mean, std: (torch.arange(256) - _column(mean)) / (255 * _column(std))),
            "mean and std both belong to pixels from 0 to 1: divide the byte by 255 first, or "
            "multiply both by 255.",
        ),
        Misconception(
            "has a row for the first channel only",
            lambda mean, std, *grid: input_table(mean[:1], std[:1], *grid),
            "Each channel has its own mean and std, so its own row.",
        ),
        Misconception(
            "clamps to the range of int8",
            lambda mean, std, scale, zero_point: (
                (torch.round(_normalized(mean, std) / scale) + zero_point)
                .clamp(-128, 127)
                .to(torch.int8)
            ),
            "The network's input is uint8: 0 to 255.",
        ),
        Misconception(
            "clamps before it adds the zero point",
            lambda mean, std, scale, zero_point: (
                (torch.round(_normalized(mean, std) / scale).clamp(0, 255) + zero_point)
                .clamp(0, 255)
                .to(torch.uint8)
            ),
            "Codes below the zero point stand for what is negative: clamp last.",
        ),
    ),
    minutes=(6, 10),
)
