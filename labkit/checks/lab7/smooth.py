"""Exercise 7.5: SmoothQuant, folded."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn, uniform
from labkit.checks.lab7.drawing import real_piece
from labkit.checks.rules import Rule


def smooth(norm: Tensor, w: Tensor, x_maxima: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Return the weight of the normalization over s, and the weights times s."""
    return _smoothed(norm, w, x_maxima, alpha)


def _quiet(x: Tensor, w: Tensor, s: Tensor) -> Tensor:
    return torch.where((x == 0) | (w == 0), 1.0, s)


def _smoothed(
    norm: Tensor,
    w: Tensor,
    x_maxima: Tensor,
    alpha: float,
    *,
    reach: Callable[[Tensor], Tensor] = lambda w: w.abs().amax(0),
    power: Callable[[Tensor, Tensor, float], Tensor] = lambda x, w, a: x**a / w ** (1 - a),
    guard: Callable[[Tensor, Tensor, Tensor], Tensor] = _quiet,
    of_norm: Callable[[Tensor, Tensor], Tensor] = torch.div,
    of_weights: Callable[[Tensor, Tensor], Tensor] = torch.mul,
) -> tuple[Tensor, Tensor]:
    largest = reach(w)
    s = guard(x_maxima, largest, power(x_maxima, largest, alpha))
    return of_norm(norm, s), of_weights(w, s)


def _cases(rng: torch.Generator) -> list[Case]:
    def layer(out: int, width: int, alpha: float) -> list:
        norm, w = 0.5 + torch.rand(width, generator=rng), randn(rng, out, width)
        return [norm, w, torch.exp(1.5 * randn(rng, width)), alpha]

    silent, unread = layer(4, 5, 0.5), layer(3, 6, 0.7)
    # 0 to the power 0 is 1: there s looks like that of any other channel.
    silent_left, unread_moved = layer(3, 4, 0.0), layer(3, 4, 1.0)
    for channel in silent, silent_left:
        channel[2][1] = 0
    for column in unread, unread_moved:
        column[1][:, 2] = 0
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
        Case("a channel that was always 0, and alpha = 0", tuple(silent_left)),
        Case("a column of zeros, and alpha = 1", tuple(unread_moved)),
        Case("a real layer", (torch.rand(8, generator=rng) + 0.5, w, x.abs().amax(0), 0.5)),
    ]


def _bounded(least: float, both: bool) -> Callable[..., Tensor]:
    """Bound both maxima from below, or that of the weights and s."""

    def power(x: Tensor, w: Tensor, alpha: float) -> Tensor:
        x = x.clamp(min=least) if both else x
        s = x**alpha / w.clamp(min=least) ** (1 - alpha)
        return s if both else s.clamp(min=least)

    return power


def _balanced(s: Tensor) -> Tensor:
    return s / (s.max() * s.min()).sqrt()


def _unguarded(x: Tensor, w: Tensor, s: Tensor) -> Tensor:
    return s


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
            partial(_smoothed, of_norm=torch.mul, of_weights=torch.div),
            "The activations shall become smaller where they are large: norm / s, and w * s, with "
            "x_maxima above in s.",
        ),
        Misconception(
            "divides both",
            partial(_smoothed, of_weights=torch.div),
            "Then the product changes. What is divided on one side is multiplied on the other.",
        ),
        Misconception(
            "multiplies both",
            partial(_smoothed, of_norm=torch.mul),
            "Then the product changes. What is divided on one side is multiplied on the other.",
        ),
        Misconception(
            "leaves the weights as they were",
            partial(_smoothed, of_weights=lambda w, s: w.clone()),
            "Then the product changes. What is divided on one side is multiplied on the other: "
            "w * s.",
        ),
        Misconception(
            "leaves the normalization as it was",
            partial(_smoothed, of_norm=lambda norm, s: norm.clone()),
            "Then the product changes. What is multiplied on one side is divided on the other: "
            "norm / s.",
        ),
        Misconception(
            "swaps alpha and 1 - alpha",
            partial(_smoothed, power=lambda x, w, a: x ** (1 - a) / w**a),
            "alpha is the exponent of the activations: at alpha = 1 they carry nothing any more, "
            "and the weights carry all.",
        ),
        Misconception(
            "takes alpha for both exponents",
            partial(_smoothed, power=lambda x, w, a: x**a / w**a),
            "What the inputs get, the weights do not: x_maxima ** alpha over the weights' maxima "
            "** (1 - alpha).",
        ),
        Misconception(
            "gives alpha to the whole ratio",
            partial(_smoothed, power=lambda x, w, a: (x / w) ** (1 - a)),
            "Each has an exponent of its own: x_maxima ** alpha over the weights' maxima ** (1 - "
            "alpha).",
        ),
        Misconception(
            "leaves the exponent of the weights out",
            partial(_smoothed, power=lambda x, w, a: x**a / w),
            "The weights' maxima have an exponent as well, 1 - alpha.",
        ),
        Misconception(
            "takes the root of the product of both maxima",
            partial(_smoothed, power=lambda x, w, a: (x * w).sqrt()),
            "Weights that are large already must not become larger: their maximum stands below "
            "the fraction bar, and alpha says how much of the inputs moves.",
        ),
        Misconception(
            "leaves the exponents out",
            partial(_smoothed, power=lambda x, w, a: x / w),
            "alpha says how much of the difficulty moves: x_maxima ** alpha over the weights' "
            "maxima ** (1 - alpha).",
        ),
        Misconception(
            "looks at the rows of the weights",
            partial(_smoothed, of_weights=lambda w, s: w * s[:, None]),
            "s belongs to channels, which are the columns of w: w * s, not w * s[:, None].",
        ),
        Misconception(
            "takes the largest weight of each row",
            partial(_smoothed, reach=lambda w: w.abs().amax(1)),
            "s belongs to channels, which are the columns of w: w.abs().amax(0).",
        ),
        Misconception(
            "takes the largest weight of all",
            partial(_smoothed, reach=lambda w: w.abs().max().expand(w.shape[1])),
            "Each column has its own largest weight: w.abs().amax(0).",
        ),
        Misconception(
            "forgets the sign of the weights",
            partial(_smoothed, reach=lambda w: w.amax(0).clamp(min=1e-5)),
            "The largest magnitude of the column: abs() before the maximum.",
        ),
        Misconception(
            "forgets the sign of the weights",
            partial(_smoothed, reach=lambda w: w.amax(0)),
            "The largest magnitude of the column: abs() before the maximum.",
        ),
        Misconception(
            "takes the mean magnitude of the weights",
            partial(_smoothed, reach=lambda w: w.abs().mean(0)),
            "A grid has to reach the largest weight of the column: amax(0).",
        ),
        Misconception(
            "leaves the weights out of it",
            partial(
                _smoothed,
                power=lambda x, w, a: x**a,
                guard=lambda x, w, s: torch.where(x == 0, 1.0, s),
            ),
            "A column of large weights should not become larger still: divide by its largest "
            "weight to the power 1 - alpha.",
        ),
        Misconception(
            "leaves the weights out of it",
            partial(_smoothed, power=lambda x, w, a: x**a),
            "A column of large weights should not become larger still: divide by its largest "
            "weight to the power 1 - alpha.",
        ),
        Misconception(
            "multiplies by the weights' maximum",
            partial(_smoothed, power=lambda x, w, a: x**a * w ** (1 - a)),
            "Divide by the largest weight to the power 1 - alpha: it stands below.",
        ),
        Misconception(
            "divides by 0",
            partial(_smoothed, guard=_unguarded),
            "A channel that was always 0, or that no weight reads, is not difficult: s = 1 there.",
        ),
        Misconception(
            "looks at the inputs alone for a 0",
            partial(_smoothed, guard=lambda x, w, s: torch.where(x == 0, 1.0, s)),
            "A column of zeros, which no input passes, has s = 1 as well: look at both maxima.",
        ),
        Misconception(
            "looks at the weights alone for a 0",
            partial(_smoothed, guard=lambda x, w, s: torch.where(w == 0, 1.0, s)),
            "A channel that was always 0 has s = 1 as well: look at both maxima.",
        ),
        Misconception(
            "looks for zeros in s instead of in the maxima",
            partial(_smoothed, guard=lambda x, w, s: torch.where(s.isfinite() & (s > 0), s, 1.0)),
            "0 to the power 0 is 1: with alpha = 0 or 1, s does not show that a maximum is 0. Look "
            "at the maxima themselves.",
        ),
        Misconception(
            "replaces only what is not finite",
            partial(_smoothed, guard=lambda x, w, s: torch.nan_to_num(s, nan=1.0, posinf=1.0)),
            "A channel that was always 0 has s = 0 by the formula, which is finite, and 1 is asked "
            "for: look at the two maxima.",
        ),
        Misconception(
            "bounds s from below by 1",
            partial(_smoothed, guard=lambda x, w, s: _quiet(x, w, s).clamp(min=1)),
            "s below 1 makes inputs larger, where weights are the larger ones: that is meant. s is "
            "1 only where one of the two maxima is 0.",
        ),
        Misconception(
            "divides s by the root of its largest times its smallest",
            partial(_smoothed, guard=lambda x, w, s: _balanced(_quiet(x, w, s))),
            "AWQ does that. Here s is what (5) says.",
        ),
        Misconception(
            "takes the root of s",
            partial(_smoothed, power=lambda x, w, a: (x**a / w ** (1 - a)).sqrt()),
            "The exponents hold all of it already: at alpha = 1/2 both are roots.",
        ),
        Misconception(
            "puts 1 for the maximum of a 0 instead of s",
            partial(
                _smoothed,
                power=lambda x, w, a: (
                    torch.where(x == 0, 1.0, x) ** a / torch.where(w == 0, 1.0, w) ** (1 - a)
                ),
                guard=_unguarded,
            ),
            "Where one of the two maxima is 0, s itself is 1, whatever the other one is.",
        ),
        *(
            Misconception(
                "bounds the maxima from below",
                partial(_smoothed, power=_bounded(10.0**-n, both), guard=_unguarded),
                "That is what some programs do. Here s is 1 where one of the two maxima is 0.",
            )
            for n in (4, 5, 6, 8)
            for both in (True, False)
        ),
    ),
    minutes=(7, 11),
)
