"""Exercise 6.3: what k-means minimizes, and what it does not."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.lab6.assign_codes import assign_codes
from labkit.checks.rules import Rule


def codebook_error(x: Tensor, levels: Tensor) -> tuple[float, float]:
    """Return the mean squared error and the largest absolute one."""
    error = levels[assign_codes(x, levels)] - x
    return float(error.square().mean()), float(error.abs().max())


def _cases(rng: torch.Generator) -> list[Case]:
    def levels(k: int) -> Tensor:
        return randn(rng, k).sort().values

    def case(label: str, k: int, *shape: int) -> Case:
        return Case(label, (2 * randn(rng, *shape), levels(k)))

    outlier = randn(rng, 30)
    outlier[7] = 25.0
    return [
        case("two values", 2, 2),
        case("a row", 4, 12),
        case("a matrix", 4, 5, 6),
        Case("an outlier above", (outlier, levels(4))),
        Case("an outlier below", (-outlier, levels(4))),
        case("many levels", 16, 3, 4, 5),
    ]


def _with(
    mean: Callable[[Tensor], Tensor] = lambda error: error.square().mean(),
    largest: Callable[[Tensor], Tensor] = lambda error: error.abs().max(),
) -> Callable[[Tensor, Tensor], tuple[float, float]]:
    """Return the answer that makes other numbers of the errors."""

    def wrong(x: Tensor, levels: Tensor) -> tuple[float, float]:
        error = levels[assign_codes(x, levels)] - x
        return float(mean(error)), float(largest(error))

    return wrong


CODEBOOK_ERROR = Exercise(
    id="6.3",
    title="What k-means minimizes",
    points=2,
    reference=codebook_error,
    cases=_cases,
    rules=(Rule(relative=1e-3, absolute=1e-7), Rule(relative=1e-3, absolute=1e-6)),
    names=("mean squared error", "largest error"),
    hints=(
        "What is left of a value after it went through the codebook? levels[code].",
        "error = levels[assign_codes(x, levels)] - x. One number is the mean of its squares, the "
        "other the largest of its magnitudes.",
        "return error.square().mean(), error.abs().max().",
    ),
    misconceptions=(
        Misconception(
            "sums the squares",
            _with(mean=lambda error: error.square().sum()),
            "The mean, so that tensors of different sizes can be compared.",
        ),
        Misconception(
            "takes the root of the mean",
            _with(mean=lambda error: error.square().mean().sqrt()),
            "The mean of the squares, without a root.",
        ),
        Misconception(
            "takes the mean of the magnitudes",
            _with(mean=lambda error: error.abs().mean()),
            "The first number is the mean of the squares: large errors count more.",
        ),
        Misconception(
            "looks for the largest error in one direction only",
            _with(largest=lambda error: error.max()),
            "An error may be negative, too: abs() before max().",
        ),
        Misconception(
            "looks for the largest error in one direction only",
            _with(largest=lambda error: (-error).max()),
            "An error may be negative, too: abs() before max().",
        ),
        Misconception(
            "returns the two in the other order",
            lambda x, levels: codebook_error(x, levels)[::-1],
            "First the mean squared error, then the largest one.",
        ),
        Misconception(
            "compares the codes with the values",
            lambda x, levels: codebook_error(x.double() - assign_codes(x, levels), levels[:1] * 0),
            "A code is the number of a level, not its value. What comes back is levels[code].",
        ),
    ),
    minutes=(6, 9),
    extra=True,
)
