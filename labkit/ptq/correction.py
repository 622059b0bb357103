"""Bias correction: the mean error that rounded weights make, taken out of the bias."""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from labkit.linear import fake_quantize
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
    errors: dict[str, list[Tensor]] = {path: [] for path in weights}
    counts: list[int] = []
    handles = [
        network.get_submodule(path).register_forward_pre_hook(
            _measuring(error_layer(weighted_layer(network, path), grid), errors[path])
        )
        for path, grid in weights.items()
    ]
    try:
        for batch in batches:
            images = batch if isinstance(batch, Tensor) else batch[0]
            network(images)
            counts.append(len(images))
    finally:
        for handle in handles:
            handle.remove()
    if not counts:
        raise ValueError("batches is empty; expected at least one batch. Is it a used generator?")
    share = torch.tensor(counts, dtype=torch.float64) / sum(counts)
    for path, means in errors.items():
        layer = weighted_layer(network, path)
        shift = (torch.stack(means) * share[:, None]).sum(0)
        bias = layer.weight.new_zeros(len(shift)) if layer.bias is None else layer.bias
        layer.bias = nn.Parameter((bias.double() - shift).to(layer.weight.dtype))


def error_layer(layer: nn.Conv2d | nn.Linear, qparams: QParams) -> nn.Module:
    """Return a layer whose weights are the rounding errors ``w' - w`` of another's, no bias."""
    error = copy.deepcopy(layer)
    error.weight = nn.Parameter(fake_quantize(layer.weight, qparams) - layer.weight)
    error.bias = None
    return error


def _measuring(error: nn.Module, means: list[Tensor]) -> Callable[..., None]:
    def measure(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        y = error(inputs[0]).double()
        means.append(y.mean(dim=[d for d in range(y.ndim) if d != 1]))

    return measure
