"""Exercise 5.6: the fine-tuning loop."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn, uniform
from labkit.checks.rules import Rule


def fine_tune(
    w: Tensor, x: Tensor, labels: Tensor, scale: float, steps: int, rate: float
) -> Tensor:
    """Return the real weights after some steps of gradient descent on ternary ones."""
    for _ in range(steps):
        w = w - rate * _gradient(_ternary(w, scale), x, labels)
    return w


def _ternary(w: Tensor, scale: float) -> Tensor:
    return torch.round(w / scale).clamp(-1, 1) * scale


def _gradient(w: Tensor, x: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient of the mean cross entropy of ``x @ w.t()``, in closed form."""
    off = (x @ w.t()).softmax(1) - F.one_hot(labels, len(w))
    return off.t() @ x / len(x)


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, classes: int, inputs: int, images: int, steps: int) -> Case:
        w, x = 0.5 * randn(rng, classes, inputs), randn(rng, images, inputs)
        labels = torch.randint(0, classes, (images,), generator=rng)
        scale, rate = uniform(rng, 0.4, 0.7), uniform(rng, 0.2, 0.5)
        return Case(label, (w, x, labels, scale, steps, rate))

    return [
        case("no step", 2, 3, 4, 0),
        case("one step", 2, 3, 4, 1),
        case("two steps", 3, 4, 6, 2),
        case("six steps", 3, 5, 8, 6),
        case("ten steps", 4, 6, 10, 10),
    ]


def _run(
    step: Callable[[Tensor, Tensor], Tensor],
    w: Tensor,
    x: Tensor,
    labels: Tensor,
    scale: float,
    steps: int,
) -> Tensor:
    """Descend with a step of one's own, from w and the straight-through gradient."""
    for _ in range(steps):
        w = step(w, _gradient(_ternary(w, scale), x, labels))
    return w


def _real_weights(
    w: Tensor, x: Tensor, labels: Tensor, scale: float, steps: int, rate: float
) -> Tensor:
    for _ in range(steps):
        w = w - rate * _gradient(w, x, labels)
    return w


def _softmax_twice(
    w: Tensor, x: Tensor, labels: Tensor, scale: float, steps: int, rate: float
) -> Tensor:
    for _ in range(steps):
        grid = _ternary(w, scale).requires_grad_()
        loss = F.cross_entropy((x @ grid.t()).softmax(1), labels)
        w = w - rate * torch.autograd.grad(loss, grid)[0]
    return w


def _accumulated(
    w: Tensor, x: Tensor, labels: Tensor, scale: float, steps: int, rate: float
) -> Tensor:
    total = torch.zeros_like(w)
    for _ in range(steps):
        total = total + _gradient(_ternary(w, scale), x, labels)
        w = w - rate * total
    return w


def _never_rounded_again(
    w: Tensor, x: Tensor, labels: Tensor, scale: float, steps: int, rate: float
) -> Tensor:
    return w - steps * rate * _gradient(_ternary(w, scale), x, labels)


def _adam(w: Tensor, x: Tensor, labels: Tensor, scale: float, steps: int, rate: float) -> Tensor:
    w = w.clone().requires_grad_()
    optimizer = torch.optim.Adam([w], lr=rate)
    for _ in range(steps):
        w.grad = _gradient(_ternary(w.detach(), scale), x, labels)
        optimizer.step()
    return w.detach()


def _one_image(
    w: Tensor, x: Tensor, labels: Tensor, scale: float, steps: int, rate: float
) -> Tensor:
    for i in range(steps):
        one = slice(i % len(x), i % len(x) + 1)
        w = w - rate * _gradient(_ternary(w, scale), x[one], labels[one])
    return w


def _with_momentum(
    w: Tensor, x: Tensor, labels: Tensor, scale: float, steps: int, rate: float
) -> Tensor:
    velocity = torch.zeros_like(w)
    for _ in range(steps):
        velocity = 0.9 * velocity + _gradient(_ternary(w, scale), x, labels)
        w = w - rate * velocity
    return w


def _squared_errors(
    w: Tensor, x: Tensor, labels: Tensor, scale: float, steps: int, rate: float
) -> Tensor:
    for _ in range(steps):
        off = x @ _ternary(w, scale).t() - F.one_hot(labels, len(w))
        w = w - rate * 2 * off.t() @ x / off.numel()
    return w


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
    misconceptions=(
        Misconception(
            "changes the ternary weights instead of the real ones",
            lambda w, x, labels, scale, steps, rate: _run(
                lambda w, gradient: _ternary(w, scale) - rate * gradient,
                w,
                x,
                labels,
                scale,
                steps,
            ),
            "Small steps are rounded away before they add up. Keep the real weights, and move "
            "those.",
        ),
        Misconception(
            "rounds the weights after each step",
            lambda w, x, labels, scale, steps, rate: _run(
                lambda w, gradient: _ternary(w - rate * gradient, scale),
                w,
                x,
                labels,
                scale,
                steps,
            ),
            "Small steps are rounded away before they add up. Keep the real weights.",
        ),
        Misconception(
            "takes the softmax before the cross entropy",
            _softmax_twice,
            "cross_entropy takes logits: it has the softmax inside.",
        ),
        Misconception(
            "computes the loss with the real weights",
            _real_weights,
            "That is ordinary training: the loss must feel the rounding. Use ternary(w, scale).",
        ),
        Misconception(
            "never forgets old gradients",
            _accumulated,
            "backward adds to w.grad. Set w.grad = None, or call zero_grad, in every step.",
        ),
        Misconception(
            "climbs",
            lambda w, x, labels, scale, steps, rate: fine_tune(w, x, labels, scale, steps, -rate),
            "The gradient points uphill: subtract it.",
        ),
        Misconception(
            "returns the ternary weights",
            lambda w, x, labels, scale, steps, rate: _ternary(
                fine_tune(w, x, labels, scale, steps, rate), scale
            ),
            "Return the real ones: training could go on from them, not from their shadows.",
        ),
        Misconception(
            "adds up the loss of the images instead of taking the mean",
            lambda w, x, labels, scale, steps, rate: fine_tune(
                w, x, labels, scale, steps, rate * len(x)
            ),
            "The loss is the mean over the images, as nn.functional.cross_entropy gives it.",
        ),
        Misconception(
            "takes one step too many",
            lambda w, x, labels, scale, steps, rate: fine_tune(
                w, x, labels, scale, steps + 1, rate
            ),
            "range(steps) is the right number of steps, 0 of them included.",
        ),
        Misconception(
            "takes one step too few",
            lambda w, x, labels, scale, steps, rate: fine_tune(
                w, x, labels, scale, steps - 1, rate
            ),
            "range(steps) is the right number of steps: return after the loop.",
        ),
        Misconception(
            "returns inside the loop",
            lambda w, x, labels, scale, steps, rate: fine_tune(
                w, x, labels, scale, min(steps, 1), rate
            ),
            "After the first step it is over. Move the return out of the loop.",
        ),
        Misconception(
            "leaves the weights as they were",
            lambda w, x, labels, scale, steps, rate: w.clone(),
            "Is the gradient 0? Then the loss has torch.round in it without the straight-through "
            "slope: use ternary(w, scale). Else assign what you compute: w = w - rate * gradient.",
        ),
        Misconception(
            "makes the ternary weights only once",
            _never_rounded_again,
            "After each step the real weights are others: call ternary(w, scale) inside the loop.",
        ),
        Misconception(
            "leaves out the rate",
            lambda w, x, labels, scale, steps, rate: fine_tune(w, x, labels, scale, steps, 1.0),
            "Each step goes against the gradient by rate times its length.",
        ),
        Misconception(
            "gives clipped weights no gradient",
            lambda w, x, labels, scale, steps, rate: _run(
                lambda w, gradient: w - rate * gradient * (w.abs() <= 1.5 * scale),
                w,
                x,
                labels,
                scale,
                steps,
            ),
            "That is 5.3. Here the gradient passes for all weights, as ternary(w, scale) does it.",
        ),
        Misconception(
            "uses Adam",
            _adam,
            "Here it is plain gradient descent, w - rate * gradient, or torch.optim.SGD without "
            "momentum. In 5.9 you are free.",
        ),
        Misconception(
            "gives weights beyond the scale no gradient",
            lambda w, x, labels, scale, steps, rate: _run(
                lambda w, gradient: w - rate * gradient * (w.abs() <= scale),
                w,
                x,
                labels,
                scale,
                steps,
            ),
            "`ternary` passes the gradient straight through for all weights: use it as it is "
            "given, without a clamp of your own in the way.",
        ),
        Misconception(
            "takes one image in each step",
            _one_image,
            "All images take part in every step: x @ ternary(w, scale).t(), and the mean of their "
            "losses.",
        ),
        Misconception(
            "has a momentum",
            _with_momentum,
            "Plain gradient descent is asked for: w - rate * gradient, without what earlier steps "
            "left.",
        ),
        Misconception(
            "takes squared errors instead of the cross entropy",
            _squared_errors,
            "The loss is nn.functional.cross_entropy(logits, labels), which takes labels as they "
            "are.",
        ),
    ),
)
