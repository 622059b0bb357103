"""Exercise 7.8: the optimal correction of one weight."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import neat, one, randn
from labkit.checks.lab7.drawing import real_piece
from labkit.checks.rules import Rule


def correct(w: Tensor, hessian: Tensor, i: int, rounded: float) -> Tensor:
    """Return the weights of a row after w[i] was set to `rounded`: the others make up for it."""
    inverse = torch.linalg.inv(hessian.double())
    return (w - (w[i] - rounded) / inverse[i, i] * inverse[i]).float()


def _cases(rng: torch.Generator) -> list[Case]:
    def row(n: int, tokens: int) -> tuple:
        x, w = randn(rng, tokens, n) @ (torch.eye(n) + 0.6), randn(rng, n)
        i = one(rng, 0, n - 1)
        return w, x.T @ x / tokens, i, float(w[i].round())

    def real() -> tuple:
        x, w = real_piece(rng, "q", 24, 5)
        h = x.T @ x / len(x)
        return w[0], h + 0.1 * h.diagonal().mean() * torch.eye(5), 2, round(float(w[0, 2]), 1)

    two = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    return [
        Case("two weights, to work out by hand", (neat(rng, 2), two, 0, 0.0)),
        Case("the second of two", (neat(rng, 2), two, 1, 1.0)),
        Case("three weights", row(3, 12)),
        Case("a row", row(8, 40)),
        Case("independent inputs", (neat(rng, 3), torch.tensor([1.0, 4.0, 9.0]).diag(), 1, 0.5)),
        Case("one weight", (neat(rng, 1), torch.tensor([[3.0]]), 0, 1.0)),
        Case("a real layer", real()),
    ]


def _by(change: Callable[[Tensor, Tensor, int], Tensor]) -> Callable[..., Tensor]:
    """Subtract the error times `change`, made of the Hessian and its inverse."""
    return lambda w, h, i, rounded: w - (w[i] - rounded) * change(h, torch.linalg.inv(h), i)


def _unit(h: Tensor, inverse: Tensor, i: int) -> Tensor:
    return torch.eye(len(h))[i]


def _others_kept(w: Tensor, hessian: Tensor, i: int, rounded: float) -> Tensor:
    result = correct(w, hessian, i, rounded)
    result[i] = w[i]
    return result


def _later(h: Tensor, inverse: Tensor, i: int) -> Tensor:
    row = inverse[i] / inverse[i, i]
    return torch.where(torch.arange(len(h)) >= i, row, 0.0)


CORRECT = Exercise(
    id="7.8",
    title="The optimal correction",
    points=2,
    reference=correct,
    cases=_cases,
    rules=(Rule(relative=1e-3, absolute=1e-4),),
    hints=(
        "All other weights may move now. Where the inputs of two channels go up and down together, "
        "one weight can do what the other one no longer does.",
        "inverse = torch.linalg.inv(hessian). Row i of it says how the others move; over its own "
        "place (i, i), so that w[i] itself lands on `rounded`.",
        "return w - (w[i] - rounded) / inverse[i, i] * inverse[i].",
    ),
    misconceptions=(
        Misconception(
            "rounds and corrects nothing",
            _by(_unit),
            "The other weights are still what they were. Equation (8) moves all of them.",
        ),
        Misconception(
            "takes the Hessian for its inverse",
            _by(lambda h, inverse, i: h[i] / h[i, i]),
            "The row of the *inverse*: torch.linalg.inv(hessian). The Hessian itself pushes the "
            "others the wrong way.",
        ),
        Misconception(
            "moves the others the wrong way",
            _by(lambda h, inverse, i: 2 * _unit(h, inverse, i) - inverse[i] / inverse[i, i]),
            "All weights, w[i] among them, change by minus the error times row i: one sign for "
            "all.",
        ),
        Misconception(
            "does not divide by the diagonal",
            _by(lambda h, inverse, i: inverse[i]),
            "Divide by inverse[i, i]: otherwise w[i] does not land on the rounded value.",
        ),
        Misconception(
            "divides by the root of the diagonal",
            _by(lambda h, inverse, i: inverse[i] / inverse[i, i].sqrt()),
            "With the full inverse, divide by inverse[i, i] itself. The root comes with the "
            "Cholesky factor, in 7.10.",
        ),
        Misconception(
            "divides by the Hessian's diagonal",
            _by(lambda h, inverse, i: inverse[i] / h[i, i]),
            "Row and diagonal belong to the same matrix, the inverse.",
        ),
        Misconception(
            "leaves the rounded weight as it was",
            _others_kept,
            "w[i] becomes the rounded value; that is the error that the others make up for.",
        ),
        Misconception(
            "lets each of the others make up for all of it",
            _by(lambda h, inverse, i: 2 * _unit(h, inverse, i) - h[i] / h.diagonal()),
            "That is right for two weights. With more of them they help one another, which the "
            "inverse takes into account.",
        ),
        Misconception(
            "moves only the weights that come later",
            _by(_later),
            "Here all others are free to move, those before as well. (In 7.10 the earlier ones are "
            "fixed.)",
        ),
        Misconception(
            "inverts each entry",
            _by(lambda h, inverse, i: h[i, i] / h[i]),
            "The inverse of a matrix is not that of its entries: torch.linalg.inv(hessian).",
        ),
    ),
    minutes=(7, 12),
    extra=True,
)
