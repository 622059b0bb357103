"""Putting quantizers into a network, at the points where its integer version rounds."""

import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import fx, nn
from torch.fx.experimental.optimization import fuse
from torch.nn.utils import parametrize

from labkit.qat.quantizers import LSQ, Binary, Quantizer
from labkit.qparams import Scheme
from labkit.validation import instance_of

__all__ = ["BINARY", "prepare", "weight_quantizer"]

BINARY = "binary"
"""In place of a weight scheme: one bit a weight."""

LAYERS = (nn.Conv2d, nn.Linear)
RELUS = (nn.ReLU, nn.ReLU6)


def prepare(
    model: nn.Module,
    weight_scheme: Scheme | str,
    activation_scheme: Scheme,
    quantizer: Callable[[Scheme, int | None], Quantizer] = LSQ,
    end_bits: int | None = 8,
) -> fx.GraphModule:
    """Return a copy of a network that computes with fake-quantized weights and activations.

    Batch normalization is folded first. What gets a quantizer is what the integer network stores:
    the image, the weights of each convolution and linear layer, one scale for each output channel,
    and what each of these layers puts out, after the residual that is added to it and its ReLU.

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
        If a scheme is none, or the model is in training mode or cannot be traced.

    Notes
    -----
    Both ends at 8 bits as in Esser et al. 2020 (arXiv:1902.08153), section 3.
    """
    instance_of(activation_scheme, Scheme, "activation_scheme", "Scheme(4, signed=False)")
    if weight_scheme != BINARY:
        instance_of(weight_scheme, Scheme, "weight_scheme", "Scheme(4, symmetric=True)")
    if model.training:
        raise ValueError("model is in training mode; call model.eval() first.")
    network = _without_identities(fx.symbolic_trace(fuse(model)))
    layers = [node for node in network.graph.nodes if _is(node, network, LAYERS)]
    points = [node for node in network.graph.nodes if node.op == "placeholder"]
    points += [_last_of(node, network) for node in layers]
    weights = _with_ends(weight_scheme, len(layers), end_bits)
    for node, scheme in zip(layers, weights, strict=True):
        new = quantizer(scheme, 0) if isinstance(scheme, Scheme) else Binary()
        parametrize.register_parametrization(network.get_submodule(node.target), "weight", new)
    activations = _with_ends(activation_scheme, len(points), end_bits)
    for node, scheme in zip(points, activations, strict=True):
        _insert_after(node, quantizer(scheme, None), network)
    network.recompile()
    return network.train()


def weight_quantizer(layer: nn.Module) -> Quantizer:
    """Return the quantizer of a prepared layer's weights."""
    quantizer = layer.get_submodule("parametrizations.weight.0")
    if not isinstance(quantizer, Quantizer):
        raise TypeError(f"the weights have a {type(quantizer).__name__}; expected a Quantizer.")
    return quantizer


def _with_ends(scheme: Any, number: int, end_bits: int | None) -> list[Any]:
    """Return `number` schemes, the first and the last of them of at least `end_bits` bits."""
    ends = scheme
    if end_bits is not None:
        inner = Scheme(2, symmetric=True, narrow=True) if scheme == BINARY else scheme
        ends = replace(inner, bits=max(inner.bits, end_bits))
    return [ends if i in (0, number - 1) else scheme for i in range(number)]


def _last_of(node: fx.Node, network: fx.GraphModule) -> fx.Node:
    """Follow a layer's result through the residual that is added to it, and its ReLU."""
    while len(node.users) == 1:
        (user,) = node.users
        adds = user.target is operator.add and user.args[0] is node
        if not adds and not _is(user, network, RELUS):
            break
        node = user
    return node


def _is(node: fx.Node, network: fx.GraphModule, kinds: tuple[type[nn.Module], ...]) -> bool:
    return node.op == "call_module" and isinstance(network.get_submodule(str(node.target)), kinds)


def _insert_after(node: fx.Node, quantizer: Quantizer, network: fx.GraphModule) -> None:
    name = f"{node.name}_quantizer"
    network.add_module(name, quantizer)
    with network.graph.inserting_after(node):
        quantized = network.graph.call_module(name, (node,))
    node.replace_all_uses_with(quantized, delete_user_cb=lambda user: user is not quantized)


def _without_identities(network: fx.GraphModule) -> fx.GraphModule:
    """Take out what folding leaves in place of normalization, and empty shortcuts."""
    for node in list(network.graph.nodes):
        if _is(node, network, (nn.Identity,)):
            node.replace_all_uses_with(node.args[0])
            network.graph.erase_node(node)
    network.delete_all_unused_submodules()
    network.recompile()
    return network
