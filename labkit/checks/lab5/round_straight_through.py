"""Exercise 5.2: the straight-through estimator."""

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

    return [
        Case("one number", (torch.tensor([1.3]), torch.tensor([3.0]))),
        Case("numbers that round up and down", (torch.tensor([0.7, -0.7, 1.2]), torch.zeros(3))),
        Case("far from the target", (torch.tensor([40.2, -0.4]), torch.tensor([0.0, 60.0]))),
        Case("random numbers", pair(7)),
        Case("a matrix", pair(3, 4)),
        Case("three dimensions", pair(2, 3, 2)),
    ]


ROUND_STRAIGHT_THROUGH = Exercise(
    id="5.2",
    title="Straight-through rounding",
    points=2,
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
    ),
)
