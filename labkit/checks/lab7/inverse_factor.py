"""Exercise 7.9: damping, and the factor that holds all inverses."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, randn
from labkit.checks.lab7.drawing import real_piece
from labkit.checks.rules import Rule


def inverse_factor(hessian: Tensor) -> Tensor:
    """Return U, upper triangular: U^T U is the inverse of the damped Hessian.

    Computed in float64, returned in float32.
    """
    return _factor(_damped(hessian, 0.01 * hessian.double().diagonal().mean()))


def _damped(hessian: Tensor, by: Tensor | float) -> Tensor:
    return hessian.double() + by * torch.eye(len(hessian), dtype=torch.float64)


def _factor(h: Tensor) -> Tensor:
    return torch.linalg.cholesky(torch.linalg.inv(h.double()), upper=True).float()


def _cases(rng: torch.Generator) -> list[Case]:
    def seen(tokens: int, width: int) -> Tensor:
        x = randn(rng, tokens, width) @ (torch.eye(width) + 0.4)
        return x.T @ x / tokens

    def dead(width: int) -> Tensor:
        h, channel = seen(20, width), one(rng, 0, width - 1)
        h[channel] = h[:, channel] = 0
        return h

    x, _ = real_piece(rng, "q", 12, 6)
    return [
        Case("one channel", (seen(5, 1),)),
        Case("two channels", (seen(8, 2),)),
        Case("a layer", (seen(40, 7),)),
        Case("large inputs", (1e4 * seen(40, 5),)),
        Case("fewer tokens than channels", (seen(3, 6),)),
        Case("a dead channel", (dead(5),)),
        Case("a real layer", (x.T @ x / len(x),)),
    ]


def _by(damping: Callable[[Tensor], Tensor | float]) -> Callable[[Tensor], Tensor]:
    return lambda hessian: _factor(_damped(hessian, damping(hessian.double())))


def _mean(h: Tensor) -> Tensor:
    return 0.01 * h.double().diagonal().mean()


def _inverse(hessian: Tensor) -> Tensor:
    return torch.linalg.inv(_damped(hessian, _mean(hessian)))


INVERSE_FACTOR = Exercise(
    id="7.9",
    title="Damping and the factor",
    points=2,
    reference=inverse_factor,
    cases=_cases,
    rules=(Rule(relative=5e-3, absolute=1e-4),),
    hints=(
        "Three steps: make the matrix safe to invert, invert it, take the root of the inverse.",
        "damped = hessian + 0.01 * hessian.diagonal().mean() * torch.eye(n); torch.linalg.inv; "
        "then torch.linalg.cholesky(..., upper=True). In float64: .double().",
        "h = hessian.double(); h = h + 0.01 * h.diagonal().mean() * torch.eye(len(h)); return "
        "torch.linalg.cholesky(torch.linalg.inv(h), upper=True).",
    ),
    misconceptions=(
        Misconception(
            "returns the lower factor",
            lambda h: inverse_factor(h).T,
            "U is upper triangular: row i holds what column i does to those after it. "
            "cholesky(..., upper=True).",
        ),
        Misconception(
            "factors the Hessian instead of its inverse",
            lambda h: torch.linalg.cholesky(_damped(h, _mean(h)), upper=True),
            "The corrections come from the inverse: invert first, then take the Cholesky factor.",
        ),
        Misconception(
            "inverts the factor of the Hessian",
            lambda h: torch.linalg.inv(torch.linalg.cholesky(_damped(h, _mean(h)))),
            "The inverse of the lower factor is lower triangular, and its product is the right "
            "one, but in the other order. Invert H first, and take the *upper* factor of that.",
        ),
        Misconception(
            "returns the inverse itself",
            _inverse,
            "The dense inverse knows nothing of columns that are fixed already. Its Cholesky "
            "factor does.",
        ),
        Misconception(
            "damps by a constant",
            _by(lambda h: 0.01),
            "1 percent of the mean of the diagonal: inputs may be of any size.",
        ),
        Misconception(
            "damps by a share of the largest",
            _by(lambda h: 0.01 * h.diagonal().max()),
            "The mean of the diagonal, not its largest entry, which is that of the outlier.",
        ),
        Misconception(
            "damps by a share of the mean of all entries",
            _by(lambda h: 0.01 * h.mean()),
            "The mean of the diagonal, not of the whole matrix.",
        ),
        Misconception(
            "damps by a share of the sum",
            _by(lambda h: 0.01 * h.diagonal().sum()),
            "The mean of the diagonal, not its sum: wide layers would be damped far more.",
        ),
        Misconception(
            "damps each channel by its own size",
            lambda h: _factor(_damped(h, 1e-7) + 0.01 * h.double().diagonal().diag()),
            "A dead channel would stay at 0. All get the same: 1 percent of the mean.",
        ),
        Misconception(
            "damps by the mean itself",
            _by(lambda h: h.diagonal().mean()),
            "1 percent of it: with more, the corrections are hardly left.",
        ),
        Misconception(
            "inverts the upper factor of the Hessian",
            lambda h: torch.linalg.inv(torch.linalg.cholesky(_damped(h, _mean(h)), upper=True)),
            "It is upper triangular, but its product with its transpose is the inverse in the "
            "other order: U U^T. Invert H first, then take the upper factor.",
        ),
        Misconception(
            "does not damp",
            _by(lambda h: 0.0),
            "Without damping a dead channel or a short text leaves H without an inverse: add 1 "
            "percent of the mean of the diagonal to the diagonal.",
        ),
        Misconception(
            "adds the damping to every entry",
            lambda h: _factor(h.double() + _mean(h)),
            "The damping stands on the diagonal only: times torch.eye(n).",
        ),
        Misconception(
            "damps the inverse",
            lambda h: _factor(
                torch.linalg.inv(torch.linalg.pinv(h.double()) + _damped(0 * h, _mean(h)))
            ),
            "The damping makes H safe to invert, so it comes first.",
        ),
    ),
    minutes=(6, 10),
    extra=True,
)
