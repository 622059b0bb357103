"""Which layers suffer most: one at a time is quantized, the rest stays float."""

import copy
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from labkit.linear import fake_quantize
from labkit.progress_bar import progress_bar
from labkit.ptq.graph import fold_batchnorm, weighted_layer
from labkit.ptq.observing import choose_grids, observer_named
from labkit.ptq.steps import WEIGHTED, lower
from labkit.ptq.weights import weight_qparams
from labkit.qparams import QParams, Scheme
from labkit.zoo import Accuracy, accuracy


class Sensitivity(NamedTuple):
    """What the network loses if one layer alone is quantized.

    Attributes
    ----------
    layer : str
        Its path.
    accuracy : Accuracy
        Of the network, on the images given.
    sqnr : float
        Signal of the float logits to the noise in them, in dB.
    """

    layer: str
    accuracy: Accuracy
    sqnr: float


def sensitivity(
    model: nn.Module,
    batches: Iterable[Any],
    images: Tensor,
    labels: Tensor,
    weight_scheme: Scheme,
    activation_scheme: Scheme | None = None,
    per_channel: bool = True,
    observer: str = "mse",
    weight_method: str = "mse",
    progress: bool = False,
    islands: bool = False,
) -> list[Sensitivity]:
    """Quantize one layer at a time, and measure what the network loses.

    Parameters
    ----------
    model : nn.Module
        In eval mode; it stays as it is.
    batches : iterable
        What to calibrate the activations on.
    images, labels : Tensor
        What to measure on.
    weight_scheme : Scheme
        The integers of the layer's weights.
    activation_scheme : Scheme, optional
        The integers of what the layer puts out; None: it stays float.
    per_channel, observer, weight_method
        As in `quantize_model`.
    progress : bool
        Show a progress bar, one step a layer.
    islands : bool
        Take a network of which integers cannot compute everything, as `quantize_model` does.

    Returns
    -------
    list of Sensitivity
        One for each convolution and linear layer, in the order in which they run. Simulated in
        floating point (`fake_quantize`), since all other layers are float.

    Raises
    ------
    TypeError, ValueError
        As `quantize_model`.

    Notes
    -----
    Nagel et al. 2021 (arXiv:2106.08295), section 3, on finding what goes wrong.
    """
    network = fold_batchnorm(model, (images[:2],))
    _, steps = lower(network, islands)
    layers = {step.layer: step.name for step in steps if step.kind in WEIGHTED and step.layer}
    grids: dict[str, QParams] = {}
    if activation_scheme is not None:
        schemes = dict.fromkeys(layers.values(), activation_scheme)
        grids = choose_grids(network, batches, schemes, observer_named(observer))
    real = _logits(network, images)
    rows = []
    for layer, name in progress_bar(layers.items(), "sensitivity", progress, unit="layer"):
        quantized = copy.deepcopy(network)
        target = weighted_layer(quantized, layer)
        grid = weight_qparams(target.weight, weight_scheme, per_channel, weight_method)
        target.weight = nn.Parameter(fake_quantize(target.weight, grid))
        if activation_scheme is not None:
            _insert_rounding(quantized, name, grids[name])
        noise = (_logits(quantized, images) - real).double().square().sum().item()
        signal = real.double().square().sum().item()
        sqnr = math.inf if noise == 0 else 10 * math.log10(signal / noise)
        rows.append(Sensitivity(layer, accuracy(quantized, images, labels), sqnr))
    return rows


class Rounding(nn.Module):
    """Put a tensor on a grid, in floating point."""

    def __init__(self, qparams: QParams) -> None:
        super().__init__()
        self.qparams = qparams

    def forward(self, x: Tensor) -> Tensor:
        """Round to the grid."""
        return fake_quantize(x, self.qparams)


def _insert_rounding(network: fx.GraphModule, name: str, qparams: QParams) -> None:
    node = next(node for node in network.graph.nodes if node.name == name)
    network.add_module(f"{name}_rounding", Rounding(qparams))
    with network.graph.inserting_after(node):
        rounded = network.graph.call_module(f"{name}_rounding", (node,))
    node.replace_all_uses_with(rounded, delete_user_cb=lambda user: user is not rounded)
    network.recompile()


def _logits(network: nn.Module, images: Tensor, batch_size: int = 100) -> Tensor:
    with torch.inference_mode():
        return torch.cat([network(batch) for batch in images.split(batch_size)])
