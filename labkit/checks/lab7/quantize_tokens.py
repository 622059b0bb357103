"""Exercise 7.3: a grid for each token."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import SCALE, randn
from labkit.checks.lab7.drawing import outlying, real_piece
from labkit.checks.rules import Codes


def quantize_tokens(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return codes, -127 to 127, and the scale of each token; 1 for a token of zeros."""
    return _coded(x, x.abs().amax(1) / 127)


def _coded(
    x: Tensor, scale: Tensor, turn: Callable[[Tensor], Tensor] = torch.round
) -> tuple[Tensor, Tensor]:
    scale = torch.where(scale == 0, 1.0, scale)
    return turn(x / scale[:, None]).clamp(-128, 127).to(torch.int8), scale


def _unrounded(x: Tensor) -> tuple[Tensor, int, int]:
    scale = x.double().abs().amax(1, keepdim=True) / 127
    return x.double() / torch.where(scale == 0, 1.0, scale), -127, 127


def _cases(rng: torch.Generator) -> list[Case]:
    def zeros_among(x: Tensor) -> Tensor:
        x[1] = 0
        return x

    sizes = torch.tensor([[1e-3], [1.0], [1e3]])
    return [
        Case("two tokens", (randn(rng, 2, 3),)),
        Case("tokens of different sizes", (sizes * randn(rng, 3, 6),)),
        Case("an outlier channel", (outlying(rng, 4, 8),)),
        Case("as many tokens as channels", (outlying(rng, 5, 5),)),
        Case("a token of zeros", (zeros_among(randn(rng, 3, 5)),)),
        Case("all values negative", (-randn(rng, 3, 4).abs() - 0.1,)),
        Case("a real layer", (real_piece(rng, "down", 4, 10)[0],)),
    ]


def _per_channel(x: Tensor) -> tuple[Tensor, Tensor]:
    codes, scale = quantize_tokens(x.T)
    return codes.T, scale


def _one_grid(x: Tensor) -> tuple[Tensor, Tensor]:
    return _coded(x, (x.abs().max() / 127).expand(len(x)))


def _zeros_are_nan(x: Tensor) -> tuple[Tensor, Tensor]:
    scale = x.abs().amax(1) / 127
    return torch.round(x / scale[:, None]), scale


QUANTIZE_TOKENS = Exercise(
    id="7.3",
    title="A grid for each token",
    points=2,
    reference=quantize_tokens,
    cases=_cases,
    rules=(Codes(unrounded=_unrounded), SCALE),
    names=("codes", "scale"),
    hints=(
        "You have the largest magnitude of each token from 7.2. Which code should it get?",
        "scale = x.abs().amax(1) / 127, and 1 where that is 0. To divide each row by its own "
        "scale, the scale needs a second axis: scale[:, None].",
        "scale = x.abs().amax(1) / 127; scale[scale == 0] = 1; return torch.round(x / scale[:, "
        "None]).to(torch.int8), scale.",
    ),
    misconceptions=(
        Misconception(
            "gives each channel a scale",
            _per_channel,
            "A scale for each channel cannot be taken out of the sum over channels, so no integer "
            "kernel can use it. One for each token (each row) can.",
        ),
        Misconception(
            "has one grid for all tokens",
            _one_grid,
            "The largest value of each token decides about its own scale: amax(1).",
        ),
        Misconception(
            "forgets the sign",
            lambda x: _coded(x, x.amax(1).clamp(min=0) / 127),
            "The largest magnitude may be that of a negative value: abs() before the maximum.",
        ),
        Misconception(
            "divides by 128",
            lambda x: _coded(x, x.abs().amax(1) / 128),
            "The largest code of a symmetric grid is 127.",
        ),
        Misconception(
            "spreads the range over 255 steps",
            lambda x: _coded(x, (x.amax(1) - x.amin(1)) / 255),
            "Without a zero point the grid is symmetric: its largest magnitude gets the code 127.",
        ),
        Misconception(
            "divides a token of zeros by 0",
            _zeros_are_nan,
            "0 / 0 is NaN. A token of zeros gets the scale 1.",
        ),
        Misconception(
            "cuts off instead of rounding",
            lambda x: _coded(x, x.abs().amax(1) / 127, torch.trunc),
            "A cast drops the fraction. Round first: torch.round.",
        ),
        Misconception(
            "rounds down",
            lambda x: _coded(x, x.abs().amax(1) / 127, torch.floor),
            "Round to the nearest code: torch.round.",
        ),
        Misconception(
            "returns real values instead of codes",
            lambda x: (quantize_tokens(x)[0] * quantize_tokens(x)[1][:, None], _unit(x)),
            "What the kernel multiplies are codes: whole numbers from -127 to 127.",
        ),
        Misconception(
            "gives a token of zeros the scale 1 / 127",
            lambda x: _coded(x, torch.where((x == 0).all(1), 1.0, x.abs().amax(1)) / 127),
            "The scale itself is 1 for a token of zeros: put the 1 in after the division.",
        ),
        Misconception(
            "gives a token of zeros a tiny scale",
            lambda x: _coded(x, (x.abs().amax(1) / 127).clamp(min=1e-8)),
            "A token of zeros gets the scale 1. (A bound from below works as well in practice, but "
            "it is another number.)",
        ),
        Misconception(
            "adds a small number to each scale",
            lambda x: _coded(x, x.abs().amax(1) / 127 + 1e-8),
            "Then every scale is a little wrong, and that of small tokens by much. Only a token of "
            "zeros needs help: its scale is 1.",
        ),
    ),
    minutes=(5, 9),
)


def _unit(x: Tensor) -> Tensor:
    return quantize_tokens(x)[1]
