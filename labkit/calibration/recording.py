"""Calibrating a network: what its layers put out, recorded in one pass over the batches."""

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from labkit.calibration.histogram import Histogram
from labkit.calibration.thresholds import METHODS, Method
from labkit.linear import QuantizationError, fake_quantize, from_range
from labkit.progress_bar import progress_bar
from labkit.qparams import QParams, Scheme

__all__ = ["LayerReport", "calibrate", "histogram_error", "record", "report"]


# What contains others, and computes with their weights without calling them.
WHOLES = (nn.MultiheadAttention,)


class Watcher(Protocol):
    """Whatever takes in batches: an observer, or a `Histogram`."""

    def observe(self, x: Any) -> None:
        """Take in a batch."""


def record(
    model: nn.Module,
    batches: Iterable[Any],
    layers: Sequence[str] | None = None,
    inputs: bool = False,
    progress: bool = False,
) -> dict[str, Histogram]:
    """Record a histogram of what each layer puts out.

    Parameters
    ----------
    model, batches, inputs, progress
        As in `calibrate`.
    layers : sequence of str, optional
        Names as in ``model.named_modules()``. By default all modules that contain no others, and
        attention as a whole, but for those that the network never calls (heads for training) and
        those that put out no real numbers. Of several tensors, as from an LSTM, the first counts.

    Returns
    -------
    dict of str to Histogram
        In the order of `layers`.

    Raises
    ------
    TypeError, ValueError
        As `calibrate`.
    """
    if layers is not None:
        histograms = {name: Histogram() for name in layers}
        calibrate(model, batches, histograms, inputs, progress)
        return histograms
    histograms = {name: Histogram() for name in _leaves(model)}
    _run(model, batches, histograms, inputs, progress, lenient=True)
    found = {name: histogram for name, histogram in histograms.items() if histogram.total}
    if not found:
        raise ValueError("no layer puts out a tensor of real numbers; expected at least one.")
    return found


def calibrate(
    model: nn.Module,
    batches: Iterable[Any],
    observers: Mapping[str, Watcher],
    inputs: bool = False,
    progress: bool = False,
) -> None:
    """Let observers watch the layers of a network while it computes on the batches.

    One pass, in eval mode and without gradients; nothing is kept but what the observers keep. The
    model is left as it was, whatever happens.

    Parameters
    ----------
    model : nn.Module
        The network.
    batches : iterable
        What to call the model with: tensors, or sequences whose first element is the tensor, as a
        DataLoader yields them. A generator will do.
    observers : mapping of str to observer
        The observer for each layer, by its name in ``model.named_modules()``.
    inputs : bool
        Watch a layer's first input rather than its output.
    progress : bool
        Show a progress bar, one step a batch.

    Raises
    ------
    TypeError
        If a watched value is no tensor.
    ValueError
        If the model has no layer of a name, there is no batch, a layer is never called, or a
        watched tensor cannot be quantized (NaN, infinity, an integer dtype); the message names
        the layer.
    """
    called = _run(model, batches, observers, inputs, progress)
    if missed := [name for name in observers if name not in called]:
        raise ValueError(
            f"the network never calls {', '.join(map(repr, missed))}; expected layers that it "
            "computes with. Leave these out."
        )


def _run(
    model: nn.Module,
    batches: Iterable[Any],
    observers: Mapping[str, Watcher],
    inputs: bool,
    progress: bool,
    lenient: bool = False,
) -> set[str]:
    """Let observers watch, as `calibrate`; return which were called.

    `lenient`: take the first of several tensors, and pass over what is none of real numbers.
    """
    named = dict(model.named_modules())
    for name in observers:
        if name not in named:
            raise ValueError(_no_such_layer(name, list(named)))
    called: set[str] = set()

    def watch(name: str, value: object) -> None:
        called.add(name)
        if lenient:
            value = value[0] if isinstance(value, tuple | list) and value else value
            if not isinstance(value, Tensor) or not value.is_floating_point():
                return
        try:
            observers[name].observe(value)
        except (TypeError, ValueError) as error:
            side = "input" if inputs else "output"
            raise type(error)(f"the {side} of layer {name!r}: {error}") from error

    number = 0
    with _evaluating(model), ExitStack() as hooks, torch.no_grad():
        for name in observers:
            hooks.callback(_hook(named[name], name, watch, inputs).remove)
        for batch in progress_bar(batches, "calibrate", progress, unit="batch"):
            model(batch if isinstance(batch, Tensor) else batch[0])
            number += 1
    if number == 0:
        raise ValueError("batches is empty; expected at least one batch. Is it a used generator?")
    return called


class LayerReport(NamedTuple):
    """What one method makes of one layer.

    Attributes
    ----------
    layer, method : str
    rmin, rmax : float
        The range that the method chose, in units of the layer's values.
    clipped_fraction : float
        Share of the values outside what the codes represent, 0 to 1.
    sqnr : float
        Signal to quantization noise, in dB; inf without error.
    """

    layer: str
    method: str
    rmin: float
    rmax: float
    clipped_fraction: float
    sqnr: float


def report(
    histograms: Mapping[str, Histogram],
    scheme: Scheme,
    methods: Mapping[str, Method] = METHODS,
) -> list[LayerReport]:
    """Compare methods of choosing a range, layer by layer.

    Parameters
    ----------
    histograms : mapping of str to Histogram
        As `record` returns them.
    scheme : Scheme
        The integers to use.
    methods : mapping of str to function
        As `METHODS`.

    Returns
    -------
    list of LayerReport
        One for each layer and method, in their order.

    Raises
    ------
    ValueError
        If a histogram is empty.
    """
    rows = []
    for layer, histogram in histograms.items():
        for name, method in methods.items():
            rmin, rmax = method(histogram, scheme)
            error = histogram_error(histogram, from_range(rmin, rmax, scheme))
            rows.append(LayerReport(layer, name, rmin, rmax, error.clipped_fraction, error.sqnr))
    return rows


def histogram_error(histogram: Histogram, qparams: QParams) -> QuantizationError:
    """Return the error of quantizing what a histogram has counted, as `quantization_error` does.

    Exact while the histogram keeps its values; afterwards each counts as the middle of its bucket.

    Raises
    ------
    ValueError
        If the histogram is empty, or `qparams` is not for a whole tensor.
    """
    values, counts = histogram.points()
    x = torch.from_numpy(values).float()
    share = torch.from_numpy(counts / histogram.total)
    squared = (x.double() - fake_quantize(x, qparams)).square() * share
    scale, zero_point = qparams.scale.double(), qparams.zero_point
    low = (qparams.scheme.qmin - zero_point) * scale
    high = (qparams.scheme.qmax - zero_point) * scale
    outside = (x < low) | (x > high)
    clipping, rounding = float(squared[outside].sum()), float(squared[~outside].sum())
    total = clipping + rounding
    signal = float((x.double().square() * share).sum())
    sqnr = math.inf if total == 0 else 10 * math.log10(signal / total)
    return QuantizationError(clipping, rounding, total, float(share[outside].sum()), sqnr)


def _leaves(model: nn.Module) -> list[str]:
    """Return the modules that compute as a whole, by name."""
    wholes = {name for name, layer in model.named_modules() if isinstance(layer, WHOLES)}
    return [
        name
        for name, layer in model.named_modules()
        if name in wholes
        or not (any(layer.children()) or any(_is_inside(name, whole) for whole in wholes))
    ]


def _is_inside(name: str, whole: str) -> bool:
    return name != whole and (not whole or name.startswith(f"{whole}."))


def _hook(
    layer: nn.Module, name: str, watch: Callable[[str, object], None], inputs: bool
) -> RemovableHandle:
    if inputs:
        return layer.register_forward_pre_hook(
            lambda _, arguments: watch(name, arguments[0] if arguments else None)
        )
    return layer.register_forward_hook(lambda _, arguments, output: watch(name, output))


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model in eval mode, and every module back into its own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _no_such_layer(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3) or [known for known in names if known][:5]
    return (
        f"the model has no layer {name!r}; expected a name from model.named_modules(), for example "
        f"{', '.join(map(repr, near))}."
    )
