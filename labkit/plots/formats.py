"""The pictures of lab 0 that show number formats: bits, number lines, gaps, rounding, integers."""

import math
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from torch import nn

from labkit.formats import FORMATS, bit_fields, decode
from labkit.plots.style import COLOURS, new_axes, students_own, styled

# The exponent decides what is clipped, the mantissa what is rounded: the colours of both errors.
FIELDS = (
    ("sign", 1, COLOURS["faint"]),
    ("exponent", 8, COLOURS["clipping"]),
    ("mantissa", 23, COLOURS["rounding"]),
)


@students_own
def bit_rows(
    float_fields: Callable[[int], tuple[int, int, int]], numbers: Sequence[float], ax: Axes
) -> Axes:
    """Draw float32 numbers as coloured bits, a row each, from a student's three fields."""
    patterns = bit_fields(numbers, "fp32").pattern.tolist()
    for row, (x, pattern) in enumerate(zip(numbers, patterns, strict=True)):
        fields = [int(field) for field in float_fields(pattern)]
        column = 0
        for (name, width, colour), field in zip(FIELDS, fields, strict=True):
            if not 0 <= field < 2**width:
                raise ValueError(f"the {name} of {x:g} is {field}, which {width} bits cannot hold")
            for bit in f"{field:0{width}b}":
                ax.add_patch(plt.Rectangle((column, -row), 0.94, 0.8, color=colour, alpha=0.55))
                ax.text(column + 0.47, 0.4 - row, bit, ha="center", va="center", size=9)
                column += 1
        _, exponent, mantissa = fields
        product = f"{1 + mantissa / 2**23:.6g} · $2^{{{exponent - 127}}}$"
        ax.text(-0.5, 0.4 - row, f"{x:g}", ha="right", va="center")
        ax.text(32.5, 0.4 - row, ("-" if fields[0] else "") + product, va="center")
    ends = np.cumsum([0] + [width for _, width, _ in FIELDS])
    for (name, width, _), start in zip(FIELDS, ends, strict=False):
        title = name if width > 1 else "s"
        ax.text(start + width / 2, 1.0, title, ha="center", va="bottom", size=10)
    listed = ", ".join(f"{x:g}" for x in numbers)
    ax.set_title(f"{listed} as float32: sign s, exponent, mantissa", size=10)
    ax.set_xlim(-4.5, 41)
    ax.set_ylim(0.8 - len(numbers), 1.7)
    ax.set_axis_off()
    return ax


@students_own
def number_lines(
    float_value: Callable[[int, int, int, int, int], float],
    splits: Sequence[tuple[int, int]],
    ax: Axes,
) -> Axes:
    """Draw where the values of small floats lie, from a student's function; int8 for comparison.

    Parameters
    ----------
    float_value : callable
        ``float_value(sign, exponent, mantissa, exponent_bits, mantissa_bits)``.
    splits : sequence of (exponent bits, mantissa bits)
        One row each; the largest exponent is kept for infinity and NaN.
    ax : Axes
        Gives way to two: a linear axis around 0, and the whole range on a logarithmic one.
    """
    rows = {f"e{e} m{m}": _values_from_zero_up(float_value, e, m) for e, m in splits}
    rows["int8"] = ([float(v) for v in range(128)], [])
    figure = ax.figure
    ax.remove()
    near, whole = (styled(figure.add_subplot(1, 2, place)) for place in (1, 2))
    for row, (normal, subnormal) in enumerate(rows.values()):
        for values, colour in ((normal, COLOURS["real"]), (subnormal, COLOURS["codes"])):
            both = [sign * v for v in values for sign in (1, -1)]
            near.plot(both, [-row] * len(both), "|", color=colour, ms=15, mew=0.8)
            above = [v for v in values if v > 0]
            whole.plot(above, [-row] * len(above), "|", color=colour, ms=15, mew=0.8)
        whole.text(max(normal) * 2, -row, f"{max(normal):g}", va="center", size=9)
    for panel in (near, whole):
        panel.set_yticks([-row for row in range(len(rows))], list(rows))
        panel.set_ylim(0.6 - len(rows), 0.6)
        panel.grid(axis="y", visible=False)
    near.set_xlim(-4.1, 4.1)
    near.set_xlabel("value (linear axis, around 0)")
    near.set_title("orange: subnormal, blue: normal", size=10, loc="left")
    whole.set_xscale("log", base=2)
    whole.set_xlim(2.0**-18, 2.0**23)
    whole.set_xlabel("value (logarithmic axis, all that are positive)")
    whole.set_title("at the right: the largest", size=10, loc="left")
    return near


def _values_from_zero_up(
    float_value: Callable[[int, int, int, int, int], float], e: int, m: int
) -> tuple[list[float], list[float]]:
    """Return the normal and the subnormal values of a float with `e` and `m` bits."""

    def with_exponent(exponent: int) -> list[float]:
        return [float(float_value(0, exponent, mantissa, e, m)) for mantissa in range(2**m)]

    normal = [value for exponent in range(1, 2**e - 1) for value in with_exponent(exponent)]
    return normal, with_exponent(0)


@students_own
def gaps(float_gap: Callable[[float, int, int], float], ax: Axes) -> Axes:
    """Draw the gap between neighbours against magnitude, from a student's function; int8's is 1."""
    names = ("fp32", "fp16", "bf16", "fp8_e5m2")
    shades = (COLOURS["ink"], COLOURS["real"], COLOURS["codes"], COLOURS["error"])
    for name, colour in zip(names, shades, strict=True):
        format = FORMATS[name]
        top = min(format.max, 2.0**24)
        x = 2.0 ** np.arange(-30, 24)
        x = np.append(x[x < top], top)
        gap = [float(float_gap(float(v), format.exponent_bits, format.mantissa_bits)) for v in x]
        ax.step(x, gap, where="post", color=colour, label=name)
        ax.text(x[0], gap[0], f"{name} ", ha="right", va="center", size=9)
        if top == format.max:
            ax.plot(top, gap[-1], "X", color=colour, ms=9)
    ax.step([1, 127], [1, 1], color=COLOURS["rounding"], lw=3, label="int8")
    ax.text(1, 2, "int8", ha="center", va="bottom", size=9)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    ax.set_xlim(left=2.0**-38)
    ax.set_xlabel("magnitude of the number; X marks the largest of a format")
    ax.set_ylabel("gap to the next number")
    return ax


def weight_range(model: nn.Module, formats: Sequence[str], ax: Axes | None = None) -> Axes:
    """Draw the histogram of a network's weight magnitudes, under the range of each format."""
    ax = new_axes() if ax is None else ax
    weights = np.concatenate([p.detach().abs().numpy().ravel() for p in model.parameters()])
    octaves = np.log2(weights[weights > 0])
    edges = np.arange(math.floor(octaves.min()), math.ceil(octaves.max()) + 1)
    counts, _ = np.histogram(octaves, edges)
    share = counts / counts.max()
    ax.bar(2.0 ** edges[:-1], share, np.diff(2.0**edges), align="edge", color=COLOURS["real"])
    for row, name in enumerate(formats, 1):
        format = FORMATS[name]
        height = 1 + 0.25 * row
        normal = format.smallest_normal or 1.0  # the smallest magnitude of an integer is 1
        subnormal = format.smallest_subnormal or normal
        ax.plot([subnormal, normal], [height] * 2, color=COLOURS["codes"], lw=2)
        ends = [normal, format.max]
        ax.plot(ends, [height] * 2, color=COLOURS["rounding"], lw=7, solid_capstyle="butt")
        ax.text(2.0**-44, height, name, ha="right", va="center", size=10)
    ax.set_xscale("log", base=2)
    ax.set_xlim(2.0**-43, 2.0**20)
    ax.set_ylim(0, 1.4 + 0.25 * len(formats))
    ax.set_yticks([])
    ax.set_xlabel("magnitude |w|; above: what a format can hold (green normal, orange subnormal)")
    ax.set_ylabel("weights", loc="bottom")
    return ax


@students_own
def bf16_drift(round_to_bf16: Callable[[int], int], ax: Axes) -> Axes:
    """Draw how a sum drifts when every term is rounded to bf16, by three rules."""
    numbers = 1 + np.arange(512) % 128 * 2.0**-8  # in [1, 1.5): every second one is a tie
    patterns = bit_fields(numbers, "fp32").pattern.tolist()
    rules = {
        "cut off": (lambda p: p >> 16, COLOURS["clipping"], "--"),
        "ties go up": (lambda p: p + 0x8000 >> 16, COLOURS["error"], "-."),
        "your rule": (round_to_bf16, COLOURS["rounding"], "-"),
    }
    for name, (rule, colour, style) in rules.items():
        rounded = decode([int(rule(pattern)) for pattern in patterns], "bf16").numpy()
        ax.plot(np.cumsum(rounded - numbers), style, color=colour, label=name)
    ax.set_xlabel("how many numbers were added")
    ax.set_ylabel("rounded sum - true sum")
    ax.legend(fontsize=9, title="rounding to bf16")
    return ax


@students_own
def wheel(twos_complement: Callable[[int, int], int], bits: int, ax: Axes) -> Axes:
    """Draw the patterns of a few bits on a circle, with the values that a student gives them."""
    count = 2**bits
    values = {int(twos_complement(v, bits)): v for v in range(-count // 2, count // 2)}
    if sorted(values) != list(range(count)):
        raise ValueError(f"the {count} values got only {len(values)} patterns of 0 to {count - 1}")
    for pattern, value in values.items():
        angle = math.pi / 2 - 2 * math.pi * (pattern + 0.5) / count
        x, y = math.cos(angle), math.sin(angle)
        colour = COLOURS["codes"] if value < 0 else COLOURS["real"]
        ax.text(x, y, f"{value}", ha="center", va="center", color=colour, size=12, weight="bold")
        ax.text(1.28 * x, 1.28 * y, f"{pattern:0{bits}b}", ha="center", va="center", size=9)
    ax.plot([0, 0], [-0.75, -1.45], color=COLOURS["ink"], lw=2)
    ax.text(0, -1.6, "the jump: one step clockwise, and the sign changes", ha="center", size=9)
    ax.annotate(
        "+1",
        xy=(0.55 * math.cos(0.9), 0.55 * math.sin(0.9)),
        xytext=(0.55 * math.cos(2.2), 0.55 * math.sin(2.2)),
        ha="center",
        arrowprops={"arrowstyle": "->", "connectionstyle": "arc3,rad=-0.35"},
    )
    ax.set_title(f"the {count} patterns of {bits} bits outside, their values inside", size=10)
    ax.set_xlim(-1.6, 1.6)
    ax.set_ylim(-1.75, 1.5)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return ax
