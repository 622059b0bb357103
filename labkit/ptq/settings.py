"""What the settings of known operations become in a `Step`: only what JSON can hold."""

from collections.abc import Callable
from typing import Any

from torch import fx, nn

from labkit.ptq.calls import operation_of


class Unsupported(Exception):
    """A setting of an operation that is known otherwise."""


class Elsewhere(Exception):
    """An unusual setting, which a more general kind of step has."""


# The attributes of modules that are the arguments of their functions, in that order.
WINDOW = ("kernel_size", "stride", "padding")
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "avg_pool2d": (*WINDOW, "ceil_mode", "count_include_pad", "divisor_override"),
    "avg_pool1d": (*WINDOW, "ceil_mode", "count_include_pad"),
    "max_pool2d": (*WINDOW, "dilation", "ceil_mode", "return_indices"),
    "max_pool1d": (*WINDOW, "dilation", "ceil_mode", "return_indices"),
    "adaptive_avg_pool2d": ("output_size",),
    "adaptive_avg_pool1d": ("output_size",),
    "adaptive_max_pool2d": ("output_size", "return_indices"),
    "mean": ("dim", "keepdim"),
    "flatten": ("start_dim", "end_dim"),
    "unflatten": ("dim", "unflattened_size"),
    "pad": ("padding", "mode", "value"),
    "patches": ("kernel_size", "dilation", "padding", "stride"),
    "pixel_shuffle": ("upscale_factor",),
    "pixel_unshuffle": ("downscale_factor",),
    "channel_shuffle": ("groups",),
    "interpolate": ("size", "scale_factor", "mode", "align_corners"),
    "cat": ("dim",),
    "stack": ("dim",),
    "softmax": ("dim",),
    "log_softmax": ("dim",),
    "softmin": ("dim",),
    "glu": ("dim",),
    "layer_norm": ("normalized_shape", "weight", "bias", "eps"),
    "rms_norm": ("normalized_shape", "weight", "eps"),
    "instance_norm": ("weight", "bias", "eps"),
    "group_norm": ("num_groups", "weight", "bias", "eps"),
    "batch_norm": ("running_mean", "running_var", "weight", "bias", "eps"),
    "conv1d": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "conv2d": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "linear": ("weight", "bias"),
    "prelu": ("weight",),
    "gelu": ("approximate",),
    "leaky_relu": ("negative_slope",),
    "elu": ("alpha",),
    "hardtanh": ("min_val", "max_val"),
    "softplus": ("beta", "threshold"),
    "local_response_norm": ("size", "alpha", "beta", "k"),
}
PAD_MODES = {"Reflection": "reflect", "Replication": "replicate", "Circular": "circular"}


def values_of(node: fx.Node, network: fx.GraphModule) -> dict[str, Any]:
    """Return the arguments of a call by name, but for the tensor, wherever they were given."""
    name = operation_of(node, network)
    names = ARGUMENTS.get(name, ())
    if node.op == "call_module":
        layer = network.get_submodule(str(node.target))
        values = {n: getattr(layer, n) for n in names if hasattr(layer, n)}
        if name == "pad":
            kinds = (m for start, m in PAD_MODES.items() if type(layer).__name__.startswith(start))
            values["mode"] = next(kinds, "constant")
        return values
    values = dict(zip(names, node.args[1:], strict=False))
    # torch takes numpy's words for these, too.
    words = {"axis": "dim", "keepdims": "keepdim", "pad": "padding"}
    given = {words.get(k, k): v for k, v in node.kwargs.items()}
    values |= {k: v for k, v in given.items() if k not in ("input", "tensors", "inplace")}
    rest = node.args[1 + len(names) :]
    if rest and name in names_of_windows:
        raise Unsupported(f"it takes {len(rest)} arguments more than expected.")
    if name == "mean" and len(rest) and isinstance(rest[0], int):
        raise Elsewhere
    return values


names_of_windows = ("avg_pool2d", "max_pool2d", "adaptive_avg_pool2d")


def conv_settings(layer: nn.Conv1d | nn.Conv2d) -> dict[str, Any]:
    """Return the stride, padding, dilation and groups of a convolution, as numbers."""
    if layer.padding_mode != "zeros":
        raise Unsupported(f"padding_mode is {layer.padding_mode!r}; expected 'zeros'.")
    padding: Any = layer.padding
    if padding == "valid":
        padding = [0] * len(layer.kernel_size)
    elif padding == "same":
        reach = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        if any(r % 2 for r in reach):
            raise Unsupported(
                "padding='same' is uneven; expected an odd kernel, or ZeroPad2d before."
            )
        padding = [r // 2 for r in reach]
    return {
        "stride": list(layer.stride),
        "padding": list(padding),
        "dilation": list(layer.dilation),
        "groups": layer.groups,
    }


def _average(values: dict[str, Any], node: fx.Node) -> dict[str, Any]:
    padding = _pair(values.get("padding", 0))
    uncounted = any(padding) and not values.get("count_include_pad", True)
    if values.get("ceil_mode") or values.get("divisor_override") or uncounted:
        raise Elsewhere
    kernel_size = _pair(values["kernel_size"])
    stride = _pair(values.get("stride") or kernel_size)
    return {"kernel_size": kernel_size, "stride": stride, "padding": padding}


def _adaptive(values: dict[str, Any], node: fx.Node) -> dict[str, Any]:
    size = _pair(values["output_size"])
    if None in size:
        raise Elsewhere
    return {"output_size": size}


def _mean(values: dict[str, Any], node: fx.Node) -> dict[str, Any]:
    dim, shape = values.get("dim"), node.all_input_nodes[0].meta.get("shape")
    is_image = shape is None or len(shape) == 4
    if not isinstance(dim, tuple | list) or not is_image or sorted(d % 4 for d in dim) != [2, 3]:
        raise Elsewhere
    return {"output_size": [1, 1], "flat": not values.get("keepdim", False)}


def _maximum(values: dict[str, Any], node: fx.Node) -> dict[str, Any]:
    if values.get("return_indices"):
        raise Unsupported("return_indices is set; expected the values alone.")
    network: Any = node.graph.owning_module
    one = operation_of(node, network).endswith("1d")
    several = (lambda v: [v] if isinstance(v, int) else _numbers(v)) if one else _pair
    kernel_size = several(values["kernel_size"])
    found = {
        "kernel_size": kernel_size,
        "stride": several(values.get("stride") or kernel_size),
        "padding": several(values.get("padding", 0)),
        "dilation": several(values.get("dilation", 1)),
    }
    return {**found, "ceil_mode": True} if values.get("ceil_mode") else found


def _flatten(values: dict[str, Any], node: fx.Node) -> dict[str, Any]:
    if values.get("start_dim", 0) != 1 or values.get("end_dim", -1) != -1:
        raise Elsewhere
    return {}


def _reshape(values: dict[str, Any], node: fx.Node) -> dict[str, Any]:
    shape: Any = node.args[1:] or node.kwargs.get("shape", ())
    shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    if len(shape) != 2 or shape[1] != -1 or not _is_batch_size(shape[0], node):
        raise Elsewhere
    return {}


def _is_batch_size(number: Any, node: fx.Node) -> bool:
    """Tell whether a number is ``x.size(0)``, ``x.size()[0]`` or ``x.shape[0]``."""
    if not isinstance(number, fx.Node):
        return False
    network: Any = node.graph.owning_module
    if operation_of(number, network) == "getitem":
        return bool(number.args[1] == 0) and operation_of(number.args[0], network) in (
            "size",
            "shape",
        )
    dim = number.args[1] if len(number.args) > 1 else number.kwargs.get("dim")
    return operation_of(number, network) == "size" and bool(dim == 0)


def _pair(value: Any) -> list[Any]:
    return [value, value] if isinstance(value, int) else _numbers(value)


def _numbers(value: Any) -> list[Any]:
    if not isinstance(value, tuple | list) or any(isinstance(v, fx.Node) for v in value):
        raise Elsewhere
    return list(value)


# What makes a kind of step of its own of an operation: the kind, and what the arguments become.
OPERATIONS: dict[str, tuple[str, Callable[[dict[str, Any], fx.Node], dict[str, Any]]]] = {
    "avg_pool2d": ("average_pool", _average),
    "adaptive_avg_pool2d": ("average_pool", _adaptive),
    "mean": ("average_pool", _mean),
    "max_pool2d": ("max_pool", _maximum),
    "max_pool1d": ("max_pool", _maximum),
    "flatten": ("flatten", _flatten),
    "reshape": ("flatten", _reshape),
}
