"""Exercise 7.5: SmoothQuant, folded."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn, uniform
from labkit.checks.lab7.drawing import real_piece
from labkit.checks.rules import Rule


def smooth(norm: Tensor, w: Tensor, x_maxima: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Return the weight of the normalization over s, and the weights times s."""
    s = _scales(x_maxima, w.abs().amax(0), alpha)
    return norm / s, w * s


def _scales(x: Tensor, w: Tensor, alpha: float) -> Tensor:
    return torch.where((x == 0) | (w == 0), 1.0, x**alpha / w ** (1 - alpha))


def _cases(rng: torch.Generator) -> list[Case]:
    def layer(out: int, width: int, alpha: float) -> list:
        norm, w = 0.5 + torch.rand(width, generator=rng), randn(rng, out, width)
        return [norm, w, torch.exp(1.5 * randn(rng, width)), alpha]

    silent, unread = layer(4, 5, 0.5), layer(3, 6, 0.7)
    silent[2][1] = 0
    unread[1][:, 2] = 0
    x, w = real_piece(rng, "q", 6, 8)
    small, rows = torch.tensor([4.0, 100.0]), torch.tensor([[1.0, -2.0], [0.5, 4.0]])
    return [
        Case("two channels, to work out by hand", (torch.ones(2), rows, small, 0.5)),
        Case("one output", tuple(layer(1, 3, 0.5))),
        Case("more of it moves", tuple(layer(4, 6, uniform(rng, 0.6, 0.9)))),
        Case("less of it moves", tuple(layer(5, 4, uniform(rng, 0.1, 0.4)))),
        Case("as many outputs as channels", tuple(layer(5, 5, 0.5))),
        Case("a channel that was always 0", tuple(silent)),
        Case("a column of zeros", tuple(unread)),
        Case("a real layer", (torch.rand(8, generator=rng) + 0.5, w, x.abs().amax(0), 0.5)),
    ]


def _with(scales: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    def wrong(norm: Tensor, w: Tensor, x_maxima: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
        s = scales(w, x_maxima, alpha)
        return norm / s, w * s

    return wrong


def _rows_of_weights(norm: Tensor, w: Tensor, x_maxima: Tensor, alpha: float) -> tuple:
    s = _scales(x_maxima, w.abs().amax(0), alpha)
    return norm / s, w * s[:, None]


def _applied(norm_times: bool, w_times: bool) -> Callable[..., tuple[Tensor, Tensor]]:
    def wrong(norm: Tensor, w: Tensor, x_maxima: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
        s = _scales(x_maxima, w.abs().amax(0), alpha)
        return norm * s if norm_times else norm / s, w * s if w_times else w / s

    return wrong


SMOOTH = Exercise(
    id="7.5",
    title="Smoothing",
    points=2,
    reference=smooth,
    cases=_cases,
    rules=(Rule(relative=1e-4), Rule(relative=1e-4, absolute=1e-6)),
    names=("norm", "w"),
    hints=(
        "A channel of x and the column of w that it meets: divide one by s, multiply the other, "
        "and no product changes.",
        "The largest weight of each column is w.abs().amax(0). s = x_maxima ** alpha / that ** (1 "
        "- alpha), and 1 where one of the two is 0.",
        "largest = w.abs().amax(0); s = x_maxima ** alpha / largest ** (1 - alpha); s[(x_maxima == "
        "0) | (largest == 0)] = 1; return norm / s, w * s.",
    ),
    misconceptions=(
        Misconception(
            "multiplies the wrong side",
            _applied(True, False),
            "The activations shall become smaller where they are large: norm / s, and w * s.",
        ),
        Misconception(
            "divides both",
            _applied(False, False),
            "Then the product changes. What is divided on one side is multiplied on the other.",
        ),
        Misconception(
            "multiplies both",
            _applied(True, True),
            "Then the product changes. What is divided on one side is multiplied on the other.",
        ),
        Misconception(
            "swaps alpha and 1 - alpha",
            _with(lambda w, x, alpha: _scales(x, w.abs().amax(0), 1 - alpha)),
            "alpha is the exponent of the activations: at alpha = 1 they carry nothing any more, "
            "and the weights carry all.",
        ),
        Misconception(
            "looks at the rows of the weights",
            _rows_of_weights,
            "s belongs to channels, which are the columns of w: w * s, not w * s[:, None].",
        ),
        Misconception(
            "takes the largest weight of all",
            _with(lambda w, x, alpha: _scales(x, w.abs().max().expand(len(x)), alpha)),
            "Each column has its own largest weight: w.abs().amax(0).",
        ),
        Misconception(
            "forgets the sign of the weights",
            _with(lambda w, x, alpha: _scales(x, w.amax(0).clamp(min=1e-5), alpha)),
            "The largest magnitude of the column: abs() before the maximum.",
        ),
        Misconception(
            "leaves the weights out of it",
            _with(lambda w, x, alpha: torch.where(x == 0, 1.0, x**alpha)),
            "A column of large weights should not become larger still: divide by its largest "
            "weight to the power 1 - alpha.",
        ),
        Misconception(
            "multiplies by the weights' maximum",
            _with(lambda w, x, alpha: _scales(x, 1 / w.abs().amax(0).clamp(min=1e-30), alpha)),
            "Divide by the largest weight to the power 1 - alpha: it stands below.",
        ),
        Misconception(
            "divides by 0",
            _with(lambda w, x, alpha: x**alpha / w.abs().amax(0) ** (1 - alpha)),
            "A channel that was always 0, or that no weight reads, is not difficult: s = 1 there.",
        ),
        Misconception(
            "bounds the maxima from below",
            _with(
                lambda w, x, alpha: (
                    x**alpha / w.abs().amax(0).clamp(min=1e-5) ** (1 - alpha)
                ).clamp(min=1e-5)
            ),
            "That is what some programs do. Here s is 1 where one of the two maxima is 0.",
        ),
    ),
    minutes=(7, 11),
)
