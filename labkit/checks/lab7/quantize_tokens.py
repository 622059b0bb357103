"""Exercise 7.3: a grid for each token."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.grids import bounded, in_16_bits, one_before_division, raised
from labkit.checks.inputs import SCALE, randn
from labkit.checks.lab7.drawing import outlying, real_piece
from labkit.checks.rules import Codes


def quantize_tokens(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return codes, -127 to 127, and the scale of each token; 1 for a token of zeros."""
    return _coded(x)


def _coded(
    x: Tensor,
    *,
    reach: Callable[[Tensor], Tensor] = lambda x: x.abs().amax(1),
    top: float = 127,
    scales: Callable[[Tensor, float], Tensor] = lambda largest, top: torch.where(
        largest == 0, 1.0, largest / top
    ),
    turn: Callable[[Tensor], Tensor] = torch.round,
    ends: tuple[int, int] = (-128, 127),
    kept: Callable[[Tensor], Tensor] = torch.Tensor.char,
    given: Callable[[Tensor], Tensor] = torch.clone,
) -> tuple[Tensor, Tensor]:
    scale = scales(reach(x), top)
    return kept(turn(x / scale[:, None]).clamp(*ends)), given(scale)


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


def _percentile(x: Tensor, share: float) -> Tensor:
    return torch.quantile(x.abs(), share, dim=1)


def _per_channel(x: Tensor) -> tuple[Tensor, Tensor]:
    codes, scale = quantize_tokens(x.T)
    return codes.T, scale


def _zeros_are_nan(x: Tensor) -> tuple[Tensor, Tensor]:
    scale = x.abs().amax(1) / 127
    return torch.round(x / scale[:, None]), scale


def _unit(x: Tensor) -> Tensor:
    return quantize_tokens(x)[1]


_BOUND = (
    "A token of zeros gets the scale 1: a bound from below gives it a tiny one, and tokens of "
    "small values one that is too large. Put the 1 in where the scale is 0: "
    "torch.where(scale == 0, 1.0, scale)."
)


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
            partial(_coded, reach=lambda x: x.abs().max().expand(len(x))),
            "The largest value of each token decides about its own scale: amax(1).",
        ),
        Misconception(
            "forgets the sign",
            partial(_coded, reach=lambda x: x.amax(1).clamp(min=0)),
            "The largest magnitude may be that of a negative value: abs() before the maximum.",
        ),
        Misconception(
            "forgets the sign",
            partial(_coded, reach=lambda x: x.amax(1)),
            "The largest magnitude may be that of a negative value: abs() before the maximum.",
        ),
        Misconception(
            "takes the magnitude of the largest",
            partial(_coded, reach=lambda x: x.amax(1).abs()),
            "The largest of the magnitudes: abs() comes before the maximum, not after it.",
        ),
        Misconception(
            "takes the mean magnitude",
            partial(_coded, reach=lambda x: x.abs().mean(1)),
            "The largest magnitude has to fit on the grid, or it is cut off: amax(1).",
        ),
        Misconception(
            "divides by 128",
            partial(_coded, top=128),
            "The largest code of a symmetric grid is 127.",
        ),
        Misconception(
            "divides by 255",
            partial(_coded, top=255),
            "A code has a sign: 127 steps on each side.",
        ),
        Misconception(
            "divides by 127.5",
            partial(_coded, top=127.5),
            "The largest code of a symmetric grid is 127, half of 254 steps.",
        ),
        Misconception(
            "has the grid of 4 bits",
            partial(_coded, top=7),
            "Activations have 8 bits here: the largest magnitude gets the code 127.",
        ),
        *(
            Misconception(
                "takes a percentile for the largest magnitude",
                partial(
                    _coded,
                    reach=partial(_percentile, share=share),
                    ends=(-127, 127),
                ),
                "A percentile cuts off the largest values. Here the largest magnitude of a token "
                "gets the code 127: amax(1).",
            )
            for share in (0.9, 0.95, 0.99, 0.999, 0.9999)
        ),
        Misconception(
            "spreads the range over 255 steps",
            partial(_coded, reach=lambda x: x.amax(1) - x.amin(1), top=255),
            "Without a zero point the grid is symmetric: its largest magnitude gets the code 127.",
        ),
        Misconception(
            "leaves the scale of a token of zeros at 0",
            _zeros_are_nan,
            "A token of zeros gets the scale 1: with 0, whoever divides by it gets 0 / 0, which is "
            "NaN, and a cast of NaN to integers gives any number.",
        ),
        Misconception(
            "leaves the scale of a token of zeros at 0",
            partial(_coded, given=lambda scale: torch.where(scale == 1, 0.0, scale)),
            "A token of zeros gets the scale 1: with 0, whoever divides by it gets 0 / 0, which is "
            "NaN, and a cast of NaN to integers gives any number.",
        ),
        Misconception(
            "cuts off instead of rounding",
            partial(_coded, turn=torch.trunc),
            "A cast drops the fraction. Round first: torch.round.",
        ),
        Misconception(
            "rounds down",
            partial(_coded, turn=torch.floor),
            "Round to the nearest code: torch.round.",
        ),
        Misconception(
            "returns the largest magnitudes for the scales",
            partial(_coded, given=lambda scale: 127 * scale),
            "The scale is the length of one step: the largest magnitude over 127.",
        ),
        Misconception(
            "returns one over the scale",
            partial(_coded, given=lambda scale: 1 / scale),
            "The scale is the length of one step, what a code is multiplied by: the largest "
            "magnitude over 127, not 127 over it.",
        ),
        Misconception(
            "adds 128 to the codes",
            partial(_coded, kept=lambda q: q + 128),
            "The grid is symmetric, without a zero point: codes from -127 to 127.",
        ),
        Misconception(
            "rounds the scales to 16 bits",
            partial(_coded, scales=in_16_bits),
            "A file would store them so. Here the scales are used, and returned, as they are.",
        ),
        Misconception(
            "returns real values instead of codes",
            lambda x: (quantize_tokens(x)[0] * quantize_tokens(x)[1][:, None], _unit(x)),
            "What the kernel multiplies are codes: whole numbers from -127 to 127.",
        ),
        Misconception(
            "gives a token of zeros the scale 1 / 127",
            partial(_coded, scales=one_before_division),
            "The scale itself is 1 for a token of zeros: put the 1 in after the division.",
        ),
        *(
            Misconception(
                "gives a token of zeros a tiny scale",
                partial(_coded, scales=partial(bounded, least=10.0**-n, before=before)),
                _BOUND,
            )
            for n in range(4, 10)
            for before in (True, False)
        ),
        *(
            Misconception(
                "adds a small number to each scale",
                partial(_coded, scales=partial(raised, by=10.0**-n)),
                "Then every scale is a little wrong, and that of small tokens by much. Only a "
                "token of zeros needs help: its scale is 1.",
            )
            for n in range(4, 10)
        ),
    ),
    minutes=(5, 9),
)
