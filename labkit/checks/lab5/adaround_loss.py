"""Exercise 5.12: the loss of AdaRound."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import INT4, INT8, randn, uniform
from labkit.checks.lab5.inputs import TERNARY
from labkit.checks.rules import Rule

GAMMA, ZETA = -0.1, 1.1


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
    return _answer()(v, w, x, scale, qmin, qmax, beta, weight)


def _soft(v: Tensor) -> Tensor:
    return ((ZETA - GAMMA) * torch.sigmoid(v) + GAMMA).clamp(0, 1)


def _codes(w: Tensor, h: Tensor, scale: float, qmin: int, qmax: int) -> Tensor:
    return (torch.floor(w / scale) + h).clamp(qmin, qmax)


def _error(w: Tensor, w_hat: Tensor, x: Tensor) -> Tensor:
    return ((x @ w_hat.t() - x @ w.t()) ** 2).mean()


def _push(h: Tensor, beta: float) -> Tensor:
    return (1 - (2 * h - 1).abs() ** beta).sum()


def _answer(
    soft: Callable[[Tensor], Tensor] = _soft,
    codes: Callable[[Tensor, Tensor, float, int, int], Tensor] = _codes,
    error: Callable[[Tensor, Tensor, Tensor], Tensor] = _error,
    push: Callable[[Tensor, float], Tensor] = _push,
    back: Callable[[Tensor, float], Tensor] = lambda q, scale: q * scale,
) -> Callable[..., tuple[float, Tensor]]:
    """Return an answer with one of its parts made in another way."""

    def compute(
        v: Tensor,
        w: Tensor,
        x: Tensor,
        scale: float,
        qmin: int,
        qmax: int,
        beta: float,
        weight: float,
    ) -> tuple[float, Tensor]:
        with torch.enable_grad():
            v = v.detach().clone().requires_grad_()
            h = soft(v)
            loss = error(w, back(codes(w, h, scale, qmin, qmax), scale), x)
            loss = loss + weight * push(h, beta)
            (gradient,) = torch.autograd.grad(loss, v)
        return float(loss.detach()), gradient

    return compute


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


def _nearest_codes(w: Tensor, h: Tensor, scale: float, qmin: int, qmax: int) -> Tensor:
    return (torch.round(w / scale) + h).clamp(qmin, qmax)


def _unclamped_codes(w: Tensor, h: Tensor, scale: float, qmin: int, qmax: int) -> Tensor:
    return torch.floor(w / scale) + h


def _of_h(*args: Any) -> tuple[float, Tensor]:
    v, w, x, scale, qmin, qmax, beta, weight = args
    h = _soft(v).detach().requires_grad_()
    loss = _error(w, _codes(w, h, scale, qmin, qmax) * scale, x) + weight * _push(h, beta)
    return float(loss.detach()), torch.autograd.grad(loss, h)[0]


def _without(*args: Any) -> tuple[float, Tensor]:
    changed = (*args[:-1], 0.0)
    return adaround_loss(*changed)


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
        "h).clamp(qmin, "
        "qmax) * scale; loss = ((x @ w_hat.t() - x @ w.t()) ** 2).mean() + weight * (1 - (2 * h - "
        "1).abs() ** beta).sum(); gradient, = torch.autograd.grad(loss, v); return loss.item(), "
        "gradient.",
    ),
    misconceptions=(
        Misconception(
            "rounds to the nearest code before it adds h",
            _answer(codes=_nearest_codes),
            "h chooses between the code below and the one above: add it to torch.floor(w / scale).",
        ),
        Misconception(
            "takes the sigmoid as it is",
            _answer(soft=torch.sigmoid),
            "A sigmoid reaches 0 and 1 only at infinity. Stretch it: 1.2 * sigmoid(v) - 0.1, "
            "clamped.",
        ),
        Misconception(
            "stretches the sigmoid and does not clamp it",
            _answer(soft=lambda v: 1.2 * torch.sigmoid(v) - 0.1),
            "h is between 0 and 1: .clamp(0, 1). There a decision that is made stays made.",
        ),
        Misconception(
            "does not clamp the codes",
            _answer(codes=_unclamped_codes),
            "Codes beyond qmin and qmax do not exist: clamp floor(w / scale) + h.",
        ),
        Misconception(
            "leaves the weights as codes",
            _answer(back=lambda q, scale: q),
            "The layer computes with real weights: multiply the codes by scale.",
        ),
        Misconception(
            "leaves the regularizer out",
            _without,
            "Without the second term h stays between 0 and 1, where no code is.",
        ),
        Misconception(
            "takes the power of 2 h - 1 without its magnitude",
            _answer(push=lambda h, beta: (1 - (2 * h - 1) ** beta).sum()),
            "2 h - 1 is negative below h = 0.5, and so is an odd power of it: |2 h - 1| ** beta.",
        ),
        Misconception(
            "rewards decisions that are not made",
            _answer(push=lambda h, beta: (2 * h - 1).abs().pow(beta).sum()),
            "The term must be 0 where h is 0 or 1, and largest at one half: 1 - |2h - 1|^beta.",
        ),
        Misconception(
            "has the sign of the regularizer turned round",
            _answer(push=lambda h, beta: -_push(h, beta)),
            "The loss is made small: the term is added, so that h moves to 0 or 1.",
        ),
        Misconception(
            "takes the mean in the regularizer",
            _answer(push=lambda h, beta: _push(h, beta) / h.numel()),
            "Each weight has its own term: the sum over all of them.",
        ),
        Misconception(
            "leaves beta out",
            _answer(push=lambda h, beta: (1 - (2 * h - 1).abs()).sum()),
            "The power beta is what is annealed: large at first, which leaves h free in the "
            "middle.",
        ),
        Misconception(
            "always squares",
            _answer(push=lambda h, beta: (1 - (2 * h - 1) ** 2).sum()),
            "The power is the argument beta, and falls from step to step.",
        ),
        Misconception(
            "takes h itself instead of 2h - 1",
            _answer(push=lambda h, beta: (1 - h**beta).sum()),
            "2h - 1 lies between -1 and 1 and is 0 in the middle: |2h - 1|^beta.",
        ),
        Misconception(
            "compares the weights instead of the results",
            _answer(error=lambda w, w_hat, x: ((w_hat - w) ** 2).mean()),
            "That is smallest for rounding to nearest. What counts is the layer's result, x @ "
            "w.t().",
        ),
        Misconception(
            "adds the squared errors up",
            _answer(error=lambda w, w_hat, x: ((x @ w_hat.t() - x @ w.t()) ** 2).sum()),
            "Asked is the mean of the squared differences.",
        ),
        Misconception(
            "takes absolute errors",
            _answer(error=lambda w, w_hat, x: (x @ w_hat.t() - x @ w.t()).abs().mean()),
            "Asked is the mean of the squared differences.",
        ),
        Misconception(
            "returns the gradient with h",
            _of_h,
            "What is trained is v: the slope of the sigmoid belongs to it.",
        ),
    ),
)
