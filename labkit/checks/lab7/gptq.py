"""Exercise 7.10: the column loop of GPTQ."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.lab7.drawing import clear, real_piece
from labkit.checks.lab7.inverse_factor import inverse_factor
from labkit.checks.rules import Codes


def gptq(w: Tensor, u: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Return codes: column after column is rounded, and those after it make up for the error.

    In float32, as the arguments. In the cases no number lies near a tie, so that a loop in float64
    finds the same codes.
    """
    return _loop(w, scale, bits, lambda i: u[i] / u[i, i])[0]


def _loop(
    w: Tensor,
    scale: Tensor,
    bits: int,
    row: Callable[[int], Tensor],
    end: bool = True,
    error_of: Callable[[Tensor, Tensor], Tensor] = lambda now, first: now,
) -> tuple[Tensor, Tensor]:
    """Return codes, and what was rounded to them."""
    w, first, qmax = w.clone(), w, 2 ** (bits - 1) - 1
    steps = torch.empty_like(w)
    for i in range(w.shape[1]):
        steps[:, i] = w[:, i] / scale[:, i]
        code = torch.round(steps[:, i])
        code = code.clamp(-qmax, qmax) if end else code
        error = error_of(w[:, i], first[:, i]) - code * scale[:, i]
        w[:, i + 1 :] -= error[:, None] * row(i)[i + 1 :]
    codes = torch.round(steps)
    return (codes.clamp(-qmax, qmax) if end else codes).to(torch.int64), steps


def _reals(w: Tensor, u: Tensor, scale: Tensor, bits: int) -> Tensor:
    return _loop(w, scale, bits, lambda i: u[i] / u[i, i])[1]


def _cases(rng: torch.Generator) -> list[Case]:
    def given(x: Tensor, w: Tensor, bits: int, group_size: int) -> tuple:
        u, qmax = inverse_factor(x.T @ x / len(x)), 2 ** (bits - 1) - 1
        scale = w.unflatten(1, (-1, group_size)).abs().amax(2) / qmax
        return w, u, scale.repeat_interleave(group_size, dim=1), bits

    def layer(out: int, width: int, bits: int, group_size: int, tokens: int = 30) -> tuple:
        x = randn(rng, tokens, width) @ (torch.eye(width) + 0.7)
        return given(x, randn(rng, out, width), bits, group_size)

    def real() -> tuple:
        x, w = real_piece(rng, "q", 40, 8)
        return given(x, w, 4, 8)

    def narrow() -> tuple:
        w, u, scale, bits = layer(4, 6, 4, 6)
        return w, u, 0.6 * scale, bits

    drawn = [
        ("two columns", lambda: layer(3, 2, 4, 2)),
        ("three columns", lambda: layer(4, 3, 4, 3)),
        ("a layer", lambda: layer(4, 8, 4, 4)),
        ("3 bits", lambda: layer(5, 9, 3, 3)),
        ("fewer tokens than columns", lambda: layer(3, 8, 4, 8, 4)),
        ("a grid that ends before the weights do", narrow),
        ("as many rows as columns", lambda: layer(6, 6, 4, 3)),
        ("a real layer", real),
    ]
    return [Case(label, clear(draw, _reals)) for label, draw in drawn]


def _with(row: Callable[[Tensor, int], Tensor], **options) -> Callable[..., Tensor]:
    return lambda w, u, scale, bits: _loop(w, scale, bits, lambda i: row(u, i), **options)[0]


def _right(u: Tensor, i: int) -> Tensor:
    return u[i] / u[i, i]


def _dense(u: Tensor, i: int) -> Tensor:
    inverse = u.T @ u
    return inverse[i] / inverse[i, i]


def _neighbour(u: Tensor, i: int) -> Tensor:
    row = _right(u, i).clone()
    row[i + 2 :] = 0
    return row


def _codes_as_values(w: Tensor, u: Tensor, scale: Tensor, bits: int) -> Tensor:
    w, qmax, codes = w.clone(), 2 ** (bits - 1) - 1, torch.empty_like(w)
    for i in range(w.shape[1]):
        codes[:, i] = torch.round(w[:, i] / scale[:, i]).clamp(-qmax, qmax)
        w[:, i + 1 :] -= (w[:, i] - codes[:, i])[:, None] * _right(u, i)[i + 1 :]
    return codes.long()


GPTQ = Exercise(
    id="7.10",
    title="The loop of GPTQ",
    points=3,
    reference=gptq,
    cases=_cases,
    rules=(Codes(),),
    hints=(
        "Plain rounding would be one line. Here you go from left to right, and after each column "
        "all columns to its right move a little before it is their turn.",
        "For column i: code = round(w[:, i] / scale[:, i]), clamped; error = (w[:, i] - code * "
        "scale[:, i]) / u[i, i]; every later column j loses error * u[i, j]. Work on w.clone().",
        "for i in range(w.shape[1]): codes[:, i] = torch.round(w[:, i] / scale[:, i]).clamp(-qmax, "
        "qmax); error = (w[:, i] - codes[:, i] * scale[:, i]) / u[i, i]; w[:, i + 1:] -= error[:, "
        "None] * u[i, i + 1:].",
    ),
    misconceptions=(
        Misconception(
            "rounds and corrects nothing",
            _with(lambda u, i: 0 * u[i]),
            "These are the codes of plain rounding. After each column, all later ones have to "
            "change before it is their turn, by row i of u: u[i, i + 1:]. (Below its diagonal u is "
            "0.)",
        ),
        Misconception(
            "uses one stale inverse for all columns",
            _with(_dense),
            "Row i of the dense inverse still counts on the columns that are fixed already. Row i "
            "of U belongs to the inverse without them.",
        ),
        Misconception(
            "does not divide by the diagonal",
            _with(lambda u, i: u[i]),
            "The error is divided by u[i, i] before it is spread.",
        ),
        Misconception(
            "divides by the square of the diagonal",
            _with(lambda u, i: u[i] / u[i, i] ** 2),
            "One division by u[i, i]: U is a root of the inverse, and its diagonal, too.",
        ),
        Misconception(
            "adds instead of subtracting",
            _with(lambda u, i: -u[i] / u[i, i]),
            "w[:, j] -= error * u[i, j]: the other sign makes the output's error larger.",
        ),
        Misconception(
            "moves the next column only",
            _with(_neighbour),
            "All columns to the right help: w[:, i + 1:].",
        ),
        Misconception(
            "takes the error from the weights of the beginning",
            _with(_right, error_of=lambda now, first: first),
            "The error of a column is measured from what it has become by then: w[:, i] after all "
            "updates.",
        ),
        Misconception(
            "does not clamp",
            _with(_right, end=False),
            "Updates push weights off the end of the grid: clamp codes to -qmax and qmax, and take "
            "the error of what is left.",
        ),
        Misconception(
            "subtracts codes from weights",
            _codes_as_values,
            "The error is that of the value that comes back: code * scale.",
        ),
        Misconception(
            "returns the values instead of their codes",
            lambda w, u, scale, bits: gptq(w, u, scale, bits) * scale,
            "Asked for are the codes, whole numbers: the scales are stored beside them.",
        ),
    ),
    minutes=(9, 15),
    extra=True,
)
