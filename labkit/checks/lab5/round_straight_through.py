"""Exercise 5.2: the straight-through estimator."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.lab5.inputs import between_ties
from labkit.checks.rules import Rule


def loss_and_slope(x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared error of round(x), and its straight-through gradient."""
    error = torch.round(x) - target
    return error.square().sum(), 2 * error


def _cases(rng: torch.Generator) -> list[Case]:
    def pair(*shape: int) -> tuple[Tensor, Tensor]:
        return between_ties(rng, 1.0, -6, 6, *shape), 3 * randn(rng, *shape)

    both_ways = torch.tensor([0.3, -0.3, -0.3, 0.3]) + torch.tensor([2.0, 2.0, -2.0, -2.0])
    one, far = pair(1), (between_ties(rng, 1.0, 20, 60, 2), -9 * torch.rand(2, generator=rng))
    return [
        Case("one number", (one[0], one[1].round() + 0.5)),
        Case("numbers that round up and down", (both_ways, pair(4)[1])),
        Case("far from the target", far),
        Case("random numbers", pair(7)),
        Case("a matrix", pair(3, 4)),
        Case("three dimensions", pair(2, 3, 2)),
        Case("one number, the first call once more", (one[0], one[1].round() + 0.5)),
    ]


def _answer(x: Tensor, target: Tensor, slope: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Return the right loss with another slope, made from ``round(x) - target``."""
    error = torch.round(x) - target
    return error.square().sum(), slope(error)


ROUND_STRAIGHT_THROUGH = Exercise(
    id="5.2",
    title="Straight-through rounding",
    points=2,
    minutes=(10, 15),
    reference=loss_and_slope,
    cases=_cases,
    rules=(Rule(relative=1e-4, absolute=1e-5), Rule(relative=1e-4, absolute=1e-5)),
    names=("loss", "slope"),
    hints=(
        "forward says what is computed, backward what is claimed about its slope. Only forward "
        "rounds.",
        "backward(ctx, dy) gets the gradient of the result and returns that of x. If the result "
        "were x itself, what would it be?",
        "forward: return torch.round(x). backward: return dy.",
    ),
    misconceptions=(
        Misconception(
            "has the slope of rounding itself, which is 0",
            lambda x, target: ((torch.round(x) - target).square().sum(), torch.zeros_like(x)),
            "With it nothing ever learns. Return dy from backward: claim that rounding is not "
            "there.",
        ),
        Misconception(
            "does not round",
            lambda x, target: ((x - target).square().sum(), 2 * (x - target)),
            "forward must return what the hardware will compute with: torch.round(x).",
        ),
        Misconception(
            "rounds the gradient, too",
            lambda x, target: (
                (torch.round(x) - target).square().sum(),
                torch.round(2 * (torch.round(x) - target)),
            ),
            "Gradients stay real: small ones are all that fine-tuning has. Return dy as it is.",
        ),
        Misconception(
            "returns a slope of 1 whatever comes",
            lambda x, target: ((torch.round(x) - target).square().sum(), torch.ones_like(x)),
            "backward multiplies what comes, dy, by the slope of this step: 1 times dy is dy.",
        ),
        Misconception(
            "multiplies the gradient by x",
            lambda x, target: (
                (torch.round(x) - target).square().sum(),
                2 * (torch.round(x) - target) * x,
            ),
            "The claimed slope of rounding is 1, not x. Return dy.",
        ),
        Misconception(
            "forgets the factor 2",
            lambda x, target: _answer(x, target, lambda error: error),
            "The slope of a square is twice what is squared: 2 (round(x) - target). Leave it to "
            "backward() on the loss.",
        ),
        Misconception(
            "takes the slope at x instead of round(x)",
            lambda x, target: (loss_and_slope(x, target)[0], 2 * (x - target)),
            "The loss is made of round(x), so its slope is, too: 2 (round(x) - target).",
        ),
        Misconception(
            "takes the mean instead of the sum",
            lambda x, target: tuple(part / x.numel() for part in loss_and_slope(x, target)),
            "The loss is the sum over all numbers: .sum().",
        ),
        Misconception(
            "adds the slopes up",
            lambda x, target: _answer(x, target, lambda error: (2 * error).sum()),
            "Each number has a slope of its own: x.grad has the shape of x.",
        ),
        Misconception(
            "has its sign turned round",
            lambda x, target: _answer(x, target, lambda error: -2 * error),
            "The slope points uphill: where round(x) is above the target it is positive.",
        ),
        Misconception(
            "lets the gradient through near 0 only",
            lambda x, target: _answer(x, target, lambda error: 2 * error * (x.abs() <= 1)),
            "That is the clipped estimator for signs. Here it passes everywhere: return dy.",
        ),
    ),
)
