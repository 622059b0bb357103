"""Pictures of lab 4: ranges of channels, mean errors, layers that suffer, logits, the trade-off.

A student's function gets copies, so that one that works in place spoils nothing that is drawn.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from labkit.plots.style import COLOURS, new_axes, say, students_own

KILO = 1e3


@students_own
def equalized_ranges(
    equalization_factors: Callable[[Tensor, Tensor], Tensor], w1: Tensor, w2: Tensor, ax: Axes
) -> Axes:
    """Draw the range of each channel in two layers, before and after a student's factors.

    Parameters
    ----------
    equalization_factors : callable
        The student's.
    w1, w2 : Tensor
        [channels, ...] and [out, channels, ...].
    """
    s = _one_number_each(equalization_factors(w1.clone(), w2.clone()), len(w1))
    r1 = w1.abs().flatten(1).amax(1).double().numpy()
    r2 = w2.abs().transpose(0, 1).flatten(1).amax(1).double().numpy()
    panels = (("before", r1, r2), ("after your factors", r1 / s, r2 * s))
    ax.set_axis_off()
    lowest = max(min(float(r[r > 0].min()) for r in (r1, r2)) / 2, 1e-4)
    highest = 2 * max(float(r.max()) for _, *pair in panels for r in pair)
    for place, (title, first, second) in enumerate(panels):
        label = "largest |w|" if place == 0 else ""
        panel = _panel(ax, (place * 0.53, 0.05, 0.46, 0.85), title, "channel", label)
        panel.semilogy(first, "o", color=COLOURS["real"], ms=4, label="first layer, its outputs")
        panel.semilogy(
            second, "s", color=COLOURS["codes"], ms=7, mfc="none", label="second layer, its inputs"
        )
        panel.set_ylim(lowest, highest)
    panel.legend(fontsize=8)
    return ax


@students_own
def mean_errors(
    correct_bias: Callable[[Tensor, Tensor, Tensor], Tensor],
    bias: Tensor,
    y: Tensor,
    y_quantized: Tensor,
    ax: Axes,
) -> Axes:
    """Draw the mean error of each channel, and what a student's new bias leaves of it."""
    given = bias.clone(), y.clone(), y_quantized.clone()
    corrected = _one_number_each(correct_bias(*given), len(bias))
    error = (y_quantized - y).transpose(0, 1).flatten(1).mean(1).double().numpy()
    left = error + corrected - bias.double().numpy()
    channels = np.arange(len(error))
    ax.bar(channels, error, 0.7, color=COLOURS["error"], label="quantized weights")
    ax.plot(channels, left, "o", color=COLOURS["rounding"], ms=4, label="with your bias")
    ax.set_xlabel("output channel")
    ax.set_ylabel("mean error")
    ax.legend(fontsize=9)
    return ax


@students_own
def trade_off(
    pareto_front: Callable[[Tensor, Tensor], Tensor],
    names: Sequence[str],
    sizes: Sequence[int],
    accuracies: Sequence[float],
    milliseconds: Sequence[float],
    errors: Sequence[float],
    ax: Axes,
) -> Axes:
    """Draw a row per network, the smallest first: its accuracy, and a student's Pareto front.

    Parameters
    ----------
    pareto_front : callable
        The student's.
    names : sequence of str
        Of the networks.
    sizes : sequence of int
        Bytes on disk.
    accuracies : sequence of float
        0 to 1.
    milliseconds : sequence of float
        For one batch.
    errors : sequence of float
        Standard errors of the accuracies, 0 to 1.
    """
    bytes_, right = torch.tensor(sizes), torch.tensor(accuracies, dtype=torch.float64)
    front = _one_number_each(pareto_front(bytes_.clone(), right.clone()), len(names)).astype(bool)
    order = sorted(range(len(names)), key=lambda i: (sizes[i], -accuracies[i]))
    rows, x = np.arange(len(names)), 100 * right.numpy()[order]
    spread, on_front = 100 * np.array(errors)[order], front[order]
    ax.errorbar(x, rows, xerr=spread, fmt="none", color=COLOURS["other"], elinewidth=1)
    ax.plot(x[on_front], rows[on_front], "o-", color=COLOURS["rounding"], ms=8, label="your front")
    ax.plot(x[~on_front], rows[~on_front], "s", color=COLOURS["faint"], label="beaten by another")
    labels = [f"{names[i]}\n{sizes[i] / KILO:,.0f} kB, {milliseconds[i]:.3g} ms" for i in order]
    ax.set_yticks(rows, labels, size=8)
    ax.invert_yaxis()
    ax.set_xlabel("accuracy in %, with standard error")
    ax.set_title("the smallest file at the top", size=10)
    ax.legend(fontsize=9, ncols=2, loc="lower left", bbox_to_anchor=(0, 1.06), frameon=False)
    return ax


def layers_in_db(rows: Sequence[tuple[str, float]], ax: Axes | None = None) -> Axes:
    """Draw the SQNR of the logits with one layer quantized at a time, a bar a layer.

    Parameters
    ----------
    rows : sequence of (name, SQNR in dB)
        In the order in which the layers run.
    """
    ax = new_axes((8.0, 0.6 + 0.26 * len(rows))) if ax is None else ax
    values = np.array([decibels for _, decibels in rows], dtype=float)
    if not len(rows) or not np.isfinite(values).all():
        return say(ax, "No picture: expected a finite SQNR for each layer.")
    worst = int(values.argmin())
    colours = [COLOURS["codes" if i == worst else "real"] for i in range(len(rows))]
    ax.barh([name for name, _ in rows], values, color=colours)
    ax.invert_yaxis()
    ax.set_xlabel("SQNR of the logits in dB, this layer alone quantized")
    ax.set_ylabel("layer, in the order they run")
    return ax


def logits_beside_float(
    real: Tensor, quantized: Mapping[str, Tensor], ax: Axes | None = None
) -> Axes:
    """Draw each logit of quantized networks against the float network's, a panel a network.

    Parameters
    ----------
    real : Tensor
        The float network's logits, of any shape.
    quantized : mapping of str to Tensor
        Logits of the same shape by name; one network or more.
    """
    ax = new_axes((8.0, 3.8)) if ax is None else ax
    tensors = (real, *quantized.values())
    if not quantized or not all(bool(logits.isfinite().all()) for logits in tensors):
        return say(ax, "No picture: expected finite logits of at least one network.")
    ax.set_axis_off()
    ends = [float(real.min()), float(real.max())]
    width = 1 / len(quantized)
    for place, (name, logits) in enumerate(quantized.items()):
        box = (place * width + 0.04, 0.08, width - 0.1, 0.82)
        label = "logit of the integers" if place == 0 else ""
        panel = _panel(ax, box, name, "logit of the float network", label)
        dots = panel.plot(real.flatten(), logits.flatten(), ".", color=COLOURS["codes"], ms=2)[0]
        dots.set_rasterized(True)
        panel.plot(ends, ends, ":", color=COLOURS["ink"], label="what the float network says")
    panel.legend(fontsize=8)
    return ax


def _panel(
    ax: Axes, box: tuple[float, float, float, float], title: str, across: str, up: str
) -> Axes:
    """Return axes inset in others, with a title and labels."""
    panel = ax.inset_axes(box)
    panel.set_title(title, size=10)
    panel.set_xlabel(across)
    panel.set_ylabel(up)
    panel.grid(alpha=0.25)
    return panel


def _one_number_each(result: object, count: int) -> np.ndarray:
    """Return what a student's function gave as an array of `count` finite numbers."""
    numbers = torch.as_tensor(result).detach().double().numpy()
    if numbers.shape != (count,):
        raise ValueError(f"shape {numbers.shape} where {(count,)} is needed.")
    if not np.isfinite(numbers).all():
        raise ValueError("numbers that are NaN or infinite.")
    return numbers
