"""Pictures of lab 8: lives of tensors, the arena over time, addresses that a kernel reads."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, pairwise

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from labkit.device import Arena, Lifetime, peak_bytes
from labkit.plots.style import COLOURS, PAPER, new_axes, students_own

_CYCLE = ("real", "codes", "rounding", "other", "clipping")


@students_own
def lives(
    live_ranges: Callable[[tuple], tuple[Tensor, Tensor]],
    inputs: Sequence[tuple[int, ...]],
    ax: Axes,
) -> Axes:
    """Draw from which step to which each tensor is live, and where it is read.

    Parameters
    ----------
    live_ranges : callable
        Yours: the inputs of the steps to the first and the last step of each tensor.
    inputs : sequence of tuple of int
        The tensors that each step reads.
    """
    first, last = (torch.as_tensor(ends).tolist() for ends in live_ranges(tuple(inputs)))
    ax.figure.set_size_inches(8, 1.2 + 0.28 * len(first))  # type: ignore[union-attr]
    for tensor, (start, end) in enumerate(zip(first, last, strict=True)):
        label = "live" if tensor == 0 else ""
        bar = Rectangle((start, tensor - 0.35), end - start + 1, 0.7, label=label)
        bar.set(facecolor=COLOURS["other"], alpha=0.7)
        ax.add_patch(bar)
    reads = [(step + 0.5, tensor) for step, taken in enumerate(inputs) for tensor in taken]
    ax.plot(*zip(*reads, strict=True), "o", color=COLOURS["codes"], label="read")
    ax.set_xlim(0, len(inputs))
    ax.set_ylim(len(first) - 0.4, -0.6)
    ax.set_xticks(np.arange(len(inputs)) + 0.5, [str(step) for step in range(len(inputs))])
    ax.set_yticks(range(len(first)))
    ax.set_xlabel("step")
    ax.set_ylabel("tensor")
    ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


@students_own
def peak_of_order(
    peak_bytes: Callable[[Tensor, Tensor, Tensor], tuple[int, int]],
    sizes: Tensor,
    first: Tensor,
    last: Tensor,
    ax: Axes,
) -> Axes:
    """Draw the live tensors of each step on top of one another, and where you found the peak.

    Parameters
    ----------
    peak_bytes : callable
        Yours: (sizes, first, last) to the peak and its step.
    sizes, first, last : Tensor
        Of each tensor.
    """
    peak, step = peak_bytes(sizes, first, last)
    top = np.zeros(int(last.max()) + 1)
    for tensor, (size, start, end) in enumerate(zip(sizes, first, last, strict=True)):
        places = np.arange(int(start), int(end) + 1)
        colour = COLOURS[_CYCLE[tensor % len(_CYCLE)]]
        heights = np.full(len(places), float(size))
        ax.bar(places, heights, 0.8, top[places], color=colour, edgecolor=PAPER)
        for place in places:
            middle = float(place), top[place] + float(size) / 2
            ax.text(*middle, str(tensor), ha="center", va="center")
        top[places] += float(size)
    ax.plot([int(step)], [float(peak)], "*", ms=14, color=COLOURS["ink"], label="your peak")
    ax.axhline(float(peak), color=COLOURS["ink"], ls=":", lw=1)
    ax.set_xticks(range(len(top)))
    ax.set_xlabel("step; the numbers are those of the tensors")
    ax.set_ylabel("bytes")
    ax.legend(fontsize=9)
    return ax


@students_own
def placed_tensors(
    place_tensors: Callable[[Tensor, Tensor, Tensor], Tensor],
    sizes: Tensor,
    first: Tensor,
    last: Tensor,
    ax: Axes,
) -> Axes:
    """Draw tensors in an arena, over the steps in which they are live; overlaps stand out.

    Parameters
    ----------
    place_tensors : callable
        Yours: (sizes, first, last) to the offset of each tensor.
    sizes, first, last : Tensor
        Of each tensor.
    """
    offsets = torch.as_tensor(place_tensors(sizes, first, last)).tolist()
    columns = (c.tolist() for c in (sizes, first, last))
    found = [Lifetime(str(i), *ends) for i, ends in enumerate(zip(*columns, strict=True))]
    end = max(start + tensor.size for start, tensor in zip(offsets, found, strict=True))
    _draw(ax, list(zip(found, offsets, strict=True)))
    least = peak_bytes(found)
    ax.set_title(f"{end:.0f} bytes; live at once at most {least}", size=10)
    ax.axhline(least, color=COLOURS["ink"], ls=":")
    return ax


def arena_over_time(arena: Arena, ax: Axes | None = None) -> Axes:
    """Draw where each tensor lies in an arena, and from which step to which.

    Parameters
    ----------
    arena : Arena
        As `labkit.device.plan_arena` returns it.
    """
    ax = new_axes((8.0, 3.8)) if ax is None else ax
    rows = [(tensor, arena.offsets[tensor.name]) for tensor in arena.lifetimes]
    _draw(ax, rows)
    least = peak_bytes(arena.lifetimes)
    ax.axhline(least, color=COLOURS["ink"], ls=":")
    own = sum(tensor.size for tensor in arena.lifetimes)
    ax.set_title(
        f"{arena.size} bytes; live at once at most {least}; each with bytes of its own {own}",
        size=10,
    )
    return ax


def _draw(ax: Axes, rows: Sequence[tuple[Lifetime, float]]) -> None:
    steps = 1 + max(tensor.last for tensor, _ in rows)
    top = max(offset + tensor.size for tensor, offset in rows)
    replaced = {tensor.inside for tensor, _ in rows}
    for i, (tensor, offset) in enumerate(rows):
        # One that is written in place takes over in the middle of a step.
        first = tensor.first + 0.5 * (tensor.inside is not None)
        end = tensor.last + 1 - 0.5 * (tensor.name in replaced)
        colour = COLOURS[_CYCLE[i % len(_CYCLE)]]
        _box(ax, first, end, offset, offset + tensor.size, colour)
        if tensor.size > 0.045 * top:
            middle = (first + end) / 2, offset + tensor.size / 2
            ax.text(*middle, tensor.name, ha="center", va="center", size=7, clip_on=True)
    for (a, start), (b, other) in combinations(rows, 2):
        low, high = max(start, other), min(start + a.size, other + b.size)
        if a.meets(b) and low < high and b.inside is None:
            first, last = max(a.first, b.first), min(a.last, b.last)
            _box(ax, first, last + 1, low, high, COLOURS["ink"], "overlap")
    ax.set_xlim(0, steps)
    ax.set_ylim(0, 1.04 * top)
    ax.set_xticks(np.arange(steps) + 0.5, [str(step) for step in range(steps)])
    ax.set_xlabel("step")
    ax.set_ylabel("byte of the arena")
    overlaps = [patch for patch in ax.patches if patch.get_label() == "overlap"]
    if overlaps:
        ax.legend(handles=overlaps[:1], fontsize=9)


def _box(
    ax: Axes, first: float, end: float, low: float, high: float, colour: str, label: str = ""
) -> None:
    box = Rectangle((first, low), end - first, high - low, label=label)
    box.set(facecolor=colour, alpha=0.9 if label else 0.75, edgecolor=PAPER)
    ax.add_patch(box)


def addresses_read(layouts: Mapping[str, Iterable[int]], ax: Axes | None = None) -> Axes:
    """Draw at which addresses the first reads of a loop land, for several orders in memory.

    Parameters
    ----------
    layouts : mapping of str to iterable of int
        The order's name, and the addresses in the order in which they are read.
    """
    ax = new_axes((8.0, 3.0)) if ax is None else ax
    for (name, addresses), colour in zip(layouts.items(), ("error", "rounding"), strict=False):
        places = list(addresses)
        jumps = sum(abs(b - a) != 1 for a, b in pairwise(places))
        label = f"{name}: {jumps} jumps"
        ax.plot(places, ".-", lw=0.8, ms=4, color=COLOURS[colour], label=label)
    ax.set_xlabel("number of the read")
    ax.set_ylabel("address")
    ax.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return ax
