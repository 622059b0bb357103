"""Functions that are given a network's parameters, as the layers that they are.

Each function changes a graph in place and leaves what it computes as it was.
"""

import operator
from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, fx, nn

from labkit.ptq.calls import operation_of
from labkit.ptq.rewriting import replace
from labkit.ptq.tracing import line_of


def functions_to_layers(network: fx.GraphModule) -> None:
    """Let modules do what ``F.conv2d``, ``F.linear`` and the like do with parameters."""
    for node in list(network.graph.nodes):
        _product_as_linear(node, network)
    for node in list(network.graph.nodes):
        if node.op == "call_function" and node.target in LAYERS:
            _as_module(node, network, *LAYERS[node.target])


def _product_as_linear(node: fx.Node, network: fx.GraphModule) -> None:
    """Let ``x @ w`` and ``torch.addmm(b, x, w)`` with parameters call ``F.linear``."""
    name, args = operation_of(node, network), node.args
    bias = args[0] if name == "addmm" else None
    operands = args[1:] if name == "addmm" else args
    if name not in ("matmul", "mm", "addmm") or node.kwargs or len(operands) != 2:
        return
    x, w = operands
    constants = [n for n in (w, bias) if n is not None]
    if not all(isinstance(n, fx.Node) and n.op == "get_attr" for n in constants):
        return
    weight = operator.attrgetter(str(w.target))(network)  # type: ignore[union-attr]
    of_outputs = bias is None or operator.attrgetter(str(bias.target))(network).ndim == 1  # type: ignore[union-attr]
    if weight.ndim != 2 or not weight.is_floating_point() or not of_outputs:
        return
    network.register_buffer(f"{node.name}_weight", weight.detach().t().contiguous())
    with network.graph.inserting_before(node):
        turned = network.graph.get_attr(f"{node.name}_weight")
        turned.meta["trains"] = w.meta.get("trains", weight.requires_grad)  # type: ignore[union-attr]
        call = network.graph.call_function(F.linear, (x, turned, bias))
    call.meta.update(node.meta)
    replace(node, call)


def _as_module(
    node: fx.Node,
    network: fx.GraphModule,
    make: Callable[[dict[str, Any], Tensor], nn.Module],
    names: tuple[str, ...],
) -> None:
    values = {"bias": None, **_moves(), **dict(zip(names, node.args, strict=False)), **node.kwargs}
    parameters = {}
    for name in ("weight", "bias"):
        source = values[name]
        if source is not None and source.op != "get_attr":
            raise ValueError(
                f"node {node.name!r}{line_of(node)} computes its {name} ({source.name!r}); "
                "expected a parameter of the network. Only constant weights can be quantized ahead."
            )
        parameters[name] = source and _parameter(source, network)
    layer: Any = make(values, parameters["weight"])
    layer.weight, layer.bias = parameters["weight"], parameters["bias"]
    network.add_module(f"{node.name}_layer", layer.eval())
    with network.graph.inserting_before(node):
        call = network.graph.call_module(f"{node.name}_layer", (values["input"],))
    call.meta.update(node.meta)
    replace(node, call)


def _parameter(source: fx.Node, network: fx.GraphModule) -> nn.Parameter:
    """Return a constant as a parameter that trains if it, or what it was computed from, does."""
    value: Tensor = operator.attrgetter(str(source.target))(network)
    trains = source.meta.get("trains", value.requires_grad)
    # A clone: two layers may share a parameter, and each is folded and rounded on its own.
    return nn.Parameter(value.detach().clone(), requires_grad=trains)


def _moves() -> dict[str, Any]:
    return {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}


def _convolution(kind: Any, *moves: str) -> Callable[[dict[str, Any], Tensor], nn.Module]:
    def make(values: dict[str, Any], weight: Tensor) -> nn.Module:
        transposed = "output_padding" in moves
        across = weight.shape[1] * values["groups"]
        inputs, outputs = (len(weight), across) if transposed else (across, len(weight))
        kernel = tuple(weight.shape[2:])
        return kind(inputs, outputs, kernel, **{name: values[name] for name in moves})

    return make


def _linear(values: dict[str, Any], weight: Tensor) -> nn.Module:
    return nn.Linear(weight.shape[1], weight.shape[0])


_FORWARD = ("stride", "padding", "dilation", "groups")
_BACKWARD = ("stride", "padding", "output_padding", "groups", "dilation")
_OPERANDS = ("input", "weight", "bias")
_CONV1D = (_convolution(nn.Conv1d, *_FORWARD), (*_OPERANDS, *_FORWARD))
_CONV2D = (_convolution(nn.Conv2d, *_FORWARD), (*_OPERANDS, *_FORWARD))
_TRANSPOSED = (_convolution(nn.ConvTranspose2d, *_BACKWARD), (*_OPERANDS, *_BACKWARD))
LAYERS: dict[Any, tuple[Callable[[dict[str, Any], Tensor], nn.Module], tuple[str, ...]]] = {
    F.conv1d: _CONV1D,
    F.conv2d: _CONV2D,
    F.conv_transpose2d: _TRANSPOSED,
    F.linear: (_linear, _OPERANDS),
}
