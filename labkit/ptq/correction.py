"""Bias correction: the mean error that rounded weights make, taken out of the bias."""

import copy
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, fx, nn

from labkit.linear import fake_quantize
from labkit.ptq.batches import input_names, inputs_of
from labkit.ptq.graph import weighted_layer
from labkit.qparams import QParams


@torch.no_grad()
def correct_biases(
    network: fx.GraphModule, weights: Mapping[str, QParams], batches: Iterable[Any]
) -> None:
    """Shift each bias by the mean error of its layer's quantized weights, in place.

    ::

        b' = b - mean((w' - w) * x)         over images and pixels, per output channel

    with `x` the layer's input in the float network, and `*` its convolution or product: rounding
    errors of one channel's weights do not average out if its inputs have a mean, as after a ReLU.

    Parameters
    ----------
    network : fx.GraphModule
        As `fold_batchnorm` returns it.
    weights : mapping of str to QParams
        The grid of each layer's weights, by its path.
    batches : iterable
        Images, or sequences whose first element they are.

    Raises
    ------
    ValueError
        If there is no batch.

    Notes
    -----
    Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV
    2019, arXiv:1906.04721, section 4.2 and (with data, as here) appendix D.
    """
    means = {path: _MeanError(weighted_layer(network, path), q) for path, q in weights.items()}
    seen, names = 0, input_names(network)
    with ExitStack() as hooks:
        for path, mean in means.items():
            handle = network.get_submodule(path).register_forward_pre_hook(mean)
            hooks.callback(handle.remove)
        for batch in batches:
            network(*inputs_of(batch, names))
            seen += 1
    if not seen:
        raise ValueError("batches is empty; expected at least one batch. Is it a used generator?")
    for path, mean in means.items():
        layer = weighted_layer(network, path)
        shift = mean.total / mean.count
        bias = layer.weight.new_zeros(len(shift)) if layer.bias is None else layer.bias
        layer.bias = nn.Parameter((bias.double() - shift).to(layer.weight.dtype))


def error_layer(layer: nn.Conv1d | nn.Conv2d | nn.Linear, qparams: QParams) -> nn.Module:
    """Return a layer whose weights are the rounding errors ``w' - w`` of another's, no bias."""
    error = copy.deepcopy(layer)
    error.weight = nn.Parameter(fake_quantize(layer.weight, qparams) - layer.weight)
    error.bias = None
    return error


class _MeanError:
    """Adds up, per output channel, what a layer's rounded weights do to its result."""

    def __init__(self, layer: nn.Conv1d | nn.Conv2d | nn.Linear, qparams: QParams) -> None:
        self._error = error_layer(layer, qparams)
        self._channels = -1 if isinstance(layer, nn.Linear) else 1
        self.total = torch.zeros(len(layer.weight), dtype=torch.float64)
        self.count = 0

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        rows = self._error(inputs[0]).movedim(self._channels, -1).flatten(0, -2)
        self.total += rows.double().sum(0)
        self.count += len(rows)
