"""Putting quantizers into a network, at the points where its integer version rounds."""

from collections.abc import Callable

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from labkit.ptq.convert import with_ends
from labkit.ptq.graph import fold_batchnorm, layer_of
from labkit.ptq.steps import COMPUTING, lower
from labkit.qat.quantizers import LSQ, Binary, Quantizer
from labkit.qat.straight_through import fake_quantize
from labkit.qparams import Scheme
from labkit.validation import instance_of

__all__ = ["BINARY", "activation_quantizers", "prepare", "weight_quantizers"]

BINARY = "binary"
"""In place of a weight scheme: one bit a weight."""

MakeQuantizer = Callable[[Scheme, int | None], Quantizer]
INT32 = torch.iinfo(torch.int32)


def prepare(
    model: nn.Module,
    weight_scheme: Scheme | str,
    activation_scheme: Scheme,
    quantizer: MakeQuantizer = LSQ,
    end_bits: int | None = 8,
) -> fx.GraphModule:
    """Return a copy of a network that computes with fake-quantized weights and activations.

    Batch normalization is folded first, and everything that the integer network rounds is rounded:
    the input, the weights of each convolution and linear layer (one scale for each output channel),
    its bias (to steps of S_x S_w), and each tensor that is computed, after the residual and the
    ReLU that are computed with it.

    Parameters
    ----------
    model : nn.Module
        Trained, and in eval mode; it stays as it is.
    weight_scheme : Scheme or "binary"
        The integers of the weights.
    activation_scheme : Scheme
        The integers of the activations.
    quantizer : callable
        ``quantizer(scheme, axis)`` makes a quantizer: `LSQ` or `FakeQuantize`.
    end_bits : int, optional
        At least so many bits at both ends of the network: for the input, the result, and the
        weights of the first and of the last layer, which are few and matter most. None: as
        everywhere else.

    Returns
    -------
    fx.GraphModule
        In training mode. The activations' quantizers start with the first batch that it sees.

    Raises
    ------
    TypeError, ValueError
        If a scheme is none, or `labkit.ptq.quantize_model` could not quantize the model.

    Notes
    -----
    Jacob et al. 2018, section 3. Both ends at 8 bits: Esser et al. 2020 (arXiv:1902.08153),
    section 3. Weights and frozen normalization that are trained apart, and folded in every step,
    reach the same accuracy (``tests/benchmarks/qat.md``), so the simpler way is taken.
    """
    instance_of(activation_scheme, Scheme, "activation_scheme", "Scheme(4, signed=False)")
    if weight_scheme != BINARY:
        instance_of(weight_scheme, Scheme, "weight_scheme", "Scheme(4, symmetric=True)")
    network = fold_batchnorm(model)
    input_name, steps = lower(network)
    tensors = [input_name, *(step.name for step in steps if step.kind in COMPUTING)]
    schemes = with_ends(activation_scheme, len(tensors), end_bits)
    grids = {name: quantizer(s, None) for name, s in zip(tensors, schemes, strict=True)}
    nodes = {node.name: node for node in network.graph.nodes}
    for name, activation in grids.items():
        _insert_after(nodes[name], activation, network)
    layers = [step for step in steps if step.layer is not None]
    weights = _weight_quantizers(weight_scheme, len(layers), end_bits, quantizer)
    for step in steps:
        grids.setdefault(step.name, grids[step.inputs[0]])
    for step, weight in zip(layers, weights, strict=True):
        layer = network.get_submodule(str(step.layer))
        parametrize.register_parametrization(layer, "weight", weight)
        if layer.bias is not None:
            rounding = BiasRounding(grids[step.inputs[0]], weight)
            parametrize.register_parametrization(layer, "bias", rounding)
    network.recompile()
    return network.train()


class BiasRounding(nn.Module):
    """Round a bias to the steps of the accumulator, ``S_x S_w``, straight-through backward.

    An integer layer adds it there, as an int32.

    Parameters
    ----------
    x_quantizer, w_quantizer : Quantizer
        Of the layer's input and of its weights.
    """

    def __init__(self, x_quantizer: Quantizer, w_quantizer: Quantizer) -> None:
        super().__init__()
        # In a tuple, so that they are not registered as parts of this module as well.
        self._quantizers = (x_quantizer, w_quantizer)

    def forward(self, bias: Tensor) -> Tensor:
        """Return the bias as the integer layer adds it; as it is before the first batch."""
        x_quantizer, w_quantizer = self._quantizers
        if not x_quantizer.started:
            return bias
        step = (x_quantizer.step() * w_quantizer.step()).detach()
        return fake_quantize(bias, step, torch.tensor(0), INT32.min, INT32.max)


def activation_quantizers(network: fx.GraphModule) -> dict[str, Quantizer]:
    """Return the quantizers of a prepared network's tensors, by the name of the tensor."""
    found = {}
    for node in network.graph.nodes:
        layer = layer_of(node, network)
        if isinstance(layer, Quantizer):
            found[node.args[0].name] = layer
    return found


def weight_quantizers(network: fx.GraphModule) -> dict[str, Quantizer]:
    """Return the quantizers of a prepared network's weights, by the name of the layer."""
    found = {}
    for name, layer in network.named_modules():
        if parametrize.is_parametrized(layer, "weight"):
            *_, quantizer = layer.get_submodule("parametrizations.weight").children()
            if isinstance(quantizer, Quantizer):
                found[name] = quantizer
    return found


def _weight_quantizers(
    scheme: Scheme | str, number: int, end_bits: int | None, quantizer: MakeQuantizer
) -> list[Quantizer]:
    """Return a quantizer for each of `number` layers."""
    if isinstance(scheme, Scheme):
        return [quantizer(s, 0) for s in with_ends(scheme, number, end_bits)]
    ends = () if end_bits is None else (0, number - 1)
    last = Scheme(end_bits or 8, symmetric=True, narrow=True)
    return [quantizer(last, 0) if i in ends else Binary() for i in range(number)]


def _insert_after(node: fx.Node, quantizer: Quantizer, network: fx.GraphModule) -> None:
    name = f"{node.name}_quantizer"
    network.add_module(name, quantizer)
    with network.graph.inserting_after(node):
        quantized = network.graph.call_module(name, (node,))
    node.replace_all_uses_with(quantized, delete_user_cb=lambda user: user is not quantized)
