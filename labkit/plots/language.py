"""Pictures of lab 7: outliers and what makes them small, the cache, and what a bit buys."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from labkit.plots.style import COLOURS, new_axes, students_own


@students_own
def outliers(maxima: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor, ax: Axes) -> Axes:
    """Draw the largest magnitude of each channel and of each token, in their order.

    Parameters
    ----------
    maxima : callable
        Yours: x to the maxima of channels and of tokens.
    x : Tensor
        Real [tokens, in].
    """
    channels, tokens = (torch.as_tensor(part).double().flatten() for part in maxima(x))
    for values, name in ((channels, "real"), (tokens, "codes")):
        word = "channel" if name == "real" else "token"
        place = np.linspace(0, 1, len(values))
        ax.plot(place, values.numpy(), color=COLOURS[name], lw=1, label=f"each {word}")
        ax.axhline(float(values.median()), color=COLOURS[name], ls=":", label=f"median {word}")
    if float(x.abs().max()) > 0:
        ax.set_yscale("log")
    ax.set_xticks([0, 1], ["first", "last"])
    ax.set_xlabel("channel or token, in order")
    ax.set_ylabel("largest magnitude")
    ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


@students_own
def codes_of_tokens(
    quantize_tokens: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor, ax: Axes
) -> Axes:
    """Draw the codes of each token as an image, a row a token, and its scale at the edge.

    Parameters
    ----------
    quantize_tokens : callable
        Yours: x to codes and the scale of each token.
    x : Tensor
        Real [tokens, in], few enough to be told apart.
    """
    codes, scale = (torch.as_tensor(part).double() for part in quantize_tokens(x))
    image = ax.imshow(codes.numpy(), cmap="PuOr", vmin=-127, vmax=127, aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="code")
    scales = scale.flatten().tolist()
    ax.set_yticks(range(len(scales)), [f"{value:.2g}" for value in scales])
    ax.set_xlabel("channel")
    ax.set_ylabel("token, with its scale")
    ax.grid(visible=False)
    return ax


@students_own
def smoothed(
    smooth: Callable[..., tuple[Tensor, Tensor]],
    norm: Tensor,
    w: Tensor,
    x_maxima: Tensor,
    alpha: float,
    ax: Axes,
) -> Axes:
    """Draw the largest magnitude of each channel, in the input and the weights, before and after.

    Parameters
    ----------
    smooth : callable
        Yours: norm, w, x_maxima and alpha to the new norm and the new w.
    norm, w, x_maxima, alpha
        Its arguments.
    """
    new_norm, new_w = (torch.as_tensor(part).double() for part in smooth(norm, w, x_maxima, alpha))
    order = x_maxima.argsort(descending=True)
    lines = {
        "input before": (x_maxima.double(), "real", ":"),
        "weights before": (w.abs().amax(0).double(), "codes", ":"),
        "input after": (x_maxima.double() * (new_norm / norm).abs(), "real", "-"),
        "weights after": (new_w.abs().amax(0), "codes", "-"),
    }
    for name, (values, colour, style) in lines.items():
        ax.plot(values[order].numpy(), style, color=COLOURS[colour], label=name)
    ax.set_yscale("log")
    ax.set_xlabel("channel, the largest input first")
    ax.set_ylabel("largest magnitude")
    ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


@students_own
def rotated(rotate: Callable[[Tensor], Tensor], x: Tensor, ax: Axes) -> Axes:
    """Draw the channels of one token before and after a rotation.

    Parameters
    ----------
    rotate : callable
        Yours: [1, n] to [1, n].
    x : Tensor
        Real [1, n].
    """
    after = torch.as_tensor(rotate(x)).double().flatten()
    for values, name, colour in (
        (x.double().flatten(), "before", "real"),
        (after, "after", "codes"),
    ):
        label = f"{name}: largest {values.abs().max():,.0f}, length {values.norm():,.0f}"
        ax.plot(values.numpy(), ".-", ms=4, lw=0.8, color=COLOURS[colour], label=label)
    ax.set_xlabel("channel")
    ax.set_ylabel("value")
    ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(0, 1.25), ncols=2)
    return ax


def keys_and_values(keys: Tensor, values: Tensor, ax: Axes | None = None) -> Axes:
    """Draw the largest magnitude of each channel of keys and of values, the largest first.

    Parameters
    ----------
    keys, values : Tensor
        Real [tokens, width].
    """
    ax = new_axes() if ax is None else ax
    for x, name, colour in ((keys, "keys", "real"), (values, "values", "codes")):
        largest = x.abs().amax(0).sort(descending=True).values.double()
        label = f"{name}: largest over median {float(largest[0] / largest.median()):.1f}"
        ax.plot(largest.numpy(), color=COLOURS[colour], label=label)
    ax.set_xlabel("channel, the largest first")
    ax.set_ylabel("largest magnitude")
    ax.legend(fontsize=9, loc="upper right")
    return ax


@students_own
def seconds_over_tokens(
    predicted_seconds: Callable[..., float],
    weights: int,
    bits: Sequence[float],
    bandwidth: float,
    throughput: float,
    ax: Axes,
) -> Axes:
    """Draw the predicted time of a matrix product over the number of tokens.

    Parameters
    ----------
    predicted_seconds : callable
        Yours: tokens, weights, bits, bandwidth and throughput to seconds.
    weights, bandwidth, throughput
        Its arguments.
    bits : sequence of float
        A line for each.
    """
    tokens = [2**k for k in range(10)]
    for number, colour in zip(bits, ("real", "codes", "rounding"), strict=False):
        seconds = [
            float(predicted_seconds(n, weights, number, bandwidth, throughput)) for n in tokens
        ]
        label = f"{number:g} bits: {1e3 * seconds[0]:.3g} ms for one token"
        ax.plot(tokens, [1e3 * s for s in seconds], "o-", ms=4, color=COLOURS[colour], label=label)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xlabel("tokens at once")
    ax.set_ylabel("milliseconds")
    ax.legend(fontsize=9, loc="upper left")
    return ax


def perplexity_over_bits(
    rows: Mapping[str, tuple[float, float, float]], reference: float, ax: Axes | None = None
) -> Axes:
    """Draw perplexity over all bits that a weight costs.

    Parameters
    ----------
    rows : mapping of str to (bits, perplexity, error)
        What was measured; the error is that of the difference to the float model.
    reference : float
        Perplexity of the float model.
    """
    if not rows:
        raise ValueError("rows is empty; expected a name with (bits, perplexity, error).")
    ax = new_axes((8.0, 4.0)) if ax is None else ax
    ax.axhline(reference, color=COLOURS["faint"], ls="--", label=f"float: {reference:.3g}")
    at_the_line = ax.get_yaxis_transform()
    ax.text(0.3, reference, f"float: {reference:.3g}", size=9, va="bottom", transform=at_the_line)
    order = sorted(rows.items(), key=lambda row: -row[1][1])
    for place, (name, (bits, value, error)) in enumerate(order):
        said = f"{name}: {bits:.3g} bits, {value:.3g}"
        ax.errorbar(bits, value, error, fmt="o", color=COLOURS["real"], capsize=2, label=said)
        ax.annotate(
            said,
            (bits, value),
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
    values = [value for _, value, _ in rows.values()]
    if max(values) > 5 * min(values):
        ax.set_yscale("log")
    ax.set_xlabel("bits a weight, scales included")
    ax.set_ylabel("perplexity")
    return ax
