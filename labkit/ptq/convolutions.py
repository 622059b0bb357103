"""Layers written as plain convolutions: other paddings, and transposed convolutions."""

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import fx, nn

from labkit.ptq.calls import PATCHES, operation_of
from labkit.ptq.settings import values_of
from labkit.ptq.tracing import line_of


@dataclass(frozen=True)
class Before:
    """What an image goes through before a plain convolution: zeros in between, and a border."""

    padding: list[int]
    mode: str = "constant"
    stride: tuple[int, ...] = (1, 1)


def plain_convolutions(network: fx.GraphModule) -> None:
    """Let every convolution pad with zeros, as much on both sides, and none be transposed.

    What is padded otherwise (with reflections; unevenly, as "same" does for an even kernel) is
    padded before, and a transposed convolution is one of an image with zeros between its pixels,
    with the kernel turned round. Patches are cut out of an image that is padded before, too.

    Raises
    ------
    ValueError
        If a transposed convolution is told the size of its result.
    """
    before: dict[str, Before] = {}
    for node in list(network.graph.nodes):
        path = str(node.target)
        if operation_of(node, network) == PATCHES:
            _pad_before_cutting(node, network)
            continue
        layer = network.get_submodule(path) if node.op == "call_module" else None
        if isinstance(layer, nn.ConvTranspose2d):
            before[path] = _turned(network, path, layer)
        elif isinstance(layer, nn.Conv1d | nn.Conv2d) and _is_padded_otherwise(layer):
            mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
            before[path] = Before(list(layer._reversed_padding_repeated_twice), mode)
            layer.padding, layer.padding_mode = (0,) * len(layer.kernel_size), "zeros"
        if node.op == "call_module" and path in before:
            if len(node.args) + len(node.kwargs) > 1:
                raise ValueError(
                    f"node {node.name!r}{line_of(node)} is a ConvTranspose2d that is told its "
                    "output_size; expected the image alone. Give the layer its output_padding."
                )
            _put(before[path], node)


def _pad_before_cutting(node: fx.Node, network: fx.GraphModule) -> None:
    """Let ``unfold(x, ..., padding)`` be that of a padded image, without padding of its own."""
    values = {"dilation": 1, "padding": 0, "stride": 1} | values_of(node, network)
    image = node.args[0] if node.args else node.kwargs["input"]
    high, wide = _pair(values["padding"])
    with node.graph.inserting_before(node):
        if high or wide:
            image = node.graph.call_function(F.pad, (image, [wide, wide, high, high]))
        options = (values["kernel_size"], values["dilation"], 0, values["stride"])
        patches = node.graph.call_function(F.unfold, (image, *options))
    patches.meta.update(node.meta)
    node.replace_all_uses_with(patches)
    node.graph.erase_node(node)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _is_padded_otherwise(layer: nn.Conv1d | nn.Conv2d) -> bool:
    padding = layer._reversed_padding_repeated_twice
    return layer.padding_mode != "zeros" or padding[::2] != padding[1::2]


def _turned(network: fx.GraphModule, path: str, layer: nn.ConvTranspose2d) -> Before:
    """Replace a transposed convolution; return what the image needs for it."""
    kernel: Any = layer.kernel_size
    dilation: Any = layer.dilation
    groups = layer.groups
    plain = nn.Conv2d(
        layer.in_channels, layer.out_channels, kernel, dilation=dilation, groups=groups
    )
    inputs, outputs = layer.in_channels // groups, layer.out_channels // groups
    weight = layer.weight.detach().reshape(groups, inputs, outputs, *kernel)
    weight = weight.transpose(1, 2).flatten(0, 1).flip(-1, -2)
    plain.weight, plain.bias = nn.Parameter(weight.clone()), layer.bias
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, plain.eval())
    padding = []
    for i in (1, 0):  # F.pad takes the last axis first
        border = dilation[i] * (kernel[i] - 1) - int(layer.padding[i])
        # The zeros behind the last pixel are not between two.
        padding += [border, border + layer.output_padding[i] - (layer.stride[i] - 1)]
    return Before(padding, stride=tuple(layer.stride))


def _put(before: Before, node: fx.Node) -> None:
    """Insert what a convolution needs in front of it."""
    image: Any = node.args[0] if node.args else node.kwargs["input"]
    with node.graph.inserting_before(node):

        def call(name: str, *args: Any) -> fx.Node:
            made = node.graph.call_method(name, args)
            made.meta.update({k: v for k, v in node.meta.items() if k != "shape"})
            return made

        if before.stride != (1, 1):
            high, wide = before.stride
            image = call("unsqueeze", call("unsqueeze", image, 3), 5)
            image = node.graph.call_function(F.pad, (image, [0, wide - 1, 0, 0, 0, high - 1]))
            image = call("flatten", call("flatten", image, 4, 5), 2, 3)
        if any(before.padding):
            image = node.graph.call_function(F.pad, (image, before.padding, before.mode))
    node.args, node.kwargs = (image,), {}
