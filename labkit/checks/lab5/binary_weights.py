"""Exercise 5.8: binary weights."""

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


def _scaled(w: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    return binary_weights(w)[0], scale


BINARY_WEIGHTS = Exercise(
    id="5.8",
    title="Binary weights",
    points=2,
    minutes=(8, 12),
    extra=True,
    reference=binary_weights,
    cases=_cases,
    rules=(Codes(), Rule(relative=1e-4, absolute=1e-6)),
    names=("signs", "scale"),
    hints=(
        "Which number S makes S * sign(w) come closest to w? Write the squared error of one "
        "channel and set its slope with S to 0.",
        "sum of (w - S sign(w))^2 = sum of (|w| - S)^2: the mean of |w| is best. One for each "
        "output channel, index 0 of w.",
        "signs = torch.where(w < 0, -1, 1), as int8; scale = w.abs().flatten(1).mean(1).",
    ),
    misconceptions=(
        Misconception(
            "takes the largest |w|",
            lambda w: _scaled(w, w.abs().flatten(1).amax(1)),
            "The largest weight would blow up all others: the mean has the smallest squared error.",
        ),
        Misconception(
            "gives 0 the sign 0",
            lambda w: (w.sign().to(torch.int8), w.abs().flatten(1).mean(1)),
            "One bit has two values, and 0 is neither: torch.where(w < 0, -1, 1).",
        ),
        Misconception(
            "uses one scale for all channels",
            lambda w: _scaled(w, w.abs().mean().expand(len(w))),
            "Each output channel has its own scale: the mean over all dimensions but the first.",
        ),
        Misconception(
            "takes the mean of w instead of |w|",
            lambda w: _scaled(w, w.flatten(1).mean(1)),
            "Positive and negative weights cancel in that mean. Take w.abs() first.",
        ),
        Misconception(
            "takes the root mean square",
            lambda w: _scaled(w, w.square().flatten(1).mean(1).sqrt()),
            "That keeps the energy of the channel, but the squared error is smallest at mean |w|.",
        ),
        Misconception(
            "has bits 0 and 1 instead of signs",
            lambda w: (torch.where(w < 0, 0, 1).to(torch.int8), w.abs().flatten(1).mean(1)),
            "The layer computes with -1 and +1. (In memory they are bits: lab 1 packs those.)",
        ),
        Misconception(
            "gives 0 the sign -1",
            lambda w: (torch.where(w > 0, 1, -1).to(torch.int8), w.abs().flatten(1).mean(1)),
            "By agreement 0 counts as positive: w < 0 gives -1, all else 1.",
        ),
        Misconception(
            "takes the sign bit",
            lambda w: (torch.where(torch.signbit(w), -1, 1), w.abs().flatten(1).mean(1)),
            "-0.0 has a sign bit, and is 0 all the same: w < 0 gives -1, all else 1.",
        ),
        Misconception(
            "adds the magnitudes up",
            lambda w: _scaled(w, w.abs().flatten(1).sum(1)),
            "The squared error is smallest at the mean of |w|: divide by the number of weights.",
        ),
        Misconception(
            "takes the standard deviation",
            lambda w: _scaled(w, w.flatten(1).std(1)),
            "That measures the spread around the mean of w. The squared error is smallest at mean "
            "|w|.",
        ),
        Misconception(
            "multiplies the signs by the scale",
            lambda w: (
                torch.where(w < 0, -1, 1)
                * w.abs().flatten(1).mean(1).reshape(-1, *[1] * (w.ndim - 1)),
                w.abs().flatten(1).mean(1),
            ),
            "The layer stores signs, one bit each, and multiplies once a channel, at the end.",
        ),
        Misconception(
            "takes the median",
            lambda w: _scaled(w, w.abs().flatten(1).median(1).values),
            "The median has the smallest sum of magnitudes. The mean of |w| has the smallest "
            "squared error.",
        ),
    ),
)
