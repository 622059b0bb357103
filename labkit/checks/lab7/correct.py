"""Exercise 7.8: the optimal correction of one weight."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import neat, one, randn
from labkit.checks.lab7.drawing import real_piece
from labkit.checks.rules import Rule


def correct(w: Tensor, hessian: Tensor, i: int, rounded: float) -> Tensor:
    """Return the weights of a row after w[i] was set to `rounded`: the others make up for it."""
    return _moved(w, hessian, i, rounded)


def _over(inverse: Tensor, h: Tensor, i: int) -> Tensor:
    return inverse[i, i]


def _moved(
    w: Tensor,
    hessian: Tensor,
    i: int,
    rounded: float,
    *,
    matrix: Callable[[Tensor], Tensor] = torch.linalg.inv,
    over: Callable[[Tensor, Tensor, int], Tensor] = _over,
    row: Callable[[Tensor, int], Tensor] = lambda inverse, i: inverse[i],
    left: Callable[[Tensor], Tensor] = lambda error: error,
    sign: int = -1,
    own: Callable[[Tensor, Tensor, float], Tensor] = lambda now, before, rounded: now,
    moves: Callable[[Tensor, int], Tensor] = lambda places, i: places >= 0,
) -> Tensor:
    h = hessian.double()
    inverse = matrix(h)
    steps = left(w[i] - rounded) / over(inverse, h, i) * row(inverse, i)
    result = w + sign * torch.where(moves(torch.arange(len(w)), i), steps, 0.0)
    result[i] = own(result[i], w[i], rounded)
    return result.float()


def _cases(rng: torch.Generator) -> list[Case]:
    def row(n: int, tokens: int) -> tuple:
        x, w = randn(rng, tokens, n) @ (torch.eye(n) + 0.6), randn(rng, n)
        i = one(rng, 0, n - 1)
        return w, x.T @ x / tokens, i, float(w[i].round())

    def real() -> tuple:
        x, w = real_piece(rng, "q", 24, 5)
        h = x.T @ x / len(x)
        return w[0], h + 0.1 * h.diagonal().mean() * torch.eye(5), 2, round(float(w[0, 2]), 1)

    # Diagonals that differ: with equal ones a row of the Hessian is that of its inverse, but for
    # signs.
    two = torch.tensor([[2.0, 1.0], [1.0, 4.0]])
    return [
        Case("two weights, to work out by hand", (neat(rng, 2), two, 0, 0.0)),
        Case("the second of two", (neat(rng, 2), two, 1, 1.0)),
        Case("three weights", row(3, 12)),
        Case("a row", row(8, 40)),
        Case("independent inputs", (neat(rng, 3), torch.tensor([1.0, 4.0, 9.0]).diag(), 1, 0.5)),
        Case("one weight", (neat(rng, 1), torch.tensor([[3.0]]), 0, 1.0)),
        Case("a real layer", real()),
    ]


def _set(now: Tensor, before: Tensor, rounded: float) -> Tensor:
    return torch.as_tensor(rounded, dtype=now.dtype)


def _each_by_itself(w: Tensor, hessian: Tensor, i: int, rounded: float) -> Tensor:
    result = w - (w[i] - rounded) * -hessian[i] / hessian.diagonal()
    result[i] = rounded
    return result


def _damped(h: Tensor, by: float = 0.01) -> Tensor:
    return torch.linalg.inv(h + by * h.diagonal().mean() * torch.eye(len(h)).double())


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
            partial(_moved, moves=lambda places, i: places == i),
            "The other weights are still what they were. Equation (8) moves all of them: by the "
            "error that w[i] makes, which is 0 if w[i] was set to `rounded` before it is taken.",
        ),
        Misconception(
            "takes the Hessian for its inverse",
            partial(_moved, matrix=torch.clone),
            "The row of the *inverse*: torch.linalg.inv(hessian). The Hessian itself pushes the "
            "others the wrong way.",
        ),
        Misconception(
            "damps the Hessian first",
            partial(_moved, matrix=_damped),
            "Damping belongs to 7.9, where a whole layer is inverted. Equation (8) takes the "
            "inverse of the Hessian as it is.",
        ),
        Misconception(
            "moves the others the wrong way",
            partial(_moved, sign=1, own=_set),
            "All weights, w[i] among them, change by minus the error times row i: one sign for "
            "all.",
        ),
        Misconception(
            "has the sign of the correction the wrong way round",
            partial(_moved, sign=1),
            "All weights change by *minus* the error, w[i] - rounded, times row i: then w[i] lands "
            "on the rounded value.",
        ),
        Misconception(
            "does not divide by the diagonal",
            partial(_moved, over=lambda inverse, h, i: torch.ones(())),
            "Divide by inverse[i, i]: otherwise w[i] does not land on the rounded value.",
        ),
        Misconception(
            "does not divide by the diagonal",
            partial(_moved, over=lambda inverse, h, i: torch.ones(()), own=_set),
            "Divide the error by inverse[i, i], for the others as well.",
        ),
        Misconception(
            "divides by the root of the diagonal",
            partial(_moved, over=lambda inverse, h, i: inverse[i, i].sqrt()),
            "With the full inverse, divide by inverse[i, i] itself. The root comes with the "
            "Cholesky factor, in 7.10.",
        ),
        Misconception(
            "divides by the root of the diagonal",
            partial(_moved, over=lambda inverse, h, i: inverse[i, i].sqrt(), own=_set),
            "With the full inverse, divide by inverse[i, i] itself. The root comes with the "
            "Cholesky factor, in 7.10.",
        ),
        Misconception(
            "divides by the Hessian's diagonal",
            partial(_moved, over=lambda inverse, h, i: h[i, i]),
            "Row and diagonal belong to the same matrix, the inverse.",
        ),
        Misconception(
            "divides by the Hessian's diagonal",
            partial(_moved, over=lambda inverse, h, i: h[i, i], own=_set),
            "Row and diagonal belong to the same matrix, the inverse.",
        ),
        Misconception(
            "divides by the sum of the row",
            partial(_moved, over=lambda inverse, h, i: inverse[i].sum()),
            "Divide by inverse[i, i], the place of the weight itself: then w[i] lands on the "
            "rounded value.",
        ),
        Misconception(
            "multiplies by the diagonal",
            partial(_moved, over=lambda inverse, h, i: 1 / inverse[i, i]),
            "Divide by inverse[i, i]: w[i] itself lands on the rounded value then.",
        ),
        Misconception(
            "divides each place by its own diagonal",
            partial(_moved, over=lambda inverse, h, i: inverse.diagonal()),
            "One number divides the whole row: inverse[i, i].",
        ),
        Misconception(
            "moves all weights by the same",
            partial(_moved, row=lambda inverse, i: inverse[i, i].expand(len(inverse))),
            "Each weight moves by its own place of row i: inverse[i].",
        ),
        Misconception(
            "squares the error",
            partial(_moved, left=torch.square),
            "Equation (8) has the error itself, w[i] - rounded, with its sign.",
        ),
        Misconception(
            "takes the magnitude of the error",
            partial(_moved, left=torch.abs),
            "Equation (8) has the error itself, w[i] - rounded, with its sign.",
        ),
        Misconception(
            "leaves the rounded weight as it was",
            partial(_moved, own=lambda now, before, rounded: before),
            "w[i] becomes the rounded value; that is the error that the others make up for.",
        ),
        Misconception(
            "lets each of the others make up for all of it",
            _each_by_itself,
            "That is right for two weights. With more of them they help one another, which the "
            "inverse takes into account.",
        ),
        Misconception(
            "moves only the weights that come later",
            partial(_moved, moves=lambda places, i: places >= i),
            "Here all others are free to move, those before as well. (In 7.10 the earlier ones are "
            "fixed.)",
        ),
        Misconception(
            "inverts each entry",
            partial(_moved, matrix=lambda h: 1 / h),
            "The inverse of a matrix is not that of its entries: torch.linalg.inv(hessian).",
        ),
        Misconception(
            "takes the factor of the inverse for the inverse",
            partial(
                _moved,
                matrix=lambda h: torch.linalg.cholesky(torch.linalg.inv(h), upper=True),
            ),
            "That is the factor of 7.9, whose rows know nothing of earlier weights. Here it is the "
            "whole inverse: torch.linalg.inv(hessian).",
        ),
        Misconception(
            "rounds all other weights, too",
            lambda w, hessian, i, rounded: correct(w, hessian, i, rounded).round(),
            "Only w[i] is rounded here: the others make up for it, and stay real.",
        ),
        Misconception(
            "returns the change instead of the weights",
            lambda w, hessian, i, rounded: correct(w, hessian, i, rounded) - w,
            "Asked for is the whole row after the correction: w minus that.",
        ),
    ),
    minutes=(7, 12),
    extra=True,
)
