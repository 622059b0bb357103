"""Sliders beside the labs' pictures, where a front end can show them.

Every function here first draws its static picture, which stays when the kernel is gone or the
notebook runs without a front end (nbconvert, nbval, a grader). The sliders below it are an extra
that nothing in a lab depends on: each is paired with a labelled number box, since a slider has no
name for a screen reader, and what the drawing prints or raises appears in the cell.
"""

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from labkit import plots
from labkit.calibration import Histogram, histogram_error, minmax_range, mse_range
from labkit.linear import Scheme, from_range

# What stays on the screen where no widget is, and when the kernel of one has gone.
ELSEWHERE = "(Controls, where the front end has widgets.)"
AGAIN = "The controls below belong to this kernel. If they do nothing, run this cell again."

# Set by the front ends that run a notebook for a person: Jupyter's server, VS Code, Colab.
_FRONT_ENDS = ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG")


@dataclass(frozen=True)
class Control:
    """A number that can be moved.

    Attributes
    ----------
    label : str
        What it is, in a few words.
    value, low, high : int or float
        Where it starts, and its range. Integers move in steps of 1.
    """

    label: str
    value: float
    low: float
    high: float


def live() -> bool:
    """Return whether sliders can work: ipywidgets is there, and a front end that shows them."""
    found = importlib.util.find_spec("ipywidgets") is not None
    return found and any(name in os.environ for name in _FRONT_ENDS)


def number_line_widget(float_value: Callable[..., float]) -> Axes:
    """Draw the number lines of 8-bit floats, and move the border between exponent and mantissa.

    Parameters
    ----------
    float_value : callable
        The student's ``float_value(sign, exponent, mantissa, exponent_bits, mantissa_bits)``.
    """
    controls = {
        "exponent_bits": Control("exponent bits", 4, 2, 5),
        "mantissa_bits": Control("mantissa bits", 3, 1, 6),
    }

    def draw(exponent_bits: int, mantissa_bits: int) -> Axes:
        ax = plots.new_axes((8.0, 1.9))
        return plots.number_lines(float_value, [(exponent_bits, mantissa_bits)], ax=ax)

    picture = plots.number_lines(float_value, [(5, 2), (4, 3), (3, 4), (2, 5)])
    _show_sliders(draw, controls)
    return picture


def rulers_widget(
    scale_and_zero_point: Callable[..., tuple[float, int]],
    rmin: float,
    rmax: float,
    qmin: int,
    qmax: int,
) -> Axes:
    """Draw the ruler of codes under a range, and move the ends of the range and the bits.

    Parameters
    ----------
    scale_and_zero_point : callable
        The student's ``scale_and_zero_point(rmin, rmax, qmin, qmax)``.
    rmin, rmax, qmin, qmax : float and int
        Range and codes of the static picture, where the sliders start. The codes that they choose
        are unsigned if `qmin` is 0, else signed.
    """
    reach = 2 * max(abs(rmin), abs(rmax), 1.0)
    controls = {
        "low": Control("smallest x", float(rmin), -reach, reach),
        "high": Control("largest x", float(rmax), -reach, reach),
        "bits": Control("bits", (qmax - qmin).bit_length(), 2, 6),
    }

    def draw(low: float, high: float, bits: int) -> Axes:
        first = 0 if qmin == 0 else -(2 ** (bits - 1))
        ends = min(low, high), max(low, high)
        return plots.rulers(scale_and_zero_point, *ends, first, first + 2**bits - 1)

    picture = plots.rulers(scale_and_zero_point, rmin, rmax, qmin, qmax)
    _show_sliders(draw, controls)
    return picture


def clipping_widget(histogram: Histogram, bits: int = 4) -> Axes:
    """Draw the histogram of a layer with a clipping threshold, and move the threshold and the bits.

    The codes are symmetric and signed, so that everything beyond -threshold and threshold is
    clipped. The title gives the mean squared error and its two parts, which move against each
    other.

    Parameters
    ----------
    histogram : Histogram
        What was observed: the activations of a layer, not all zero.
    bits : int
        Of a code, in the static picture; 2 to 8.

    Raises
    ------
    ValueError
        If nothing but zeros, or nothing at all, was observed.
    """
    rmin, rmax = minmax_range(histogram, Scheme(bits))
    largest = max(-rmin, rmax)
    if largest == 0:
        raise ValueError("the histogram holds zeros only; expected values that can be clipped.")
    controls = {
        "threshold": Control("threshold", largest, largest / 100, largest),
        "bits": Control("bits", bits, 2, 8),
    }

    def draw(threshold: float, bits: int) -> Axes:
        return clipped_histogram(histogram, threshold, bits)

    best = mse_range(histogram, Scheme(bits, symmetric=True, narrow=True))[1]
    picture = clipped_histogram(histogram, best, bits)
    _show_sliders(draw, controls)
    return picture


def budget_widget(networks: Sequence[tuple[str, int, float]], budget: float) -> Axes:
    """Draw accuracy against bytes, and move the budget, which marks the best network that fits.

    Parameters
    ----------
    networks : sequence of (name, bytes, accuracy)
        What was measured; accuracy from 0 to 1.
    budget : float
        In bytes: of the static picture, and where the slider starts.

    Raises
    ------
    ValueError
        If there are no networks, or one has no bytes or an accuracy that is none.
    """

    def draw(kilobytes: float) -> Axes:
        return plots.best_within_budget(networks, 1000 * kilobytes)

    picture = draw(budget / 1000)
    kilobytes = [budget / 1000, *(size / 1000 for _, size, _ in networks)]
    ends = 0.9 * min(kilobytes), 1.1 * max(kilobytes)
    _show_sliders(draw, {"kilobytes": Control("budget in kB", kilobytes[0], *ends)})
    return picture


def clipped_histogram(histogram: Histogram, threshold: float, bits: int) -> Axes:
    """Draw a histogram with a clipping threshold on both sides, and say what the error is."""
    scheme = Scheme(bits, symmetric=True, narrow=True)
    error = histogram_error(histogram, from_range(-threshold, threshold, scheme))
    ax = plots.thresholds(histogram, {"kept": (-threshold, threshold)})
    ax.set_title(
        f"{bits} bits, squared error {error.total:.3g}: "
        f"clipping {error.clipping:.3g} + rounding {error.rounding:.3g}",
        pad=22,
    )
    return ax


def _show_sliders(draw: Callable[..., Axes], controls: Mapping[str, Control]) -> None:
    """Show sliders whose movement draws below them, where they can work; else nothing."""
    if not live():
        return
    from IPython.display import HTML, display

    plt.show()  # The static picture comes first: what follows it in the cell moves.
    display(HTML(f"<p>{AGAIN}</p>"))
    _display(sliders(draw, controls))


def _display(box: Any) -> None:
    """Show widgets; where the front end cannot, a sentence instead of their source text."""
    from IPython.display import display

    display({**box._repr_mimebundle_(), "text/plain": ELSEWHERE}, raw=True)


def sliders(draw: Callable[..., Axes], controls: Mapping[str, Control]) -> Any:
    """Return a box of sliders, each with a labelled number box, over an empty output.

    Parameters
    ----------
    draw : callable
        Called with one number for each control, by name, whenever one has moved; draws a figure.
    controls : mapping of str to Control
        The names that `draw` takes.

    Returns
    -------
    ipywidgets.VBox
        Rows of number box and slider, then the Output that holds the drawing.
    """
    import ipywidgets
    from IPython.display import display

    output = ipywidgets.Output()
    boxes: dict[str, Any] = {}
    rows = []
    for name, control in controls.items():
        kind = "Int" if isinstance(control.value, int) else "Float"
        limits = {"value": control.value, "min": control.low, "max": control.high}
        if kind == "Float":
            limits["step"] = (control.high - control.low) / 80
        slider = getattr(ipywidgets, f"{kind}Slider")(
            **limits, readout=False, continuous_update=False
        )
        boxes[name] = getattr(ipywidgets, f"Bounded{kind}Text")(
            **limits, description=control.label, style={"description_width": "8em"}
        )
        ipywidgets.link((slider, "value"), (boxes[name], "value"))
        rows.append(ipywidgets.HBox([boxes[name], slider]))

    def redraw(change: object) -> None:
        output.clear_output(wait=True)
        with output:  # it also catches what the drawing prints or raises
            draw(**{name: box.value for name, box in boxes.items()})
            display(plt.gcf())
            plt.close()

    for box in boxes.values():
        box.observe(redraw, names="value")
    return ipywidgets.VBox([*rows, output])
