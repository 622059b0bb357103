"""A network as a graph: traced, tidied, and with batch normalization folded in."""

import copy
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from labkit.validation import instance_of

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d)
ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
TRAINED = (*BATCH_NORMS, *DROPOUTS)  # what does something else in training mode
# What does nothing to a network in eval mode.
IDENTITIES = (nn.Identity, *DROPOUTS, "contiguous")
FUNCTIONAL_DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d)
# What writes its result over its input, always or if ``inplace`` says so.
IN_PLACE = (operator.iadd, torch.relu_, "relu_", "add_")
MAYBE_IN_PLACE = (F.relu, F.relu6)


def trace(model: nn.Module) -> fx.GraphModule:
    """Return a copy of a network as a graph, with every layer a module.

    ``F.conv2d`` and ``F.linear`` on parameters become modules, and what does nothing in eval mode
    (identity, dropout) is gone.

    Parameters
    ----------
    model : nn.Module
        In eval mode; it stays as it is.

    Raises
    ------
    TypeError
        If it is no module.
    ValueError
        If it is in training mode, or what it does depends on the values of a tensor.

    Notes
    -----
    Reed et al., "torch.fx: Practical Program Capture and Transformation for Deep Learning in
    Python", MLSys 2022, arXiv:2112.08429.
    """
    instance_of(model, nn.Module, "model", 'labkit.zoo.load_model("resnet")')
    if any(m.training for m in model.modules() if m is model or isinstance(m, TRAINED)):
        raise ValueError("model is in training mode; call model.eval() first.")
    try:
        network = fx.symbolic_trace(copy.deepcopy(model))
    except Exception as error:  # whatever the network's own code raises on a value it cannot have
        raise ValueError(
            f"the network cannot be written as a fixed graph ({error}); expected a forward without "
            "if or for on the values of a tensor. Take that part out of the network."
        ) from error
    for node in list(network.graph.nodes):
        if _does_nothing(node, network):
            replace(node, source_of(node))
        elif node.op == "call_function" and node.target in (F.conv2d, torch.conv2d):
            _as_module(node, network, _conv2d)
        elif node.op == "call_function" and node.target is F.linear:
            _as_module(node, network, _linear)
    _read_what_was_overwritten(network)
    return _tidied(network)


def fold_batchnorm(model: nn.Module) -> fx.GraphModule:
    """Return a copy of a network, as a graph, whose layers hold their batch normalization.

    ::

        y  = gamma (w x + b - mean) / sqrt(var + eps) + beta        layer, then normalization
        w' = w gamma / sqrt(var + eps)                              per output channel
        b' = (b - mean) gamma / sqrt(var + eps) + beta

    In eval mode the two are one affine map, so nothing changes but float rounding.

    Parameters
    ----------
    model : nn.Module
        In eval mode; it stays as it is. A normalization is folded where it is all that follows
        a convolution or linear layer.

    Raises
    ------
    TypeError, ValueError
        As `trace`.

    Notes
    -----
    Jacob et al. 2018, section 3.2; Krishnamoorthi 2018 (arXiv:1806.08342), section 3.1.1.
    """
    network = trace(model)
    for node in list(network.graph.nodes):
        norm = layer_of(node, network)
        if not isinstance(norm, BATCH_NORMS) or norm.running_var is None:
            continue
        before = source_of(node)
        layer = layer_of(before, network)
        # The layer whose outputs this normalization takes for its channels.
        matching = nn.Linear if isinstance(norm, nn.BatchNorm1d) else nn.Conv2d
        if isinstance(layer, matching) and _is_only_call(before, network):
            fold_into(layer, norm)
            replace(node, before)
    return _tidied(network)


@torch.no_grad()
def fold_into(layer: nn.Conv2d | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    """Fold a normalization into the layer before it, in place; computed in float64."""
    mean, var = norm.running_mean.double(), norm.running_var.double()  # type: ignore[union-attr]
    gamma = torch.ones_like(var) if norm.weight is None else norm.weight.double()
    beta = torch.zeros_like(mean) if norm.bias is None else norm.bias.double()
    bias = torch.zeros_like(mean) if layer.bias is None else layer.bias.double()
    factor = gamma / torch.sqrt(var + norm.eps)
    weight = layer.weight.double() * factor.reshape(-1, *[1] * (layer.weight.ndim - 1))
    layer.weight = nn.Parameter(weight.to(layer.weight.dtype))
    layer.bias = nn.Parameter(((bias - mean) * factor + beta).to(layer.weight.dtype))


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


def weighted_layer(network: nn.Module, path: str) -> nn.Conv2d | nn.Linear:
    """Return the convolution or linear layer at a path.

    Raises
    ------
    TypeError
        If it is something else.
    """
    layer = network.get_submodule(path)
    if not isinstance(layer, nn.Conv2d | nn.Linear):
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


def replace(node: fx.Node, other: Any) -> None:
    """Let all users of a node use another one, and remove it."""
    node.replace_all_uses_with(other)
    node.graph.erase_node(node)


def arguments(node: fx.Node, *names: str, **defaults: Any) -> dict[str, Any]:
    """Return the arguments of a call by name, wherever they were given."""
    values = dict(defaults)
    values.update(zip(names, node.args, strict=False))
    values.update(node.kwargs)
    return values


def _does_nothing(node: fx.Node, network: fx.GraphModule) -> bool:
    target = target_of(node, network)
    if target in FUNCTIONAL_DROPOUTS:
        return not arguments(node, "input", "p", "training", training=True)["training"]
    return target in IDENTITIES


def _overwrites(node: fx.Node, network: fx.GraphModule) -> bool:
    target = target_of(node, network)
    if target in MAYBE_IN_PLACE:
        return bool(arguments(node, "input", "inplace", inplace=False)["inplace"])
    return target in IN_PLACE or getattr(layer_of(node, network), "inplace", False)


def _read_what_was_overwritten(network: fx.GraphModule) -> None:
    """Let all that reads a tensor after a node overwrote it read that node."""
    nodes = list(network.graph.nodes)
    for i, node in enumerate(nodes):
        if _overwrites(node, network):
            later = set(nodes[i + 1 :])
            source_of(node).replace_all_uses_with(node, delete_user_cb=later.__contains__)


def _is_only_call(node: fx.Node, network: fx.GraphModule) -> bool:
    """Tell whether nothing else uses a layer's result, and no other node the layer."""
    calls = [other for other in network.graph.nodes if other.target == node.target]
    return len(node.users) == 1 and len(calls) == 1


def _as_module(
    node: fx.Node,
    network: fx.GraphModule,
    make: Callable[[dict[str, Any], Tensor], nn.Conv2d | nn.Linear],
) -> None:
    """Let a module do what a function does with parameters of the network."""
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    values = arguments(node, *names, bias=None, stride=1, padding=0, dilation=1, groups=1)
    parameters = {}
    for name in ("weight", "bias"):
        source = values[name]
        if source is not None and source.op != "get_attr":
            raise ValueError(
                f"node {node.name!r} computes its {name} ({source.name!r}); expected a parameter "
                "of the network. Only constant weights can be quantized ahead."
            )
        parameters[name] = source and operator.attrgetter(source.target)(network)
    layer = make(values, parameters["weight"])
    # Clones: two layers may share a parameter, and each is folded and rounded on its own.
    layer.weight = nn.Parameter(parameters["weight"].detach().clone())
    layer.bias = None
    if parameters["bias"] is not None:
        layer.bias = nn.Parameter(parameters["bias"].detach().clone())
    network.add_module(f"{node.name}_layer", layer.eval())
    with network.graph.inserting_before(node):
        replace(node, network.graph.call_module(f"{node.name}_layer", (values["input"],)))


def _conv2d(values: dict[str, Any], weight: Tensor) -> nn.Conv2d:
    moves = {name: values[name] for name in ("stride", "padding", "dilation", "groups")}
    inputs = weight.shape[1] * values["groups"]
    return nn.Conv2d(inputs, len(weight), (weight.shape[2], weight.shape[3]), **moves)


def _linear(values: dict[str, Any], weight: Tensor) -> nn.Linear:
    return nn.Linear(weight.shape[1], weight.shape[0])


def _tidied(network: fx.GraphModule) -> fx.GraphModule:
    network.graph.eliminate_dead_code()
    network.delete_all_unused_submodules()
    network.recompile()
    return network
