"""Exercise 7.10: the column loop of GPTQ."""

from collections.abc import Callable
from functools import partial

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
    return _loop(w, u, scale, bits)


def _clamped(steps: Tensor, bits: int) -> Tensor:
    qmax = 2 ** (bits - 1) - 1
    return torch.round(steps).clamp(-qmax, qmax)


def _right(u: Tensor, i: int) -> Tensor:
    return u[i] / u[i, i]


def _loop(
    w: Tensor,
    u: Tensor,
    scale: Tensor,
    bits: int,
    *,
    row: Callable[[Tensor, int], Tensor] = _right,
    coded: Callable[[Tensor, int], Tensor] = _clamped,
    passed_on: Callable[[Tensor, Tensor], Tensor] = lambda steps, code: code,
    column: Callable[[int], int] = lambda i: i,
    left: Callable[[Tensor, Tensor], Tensor] = lambda now, first: now,
    unit: Callable[[Tensor], Tensor | float] = lambda scale: 1.0,
    value: Callable[[Tensor, Tensor], Tensor] = torch.mul,
) -> Tensor:
    """Return the codes; ``passed_on(steps, code)`` is the code whose error the others get."""
    w, first = w.clone(), w
    codes = torch.zeros_like(w)
    for i in range(w.shape[1]):
        step = scale[:, column(i)]
        steps = w[:, i] / step
        codes[:, i] = coded(steps, bits)
        back = value(passed_on(steps, codes[:, i]), step)
        error = (left(w[:, i], first[:, i]) - back) / unit(step)
        w[:, i + 1 :] -= error[:, None] * row(u, i)[i + 1 :]
    return codes.to(torch.int64)


def _reals(w: Tensor, u: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Return what the right answer rounds."""
    steps: list[Tensor] = []

    def seen(now: Tensor, bits: int) -> Tensor:
        steps.append(now)
        return _clamped(now, bits)

    _loop(w, u, scale, bits, coded=seen)
    return torch.stack(steps, dim=1)


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

    def narrow(out: int, width: int, bits: int) -> tuple:
        w, u, scale, bits = layer(out, width, bits, width)
        return w, u, 0.6 * scale, bits

    drawn = [
        ("two columns", lambda: layer(3, 2, 4, 2)),
        ("three columns", lambda: layer(4, 3, 4, 3)),
        ("a layer", lambda: layer(4, 8, 4, 4)),
        ("3 bits", lambda: layer(5, 9, 3, 3)),
        ("fewer tokens than columns", lambda: layer(3, 8, 4, 8, 4)),
        ("a grid that ends before the weights do", lambda: narrow(4, 6, 4)),
        ("a narrow grid of 3 bits", lambda: narrow(5, 8, 3)),
        ("as many rows as columns", lambda: layer(6, 6, 4, 3)),
        ("a real layer", real),
        ("more than 128 columns", lambda: layer(2, 132, 4, 44, 200)),
    ]
    return [Case(label, clear(draw, _reals)) for label, draw in drawn]


def _dense(u: Tensor, i: int) -> Tensor:
    inverse = u.T @ u
    return inverse[i] / inverse[i, i]


def _neighbour(u: Tensor, i: int) -> Tensor:
    row = _right(u, i).clone()
    row[i + 2 :] = 0
    return row


def _at_once(w: Tensor, u: Tensor, scale: Tensor, bits: int) -> Tensor:
    error = (w - _clamped(w / scale, bits) * scale) / u.diagonal()
    return _clamped((w - error @ u.triu(1)) / scale, bits).to(torch.int64)


def _within_blocks(u: Tensor, i: int, size: int) -> Tensor:
    row = _right(u, i).clone()
    row[i - i % size + size :] = 0
    return row


def _unclamped(steps: Tensor, bits: int) -> Tensor:
    return torch.round(steps)


def _whole_range(steps: Tensor, bits: int) -> Tensor:
    return torch.round(steps).clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


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
            partial(_loop, row=lambda u, i: 0 * u[i]),
            "These are the codes of plain rounding. After each column, all later ones have to "
            "change before it is their turn, by row i of u, u[i, i + 1:], and what they become is "
            "rounded, not the w of the beginning. (Below its diagonal u is 0, so going from the "
            "last column to the first corrects nothing either.)",
        ),
        Misconception(
            "takes the error before the clamp",
            partial(_loop, passed_on=lambda steps, code: torch.round(steps)),
            "Where the grid ends, the clamp makes the largest errors, and the others have to make "
            "up for them: clamp the code first, then take the error of code * scale.",
        ),
        Misconception(
            "uses one stale inverse for all columns",
            partial(_loop, row=_dense),
            "Row i of the dense inverse still counts on the columns that are fixed already. Row i "
            "of U belongs to the inverse without them.",
        ),
        Misconception(
            "does not divide by the diagonal",
            partial(_loop, row=lambda u, i: u[i]),
            "The error is divided by u[i, i] before it is spread.",
        ),
        Misconception(
            "multiplies by the diagonal",
            partial(_loop, row=lambda u, i: u[i] * u[i, i]),
            "The error is *divided* by u[i, i] before it is spread.",
        ),
        Misconception(
            "divides by the square of the diagonal",
            partial(_loop, row=lambda u, i: u[i] / u[i, i] ** 2),
            "One division by u[i, i]: U is a root of the inverse, and its diagonal, too.",
        ),
        Misconception(
            "divides by the root of the diagonal",
            partial(_loop, row=lambda u, i: u[i] / u[i, i].sqrt()),
            "Divide by u[i, i] itself: U is a root of the inverse already.",
        ),
        Misconception(
            "divides each place by its own diagonal",
            partial(_loop, row=lambda u, i: u[i] / u.diagonal()),
            "One number divides the error: u[i, i], that of the column that was rounded.",
        ),
        Misconception(
            "adds instead of subtracting",
            partial(_loop, row=lambda u, i: -u[i] / u[i, i]),
            "w[:, j] -= error * u[i, j]: the other sign makes the output's error larger.",
        ),
        Misconception(
            "lets a column make up for the error of the one before it alone",
            partial(_loop, row=_neighbour),
            "All columns to the right help, w[:, i + 1:], and each keeps what earlier columns have "
            "done to it: subtract from what it has become by then, not from the w of the "
            "beginning.",
        ),
        *(
            Misconception(
                "makes up for the errors of its block of columns alone",
                partial(_loop, row=partial(_within_blocks, size=size)),
                "Working in blocks saves time: behind each block, all columns after it get the "
                "errors of the whole block at once. That step is missing, or it comes too late.",
            )
            for size in (128, 2, 4, 8, 16, 32, 64)
        ),
        Misconception(
            "moves all later columns by the same",
            partial(_loop, row=lambda u, i: torch.ones_like(u[i])),
            "Each column moves by its own entry of the row: u[i, i + 1:].",
        ),
        Misconception(
            "takes the error from the weights of the beginning",
            partial(_loop, left=lambda now, first: first),
            "The error of a column is measured from what it has become by then: w[:, i] after all "
            "updates.",
        ),
        Misconception(
            "takes the error in steps",
            partial(_loop, unit=lambda scale: scale),
            "The error is that of the weight itself, w[:, i] - code * scale[:, i].",
        ),
        Misconception(
            "corrects all columns at once",
            _at_once,
            "What a column becomes depends on those before it, and so does its error: round it "
            "only when all earlier ones have made their corrections, in a loop.",
        ),
        Misconception(
            "does not clamp",
            partial(_loop, coded=_unclamped),
            "Updates push weights off the end of the grid: clamp codes to -qmax and qmax, and take "
            "the error of what is left.",
        ),
        Misconception(
            "uses all codes of the negative side",
            partial(_loop, coded=_whole_range),
            "The grid is symmetric: from -(2^(b-1) - 1) to 2^(b-1) - 1.",
        ),
        Misconception(
            "cuts off instead of rounding",
            partial(
                _loop,
                coded=lambda steps, bits: _clamped(steps.trunc(), bits),
            ),
            "Round to the nearest code: torch.round.",
        ),
        Misconception(
            "rounds down",
            partial(
                _loop,
                coded=lambda steps, bits: _clamped(steps.floor(), bits),
            ),
            "Round to the nearest code: torch.round.",
        ),
        Misconception(
            "takes the scales of the first column for all",
            partial(_loop, column=lambda i: 0),
            "Each group of columns has scales of its own: scale[:, i], inside the loop.",
        ),
        Misconception(
            "subtracts codes from weights",
            partial(_loop, value=lambda code, scale: code),
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
