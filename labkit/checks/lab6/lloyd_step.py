"""Exercise 6.2: a step of k-means."""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn, whole
from labkit.checks.lab6.assign_codes import assign_codes
from labkit.checks.rules import Rule


def lloyd_step(x: Tensor, levels: Tensor) -> Tensor:
    """Return the mean of the values of each code; a level that has none stays where it is."""
    return _step(x, levels, lambda values, level: values.mean() if len(values) else level)


def _step(x: Tensor, levels: Tensor, new: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    codes = assign_codes(x, levels)
    return torch.stack([new(x[codes == code], level) for code, level in enumerate(levels)])


def _cases(rng: torch.Generator) -> list[Case]:
    def levels(k: int) -> Tensor:
        return (whole(rng, 3, 12, k).cumsum(0) - 4 * k) / 8

    def around(table: Tensor, count: int) -> Tensor:
        """Values that each level has some of, none of them near a midpoint."""
        width = 0.3 * float((table[1:] - table[:-1]).min())
        near = table + width * (2 * torch.rand(count, len(table), generator=rng) - 1)
        return near.flatten()

    two, four, six, gap = levels(2), levels(4), levels(6), levels(5)
    inside = around(gap, 6).reshape(6, 5)
    return [
        Case("two levels", (around(two, 3), two)),
        Case("four levels", (around(four, 5), four)),
        Case("a matrix", (around(six, 6).reshape(6, 6), six)),
        Case("a level without values", (inside[:, [0, 1, 3, 4]].flatten(), gap)),
        Case("two levels without values", (inside[:, [0, 2, 4]], gap)),
        Case("one value", (two[:1] - 0.4, two)),
        Case("the last level without values", (inside[:, :4].flatten(), gap)),
        # Odd 32nds: none lies on a midpoint, wherever the levels are at first.
        Case("values between the levels", ((4 * whole(rng, -64, 64, 40) + 1) / 32, four)),
        Case("values far out", (10 + randn(rng, 7).abs(), four)),
    ]


def _median(values: Tensor, level: Tensor) -> Tensor:
    return values.sort().values[len(values) // 2] if len(values) else level


def _one_by_one(x: Tensor, levels: Tensor) -> Tensor:
    new = levels.clone()
    for code in range(len(new)):
        values = x[assign_codes(x, new) == code]
        new[code] = values.mean() if len(values) else new[code]
    return new


def _short_counts(x: Tensor, levels: Tensor) -> Tensor:
    codes = assign_codes(x, levels).flatten()
    counts, sums = torch.bincount(codes), torch.bincount(codes, x.flatten())
    return torch.where(counts > 0, sums / counts, levels)


LLOYD_STEP = Exercise(
    id="6.2",
    title="A step of k-means",
    points=3,
    reference=lloyd_step,
    cases=_cases,
    rules=(Rule(relative=1e-4, absolute=1e-5),),
    hints=(
        "Two things one after the other: who belongs to which level (6.1), and where the middle of "
        "those is. What is the mean of nothing?",
        "codes = assign_codes(x, levels). For each code: values = x[codes == code]; its new level "
        "is values.mean(), or the old one if there are no values.",
        "sums = torch.zeros(k).index_add(0, codes.flatten(), x.flatten()); counts = "
        "torch.bincount(codes.flatten(), minlength=k); return torch.where(counts > 0, sums / "
        "counts, levels).",
    ),
    misconceptions=(
        Misconception(
            "makes an empty cluster NaN",
            lambda x, levels: _step(x, levels, lambda values, level: values.mean()),
            "The mean of no values is 0 / 0. A level that nobody chose stays where it is here.",
        ),
        Misconception(
            "moves an empty cluster to 0",
            lambda x, levels: _step(
                x, levels, lambda values, level: values.sum() / max(len(values), 1)
            ),
            "Dividing by max(count, 1) hides the 0 / 0, but 0 is no better. A level that nobody "
            "chose stays where it is here.",
        ),
        Misconception(
            "leaves empty clusters out",
            lambda x, levels: lloyd_step(x, levels)[assign_codes(x, levels).unique()],
            "k levels come in, k go out, or codes would have another meaning. An empty one stays "
            "where it is.",
        ),
        Misconception(
            "takes the median",
            lambda x, levels: _step(x, levels, _median),
            "The median has the smallest sum of distances, the mean the smallest sum of squares. "
            "k-means wants the latter.",
        ),
        Misconception(
            "takes the middle between the smallest and the largest",
            lambda x, levels: _step(
                x, levels, lambda v, level: (v.min() + v.max()) / 2 if len(v) else level
            ),
            "All values of a cluster count: their mean, not the middle of their range.",
        ),
        Misconception(
            "divides all sums by the number of values",
            lambda x, levels: _step(
                x, levels, lambda v, level: v.sum() / x.numel() if len(v) else level
            ),
            "Each level is the mean of its own values: divide by how many those are.",
        ),
        Misconception(
            "leaves the levels as they are",
            lambda x, levels: levels.clone(),
            "The second half is missing: each level moves to the mean of the values nearest to it.",
        ),
        Misconception(
            "assigns the values anew after each level that has moved",
            _one_by_one,
            "All values keep the code that they have at the beginning of a step: assign them once, "
            "then move all levels.",
        ),
        Misconception(
            "counts up to the largest code that occurs only",
            _short_counts,
            "torch.bincount ends at the largest number that it sees: minlength=len(levels).",
        ),
    ),
    minutes=(10, 15),
)
