"""Pictures of lab 6: levels that move, blocks and what they hold, scales, accuracy and bits."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from labkit.blocks import BLOCK_FORMATS, SYMMETRIC_SCALES, BlockFormat, symmetric_scale
from labkit.blocks.fields import Codes
from labkit.plots.style import COLOURS, new_axes, say, students_own

_HOLDS = {"codes": "real", "scale": "codes", "minimum": "clipping"}
_SHAPES = "os^Dv<>pPX"


def block_bytes(format: BlockFormat, ax: Axes | None = None) -> Axes:
    """Draw the bytes of a block in storage order, a cell a byte, coloured by what they hold.

    Parameters
    ----------
    format : BlockFormat
        The fields, the size and the title follow from it.
    """
    ax = new_axes((8.0, 1.8)) if ax is None else ax
    start, named = 0, set()
    for part in format.fields:
        label = "" if part.name in named else _described(format, part.name)
        named.add(part.name)
        for byte in range(start, start + part.bytes):
            ax.add_patch(
                Rectangle(
                    (byte, 0),
                    1,
                    1,
                    facecolor=COLOURS[_HOLDS[part.name]],
                    edgecolor=ax.get_facecolor(),
                    label=label if byte == start else "",
                )
            )
        start += part.bytes
    ax.set_xlim(0, format.bytes)
    ax.set_ylim(0, 1)
    ax.set_yticks([])
    ax.set_xlabel("byte of the block")
    ax.set_title(
        f"{format.name}: {format.bytes} bytes for {format.block_size} values, "
        f"{format.bits_per_weight:g} bits a weight",
        size=10,
    )
    ax.legend(fontsize=8, ncols=3, loc="upper right", framealpha=0.9)
    return ax


def _described(format: BlockFormat, name: str) -> str:
    """Say what the fields of a name hold."""
    parts = [part for part in format.fields if part.name == name]
    bits = 8 * sum(part.bytes for part in parts)
    if isinstance(parts[0], Codes):
        return f"codes, {bits / format.block_size:g} bits each"
    return f"{name}, {parts[0].count} x {parts[0].kind}"


def bits_of_formats(formats: Sequence[BlockFormat] | None = None, ax: Axes | None = None) -> Axes:
    """Draw the bits a weight of formats: codes, and what is stored beside them.

    Parameters
    ----------
    formats : sequence of BlockFormat, optional
        None: all of `labkit.blocks.BLOCK_FORMATS`.
    """
    formats = list(BLOCK_FORMATS.values()) if formats is None else list(formats)
    if not formats:
        raise ValueError("formats is empty; expected at least one block format.")
    ax = new_axes((8.0, 0.9 + 0.28 * len(formats))) if ax is None else ax
    names = [format.name for format in formats]
    left = np.zeros(len(formats))
    for name, colour in _HOLDS.items():
        bits = [
            8 * sum(part.bytes for part in format.fields if part.name == name) / format.block_size
            for format in formats
        ]
        bars = ax.barh(names, bits, left=left, color=COLOURS[colour], label=name)
        left += bits
    ax.bar_label(bars, [f"{format.bits_per_weight:g}" for format in formats], padding=4, size=9)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.1 * left.max())
    ax.set_xlabel("bits a weight")
    ax.legend(fontsize=9, loc="lower right")
    return ax


def levels_on_weights(
    x: Tensor, tables: Mapping[str, Tensor], bins: int = 100, ax: Axes | None = None
) -> Axes:
    """Draw the histogram of values, and below it where the levels of each table lie.

    Parameters
    ----------
    x : Tensor
        Real values.
    tables : mapping of str to Tensor
        Name to levels, in units of `x`.
    """
    ax = new_axes((8.0, 2.6 + 0.3 * len(tables))) if ax is None else ax
    if not bool(x.isfinite().all()) or not all(bool(t.isfinite().all()) for t in tables.values()):
        return say(ax, "No picture: expected finite weights and levels.")
    counts, edges = np.histogram(x.flatten().double().numpy(), bins)
    ax.stairs(counts, edges, fill=True, color=COLOURS["faint"], label="weights")
    step = 0.11 * counts.max()
    colours = ("real", "codes", "rounding", "error", "clipping", "other")
    for place, (name, levels) in enumerate(tables.items(), 1):
        height = np.full(len(levels), -step * place)
        colour = COLOURS[colours[(place - 1) % len(colours)]]
        ax.plot(levels.double().numpy(), height, "|", ms=11, mew=2, color=colour, label=name)
    ax.set_ylim(-step * (len(tables) + 0.7), 1.05 * counts.max())
    ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick <= counts.max()])
    ax.set_xlabel("weight")
    ax.set_ylabel("weights in a bar")
    ax.legend(fontsize=9, loc="upper right")
    return ax


def four_symmetric_scales(x: Tensor, bits: int = 4, ax: Axes | None = None) -> Axes:
    """Draw the values of a row, and the grids of the four scales that are called symmetric.

    Parameters
    ----------
    x : Tensor
        Real values [n].
    bits : int
        Of a code.
    """
    ax = new_axes((8.0, 2.8)) if ax is None else ax
    values, qmax = x.flatten().double().numpy(), 2 ** (bits - 1) - 1
    ax.plot(values, np.zeros(len(values)), "|", ms=14, color=COLOURS["ink"], label="values")
    for place, (name, shape) in enumerate(zip(SYMMETRIC_SCALES, _SHAPES, strict=False), 1):
        scale = float(symmetric_scale(x.flatten(), name, bits))
        codes = np.arange(-qmax if name == "narrow" else -qmax - 1, qmax + 1)
        ax.plot(scale * codes, np.full(len(codes), -place), shape, ms=5, color=COLOURS["real"])
    ends = [float(values.min()), float(values.max())]
    for end in ends:
        ax.axvline(end, color=COLOURS["codes"], ls=":", lw=1)
    ax.set_yticks(range(0, -len(SYMMETRIC_SCALES) - 1, -1), ["values", *SYMMETRIC_SCALES])
    ax.set_ylim(-len(SYMMETRIC_SCALES) - 0.6, 0.6)
    ax.set_xlabel(f"value; dotted: the smallest and the largest; {bits} bits a code")
    return ax


@students_own
def levels_over_steps(
    lloyd_step: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    levels: Tensor,
    steps: int,
    ax: Axes,
) -> Axes:
    """Draw where the levels of a codebook lie after each step, above the values that pull them.

    Parameters
    ----------
    lloyd_step : callable
        Yours: (x, levels) to the new levels.
    x : Tensor
        Real values.
    levels : Tensor
        Those to start from, [k], increasing.
    steps : int
        How many to take.
    """
    values = x.flatten().double().numpy()
    ax.plot(values, np.full(len(values), -1.0), "|", ms=14, color=COLOURS["ink"], label="values")
    for step in range(steps + 1):
        places = levels.double().numpy()
        label = "levels" if step == 0 else ""
        ax.plot(places, np.full(len(places), step), "o", ms=5, color=COLOURS["codes"], label=label)
        levels = torch.as_tensor(lloyd_step(x, levels)).float()
    ax.set_ylim(-1.6, steps + 0.6)
    ax.set_yticks([-1, *range(steps + 1)], ["values", *map(str, range(steps + 1))])
    ax.set_xlabel("value")
    ax.set_ylabel("steps taken")
    ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


@students_own
def q4_0_staircase(
    signed_extreme: Callable[[Tensor], tuple[float, Tensor]], x: Tensor, ax: Axes
) -> Axes:
    """Draw what the values of a block come back as, from its scale and its codes of four bits.

    Parameters
    ----------
    signed_extreme : callable
        Yours: a block to its scale and its codes, 0 to 15.
    x : Tensor
        Real values [n] of one block, increasing.
    """
    scale, codes = signed_extreme(x)
    restored = float(scale) * (torch.as_tensor(codes).double() - 8)
    return _staircase(x, restored, f"scale {float(scale):.3g}", ax)


@students_own
def mxfp4_staircase(
    mxfp4_block: Callable[[Tensor], tuple[int, Tensor]], x: Tensor, ax: Axes
) -> Axes:
    """Draw what the values of a block come back as, with a power of two for a scale.

    Parameters
    ----------
    mxfp4_block : callable
        Yours: a block to the exponent of its scale and the values that come back.
    x : Tensor
        Real values [n] of one block, increasing.
    """
    exponent, restored = mxfp4_block(x)
    return _staircase(x, torch.as_tensor(restored), f"scale 2 to the {float(exponent):.3g}", ax)


def _staircase(x: Tensor, restored: Tensor, scale: str, ax: Axes) -> Axes:
    ax.plot(x.numpy(), x.numpy(), ":", color=COLOURS["faint"], label="without rounding")
    ax.plot(x.numpy(), restored.double().numpy(), color=COLOURS["codes"], label="comes back")
    ax.set_title(f"{scale}, {len(restored.unique())} different values", size=10)
    ax.set_xlabel("value of the block")
    ax.set_ylabel("comes back as")
    ax.legend(fontsize=9, loc="upper left")
    return ax


def accuracy_against_true_bits(
    rows: Sequence[tuple[str, float, float, float]], fp32: float, ax: Axes | None = None
) -> Axes:
    """Draw accuracy against all bits that a weight takes, scales and levels included.

    Parameters
    ----------
    rows : sequence of (name, bits a weight, accuracy, standard error)
        Accuracies as shares of 1.
    fp32 : float
        Accuracy of the network that was not quantized.
    """
    if not rows:
        raise ValueError("rows is empty; expected (name, bits, accuracy, standard error).")
    ax = new_axes((8.0, 4.2)) if ax is None else ax
    ax.axhline(100 * fp32, color=COLOURS["faint"], ls="--", label="FP32")
    order = sorted(rows, key=lambda row: -row[2])
    for place, (name, bits, accuracy, error) in enumerate(order):
        ax.errorbar(bits, 100 * accuracy, 100 * error, fmt="o", color=COLOURS["real"], capsize=2)
        ax.annotate(
            f"{name}: {bits:.3g} bits, {100 * accuracy:.1f} %",
            (bits, 100 * accuracy),
            (1.03, 1 - (place + 0.5) / len(rows)),
            textcoords="axes fraction",
            va="center",
            size=9,
            arrowprops={
                "arrowstyle": "-",
                "relpos": (0, 0.5),
                "color": COLOURS["faint"],
                "lw": 0.8,
            },
        )
    ax.set_xlabel("true bits a weight")
    ax.set_ylabel("accuracy in %, with standard error")
    ax.legend(fontsize=9, loc="lower right")
    return ax
