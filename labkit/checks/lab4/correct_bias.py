"""Exercise 4.8: bias correction."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Rule


def correct_bias(bias: Tensor, y: Tensor, y_quantized: Tensor) -> Tensor:
    """Return the bias without the mean error a channel that quantized weights make."""
    return bias - _mean_error(y, y_quantized)


def _mean_error(y: Tensor, y_quantized: Tensor) -> Tensor:
    return (y_quantized - y).transpose(0, 1).flatten(1).mean(1)


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


def _per_image(bias: Tensor, y: Tensor, y_quantized: Tensor) -> Tensor:
    error = (y_quantized - y)[0].reshape(len(bias), -1)
    return bias - error.mean(1)


def _median(bias: Tensor, y: Tensor, y_quantized: Tensor) -> Tensor:
    return bias - (y_quantized - y).transpose(0, 1).flatten(1).median(1).values


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
            lambda bias, y, y_quantized: bias + _mean_error(y, y_quantized),
            "If the quantized layer puts out too much, the bias must become smaller.",
        ),
        Misconception(
            "takes one mean for all channels",
            lambda bias, y, y_quantized: bias - (y_quantized - y).mean(),
            "Each channel has its own error: keep dim 1.",
        ),
        Misconception(
            "takes the mean of the magnitudes",
            lambda bias, y, y_quantized: bias - _mean_error(0 * y, (y_quantized - y).abs()),
            "Errors of both signs cancel, and only what is left over can be corrected: no abs().",
        ),
        Misconception(
            "forgets the bias that was there",
            lambda bias, y, y_quantized: -_mean_error(y, y_quantized),
            "The correction is a shift of the old bias.",
        ),
        Misconception(
            "looks at the first image only",
            _per_image,
            "One image tells little about the next: take the mean over all of them.",
        ),
        Misconception(
            "adds the errors up",
            lambda bias, y, y_quantized: (
                bias - _mean_error(y, y_quantized) * (y.numel() / len(bias))
            ),
            "The bias is added to every result: it takes the mean error, not the sum.",
        ),
        Misconception(
            "divides by the number of images only",
            lambda bias, y, y_quantized: (
                bias - _mean_error(y, y_quantized) * (y.numel() / len(bias) / len(y))
            ),
            "A convolution puts out many pixels an image, and each gets the bias: the mean runs "
            "over images and pixels.",
        ),
        Misconception(
            "takes away the mean of the quantized result",
            lambda bias, y, y_quantized: bias - _mean_error(0 * y, y_quantized),
            "The real layer has a mean, too, and should keep it: subtract mean(y_quantized - y).",
        ),
        Misconception(
            "takes the median of the errors",
            _median,
            "A few large errors move the mean of what the layer puts out, and the next layer adds "
            "all of them up: take the mean.",
        ),
    ),
)
