"""Pictures of lab 8: the door, margins, tables, shifts, what wraps, layers on a chip."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from labkit.device import LayerCost
from labkit.plots.style import COLOURS, new_axes, students_own

_CYCLE = ("real", "codes", "rounding")

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
    results = zip(
        (f"x / {1 << shift} in C", f"x >> {shift}", "rounded"), shift_like_c(x, shift), strict=True
    )
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
