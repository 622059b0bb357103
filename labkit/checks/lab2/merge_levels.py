"""Exercise 2.7: a histogram seen through a few levels."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.rules import Rule


def merge_levels(counts: Tensor, levels: int) -> Tensor:
    """Return each bin's share of its run's count, the filled bins of a run sharing evenly."""
    return _spread(counts, torch.arange(len(counts)) * levels // len(counts), levels)


def _spread(counts: Tensor, run: Tensor, levels: int) -> Tensor:
    filled = counts > 0
    total = torch.zeros(levels, dtype=torch.float64).index_add_(0, run, counts.double())
    sharing = torch.zeros(levels, dtype=torch.float64).index_add_(0, run, filled.double())
    return filled * total[run] / sharing[run].clamp(min=1)


def _merge_cases(rng: torch.Generator) -> list[Case]:
    def counts(size: int, *empty: int) -> Tensor:
        drawn = whole(rng, 1, 30, size).float()
        drawn[list(empty)] = 0
        return drawn

    sparse = counts(24) * (torch.rand(24, generator=rng) < 0.5)
    return [
        Case("two bins a level", (counts(4), 2)),
        Case("an empty bin stays empty", (counts(4, 1), 2)),
        Case("an empty level", (counts(6, 2, 3), 3)),
        Case("as many levels as bins", (counts(3, 1), 3)),
        Case("one level for all", (counts(4, 1), 1)),
        Case("5 bins in 2 levels", (counts(5), 2)),
        Case("7 bins in 4 levels", (counts(7), 4)),
        Case("24 bins, half of them empty", (sparse, 6)),
        Case("nearly as many levels as bins", (counts(20, 4), 17)),
        Case("60 bins in 16 levels", (counts(60, 7, 30), 16)),
    ]


def _borders(counts: int, levels: int) -> Tensor:
    return torch.arange(counts) * levels // counts


def _shared(total: Tensor, sharing: Tensor) -> Tensor:
    return total / sharing.clamp(min=1)


def _merged(
    counts: Tensor,
    levels: int,
    *,
    run: Callable[[int, int], Tensor] = _borders,
    sharing: Callable[[Tensor], Tensor] = lambda counts: counts > 0,
    share: Callable[[Tensor, Tensor], Tensor] = _shared,
    filled: Callable[[Tensor], Tensor] = lambda counts: counts > 0,
) -> Tensor:
    """Return the histogram of a few levels, of which any part may be another one."""
    level = run(len(counts), levels)
    empty = torch.zeros(max(levels, int(level.max()) + 1), dtype=torch.float64)
    total = empty.index_add(0, level, counts.double())
    number = empty.index_add(0, level, sharing(counts).double())
    return torch.where(filled(counts), share(total, number)[level], 0.0)


def _equal_parts(counts: int, levels: int) -> Tensor:
    sizes = torch.tensor([len(part) for part in torch.arange(counts).tensor_split(levels)])
    return torch.arange(levels).repeat_interleave(sizes)


def _early_borders(counts: int, levels: int) -> Tensor:
    borders = torch.tensor([counts * level // levels for level in range(levels + 1)])
    return torch.arange(levels).repeat_interleave(borders.diff())


def _nearest(counts: int, levels: int) -> Tensor:
    return torch.round(torch.arange(counts) * levels / counts).long().clamp(max=levels - 1)


def _rest_dropped(counts: Tensor, levels: int) -> Tensor:
    full = len(counts) // levels * levels
    return torch.cat([merge_levels(counts[:full], levels), torch.zeros_like(counts[full:])])


def _nan_of_nothing(counts: Tensor, levels: int) -> Tensor:
    ratio = _merged(counts, levels, share=lambda total, sharing: total / sharing)
    level = _borders(len(counts), levels)
    empty = torch.zeros(levels, dtype=torch.float64).index_add(0, level, counts.double()) == 0
    return torch.where(empty[level], torch.nan, ratio)


MERGE_LEVELS = Exercise(
    id="2.7",
    title="A histogram through a few levels",
    points=3,
    minutes=(8, 12),
    extra=True,
    reference=merge_levels,
    cases=_merge_cases,
    rules=(Rule(relative=1e-4, absolute=1e-6),),
    hints=(
        "Write the number of the level under each bin first: 0, 0, 1, 1 for four bins and two "
        "levels. Which values do the bins of one level share?",
        "level = torch.arange(n) * levels // n. For each level: its total, and how many of its "
        "bins are not empty. A bin that is not empty gets total / that number, an empty one 0.",
        "total = torch.bincount(level, weights=counts, minlength=levels), sharing the same with "
        "weights=counts > 0; return torch.where(counts > 0, total[level] / sharing[level], 0.0). A "
        "loop over the levels is right, too, but slow in the contest at the end.",
    ),
    misconceptions=(
        Misconception(
            "gives counts to empty bins",
            partial(_merged, sharing=torch.ones_like, filled=lambda counts: counts >= 0),
            "Bins that were empty stay empty, and only the others share: Q should not claim "
            "values where there are none.",
        ),
        Misconception(
            "divides by all bins of a level",
            partial(_merged, sharing=torch.ones_like),
            "Then a level with an empty bin loses counts. Divide by how many of its bins are not "
            "empty.",
        ),
        Misconception(
            "gives every bin the total of its level",
            partial(_merged, share=lambda total, sharing: total),
            "The bins of a level share its total: together they must still add up to it.",
        ),
        Misconception(
            "gives every level n // levels bins and the last one the rest",
            partial(
                _merged,
                run=lambda n, levels: (torch.arange(n) // (n // levels)).clamp(max=levels - 1),
            ),
            "The last level would be longer than all others. Bin k belongs to the level "
            "k * levels // n.",
        ),
        Misconception(
            "gives every level n / levels bins, rounded up",
            partial(_merged, run=lambda n, levels: torch.arange(n) // -(-n // levels)),
            "The last levels then get too few bins or none. Bin k belongs to the level "
            "k * levels // n.",
        ),
        Misconception(
            "makes the first levels longer",
            partial(_merged, run=_equal_parts),
            "torch.tensor_split and numpy.array_split give the bins left over to the first "
            "levels. Here bin k belongs to the level k * levels // n.",
        ),
        Misconception(
            "leaves the counts as they are",
            lambda counts, levels: counts,
            "Within a level all bins that are not empty become alike.",
        ),
        Misconception(
            "gives every level n // levels bins and makes one level more of the rest",
            partial(_merged, run=lambda n, levels: torch.arange(n) // (n // levels)),
            "There are `levels` levels, and no more. Bin k belongs to the level k * levels // n.",
        ),
        Misconception(
            "rounds to the nearest level",
            partial(_merged, run=_nearest),
            "Bin k belongs to the level k * levels / n rounded down: use //.",
        ),
        Misconception(
            "deals the bins out in turn",
            partial(_merged, run=lambda n, levels: torch.arange(n) % levels),
            "A level is made of neighbours: bin k belongs to the level k * levels // n.",
        ),
        Misconception(
            "gives an empty bin the same share as its neighbours",
            partial(_merged, filled=lambda counts: counts >= 0),
            "Bins that were empty stay empty: multiply by counts > 0.",
        ),
        Misconception(
            "divides by 0 where a whole level is empty",
            _nan_of_nothing,
            "0 / 0 is NaN. A level without values has nothing to share: leave its bins at 0.",
        ),
        Misconception(
            "puts the borders between levels one bin too early",
            partial(_merged, run=_early_borders),
            "Bin k belongs to level k * levels // n: a border that falls inside of a bin leaves "
            "this bin to the level below it.",
        ),
        Misconception(
            "divides in whole numbers",
            partial(_merged, share=lambda total, sharing: total // sharing.clamp(min=1)),
            "The shares of a total are real numbers: / instead of //, or counts are lost.",
        ),
        Misconception(
            "rounds the shares",
            partial(_merged, share=lambda total, sharing: _shared(total, sharing).round()),
            "The shares of a total are real numbers, or counts are lost or won.",
        ),
        Misconception(
            "takes the mean of a level's bins for its total",
            partial(_merged, share=lambda total, sharing: total / sharing.clamp(min=1) ** 2),
            "The total is shared once: total / number of bins that are not empty.",
        ),
        Misconception(
            "gives every level n // levels bins and drops the rest",
            _rest_dropped,
            "The bins at the end belong to the last levels: bin k belongs to the level k * "
            "levels // n.",
        ),
    ),
)
