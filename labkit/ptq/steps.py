"""The integer operations that a network becomes, as data: what `labkit.ptq` runs, saves, exports.

One `Step` for each tensor that is stored. A convolution, the residual added to it and the ReLU
behind them are one step, and round once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from labkit.ptq.graph import ADDITIONS, arguments, layer_of, source_of, target_of
from labkit.ptq.settings import OPERATIONS, Unsupported, conv2d_settings, measures_shape

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
        if node.op in ("placeholder", "get_attr") or measures_shape(node):
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
        users = [user for user in source.users if not measures_shape(user)]
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
            return _layer_step(node, "conv2d", conv2d_settings(layer))
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
    except Unsupported as error:
        raise ValueError(f"cannot quantize node {node.name!r}: {error}") from None
    what = type(layer).__name__ if layer is not None else getattr(target, "__name__", target)
    raise ValueError(
        f"cannot quantize node {node.name!r} ({what}); supported are {SUPPORTED}. Replace it in "
        "the network, or use weight_only, which leaves everything but the weights as it is."
    )


def _layer_step(node: fx.Node, kind: str, settings: dict[str, Any]) -> Step:
    return Step(node.name, kind, (source_of(node).name,), settings, str(node.target))


def _addition(node: fx.Node) -> Step:
    values = arguments(node, "input", "other", alpha=1)
    operands = [value for value in (values["input"], values["other"]) if isinstance(value, fx.Node)]
    if len(operands) != 2 or values["alpha"] != 1:
        raise Unsupported("it adds a constant; expected the sum of two tensors.")
    return Step(node.name, "add", tuple(operand.name for operand in operands))


def _concatenation(node: fx.Node) -> Step:
    values = arguments(node, "tensors", "dim", dim=0)
    if isinstance(values["tensors"], fx.Node):
        raise Unsupported(f"it joins the parts of {values['tensors'].name!r}; expected tensors.")
    if values["dim"] not in (1, -3):
        raise Unsupported(f"it joins along dim={values['dim']}; expected 1, the channels.")
    return Step(node.name, "concatenate", tuple(tensor.name for tensor in values["tensors"]))
