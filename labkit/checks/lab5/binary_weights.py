"""Exercise 5.8: binary weights."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Codes, Rule


def binary_weights(w: Tensor) -> tuple[Tensor, Tensor]:
    """Return the signs of `w`, 1 for 0 and -0.0, and the best scale of each output: mean |w|."""
    signs = torch.where(w < 0, -1, 1).to(torch.int8)
    return signs, w.abs().flatten(1).mean(1)


def _cases(rng: torch.Generator) -> list[Case]:
    rows = torch.tensor([0.1, 1.0, 4.0])[:, None]
    with_zeros = randn(rng, 2, 4)
    with_zeros[0, 1], with_zeros[1, 3] = 0.0, -0.0
    with_dead = randn(rng, 3, 5)
    with_dead[1] = 0
    return [
        Case("one channel", (randn(rng, 1, 3),)),
        Case("a weight of 0", (with_zeros,)),
        Case("channels of different sizes", (rows * randn(rng, 3, 8),)),
        Case("a convolution", (randn(rng, 4, 3, 3, 3),)),
        Case("mostly negative", (randn(rng, 5, 6) - 1.0,)),
        Case("a channel of zeros", (with_dead,)),
        Case("one outlier", (torch.cat([randn(rng, 2, 7), torch.full((2, 1), 30.0)], 1),)),
    ]


def _signs(w: Tensor) -> Tensor:
    return torch.where(w < 0, -1, 1)


def _scaled(
    w: Tensor,
    *,
    signs: Callable[[Tensor], Tensor] = _signs,
    size: Callable[[Tensor], Tensor] = torch.abs,
    rows: Callable[[Tensor], Tensor] = lambda size: size.flatten(1),
    mean: Callable[[Tensor], Tensor] = lambda rows: rows.mean(1),
    times: Callable[[Tensor, Tensor], Tensor] = lambda signs, scale: signs,
    given: Callable[[Tensor], Tensor] = lambda scale: scale,
) -> tuple[Tensor, Tensor]:
    """Return signs and scales, of which any part may be another one."""
    scale = mean(rows(size(w)))
    return times(signs(w), scale), given(scale)


def _over_kept(rows: Tensor) -> Tensor:
    return rows.sum(1) / (rows > 0).sum(1).clamp(min=1)


def _centred(w: Tensor) -> Tensor:
    """Return weights without the mean of their channel."""
    rows = w.flatten(1)
    return (rows - rows.mean(1, keepdim=True)).reshape(w.shape)


def _as_power_of_two(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, 2 ** torch.round(torch.log2(scale)), scale)


def _along_the_first(signs: Tensor, scale: Tensor) -> Tensor:
    return signs * scale.reshape(-1, *[1] * (signs.ndim - 1))


BINARY_WEIGHTS = Exercise(
    id="5.8",
    title="Binary weights",
    points=2,
    minutes=(8, 12),
    extra=True,
    reference=binary_weights,
    cases=_cases,
    rules=(Codes(), Rule(relative=1e-4)),
    names=("signs", "scale"),
    hints=(
        "Which number S makes S * sign(w) come closest to w? Write the squared error of one "
        "channel and set its derivative with respect to S to 0.",
        "sum of (w - S sign(w))^2 = sum of (|w| - S)^2: the mean of |w| is best. One for each "
        "output channel, index 0 of w.",
        "signs = torch.where(w < 0, -1, 1), as int8; scale = w.abs().flatten(1).mean(1).",
    ),
    misconceptions=(
        Misconception(
            "takes the largest |w|",
            partial(_scaled, mean=lambda rows: rows.amax(1)),
            "The largest weight would blow up all others: the mean has the smallest squared error.",
        ),
        Misconception(
            "gives 0 the sign 0",
            partial(_scaled, signs=torch.sign),
            "One bit has two values, and 0 is neither: torch.where(w < 0, -1, 1).",
        ),
        Misconception(
            "uses one scale for all channels",
            partial(_scaled, given=lambda scale: scale.mean().expand(len(scale))),
            "Each output channel has its own scale: the mean over all dimensions but the first.",
        ),
        Misconception(
            "returns one number for all scales",
            partial(_scaled, given=torch.mean),
            "Each output channel has its own scale: w.abs().flatten(1).mean(1).",
        ),
        Misconception(
            "takes the mean of w instead of |w|",
            partial(_scaled, size=torch.clone),
            "Positive and negative weights cancel in that mean. Take w.abs() first.",
        ),
        Misconception(
            "drops the sign after the mean",
            partial(_scaled, size=torch.clone, given=torch.abs),
            "Positive and negative weights have cancelled by then: w.abs() first, the mean after "
            "it.",
        ),
        Misconception(
            "counts positive weights only",
            partial(_scaled, size=torch.relu),
            "Negative weights have a size, too: w.abs().",
        ),
        Misconception(
            "takes the root mean square",
            partial(_scaled, size=torch.square, given=torch.sqrt),
            "That keeps the energy of the channel, but the squared error is smallest at mean |w|.",
        ),
        Misconception(
            "compares with the mean of the channel instead of 0",
            partial(_scaled, signs=lambda w: _signs(_centred(w))),
            "The sign is that of the weight itself: w < 0 gives -1, all else 1.",
        ),
        Misconception(
            "takes the mean of each channel away first",
            partial(
                _scaled,
                signs=lambda w: _signs(_centred(w)),
                size=lambda w: _centred(w).abs(),
            ),
            "Some networks do. Here sign and magnitude are those of the weight itself.",
        ),
        Misconception(
            "takes the mean of each channel away before the magnitudes",
            partial(_scaled, size=lambda w: _centred(w).abs()),
            "The magnitude is that of the weight itself: w.abs().",
        ),
        Misconception(
            "takes half the distance from the smallest to the largest weight",
            partial(
                _scaled,
                size=torch.clone,
                mean=lambda rows: (rows.amax(1) - rows.amin(1)) / 2,
            ),
            "The squared error is smallest at the mean of |w|: the ends tell nothing of the rest.",
        ),
        Misconception(
            "divides the length of the row by its number of weights",
            partial(
                _scaled,
                mean=lambda rows: torch.linalg.vector_norm(rows, dim=1) / rows.shape[1],
            ),
            "norm is the root of a sum of squares. Take the mean of the magnitudes: "
            "w.abs().flatten(1).mean(1).",
        ),
        Misconception(
            "takes the mean square",
            partial(_scaled, size=torch.square),
            "The squared error is smallest at the mean of |w|, not of w ** 2.",
        ),
        Misconception(
            "takes the length of the row",
            partial(_scaled, mean=lambda rows: torch.linalg.vector_norm(rows, dim=1)),
            "norm(dim=1) is the root of the sum of squares. The squared error is smallest at mean "
            "|w|.",
        ),
        Misconception(
            "has bits 0 and 1 instead of signs",
            partial(_scaled, signs=lambda w: (w >= 0).to(torch.int8)),
            "The layer computes with -1 and +1. (In memory they are bits: lab 1 packs those.)",
        ),
        Misconception(
            "gives 0 the sign -1",
            partial(_scaled, signs=lambda w: torch.where(w > 0, 1, -1)),
            "By agreement 0 counts as positive: w < 0 gives -1, all else 1.",
        ),
        Misconception(
            "takes the sign bit",
            partial(_scaled, signs=lambda w: torch.where(torch.signbit(w), -1, 1)),
            "-0.0 has a sign bit, and is 0 all the same: w < 0 gives -1, all else 1.",
        ),
        Misconception(
            "has the signs turned round",
            partial(_scaled, signs=lambda w: -_signs(w)),
            "w < 0 gives -1, all else 1: look at the order in torch.where.",
        ),
        Misconception(
            "compares with the mean instead of 0",
            partial(_scaled, signs=lambda w: torch.where(w < w.mean(), -1, 1)),
            "The sign is that of the weight itself: w < 0 gives -1, all else 1.",
        ),
        Misconception(
            "stores the signs in uint8",
            partial(_scaled, signs=lambda w: _signs(w).to(torch.uint8)),
            "uint8 has no -1: it becomes 255. Use torch.int8.",
        ),
        Misconception(
            "adds the magnitudes up",
            partial(_scaled, mean=lambda rows: rows.sum(1)),
            "The squared error is smallest at the mean of |w|: divide by the number of weights.",
        ),
        Misconception(
            "takes the standard deviation",
            partial(_scaled, size=torch.clone, mean=lambda rows: rows.std(1)),
            "That measures the spread around the mean of w. The squared error is smallest at mean "
            "|w|.",
        ),
        Misconception(
            "multiplies the signs by the scale",
            partial(_scaled, times=_along_the_first),
            "The layer stores signs, one bit each, and multiplies once a channel, at the end.",
        ),
        Misconception(
            "takes the median",
            partial(_scaled, mean=lambda rows: rows.median(1).values),
            "The median has the smallest sum of magnitudes. The mean of |w| has the smallest "
            "squared error.",
        ),
        Misconception(
            "has one scale for each input channel",
            partial(_scaled, rows=lambda size: size.transpose(0, 1).flatten(1)),
            "Index 0 of w is the output channel: flatten the others, w.abs().flatten(1).mean(1).",
        ),
        Misconception(
            "has one scale for each row of a kernel",
            partial(_scaled, rows=torch.clone, mean=lambda rows: rows.mean(-1)),
            "One scale for each output channel: all other dimensions go into its mean, "
            "w.abs().flatten(1).mean(1).",
        ),
        Misconception(
            "keeps an axis that it averages over",
            partial(_scaled, mean=lambda rows: rows.mean(1, keepdim=True)),
            "The scales have the shape [out]: without keepdim.",
        ),
        Misconception(
            "takes the mean over weights that are not 0",
            partial(_scaled, mean=_over_kept),
            "Zeros are weights as well, and get a sign: divide by the number of all weights.",
        ),
        Misconception(
            "divides by one weight too few",
            partial(_scaled, mean=lambda rows: rows.sum(1) / (rows.shape[1] - 1)),
            "The mean divides by the number of all weights of the channel.",
        ),
        Misconception(
            "rounds the scale to a power of 2",
            partial(_scaled, given=_as_power_of_two),
            "Some networks do, for shifts. Here the scale is the mean of |w| itself.",
        ),
        *(
            Misconception(
                "bounds the scale from below",
                partial(_scaled, given=partial(torch.clamp, min=10.0**-n)),
                "A channel of zeros has the scale 0: S * sign(w) is 0 then, as w is. Nothing is "
                "divided by it here.",
            )
            for n in range(3, 9)
        ),
        Misconception(
            "returns 1 / scale instead of the scale",
            partial(_scaled, given=lambda scale: 1 / scale),
            "The scale is what a sign is multiplied by: mean |w|.",
        ),
    ),
)
