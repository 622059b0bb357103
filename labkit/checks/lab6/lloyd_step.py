"""Exercise 6.2: a step of k-means."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, randn, whole
from labkit.checks.lab6.assign_codes import above, assign_codes, below, on_a_grid
from labkit.checks.rules import Rule


def lloyd_step(x: Tensor, levels: Tensor) -> Tensor:
    """Return the mean of the values of each code; a level that has none stays where it is."""
    return _step(x, levels)


def _step(
    x: Tensor,
    levels: Tensor,
    *,
    coded: Callable[[Tensor, Tensor], Tensor] = assign_codes,
    middle: Callable[[Tensor], Tensor] = torch.mean,
    is_empty: Callable[[Tensor], bool] = lambda values: not len(values),
    empty: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda level, x, levels: level,
) -> Tensor:
    codes = coded(x, levels)
    chosen = [x[codes == code] for code in range(len(levels))]
    new = [
        empty(level, x, levels) if is_empty(values) else middle(values)
        for values, level in zip(chosen, levels, strict=True)
    ]
    return torch.cat([level.reshape(-1) for level in new])


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
    unit = one(rng, 1, 4) / 4
    apart = torch.tensor([-5.0, 0.25, 6.0]) * unit
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
        Case("values that add up to 0", (torch.tensor([-6.0, 0.5, -0.5, 7.25]) * unit, apart)),
        Case("values that are 0", (torch.tensor([-6.0, 0.0, 0.0, 7.25]) * unit, apart)),
    ]


def _halfway(values: Tensor) -> Tensor:
    """Return the median, of an even number of values the mean of the two in the middle."""
    return values.double().quantile(0.5).float()


def _upper(values: Tensor) -> Tensor:
    return values.sort().values[len(values) // 2]


def _of_all(x: Tensor, levels: Tensor) -> Tensor:
    """Divide each sum by the number of all values."""
    return _step(x, levels, middle=lambda values: values.sum() / x.numel())


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


def _with_the_old(x: Tensor, levels: Tensor) -> Tensor:
    """Let each level count as a value of its own."""
    new = [torch.cat([x[assign_codes(x, levels) == i], v[None]]) for i, v in enumerate(levels)]
    return torch.stack([values.mean() for values in new])


def _to_the_end(x: Tensor, levels: Tensor) -> Tensor:
    for _ in range(100):
        levels = lloyd_step(x, levels)
    return levels


def _farthest(level: Tensor, x: Tensor, levels: Tensor) -> Tensor:
    """Return the value that is farthest from its level."""
    x = x.flatten()
    return x[(levels[assign_codes(x, levels)] - x).abs().argmax()]


def _outermost(level: Tensor, x: Tensor, levels: Tensor) -> Tensor:
    return x.flatten()[x.abs().argmax()]


_MEDIAN = (
    "The median has the smallest sum of distances, the mean the smallest sum of squares. k-means "
    "wants the latter."
)


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
            partial(_step, empty=lambda level, *_: level * torch.nan),
            "The mean of no values is 0 / 0. A level that nobody chose stays where it is here.",
        ),
        Misconception(
            "moves an empty cluster to 0",
            partial(_step, empty=lambda level, *_: torch.zeros_like(level)),
            "Dividing by max(count, 1) hides the 0 / 0, but 0 is no better. A level that nobody "
            "chose stays where it is here.",
        ),
        Misconception(
            "leaves empty clusters out",
            partial(_step, empty=lambda level, *_: level.new_zeros(0)),
            "k levels come in, k go out, or codes would have another meaning. An empty one stays "
            "where it is.",
        ),
        Misconception(
            "keeps the level where its values add up to 0",
            partial(_step, is_empty=lambda values: not values.sum()),
            "A sum of 0 may be that of values: of both signs, or of zeros. Whether a level has "
            "any, their number says: counts > 0.",
        ),
        Misconception(
            "keeps the level where all of its values are 0",
            partial(_step, is_empty=lambda values: not values.any()),
            "Values that are 0 are values, too, and their mean is 0. Whether a level has any, "
            "their number says: counts > 0.",
        ),
        Misconception(
            "keeps a level that has one value only",
            partial(_step, is_empty=lambda values: len(values) < 2),
            "One value has a mean, too: itself. Only a level without any stays where it is.",
        ),
        *(
            Misconception(
                "moves an empty level to where values are",
                partial(_step, empty=empty),
                "Libraries do that, and labkit.codebooks.kmeans does. In (2) a level without "
                "values stays where it is.",
            )
            for empty in (_farthest, lambda level, x, levels: x.mean(), _outermost)
        ),
        Misconception("takes the median", partial(_step, middle=_upper), _MEDIAN),
        Misconception("takes the median", partial(_step, middle=torch.median), _MEDIAN),
        Misconception("takes the median", partial(_step, middle=_halfway), _MEDIAN),
        Misconception(
            "takes the middle between the smallest and the largest",
            partial(_step, middle=lambda values: (values.min() + values.max()) / 2),
            "All values of a cluster count: their mean, not the middle of their range.",
        ),
        Misconception(
            "adds up the values of a cluster",
            partial(_step, middle=torch.sum),
            "The middle is the mean: divide the sum by how many values the cluster has.",
        ),
        Misconception(
            "divides all sums by the number of values",
            _of_all,
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
        Misconception(
            "lets the old level count as a value",
            _with_the_old,
            "The mean is that of the values of the cluster alone. The old level counts only where "
            "there are none.",
        ),
        Misconception(
            "assigns the values as on a uniform grid",
            partial(_step, coded=on_a_grid),
            "The levels lie anywhere: 6.1's assign_codes finds the nearest.",
        ),
        Misconception(
            "gives a value the level above it",
            partial(_step, coded=above),
            "A value belongs to the nearest level, above or below: 6.1's assign_codes.",
        ),
        Misconception(
            "takes steps until nothing changes",
            _to_the_end,
            "One step is asked for: codes once, means once. The lab repeats it.",
        ),
        Misconception(
            "takes two steps",
            lambda x, levels: lloyd_step(x, lloyd_step(x, levels)),
            "One step is asked for: codes once, means once. The lab repeats it.",
        ),
        Misconception(
            "gives a value the level below it",
            partial(_step, coded=below),
            "A value belongs to the nearest level, above or below: 6.1's assign_codes.",
        ),
        Misconception(
            "returns what the values become instead of the levels",
            lambda x, levels: lloyd_step(x, levels)[assign_codes(x, levels)],
            "k levels come in, k go out, whatever the shape of x.",
        ),
    ),
    minutes=(10, 15),
)
