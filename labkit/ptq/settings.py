"""What the settings of known operations become in a `Step`: only what JSON can hold."""

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn


class Unsupported(Exception):
    """A setting of an operation that is known otherwise."""


def conv2d_settings(layer: nn.Conv2d) -> dict[str, Any]:
    """Return the stride, padding, dilation and groups of a convolution, as numbers."""
    if layer.padding_mode != "zeros":
        raise Unsupported(f"padding_mode is {layer.padding_mode!r}; expected 'zeros'.")
    padding = layer.padding
    if padding == "valid":
        padding = (0, 0)
    elif padding == "same":
        reach = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        if any(r % 2 for r in reach):
            raise Unsupported(
                "padding='same' is uneven; expected an odd kernel, or ZeroPad2d before."
            )
        padding = (reach[0] // 2, reach[1] // 2)
    return {
        "stride": list(layer.stride),
        "padding": list(padding),
        "dilation": list(layer.dilation),
        "groups": layer.groups,
    }


def _average(values: dict[str, Any]) -> dict[str, Any]:
    if values.get("ceil_mode") or values.get("divisor_override"):
        raise Unsupported("ceil_mode or divisor_override is set; expected neither.")
    padding = _pair(values.get("padding", 0))
    if any(padding) and not values.get("count_include_pad", True):
        raise Unsupported("count_include_pad is False; expected True where there is padding.")
    kernel_size = _pair(values["kernel_size"])
    stride = _pair(values.get("stride") or kernel_size)
    return {"kernel_size": kernel_size, "stride": stride, "padding": padding}


def _adaptive(values: dict[str, Any]) -> dict[str, Any]:
    size = _pair(values["output_size"])
    if None in size:
        raise Unsupported("output_size holds None; expected two numbers.")
    return {"output_size": size}


def _mean(values: dict[str, Any]) -> dict[str, Any]:
    dim = values.get("dim")
    if not isinstance(dim, tuple | list) or sorted(d % 4 for d in dim) != [2, 3]:
        raise Unsupported(f"it takes the mean over dim={dim}; expected height and width, (2, 3).")
    return {"output_size": [1, 1], "flat": not values.get("keepdim", False)}


def _maximum(values: dict[str, Any]) -> dict[str, Any]:
    if values.get("ceil_mode") or values.get("return_indices"):
        raise Unsupported("ceil_mode or return_indices is set; expected neither.")
    kernel_size = _pair(values["kernel_size"])
    return {
        "kernel_size": kernel_size,
        "stride": _pair(values.get("stride") or kernel_size),
        "padding": _pair(values.get("padding", 0)),
        "dilation": _pair(values.get("dilation", 1)),
    }


def _flatten(values: dict[str, Any]) -> dict[str, Any]:
    if values.get("start_dim", 0) != 1 or values.get("end_dim", -1) != -1:
        raise Unsupported("it flattens other dimensions than 1 to the last; expected these.")
    return {}


def _view(values: dict[str, Any]) -> dict[str, Any]:
    shape = values.get("first"), values.get("second"), values.get("third")
    if isinstance(shape[0], tuple | list):
        shape = (*shape[0], None)
    if not _is_batch_size(shape[0]) or shape[1] != -1 or shape[2] is not None:
        raise Unsupported("it changes the shape; expected (x.shape[0], -1), or flatten(1).")
    return {}


def _zero_pad(values: dict[str, Any]) -> dict[str, Any]:
    if values.get("mode", "constant") != "constant" or values.get("value"):
        raise Unsupported("it pads with something else; expected zeros.")
    padding = _numbers(values["padding"])
    if len(padding) != 4:
        raise Unsupported(f"padding is {padding}; expected left, right, top and bottom.")
    return {"padding": padding}


def _pair(value: Any) -> list[Any]:
    return [value, value] if isinstance(value, int) else _numbers(value)


def _numbers(value: Any) -> list[Any]:
    if not isinstance(value, tuple | list) or any(isinstance(v, fx.Node) for v in value):
        raise Unsupported("it computes a size or a window while it runs; expected numbers.")
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
# What makes each kind of step of one: its kind, the names of its arguments, and what they become.
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


def measures_shape(node: Any) -> bool:
    """Tell whether a node only looks at a shape, as in ``x.view(x.size(0), -1)``."""
    if not isinstance(node, fx.Node) or node.op not in ("call_method", "call_function"):
        return False
    if node.target == "size" or (node.target is getattr and node.args[1] == "shape"):
        return True
    return node.target is operator.getitem and measures_shape(node.args[0])


def _is_batch_size(node: Any) -> bool:
    """Tell whether a node is ``x.size(0)``, ``x.size()[0]`` or ``x.shape[0]``."""
    if not measures_shape(node):
        return False
    dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    return node.target in ("size", operator.getitem) and dim == 0
