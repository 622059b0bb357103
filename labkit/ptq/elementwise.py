"""Functions of one tensor, each element on its own: on integers, a table of 256 codes.

::

    table[q] = quantize(f(dequantize(q)))

whatever f is, and however many operations it is written in.
"""

import copy
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from labkit.ptq.calls import argument, measures, operation_of, words
from labkit.ptq.settings import Unsupported
from labkit.qparams import QParams

ELEMENTWISE = frozenset(
    words(
        "sigmoid tanh relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish softplus "
        "softsign tanhshrink hardswish hardsigmoid hardtanh hardshrink softshrink threshold "
        "logsigmoid log_sigmoid clamp clamp_min clamp_max exp exp2 expm1 log log2 log10 log1p "
        "sqrt rsqrt square abs neg reciprocal sin cos tan asin acos atan sinh cosh erf erfc "
        "pow add sub mul div rsub floor ceil round trunc sign frac batch_norm maximum minimum "
        "fmod remainder nan_to_num positive pos floordiv where masked_fill with_item"
    )
)
# What gives true or false, or takes it for a number: within a function, but no result of one.
LOGICAL = frozenset(
    words("eq ne lt le gt ge logical_not logical_and logical_or and_ or_ invert bitwise_not")
)
NUMBERS_OF_LOGICAL = frozenset(words("float type_as to double"))
# The values that each kind of ReLU lets through end here.
RELUS: dict[str, float | None] = {"relu": None, "relu6": 6.0}
# What has one constant for each channel, dimension 1.
BY_CHANNEL = ("batch_norm", "prelu")


@dataclass(frozen=True)
class Chain:
    """A function of one tensor.

    Attributes
    ----------
    root : fx.Node
        The tensor.
    nodes : tuple of fx.Node
        The operations, the last of which gives the result.
    axis : int or None
        The axis, counted from the last, along which the function has a constant for each index.
    """

    root: fx.Node
    nodes: tuple[fx.Node, ...]
    axis: int | None


def chain_of(
    node: fx.Node, network: fx.GraphModule, known: Mapping[fx.Node, Chain]
) -> Chain | None:
    """Return a node as a function of one tensor, with what is in front of it, if it is that.

    Parameters
    ----------
    node : fx.Node
    network : fx.GraphModule
    known : mapping of fx.Node to Chain
        The functions in front of it.
    """
    if not _is_elementwise(node, network) or _looks_at_the_batch(node, network):
        return None
    sources = [n for n in node.all_input_nodes if n.op != "get_attr"]
    if not sources or any(measures(n, network) for n in sources):
        return None
    tensors = [a for a in node.args if isinstance(a, fx.Node) and a.op != "get_attr"]
    if len(tensors) > 1 and not any(n in known for n in tensors):
        return None  # x + x and x * x are a sum and a product as any other
    roots = {known[n].root if n in known else n for n in sources}
    if len(roots) != 1:
        return None
    (root,) = roots
    axes = {known[n].axis for n in sources if n in known}
    try:
        axes.add(_axis(node, network, _dimensions(root, node, network)))
    except Unsupported:
        return None
    axes.discard(None)
    if len(axes) > 1:  # a table can have one; what is in front is another table
        return None if len(sources) > 1 else chain_of(node, network, {})
    before = {n: None for source in sources if source in known for n in known[source].nodes}
    return Chain(root, (*before, node), axes.pop() if axes else None)


def _is_elementwise(node: fx.Node, network: fx.GraphModule) -> bool:
    name = operation_of(node, network)
    if name == "with_item":  # x[x < 0] = y, but not x[0] = y
        return is_logical(node.args[1], network)
    numbers = [a for a in (*node.args, *node.kwargs.values()) if isinstance(a, float)]
    if name in ("where", "masked_fill") and not all(map(math.isfinite, numbers)):
        return False  # for a softmax, and on no grid
    if name in NUMBERS_OF_LOGICAL:
        return is_logical(node.all_input_nodes[0], network)
    return name in ELEMENTWISE or (name in LOGICAL and bool(node.all_input_nodes))


def is_logical(node: Any, network: fx.GraphModule) -> bool:
    """Tell whether a node gives true or false."""
    return isinstance(node, fx.Node) and operation_of(node, network) in LOGICAL


def _looks_at_the_batch(node: fx.Node, network: fx.GraphModule) -> bool:
    """Tell whether a normalization takes the statistics of each batch, in eval mode too."""
    if operation_of(node, network) != "batch_norm":
        return False
    if node.op == "call_module":
        return network.get_submodule(str(node.target)).running_mean is None
    return argument(node, 1, "running_mean") is None or bool(argument(node, 5, "training", False))


def relu_ceiling(node: fx.Node, network: fx.GraphModule) -> tuple[bool, float | None]:
    """Tell whether a node is a ReLU, however it is written, and where its values end."""
    name = operation_of(node, network)
    if name in RELUS:
        return True, RELUS[name]
    if name in ("clamp", "hardtanh", "clamp_min"):
        names = ("min_val", "max_val") if name == "hardtanh" else ("min", "max")
        if node.op == "call_module":
            layer = network.get_submodule(str(node.target))
            low, high = (getattr(layer, end) for end in names)
        else:
            plain = (-1.0, 1.0) if name == "hardtanh" else (None, None)
            low, high = (argument(node, i + 1, names[i], plain[i]) for i in (0, 1))
        positive = high is None or (isinstance(high, int | float) and high > 0)
        if low == 0 and positive:
            return True, None if high is None else float(high)
    return False, None


def table_of(
    network: fx.GraphModule, names: Iterable[str], axis: int | None, x: QParams, out: QParams
) -> Tensor:
    """Return the code of each code: ``table[q - qmin] = quantize(f(dequantize(q)))``, in float64.

    Parameters
    ----------
    network : fx.GraphModule
    names : iterable of str
        The nodes that f consists of.
    axis : int or None
        As in `Chain`.
    x, out : QParams
        The grids.

    Returns
    -------
    Tensor
        Codes of `out`: [codes], or [channels, codes]. A value beyond all numbers saturates; a code
        of which f has no value gives the zero point.
    """
    named = {node.name: node for node in network.graph.nodes}
    nodes = [named[name] for name in names]
    inside = set(nodes)
    (root,) = {n for node in nodes for n in node.all_input_nodes if n.op != "get_attr"} - inside
    real = values_of_codes(x)
    codes = len(real)
    if axis is not None:
        shape = [codes] + [1] * (_dimensions(root, nodes[0], network) - 1)
        channels = _channels(nodes, network)
        shape[axis] = channels
        real = real.reshape(-1, *[1] * (len(shape) - 1)).expand(shape).clone()
    q = coded(_evaluated(nodes, network, {root: real}), out)
    return q.reshape(codes, -1).t().contiguous() if axis is not None else q.reshape(-1)


def values_of_codes(qparams: QParams) -> Tensor:
    """Return what each code of a grid stands for, qmin first, in float64."""
    codes = torch.arange(qparams.scheme.qmin, qparams.scheme.qmax + 1)
    return (codes - int(qparams.zero_point)).double() * qparams.scale.double()


def coded(y: Tensor, qparams: QParams) -> Tensor:
    """Return codes of real numbers: beyond the grid they saturate, NaN is the zero point."""
    steps = torch.round(y / qparams.scale.double()) + int(qparams.zero_point)
    steps = torch.where(steps.isnan(), float(qparams.zero_point), steps)
    return steps.clamp(qparams.scheme.qmin, qparams.scheme.qmax).to(qparams.scheme.dtype)


def _evaluated(
    nodes: Iterable[fx.Node], network: fx.GraphModule, values: dict[fx.Node, Any]
) -> Tensor:
    """Run some nodes in float64."""
    result: Any = None

    def value_of(node: fx.Node) -> Any:
        return values[node] if node in values else _constant(node, network)

    with torch.no_grad():
        for node in nodes:
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), value_of)
            if node.op == "call_module":
                layer = copy.deepcopy(network.get_submodule(str(node.target))).double()
                result = layer(*args, **kwargs)
            elif node.op == "call_method":
                result = getattr(args[0], str(node.target))(*args[1:], **kwargs)
            else:
                result = node.target(*args, **kwargs)  # type: ignore[operator]
            values[node] = result
    return result


def _constant(node: fx.Node, network: fx.GraphModule) -> Tensor:
    value = operator.attrgetter(str(node.target))(network).detach()
    return value.double() if value.is_floating_point() else value


def _constants(node: fx.Node, network: fx.GraphModule) -> list[Tensor]:
    """Return the constants of an operation that have several numbers."""
    found = [_constant(n, network) for n in node.all_input_nodes if n.op == "get_attr"]
    if node.op == "call_module":
        layer: nn.Module = network.get_submodule(str(node.target))
        found += [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
    return [value for value in found if value.numel() > 1]


def _channels(nodes: Iterable[fx.Node], network: fx.GraphModule) -> int:
    sizes = [value.numel() for node in nodes for value in _constants(node, network)]
    return max(sizes, default=1)


def _axis(node: fx.Node, network: fx.GraphModule, dimensions: int) -> int | None:
    """Return the axis along which a node's constants differ."""
    constants, name = _constants(node, network), operation_of(node, network)
    # A normalization looks for its channels, be it one.
    if name == "batch_norm" or (constants and name in BY_CHANNEL):
        return 1 - dimensions
    if not constants:
        return None
    axes = set()
    for value in constants:
        long = [i - value.ndim for i, size in enumerate(value.shape) if size > 1]
        if len(long) != 1 or value.ndim > dimensions or -long[0] >= dimensions:
            raise Unsupported("it has a constant for each element; expected one for each channel.")
        axes.add(long[0])
    if len(axes) > 1:
        raise Unsupported("its constants lie along several axes; expected one.")
    return axes.pop()


def _dimensions(root: fx.Node, node: fx.Node, network: fx.GraphModule) -> int:
    """Return how many dimensions a tensor has: as seen, or as is usual."""
    if root.meta.get("shape"):
        return len(root.meta["shape"])
    if node.op == "call_module":
        layer = network.get_submodule(str(node.target))
        return 2 if isinstance(layer, nn.BatchNorm1d) else 4
    return 4
