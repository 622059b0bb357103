"""Slips in the loss of AdaRound, for exercise 5.12."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception

GAMMA, ZETA = -0.1, 1.1


def _soft(v: Tensor) -> Tensor:
    return ((ZETA - GAMMA) * torch.sigmoid(v) + GAMMA).clamp(0, 1)


def _codes(w: Tensor, h: Tensor, scale: float, qmin: int, qmax: int) -> Tensor:
    return (torch.floor(w / scale) + h).clamp(qmin, qmax)


def _error(w: Tensor, w_hat: Tensor, x: Tensor) -> Tensor:
    return ((x @ w_hat.t() - x @ w.t()) ** 2).mean()


def _push(h: Tensor, beta: float) -> Tensor:
    return (1 - (2 * h - 1).abs() ** beta).sum()


def _of_both(of_error: Tensor, of_push: Tensor, scale: float) -> Tensor:
    return of_error + of_push


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
    joined: Callable[[Tensor, Tensor, float], Tensor] = _of_both,
    given: Callable[[Tensor], Tensor] = lambda slope: slope,
) -> tuple[float, Tensor]:
    """Return loss and gradient, of which any part may be another one."""
    with torch.enable_grad():
        v = v.detach().clone().requires_grad_()
        h = soft(v)
        first = error(w, back(codes(w, h, scale, qmin, qmax), scale), x)
        second = weighed(push(h, beta), weight)
        a, b = (torch.autograd.grad(term, v, retain_graph=True)[0] for term in (first, second))
    return float((first + second).detach()), given(joined(a, b, scale))


def _claimed(value: Tensor, slope: Tensor) -> Tensor:
    """Return `value`, for which the slope of another one is claimed."""
    return slope + (value - slope).detach()


def _unclamped(v: Tensor) -> Tensor:
    return (ZETA - GAMMA) * torch.sigmoid(v) + GAMMA


def _through_both(w: Tensor, h: Tensor, scale: float, qmin: int, qmax: int) -> Tensor:
    return _claimed(_codes(w, h, scale, qmin, qmax), torch.floor(w / scale) + h)


def _of(start: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """Return codes that begin at other integers than those below the weights."""

    def codes(w: Tensor, h: Tensor, scale: float, qmin: int, qmax: int) -> Tensor:
        return (start(w / scale) + h).clamp(qmin, qmax)

    return codes


def _clamped_before(w: Tensor, h: Tensor, scale: float, qmin: int, qmax: int) -> Tensor:
    return torch.floor(w / scale).clamp(qmin, qmax) + h


def _without_sign(h: Tensor, beta: float) -> Tensor:
    """Return the term with the slope that its base has above one half everywhere."""
    u = 2 * h - 1
    return (1 - _claimed(u.abs(), u) ** beta).sum()


MISCONCEPTIONS: tuple[Misconception, ...] = (
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
        "A sigmoid reaches 0 and 1 only at infinity. Stretch it: 1.2 * sigmoid(v) - 0.1, clamped.",
    ),
    Misconception(
        "stretches the sigmoid and does not clamp it",
        partial(_loss, soft=lambda v: 1.2 * torch.sigmoid(v) - 0.1),
        "h is between 0 and 1: .clamp(0, 1). There a decision that is made stays made.",
    ),
    Misconception(
        "adds 0.1 to the stretched sigmoid",
        partial(_loss, soft=lambda v: (1.2 * torch.sigmoid(v) + 0.1).clamp(0, 1)),
        "Stretched evenly, h reaches from -0.1 to 1.1 before the clamp: 1.2 * sigmoid(v) - 0.1.",
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
        "adds h in units of the data",
        partial(_loss, codes=lambda w, h, s, *ends: _codes(w, 0 * h, s, *ends) + h / s),
        "h is a part of a step: add it to the code, torch.floor(w / scale) + h, and then multiply "
        "by scale.",
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
        "The power beta is what is annealed: large at first, which leaves h free in the middle.",
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
        "That is smallest for rounding to nearest. What counts is the layer's result, x @ w.t().",
    ),
    Misconception(
        "adds the squared errors up",
        partial(_loss, error=lambda w, w_hat, x: (x @ (w_hat - w).t()).square().sum()),
        "Asked is the mean of the squared differences.",
    ),
    Misconception(
        "adds the squared errors of an image up",
        partial(_loss, error=lambda w, w_hat, x: (x @ (w_hat - w).t()).square().sum(1).mean()),
        "Asked is the mean over images and outputs alike: .mean() of all squares.",
    ),
    Misconception(
        "takes absolute errors",
        partial(_loss, error=lambda w, w_hat, x: (x @ w_hat.t() - x @ w.t()).abs().mean()),
        "Asked is the mean of the squared differences.",
    ),
    Misconception(
        "forgets in the gradient that h and the codes are clamped",
        partial(_loss, soft=lambda v: _claimed(_soft(v), _unclamped(v)), codes=_through_both),
        "A clamp has the slope 0 beyond its ends: where the stretched sigmoid is below 0 or above "
        "1, and where floor(w / scale) + h is beyond qmin or qmax.",
    ),
    Misconception(
        "forgets in the gradient that h is clamped",
        partial(_loss, soft=lambda v: _claimed(_soft(v), _unclamped(v))),
        "Where the stretched sigmoid is below 0 or above 1, h stays at 0 or 1 whatever v does: "
        "its slope is 0 there.",
    ),
    Misconception(
        "forgets in the gradient that the codes are clamped",
        partial(_loss, codes=_through_both),
        "Where floor(w / scale) + h is beyond qmin or qmax, the code stays at the end whatever h "
        "does: its slope is 0 there.",
    ),
    Misconception(
        "leaves the stretching by 1.2 out of the gradient",
        partial(_loss, given=lambda slope: slope / (ZETA - GAMMA)),
        "h = 1.2 * sigmoid(v) - 0.1 has 1.2 times the slope of the sigmoid.",
    ),
    Misconception(
        "leaves the gradient of the regularizer out",
        partial(_loss, joined=lambda of_error, of_push, scale: of_error),
        "Both terms depend on v: the gradient is that of the whole loss.",
    ),
    Misconception(
        "leaves the gradient of the first term out",
        partial(_loss, joined=lambda of_error, of_push, scale: of_push),
        "h must reach the results of the layer with its slope: no detach, rounding or comparison.",
    ),
    Misconception(
        "has the sign of the regularizer turned round in the gradient",
        partial(_loss, joined=lambda of_error, of_push, scale: of_error - of_push),
        "The term is 1 *minus* a power: its slope with h is negative above one half.",
    ),
    Misconception(
        "forgets the scale in the gradient",
        partial(_loss, joined=lambda of_error, of_push, scale: of_error / scale + of_push),
        "w_hat is scale times the codes, so its slope with h is scale.",
    ),
    Misconception(
        "forgets the 2 of 2h - 1 in the gradient",
        partial(_loss, joined=lambda of_error, of_push, scale: of_error + of_push / 2),
        "2h - 1 moves twice as fast as h: its slope is 2.",
    ),
    Misconception(
        "forgets the 2 of the square in the gradient",
        partial(_loss, joined=lambda of_error, of_push, scale: of_error / 2 + of_push),
        "The slope of a square is twice what is squared.",
    ),
    Misconception(
        "forgets the sign of 2h - 1 in the gradient",
        partial(_loss, push=_without_sign),
        "The slope of |2h - 1| is 2 above one half and -2 below: times torch.sign(2 * h - 1).",
    ),
    Misconception(
        "returns the gradient with h",
        partial(_loss, soft=lambda v: _claimed(_soft(v), v)),
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
)
