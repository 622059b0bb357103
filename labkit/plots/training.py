"""The pictures of lab 5, quantization-aware training.

A student's function gets copies, so that one that works in place spoils nothing that is drawn.
"""

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from labkit.plots.picture import Picture
from labkit.plots.style import COLOURS, students_own, styled


@students_own
def slope_of_rounding(
    fake_quantize: Callable[..., Tensor], scale: float, qmin: int, qmax: int, ax: Axes
) -> Axes:
    """Draw a student's fake quantization, and the slope that autograd finds in it."""
    reach = 1.4 * max(abs(qmin), abs(qmax)) * scale
    x = torch.linspace(-reach, reach, 1001).requires_grad_()
    y = fake_quantize(x, scale, 0, qmin, qmax)
    slope = torch.zeros_like(x)
    if y.requires_grad:
        (slope,) = torch.autograd.grad(y.sum(), x)
    real = x.detach()
    ax.plot(real, real, "--", color=COLOURS["faint"], label="x itself")
    ax.plot(real, _numbers(y, x.shape), color=COLOURS["codes"], label="your fake quantization y")
    ax.plot(real, _numbers(slope, x.shape), color=COLOURS["error"], lw=3, label="slope of y")
    ax.set_xlabel("x")
    ax.set_ylabel("y, and its slope")
    share = 100 * float((slope == 0).double().mean())
    cut = "no gradient came back: an integer dtype on the way cut it off"
    ax.set_title(f"the slope is 0 at {share:.0f} % of all x" if y.requires_grad else cut)
    ax.legend(fontsize=9)
    return ax


@students_own
def descent_through_rounding(
    loss_and_slope: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    start: Sequence[float],
    target: Sequence[float],
    rate: float,
    steps: int,
    ax: Axes,
) -> Axes:
    """Draw a student's slope, and how numbers move down it until they round to their targets."""
    ax.set_axis_off()
    left, right = styled(ax.inset_axes((0, 0, 0.42, 1))), styled(ax.inset_axes((0.55, 0, 0.45, 1)))
    _slope_beside_its_cousins(left, loss_and_slope)
    x, goal = torch.tensor(start), torch.tensor(target)
    path = [x]
    for _ in range(steps):
        _, slope = loss_and_slope(x.clone(), goal.clone())
        x = x - rate * torch.as_tensor(_numbers(slope, x.shape), dtype=x.dtype)
        path.append(x)
    moved = torch.stack(path)
    colours = ("real", "codes", "rounding", "error")
    for i, end in enumerate(target):
        colour = COLOURS[colours[i % len(colours)]]
        right.plot(moved[:, i], color=colour, label=f"x[{i}], target {end:g}")
        right.plot(moved[:, i].round(), ":", color=colour)
        right.axhspan(end - 0.5, end + 0.5, color=colour, alpha=0.1)
    right.set_xlabel("step")
    right.set_ylabel("x; dotted: round(x)")
    right.legend(fontsize=9)
    return ax


def _slope_beside_its_cousins(
    ax: Axes, loss_and_slope: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
) -> None:
    """Draw the slope at many x for the target 1, with what a loss without rounding would have."""
    x = torch.linspace(-1.45, 3.45, 50)
    loss, slope = loss_and_slope(x.clone(), torch.ones_like(x))
    ax.plot(x, 2 * (x - 1), "--", color=COLOURS["faint"], label="2 (x - t), without rounding")
    ax.axhline(0, color=COLOURS["faint"], lw=1)
    ax.plot(x, _numbers(slope, x.shape), ".", color=COLOURS["error"], label="your slope")
    ax.set_xlabel("x, for the target t = 1")
    ax.set_ylabel("slope of the loss")
    ax.set_title(f"your loss of all of them: {float(torch.as_tensor(loss)):.4g}", size=10)
    ax.legend(fontsize=8)


@students_own
def gradient_window(
    fake_quantize_backward: Callable[..., Tensor],
    scale: float,
    zero_point: int,
    qmin: int,
    qmax: int,
    ax: Axes,
) -> Axes:
    """Draw where a student's backward pass lets a gradient of 1 through."""
    low, high = (qmin - zero_point) * scale, (qmax - zero_point) * scale
    margin = 0.3 * (high - low)
    x = torch.linspace(low - margin, high + margin, 801)
    code = (torch.round(x / scale) + zero_point).clamp(qmin, qmax)
    one = torch.ones_like(x)
    through = fake_quantize_backward(x.clone(), scale, zero_point, qmin, qmax, one)
    ax.axvspan(low, high, color=COLOURS["rounding"], alpha=0.1, label="values of the codes")
    ax.plot(x, (code - zero_point) * scale, color=COLOURS["codes"], label="fake quantization")
    ax.plot(x, _numbers(through, x.shape), color=COLOURS["error"], lw=3, label="your gradient")
    ax.set_xlabel("x")
    ax.set_ylabel("y, and dx for dy = 1")
    ax.legend(fontsize=9)
    return ax


@students_own
def step_size_gradient(step_gradient: Callable[..., float], qmin: int, qmax: int, ax: Axes) -> Axes:
    """Draw a student's gradient of the step size for single values, each with dy = 1."""
    values = torch.linspace(qmin - 2.0, qmax + 2.0, 40 * (qmax - qmin + 4) + 1)
    one = torch.ones(1)
    found = [float(step_gradient(value.reshape(1), 1.0, qmin, qmax, one)) for value in values]
    ax.axvspan(qmin, qmax, color=COLOURS["rounding"], alpha=0.1, label="range of the codes")
    ax.axhline(0, color=COLOURS["ink"], lw=1)
    ax.plot(values, _numbers(found, values.shape), color=COLOURS["error"], label="your gradient")
    ax.set_xlabel("x / s, the value in steps")
    ax.set_ylabel("gradient of the step size s")
    ax.legend(fontsize=9)
    return ax


@students_own
def paths_of_weights(
    fine_tune: Callable[..., Tensor],
    problem: tuple[Tensor, Tensor, Tensor, float],
    steps: int,
    rate: float,
    ax: Axes,
) -> Axes:
    """Draw how a student's loop moves the real weights between the ties of ternary ones.

    Parameters
    ----------
    fine_tune : callable
        The student's.
    problem : (Tensor, Tensor, Tensor, float)
        Weights, inputs, labels and scale to call it with.
    steps : int
        How many.
    rate : float
        The learning rate.
    ax : Axes
    """
    w, x, labels, scale = problem
    found = [fine_tune(w.clone(), x, labels, scale, n, rate) for n in range(steps + 1)]
    paths = [_numbers(weights, w.shape) for weights in found]
    lines = np.stack(paths).reshape(steps + 1, -1) / scale
    codes = np.rint(lines).clip(-1, 1)
    crossed = (codes != codes[0]).any(0)
    ax.plot(lines[:, ~crossed], color=COLOURS["faint"], lw=1)
    ax.plot(lines[:, crossed], color=COLOURS["codes"], lw=1.5)
    for tie in (-0.5, 0.5):
        ax.axhline(tie, color=COLOURS["ink"], ls=":")
    ax.set_xlabel("step")
    ax.set_ylabel("real weight / scale")
    ax.set_title(f"{int(crossed.sum())} of {crossed.size} weights cross a tie (dotted)", size=10)
    return ax


@students_own
def binary_error(
    binary_weights: Callable[[Tensor], tuple[Tensor, Tensor]], w: Tensor, ax: Axes
) -> Axes:
    """Draw the squared error of one channel against the scale of its signs, and a student's."""
    row = w[:1]
    signs, scale = binary_weights(row.clone())
    signs, own = torch.as_tensor(signs).float(), float(torch.as_tensor(scale).reshape(()))
    scales = torch.linspace(0, 2.5 * float(row.abs().mean()), 200)
    errors = [float((row - s * signs).square().mean()) for s in scales]
    ax.plot(scales, errors, color=COLOURS["error"])
    at = float((row - own * signs).square().mean())
    ax.plot(own, at, "o", color=COLOURS["codes"], ms=9, label=f"your scale {own:.4g}")
    ax.set_xlabel("scale S")
    ax.set_ylabel("mean of (w - S sign(w))²")
    ax.legend(fontsize=9)
    return ax


def soft_decisions(found: Mapping[int, Tensor]) -> Axes:
    """Draw how many rounding decisions lie where between down (0) and up (1), step by step.

    Parameters
    ----------
    found : mapping
        Step to the decisions h, any shape, 0 to 1.
    """
    _, axes = plt.subplots(
        1,
        len(found),
        figsize=(8, 2.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
        FigureClass=Picture,
    )
    for ax, (step, h) in zip(axes[0], found.items(), strict=True):
        styled(ax)
        ax.hist(h.flatten().tolist(), bins=np.linspace(0, 1, 21).tolist(), color=COLOURS["codes"])
        ax.set_title(f"step {step}")
        ax.set_xlabel("h: 0 is down, 1 is up")
    axes[0][0].set_ylabel("weights")
    return axes[0][0]


def fine_tuning(
    learning_rate: Sequence[float], loss: Sequence[float], accuracy: Sequence[float]
) -> Axes:
    """Draw what a run of fine-tuning recorded, one number a step, in three panels.

    Returns
    -------
    Axes
        The last panel's.
    """
    _, axes = plt.subplots(1, 3, figsize=(8, 2.8), layout="constrained", FigureClass=Picture)
    series = {"learning rate": learning_rate, "loss": loss, "accuracy in %": accuracy}
    for ax, (name, values) in zip(axes, series.items(), strict=True):
        numbers = np.asarray(values, dtype=float) * (100 if name.endswith("%") else 1)
        alone = name == "learning rate"
        styled(ax).plot(numbers, color=COLOURS["real"], alpha=1 if alone else 0.3, lw=1)
        if not alone and len(numbers) >= 20:
            smooth = np.convolve(numbers, np.ones(20) / 20, "valid")
            ax.plot(np.arange(19, len(numbers)), smooth, color=COLOURS["codes"], lw=2)
        ax.set_xlabel("step")
        ax.set_title(name, size=10)
    return ax


def bits_and_accuracy(
    results: Mapping[str, Mapping[str, Mapping[str, tuple[float, ...]]]],
) -> Axes:
    """Draw accuracy at each number of bits after PTQ and after QAT, a panel a network.

    Parameters
    ----------
    results : mapping
        Network to method ("FP32", "PTQ", "QAT") to bits to (accuracy, its uncertainty, ...), as
        shares of 1: what `labkit.qat.mean_results` returns.

    Returns
    -------
    Axes
        The last panel's.
    """
    figure, axes = plt.subplots(
        1,
        len(results),
        figsize=(8, 3.6),
        sharey=True,
        layout="constrained",
        squeeze=False,
        FigureClass=Picture,
    )
    looks = {"PTQ": ("real", "o", "--"), "QAT": ("codes", "s", "-")}
    for ax, (network, methods) in zip(axes[0], results.items(), strict=True):
        real = methods["FP32"]["FP32"][0]
        styled(ax).axhline(100 * real, color=COLOURS["ink"], ls=":", label="FP32")
        for method, (colour, marker, line) in looks.items():
            points = methods[method]
            mean, error = np.array([found[:2] for found in points.values()], dtype=float).T
            ax.errorbar(
                list(points),
                100 * mean,
                100 * error,
                color=COLOURS[colour],
                marker=marker,
                ls=line,
                capsize=3,
                label=method,
            )
        ax.set_title(network)
        ax.set_xlabel("bits of weights and activations")
    axes[0][0].set_ylim(0, 100)
    axes[0][0].set_ylabel("accuracy in %")
    lines, names = ax.get_legend_handles_labels()
    figure.legend(lines, names, fontsize=9, loc="outside upper center", ncols=3, frameon=False)
    return ax


def _numbers(result: object, shape: Sequence[int]) -> np.ndarray:
    """Return what a student's function gave as an array, if it can be drawn."""
    if isinstance(result, Tensor):
        result = result.detach()
    numbers = np.asarray(result, dtype=np.float64)
    if numbers.shape != tuple(shape):
        raise ValueError(f"shape {numbers.shape} where {tuple(shape)} is needed.")
    if not np.isfinite(numbers).all():
        raise ValueError("numbers that are NaN or infinite.")
    return numbers
