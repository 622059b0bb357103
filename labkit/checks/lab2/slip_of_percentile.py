"""Exercise 2.12: which slip gave this threshold."""

import torch
from torch import Tensor

from labkit.checks.inputs import uniform
from labkit.checks.lab2.percentile_threshold import PERCENTILE_THRESHOLD, percentile_threshold
from labkit.checks.slip_names import likeliest, name_the_slip

WRONG = {mistake.name: mistake.wrong for mistake in PERCENTILE_THRESHOLD.misconceptions}
DIGITS = 6  # 0.9, which no float32 is, for the float32 next to it
SLIPS = {
    "right": percentile_threshold,
    "counts ignored": WRONG["ignores the counts"],
    "share of the largest": WRONG["takes a share of the largest value"],
    "small end clipped": WRONG["clips the small values instead of the large ones"],
    "one value too far": WRONG["goes one value too far"],
    "place, not value": WRONG["returns the place of the value"],
}


def slip_of_percentile(values: Tensor, counts: Tensor, percent: float, threshold: float) -> str:
    """Return the name of the slip that gives `threshold`, by trying all of them."""
    return likeliest(SLIPS, (values, counts, percent), threshold)


def _inputs(rng: torch.Generator) -> tuple[Tensor, Tensor, float]:
    values = (0.1 + torch.rand(12, generator=rng)).cumsum(0).mul(100).round() / 100
    # Where large values are rare, counts that are ignored give too much, and else too little.
    trend = torch.linspace(1.4, 0.6, 12)
    trend = trend.flip(0) if uniform(rng, 0, 1) < 0.5 else trend
    counts = (60 * torch.rand(12, generator=rng) * trend).long() + 1
    counts[0] += (7 - int(counts.sum())) % 10
    percent = uniform(rng, 71, 94)
    if uniform(rng, 0, 1) < 0.5:  # beside the share of a value, where a slip of one step shows
        shares = 100 * counts.cumsum(0) / counts.sum()
        nearest = float(shares[(shares - percent).abs().argmin()])
        percent = min(max(nearest + uniform(rng, -0.7, 0.7), 71.0), 94.0)
    # An odd number of twentieths of an odd number of values: never a whole number of them.
    return values, counts, round(percent, 1) + 0.05


SLIP_OF_PERCENTILE = name_the_slip(
    id="2.12",
    title="Name the slip",
    minutes=(10, 15),
    reference=slip_of_percentile,
    slips=SLIPS,
    inputs=_inputs,
    given=lambda threshold: round(float(threshold), DIGITS),
    hints=(
        "How many percent of all that was counted do not exceed the threshold? And of the values, "
        "each taken once?",
        "A threshold that is none of the values is a share of the largest, or a place. A right one "
        "covers at least `percent`, and the value below it does not.",
        "Write each slip in a line: percentile_threshold(values, torch.ones_like(counts), percent) "
        "ignores the counts; ... 100 - percent clips the small end; the next value after the right "
        "one; float(values[-1]) * percent / 100. Return the name of the one that is equal, to "
        "1e-3: 0.9 as a float32 is not quite 0.9.",
    ),
    confusions=(
        (
            "one value too far",
            "right",
            "It covers enough, but so does the value before it: a percentile is the smallest.",
        ),
        (
            "place, not value",
            "share of the largest",
            "A place is a whole number, which a share of the largest value hardly ever is.",
        ),
        (
            "counts ignored",
            "one value too far",
            "Compute the percentile of the values, each taken once, and compare.",
        ),
    ),
    signs={
        "right": "A right threshold is one of the values: at least `percent` percent lie at or "
        "below it, and fewer at or below the value before.",
        "counts ignored": "With counts ignored it is the percentile of the values, each taken "
        "once: it may lie above or below the right one.",
        "share of the largest": "A share of the largest is percent / 100 * values[-1], and none "
        "of the values. It is a product of real numbers: compare with "
        "math.isclose(..., rel_tol=1e-5), not ==.",
        "small end clipped": "With the small end clipped it is the percentile of 100 - percent, "
        "one of the small values.",
        "one value too far": "One value too far is the value that follows the right one, no other "
        "one above it.",
        "place, not value": "A place is a whole number from 0 to 11, whatever the values are; it "
        "may lie above or below the right threshold.",
    },
)
