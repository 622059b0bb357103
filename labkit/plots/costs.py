"""Pictures of what numbers cost: bytes and energy (lab 0), and accuracy within a budget."""

import math
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from labkit.energy import ADD_PJ, MEMORY_PJ, MULTIPLY_PJ
from labkit.format_table import FORMATS
from labkit.plots.style import COLOURS, new_axes, students_own

PICO_TO_MICRO = 1e-6
KILO = 1e3
MEMORIES = {
    "sram_8kb": "cache of 8 kB",
    "sram_32kb": "cache of 32 kB",
    "sram_1mb": "cache of 1 MB",
    "dram_low": "DRAM, at least",
    "dram_high": "DRAM, at most",
}


@students_own
def size_bars(
    network_bytes: Callable[[list[tuple[int, ...]], int], int],
    shapes: list[tuple[int, ...]],
    on_disk: Mapping[str, int],
    ax: Axes,
) -> Axes:
    """Draw the bytes of a network in each format, and those of files that were really written.

    Parameters
    ----------
    network_bytes : callable
        The student's.
    shapes : list of tuple of int
        Of the network's parameters.
    on_disk : mapping of str to int
        Name of a format in `FORMATS` to the bytes of a file.
    """
    names = [name for name in FORMATS if name not in ("fp8_e4m3", "uint8")]
    kilobytes = [float(network_bytes(shapes, FORMATS[name].bits)) / 1000 for name in names]
    bars = ax.barh(names, kilobytes, color=COLOURS["real"], height=0.65, label="by your formula")
    labels = [f"{kilobytes[0]:,.0f} kB"]
    labels += [f"{kb:,.0f} kB, 1/{kilobytes[0] / kb:.0f}" for kb in kilobytes[1:]]
    ax.bar_label(bars, labels, padding=14, size=9)
    ax.plot(
        [size / 1000 for size in on_disk.values()],
        list(on_disk),
        "D",
        color=COLOURS["codes"],
        label="file on this disk",
    )
    ax.invert_yaxis()
    ax.set_xlim(0, 1.25 * max(kilobytes))
    ax.set_xlabel("size in kB (1,000 bytes)")
    ax.legend(fontsize=9, loc="lower right")
    return ax


@students_own
def energy_bars(
    inference_energy: Callable[..., tuple[float, float]],
    macs: int,
    model_bytes: Mapping[str, int],
    ax: Axes,
) -> Axes:
    """Draw the energy of one inference, weights from DRAM or, where they fit, from a 1 MB cache.

    Parameters
    ----------
    inference_energy : callable
        The student's.
    macs : int
        Multiply-adds of an inference.
    model_bytes : mapping of str to int
        fp32, fp16 or int8 to the bytes of the weights.
    """
    sums = {"fp32": "fp32", "fp16": "fp32", "int8": "int32"}
    labels, compute, memory = [], [], []
    for place, price in (("DRAM", "dram_low"), ("1 MB cache", "sram_1mb")):
        for name, size in model_bytes.items():
            if price == "sram_1mb" and size > 2**20:
                continue
            prices = MULTIPLY_PJ[name], ADD_PJ[sums[name]], MEMORY_PJ[price]
            arithmetic, traffic = inference_energy(macs, size, *prices)
            labels.append(f"{name}, {place}")
            compute.append(float(arithmetic) * PICO_TO_MICRO)
            memory.append(float(traffic) * PICO_TO_MICRO)
    ax.barh(labels, compute, color=COLOURS["real"], label="arithmetic")
    bars = ax.barh(labels, memory, left=compute, color=COLOURS["codes"], label="memory", hatch="//")
    totals = [a + b for a, b in zip(compute, memory, strict=True)]
    ax.bar_label(bars, [f"{total:.3g}" for total in totals], padding=4, size=9)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.1 * max(totals))
    ax.set_xlabel("energy of one inference in µJ, at the prices of a 45 nm chip")
    ax.legend(fontsize=9, loc="lower right")
    return ax


def energy_table(ax: Axes | None = None) -> Axes:
    """Draw what one operation costs, from an 8-bit addition to an access to DRAM."""
    ax = new_axes((8.0, 4.0)) if ax is None else ax
    groups: Sequence[tuple[str, Mapping[str, float], str]] = (
        ("add {}", ADD_PJ, COLOURS["other"]),
        ("multiply {}", MULTIPLY_PJ, COLOURS["real"]),
        ("{}", {MEMORIES[name]: price for name, price in MEMORY_PJ.items()}, COLOURS["codes"]),
    )
    for label, prices, colour in groups:
        names = [label.format(name) for name in prices]
        bars = ax.barh(names, list(prices.values()), color=colour)
        ax.bar_label(bars, [f"{price:g}" for price in prices.values()], padding=3, size=9)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlim(0.01, 20_000)
    ax.tick_params(axis="y", labelsize=9)
    ax.set_xlabel("picojoules; an access to memory brings 64 bits")
    return ax


def best_within_budget(
    networks: Sequence[tuple[str, int, float]], budget: float, ax: Axes | None = None
) -> Axes:
    """Draw accuracy against bytes, and mark the most accurate network that a budget allows.

    Parameters
    ----------
    networks : sequence of (name, bytes, accuracy)
        Bytes above 0, accuracy from 0 to 1.
    budget : float
        In bytes.

    Raises
    ------
    ValueError
        If there are no networks, or one has no bytes or an accuracy that is none.
    """
    if not networks:
        raise ValueError("no networks; expected rows of (name, bytes, accuracy).")
    for name, size, accuracy in networks:
        if not (0 < size < math.inf and 0 <= accuracy <= 1):
            raise ValueError(
                f"{name}: {size} bytes and accuracy {accuracy}; expected bytes above 0 and an "
                "accuracy from 0 to 1."
            )
    ax = new_axes() if ax is None else ax
    groups = (
        ("fits", [n for n in networks if n[1] <= budget], "o", COLOURS["real"]),
        ("too large", [n for n in networks if n[1] > budget], "x", COLOURS["other"]),
    )
    for label, group, marker, colour in groups:
        sizes = [size / KILO for _, size, _ in group]
        ax.plot(sizes, [100 * right for *_, right in group], marker, color=colour, label=label)
    ax.axvline(budget / KILO, color=COLOURS["ink"], ls=":", label="budget")
    title = f"{budget / KILO:,.4g} kB: no network fits"
    if fitting := groups[0][1]:
        # Of two that are equally right, the smaller.
        name, size, right = max(fitting, key=lambda n: (n[2], -n[1]))
        ax.plot(size / KILO, 100 * right, "o", ms=13, mfc="none", color=COLOURS["codes"])
        title = f"{budget / KILO:,.4g} kB: {name}, {100 * right:.1f} % with {size / KILO:,.4g} kB"
    ax.set_title(title)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")
    ax.set_xlabel("size in kB (1,000 bytes)")
    ax.set_ylabel("accuracy in %")
    ax.legend(fontsize=9, loc="lower right")
    return ax
