"""The integer operations that a network becomes, as data: what `labkit.ptq` runs, saves, exports.

One `Step` for each tensor that is stored. A convolution, the residual added to it and the ReLU
behind them are one step, and round once.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from labkit.ptq.graph import ADDITIONS, arguments, layer_of, source_of, target_of

# Kinds of steps that compute new values and so have a grid of their own; the others move or
# compare codes, and keep the grid of their first input.
COMPUTING = ("conv2d", "linear", "add", "concatenate", "average_pool")
WEIGHTED = ("conv2d", "linear")
# The largest real value that each kind of ReLU lets through.
RELUS: dict[Any, float | None] = {nn.ReLU: None, F.relu: None, torch.relu: None, "relu": None}
RELUS |= {torch.relu_: None, "relu_": None, nn.ReLU6: 6.0, F.relu6: 6.0}
SUPPORTED = (
    "Conv2d, Linear, BatchNorm behind one of these, ReLU, ReLU6, residual addition, torch.cat "
    "along the channels, average and maximum pooling, mean over height and width, flatten, "
    "ZeroPad2d, Dropout and Identity"
)


@dataclass(frozen=True)
class Step:
    """One operation on codes.

    Attributes
    ----------
    name : str
        Of the tensor that it makes: the node of the graph whose value that is.
    kind : str
        "conv2d", "linear", "add", "concatenate", "average_pool", "max_pool", "flatten", "clamp" or
        "pad".
    inputs : tuple of str
        The tensors that it takes; a convolution with two adds the second, a residual.
    settings : mapping
        Stride, padding and the like, ``relu`` and its ``ceiling``; only what JSON can hold.
    layer : str or None
        The module whose weights it uses.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    layer: str | None = None


def lower(network: fx.GraphModule) -> tuple[str, list[Step]]:
    """Write a folded network as steps.

    Parameters
    ----------
    network : fx.GraphModule
        As `fold_batchnorm` returns it.

    Returns
    -------
    input_name : str
        The tensor of the images.
    steps : list of Step
        In the order in which they run.

    Raises
    ------
    ValueError
        If the network has several inputs or results, or a node that integers cannot compute here;
        the message names it and what is supported.
    """
    placeholders = [node for node in network.graph.nodes if node.op == "placeholder"]
    if len(placeholders) != 1:
        raise ValueError(f"the network has {len(placeholders)} inputs; expected one, the images.")
    made = {placeholders[0].name}
    steps: dict[fx.Node, Step] = {}
    for node in network.graph.nodes:
        if node.op in ("placeholder", "get_attr") or _measures_shape(node):
            continue
        if node.op == "output":
            if not isinstance(node.args[0], fx.Node):
                raise ValueError("the network returns several tensors; expected the logits alone.")
            continue
        step = _step(node, network)
        constants = [source for source in step.inputs if source not in made]
        if constants:
            raise ValueError(
                f"cannot quantize node {node.name!r}: it takes a constant, {constants[0]!r}; "
                f"supported are {SUPPORTED}. Make the constant part of a layer's bias."
            )
        made.add(node.name)
        steps[node] = replace(_fused(node, step, steps), name=node.name)
    if not steps:
        raise ValueError("the network returns its input; expected at least one operation.")
    return placeholders[0].name, list(steps.values())


def _fused(node: fx.Node, step: Step, steps: dict[fx.Node, Step]) -> Step:
    """Join a ReLU or an addition to the step before it, if nothing else needs that one's result."""
    sources = [source for source in node.all_input_nodes if source in steps]
    for source in sources:
        before = steps[source]
        users = [user for user in source.users if not _measures_shape(user)]
        if len(users) > 1 or before.settings.get("relu"):
            continue
        if step.kind == "clamp" and before.kind in ("conv2d", "linear", "add"):
            del steps[source]
            return replace(before, settings={**before.settings, **step.settings})
        if step.kind == "add" and before.kind == "conv2d" and len(before.inputs) == 1:
            other = step.inputs[1 - step.inputs.index(source.name)]
            if other != source.name:
                del steps[source]
                return replace(before, inputs=(*before.inputs, other))
    return step


def _step(node: fx.Node, network: fx.GraphModule) -> Step:
    layer, target = layer_of(node, network), target_of(node, network)
    try:
        if isinstance(layer, nn.Conv2d):
            return _layer_step(node, "conv2d", _conv2d(layer))
        if isinstance(layer, nn.Linear):
            return _layer_step(node, "linear", {})
        if target in ADDITIONS:
            return _addition(node)
        if target in (torch.cat, torch.concat):
            return _concatenation(node)
        called = type(layer) if layer is not None else target
        if called in RELUS:
            settings = {"relu": True, "ceiling": RELUS[called]}
            return Step(node.name, "clamp", (source_of(node).name,), settings)
        if called in OPERATIONS:
            kind, names, settings_of = OPERATIONS[called]
            if layer is not None:
                values = {name: getattr(layer, name) for name in names if hasattr(layer, name)}
            else:
                values = arguments(node, "input", *names)
                values.pop("input")
            return Step(node.name, kind, (source_of(node).name,), settings_of(values))
    except _Unsupported as error:
        raise ValueError(f"cannot quantize node {node.name!r}: {error}") from None
    what = type(layer).__name__ if layer is not None else getattr(target, "__name__", target)
    raise ValueError(
        f"cannot quantize node {node.name!r} ({what}); supported are {SUPPORTED}. Replace it in "
        "the network, or use weight_only, which leaves everything but the weights as it is."
    )


class _Unsupported(Exception):
    """A setting of an operation that is known otherwise."""


def _layer_step(node: fx.Node, kind: str, settings: dict[str, Any]) -> Step:
    return Step(node.name, kind, (source_of(node).name,), settings, str(node.target))


def _conv2d(layer: nn.Conv2d) -> dict[str, Any]:
    if layer.padding_mode != "zeros":
        raise _Unsupported(f"padding_mode is {layer.padding_mode!r}; expected 'zeros'.")
    padding = layer.padding
    if padding == "valid":
        padding = (0, 0)
    elif padding == "same":
        reach = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        if any(r % 2 for r in reach):
            raise _Unsupported(
                "padding='same' is uneven; expected an odd kernel, or ZeroPad2d before."
            )
        padding = (reach[0] // 2, reach[1] // 2)
    return {
        "stride": list(layer.stride),
        "padding": list(padding),
        "dilation": list(layer.dilation),
        "groups": layer.groups,
    }


def _addition(node: fx.Node) -> Step:
    values = arguments(node, "input", "other", alpha=1)
    operands = [value for value in (values["input"], values["other"]) if isinstance(value, fx.Node)]
    if len(operands) != 2 or values["alpha"] != 1:
        raise _Unsupported("it adds a constant; expected the sum of two tensors.")
    return Step(node.name, "add", tuple(operand.name for operand in operands))


def _concatenation(node: fx.Node) -> Step:
    values = arguments(node, "tensors", "dim", dim=0)
    if isinstance(values["tensors"], fx.Node):
        raise _Unsupported(f"it joins the parts of {values['tensors'].name!r}; expected tensors.")
    if values["dim"] not in (1, -3):
        raise _Unsupported(f"it joins along dim={values['dim']}; expected 1, the channels.")
    return Step(node.name, "concatenate", tuple(tensor.name for tensor in values["tensors"]))


def _average(values: dict[str, Any]) -> dict[str, Any]:
    if values.get("ceil_mode") or values.get("divisor_override"):
        raise _Unsupported("ceil_mode or divisor_override is set; expected neither.")
    padding = _pair(values.get("padding", 0))
    if any(padding) and not values.get("count_include_pad", True):
        raise _Unsupported("count_include_pad is False; expected True where there is padding.")
    kernel_size = _pair(values["kernel_size"])
    stride = _pair(values.get("stride") or kernel_size)
    return {"kernel_size": kernel_size, "stride": stride, "padding": padding}


def _adaptive(values: dict[str, Any]) -> dict[str, Any]:
    size = _pair(values["output_size"])
    if None in size:
        raise _Unsupported("output_size holds None; expected two numbers.")
    return {"output_size": size}


def _mean(values: dict[str, Any]) -> dict[str, Any]:
    dim = values.get("dim")
    if not isinstance(dim, tuple | list) or sorted(d % 4 for d in dim) != [2, 3]:
        raise _Unsupported(f"it takes the mean over dim={dim}; expected height and width, (2, 3).")
    return {"output_size": [1, 1], "flat": not values.get("keepdim", False)}


def _maximum(values: dict[str, Any]) -> dict[str, Any]:
    if values.get("ceil_mode") or values.get("return_indices"):
        raise _Unsupported("ceil_mode or return_indices is set; expected neither.")
    kernel_size = _pair(values["kernel_size"])
    return {
        "kernel_size": kernel_size,
        "stride": _pair(values.get("stride") or kernel_size),
        "padding": _pair(values.get("padding", 0)),
        "dilation": _pair(values.get("dilation", 1)),
    }


def _flatten(values: dict[str, Any]) -> dict[str, Any]:
    if values.get("start_dim", 0) != 1 or values.get("end_dim", -1) != -1:
        raise _Unsupported("it flattens other dimensions than 1 to the last; expected these.")
    return {}


def _view(values: dict[str, Any]) -> dict[str, Any]:
    shape = values.get("first"), values.get("second"), values.get("third")
    if isinstance(shape[0], tuple | list):
        shape = (*shape[0], None)
    if not _is_batch_size(shape[0]) or shape[1] != -1 or shape[2] is not None:
        raise _Unsupported("it changes the shape; expected (x.shape[0], -1), or flatten(1).")
    return {}


def _zero_pad(values: dict[str, Any]) -> dict[str, Any]:
    if values.get("mode", "constant") != "constant" or values.get("value"):
        raise _Unsupported("it pads with something else; expected zeros.")
    padding = _numbers(values["padding"])
    if len(padding) != 4:
        raise _Unsupported(f"padding is {padding}; expected left, right, top and bottom.")
    return {"padding": padding}


def _pair(value: Any) -> list[Any]:
    return [value, value] if isinstance(value, int) else _numbers(value)


def _numbers(value: Any) -> list[Any]:
    if not isinstance(value, tuple | list) or any(isinstance(v, fx.Node) for v in value):
        raise _Unsupported("it computes a size or a window while it runs; expected numbers.")
    return list(value)


_Operation = tuple[str, tuple[str, ...], Callable[[dict[str, Any]], dict[str, Any]]]
_WINDOW = ("kernel_size", "stride", "padding")
_AVERAGE = (
    "average_pool",
    (*_WINDOW, "ceil_mode", "count_include_pad", "divisor_override"),
    _average,
)
_MAXIMUM = ("max_pool", (*_WINDOW, "dilation", "ceil_mode", "return_indices"), _maximum)
_ADAPTIVE = ("average_pool", ("output_size",), _adaptive)
_FLATTEN = ("flatten", ("start_dim", "end_dim"), _flatten)
_MEAN = ("average_pool", ("dim", "keepdim"), _mean)
_PAD = ("pad", ("padding", "mode", "value"), _zero_pad)
_VIEW = ("flatten", ("first", "second", "third"), _view)
OPERATIONS: dict[Any, _Operation] = {
    nn.AvgPool2d: _AVERAGE,
    F.avg_pool2d: _AVERAGE,
    nn.AdaptiveAvgPool2d: _ADAPTIVE,
    F.adaptive_avg_pool2d: _ADAPTIVE,
    torch.mean: _MEAN,
    "mean": _MEAN,
    nn.MaxPool2d: _MAXIMUM,
    F.max_pool2d: _MAXIMUM,
    nn.Flatten: _FLATTEN,
    torch.flatten: _FLATTEN,
    "flatten": _FLATTEN,
    nn.ZeroPad2d: _PAD,
    F.pad: _PAD,
    "view": _VIEW,
    "reshape": _VIEW,
}


def _measures_shape(node: Any) -> bool:
    """Tell whether a node only looks at a shape, as in ``x.view(x.size(0), -1)``."""
    if not isinstance(node, fx.Node) or node.op not in ("call_method", "call_function"):
        return False
    if node.target == "size" or (node.target is getattr and node.args[1] == "shape"):
        return True
    return node.target is operator.getitem and _measures_shape(node.args[0])


def _is_batch_size(node: Any) -> bool:
    """Tell whether a node is ``x.size(0)``, ``x.size()[0]`` or ``x.shape[0]``."""
    if not _measures_shape(node):
        return False
    dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    return node.target in ("size", operator.getitem) and dim == 0
