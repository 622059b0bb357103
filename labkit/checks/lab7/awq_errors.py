"""Exercise 7.7: the one number that AWQ looks for."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise
from labkit.checks.inputs import one, randn
from labkit.checks.lab7.awq_errors_slips import LEAST, MISCONCEPTIONS
from labkit.checks.lab7.drawing import clear, outlying, real_piece
from labkit.checks.lab7.quantize_groups import quantize_groups
from labkit.checks.rules import Rule


def awq_errors(w: Tensor, x: Tensor, alphas: list[float], bits: int, group_size: int) -> Tensor:
    """Return the mean squared error of the output for each exponent.

    The bound of 1e-4 is put on the mean magnitude of a channel, before the exponent.
    """
    errors = []
    for alpha in alphas:
        s = _magnitude(x) ** alpha
        codes, scale, _ = quantize_groups(w * s, bits, group_size)
        rounded = codes * scale.repeat_interleave(group_size, dim=1) / s
        errors.append((x @ (rounded - w).T).square().mean())
    return torch.stack(errors)


def _magnitude(x: Tensor) -> Tensor:
    return x.abs().mean(0).clamp(min=LEAST)


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
    misconceptions=MISCONCEPTIONS,
    minutes=(8, 13),
    extra=True,
)
