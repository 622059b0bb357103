"""Slips in calibrating a whole network, for exercise 4.3."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Misconception
from labkit.checks.grids import as_powers

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
    activated: Turn = torch.relu,
    is_activated: Callable[[int, int], bool] = lambda number, count: number < count,
    observed: Callable[[Tensor, Tensor], Tensor] = lambda sums, result: result,
    smallest: Turn = torch.min,
    largest: Turn = torch.max,
    lowest: Turn = lambda lows: lows.amin(0),
    highest: Turn = lambda highs: highs.amax(0),
    widened: Callable[[Tensor, Tensor], Ends] = lambda low, high: (
        low.clamp(max=0),
        high.clamp(min=0),
    ),
    steps: float = 255,
    scaled: Turn = lambda scale: scale,
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
            x = activated(sums) if is_activated(number, len(layers)) else sums
            seen.append(observed(sums, x))
        lows.append(torch.stack([smallest(tensor) for tensor in seen]))
        highs.append(torch.stack([largest(tensor) for tensor in seen]))
    low, high = widened(lowest(torch.stack(lows)), highest(torch.stack(highs)))
    scale = scaled((high - low) / steps)
    return scale, ended(limited(turn(place(low, high, scale))))


def _as_they_are(low: Tensor, high: Tensor) -> Ends:
    return low, high


def _input_alone(low: Tensor, high: Tensor) -> Ends:
    return torch.cat([low[:1].clamp(max=0), low[1:]]), torch.cat([high[:1].clamp(min=0), high[1:]])


def _symmetric(low: Tensor, high: Tensor) -> Ends:
    largest = torch.maximum(-low, high)
    return -largest, largest


def _moving(ends: Tensor, momentum: float, from_zero: bool = False) -> Tensor:
    """Return what is kept of the ends [batches, tensors] where each batch moves it a little."""
    kept = 0 * ends[0] if from_zero else ends[0]
    for new in ends if from_zero else ends[1:]:
        kept = momentum * kept + (1 - momentum) * new
    return kept


def _of_widened(kept: Turn, least: float | None = None, most: float | None = None) -> Turn:
    return lambda ends: kept(ends.clamp(least, most))


def _averages() -> Iterator[tuple[Turn, Turn]]:
    """Give what is kept at the lower and at the upper end, in all ways that observers have.

    Each batch's ends may be widened to contain 0 before they go in. Momenta are those of torch's
    observers (0.99), of others (0.9, 0.999), and what batch normalization calls 0.1.
    """
    for momentum in (0.9, 0.99, 0.999, 0.5, 0.1, 0.01):
        for from_zero in (False, True):
            kept = partial(_moving, momentum=momentum, from_zero=from_zero)
            yield kept, kept
            yield _of_widened(kept, most=0.0), _of_widened(kept, least=0.0)


def _quantile(x: Tensor, share: float) -> Tensor:
    return torch.quantile(x.flatten(), share)


def _of_weights(layers: Layers, batches: Sequence[Tensor]) -> Ends:
    seen = [torch.cat(list(batches)), *(weight for weight, _ in layers)]
    low = torch.stack([tensor.min() for tensor in seen]).clamp(max=0)
    scale = (torch.stack([tensor.max() for tensor in seen]).clamp(min=0) - low) / 255
    return scale, torch.round(-low / scale).long()


def _within(zero_points: Tensor) -> Tensor:
    return zero_points.clamp(0, 255)


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
        partial(
            _calibrated,
            lowest=partial(_moving, momentum=0.9),
            highest=partial(_moving, momentum=0.9),
        ),
        MOVING,
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
        "spreads the codes around 0, which has the code 128",
        partial(
            _calibrated,
            widened=_symmetric,
            place=lambda low, high, scale: torch.full_like(low, 128),
        ),
        "Each tensor has a range of its own, from its smallest to its largest value: scale = "
        "(high - low) / 255, zero_point = round(-low / scale).",
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
    Misconception(
        "averages the extremes of the batches",
        partial(
            _calibrated,
            lowest=lambda lows: lows.clamp(max=0).mean(0),
            highest=lambda highs: highs.clamp(min=0).mean(0),
        ),
        MIN_MAX,
    ),
    *(
        Misconception(
            "keeps a moving average of the extremes",
            partial(_calibrated, lowest=lowest, highest=highest),
            MOVING,
        )
        for lowest, highest in _averages()
    ),
    Misconception(
        "clips at 6, as ReLU6 does",
        partial(_calibrated, activated=torch.nn.functional.relu6),
        "These layers end with ReLU, which has no upper end: x.relu().",
    ),
    Misconception(
        "starts all ranges at 0",
        partial(_calibrated, widened=lambda low, high: (0 * low, high.clamp(min=0))),
        "That holds after a ReLU. The input and the logits may be negative: low = min(low, 0).",
    ),
    *(
        Misconception(
            "leaves the outermost values out",
            partial(
                _calibrated,
                chosen=lambda batches: [torch.cat(list(batches))],
                smallest=partial(_quantile, share=1 - share),
                largest=partial(_quantile, share=share),
            ),
            "That is a percentile (lab 2). Here it is min-max: nothing that was seen is clipped.",
        )
        for share in (0.99, 0.999, 0.9999, 0.995, 0.95)
    ),
    Misconception(
        "takes three standard deviations on both sides of the mean",
        partial(
            _calibrated,
            smallest=lambda x: x.mean() - 3 * x.std(),
            largest=lambda x: x.mean() + 3 * x.std(),
        ),
        "Values may lie beyond them, or end before. Here it is min-max: the smallest and the "
        "largest value.",
    ),
    Misconception(
        "observes the weights instead of what the layers put out",
        _of_weights,
        "A layer's result needs the grid, whose range depends on inputs and biases as well: "
        "observe x @ weight.t() + bias, after its ReLU.",
    ),
    *(
        Misconception(
            "makes the scales powers of two",
            partial(_calibrated, scaled=as_powers(turn)),
            "A chip that only shifts wants them. Here the scale is (high - low) / 255, as it is.",
        )
        for turn in (torch.ceil, torch.round)
    ),
)
