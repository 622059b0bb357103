"""Exercise 7.7: the one number that AWQ looks for."""

from collections.abc import Callable

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
    return _errors(w, x, alphas, bits, group_size, _magnitude(x))


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
    magnitude: Tensor,
    back: Callable[[Tensor, Tensor], Tensor] = lambda w, s: w / s,
    error: Callable[[Tensor, Tensor], Tensor] = lambda x, d: (x @ d.T).square().mean(),
) -> Tensor:
    scales = [magnitude**alpha for alpha in alphas]
    return torch.stack([error(x, back(_round(w * s, bits, group_size), s) - w) for s in scales])


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
        ("a search", lambda: layer(3, 8, 6, [0.0, 0.25, 0.5, 0.75, 1.0], 3, 4)),
        ("as many outputs as channels", lambda: layer(6, 6, 6, [0.0, 0.6], 4, 3)),
        ("a channel that was always 0", dead),
        ("negative inputs", negative),
        ("a real layer", real),
    ]
    return [Case(label, clear(draw, _reals)) for label, draw in drawn]


def _with(**parts) -> Callable[..., Tensor]:
    return lambda w, x, alphas, bits, size: _errors(
        w, x, alphas, bits, size, _magnitude(x), **parts
    )


def _by(magnitude: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda w, x, alphas, bits, size: _errors(w, x, alphas, bits, size, magnitude(x))


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
            _with(back=lambda w, s: w),
            "The input is divided by s, or, which is the same, the rounded weights are: Q(w s) / "
            "s.",
        ),
        Misconception(
            "scales weights down where inputs are large",
            _by(lambda x: 1 / _magnitude(x)),
            "The weights that meet large inputs are made *larger* before rounding: w * s.",
        ),
        Misconception(
            "measures the error of the weights",
            _with(error=lambda x, d: d.square().mean()),
            "What counts is the output: x times the difference of the weights.",
        ),
        Misconception(
            "takes the largest input",
            _by(lambda x: x.abs().amax(0).clamp(min=LEAST)),
            "AWQ takes the mean magnitude of a channel, not the largest: x.abs().mean(0).",
        ),
        Misconception(
            "forgets the sign of the inputs",
            _by(lambda x: x.mean(0).clamp(min=LEAST)),
            "Positive and negative inputs must not cancel: abs() before the mean.",
        ),
        Misconception(
            "does not bound the magnitude from below",
            _by(lambda x: x.abs().mean(0)),
            "A channel that was always 0 would be divided by 0: clamp(min=1e-4).",
        ),
        Misconception(
            "bounds s instead of the mean",
            lambda w, x, alphas, bits, size: torch.cat(
                [
                    _errors(w, x, [1.0], bits, size, (x.abs().mean(0) ** a).clamp(min=LEAST))
                    for a in alphas
                ]
            ),
            "1e-4 is the least mean magnitude, and s is that to the power alpha: clamp(min=1e-4) "
            "first.",
        ),
        Misconception(
            "does not scale a channel that was always 0",
            _by(lambda x: torch.where(x.abs().mean(0) < LEAST, 1.0, x.abs().mean(0))),
            "A mean below 1e-4 counts as 1e-4, not as 1: clamp(min=1e-4).",
        ),
        Misconception(
            "adds up the squared errors",
            _with(error=lambda x, d: (x @ d.T).square().sum()),
            "The mean over tokens and outputs.",
        ),
        Misconception(
            "takes the root of the error",
            _with(error=lambda x, d: (x @ d.T).square().mean().sqrt()),
            "The mean of the squares, without the root.",
        ),
        Misconception(
            "does not round",
            lambda w, x, alphas, bits, size: torch.zeros(len(alphas)),
            "Scaling up and down again changes nothing. The rounding stands between the two.",
        ),
        Misconception(
            "forgets the sign of the inputs",
            _by(lambda x: x.mean(0).abs().clamp(min=LEAST)),
            "Positive and negative inputs must not cancel: abs() before the mean.",
        ),
    ),
    minutes=(8, 13),
    extra=True,
)
