"""Exercise 7.2: where the outliers sit."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import neat
from labkit.checks.lab7.drawing import outlying, real_piece
from labkit.checks.rules import Rule


def maxima(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest magnitude of each channel, and of each token."""
    return _along(x)


def _along(
    x: Tensor,
    *,
    reach: Callable[..., Tensor] = lambda x, axis, keepdim: x.abs().amax(axis, keepdim=keepdim),
    axes: tuple[int, int] = (0, 1),
    keepdim: bool = False,
) -> tuple[Tensor, Tensor]:
    return reach(x, axes[0], keepdim), reach(x, axes[1], keepdim)


def _cases(rng: torch.Generator) -> list[Case]:
    return [
        Case("three tokens, two channels", (neat(rng, 3, 2),)),
        Case("as many tokens as channels", (neat(rng, 5, 5),)),
        Case("an outlier channel", (outlying(rng, 6, 9),)),
        Case("all values negative", (-neat(rng, 4, 3).abs() - 0.5,)),
        Case("one token", (neat(rng, 1, 4),)),
        Case("a real layer", (real_piece(rng, "down", 5, 8)[0],)),
    ]


def _signed(x: Tensor, axis: int, keepdim: bool) -> Tensor:
    found = x.gather(axis, x.abs().argmax(axis, keepdim=True))
    return found if keepdim else found.squeeze(axis)


def _deviation(x: Tensor, axis: int, keepdim: bool) -> Tensor:
    """Return the standard deviation; NaN, without torch's warning, for a single number."""
    squares = (x - x.mean(axis, keepdim=True)).square().sum(axis, keepdim=keepdim)
    return (squares / (x.shape[axis] - 1)).sqrt()


def _percentile(x: Tensor, axis: int, keepdim: bool, share: float) -> Tensor:
    return torch.quantile(x.abs(), share, dim=axis, keepdim=keepdim)


MAXIMA = Exercise(
    id="7.2",
    title="Where the outliers sit",
    points=1,
    reference=maxima,
    cases=_cases,
    rules=(Rule(relative=1e-6), Rule(relative=1e-6)),
    names=("channels", "tokens"),
    hints=(
        "Which axis has to go so that one number a channel is left?",
        "Rows are tokens, columns are channels. amax(0) goes down the rows: one number a column.",
        "return x.abs().amax(0), x.abs().amax(1).",
    ),
    misconceptions=(
        Misconception(
            "has channels and tokens the wrong way round",
            partial(_along, axes=(1, 0)),
            "amax(0) takes the axis of the tokens away and leaves one number a channel.",
        ),
        Misconception(
            "takes both along one axis",
            partial(_along, axes=(0, 0)),
            "One number for each channel is amax(0), one for each token amax(1).",
        ),
        Misconception(
            "takes both along one axis",
            partial(_along, axes=(1, 1)),
            "One number for each channel is amax(0), one for each token amax(1).",
        ),
        Misconception(
            "keeps the axis that was reduced",
            partial(_along, keepdim=True),
            "Asked for are rows of numbers, [in] and [tokens]: leave keepdim=True out.",
        ),
        Misconception(
            "forgets the sign",
            partial(_along, reach=lambda x, axis, keepdim: x.amax(axis, keepdim=keepdim)),
            "An outlier may be negative: abs() before the maximum.",
        ),
        Misconception(
            "takes the magnitude of the largest",
            partial(_along, reach=lambda x, axis, keepdim: x.amax(axis, keepdim=keepdim).abs()),
            "The largest of the magnitudes: abs() comes before the maximum, not after it.",
        ),
        Misconception(
            "takes the mean of the magnitudes",
            partial(_along, reach=lambda x, axis, keepdim: x.abs().mean(axis, keepdim=keepdim)),
            "A grid has to reach the largest value, however rare it is.",
        ),
        Misconception(
            "adds up the magnitudes",
            partial(_along, reach=lambda x, axis, keepdim: x.abs().sum(axis, keepdim=keepdim)),
            "Asked for is the largest of them: amax.",
        ),
        Misconception(
            "takes the length",
            partial(
                _along,
                reach=lambda x, axis, keepdim: torch.linalg.vector_norm(
                    x, dim=axis, keepdim=keepdim
                ),
            ),
            "norm is the root of the sum of squares. A grid has to reach the largest value: amax "
            "of the magnitudes.",
        ),
        Misconception(
            "takes the standard deviation",
            partial(_along, reach=_deviation),
            "A grid has to reach the largest value, however rare it is: amax of the magnitudes.",
        ),
        Misconception(
            "takes the median of the magnitudes",
            partial(
                _along, reach=lambda x, axis, keepdim: x.abs().median(axis, keepdim=keepdim).values
            ),
            "A grid has to reach the largest value, however rare it is: amax of the magnitudes.",
        ),
        Misconception(
            "keeps the sign of the largest",
            partial(_along, reach=_signed),
            "The largest *magnitude* is asked for, which is never negative: x.abs().amax.",
        ),
        *(
            Misconception(
                "takes a percentile of the magnitudes",
                partial(_along, reach=partial(_percentile, share=share)),
                "A percentile leaves out the few largest, which are what is looked for: amax.",
            )
            for share in (0.9, 0.95, 0.99, 0.995, 0.999, 0.9999)
        ),
        Misconception(
            "takes the root of the mean square",
            partial(
                _along,
                reach=lambda x, axis, keepdim: x.square().mean(axis, keepdim=keepdim).sqrt(),
            ),
            "A grid has to reach the largest value, however rare it is: amax of the magnitudes.",
        ),
        Misconception(
            "takes the smallest magnitude",
            partial(_along, reach=lambda x, axis, keepdim: x.abs().amin(axis, keepdim=keepdim)),
            "Outliers are large: amax.",
        ),
        Misconception(
            "returns where the largest stand",
            partial(_along, reach=lambda x, axis, keepdim: x.abs().argmax(axis, keepdim=keepdim)),
            "argmax gives places. Asked for are the magnitudes there: amax.",
        ),
        Misconception(
            "takes the range",
            partial(
                _along,
                reach=lambda x, axis, keepdim: (
                    x.amax(axis, keepdim=keepdim) - x.amin(axis, keepdim=keepdim)
                ),
            ),
            "A symmetric grid reaches as far on both sides: the largest magnitude counts.",
        ),
        Misconception(
            "gives the largest of all everywhere",
            lambda x: (x.abs().max().expand(x.shape[1]), x.abs().max().expand(len(x))),
            "One number for each channel and each token: give the maximum an axis.",
        ),
        Misconception(
            "returns values and their places",
            lambda x: (tuple(x.abs().max(0)), tuple(x.abs().max(1))),
            "max(dim) gives a pair, the values and where they stand: take .values, or amax(dim).",
        ),
    ),
    minutes=(4, 6),
)
