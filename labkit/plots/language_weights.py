"""Pictures of lab 7: weights in groups, the search of AWQ, and the corrections of GPTQ."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from labkit.plots.style import COLOURS, students_own


@students_own
def weights_in_groups(
    quantize_groups: Callable[..., tuple[Tensor, Tensor, float]],
    w: Tensor,
    bits: int,
    group_size: int,
    ax: Axes,
) -> Axes:
    """Draw the weights of one row, what they come back as, and how far the grid of a group reaches.

    Parameters
    ----------
    quantize_groups : callable
        Yours: w, bits and group_size to codes, scales and the bits of a weight.
    w : Tensor
        Real [1, in].
    bits, group_size : int
        Its other arguments.
    """
    codes, scale, cost = quantize_groups(w, bits, group_size)
    step = torch.as_tensor(scale).double().flatten().repeat_interleave(group_size).numpy()
    values = torch.as_tensor(codes).double().flatten().numpy() * step
    top, places = 2 ** (bits - 1) - 1, np.arange(w.numel())
    ax.fill_between(places, -top * step, top * step, step="mid", color=COLOURS["faint"], alpha=0.4)
    ax.plot(places, w.flatten().numpy(), ".", color=COLOURS["real"], label="weight")
    ax.plot(places, values, "_", ms=7, mew=2, color=COLOURS["codes"], label="comes back as")
    ax.set_title(f"{bits} bits, groups of {group_size}: {float(cost):g} bits a weight", size=10)
    ax.set_xlabel("column; grey: how far the grid of its group reaches")
    ax.set_ylabel("weight")
    ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


@students_own
def errors_over_alpha(
    awq_errors: Callable[..., Tensor],
    w: Tensor,
    x: Tensor,
    alphas: Sequence[float],
    bits: Sequence[int],
    group_size: int,
    ax: Axes,
) -> Axes:
    """Draw the error of the output over the exponent, in units of the error of plain rounding.

    Parameters
    ----------
    awq_errors : callable
        Yours: w, x, alphas, bits and group_size to an error for each alpha.
    w, x, alphas, group_size
        Its arguments; the first alpha is 0.
    bits : sequence of int
        A line for each.
    """
    for number, colour in zip(bits, ("real", "codes", "rounding"), strict=False):
        errors = torch.as_tensor(awq_errors(w, x, list(alphas), number, group_size)).double()
        label = f"{number} bits: {float(errors[0]):.3g} at 0, {float(errors.min()):.3g} at best"
        ax.plot(alphas, errors.numpy(), "o-", ms=4, color=COLOURS[colour], label=label)
        if bool((errors > 0).any()):
            ax.set_yscale("log")
    ax.set_xlabel("alpha; 0 is plain rounding")
    ax.set_ylabel("mean squared error of the output")
    ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    return ax


@students_own
def correction(
    correct: Callable[[Tensor, Tensor, int, float], Tensor],
    w: Tensor,
    hessian: Tensor,
    rounded: float,
    ax: Axes,
) -> Axes:
    """Draw the error of two weights as contours, and where rounding the first one leads.

    Parameters
    ----------
    correct : callable
        Yours: w, hessian, i and the rounded value to the corrected weights.
    w : Tensor
        Two weights.
    hessian : Tensor
        Real [2, 2].
    rounded : float
        What the first weight becomes.
    """
    found = torch.as_tensor(correct(w, hessian, 0, rounded)).double()
    start, h = w.double(), hessian.double()
    reach = 1.6 * max(float((found - start).abs().max()), abs(rounded - float(w[0])))
    axis = torch.linspace(-reach, reach, 81, dtype=torch.float64)
    a, b = torch.meshgrid(axis, axis, indexing="xy")
    error = h[0, 0] * a * a + 2 * h[0, 1] * a * b + h[1, 1] * b * b
    x, y = (axis + start[0]).numpy(), (axis + start[1]).numpy()
    ax.contour(x, y, error.sqrt().numpy(), 9, colors=COLOURS["faint"])
    ax.axvline(rounded, color=COLOURS["ink"], ls=":", label="first weight rounded")
    points = {"weights": start, "plain rounding": torch.tensor([rounded, float(w[1])])}
    points["yours"] = found
    for (name, point), mark in zip(points.items(), ("o", "s", "^"), strict=True):
        d = point.double() - start
        label = f"{name}: error {float(d @ h @ d):.3g}"
        colour = {"weights": "real", "plain rounding": "error", "yours": "codes"}[name]
        ax.plot(*point.double().numpy(), mark, ms=8, color=COLOURS[colour], label=label)
    ax.set_xlabel("first weight")
    ax.set_ylabel("second weight")
    ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


@students_own
def codes_moved(
    gptq: Callable[[Tensor, Tensor, Tensor, int], Tensor],
    w: Tensor,
    u: Tensor,
    scale: Tensor,
    bits: int,
    ax: Axes,
) -> Axes:
    """Draw by how many steps each code differs from plain rounding, an image [out, in].

    Parameters
    ----------
    gptq : callable
        Yours: w, u, scale and bits to codes.
    w, u, scale, bits
        Its arguments.
    """
    top = 2 ** (bits - 1) - 1
    nearest = torch.round(w / scale).clamp(-top, top)
    moved = torch.as_tensor(gptq(w, u, scale, bits)).double() - nearest
    image = ax.imshow(moved.numpy(), cmap="PuOr", vmin=-3, vmax=3, aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="steps")
    share = 100 * float((moved != 0).double().mean())
    ax.set_title(f"{share:.0f} % of the codes are not the nearest ones", size=10)
    ax.set_xlabel("column, rounded from left to right")
    ax.set_ylabel("row")
    ax.grid(visible=False)
    return ax
