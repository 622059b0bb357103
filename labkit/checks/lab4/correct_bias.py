"""Exercise 4.8: bias correction."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Rule


def correct_bias(bias: Tensor, y: Tensor, y_quantized: Tensor) -> Tensor:
    """Return the bias without the mean error a channel that quantized weights make."""
    return bias - _by_channel(y_quantized - y).mean(1)


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, *shape: int) -> Case:
        y = randn(rng, *shape)
        offset = randn(rng, shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
        return Case(label, (randn(rng, shape[1]), y, y + offset + 0.3 * randn(rng, *shape)))

    return [
        case("one output, two images", 2, 1),
        case("a linear layer", 5, 3),
        case("as many images as outputs", 4, 4),
        case("a convolution", 3, 2, 4, 5),
        case("a single image", 1, 3, 2, 2),
        case("equal sizes everywhere", 3, 3, 3, 3),
        case("a larger batch", 8, 3, 5, 5),
    ]


def _corrected(
    bias: Tensor,
    y: Tensor,
    y_quantized: Tensor,
    *,
    error: Callable[[Tensor, Tensor], Tensor] = torch.sub,
    mean: Callable[[Tensor], Tensor] = lambda e: _by_channel(e).mean(1),
    correct: Callable[[Tensor, Tensor], Tensor] = torch.sub,
) -> Tensor:
    return correct(bias, mean(error(y_quantized, y)))


def _by_channel(error: Tensor) -> Tensor:
    return error.transpose(0, 1).flatten(1)


def _middle(errors: Tensor) -> Tensor:
    return (errors.amin(1) + errors.amax(1)) / 2


NO_MAGNITUDES = (
    "Errors of both signs cancel, and only what is left over can be corrected: no abs(), no square."
)
OVER_ALL_BUT_1 = "The mean runs over images and pixels: over every dim but 1."


CORRECT_BIAS = Exercise(
    id="4.8",
    title="Bias correction",
    points=2,
    minutes=(6, 9),
    extra=True,
    reference=correct_bias,
    cases=_cases,
    rules=(Rule(relative=1e-4, absolute=1e-5),),
    hints=(
        "Channel by channel: on average the quantized layer puts out too much, or too little. By "
        "how much, and what takes it away?",
        "The error is y_quantized - y, its mean runs over images and pixels, every dim but 1.",
        "error = y_quantized - y; dims = [d for d in range(error.ndim) if d != 1]; return bias - "
        "error.mean(dim=dims).",
    ),
    misconceptions=(
        Misconception(
            "adds the error once more",
            partial(_corrected, correct=torch.add),
            "If the quantized layer puts out too much, the bias must become smaller.",
        ),
        Misconception(
            "takes one mean for all channels",
            partial(_corrected, mean=torch.mean),
            "Each channel has its own error: keep dim 1.",
        ),
        Misconception(
            "takes the mean of the magnitudes",
            partial(_corrected, error=lambda z, y: (z - y).abs()),
            NO_MAGNITUDES,
        ),
        Misconception(
            "takes the root of the mean square",
            partial(_corrected, mean=lambda e: _by_channel(e).square().mean(1).sqrt()),
            NO_MAGNITUDES,
        ),
        Misconception(
            "takes the mean square",
            partial(_corrected, error=lambda z, y: (z - y).square()),
            NO_MAGNITUDES,
        ),
        Misconception(
            "forgets the bias that was there",
            partial(_corrected, correct=lambda bias, drift: -drift),
            "The correction is a shift of the old bias.",
        ),
        Misconception(
            "returns the error instead of the corrected bias",
            partial(_corrected, correct=lambda bias, drift: drift),
            "What the function returns is the new bias: bias - the mean error.",
        ),
        Misconception(
            "takes the bias away as well",
            partial(_corrected, correct=lambda bias, drift: drift - bias),
            "The new bias is the old one without the mean error: bias - drift, not drift - bias.",
        ),
        Misconception(
            "looks at the first image only",
            partial(_corrected, mean=lambda e: _by_channel(e[:1]).mean(1)),
            "One image tells little about the next: take the mean over all of them.",
        ),
        Misconception(
            "adds the errors up",
            partial(_corrected, mean=lambda e: _by_channel(e).sum(1)),
            "The bias is added to every result: it takes the mean error, not the sum.",
        ),
        Misconception(
            "divides by the number of images only",
            partial(_corrected, mean=lambda e: _by_channel(e).sum(1) / len(e)),
            "A convolution puts out many pixels an image, and each gets the bias: the mean runs "
            "over images and pixels.",
        ),
        Misconception(
            "divides by one less than the number of errors",
            partial(
                _corrected,
                mean=lambda e: _by_channel(e).sum(1) / (_by_channel(e).shape[1] - 1),
            ),
            "That is for variances. A mean is the sum over the number of errors.",
        ),
        Misconception(
            "takes away the mean of the quantized result",
            partial(_corrected, error=lambda z, y: z),
            "The real layer has a mean, too, and should keep it: subtract mean(y_quantized - y).",
        ),
        Misconception(
            "takes away the mean of the real result",
            partial(_corrected, error=lambda z, y: y),
            "What the quantized layer puts out too much is to go: subtract mean(y_quantized - y).",
        ),
        Misconception(
            "takes the error relative to the real result",
            partial(_corrected, error=lambda z, y: (z - y) / y),
            "A bias is added, so the error is a difference: y_quantized - y, not divided by y.",
        ),
        Misconception(
            "averages over the images only",
            partial(_corrected, mean=lambda e: e.mean(0)),
            OVER_ALL_BUT_1,
        ),
        Misconception(
            "averages over the channels",
            partial(_corrected, mean=lambda e: e.flatten(1).mean(1)),
            OVER_ALL_BUT_1,
        ),
        Misconception(
            "averages over the channels",
            partial(_corrected, mean=lambda e: e.mean(1)),
            OVER_ALL_BUT_1,
        ),
        Misconception(
            "cuts the numbers into as many runs as there are channels",
            partial(_corrected, mean=lambda e: e.reshape(e.shape[1], -1).mean(1)),
            "reshape keeps the order in memory, where each image comes after the other: bring dim "
            "1 to the front first, .transpose(0, 1), or take the mean over all dims but 1.",
        ),
        Misconception(
            "takes the last dim for the channels",
            partial(_corrected, mean=lambda e: e.reshape(-1, e.shape[-1]).mean(0)),
            f"[N, C, H, W] has the channels in dim 1, the columns of pixels last. {OVER_ALL_BUT_1}",
        ),
        Misconception(
            "averages over the last dim only",
            partial(_corrected, mean=lambda e: e.mean(-1)),
            OVER_ALL_BUT_1,
        ),
        Misconception(
            "averages over the pixels and leaves the images apart",
            partial(_corrected, mean=lambda e: e.flatten(2).mean(2) if e.ndim > 2 else e),
            OVER_ALL_BUT_1,
        ),
        Misconception(
            "averages over the rows and columns of pixels only",
            partial(_corrected, mean=lambda e: e.mean((-2, -1))),
            OVER_ALL_BUT_1,
        ),
        Misconception(
            "takes half of the error away",
            partial(_corrected, correct=lambda bias, drift: bias - drift / 2),
            "What is the same for every image goes altogether: bias - mean, without a factor.",
        ),
        Misconception(
            "takes the middle of the smallest and the largest error",
            partial(_corrected, mean=lambda e: _middle(_by_channel(e))),
            "What moves the results on average is the mean over all of them: e.mean().",
        ),
        Misconception(
            "takes the median of the errors",
            partial(_corrected, mean=lambda e: _by_channel(e).median(1).values),
            "A few large errors move the mean of what the layer puts out, and the next layer adds "
            "all of them up: take the mean.",
        ),
    ),
)
