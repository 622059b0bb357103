"""Exercise 7.7: the one number that AWQ looks for."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, randn
from labkit.checks.lab7.drawing import clear, outlying, real_piece
from labkit.checks.lab7.quantize_groups import quantize_groups
from labkit.checks.rules import Rule

LEAST = 1e-4


def awq_errors(w: Tensor, x: Tensor, alphas: list[float], bits: int, group_size: int) -> Tensor:
    """Return the mean squared error of the output for each exponent.

    The bound of 1e-4 is put on the mean magnitude of a channel, before the exponent.
    """
    return _errors(w, x, alphas, bits, group_size)


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
    rounded: Callable[[Tensor, int, int], Tensor] = _round,
    scaled: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    back: Callable[[Tensor, Tensor], Tensor] = torch.div,
    output: Callable[[Tensor, Tensor], Tensor] = lambda x, d: x @ d.T,
    mean: Callable[[Tensor], Tensor] = lambda d: d.square().mean(),
) -> Tensor:
    errors = []
    for alpha in alphas:
        s = power(magnitude(x), alpha)
        errors.append(mean(output(x, back(rounded(scaled(w, s), bits, group_size), s) - w)))
    return torch.stack(errors)


def _reals(w: Tensor, x: Tensor, alphas: list[float], bits: int, group_size: int) -> Tensor:
    def steps(scaled: Tensor) -> Tensor:
        groups = scaled.double().unflatten(1, (-1, group_size))
        return groups / groups.abs().amax(2, keepdim=True) * (2 ** (bits - 1) - 1)

    return torch.stack([steps(w * _magnitude(x) ** alpha) for alpha in alphas])


def _cases(rng: torch.Generator) -> list[Case]:
    def layer(out: int, width: int, tokens: int, alphas: list[float], bits: int, size: int):
        return randn(rng, out, width), outlying(rng, tokens, width, 10.0), alphas, bits, size

    def dead() -> tuple:
        """Draw a channel of zeros, and one below the bound: each decides about a group's scale."""
        w, x, *rest = layer(2, 8, 5, [0.0, 0.5, 1.0], 4, 4)
        first = one(rng, 0, 3)
        x[:, first], x[:, first + 4] = 0, LEAST / 2
        w[:, first::4] = 400 + 200 * torch.rand(2, 2, generator=rng)
        return w, x, *rest

    def negative() -> tuple:
        w, x, *rest = layer(3, 4, 6, [0.0, 0.4], 4, 4)
        return w, -x.abs() - 0.1, *rest

    def real() -> tuple:
        x, w = real_piece(rng, "q", 6, 8)
        return w, x, [0.0, 0.5], 3, 8

    drawn = [
        ("no scaling", lambda: layer(2, 4, 3, [0.0], 4, 4)),
        ("two exponents", lambda: layer(2, 4, 5, [0.5, 1.0], 4, 2)),
        ("a search", lambda: layer(3, 8, 8, [0.0, 0.25, 0.5, 0.75, 1.0], 3, 4)),
        ("as many outputs as channels", lambda: layer(6, 6, 6, [0.0, 0.6], 4, 3)),
        ("a channel that was always 0", dead),
        ("negative inputs", negative),
        ("a real layer", real),
    ]
    return [Case(label, clear(draw, _reals)) for label, draw in drawn]


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


def _with_steps(top: Callable[[int], int]) -> Callable[[Tensor, int, int], Tensor]:
    def rounded(w: Tensor, bits: int, group_size: int) -> Tensor:
        groups = w.unflatten(1, (-1, group_size))
        scale = groups.abs().amax(2, keepdim=True) / top(bits)
        scale = torch.where(scale == 0, 1.0, scale)
        codes = torch.round(groups / scale).clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return (codes * scale).flatten(1)

    return rounded


AWQ_ERRORS = Exercise(
    id="7.7",
    title="The search of AWQ",
    points=3,
    reference=awq_errors,
    cases=_cases,
    rules=(Rule(relative=2e-3, absolute=1e-6),),
    hints=(
        "For one alpha: scale the columns of w up, round, scale them down again. How far is the "
        "output of these weights from that of w?",
        "s = x.abs().mean(0).clamp(min=1e-4) ** alpha. codes, scale, _ = quantize_groups(w * s, "
        "bits, group_size); what comes back is codes * scale.repeat_interleave(group_size, 1) / s.",
        "errors = []; for alpha in alphas: (as before) rounded = ... / s; errors.append(((rounded "
        "- w) @ x.T).square().mean()); return torch.stack(errors).",
    ),
    misconceptions=(
        Misconception(
            "does not scale back",
            partial(_errors, back=lambda w, s: w),
            "The input is divided by s, or, which is the same, the rounded weights are: Q(w s) / "
            "s.",
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
            "takes codes for weights",
            partial(_errors, rounded=lambda *given: quantize_groups(*given)[0].float()),
            "What comes back are codes times their scales: "
            "codes * scale.repeat_interleave(group_size, 1).",
        ),
    ),
    minutes=(8, 13),
    extra=True,
)
