"""A traced graph made plain: nothing idle, nothing overwritten, constants computed, layers modules.

Each function changes a graph in place and leaves what it computes as it was.
"""

import dataclasses
import inspect
import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from labkit.ptq.calls import (
    CUTS,
    IN_PLACE_OPERATORS,
    VIEWS,
    argument,
    does_nothing,
    measures,
    operation_of,
    overwritten_by,
)
from labkit.ptq.in_training import is_in_training
from labkit.ptq.tracing import line_of


def with_item(x: Tensor, index: Any, value: Any) -> Tensor:
    """Return a copy of `x` with ``x[index] = value``."""
    x = x.clone()
    x[index] = value
    return x


def vectors(x: Tensor) -> Tensor:
    """Return `x`, refused unless it is [N, C], as a linear layer with a folded `BatchNorm1d` needs.

    Raises
    ------
    ValueError
        If it has more dimensions, of which the normalization would take the second.
    """
    if x.ndim != 2:
        raise ValueError(
            f"a Linear whose BatchNorm1d is folded got {list(x.shape)}; expected [N, C]. Give "
            "fold_batchnorm an example, so that it sees where the channels are."
        )
    return x


def plain_results(network: fx.GraphModule) -> None:
    """Let a network return a tuple for a named one, and a dictionary for a dataclass."""
    (output,) = (node for node in network.graph.nodes if node.op == "output")

    def plain(value: Any) -> Any:
        kind = value.target if isinstance(value, fx.Node) else None
        if isinstance(kind, type) and hasattr(kind, "_fields"):
            return tuple(value.args)
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            names = [field.name for field in dataclasses.fields(kind)]
            return dict(zip(names, value.args, strict=False)) | value.kwargs
        return value

    output.args = fx.node.map_arg(output.args, plain)
    output.args = (plain(output.args[0]),)


def remove_idle(network: fx.GraphModule, for_training: bool = False) -> None:
    """Remove what gives its input: identity, dropout in eval mode, ``x + 0``, ``x.detach()``.

    For training, what does something in that mode stays.
    """
    for node in list(network.graph.nodes):
        if node.op == "call_method" and node.target == "view":
            node.target = "reshape"  # what makes memory contiguous for a view goes, too
        if does_nothing(node, network) and not (for_training and is_in_training(node, network)):
            replace(node, node.all_input_nodes[0])


def read_what_was_overwritten(network: fx.GraphModule) -> None:
    """Let all that reads a tensor after a node overwrote it read that node.

    Raises
    ------
    ValueError
        If what is overwritten shares its memory with another tensor that is read later, or is a
        parameter: the change would have to be seen there, too.
    """
    nodes = list(network.graph.nodes)
    owner: dict[fx.Node, fx.Node] = {}  # of the memory that a node's value lies in
    parts: dict[fx.Node, tuple[fx.Node, Any]] = {}  # of what was cut up: from where, and which
    for i, node in enumerate(nodes):
        target = overwritten_by(node, network)
        source = node.all_input_nodes[0] if node.all_input_nodes else node
        is_view = operation_of(node, network) in VIEWS and not measures(node, network)
        owner[node] = owner[source] if is_view else node
        if operation_of(node, network) == "getitem" and operation_of(source, network) in CUTS:
            parts[node] = (source, node.args[1])
        if target is None:
            continue
        if target in parts:
            parts[node] = parts[target]
        later = set(nodes[i + 1 :])
        shared = [
            other
            for other in nodes[:i]
            if owner[other] is owner[target]
            and other is not target
            and not _apart(parts.get(other), parts.get(target))
            and later.intersection(other.users)
        ]
        if shared or target.op == "get_attr":
            also = shared[0].name if shared else target.name
            raise ValueError(
                f"node {node.name!r}{line_of(node)} overwrites {target.name!r}, whose memory "
                f"{also!r} shares and the network reads later; expected a tensor with no view "
                "alive. Write the statement without overwriting: x = f(x)."
            )
        if node.target is operator.setitem:
            node.target = with_item
        else:
            _write_elsewhere(node, network)
        owner[node] = owner[target]
        target.replace_all_uses_with(node, delete_user_cb=later.__contains__)
        # From here on the memory goes by the name of the node that wrote it last.
        owner = {key: node if value is owner[target] else value for key, value in owner.items()}


def _apart(one: Any, two: Any) -> bool:
    """Tell whether two are different parts of one tensor that was cut up."""
    return bool(one and two and one[0] is two[0] and one[1] != two[1])


def _write_elsewhere(node: fx.Node, network: fx.GraphModule) -> None:
    """Let a node give its result without overwriting anything: training needs what was there."""
    target: Any = node.target
    node.kwargs = {k: v for k, v in node.kwargs.items() if k not in ("inplace", "out")}
    if node.op == "call_module":
        network.get_submodule(str(target)).inplace = False  # type: ignore[assignment]
    elif node.op == "call_method":
        _as_method(node, target.rstrip("_"))
    elif target.__name__ in IN_PLACE_OPERATORS:
        node.target = getattr(operator, target.__name__[1:])
    elif target.__name__.endswith("_"):
        name = target.__name__.rstrip("_")
        node.target = getattr(F, name, None) or getattr(torch, name)
    elif isinstance(node.args[-1], bool):
        names = list(inspect.signature(target).parameters)
        if names.index("inplace") < len(node.args):
            place = names.index("inplace")
            node.args = (*node.args[:place], False, *node.args[place + 1 :])


def _as_method(node: fx.Node, name: str) -> None:
    """Let a node call the method of a name, which gives a new tensor."""
    if name == "copy":  # what is copied, in the shape of what it is copied into
        name, node.args = "expand_as", (node.args[1], node.args[0])
    if not hasattr(Tensor, name):
        raise ValueError(
            f"node {node.name!r}{line_of(node)} overwrites a tensor with {node.target!r}, which "
            "has no form that gives a new one. Write the statement as x = f(x)."
        )
    node.target = name


def compute_constants(network: fx.GraphModule) -> None:
    """Replace what is computed from parameters alone by its value."""
    constants: dict[fx.Node, Any] = {}
    for node in list(network.graph.nodes):
        if node.op == "get_attr":
            constants[node] = operator.attrgetter(str(node.target))(network)
            node.meta["trains"] = getattr(constants[node], "requires_grad", False)
        elif node.op in ("call_function", "call_method") and node.all_input_nodes:
            if not all(source in constants for source in node.all_input_nodes):
                continue
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), constants.__getitem__)
            with torch.no_grad():
                if node.op == "call_method":
                    value = getattr(args[0], str(node.target))(*args[1:], **kwargs)
                else:
                    value = node.target(*args, **kwargs)
            constants[node] = value
            node.meta["trains"] = any(source.meta["trains"] for source in node.all_input_nodes)
            if isinstance(value, Tensor):
                network.register_buffer(f"{node.name}_value", value.detach())
                with network.graph.inserting_before(node):
                    constant = network.graph.get_attr(f"{node.name}_value")
                constant.meta.update(node.meta)
                constants[constant] = value
                replace(node, constant)
            elif not isinstance(value, tuple | list):
                for user in list(node.users):
                    _put_in(user, node, value)


FILLED = {"zeros": 0.0, "new_zeros": 0.0, "zeros_like": 0.0}
FILLED |= {"ones": 1.0, "new_ones": 1.0, "ones_like": 1.0}


def expand_constants(network: fx.GraphModule) -> None:
    """Write a tensor of zeros or ones whose sizes come from shapes as one number, expanded."""
    for node in list(network.graph.nodes):
        name = operation_of(node, network)
        if name not in FILLED or node.meta.get("dtype") != torch.float32:
            continue
        network.register_buffer(f"{node.name}_value", torch.tensor(FILLED[name]))
        sizes = node.args[1:] if name.startswith("new_") else node.args
        sizes = (node.kwargs["size"],) if "size" in node.kwargs else sizes
        with node.graph.inserting_before(node):
            number = node.graph.get_attr(f"{node.name}_value")
            number.meta |= {"shape": (), "dtype": torch.float32}
            method = "expand_as" if name.endswith("_like") else "expand"
            expanded = node.graph.call_method(method, (number, *sizes))
        expanded.meta.update(node.meta)
        replace(node, expanded)


def take_values_alone(network: fx.GraphModule) -> None:
    """Write ``x.max(dim)[0]``, whose places nobody reads, as ``x.amax(dim)``; `min` likewise."""
    for node in list(network.graph.nodes):
        name = operation_of(node, network)
        dim = argument(node, 1, "dim")
        if name not in ("max", "min") or dim is None or not all(map(_is_value, node.users)):
            continue
        source = argument(node, 0, "input")
        with node.graph.inserting_before(node):
            arguments = (source, dim, bool(argument(node, 2, "keepdim", False)))
            values = node.graph.call_method(f"a{name}", arguments)
        values.meta["line"] = node.meta.get("line", "")
        for user in list(node.users):
            values.meta.update(user.meta)
            replace(user, values)
        node.graph.erase_node(node)


def _is_value(user: fx.Node) -> bool:
    """Tell whether a node takes the first of two results, the values."""
    if user.target is getattr:
        return user.args[1] == "values"
    return user.target is operator.getitem and user.args[1:] == (0,)


def _put_in(user: fx.Node, node: fx.Node, value: Any) -> None:
    user.args = fx.node.map_arg(user.args, lambda n: value if n is node else n)
    user.kwargs = fx.node.map_arg(user.kwargs, lambda n: value if n is node else n)


def replace(node: fx.Node, other: Any) -> None:
    """Let all users of a node use another one, and remove it."""
    node.replace_all_uses_with(other)
    node.graph.erase_node(node)


def tidied(network: fx.GraphModule) -> fx.GraphModule:
    """Remove what no result needs, and return the network."""
    network.graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))
    network.delete_all_unused_submodules()
    network.recompile()
    return network
