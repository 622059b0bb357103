"""Exercise 2.7: a histogram seen through a few levels."""

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


def _spread_over_empty(counts: Tensor, levels: int) -> Tensor:
    run = torch.arange(len(counts)) * levels // len(counts)
    total = torch.zeros(levels, dtype=torch.float64).index_add_(0, run, counts.double())
    return total[run] / torch.bincount(run, minlength=levels)[run]


def _share_of_all_bins(counts: Tensor, levels: int) -> Tensor:
    return _spread_over_empty(counts, levels) * (counts > 0)


def _not_shared(counts: Tensor, levels: int) -> Tensor:
    run = torch.arange(len(counts)) * levels // len(counts)
    total = torch.zeros(levels, dtype=torch.float64).index_add_(0, run, counts.double())
    return total[run] * (counts > 0)


def _rest_in_the_last(counts: Tensor, levels: int) -> Tensor:
    run = (torch.arange(len(counts)) // (len(counts) // levels)).clamp(max=levels - 1)
    return _spread(counts, run, levels)


def _wide_runs(counts: Tensor, levels: int) -> Tensor:
    width = -(-len(counts) // levels)
    return _spread(counts, torch.arange(len(counts)) // width, levels)


def _equal_parts(counts: Tensor, levels: int) -> Tensor:
    sizes = torch.tensor([len(part) for part in torch.arange(len(counts)).tensor_split(levels)])
    return _spread(counts, torch.arange(levels).repeat_interleave(sizes), levels)


def _one_level_more(counts: Tensor, levels: int) -> Tensor:
    run = torch.arange(len(counts)) // (len(counts) // levels)
    return _spread(counts, run, int(run.max()) + 1)


def _nearest_level(counts: Tensor, levels: int) -> Tensor:
    run = torch.round(torch.arange(len(counts)) * levels / len(counts)).long()
    return _spread(counts, run.clamp(max=levels - 1), levels)


def _dealt_out(counts: Tensor, levels: int) -> Tensor:
    return _spread(counts, torch.arange(len(counts)) % levels, levels)


def _full_share_for_all(counts: Tensor, levels: int) -> Tensor:
    run, filled = torch.arange(len(counts)) * levels // len(counts), counts > 0
    total = torch.zeros(levels, dtype=torch.float64).index_add_(0, run, counts.double())
    sharing = torch.zeros(levels, dtype=torch.float64).index_add_(0, run, filled.double())
    return (total / sharing.clamp(min=1))[run]


def _empty_levels_divided(counts: Tensor, levels: int) -> Tensor:
    run, filled = torch.arange(len(counts)) * levels // len(counts), counts > 0
    total = torch.zeros(levels, dtype=torch.float64).index_add_(0, run, counts.double())
    sharing = torch.zeros(levels, dtype=torch.float64).index_add_(0, run, filled.double())
    return (total / sharing)[run] * filled


def _early_borders(counts: Tensor, levels: int) -> Tensor:
    borders = [len(counts) * level // levels for level in range(levels + 1)]
    sizes = torch.tensor(borders).diff()
    return _spread(counts, torch.arange(levels).repeat_interleave(sizes), levels)


def _rest_dropped(counts: Tensor, levels: int) -> Tensor:
    full = len(counts) // levels * levels
    return torch.cat([merge_levels(counts[:full], levels), torch.zeros_like(counts[full:])])


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
            _spread_over_empty,
            "Bins that were empty stay empty, and only the others share: Q should not claim "
            "values where there are none.",
        ),
        Misconception(
            "divides by all bins of a level",
            _share_of_all_bins,
            "Then a level with an empty bin loses counts. Divide by how many of its bins are not "
            "empty.",
        ),
        Misconception(
            "gives every bin the total of its level",
            _not_shared,
            "The bins of a level share its total: together they must still add up to it.",
        ),
        Misconception(
            "gives every level n // levels bins and the last one the rest",
            _rest_in_the_last,
            "The last level would be longer than all others. Bin k belongs to the level "
            "k * levels // n.",
        ),
        Misconception(
            "gives every level n / levels bins, rounded up",
            _wide_runs,
            "The last levels then get too few bins or none. Bin k belongs to the level "
            "k * levels // n.",
        ),
        Misconception(
            "makes the first levels longer",
            _equal_parts,
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
            _one_level_more,
            "There are `levels` levels, and no more. Bin k belongs to the level k * levels // n.",
        ),
        Misconception(
            "rounds to the nearest level",
            _nearest_level,
            "Bin k belongs to the level k * levels / n rounded down: use //.",
        ),
        Misconception(
            "deals the bins out in turn",
            _dealt_out,
            "A level is made of neighbours: bin k belongs to the level k * levels // n.",
        ),
        Misconception(
            "gives an empty bin the same share as its neighbours",
            _full_share_for_all,
            "Bins that were empty stay empty: multiply by counts > 0.",
        ),
        Misconception(
            "divides by 0 where a whole level is empty",
            _empty_levels_divided,
            "0 / 0 is NaN. A level without values has nothing to share: leave its bins at 0.",
        ),
        Misconception(
            "puts the borders between levels one bin too early",
            _early_borders,
            "Bin k belongs to level k * levels // n: a border that falls inside of a bin leaves "
            "this bin to the level below it.",
        ),
        Misconception(
            "gives every level n // levels bins and drops the rest",
            _rest_dropped,
            "The bins at the end belong to the last levels: bin k belongs to the level k * "
            "levels // n.",
        ),
    ),
)
