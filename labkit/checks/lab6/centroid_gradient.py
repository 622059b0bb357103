"""Exercise 6.4: the gradient of a level."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn, whole
from labkit.checks.rules import Rule


def centroid_gradient(dw: Tensor, codes: Tensor, k: int) -> Tensor:
    """Return the gradient of each level: the sum over the weights that have its code."""
    return torch.zeros(k).index_add(0, codes.flatten(), dw.flatten())


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, k: int, *shape: int, most: int | None = None) -> Case:
        codes = whole(rng, 0, k - 1 if most is None else most, *shape)
        return Case(label, (randn(rng, *shape), codes, k))

    return [
        case("three weights", 2, 3),
        case("a row", 3, 8),
        case("a matrix", 4, 5, 6),
        case("a kernel", 8, 4, 3, 3, 3),
        case("the last levels without weights", 6, 4, 5, most=3),
        case("one weight of many levels", 5, 1),
    ]


def _counts(codes: Tensor, k: int) -> Tensor:
    return torch.bincount(codes.flatten(), minlength=k)


def _last(dw: Tensor, codes: Tensor, k: int) -> Tensor:
    gradient = torch.zeros(k)
    for value, code in zip(dw.flatten(), codes.flatten(), strict=True):
        gradient[code] = value
    return gradient


def _row_by_row(dw: Tensor, codes: Tensor, k: int) -> Tensor:
    """Return a row of gradients for each row of weights, of a vector one row alone."""
    rows = torch.zeros(len(dw), k) if dw.ndim > 1 else torch.zeros(1, k)
    rows.scatter_add_(1, codes.reshape(len(rows), -1), dw.reshape(len(rows), -1))
    return rows if dw.ndim > 1 else rows[0]


CENTROID_GRADIENT = Exercise(
    id="6.4",
    title="The gradient of a level",
    points=2,
    reference=centroid_gradient,
    cases=_cases,
    rules=(Rule(relative=1e-4, absolute=1e-5),),
    hints=(
        "A level is a weight that stands in many places at once. How much does the loss change if "
        "all of them move together?",
        "Sum the gradients of all weights with the same code. Levels that nobody uses have the "
        "gradient 0, and a place in the result all the same.",
        "return torch.zeros(k).index_add(0, codes.flatten(), dw.flatten()).",
    ),
    misconceptions=(
        Misconception(
            "takes the mean",
            lambda dw, codes, k: centroid_gradient(dw, codes, k) / _counts(codes, k).clamp(min=1),
            "Every weight of a level moves with it, and all their changes add up: the sum.",
        ),
        Misconception(
            "takes the mean, which is NaN for a level that nobody uses",
            lambda dw, codes, k: centroid_gradient(dw, codes, k) / _counts(codes, k),
            "Not the mean but the sum, which is 0 where there is nothing to add.",
        ),
        Misconception(
            "keeps only one weight of each level",
            _last,
            "gradient[codes] += dw adds once for each code, whatever stands there later: with "
            "repeated places use index_add, scatter_add or bincount.",
        ),
        Misconception(
            "leaves out the levels that nobody uses",
            lambda dw, codes, k: centroid_gradient(dw, codes, k)[: int(codes.max()) + 1],
            "k levels, k gradients: bincount needs minlength=k.",
        ),
        Misconception(
            "leaves out the levels that nobody uses",
            lambda dw, codes, k: centroid_gradient(dw, codes, k)[codes.unique()],
            "k levels, k gradients: go through range(k), not through the codes that occur.",
        ),
        Misconception(
            "counts the weights of each level",
            lambda dw, codes, k: _counts(codes, k),
            "How many weights a level has is not what they ask for: add up their gradients, "
            "bincount(codes, weights=dw), or index_add.",
        ),
        Misconception(
            "adds up magnitudes",
            lambda dw, codes, k: centroid_gradient(dw.abs(), codes, k),
            "Gradients of both signs cancel, and they should: add them up with their signs.",
        ),
        Misconception(
            "divides by the number of all weights",
            lambda dw, codes, k: centroid_gradient(dw, codes, k) / dw.numel(),
            "All their changes add up: the sum, without a division.",
        ),
        Misconception(
            "multiplies the gradients by the codes",
            lambda dw, codes, k: centroid_gradient(dw * codes, codes, k),
            "A code says where a gradient belongs, and no more: add up dw itself.",
        ),
        Misconception(
            "looks at the first row only",
            lambda dw, codes, k: centroid_gradient(dw[:1], codes[:1], k),
            "The weights of all rows and columns that have the code count: flatten both first.",
        ),
        Misconception(
            "gives each row of weights a gradient of its own",
            _row_by_row,
            "The levels are those of the whole tensor: add up over all its rows.",
        ),
        Misconception(
            "returns a gradient for each weight",
            lambda dw, codes, k: centroid_gradient(dw, codes, k)[codes],
            "There are k levels to train, so there are k gradients: shape [k].",
        ),
        Misconception(
            "steps downhill already",
            lambda dw, codes, k: -centroid_gradient(dw, codes, k),
            "The optimizer subtracts the gradient. Return it with its own sign.",
        ),
    ),
    minutes=(7, 11),
)
