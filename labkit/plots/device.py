"""Pictures of lab 8: tables, shifts, lives of tensors, the arena over time, layers on a chip."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, pairwise

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from labkit.device import Arena, LayerCost, Lifetime, peak_bytes
from labkit.plots.style import COLOURS, new_axes, students_own

_CYCLE = ("real", "codes", "rounding", "other", "clipping")

Grid = tuple[float, int]


@students_own
def door_table(
    input_table: Callable[[tuple, tuple, float, int], Tensor],
    mean: Sequence[float],
    std: Sequence[float],
    scale: float,
    zero_point: int,
    ax: Axes,
) -> Axes:
    """Draw the code of each byte, a line for each channel.

    Parameters
    ----------
    input_table : callable
        Yours: (mean, std, scale, zero_point) to codes [channels, 256].
    mean, std : sequence of float
        Of the channels red, green and blue.
    scale, zero_point
        The grid of the network's input.
    """
    table = torch.as_tensor(input_table(tuple(mean), tuple(std), scale, zero_point))
    for row, name, colour in zip(table, ("red", "green", "blue"), _CYCLE, strict=False):
        ax.plot(np.arange(len(row)), row.double().numpy(), color=COLOURS[colour], label=name)
    ax.axhline(zero_point, color=COLOURS["faint"], ls=":", label="zero point")
    ax.set_ylim(-8, 263)
    ax.set_xlabel("byte of the camera")
    ax.set_ylabel("code of the network")
    ax.legend(fontsize=9)
    return ax


@students_own
def table_of_codes(
    silu_table: Callable[[float, int, float, int], Tensor], x: Grid, y: Grid, ax: Axes
) -> Axes:
    """Draw the values that a table of codes stands for, beside the function itself.

    Parameters
    ----------
    silu_table : callable
        Yours: (x_scale, x_zero_point, y_scale, y_zero_point) to int8 [256].
    x, y : tuple
        Scale and zero point of input and result.
    """
    codes = torch.arange(-128, 128)
    table = torch.as_tensor(silu_table(*x, *y)).double()
    values = (codes - x[1]) * x[0]
    real = torch.nn.functional.silu(values)
    ax.plot(values.numpy(), real.numpy(), color=COLOURS["real"], label="SiLU")
    ax.step(
        values.numpy(),
        ((table - y[1]) * y[0]).numpy(),
        where="mid",
        color=COLOURS["codes"],
        label="what the table gives",
    )
    ax.set_xlabel("x")
    ax.set_ylabel("x times sigmoid of x")
    ax.legend(fontsize=9, loc="upper left")
    return ax


@students_own
def three_ways_down(
    shift_like_c: Callable[[Tensor, int], tuple[Tensor, Tensor, Tensor]], shift: int, ax: Axes
) -> Axes:
    """Draw the quotient, the shift and the rounded shift of numbers on both sides of zero.

    Parameters
    ----------
    shift_like_c : callable
        Yours: (x, shift) to quotient, shifted, rounded.
    shift : int
        1 or more.
    """
    most = 3 << shift
    x = torch.arange(-most, most + 1, dtype=torch.int32)
    results = zip(("x / n in C", "x >> shift", "rounded"), shift_like_c(x, shift), strict=True)
    ax.plot(x.numpy(), x.double().numpy() / (1 << shift), ":", color=COLOURS["ink"], label="exact")
    for (name, result), colour, marker in zip(results, _CYCLE, "v^o", strict=False):
        values = torch.as_tensor(result).double().numpy()
        ax.plot(x.numpy(), values, marker, ms=5, color=COLOURS[colour], alpha=0.8, label=name)
    ax.axvline(0, color=COLOURS["faint"], lw=1)
    ax.set_xlabel("x")
    ax.set_ylabel(f"x over {1 << shift}")
    ax.legend(fontsize=9, loc="upper left")
    return ax


@students_own
def saturated_and_wrapped(
    saturate_and_wrap: Callable[[Tensor, int], tuple[Tensor, Tensor]], bits: int, ax: Axes
) -> Axes:
    """Draw what is kept of numbers that do not fit, saturated and wrapped.

    Parameters
    ----------
    saturate_and_wrap : callable
        Yours: (x, bits) to both.
    bits : int
        Of the signed integer.
    """
    x = torch.arange(-(2 << bits), (2 << bits) + 1, dtype=torch.int32)
    both = zip(("saturated", "wrapped"), saturate_and_wrap(x, bits), strict=True)
    for (name, kept), colour in zip(both, ("rounding", "error"), strict=True):
        values = torch.as_tensor(kept).double().numpy()
        ax.plot(x.numpy(), values, ".-", ms=3, lw=1, color=COLOURS[colour], label=name)
    ax.set_xlabel("number")
    ax.set_ylabel(f"what {bits} bits keep of it")
    ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


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
        ax.bar(places, heights, 0.8, top[places], color=colour, edgecolor="white")
        for place in places:
            ax.text(place, top[place] + float(size) / 2, str(tensor), ha="center", va="center")
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
    box.set(facecolor=colour, alpha=0.9 if label else 0.75, edgecolor="white")
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


def margins(leads: Tensor, right: Tensor, ax: Axes | None = None) -> Axes:
    """Draw how many codes the best class leads by, for right and for wrong answers.

    Parameters
    ----------
    leads : Tensor
        The margin of each image.
    right : Tensor
        bool [N]: whether its class is the right one.
    """
    ax = new_axes() if ax is None else ax
    edges = np.linspace(0, max(1, int(leads.max())) + 1, 33)
    for chosen, colour, label in ((right, "rounding", "right"), (~right, "error", "wrong")):
        counts, _ = np.histogram(leads[chosen].numpy(), edges)
        ax.stairs(counts, edges, fill=True, alpha=0.7, color=COLOURS[colour], label=label)
    ax.set_yscale("symlog", linthresh=1)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("margin in codes")
    ax.set_ylabel("images")
    ax.legend(fontsize=9)
    return ax


def layers_on_chip(costs: Sequence[LayerCost], ax: Axes | None = None) -> Axes:
    """Draw the cycles of processor and flash for each layer of a network, estimated.

    Parameters
    ----------
    costs : sequence of LayerCost
        As `labkit.device.layer_costs` returns them.
    """
    ax = new_axes((8.0, 1.0 + 0.24 * len(costs))) if ax is None else ax
    rows = np.arange(len(costs))
    for shift, key, colour, label in (
        (-0.2, "compute_cycles", "codes", "processor"),
        (0.2, "memory_cycles", "real", "memory"),
    ):
        cycles = [getattr(layer, key) for layer in costs]
        ax.barh(rows + shift, cycles, 0.4, color=COLOURS[colour], label=label)
    marks = [f"{c.name}{' (depthwise)' if c.depthwise else ''}" for c in costs]
    ax.set_yticks(rows, marks, size=8)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel("cycles, estimated")
    ax.legend(fontsize=9)
    return ax
