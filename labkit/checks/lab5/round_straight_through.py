"""Exercise 5.2: the straight-through estimator."""

from collections.abc import Callable
from functools import partial

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


def _twice(error: Tensor, x: Tensor, target: Tensor) -> Tensor:
    return 2 * error


def _found(
    x: Tensor,
    target: Tensor,
    *,
    turn: Callable[[Tensor], Tensor] = torch.round,
    apart: Callable[[Tensor, Tensor], Tensor] = torch.sub,
    total: Callable[[Tensor], Tensor] = lambda error: error.square().sum(),
    slope: Callable[[Tensor, Tensor, Tensor], Tensor] = _twice,
    back: Callable[[Tensor, Tensor], Tensor] = lambda dy, x: dy,
    weight: Callable[[Tensor], float] = lambda x: 1.0,
) -> tuple[Tensor, Tensor]:
    """Return loss and slope, of which any part may be another one."""
    error = apart(turn(x), target)
    return weight(x) * total(error), weight(x) * back(slope(error, x, target), x)


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
            partial(_found, back=lambda dy, x: torch.zeros_like(x)),
            "With it nothing ever learns. Claim the slope 1: return dy from backward, or in the "
            "short form detach the bracket, x + (torch.round(x) - x).detach().",
        ),
        Misconception(
            "does not round",
            partial(_found, turn=torch.clone),
            "forward must return what the hardware will compute with: torch.round(x).",
        ),
        Misconception(
            "rounds the gradient, too",
            partial(_found, back=lambda dy, x: torch.round(dy)),
            "Gradients stay real: small ones are all that fine-tuning has. Return dy as it is.",
        ),
        Misconception(
            "returns a slope of 1 whatever comes",
            partial(_found, back=lambda dy, x: torch.ones_like(x)),
            "backward multiplies what comes, dy, by the slope of this step: 1 times dy is dy.",
        ),
        Misconception(
            "multiplies the gradient by x",
            partial(_found, back=torch.mul),
            "The claimed slope of rounding is 1, not x. Return dy.",
        ),
        Misconception(
            "forgets the factor 2",
            partial(_found, slope=lambda error, x, target: error),
            "The slope of a square is twice what is squared: 2 (round(x) - target). Leave it to "
            "backward() on the loss.",
        ),
        Misconception(
            "takes the slope at x instead of round(x)",
            partial(_found, slope=lambda error, x, target: 2 * (x - target)),
            "The loss is made of round(x), so its slope is, too: 2 (round(x) - target).",
        ),
        Misconception(
            "takes the mean instead of the sum",
            partial(_found, weight=lambda x: 1 / x.numel()),
            "The loss is the sum over all numbers: .sum().",
        ),
        Misconception(
            "takes the mean for the loss",
            partial(_found, total=lambda error: error.square().mean()),
            "The loss is the sum over all numbers: .sum(). Let the slope come from that loss, by "
            "backward().",
        ),
        Misconception(
            "adds the slopes up",
            partial(_found, back=lambda dy, x: dy.sum()),
            "Each number has a slope of its own: x.grad has the shape of x.",
        ),
        Misconception(
            "has the sign of the slope turned round",
            partial(_found, slope=lambda error, x, target: -2 * error),
            "Where round(x) is above the target, the slope is positive. Minus that is the gradient "
            "of the target, or of the short form with detach in the wrong place: x.detach() + "
            "(torch.round(x) - x) has the slope -1.",
        ),
        Misconception(
            "lets the gradient through near 0 only",
            partial(_found, back=lambda dy, x: dy * (x.abs() <= 1)),
            "That is the clipped estimator for signs. Here it passes everywhere: return dy.",
        ),
        Misconception(
            "clamps the gradient to -1 and 1",
            partial(_found, back=lambda dy, x: dy.clamp(-1, 1)),
            "Gradients pass as they are, however large: return dy from backward.",
        ),
        Misconception(
            "divides the slope by the number of values",
            partial(_found, back=lambda dy, x: dy / x.numel()),
            "The loss is the plain sum, so each slope is 2 (round(x) - target), however many there "
            "are.",
        ),
        Misconception(
            "rounds down",
            partial(_found, turn=torch.floor),
            "floor goes to the integer below, not to the nearest one: torch.round in forward.",
        ),
        Misconception(
            "cuts off instead of rounding",
            partial(_found, turn=torch.trunc),
            "Cutting off goes towards 0, not to the nearest integer: torch.round in forward.",
        ),
        Misconception(
            "subtracts the target before it rounds",
            partial(_found, turn=torch.clone, apart=lambda x, target: torch.round(x - target)),
            "Only x is rounded: torch.round(x) - target.",
        ),
        Misconception(
            "rounds the target, too",
            partial(_found, apart=lambda rounded, target: rounded - torch.round(target)),
            "The target stays as it is: torch.round(x) - target.",
        ),
        Misconception(
            "has a half before the loss",
            partial(_found, weight=lambda x: 0.5),
            "The loss is the plain sum of the squares, without 1 / 2 before it.",
        ),
        Misconception(
            "takes absolute errors",
            partial(
                _found,
                total=lambda error: error.abs().sum(),
                slope=lambda error, x, target: error.sign(),
            ),
            "The loss squares the differences: (round(x) - target) ** 2.",
        ),
        Misconception(
            "does not add up the loss",
            partial(_found, total=torch.square),
            "The loss is one number: .sum() over all squares.",
        ),
        Misconception(
            "adds up before it squares",
            partial(_found, total=lambda error: error.sum().square()),
            "Errors of both signs cancel in that sum: square each of them first, then add up.",
        ),
        Misconception(
            "takes the root of the sum",
            partial(
                _found,
                total=torch.linalg.vector_norm,
                slope=lambda error, x, target: error / torch.linalg.vector_norm(error),
            ),
            "The loss is the sum of the squares itself, without a root.",
        ),
        Misconception(
            "claims the slope of tanh",
            partial(_found, back=lambda dy, x: dy * (1 - torch.tanh(x) ** 2)),
            "Straight through means the slope 1 everywhere: return dy from backward.",
        ),
        Misconception(
            "multiplies the gradient by round(x)",
            partial(_found, back=lambda dy, x: dy * torch.round(x)),
            "What forward returned is no slope. Return dy from backward.",
        ),
        Misconception(
            "counts the gradient twice",
            partial(_found, slope=lambda error, x, target: 4 * error),
            "Return dy itself from backward: the 2 of the square is in it already. Or is "
            "backward() called twice? It adds to a gradient that is there: start from a fresh copy "
            "of x.",
        ),
    ),
)
