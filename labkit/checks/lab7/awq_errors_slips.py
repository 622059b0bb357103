"""Slips in the search of AWQ, for exercise 7.7."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception
from labkit.checks.lab7.quantize_groups import quantize_groups

LEAST = 1e-4


def _magnitude(x: Tensor) -> Tensor:
    return x.abs().mean(0).clamp(min=LEAST)


def _round(w: Tensor, bits: int, group_size: int) -> Tensor:
    codes, scale, _ = quantize_groups(w, bits, group_size)
    return codes * scale.repeat_interleave(group_size, dim=1)


def _errors(
    w: Tensor,
    x: Tensor,
    alphas: list[float],
    bits: int,
    group_size: int,
    *,
    magnitude: Callable[[Tensor], Tensor] = _magnitude,
    power: Callable[[Tensor, float], Tensor] = torch.pow,
    by_weights: Callable[[Tensor, float], Tensor | float] = lambda w, alpha: 1.0,
    rounded: Callable[[Tensor, int, int], Tensor] = _round,
    scaled: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    back: Callable[[Tensor, Tensor], Tensor] = torch.div,
    against: Callable[[Tensor, Tensor], Tensor] = lambda w, s: w,
    output: Callable[[Tensor, Tensor], Tensor] = lambda x, d: x @ d.T,
    mean: Callable[[Tensor], Tensor] = lambda d: d.square().mean(),
    given: Callable[[Tensor, Tensor], Tensor] = lambda errors, exact: errors,
) -> Tensor:
    errors = []
    for alpha in alphas:
        s = power(magnitude(x), alpha) * by_weights(w, alpha)
        apart = back(rounded(scaled(w, s), bits, group_size), s) - against(w, s)
        errors.append(mean(output(x, apart)))
    return given(torch.stack(errors), x @ w.T)


def _piled_up(
    w: Tensor, x: Tensor, alphas: list[float], bits: int, group_size: int, keeps: str
) -> Tensor:
    """Scale what was scaled for the exponents before; "w" or what was "rounded" is kept."""
    scaled, errors = w.clone(), []
    for alpha in alphas:
        s = _magnitude(x) ** alpha
        scaled = scaled * s
        back = _round(scaled, bits, group_size) / s
        errors.append((x @ (back - w).T).square().mean())
        scaled = back if keeps == "rounded" else scaled
    return torch.stack(errors)


def _repeated(w: Tensor, bits: int, group_size: int) -> Tensor:
    codes, scale, _ = quantize_groups(w, bits, group_size)
    return codes * scale.repeat(1, group_size)


def _best(w: Tensor, x: Tensor, alphas: list[float], bits: int, group_size: int) -> Tensor:
    errors = _errors(w, x, alphas, bits, group_size)
    return torch.tensor(alphas[int(errors.argmin())])


def _with_steps(top: Callable[[int], int]) -> Callable[[Tensor, int, int], Tensor]:
    def rounded(w: Tensor, bits: int, group_size: int) -> Tensor:
        groups = w.unflatten(1, (-1, group_size))
        scale = groups.abs().amax(2, keepdim=True) / top(bits)
        scale = torch.where(scale == 0, 1.0, scale)
        codes = torch.round(groups / scale).clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return (codes * scale).flatten(1)

    return rounded


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "does not scale back",
        partial(_errors, back=lambda w, s: w),
        "The input is divided by s, or, which is the same, the rounded weights are: Q(w s) / s.",
    ),
    Misconception(
        "scales back the wrong way",
        partial(_errors, back=torch.mul),
        "What was multiplied by s before rounding is divided by it after: Q(w s) / s.",
    ),
    Misconception(
        "scales weights down where inputs are large",
        partial(_errors, scaled=torch.div, back=torch.mul),
        "The weights that meet large inputs are made *larger* before rounding: w * s.",
    ),
    Misconception(
        "compares before it scales back",
        partial(_errors, back=lambda w, s: w, against=torch.mul),
        "The output is that of x with Q(w s) / s: scale back, then compare with w.",
    ),
    Misconception(
        "divides by the largest weights, too",
        partial(
            _errors,
            by_weights=lambda w, alpha: w.abs().amax(0).clamp(min=LEAST) ** (alpha - 1),
        ),
        "That is smoothing (7.5). AWQ looks at the inputs alone: the mean magnitude ** alpha.",
    ),
    Misconception(
        "divides by the mean of the weights, too",
        partial(
            _errors,
            by_weights=lambda w, alpha: w.abs().mean(0).clamp(min=LEAST) ** (alpha - 1),
        ),
        "That is nearer to smoothing (7.5). Here s is made of the inputs alone: the mean "
        "magnitude ** alpha.",
    ),
    Misconception(
        "does not scale before it rounds",
        partial(_errors, scaled=lambda w, s: w),
        "The weights are scaled up, rounded and scaled down again: Q(w s) / s.",
    ),
    Misconception(
        "measures the error of the weights",
        partial(_errors, output=lambda x, d: d),
        "What counts is the output: x times the difference of the weights.",
    ),
    Misconception(
        "takes the largest input",
        partial(_errors, magnitude=lambda x: x.abs().amax(0).clamp(min=LEAST)),
        "AWQ takes the mean magnitude of a channel, not the largest: x.abs().mean(0).",
    ),
    Misconception(
        "takes the root of the mean square of the inputs",
        partial(_errors, magnitude=lambda x: x.square().mean(0).sqrt().clamp(min=LEAST)),
        "AWQ takes the mean magnitude of a channel: x.abs().mean(0).",
    ),
    Misconception(
        "takes the mean magnitude of all inputs",
        partial(_errors, magnitude=lambda x: x.abs().mean().expand(x.shape[1])),
        "Each channel has its own magnitude: x.abs().mean(0).",
    ),
    Misconception(
        "averages over the channels of each token",
        partial(_errors, magnitude=lambda x: x.abs().mean(1).clamp(min=LEAST)),
        "Asked for is one number for each channel, the mean over the tokens: x.abs().mean(0).",
    ),
    Misconception(
        "forgets the sign of the inputs",
        partial(_errors, magnitude=lambda x: x.mean(0).clamp(min=LEAST)),
        "Positive and negative inputs must not cancel: abs() before the mean.",
    ),
    Misconception(
        "takes the magnitude of the mean",
        partial(_errors, magnitude=lambda x: x.mean(0).abs().clamp(min=LEAST)),
        "Positive and negative inputs must not cancel: abs() before the mean.",
    ),
    Misconception(
        "does not bound the magnitude from below",
        partial(_errors, magnitude=lambda x: x.abs().mean(0)),
        "A channel that was always 0 would be divided by 0: clamp(min=1e-4).",
    ),
    Misconception(
        "bounds s instead of the mean",
        partial(
            _errors,
            magnitude=lambda x: x.abs().mean(0),
            power=lambda size, alpha: (size**alpha).clamp(min=LEAST),
        ),
        "1e-4 is the least mean magnitude, and s is that to the power alpha: clamp(min=1e-4) "
        "first.",
    ),
    Misconception(
        "does not scale a channel that was always 0",
        partial(
            _errors,
            magnitude=lambda x: torch.where(x.abs().mean(0) < LEAST, 1.0, x.abs().mean(0)),
        ),
        "A mean below 1e-4 counts as 1e-4, not as 1: clamp(min=1e-4).",
    ),
    Misconception(
        "leaves the exponent out",
        partial(_errors, power=lambda size, alpha: size),
        "Each alpha has its own s: the magnitude ** alpha.",
    ),
    Misconception(
        "multiplies by alpha",
        partial(_errors, power=lambda size, alpha: size * alpha + (alpha == 0)),
        "alpha is an exponent: the magnitude ** alpha.",
    ),
    Misconception(
        "has 1 - alpha for the exponent",
        partial(_errors, power=lambda size, alpha: size ** (1 - alpha)),
        "At alpha = 0 nothing is scaled: the magnitude ** alpha.",
    ),
    Misconception(
        "scales what was scaled for the alpha before",
        partial(_piled_up, keeps="w"),
        "Each alpha begins with w as it was given: as it is, the factors of all alphas pile "
        "up. w * s makes a new tensor, w *= s and mul_ do not.",
    ),
    Misconception(
        "rounds what was rounded for the alpha before",
        partial(_piled_up, keeps="rounded"),
        "Each alpha begins with w as it was given, not with what was rounded for the last one.",
    ),
    Misconception(
        "adds up the squared errors",
        partial(_errors, mean=lambda d: d.square().sum()),
        "The mean over tokens and outputs.",
    ),
    Misconception(
        "takes the root of the error",
        partial(_errors, mean=lambda d: d.square().mean().sqrt()),
        "The mean of the squares, without the root.",
    ),
    Misconception(
        "takes the length of the error",
        partial(_errors, mean=torch.linalg.norm),
        "The mean of the squares: norm is the root of their sum.",
    ),
    Misconception(
        "takes the mean of the magnitudes of the error",
        partial(_errors, mean=lambda d: d.abs().mean()),
        "The mean of the squares.",
    ),
    Misconception(
        "adds up over the outputs and averages over the tokens",
        partial(_errors, mean=lambda d: d.square().sum(1).mean()),
        "The mean over tokens and outputs: .square().mean().",
    ),
    Misconception(
        "divides by the mean square of the output",
        partial(_errors, given=lambda errors, exact: errors / exact.square().mean()),
        "Asked is the mean squared difference itself, not its share of the output.",
    ),
    Misconception(
        "returns the best exponent",
        _best,
        "Asked are the errors, one for each exponent: torch.stack(errors).",
    ),
    Misconception(
        "does not round",
        lambda w, x, alphas, bits, size: torch.zeros(len(alphas)),
        "Scaling up and down again changes nothing. The rounding stands between the two.",
    ),
    Misconception(
        "uses 2^(b-1) steps",
        partial(_errors, rounded=_with_steps(lambda bits: 2 ** (bits - 1))),
        "The largest magnitude of a group gets the code 2^(b-1) - 1, as in 7.6.",
    ),
    Misconception(
        "uses 2^b - 1 steps on one side",
        partial(_errors, rounded=_with_steps(lambda bits: 2**bits - 1)),
        "The largest magnitude of a group gets the code 2^(b-1) - 1, as in 7.6.",
    ),
    Misconception(
        "has one scale a row",
        partial(_errors, rounded=lambda w, bits, size: _round(w, bits, w.shape[1])),
        "Each group of group_size neighbours has a scale of its own, as in 7.6.",
    ),
    Misconception(
        "lays the scales out in another order",
        partial(_errors, rounded=_repeated),
        "The scale of a group stands beside all of its weights in a row: "
        "repeat_interleave(group_size, 1). repeat puts all scales of a row side by side, again "
        "and again.",
    ),
    Misconception(
        "takes codes for weights",
        partial(_errors, rounded=lambda *given: quantize_groups(*given)[0].float()),
        "What comes back are codes times their scales: "
        "codes * scale.repeat_interleave(group_size, 1).",
    ),
)
