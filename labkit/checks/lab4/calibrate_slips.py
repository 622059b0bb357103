"""Slips in calibrating a whole network, for exercise 4.3."""

from functools import partial

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.grids import as_powers
from labkit.checks.lab4.calibrate_parts import (
    as_they_are,
    averages,
    calibrated,
    input_alone,
    moving,
    of_weights,
    quantile,
    symmetric,
    within,
)

WIDEN = "0.0 must have a code in every tensor: low = min(low, 0), high = max(high, 0)."
MIN_MAX = (
    "Some values then lie outside the range. Here it is min-max: keep the smallest and the largest "
    "of all batches."
)
MOVING = (
    "Observers for training do that, where the network changes meanwhile. Here it is min-max: keep "
    "the smallest and the largest of all batches, torch.minimum(low, x.min())."
)
KEEP = "Ranges grow from batch to batch: keep the smallest and the largest of all."
SMALLEST = "The smallest value gets the code 0: zero_point = round(-low / scale)."
SECOND_ROW = "Activations have the codes 0 to 255 and a zero point of their own: 4.2, second row."


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "observes the sums before the ReLU",
        partial(calibrated, observed=lambda sums, result: sums),
        "The integer layer clamps to what comes after the ReLU: codes for negative sums would "
        "never be used.",
    ),
    Misconception(
        "puts a ReLU after the last layer",
        partial(calibrated, is_activated=lambda number, count: True),
        "Logits may be negative: the last layer has no ReLU.",
    ),
    Misconception(
        "leaves the biases out",
        partial(calibrated, biased=lambda sums, bias: sums),
        "A layer puts out x @ weight.t() + bias.",
    ),
    Misconception(
        "subtracts the biases",
        partial(calibrated, biased=torch.sub),
        "A layer puts out x @ weight.t() + bias: the bias is added.",
    ),
    Misconception(
        "looks at the last batch only",
        partial(calibrated, chosen=lambda batches: batches[-1:]),
        KEEP,
    ),
    Misconception(
        "looks at the first batch only",
        partial(calibrated, chosen=lambda batches: batches[:1]),
        "Go through all batches before you choose a scale.",
    ),
    Misconception(
        "leaves the last batch out",
        partial(calibrated, chosen=lambda batches: batches[:-1] or batches),
        "Go through all batches, the last one as well, before you choose a scale.",
    ),
    Misconception(
        "averages the extremes of the batches",
        partial(calibrated, lowest=lambda lows: lows.mean(0), highest=lambda highs: highs.mean(0)),
        MIN_MAX,
    ),
    Misconception(
        "keeps a moving average of the extremes",
        partial(
            calibrated,
            lowest=partial(moving, momentum=0.9),
            highest=partial(moving, momentum=0.9),
        ),
        MOVING,
    ),
    Misconception(
        "keeps the extremes that are nearest to 0",
        partial(calibrated, lowest=lambda lows: lows.amax(0), highest=lambda highs: highs.amin(0)),
        "Over batches the smallest minimum and the largest maximum count: nothing seen may be "
        "clipped.",
    ),
    Misconception(
        "does not widen the ranges to contain 0",
        partial(calibrated, widened=as_they_are, limited=within),
        WIDEN,
    ),
    Misconception(
        "does not widen the ranges, so that zero points leave the codes",
        partial(calibrated, widened=as_they_are),
        WIDEN,
    ),
    Misconception(
        "widens the ranges below 0 only",
        partial(calibrated, widened=lambda low, high: (low.clamp(max=0), high)),
        "A tensor may also lie below 0 as a whole: high = max(high, 0), too.",
    ),
    Misconception(
        "widens the ranges above 0 only",
        partial(calibrated, widened=lambda low, high: (low, high.clamp(min=0))),
        "A tensor may also lie above 0 as a whole: low = min(low, 0), too.",
    ),
    Misconception(
        "widens the range of the input only",
        partial(calibrated, widened=input_alone, limited=within),
        "0.0 must have a code in every tensor, those between the layers and the result included: "
        "start low and high at 0.0.",
    ),
    Misconception(
        "leaves the ReLUs out",
        partial(calibrated, is_activated=lambda number, count: False),
        "What the next layer reads is what comes out of the ReLU.",
    ),
    Misconception(
        "puts a ReLU before the first layer",
        partial(calibrated, entered=torch.relu),
        "The input is observed, and multiplied, as it comes: the first ReLU is that of the first "
        "layer.",
    ),
    Misconception(
        "puts a ReLU after the first layer only",
        partial(calibrated, is_activated=lambda number, count: number == 1 < count),
        "Every layer but the last has a ReLU.",
    ),
    Misconception(
        "has the sign of the zero points turned round",
        partial(calibrated, turn=lambda places: -torch.round(places)),
        SMALLEST,
    ),
    Misconception(
        "counts the zero points from the largest value",
        partial(calibrated, place=lambda low, high, scale: high / scale),
        SMALLEST,
    ),
    Misconception(
        "does not divide by the scale for the zero points",
        partial(calibrated, place=lambda low, high, scale: -low),
        "A zero point counts steps: round(-low / scale).",
    ),
    Misconception(
        "cuts the zero points off instead of rounding them",
        partial(calibrated, turn=torch.floor),
        "Converting to an integer dtype goes to the code below: torch.round first.",
    ),
    Misconception(
        "rounds the zero points up",
        partial(calibrated, turn=torch.ceil),
        "The code of 0.0 is the nearest one: torch.round.",
    ),
    Misconception(
        "leaves the zero points real",
        partial(calibrated, turn=lambda places: places, ended=lambda zero_points: zero_points),
        "A zero point is a code: torch.round(-low / scale), and an integer dtype.",
    ),
    Misconception(
        "keeps the zero points as int8",
        partial(calibrated, ended=lambda zero_points: zero_points.long().char()),
        "The codes are 0 to 255, and int8 ends at 127: 163 becomes -93. Use torch.int64.",
    ),
    Misconception(
        "keeps the zero points within 127",
        partial(calibrated, limited=lambda zero_points: zero_points.clamp(-128, 127)),
        "The codes are 0 to 255 here, and so are the zero points.",
    ),
    Misconception(
        "makes the grids symmetric",
        partial(calibrated, widened=symmetric, steps=254, place=lambda low, high, scale: 0 * scale),
        SECOND_ROW,
    ),
    Misconception(
        "spreads the codes around 0, which has the code 128",
        partial(
            calibrated,
            widened=symmetric,
            place=lambda low, high, scale: torch.full_like(low, 128),
        ),
        "Each tensor has a range of its own, from its smallest to its largest value: scale = "
        "(high - low) / 255, zero_point = round(-low / scale).",
    ),
    Misconception(
        "spreads the codes around 0",
        partial(calibrated, widened=symmetric),
        "Each tensor has a range of its own, from its smallest to its largest value: scale = "
        "(high - low) / 255.",
    ),
    Misconception(
        "uses signed codes",
        partial(calibrated, limited=lambda zero_points: zero_points - 128),
        "The codes run from 0 to 255 here: 4.2, second row.",
    ),
    Misconception(
        "divides the ranges by 256",
        partial(calibrated, steps=256),
        "256 codes have 255 steps between them.",
    ),
    Misconception(
        "divides the ranges by 127",
        partial(calibrated, steps=127),
        "The codes are 0 to 255, with 255 steps between them.",
    ),
    Misconception(
        "averages the extremes of the batches",
        partial(
            calibrated,
            lowest=lambda lows: lows.clamp(max=0).mean(0),
            highest=lambda highs: highs.clamp(min=0).mean(0),
        ),
        MIN_MAX,
    ),
    *(
        Misconception(
            "keeps a moving average of the extremes",
            partial(calibrated, lowest=lowest, highest=highest),
            MOVING,
        )
        for lowest, highest in averages()
    ),
    Misconception(
        "clips at 6, as ReLU6 does",
        partial(calibrated, activated=torch.nn.functional.relu6),
        "These layers end with ReLU, which has no upper end: x.relu().",
    ),
    Misconception(
        "starts all ranges at 0",
        partial(calibrated, widened=lambda low, high: (0 * low, high.clamp(min=0))),
        "That holds after a ReLU. The input and the logits may be negative: low = min(low, 0).",
    ),
    *(
        Misconception(
            "leaves the outermost values out",
            partial(
                calibrated,
                chosen=lambda batches: [torch.cat(list(batches))],
                smallest=partial(quantile, share=1 - share),
                largest=partial(quantile, share=share),
            ),
            "That is a percentile (lab 2). Here it is min-max: nothing that was seen is clipped.",
        )
        for share in (0.99, 0.999, 0.9999, 0.995, 0.95)
    ),
    Misconception(
        "takes three standard deviations on both sides of the mean",
        partial(
            calibrated,
            smallest=lambda x: x.mean() - 3 * x.std(),
            largest=lambda x: x.mean() + 3 * x.std(),
        ),
        "Values may lie beyond them, or end before. Here it is min-max: the smallest and the "
        "largest value.",
    ),
    Misconception(
        "observes the weights instead of what the layers put out",
        of_weights,
        "A layer's result needs the grid, whose range depends on inputs and biases as well: "
        "observe x @ weight.t() + bias, after its ReLU.",
    ),
    *(
        Misconception(
            "makes the scales powers of two",
            partial(calibrated, scaled=as_powers(turn)),
            "A chip that only shifts wants them. Here the scale is (high - low) / 255, as it is.",
        )
        for turn in (torch.ceil, torch.round)
    ),
)
