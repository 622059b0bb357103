"""Exercise 5.6: the fine-tuning loop."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import randn, uniform
from labkit.checks.lab5.fine_tune_slips import MISCONCEPTIONS, gradient, ternary
from labkit.checks.rules import Rule


def fine_tune(
    w: Tensor, x: Tensor, labels: Tensor, scale: float, steps: int, rate: float
) -> Tensor:
    """Return the real weights after some steps of gradient descent on ternary ones."""
    for _ in range(steps):
        w = w - rate * gradient(ternary(w, scale), x, labels)
    return w


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, classes: int, inputs: int, images: int, steps: int) -> Case:
        w, x = 0.5 * randn(rng, classes, inputs), randn(rng, images, inputs)
        labels = torch.randint(0, classes, (images,), generator=rng)
        scale, rate = uniform(rng, 0.4, 0.7), uniform(rng, 0.2, 0.5)
        return Case(label, (w, x, labels, scale, steps, rate))

    def right_already() -> Case:
        w, x, _, scale, steps, rate = case("", 3, 4, 5, 3).args
        labels = (x @ ternary(w, scale).t()).argmax(1)
        return Case("images that are right from the beginning", (w, x, labels, scale, steps, rate))

    def large() -> Case:
        w, *others = case("", 3, 4, 6, 4).args
        w[:, 0] = torch.tensor([1.4, -1.3, 1.1])
        return Case("weights beyond -1 and 1", (w, *others))

    return [
        case("no step", 2, 3, 4, 0),
        case("one step", 2, 3, 4, 1),
        case("two steps", 3, 4, 6, 2),
        right_already(),
        large(),
        case("six steps", 3, 5, 8, 6),
        case("ten steps", 4, 6, 10, 10),
    ]


FINE_TUNE = Exercise(
    id="5.6",
    title="The fine-tuning loop",
    points=3,
    minutes=(12, 18),
    reference=fine_tune,
    cases=_cases,
    rules=(Rule(relative=1e-3, absolute=1e-4),),
    hints=(
        "Two sets of weights: the real ones, which learn, and the ternary ones, made from them "
        "anew in every step, which compute the loss.",
        "Make a copy w = w.clone().requires_grad_(). In each step: loss from x @ "
        "ternary(w, scale).t(), then loss.backward(), then change w and forget its gradient.",
        "loss = nn.functional.cross_entropy(x @ ternary(w, scale).t(), labels); gradient, = "
        "torch.autograd.grad(loss, w); w = (w - rate * gradient).detach().requires_grad_(). Return "
        "w.detach().",
    ),
    misconceptions=MISCONCEPTIONS,
)
