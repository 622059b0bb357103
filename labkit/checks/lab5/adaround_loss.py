"""Exercise 5.12: the loss of AdaRound."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import INT4, INT8, randn, uniform
from labkit.checks.lab5.adaround_loss_slips import MISCONCEPTIONS
from labkit.checks.lab5.inputs import TERNARY
from labkit.checks.rules import Rule


def adaround_loss(
    v: Tensor,
    w: Tensor,
    x: Tensor,
    scale: float,
    qmin: int,
    qmax: int,
    beta: float,
    weight: float,
) -> tuple[float, Tensor]:
    """Return the loss of soft rounding decisions `v`, and its gradient."""
    with torch.enable_grad():
        v = v.detach().clone().requires_grad_()
        h = (1.2 * torch.sigmoid(v) - 0.1).clamp(0, 1)
        w_hat = scale * (torch.floor(w / scale) + h).clamp(qmin, qmax)
        loss = ((x @ w_hat.t() - x @ w.t()) ** 2).mean()
        loss = loss + weight * (1 - (2 * h - 1).abs() ** beta).sum()
        (gradient,) = torch.autograd.grad(loss, v)
    return float(loss.detach()), gradient


def _cases(rng: torch.Generator) -> list[Case]:
    def case(
        label: str, shape: tuple[int, int, int], ends: tuple[int, int], beta: float, spread: float
    ) -> Case:
        images, outputs, inputs = shape
        scale, weight = uniform(rng, 0.1, 0.4), uniform(rng, 0.01, 0.1)
        # Away from the grid, where floor jumps, and from the ends of h, where its slope does.
        steps = torch.randint(ends[0], ends[1], (outputs, inputs), generator=rng) + 0.1
        w = scale * (steps + 0.8 * torch.rand(outputs, inputs, generator=rng))
        v = (spread * randn(rng, outputs, inputs)).clamp(-2.2, 2.2)
        return Case(label, (v, w, randn(rng, images, inputs), scale, *ends, beta, weight))

    settled = case("decisions that are made", (6, 2, 3), INT4, 4.0, 1.0)
    sure = torch.where(settled.args[0] < 0, -4.0, 4.0)
    beyond = case("weights beyond the last code", (6, 2, 4), (-2, 1), 3.0, 1.0)
    far = (beyond.args[0], 2.5 * beyond.args[1], *beyond.args[2:])
    return [
        case("one weight", (2, 1, 1), INT4, 2.0, 0.5),
        case("a layer", (5, 3, 4), INT4, 2.0, 1.0),
        case("as many outputs as inputs", (5, 4, 4), INT8, 2.0, 1.0),
        case("an odd beta", (6, 3, 5), INT4, 3.0, 1.0),
        case("a large beta, as at the start", (6, 3, 5), INT4, 20.0, 1.0),
        case("ternary", (6, 3, 5), TERNARY, 5.0, 1.0),
        Case(settled.label, (sure, *settled.args[1:])),
        Case(beyond.label, far),
    ]


ADAROUND_LOSS = Exercise(
    id="5.12",
    title="Rounding that learns",
    points=3,
    minutes=(12, 18),
    extra=True,
    reference=adaround_loss,
    cases=_cases,
    rules=(Rule(relative=1e-3, absolute=1e-5), Rule(relative=1e-3, absolute=1e-5)),
    names=("loss", "gradient"),
    hints=(
        "Write the five lines of (3) one below the other, with h from v, then w_hat from h, then "
        "the two terms. Which of them does the gradient go through?",
        "h = (1.2 * torch.sigmoid(v) - 0.1).clamp(0, 1). floor has slope 0, but h is added behind "
        "it: autograd finds the way on its own. v must require a gradient: take a copy.",
        "v = v.clone().requires_grad_(); h as above; w_hat = (torch.floor(w / scale) + "
        "h).clamp(qmin, qmax) * scale; loss = ((x @ w_hat.t() - x @ w.t()) ** 2).mean() + weight * "
        "(1 - (2 * h - 1).abs() ** beta).sum(); gradient, = torch.autograd.grad(loss, v); return "
        "loss.item(), gradient.",
    ),
    misconceptions=MISCONCEPTIONS,
)
