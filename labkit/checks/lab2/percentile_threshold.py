"""Exercise 2.4: a percentile, from counts."""

import math

import numpy as np
import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.lab2.draws import short
from labkit.checks.rules import Rule

ROUNDING = 1e-12  # much more than that of float64, and much less than one of any counts


def percentile_threshold(values: Tensor, counts: Tensor, percent: float) -> float:
    """Return the smallest value that at least `percent` percent of all counted do not exceed.

    What is missing by the rounding of `percent` alone is not missing: 7 / 100 * 100 is more than 7.
    """
    up_to = counts.double().cumsum(0)
    share = percent / 100 * (1 - ROUNDING)
    return float(values[torch.searchsorted(up_to, share * up_to[-1])])


def _percentile_cases(rng: torch.Generator) -> list[Case]:
    def drawn(size: int, high: int, rare: int = 0) -> tuple[Tensor, Tensor]:
        """Return values and counts, of which the last `rare` are 1."""
        values, counts = torch.rand(size, generator=rng).cumsum(0), whole(rng, 1, high, size)
        counts[size - rare :] = 1
        # A total that ends in 7 has no whole number at 90, 25, 97.5 or 99.9 percent of it: there
        # rounding could decide.
        counts[0] += (7 - int(counts.sum())) % 10
        return values, counts

    def few(*counts: int) -> tuple[Tensor, Tensor]:
        values = short(rng, 0.1, 0.9, len(counts)).cumsum(0)
        values[0] = 0.0
        return values, torch.tensor(counts) * whole(rng, 1, 4)

    # After 2^24 values float32 does not see a single one more, and 40 of them decide.
    many = torch.tensor([2**24, *[1] * 40, 100, 60])
    ascending = torch.rand(len(many), generator=rng).cumsum(0)
    values, counts = few(30, 40, 20, 6, 1)
    values[-1] *= 50
    return [
        Case("one value", (short(rng, 0.1, 0.9, 1), whole(rng, 1, 9, 1), 90)),
        Case("half of six", (*few(1, 3, 1, 1), 50)),
        Case("exactly half reaches", (*few(2, 2, 3, 1), 50)),
        # Shares of these in float32 add up to less than 1, or to less than 100 percent.
        Case("all of them", (*few(9, 18, 2), 100)),
        Case("all of them, in four values", (*few(34, 13, 5, 1), 100)),
        Case("all of them, the largest never seen", (*few(7, 9, 3, 0), 100)),
        Case("each value once", (short(rng, 0.1, 0.9, 7).cumsum(0), torch.ones(7).long(), 60)),
        Case("a count of 0", (*few(5, 0, 1, 1), 80)),
        Case("an outlier", (values, counts, 97.5)),
        Case("most values are 0, as after a ReLU", (*few(91, 4, 3, 1), 90)),
        Case("drawn at random, 90 percent", (*drawn(30, 50), 90)),
        Case("25 percent", (*drawn(30, 50), 25)),
        Case("97.5 percent", (*drawn(300, 20), 97.5)),
        Case("99.9 percent", (*drawn(300, 99, rare=8), 99.9)),
        Case("more values than float32 counts", (ascending, many, 100 - 8e3 / 2**24)),
    ]


def _each_once(values: Tensor, counts: Tensor, percent: float) -> float:
    return percentile_threshold(values, torch.ones_like(counts), percent)


def _in_float32(values: Tensor, counts: Tensor, percent: float) -> float:
    up_to = np.cumsum(counts.numpy().astype(np.float32))  # torch's cumsum adds in float64
    return float(values[int((up_to >= percent / 100 * int(counts.sum())).argmax())])


def _next(values: Tensor, counts: Tensor, percent: float) -> float:
    return float(values[min(_place(values, counts, percent) + 1, len(values) - 1)])


def _interpolated(values: Tensor, counts: Tensor, percent: float) -> float:
    rank = percent / 100 * (int(counts.sum()) - 1)
    below, above = (_value_at(values, counts, int(r)) for r in (rank, math.ceil(rank)))
    return below + (rank % 1) * (above - below)


def _between_counts(values: Tensor, counts: Tensor, percent: float) -> float:
    up_to = counts.double().cumsum(0)
    share = percent / 100 * float(up_to[-1])
    return float(np.interp(share, up_to.numpy(), values.double().numpy()))


def _rank_rounded_down(values: Tensor, counts: Tensor, percent: float) -> float:
    return _value_at(values, counts, max(int(percent / 100 * int(counts.sum())) - 1, 0))


def _value_at(values: Tensor, counts: Tensor, rank: int) -> float:
    """Return the value at place `rank` of all that were counted, 0 for the smallest."""
    return float(values[torch.searchsorted(counts.cumsum(0), rank, right=True)])


def _place(values: Tensor, counts: Tensor, percent: float) -> int:
    up_to = counts.double().cumsum(0)
    return int(torch.searchsorted(up_to, percent / 100 * up_to[-1]))


def _before(values: Tensor, counts: Tensor, percent: float) -> float:
    return float(values[max(_place(values, counts, percent) - 1, 0)])


def _reached(values: Tensor, counts: Tensor, least: float) -> float:
    up_to = counts.cumsum(0)
    return float(values[int((up_to >= least).double().argmax())])


def _reached_share(values: Tensor, counts: Tensor, least: float) -> float:
    shares = (counts.float() / counts.sum()).cumsum(0)
    return float(values[int((shares >= least).double().argmax())])


def _more_than(values: Tensor, counts: Tensor, percent: float) -> float:
    up_to = counts.cumsum(0)
    above = up_to > percent / 100 * int(counts.sum())
    return float(values[int(above.double().argmax()) if above.any() else -1])


PERCENTILE_THRESHOLD = Exercise(
    id="2.4",
    title="A percentile",
    points=2,
    minutes=(6, 9),
    reference=percentile_threshold,
    cases=_percentile_cases,
    rules=(Rule(relative=1e-4, absolute=1e-7),),
    hints=(
        "Walk through the values from the smallest on and add up their counts. When may you stop?",
        "counts.cumsum(0) says how many values do not exceed each one. You look for the first "
        "place where it reaches percent / 100 * counts.sum().",
        "up_to = counts.cumsum(0).double(); reached = 100 * up_to >= percent * up_to[-1]; return "
        "values[reached][0].item().",
    ),
    misconceptions=(
        Misconception(
            "ignores the counts",
            _each_once,
            "A value that was seen 40 times is 40 values: add up counts, not places.",
        ),
        Misconception(
            "takes a share of the largest value",
            lambda values, counts, percent: float(values[-1]) * percent / 100,
            "One outlier would still decide everything. A percentile counts values.",
        ),
        Misconception(
            "clips the small values instead of the large ones",
            lambda values, counts, percent: percentile_threshold(
                values, counts, max(100 - percent, 1e-9)
            ),
            "`percent` is the share that stays inside, not the share that is clipped.",
        ),
        Misconception(
            "goes one value too far",
            _next,
            "Stop at the first value where the count reaches the share, not at the next one.",
        ),
        Misconception(
            "stops one value too early",
            _before,
            "The value that brings the count up to the share is the threshold itself: it must not "
            "be clipped.",
        ),
        Misconception(
            "interpolates between two values",
            _between_counts,
            "torch.quantile and numpy.percentile do that unless told otherwise. The threshold is "
            "one of the values: the first that the share is reached at.",
        ),
        Misconception(
            "interpolates between two values",
            _interpolated,
            "torch.quantile and numpy.percentile do that unless told otherwise. The threshold is "
            "one of the values: the first that the share is reached at.",
        ),
        Misconception(
            "interpolates between two values, and ignores the counts",
            lambda values, counts, percent: float(torch.quantile(values, percent / 100)),
            "A value that was seen 40 times is 40 values, and the threshold is one of the values.",
        ),
        Misconception(
            "rounds the number of values inside down",
            _rank_rounded_down,
            "At least `percent` percent must be inside: 60 percent of 7 values are 5 values, not "
            "4.",
        ),
        Misconception(
            "adds the counts up in float32",
            _in_float32,
            "float32 counts by one up to 2^24, and calibration sees more values. Add integers: "
            "counts.cumsum(0).",
        ),
        Misconception(
            "adds up shares in float32",
            lambda values, counts, percent: _reached_share(values, counts, percent / 100),
            "Rounded shares need not add up to 1: at 100 percent the last one may fall short of "
            "it. Add up the counts, which are whole, and compare with percent / 100 * total.",
        ),
        Misconception(
            "returns the place of the value",
            _place,
            "Look up what stands there: values[place].",
        ),
        Misconception(
            "always returns the largest value",
            lambda values, counts, percent: float(values[-1]),
            "Only 100 percent asks for it. Is `percent` divided by 100?",
        ),
        Misconception(
            "takes the number of different values for the total",
            lambda values, counts, percent: _reached(values, counts, percent / 100 * len(values)),
            "`len(values)` says how many different values there are. Counted were counts.sum().",
        ),
        Misconception(
            "asks for more than the share, not for at least it",
            _more_than,
            '"At least" takes in equality: >=, not >.',
        ),
        Misconception(
            "weighs each value by its size",
            lambda values, counts, percent: percentile_threshold(values, counts * values, percent),
            "A large value is one value, too: add up the counts alone.",
        ),
    ),
)
