"""Exercise 6.3: what k-means minimizes, and what it does not."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.lab6.assign_codes import above, assign_codes, below, on_a_grid
from labkit.checks.rules import Rule


def codebook_error(x: Tensor, levels: Tensor) -> tuple[float, float]:
    """Return the mean squared error and the largest absolute one."""
    return _measured(x, levels)


def _level(codes: Tensor, levels: Tensor) -> Tensor:
    return levels[codes]


def _measured(
    x: Tensor,
    levels: Tensor,
    *,
    given: Callable[[Tensor, Tensor], Tensor] = lambda x, levels: x,
    coded: Callable[[Tensor, Tensor], Tensor] = assign_codes,
    error: Callable[[Tensor, Tensor], Tensor] = lambda x, back: back - x,
    back: Callable[[Tensor, Tensor], Tensor] = _level,
    mean: Callable[[Tensor, Tensor], Tensor] = lambda error, codes: error.square().mean(),
    largest: Callable[[Tensor, Tensor], Tensor] = lambda error, levels: error.abs().max(),
) -> tuple[float, float]:
    x = given(x, levels)
    codes = coded(x, levels)
    errors = error(x, back(codes, levels))
    return float(mean(errors, codes)), float(largest(errors, levels))


def _cases(rng: torch.Generator) -> list[Case]:
    def levels(k: int) -> Tensor:
        return randn(rng, k).sort().values

    def case(label: str, k: int, *shape: int) -> Case:
        return Case(label, (2 * randn(rng, *shape), levels(k)))

    outlier, many = randn(rng, 30), levels(16)
    outlier[7] = 25.0
    inside = (2 * randn(rng, 3, 4, 5)).clamp(float(many[0]), float(many[-1]))
    return [
        case("two values", 2, 2),
        case("a row", 4, 12),
        case("a matrix", 4, 5, 6),
        Case("an outlier above", (outlier, levels(4))),
        Case("an outlier below", (-outlier, levels(4))),
        Case("many levels, nothing beyond them", (inside, many)),
    ]


def _beyond(x: Tensor, levels: Tensor) -> tuple[float, float]:
    beyond = torch.maximum(x - levels[-1], levels[0] - x).clamp(min=0)
    return codebook_error(x, levels)[0], float(beyond.max())


def _of_a_grid(codes: Tensor, levels: Tensor) -> Tensor:
    return torch.linspace(float(levels[0]), float(levels[-1]), len(levels))[codes]


def _mean_of_means(error: Tensor, codes: Tensor) -> Tensor:
    """Let each level count alike, however many values have its code."""
    return torch.stack([error[codes == code].square().mean() for code in codes.unique()]).mean()


def _a_level(error: Tensor, codes: Tensor) -> Tensor:
    return error.square().sum() / len(codes.unique())


FROM_THE_GAPS = (
    "Only between two levels is no error larger than half their distance; beyond the first and the "
    "last level it may be any. Measure it: (levels[codes] - x).abs().max()."
)


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
            partial(_measured, mean=lambda error, codes: error.square().sum()),
            "The mean, so that tensors of different sizes can be compared.",
        ),
        Misconception(
            "takes the root of the mean",
            partial(_measured, mean=lambda error, codes: error.square().mean().sqrt()),
            "The mean of the squares, without a root.",
        ),
        Misconception(
            "takes the mean of the magnitudes",
            partial(_measured, mean=lambda error, codes: error.abs().mean()),
            "The first number is the mean of the squares: large errors count more.",
        ),
        Misconception(
            "averages the mean squared errors of the levels",
            partial(_measured, mean=_mean_of_means),
            "A level that many values have would count no more than one that few have. Every value "
            "counts alike: the mean of all squares at once.",
        ),
        Misconception(
            "divides the sum of the squares by the number of levels",
            partial(_measured, mean=_a_level),
            "The mean is over the values: divide by x.numel(), which mean() does.",
        ),
        Misconception(
            "divides the sum of the squares by the first size of `x`",
            partial(_measured, mean=lambda error, codes: error.square().sum() / len(error)),
            "len(x) is the number of rows of a matrix. The mean is over all values: x.numel(), "
            "which mean() divides by.",
        ),
        *(
            Misconception(
                "takes the levels for a uniform grid",
                partial(_measured, coded=on_a_grid, back=back),
                "Scale and zero point belong to levels at equal distances. These lie anywhere, and "
                "the nearest of them takes a search: 6.1's assign_codes.",
            )
            for back in (_level, _of_a_grid)
        ),
        Misconception(
            "gives a value the level below it",
            partial(_measured, coded=below),
            "A value belongs to the nearest level, above or below: 6.1's assign_codes.",
        ),
        Misconception(
            "gives a value the level above it",
            partial(_measured, coded=above),
            "A value belongs to the nearest level, above or below: 6.1's assign_codes.",
        ),
        Misconception(
            "clamps the values to the levels first",
            partial(_measured, given=lambda x, levels: x.clamp(levels[0], levels[-1])),
            "What lies beyond the first and the last level is an error, too, and often the largest "
            "one: compare with x itself.",
        ),
        Misconception(
            "divides the sum of the squares by one less than there are values",
            partial(
                _measured, mean=lambda error, codes: error.square().sum() / (error.numel() - 1)
            ),
            "The mean of the squares is over all values: no - 1, which belongs to a variance that "
            "is estimated from a sample.",
        ),
        Misconception(
            "takes half of the mean",
            partial(_measured, mean=lambda error, codes: error.square().mean() / 2),
            "The half belongs to a loss whose gradient shall look neat. Here it is the mean alone.",
        ),
        Misconception(
            "averages before it squares",
            partial(_measured, mean=lambda error, codes: error.mean().square()),
            "Errors of both signs cancel in a mean: square first, then average.",
        ),
        Misconception(
            "takes the variance of the errors",
            partial(_measured, mean=lambda error, codes: error.var()),
            "The variance takes the mean of the errors away, and divides by n - 1: the mean of "
            "the squares does neither.",
        ),
        Misconception(
            "takes the variance of the errors",
            partial(_measured, mean=lambda error, codes: error.var(correction=0)),
            "The variance takes the mean of the errors away: the mean of the squares does not.",
        ),
        Misconception(
            "looks for the largest error in one direction only",
            partial(_measured, largest=lambda error, levels: error.max()),
            "An error may be negative, too: abs() before max().",
        ),
        Misconception(
            "looks for the largest error in one direction only",
            partial(_measured, largest=lambda error, levels: (-error).max()),
            "An error may be negative, too: abs() before max().",
        ),
        *(
            Misconception(
                "works the largest error out from the distances of the levels",
                partial(_measured, largest=largest),
                FROM_THE_GAPS,
            )
            for largest in (
                lambda error, levels: levels.diff().max() / 2,
                lambda error, levels: levels.diff().min() / 2,
                lambda error, levels: levels.diff().mean() / 2,
                lambda error, levels: levels.diff().max(),
            )
        ),
        Misconception(
            "takes the distance between the largest and the smallest error",
            partial(_measured, largest=lambda error, levels: error.max() - error.min()),
            "The largest error is one of them, by its magnitude: abs() before max().",
        ),
        Misconception(
            "takes the mean for the largest error",
            partial(_measured, largest=lambda error, levels: error.abs().mean()),
            "The second number is the largest of the magnitudes: abs() before max().",
        ),
        Misconception(
            "squares the largest error",
            partial(_measured, largest=lambda error, levels: error.square().max()),
            "The second number is the error itself, in units of the weights: no square.",
        ),
        Misconception(
            "returns where the largest error is",
            partial(_measured, largest=lambda error, levels: error.abs().argmax()),
            "argmax gives the place. Asked for is the error there: max().",
        ),
        Misconception(
            "returns the two in the other order",
            lambda x, levels: codebook_error(x, levels)[::-1],
            "First the mean squared error, then the largest one.",
        ),
        Misconception(
            "compares the codes with the values",
            partial(_measured, back=lambda codes, levels: codes.double()),
            "A code is the number of a level, not its value. What comes back is levels[code].",
        ),
        Misconception(
            "measures the error relative to the values",
            partial(_measured, error=lambda x, back: (back - x) / x),
            "The error is the difference alone: nothing is divided by x.",
        ),
        Misconception(
            "looks for the largest error beyond the first and the last level only",
            _beyond,
            "Between two levels there are errors, too: (levels[codes] - x).abs().max().",
        ),
    ),
    minutes=(6, 9),
    extra=True,
)
