"""A network as a graph: traced, tidied, and with batch normalization folded in."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from labkit.ptq.calls import is_constant, operation_of
from labkit.ptq.convolutions import plain_convolutions
from labkit.ptq.copying import plain_copy
from labkit.ptq.given import check_hooks, check_numbers, given
from labkit.ptq.in_training import is_in_training
from labkit.ptq.parameters import functions_to_layers
from labkit.ptq.rewriting import (
    compute_constants,
    expand_constants,
    plain_results,
    read_what_was_overwritten,
    remove_idle,
    replace,
    take_values_alone,
    tidied,
    vectors,
)
from labkit.ptq.tracing import graph_of, line_that_raised

__all__ = [
    "BATCH_NORMS",
    "fold_batchnorm",
    "fold_into",
    "layer_of",
    "replace",
    "source_of",
    "trace",
    "weighted_layer",
]

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)
# What does something else in training mode.
TRAINED = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Linear)


def trace(
    model: nn.Module, example: Sequence[Tensor] | None = None, for_training: bool = False
) -> fx.GraphModule:
    """Return a copy of a network as a graph, with every layer a module.

    ``F.conv2d`` and ``F.linear`` on parameters become modules, what does nothing in eval mode
    (identity, dropout) is gone, and nothing is overwritten.

    Parameters
    ----------
    model : nn.Module
        In eval mode; it stays as it is.
    example : sequence of Tensor, optional
        Inputs, of whose shapes (not of whose values) the forward may make its branches and loops.
    for_training : bool
        Keep in its place what does something in training mode only: dropout, functions that are
        told ``training=self.training``, and modules that give their input in eval mode.

    Raises
    ------
    TypeError
        If it is no module, or it or a part of it is scripted, exported or already integer.
    ValueError
        If it is in training mode, a layer has NaN (the message names it), what it does depends on
        the values of a tensor, or it overwrites memory that two tensors share.
    """
    model = given(model)
    if any(m.training for m in model.modules() if m is model or isinstance(m, TRAINED)):
        raise ValueError("model is in training mode; call model.eval() first.")
    check_hooks()
    check_numbers(model)
    try:
        network = graph_of(plain_copy(model), example, for_training)
    except Exception as error:  # whatever the network's own code raises on a value it cannot have
        place = line_that_raised(error)
        raise ValueError(
            f"the network cannot be written as a fixed graph{place}: {str(error).rstrip('.')}. "
            "Expected a forward without if or for on the values of a tensor, and without functions "
            "that take nothing but real tensors. Take that part out of the network."
        ) from error
    plain_results(network)
    remove_idle(network, for_training)
    read_what_was_overwritten(network)
    expand_constants(network)
    take_values_alone(network)
    compute_constants(network)
    functions_to_layers(network)
    plain_convolutions(network)
    return tidied(network)


def fold_batchnorm(
    model: nn.Module, example: Sequence[Tensor] | None = None, for_training: bool = False
) -> fx.GraphModule:
    """Return a copy of a network, as a graph, whose layers hold their batch normalization.

    ::

        y  = gamma (w x + b - mean) / sqrt(var + eps) + beta        layer, then normalization
        w' = w gamma / sqrt(var + eps)                              per output channel
        b' = (b - mean) gamma / sqrt(var + eps) + beta

    In eval mode the two are one affine map, so nothing changes but float rounding. So is a constant
    that a layer's result is multiplied by, or that is added to it, and it is folded likewise.

    Parameters
    ----------
    model : nn.Module
        In eval mode; it stays as it is. A normalization is folded where it is all that follows
        a convolution or linear layer.
    example, for_training
        As in `trace`. Dropout between a layer and its normalization comes behind both.

    Raises
    ------
    TypeError, ValueError
        As `trace`.

    Notes
    -----
    Jacob et al. 2018, section 3.2; Krishnamoorthi 2018 (arXiv:1806.08342), section 3.1.1.
    """
    network = trace(model, example, for_training)
    for node in list(network.graph.nodes):
        if not node.all_input_nodes:
            continue
        source = before = node.all_input_nodes[0]
        while is_in_training(before, network) and len(before.users) == 1:
            before = before.all_input_nodes[0]
        layer = layer_of(before, network)
        if not isinstance(layer, WEIGHTED) or not _is_only_call(before, network):
            continue
        affine = _affine(node, network, layer, before.meta.get("shape"))
        if affine is None:
            continue
        scale_outputs(layer, *affine)
        if isinstance(layer, nn.Linear) and node.op == "call_module":
            before.args = (_inserted(network, before, vectors),)
        before.meta["shape"] = node.meta.get("shape")
        replace(node, source)
    return tidied(network)


def _inserted(network: fx.GraphModule, before: fx.Node, check: Any) -> Any:
    """Put a check in front of a layer, unless the shape is known."""
    source = before.args[0]
    if before.meta.get("shape"):
        return source
    with network.graph.inserting_before(before):
        return network.graph.call_function(check, (source,))


def _affine(
    node: fx.Node, network: fx.GraphModule, layer: nn.Module, shape: tuple[int, ...] | None
) -> tuple[Tensor, Tensor] | None:
    """Return the factor and the shift of each of a layer's outputs that a node applies."""
    norm = layer_of(node, network)
    if isinstance(norm, BATCH_NORMS):
        fits = norm.running_var is not None and len(norm.running_var) == len(layer.weight)  # type: ignore[arg-type]
        return normalization(norm) if fits and _takes_outputs(norm, layer, shape) else None
    return _constant_affine(node, network, layer, shape)


def _takes_outputs(norm: nn.Module, layer: nn.Module, shape: tuple[int, ...] | None) -> bool:
    """Tell whether what a normalization takes for channels, dimension 1, are a layer's outputs."""
    if isinstance(layer, nn.Linear):
        of_vectors = isinstance(norm, nn.BatchNorm1d | nn.SyncBatchNorm)
        return of_vectors and (shape is None or len(shape) == 2)
    return True


def _constant_affine(
    node: fx.Node, network: fx.GraphModule, layer: nn.Module, shape: tuple[int, ...] | None
) -> tuple[Tensor, Tensor] | None:
    """Return factor and shift of ``x * c``, ``x + c`` and the like, with a `c` for each output."""
    name = operation_of(node, network)
    if name not in ("add", "sub", "mul", "div") or len(node.args) != 2 or node.kwargs:
        return None
    reversed_ = node.args[0] is not node.all_input_nodes[0]
    constant = node.args[0 if reversed_ else 1]
    if constant is node.all_input_nodes[0] or not is_constant(constant):
        return None
    value = _per_output(_value(constant, network), layer, shape)
    if value is None or (name == "div" and reversed_):
        return None
    ones, zeros = torch.ones_like(value), torch.zeros_like(value)
    return {
        "add": (ones, value),
        "sub": (-ones, value) if reversed_ else (ones, -value),
        "mul": (value, zeros),
        "div": (1 / value, zeros),
    }[name]


def _value(constant: Any, network: fx.GraphModule) -> Tensor:
    if isinstance(constant, fx.Node):
        for part in str(constant.target).split("."):
            network = getattr(network, part)
        constant = network
    return torch.as_tensor(constant).detach().double()


def _per_output(value: Tensor, layer: nn.Module, shape: tuple[int, ...] | None) -> Tensor | None:
    """Return a constant as one number for each of a layer's outputs, if it is that."""
    outputs: int = len(layer.weight)  # type: ignore[arg-type]
    behind = 0 if isinstance(layer, nn.Linear) else layer.weight.ndim - 2  # type: ignore[operator]
    if value.numel() == 1 and value.ndim <= behind + 1:
        return value.reshape(-1).expand(outputs)
    aligned = [1] * (behind + 1 - value.ndim) + list(value.shape)
    wanted = [outputs] + [1] * behind
    if aligned[-len(wanted) :] != wanted or math.prod(aligned) != outputs:
        return None
    return value.reshape(-1) if len(aligned) <= len(shape or wanted) else None


def normalization(norm: Any) -> tuple[Tensor, Tensor]:
    """Return the factor and the shift of each channel of a batch normalization, in float64."""
    mean, var = norm.running_mean.double(), norm.running_var.double()
    gamma = torch.ones_like(var) if norm.weight is None else norm.weight.double()
    beta = torch.zeros_like(mean) if norm.bias is None else norm.bias.double()
    factor = gamma / torch.sqrt(var + norm.eps)
    return factor.detach(), (beta - mean * factor).detach()


def fold_into(layer: nn.Conv2d | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    """Fold a normalization into the layer before it, in place; computed in float64."""
    scale_outputs(layer, *normalization(norm))


@torch.no_grad()
def scale_outputs(layer: Any, factor: Tensor, shift: Tensor) -> None:
    """Let a layer give ``factor * y + shift`` per output, in place; computed in float64."""
    weight: Any = layer.weight
    bias: Any = torch.zeros_like(factor) if layer.bias is None else layer.bias.double()
    scaled = weight.double() * factor.reshape(-1, *[1] * (weight.ndim - 1))
    layer.weight = nn.Parameter(scaled.to(weight.dtype))
    layer.bias = nn.Parameter((bias * factor + shift).to(weight.dtype))


def layer_of(node: Any, network: fx.GraphModule) -> nn.Module | None:
    """Return the module that a node calls, if it calls one."""
    if isinstance(node, fx.Node) and node.op == "call_module":
        return network.get_submodule(str(node.target))
    return None


def target_of(node: fx.Node, network: fx.GraphModule) -> Any:
    """Return what a node calls: the type of a module, a function, or the name of a method."""
    layer = layer_of(node, network)
    if layer is not None:
        return type(layer)
    return node.target if node.op in ("call_function", "call_method") else None


def weighted_layer(network: nn.Module, path: str) -> nn.Conv1d | nn.Conv2d | nn.Linear:
    """Return the convolution or linear layer at a path.

    Raises
    ------
    TypeError
        If it is something else.
    """
    layer = network.get_submodule(path)
    if not isinstance(layer, WEIGHTED):
        raise TypeError(f"{path!r} is a {type(layer).__name__}; expected a Conv2d or a Linear.")
    return layer


def source_of(node: fx.Node) -> fx.Node:
    """Return the node whose value a node takes first.

    Raises
    ------
    ValueError
        If that is no node: a constant, or an argument given by name.
    """
    source = node.args[0] if node.args else node.kwargs.get("input")
    if not isinstance(source, fx.Node):
        raise ValueError(f"node {node.name!r} takes {source!r} first; expected a tensor.")
    return source


def arguments(node: fx.Node, *names: str, **defaults: Any) -> dict[str, Any]:
    """Return the arguments of a call by name, wherever they were given."""
    values = dict(defaults)
    values.update(zip(names, node.args, strict=False))
    values.update(node.kwargs)
    return values


def _is_only_call(node: fx.Node, network: fx.GraphModule) -> bool:
    """Tell whether nothing else uses a layer's result, and no other node the layer."""
    calls = [other for other in network.graph.nodes if other.target == node.target]
    return len(node.users) == 1 and len(calls) == 1
