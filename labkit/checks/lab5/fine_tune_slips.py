"""Slips in the fine-tuning loop, for exercise 5.6."""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.checks.exercise import Misconception


def ternary(w: Tensor, scale: float) -> Tensor:
    """Return `w` rounded to -scale, 0 and scale."""
    return torch.round(w / scale).clamp(-1, 1) * scale


def gradient(w: Tensor, x: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient of the mean cross entropy of ``x @ w.t()``, in closed form."""
    off = (x @ w.t()).softmax(1) - F.one_hot(labels, len(w))
    return off.t() @ x / len(x)


def _moved(
    w: Tensor,
    x: Tensor,
    labels: Tensor,
    scale: float,
    steps: int,
    rate: float,
    *,
    count: Callable[[int], int] = lambda steps: steps,
    batch: Callable[[int, int], slice] = lambda step, images: slice(None),
    seen: Callable[[Tensor, Tensor, float], Tensor] = lambda w, first, scale: ternary(w, scale),
    slope: Callable[[Tensor, Tensor, Tensor], Tensor] = gradient,
    through: Callable[[Tensor, Tensor, float], Tensor] = lambda dw, w, scale: dw,
    kept: Callable[[Tensor, Tensor], Tensor] = lambda dw, before: dw,
    base: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda w, seen, first: w,
    length: Callable[[float, int, int, int], float] = lambda rate, step, steps, images: rate,
    after: Callable[[Tensor, float], Tensor] = lambda w, scale: w,
    given: Callable[[Tensor, float], Tensor] = lambda w, scale: w,
) -> Tensor:
    """Return the weights after some steps, of which any part may be another one."""
    first, before = w, torch.zeros_like(w)
    for step in range(count(steps)):
        some = batch(step, len(x))
        now = seen(w, first, scale)
        before = kept(through(slope(now, x[some], labels[some]), w, scale), before)
        w = after(base(w, now, first) - length(rate, step, steps, len(x)) * before, scale)
    return given(w, scale)


def _softmax_twice(w: Tensor, x: Tensor, labels: Tensor) -> Tensor:
    w = w.clone().requires_grad_()
    loss = F.cross_entropy((x @ w.t()).softmax(1), labels)
    return torch.autograd.grad(loss, w)[0]


def _squared_errors(w: Tensor, x: Tensor, labels: Tensor) -> Tensor:
    off = x @ w.t() - F.one_hot(labels, len(w))
    return 2 * off.t() @ x / off.numel()


def _until_all_are_right(w: Tensor, x: Tensor, labels: Tensor) -> Tensor:
    done = bool(((x @ w.t()).argmax(1) == labels).all())
    return gradient(w, x, labels) * (not done)


def _without_softmax(w: Tensor, x: Tensor, labels: Tensor) -> Tensor:
    return -F.one_hot(labels, len(w)).float().t() @ x / len(x)


def _adam(w: Tensor, x: Tensor, labels: Tensor, scale: float, steps: int, rate: float) -> Tensor:
    w = w.clone().requires_grad_()
    optimizer = torch.optim.Adam([w], lr=rate)
    for _ in range(steps):
        w.grad = gradient(ternary(w.detach(), scale), x, labels)
        optimizer.step()
    return w.detach()


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "changes the ternary weights instead of the real ones",
        partial(_moved, base=lambda w, seen, first: seen),
        "Small steps are rounded away before they add up. Keep the real weights, and move those.",
    ),
    Misconception(
        "rounds the weights after each step",
        partial(_moved, after=ternary),
        "Small steps are rounded away before they add up. Keep the real weights.",
    ),
    Misconception(
        "takes the softmax before the cross entropy",
        partial(_moved, slope=_softmax_twice),
        "cross_entropy takes logits: it has the softmax inside.",
    ),
    Misconception(
        "computes the loss with the real weights",
        partial(_moved, seen=lambda w, first, scale: w),
        "That is ordinary training: the loss must feel the rounding. Use ternary(w, scale).",
    ),
    Misconception(
        "never forgets old gradients",
        partial(_moved, kept=torch.add),
        "backward adds to w.grad. Set w.grad = None, or call zero_grad, in every step.",
    ),
    Misconception(
        "adds the gradient instead of subtracting it",
        partial(_moved, length=lambda rate, step, steps, images: -rate),
        "The gradient points uphill: w - rate * gradient.",
    ),
    Misconception(
        "returns the ternary weights",
        partial(_moved, given=ternary),
        "Return the real ones: training could go on from them, not from their shadows.",
    ),
    Misconception(
        "adds up the loss of the images instead of taking the mean",
        partial(_moved, length=lambda rate, step, steps, images: rate * images),
        "The loss is the mean over the images, as nn.functional.cross_entropy gives it.",
    ),
    Misconception(
        "divides by the number of images once more",
        partial(_moved, length=lambda rate, step, steps, images: rate / images),
        "nn.functional.cross_entropy is the mean over the images already.",
    ),
    Misconception(
        "takes one step too many",
        partial(_moved, count=lambda steps: steps + 1),
        "Loop over range(steps): with 0 steps the weights stay as they are.",
    ),
    Misconception(
        "takes one step too few",
        partial(_moved, count=lambda steps: steps - 1),
        "Loop over range(steps), and return after the loop.",
    ),
    Misconception(
        "returns inside the loop",
        partial(_moved, count=lambda steps: min(steps, 1)),
        "After the first step it is over. Move the return out of the loop.",
    ),
    Misconception(
        "leaves the weights as they were",
        partial(_moved, count=lambda steps: 0),
        "Is the gradient 0? Then the loss has torch.round in it without the straight-through "
        "slope: use ternary(w, scale). Else assign what you compute: w = w - rate * gradient.",
    ),
    Misconception(
        "makes the ternary weights only once",
        partial(_moved, seen=lambda w, first, scale: ternary(first, scale)),
        "After each step the real weights are others: call ternary(w, scale) inside the loop.",
    ),
    Misconception(
        "leaves out the rate",
        partial(_moved, length=lambda rate, step, steps, images: 1.0),
        "Each step goes against the gradient by rate times its length.",
    ),
    Misconception(
        "makes the steps shorter and shorter",
        partial(_moved, length=lambda rate, step, steps, images: rate / (step + 1)),
        "The rate stays the same in every step: w - rate * gradient.",
    ),
    Misconception(
        "makes the steps shorter and shorter",
        partial(_moved, length=lambda rate, step, steps, images: rate * (1 - step / steps)),
        "The rate stays the same in every step: w - rate * gradient.",
    ),
    Misconception(
        "makes the steps shorter and shorter",
        partial(
            _moved,
            length=lambda rate, step, steps, images: (
                rate * (1 + math.cos(math.pi * step / steps)) / 2
            ),
        ),
        "The rate stays the same in every step: w - rate * gradient.",
    ),
    Misconception(
        "steps from the first weights each time",
        partial(_moved, base=lambda w, seen, first: first),
        "Each step goes on from where the last one has come to: w = w - rate * gradient.",
    ),
    Misconception(
        "clips the real weights to -1 and 1",
        partial(_moved, after=lambda w, scale: w.clamp(-1, 1)),
        "That belongs to binary networks (BinaryConnect). Here the real weights go wherever the "
        "steps bring them.",
    ),
    Misconception(
        "clips the real weights to the grid",
        partial(_moved, after=lambda w, scale: w.clamp(-scale, scale)),
        "The real weights go wherever the steps bring them; ternary(w, scale) clamps, for the "
        "loss alone.",
    ),
    Misconception(
        "makes a scale of its own",
        partial(_moved, seen=lambda w, first, scale: ternary(w, float(1.4 * w.abs().mean()))),
        "The scale is an argument, and stays the same in all steps: ternary(w, scale).",
    ),
    Misconception(
        "divides the gradient by its length",
        partial(_moved, through=lambda dw, w, scale: dw / dw.norm()),
        "A step is as long as its gradient says: w - rate * gradient.",
    ),
    Misconception(
        "stops when all images are right",
        partial(_moved, slope=_until_all_are_right),
        "Asked is for `steps` steps: the loss still falls when all images are right.",
    ),
    Misconception(
        "gives clipped weights no gradient",
        partial(_moved, through=lambda dw, w, scale: dw * (w.abs() <= 1.5 * scale)),
        "That is 5.3. Here the gradient passes for all weights, as ternary(w, scale) does it.",
    ),
    Misconception(
        "gives weights beyond the scale no gradient",
        partial(_moved, through=lambda dw, w, scale: dw * (w.abs() <= scale)),
        "`ternary` passes the gradient straight through for all weights: use it as it is "
        "given, without a clamp of your own in the way.",
    ),
    Misconception(
        "gives weights beyond -1 and 1 no gradient",
        partial(_moved, through=lambda dw, w, scale: dw * (w.abs() <= 1)),
        "That is the estimator for signs. `ternary` passes the gradient straight through for all "
        "weights.",
    ),
    Misconception(
        "gives weights that round to 0 no gradient",
        partial(_moved, through=lambda dw, w, scale: dw * (w.abs() > 0.5 * scale)),
        "Weights at 0 must learn, too, or they never leave it: the gradient passes for all.",
    ),
    Misconception(
        "multiplies the gradient by the scale",
        partial(_moved, through=lambda dw, w, scale: dw * scale),
        "`ternary` claims the slope 1: the scale is no part of it. Let autograd go through "
        "ternary(w, scale) as it is given.",
    ),
    Misconception(
        "takes the sign of the gradient",
        partial(_moved, through=lambda dw, w, scale: dw.sign()),
        "A step is as long as its gradient says: w - rate * gradient.",
    ),
    Misconception(
        "uses Adam",
        _adam,
        "Here it is plain gradient descent, w - rate * gradient, or torch.optim.SGD without "
        "momentum. In 5.9 you are free.",
    ),
    Misconception(
        "takes one image in each step",
        partial(_moved, batch=lambda step, images: slice(step % images, step % images + 1)),
        "All images take part in every step: x @ ternary(w, scale).t(), and the mean of their "
        "losses.",
    ),
    Misconception(
        "has a momentum",
        partial(_moved, kept=lambda dw, before: 0.9 * before + dw),
        "Plain gradient descent is asked for: w - rate * gradient, without what earlier steps "
        "left.",
    ),
    Misconception(
        "averages the gradient with earlier ones",
        partial(_moved, kept=lambda dw, before: 0.9 * before + 0.1 * dw),
        "Plain gradient descent is asked for: w - rate * gradient, the gradient of this step "
        "alone.",
    ),
    Misconception(
        "takes squared errors instead of the cross entropy",
        partial(_moved, slope=_squared_errors),
        "The loss is nn.functional.cross_entropy(logits, labels), which takes labels as they are.",
    ),
    Misconception(
        "takes no softmax",
        partial(_moved, slope=_without_softmax),
        "nll_loss wants log_softmax(logits). nn.functional.cross_entropy takes the logits "
        "themselves.",
    ),
    Misconception(
        "does not clamp the codes",
        partial(_moved, seen=lambda w, first, scale: torch.round(w / scale) * scale),
        "Ternary means -1, 0 and 1: use ternary(w, scale) as it is given.",
    ),
    Misconception(
        "computes with codes",
        partial(_moved, seen=lambda w, first, scale: torch.round(w / scale).clamp(-1, 1)),
        "The layer computes with -scale, 0 and scale: use ternary(w, scale) as it is given.",
    ),
    Misconception(
        "lets the weights decay",
        partial(_moved, base=lambda w, seen, first: 0.99 * w),
        "Plain gradient descent is asked for: without weight decay.",
    ),
)
