"""Slips in calibrating a whole network, for exercise 4.3."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception

Layers = Sequence[tuple[Tensor, Tensor]]
Turn = Callable[[Tensor], Tensor]
Ends = tuple[Tensor, Tensor]


def _calibrated(
    layers: Layers,
    batches: Sequence[Tensor],
    *,
    chosen: Callable[[Sequence[Tensor]], Sequence[Tensor]] = lambda batches: batches,
    entered: Turn = lambda x: x,
    weighed: Callable[[Tensor, Tensor], Tensor] = lambda x, weight: x @ weight.t(),
    biased: Callable[[Tensor, Tensor], Tensor] = torch.add,
    is_activated: Callable[[int, int], bool] = lambda number, count: number < count,
    observed: Callable[[Tensor, Tensor], Tensor] = lambda sums, result: result,
    lowest: Turn = lambda lows: lows.amin(0),
    highest: Turn = lambda highs: highs.amax(0),
    widened: Callable[[Tensor, Tensor], Ends] = lambda low, high: (
        low.clamp(max=0),
        high.clamp(min=0),
    ),
    steps: int = 255,
    place: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda low, high, scale: -low / scale,
    turn: Turn = torch.round,
    limited: Turn = lambda zero_points: zero_points,
    ended: Turn = lambda zero_points: zero_points.to(torch.int64),
) -> Ends:
    """Return scales and zero points, of which any part may be another one."""
    lows, highs = [], []
    for batch in chosen(batches):
        x = entered(batch)
        seen = [observed(batch, x)]
        for number, (weight, bias) in enumerate(layers, 1):
            sums = biased(weighed(x, weight), bias)
            x = sums.relu() if is_activated(number, len(layers)) else sums
            seen.append(observed(sums, x))
        lows.append(torch.stack([tensor.min() for tensor in seen]))
        highs.append(torch.stack([tensor.max() for tensor in seen]))
    low, high = widened(lowest(torch.stack(lows)), highest(torch.stack(highs)))
    scale = (high - low) / steps
    return scale, ended(limited(turn(place(low, high, scale))))


def _as_they_are(low: Tensor, high: Tensor) -> Ends:
    return low, high


def _input_alone(low: Tensor, high: Tensor) -> Ends:
    return torch.cat([low[:1].clamp(max=0), low[1:]]), torch.cat([high[:1].clamp(min=0), high[1:]])


def _symmetric(low: Tensor, high: Tensor) -> Ends:
    largest = torch.maximum(-low, high)
    return -largest, largest


def _moving(ends: Tensor) -> Tensor:
    kept = ends[0]
    for new in ends[1:]:
        kept = 0.9 * kept + 0.1 * new
    return kept


def _within(zero_points: Tensor) -> Tensor:
    return zero_points.clamp(0, 255)


WIDEN = "0.0 must have a code in every tensor: low = min(low, 0), high = max(high, 0)."
MIN_MAX = (
    "Some values then lie outside the range. Here it is min-max: keep the smallest and the largest "
    "of all batches."
)
KEEP = "Ranges grow from batch to batch: keep the smallest and the largest of all."
SMALLEST = "The smallest value gets the code 0: zero_point = round(-low / scale)."
SECOND_ROW = "Activations have the codes 0 to 255 and a zero point of their own: 4.2, second row."


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "observes the sums before the ReLU",
        partial(_calibrated, observed=lambda sums, result: sums),
        "The integer layer clamps to what comes after the ReLU: codes for negative sums would "
        "never be used.",
    ),
    Misconception(
        "puts a ReLU after the last layer",
        partial(_calibrated, is_activated=lambda number, count: True),
        "Logits may be negative: the last layer has no ReLU.",
    ),
    Misconception(
        "leaves the biases out",
        partial(_calibrated, biased=lambda sums, bias: sums),
        "A layer puts out x @ weight.t() + bias.",
    ),
    Misconception(
        "subtracts the biases",
        partial(_calibrated, biased=torch.sub),
        "A layer puts out x @ weight.t() + bias: the bias is added.",
    ),
    Misconception(
        "looks at the last batch only",
        partial(_calibrated, chosen=lambda batches: batches[-1:]),
        KEEP,
    ),
    Misconception(
        "looks at the first batch only",
        partial(_calibrated, chosen=lambda batches: batches[:1]),
        "Go through all batches before you choose a scale.",
    ),
    Misconception(
        "leaves the last batch out",
        partial(_calibrated, chosen=lambda batches: batches[:-1] or batches),
        "Go through all batches, the last one as well, before you choose a scale.",
    ),
    Misconception(
        "averages the extremes of the batches",
        partial(_calibrated, lowest=lambda lows: lows.mean(0), highest=lambda highs: highs.mean(0)),
        MIN_MAX,
    ),
    Misconception(
        "keeps a moving average of the extremes",
        partial(_calibrated, lowest=_moving, highest=_moving),
        MIN_MAX,
    ),
    Misconception(
        "keeps the extremes that are nearest to 0",
        partial(_calibrated, lowest=lambda lows: lows.amax(0), highest=lambda highs: highs.amin(0)),
        "Over batches the smallest minimum and the largest maximum count: nothing seen may be "
        "clipped.",
    ),
    Misconception(
        "does not widen the ranges to contain 0",
        partial(_calibrated, widened=_as_they_are, limited=_within),
        WIDEN,
    ),
    Misconception(
        "does not widen the ranges, so that zero points leave the codes",
        partial(_calibrated, widened=_as_they_are),
        WIDEN,
    ),
    Misconception(
        "widens the ranges below 0 only",
        partial(_calibrated, widened=lambda low, high: (low.clamp(max=0), high)),
        "A tensor may also lie below 0 as a whole: high = max(high, 0), too.",
    ),
    Misconception(
        "widens the ranges above 0 only",
        partial(_calibrated, widened=lambda low, high: (low, high.clamp(min=0))),
        "A tensor may also lie above 0 as a whole: low = min(low, 0), too.",
    ),
    Misconception(
        "widens the range of the input only",
        partial(_calibrated, widened=_input_alone, limited=_within),
        "0.0 must have a code in every tensor, those between the layers and the result included: "
        "start low and high at 0.0.",
    ),
    Misconception(
        "leaves the ReLUs out",
        partial(_calibrated, is_activated=lambda number, count: False),
        "What the next layer reads is what comes out of the ReLU.",
    ),
    Misconception(
        "puts a ReLU before the first layer",
        partial(_calibrated, entered=torch.relu),
        "The input is observed, and multiplied, as it comes: the first ReLU is that of the first "
        "layer.",
    ),
    Misconception(
        "puts a ReLU after the first layer only",
        partial(_calibrated, is_activated=lambda number, count: number == 1 < count),
        "Every layer but the last has a ReLU.",
    ),
    Misconception(
        "has the sign of the zero points turned round",
        partial(_calibrated, turn=lambda places: -torch.round(places)),
        SMALLEST,
    ),
    Misconception(
        "counts the zero points from the largest value",
        partial(_calibrated, place=lambda low, high, scale: high / scale),
        SMALLEST,
    ),
    Misconception(
        "does not divide by the scale for the zero points",
        partial(_calibrated, place=lambda low, high, scale: -low),
        "A zero point counts steps: round(-low / scale).",
    ),
    Misconception(
        "cuts the zero points off instead of rounding them",
        partial(_calibrated, turn=torch.floor),
        "Converting to an integer dtype goes to the code below: torch.round first.",
    ),
    Misconception(
        "rounds the zero points up",
        partial(_calibrated, turn=torch.ceil),
        "The code of 0.0 is the nearest one: torch.round.",
    ),
    Misconception(
        "leaves the zero points real",
        partial(_calibrated, turn=lambda places: places, ended=lambda zero_points: zero_points),
        "A zero point is a code: torch.round(-low / scale), and an integer dtype.",
    ),
    Misconception(
        "keeps the zero points as int8",
        partial(_calibrated, ended=lambda zero_points: zero_points.long().char()),
        "The codes are 0 to 255, and int8 ends at 127: 163 becomes -93. Use torch.int64.",
    ),
    Misconception(
        "keeps the zero points within 127",
        partial(_calibrated, limited=lambda zero_points: zero_points.clamp(-128, 127)),
        "The codes are 0 to 255 here, and so are the zero points.",
    ),
    Misconception(
        "makes the grids symmetric",
        partial(
            _calibrated, widened=_symmetric, steps=254, place=lambda low, high, scale: 0 * scale
        ),
        SECOND_ROW,
    ),
    Misconception(
        "spreads the codes around 0",
        partial(_calibrated, widened=_symmetric),
        "Each tensor has a range of its own, from its smallest to its largest value: scale = "
        "(high - low) / 255.",
    ),
    Misconception(
        "uses signed codes",
        partial(_calibrated, limited=lambda zero_points: zero_points - 128),
        "The codes run from 0 to 255 here: 4.2, second row.",
    ),
    Misconception(
        "divides the ranges by 256",
        partial(_calibrated, steps=256),
        "256 codes have 255 steps between them.",
    ),
    Misconception(
        "divides the ranges by 127",
        partial(_calibrated, steps=127),
        "The codes are 0 to 255, with 255 steps between them.",
    ),
)
