"""Exercise 5.12: the loss of AdaRound."""

from collections.abc import Callable
from functools import partial

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
    return _loss(v, w, x, scale, qmin, qmax, beta, weight)


def _soft(v: Tensor) -> Tensor:
    return ((ZETA - GAMMA) * torch.sigmoid(v) + GAMMA).clamp(0, 1)


def _codes(w: Tensor, h: Tensor, scale: float, qmin: int, qmax: int) -> Tensor:
    return (torch.floor(w / scale) + h).clamp(qmin, qmax)


def _error(w: Tensor, w_hat: Tensor, x: Tensor) -> Tensor:
    return ((x @ w_hat.t() - x @ w.t()) ** 2).mean()


def _push(h: Tensor, beta: float) -> Tensor:
    return (1 - (2 * h - 1).abs() ** beta).sum()


def _loss(
    v: Tensor,
    w: Tensor,
    x: Tensor,
    scale: float,
    qmin: int,
    qmax: int,
    beta: float,
    weight: float,
    *,
    soft: Callable[[Tensor], Tensor] = _soft,
    codes: Callable[[Tensor, Tensor, float, int, int], Tensor] = _codes,
    back: Callable[[Tensor, float], Tensor] = torch.mul,
    error: Callable[[Tensor, Tensor, Tensor], Tensor] = _error,
    push: Callable[[Tensor, float], Tensor] = _push,
    weighed: Callable[[Tensor, float], Tensor] = torch.mul,
    given: Callable[[Tensor], Tensor] = lambda slope: slope,
) -> tuple[float, Tensor]:
    """Return loss and gradient, of which any part may be another one."""
    with torch.enable_grad():
        v = v.detach().clone().requires_grad_()
        h = soft(v)
        loss = error(w, back(codes(w, h, scale, qmin, qmax), scale), x)
        loss = loss + weighed(push(h, beta), weight)
        (gradient,) = torch.autograd.grad(loss, v)
    return float(loss.detach()), given(gradient)


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


def _of(start: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """Return codes that begin at other integers than those below the weights."""

    def codes(w: Tensor, h: Tensor, scale: float, qmin: int, qmax: int) -> Tensor:
        return (start(w / scale) + h).clamp(qmin, qmax)

    return codes


def _clamped_before(w: Tensor, h: Tensor, scale: float, qmin: int, qmax: int) -> Tensor:
    return torch.floor(w / scale).clamp(qmin, qmax) + h


def _of_h(
    v: Tensor,
    w: Tensor,
    x: Tensor,
    scale: float,
    qmin: int,
    qmax: int,
    beta: float,
    weight: float,
) -> tuple[float, Tensor]:
    h = _soft(v).detach().requires_grad_()
    loss = _error(w, _codes(w, h, scale, qmin, qmax) * scale, x) + weight * _push(h, beta)
    return float(loss.detach()), torch.autograd.grad(loss, h)[0]


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
    misconceptions=(
        Misconception(
            "rounds to the nearest code before it adds h",
            partial(_loss, codes=_of(torch.round)),
            "h chooses between the code below and the one above: add it to torch.floor(w / scale).",
        ),
        Misconception(
            "adds h to the weight in steps",
            partial(_loss, codes=_of(torch.clone)),
            "h takes the place of what is behind the point: add it to torch.floor(w / scale).",
        ),
        Misconception(
            "cuts off instead of rounding down",
            partial(_loss, codes=_of(torch.trunc)),
            "Below 0 that is the code above: torch.floor(w / scale), then + h.",
        ),
        Misconception(
            "begins at the code above",
            partial(_loss, codes=_of(torch.ceil)),
            "h = 0 means the code below and h = 1 the one above: torch.floor(w / scale) + h.",
        ),
        Misconception(
            "takes the sigmoid as it is",
            partial(_loss, soft=torch.sigmoid),
            "A sigmoid reaches 0 and 1 only at infinity. Stretch it: 1.2 * sigmoid(v) - 0.1, "
            "clamped.",
        ),
        Misconception(
            "stretches the sigmoid and does not clamp it",
            partial(_loss, soft=lambda v: 1.2 * torch.sigmoid(v) - 0.1),
            "h is between 0 and 1: .clamp(0, 1). There a decision that is made stays made.",
        ),
        Misconception(
            "adds 0.1 to the stretched sigmoid",
            partial(_loss, soft=lambda v: (1.2 * torch.sigmoid(v) + 0.1).clamp(0, 1)),
            "Stretched evenly, h reaches from -0.1 to 1.1 before the clamp: 1.2 * sigmoid(v) - "
            "0.1.",
        ),
        Misconception(
            "stretches the sigmoid by 1.1",
            partial(_loss, soft=lambda v: (1.1 * torch.sigmoid(v) - 0.1).clamp(0, 1)),
            "From -0.1 to 1.1 it is 1.2 long: 1.2 * sigmoid(v) - 0.1.",
        ),
        Misconception(
            "takes v itself for h",
            partial(_loss, soft=lambda v: v.clamp(0, 1)),
            "h is made of v: (1.2 * sigmoid(v) - 0.1).clamp(0, 1).",
        ),
        Misconception(
            "does not clamp the codes",
            partial(_loss, codes=lambda w, h, scale, qmin, qmax: torch.floor(w / scale) + h),
            "Codes beyond qmin and qmax do not exist: clamp floor(w / scale) + h.",
        ),
        Misconception(
            "clamps the codes before it adds h",
            partial(_loss, codes=_clamped_before),
            "The sum may leave the range: clamp floor(w / scale) + h.",
        ),
        Misconception(
            "leaves the weights as codes",
            partial(_loss, back=lambda q, scale: q),
            "The layer computes with real weights: multiply the codes by scale.",
        ),
        Misconception(
            "leaves the regularizer out",
            partial(_loss, weighed=lambda term, weight: 0 * term),
            "Without the second term h stays between 0 and 1, where no code is.",
        ),
        Misconception(
            "does not weigh the regularizer",
            partial(_loss, weighed=lambda term, weight: term),
            "The second term is multiplied by lambda, the argument `weight`.",
        ),
        Misconception(
            "takes the power of 2 h - 1 without its magnitude",
            partial(_loss, push=lambda h, beta: (1 - (2 * h - 1) ** beta).sum()),
            "2 h - 1 is negative below h = 0.5, and so is an odd power of it: |2 h - 1| ** beta.",
        ),
        Misconception(
            "rewards decisions that are not made",
            partial(_loss, push=lambda h, beta: (2 * h - 1).abs().pow(beta).sum()),
            "The term must be 0 where h is 0 or 1, and largest at one half: 1 - |2h - 1|^beta.",
        ),
        Misconception(
            "has the sign of the regularizer turned round",
            partial(_loss, weighed=lambda term, weight: -weight * term),
            "The loss is made small: the term is added, so that h moves to 0 or 1.",
        ),
        Misconception(
            "takes the mean in the regularizer",
            partial(_loss, push=lambda h, beta: _push(h, beta) / h.numel()),
            "Each weight has its own term: the sum over all of them.",
        ),
        Misconception(
            "leaves beta out",
            partial(_loss, push=lambda h, beta: (1 - (2 * h - 1).abs()).sum()),
            "The power beta is what is annealed: large at first, which leaves h free in the "
            "middle.",
        ),
        Misconception(
            "always squares",
            partial(_loss, push=lambda h, beta: (1 - (2 * h - 1) ** 2).sum()),
            "The power is the argument beta, and falls from step to step.",
        ),
        Misconception(
            "takes h itself instead of 2h - 1",
            partial(_loss, push=lambda h, beta: (1 - h**beta).sum()),
            "2h - 1 lies between -1 and 1 and is 0 in the middle: |2h - 1|^beta.",
        ),
        Misconception(
            "compares the weights instead of the results",
            partial(_loss, error=lambda w, w_hat, x: ((w_hat - w) ** 2).mean()),
            "That is smallest for rounding to nearest. What counts is the layer's result, x @ "
            "w.t().",
        ),
        Misconception(
            "adds the squared errors up",
            partial(_loss, error=lambda w, w_hat, x: ((x @ w_hat.t() - x @ w.t()) ** 2).sum()),
            "Asked is the mean of the squared differences.",
        ),
        Misconception(
            "adds the squared errors of an image up",
            partial(
                _loss,
                error=lambda w, w_hat, x: ((x @ w_hat.t() - x @ w.t()) ** 2).sum(1).mean(),
            ),
            "Asked is the mean over images and outputs alike: .mean() of all squares.",
        ),
        Misconception(
            "takes absolute errors",
            partial(_loss, error=lambda w, w_hat, x: (x @ w_hat.t() - x @ w.t()).abs().mean()),
            "Asked is the mean of the squared differences.",
        ),
        Misconception(
            "returns the gradient with h",
            _of_h,
            "What is trained is v: the slope of the sigmoid belongs to it.",
        ),
        Misconception(
            "has the sign of the gradient turned round",
            partial(_loss, given=torch.neg),
            "Asked is the gradient itself; the step against it comes later.",
        ),
        Misconception(
            "adds the gradient up",
            partial(_loss, given=torch.sum),
            "Each decision has a gradient of its own: the result has the shape of v.",
        ),
    ),
)
