"""The calibration of a network, of which any part may be another one (exercise 4.3)."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

Layers = Sequence[tuple[Tensor, Tensor]]
Turn = Callable[[Tensor], Tensor]
Ends = tuple[Tensor, Tensor]


def calibrated(
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


def as_they_are(low: Tensor, high: Tensor) -> Ends:
    """Return ranges that need not contain 0."""
    return low, high


def input_alone(low: Tensor, high: Tensor) -> Ends:
    """Widen the range of the input, and no other, to contain 0."""
    return torch.cat([low[:1].clamp(max=0), low[1:]]), torch.cat([high[:1].clamp(min=0), high[1:]])


def symmetric(low: Tensor, high: Tensor) -> Ends:
    """Return ranges that reach as far on both sides of 0."""
    largest = torch.maximum(-low, high)
    return -largest, largest


def moving(ends: Tensor, momentum: float, from_zero: bool = False) -> Tensor:
    """Return what is kept of the ends [batches, tensors] where each batch moves it a little."""
    kept = 0 * ends[0] if from_zero else ends[0]
    for new in ends if from_zero else ends[1:]:
        kept = momentum * kept + (1 - momentum) * new
    return kept


def _of_widened(kept: Turn, least: float | None = None, most: float | None = None) -> Turn:
    return lambda ends: kept(ends.clamp(least, most))


def averages() -> Iterator[tuple[Turn, Turn]]:
    """Give what is kept at the lower and at the upper end, in all ways that observers have.

    Each batch's ends may be widened to contain 0 before they go in. Momenta are those of torch's
    observers (0.99), of others (0.9, 0.999), and what batch normalization calls 0.1.
    """
    for momentum in (0.9, 0.99, 0.999, 0.5, 0.1, 0.01):
        for from_zero in (False, True):
            kept = partial(moving, momentum=momentum, from_zero=from_zero)
            yield kept, kept
            yield _of_widened(kept, most=0.0), _of_widened(kept, least=0.0)


def quantile(x: Tensor, share: float) -> Tensor:
    """Return the value below which this share of all values lies."""
    return torch.quantile(x.flatten(), share)


def of_weights(layers: Layers, batches: Sequence[Tensor]) -> Ends:
    """Return the grids of the input and of the weights."""
    seen = [torch.cat(list(batches)), *(weight for weight, _ in layers)]
    low = torch.stack([tensor.min() for tensor in seen]).clamp(max=0)
    scale = (torch.stack([tensor.max() for tensor in seen]).clamp(min=0) - low) / 255
    return scale, torch.round(-low / scale).long()


def within(zero_points: Tensor) -> Tensor:
    """Clamp zero points to the codes."""
    return zero_points.clamp(0, 255)
