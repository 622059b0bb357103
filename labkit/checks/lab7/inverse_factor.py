"""Exercise 7.9: damping, and the factor that holds all inverses."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, randn
from labkit.checks.lab7.drawing import real_piece
from labkit.checks.rules import Rule


def inverse_factor(hessian: Tensor) -> Tensor:
    """Return U, upper triangular: U^T U is the inverse of the damped Hessian.

    Computed in float64, returned in float32. `hessian` may be either.
    """
    return _factored(hessian)


def _upper(matrix: Tensor) -> Tensor:
    return torch.linalg.cholesky(matrix, upper=True)


def _factored(
    hessian: Tensor,
    *,
    seen: Callable[[Tensor], Tensor] = lambda h: h,
    share: float = 0.01,
    size: Callable[[Tensor], Tensor] = lambda h: h.diagonal().mean(),
    places: Callable[[Tensor], Tensor] = lambda h: torch.eye(len(h), dtype=torch.float64),
    inverted: Callable[[Tensor], Tensor] = torch.linalg.inv,
    root: Callable[[Tensor], Tensor] = _upper,
) -> Tensor:
    h = seen(hessian.double())
    return root(inverted(h + share * size(h) * places(h))).float()


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
        Case("a layer, in float64", (seen(40, 7).double(),)),
        Case("large inputs", (1e4 * seen(40, 5),)),
        Case("fewer tokens than channels", (seen(3, 6),)),
        Case("a dead channel", (dead(5),)),
        Case("a real layer", (x.T @ x / len(x),)),
    ]


def _revived(h: Tensor) -> Tensor:
    """Return `h` with 1 on the diagonal where it was 0."""
    return h + (h.diagonal() == 0).double().diag()


def _with_ones(u: Tensor) -> Tensor:
    return u / u.diagonal()[:, None]


def _symmetric(inverse: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(inverse)
    return vectors * values.sqrt() @ vectors.T


def _damped_inverse(h: Tensor) -> Tensor:
    """Return the inverse with the damping added to it."""
    inverse = torch.linalg.pinv(h)
    return inverse + 0.01 * inverse.diagonal().mean() * torch.eye(len(h), dtype=torch.float64)


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
            partial(_factored, root=torch.linalg.cholesky),
            "U is upper triangular: row i holds what column i does to those after it. "
            "cholesky(..., upper=True).",
        ),
        Misconception(
            "factors the Hessian instead of its inverse",
            partial(_factored, inverted=torch.clone),
            "The corrections come from the inverse: invert first, then take the Cholesky factor.",
        ),
        Misconception(
            "inverts the factor of the Hessian",
            partial(_factored, inverted=torch.linalg.cholesky, root=torch.linalg.inv),
            "The inverse of the lower factor is lower triangular, and its product is the right "
            "one, but in the other order. Invert H first, and take the *upper* factor of that.",
        ),
        Misconception(
            "returns the inverse itself",
            partial(_factored, root=torch.clone),
            "The dense inverse knows nothing of columns that are fixed already. Its Cholesky "
            "factor does.",
        ),
        Misconception(
            "takes the upper half of the inverse",
            partial(_factored, root=torch.triu),
            "The factor is no half of the matrix: U^T U is the inverse. "
            "torch.linalg.cholesky(..., upper=True).",
        ),
        Misconception(
            "divides each row of the factor by its diagonal",
            partial(_factored, root=lambda inverse: _with_ones(_upper(inverse))),
            "U is the Cholesky factor itself: the loop of 7.10 divides by u[i, i].",
        ),
        Misconception(
            "takes the symmetric root",
            partial(_factored, root=_symmetric),
            "That root is no triangle: its rows know all columns. torch.linalg.cholesky(..., "
            "upper=True).",
        ),
        Misconception(
            "takes the root of each entry",
            partial(_factored, root=lambda inverse: inverse.abs().sqrt().triu()),
            "The root of a matrix is not that of its entries: torch.linalg.cholesky(..., "
            "upper=True).",
        ),
        Misconception(
            "damps by a constant",
            partial(_factored, size=lambda h: torch.ones(())),
            "1 percent of the mean of the diagonal: inputs may be of any size.",
        ),
        Misconception(
            "damps by a share of the largest",
            partial(_factored, size=lambda h: h.diagonal().max()),
            "The mean of the diagonal, not its largest entry, which is that of the outlier.",
        ),
        Misconception(
            "damps by a share of the mean of all entries",
            partial(_factored, size=torch.mean),
            "The mean of the diagonal, not of the whole matrix.",
        ),
        Misconception(
            "damps by a share of the sum",
            partial(_factored, size=torch.trace),
            "The mean of the diagonal, not its sum: wide layers would be damped far more.",
        ),
        Misconception(
            "damps each channel by its own size",
            partial(
                _factored,
                size=lambda h: torch.ones(()),
                places=lambda h: (h.diagonal() + 1e-5).diag(),
            ),
            "A dead channel would stay at 0. All get the same: 1 percent of the mean.",
        ),
        Misconception(
            "damps each channel by its own size",
            partial(
                _factored,
                size=lambda h: torch.ones(()),
                places=lambda h: h.diagonal().diag(),
            ),
            "A dead channel would stay at 0. All get the same: 1 percent of the mean.",
        ),
        Misconception(
            "puts 1 on the diagonal of dead channels first",
            partial(_factored, seen=_revived),
            "Some programs do. In (9) the damping alone makes H safe to invert: with a 1 there, "
            "the mean of the diagonal, and all of the damping, is another one.",
        ),
        Misconception(
            "damps by the mean of the channels that are not dead",
            partial(_factored, size=lambda h: h.diagonal()[h.diagonal() > 0].mean()),
            "The mean of the whole diagonal, zeros included.",
        ),
        Misconception(
            "damps by the root of the mean square",
            partial(_factored, size=lambda h: h.diagonal().square().mean().sqrt()),
            "The mean of the diagonal itself, which is never negative.",
        ),
        Misconception(
            "damps twice",
            partial(_factored, share=0.02),
            "1 percent of the mean of the diagonal, once.",
        ),
        Misconception(
            "damps by the mean itself",
            partial(_factored, share=1.0),
            "1 percent of it: with more, the corrections are hardly left.",
        ),
        Misconception(
            "damps by 10 percent",
            partial(_factored, share=0.1),
            "1 percent of the mean of the diagonal: 0.01.",
        ),
        Misconception(
            "damps by 0.1 percent",
            partial(_factored, share=0.001),
            "1 percent of the mean of the diagonal: 0.01.",
        ),
        Misconception(
            "subtracts the damping",
            partial(_factored, share=-0.01),
            "Damping makes the diagonal larger: add it.",
        ),
        Misconception(
            "inverts the upper factor of the Hessian",
            partial(_factored, inverted=_upper, root=torch.linalg.inv),
            "It is upper triangular, but its product with its transpose is the inverse in the "
            "other order: U U^T. Invert H first, then take the upper factor.",
        ),
        Misconception(
            "does not damp",
            partial(_factored, share=0.0),
            "Without damping a dead channel or a short text leaves H without an inverse: add 1 "
            "percent of the mean of the diagonal to the diagonal.",
        ),
        Misconception(
            "damps dead channels alone",
            partial(_factored, places=lambda h: (h.diagonal() == 0).double().diag()),
            "All channels get the damping, or corrections grow without bounds where channels are "
            "nearly dependent: times torch.eye(n).",
        ),
        Misconception(
            "adds the damping to every entry",
            partial(_factored, places=torch.ones_like),
            "The damping stands on the diagonal only: times torch.eye(n).",
        ),
        Misconception(
            "damps the inverse",
            partial(_factored, share=0.0, inverted=_damped_inverse),
            "The damping makes H safe to invert, so it comes first.",
        ),
        Misconception(
            "damps the inverse",
            lambda h: _upper(
                torch.linalg.pinv(h.double())
                + 0.01 * h.double().diagonal().mean() * torch.eye(len(h))
            ),
            "The damping makes H safe to invert, so it comes first.",
        ),
    ),
    minutes=(6, 10),
    extra=True,
)
