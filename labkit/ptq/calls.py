"""What a node of a graph asks for, by one name: a function, a method and a module alike.

``F.hardswish(x)``, ``nn.Hardswish()(x)``, ``x.clamp_(0, 6)`` and ``torch.clip(x, 0, 6)`` differ in
spelling only; here they are "hardswish" and "clamp".
"""

import inspect
import operator
from collections.abc import Collection, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn


def words(text: str) -> list[str]:
    """Return the words of a text, for lists of names that stay readable."""
    return text.split()


ALIASES = {
    "view": "reshape",
    "concat": "cat",
    "concatenate": "cat",
    "truediv": "div",
    "divide": "div",
    "true_divide": "div",
    "multiply": "mul",
    "subtract": "sub",
    "rsub": "rsub",
    "clip": "clamp",
    "negative": "neg",
    "swapaxes": "transpose",
    "swapdims": "transpose",
    "moveaxis": "movedim",
    "absolute": "abs",
    "floor_divide": "floordiv",
    "upsample": "interpolate",
    "sync_batch_norm": "batch_norm",
    "_threshold": "threshold",
}
# Modules whose names are not those of their functions, but for underscores.
MODULES = {
    "batchnorm1d": "batch_norm",
    "batchnorm2d": "batch_norm",
    "batchnorm3d": "batch_norm",
    "syncbatchnorm": "batch_norm",
    "zeropad1d": "pad",
    "zeropad2d": "pad",
    "constantpad1d": "pad",
    "constantpad2d": "pad",
    "reflectionpad1d": "pad",
    "reflectionpad2d": "pad",
    "replicationpad1d": "pad",
    "replicationpad2d": "pad",
    "upsamplingnearest2d": "interpolate",
    "softmax2d": "softmax",
    "circularpad1d": "pad",
    "circularpad2d": "pad",
    "upsamplingbilinear2d": "interpolate",
    "unfold": "patches",
    "instancenorm1d": "instance_norm",
    "instancenorm2d": "instance_norm",
}
# The functions of `torch` that modules stand for, as they are written there.
WORDS = words(
    "adaptive_avg_pool adaptive_max_pool avg_pool batch_norm channel_shuffle "
    "conv_transpose cosine_similarity feature_alpha_dropout alpha_dropout group_norm "
    "instance_norm layer_norm leaky_relu log_softmax max_pool pixel_shuffle "
    "pixel_unshuffle rms_norm"
)
# What may give a second view of the memory of its first argument.
VIEWS = frozenset(
    words(
        "reshape flatten unflatten permute transpose t squeeze unsqueeze expand expand_as "
        "view_as reshape_as chunk split tensor_split getitem unbind narrow select movedim "
        "diagonal detach contiguous to float type_as T mT H data identity"
    )
)
# What gives parts that share nothing.
CUTS = ("chunk", "split", "tensor_split", "unbind")
PATCHES = "patches"  # of an image, as columns
# What is something else with a tensor as the second argument.
LARGER = {"max": "maximum", "min": "minimum"}
DROPOUTS = frozenset(
    words("dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout")
)
# What does nothing to the real numbers of a network in eval mode.
IDLE = frozenset(words("identity contiguous detach clone cpu float data requires_grad"))
IN_PLACE_OPERATORS = frozenset(("iadd", "isub", "imul", "itruediv", "ifloordiv", "ipow", "imod"))
NUMBERS = ("size", "dim", "numel", "ndimension", "shape", "ndim", "len")


def operation_of(node: Any, network: fx.GraphModule) -> str:
    """Return the name of what a node asks for; "" if it is no call of something of torch's."""
    if not isinstance(node, fx.Node):
        return ""
    if node.op == "call_module":
        return _module_name(network.get_submodule(str(node.target)))
    if node.op == "call_method":
        name = str(node.target)
    elif node.target is F.unfold:
        name = PATCHES  # `Tensor.unfold` is something else
    elif node.op == "call_function":
        name = _function_name(node)
    else:
        return ""
    name = name if name.startswith("__") else name.rstrip("_")
    if name in LARGER and is_tensor(argument(node, 1, "other")):
        return LARGER[name]
    return ALIASES.get(name, name)


def _function_name(node: fx.Node) -> str:
    target: Any = node.target
    if target is getattr:
        return str(node.args[1])
    module = (getattr(target, "__module__", "") or "").split(".")[0]
    if module not in ("torch", "_operator", "builtins", "math", "labkit", ""):
        return ""  # a function of the user's own, whatever its name
    name = getattr(target, "__name__", "")
    return name[1:] if name in IN_PLACE_OPERATORS else name


def _module_name(module: nn.Module) -> str:
    kind = next((k for k in type(module).__mro__ if k.__module__.startswith("torch.")), nn.Module)
    if kind.__module__.startswith("torch.nn.utils"):
        kind = kind.__mro__[1]
    name = kind.__name__.lower()
    if name in MODULES:
        return MODULES[name]
    for word in WORDS:
        flat = word.replace("_", "")
        if name.startswith(flat):
            name = word + name[len(flat) :]
            break
    return ALIASES.get(name, name)


def argument(node: fx.Node, position: int, name: str, default: Any = None) -> Any:
    """Return an argument of a call, wherever it was given."""
    if len(node.args) > position:
        return node.args[position]
    return node.kwargs.get(name, default)


def measures(node: Any, network: fx.GraphModule) -> bool:
    """Tell whether a node is a number or several, computed from shapes alone."""
    if not isinstance(node, fx.Node) or node.op not in ("call_method", "call_function"):
        return False
    if operation_of(node, network) in NUMBERS:
        return True
    if node.op == "call_method" or not node.all_input_nodes:
        return False
    module = getattr(node.target, "__module__", "")
    return module in ("_operator", "math", "builtins") and all(
        measures(source, network) for source in node.all_input_nodes
    )


def overwritten_by(node: fx.Node, network: fx.GraphModule) -> fx.Node | None:
    """Return the tensor that a node writes its result over, if it does."""
    target: Any = node.target
    first = node.args[0] if node.args else node.kwargs.get("input")
    written: Any = None
    if node.op == "call_module":
        written = first if getattr(network.get_submodule(str(target)), "inplace", False) else None
    elif node.op == "call_method":
        written = first if target.endswith("_") and not target.startswith("__") else None
    elif node.op == "call_function":
        name = getattr(target, "__name__", "")
        if "out" in node.kwargs:
            written = node.kwargs["out"]
        elif (
            name in IN_PLACE_OPERATORS
            or target is operator.setitem
            or _says_in_place(node)
            or (name.endswith("_") and not name.startswith("_"))
        ):
            written = first
    return written if isinstance(written, fx.Node) and not measures(written, network) else None


def _says_in_place(node: fx.Node) -> bool:
    if "inplace" in node.kwargs:
        return bool(node.kwargs["inplace"])
    try:
        parameters = list(inspect.signature(node.target).parameters)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # a builtin, which tells nothing and has no such argument
        return False
    if "inplace" not in parameters or parameters.index("inplace") >= len(node.args):
        return False
    return bool(node.args[parameters.index("inplace")])


def does_nothing(node: fx.Node, network: fx.GraphModule) -> bool:
    """Tell whether a node gives its first argument, in eval mode and in real numbers."""
    name = operation_of(node, network)
    if not node.all_input_nodes:
        return False
    if name in DROPOUTS:
        if node.op == "call_module":
            return True
        return not argument(node, 2, "training", node.target is not torch.dropout)
    if not node.all_input_nodes[0].meta.get("dtype", torch.float32).is_floating_point:
        return name in IDLE and name != "float"
    if name in ("to", "type"):
        wanted = [*node.args[1:], *node.kwargs.values()]
        return all(isinstance(w, torch.device | str | bool) or w == torch.float32 for w in wanted)
    if name in ("add", "sub"):
        return _neutral(node, 0) and (name == "add" or isinstance(node.args[0], fx.Node))
    if name in ("mul", "div"):
        return _neutral(node, 1) and (name == "mul" or isinstance(node.args[0], fx.Node))
    return name in IDLE and (node.op != "call_function" or node.target is not float)


def _neutral(node: fx.Node, value: int) -> bool:
    numbers = [a for a in node.args if isinstance(a, int | float)]
    return len(node.args) == 2 and not node.kwargs and numbers == [value]


def is_tensor(value: Any) -> bool:
    """Tell whether an argument is no plain number, nor nothing."""
    return isinstance(value, fx.Node | Tensor)


def is_constant(value: Any) -> bool:
    """Tell whether an argument is a number, or a parameter or buffer of the network."""
    return (isinstance(value, fx.Node) and value.op == "get_attr") or isinstance(
        value, int | float | Tensor
    )


def inside(node: fx.Node, paths: Iterable[str]) -> bool:
    """Tell whether a node belongs to one of some modules."""
    return any(
        path == wanted or path.startswith(f"{wanted}.")
        for path in paths_of(node)
        for wanted in paths
    )


def paths_of(node: fx.Node) -> list[str]:
    """Return the paths of the modules that a node stands in, and of the one that it calls."""
    stack = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
    return stack + ([str(node.target)] if node.op == "call_module" else [])


def check_paths(skip: Collection[str], nodes: Iterable[fx.Node]) -> None:
    """Refuse a module to be skipped that none of a network's operations belongs to.

    Raises
    ------
    TypeError, ValueError
        If there is one.
    """
    if isinstance(skip, str):
        raise TypeError(f"skip is {skip!r}; expected a list of paths, [{skip!r}].")
    nodes = list(nodes)
    for path in skip:
        if not any(inside(node, [path]) for node in nodes):
            known = dict.fromkeys(p for node in nodes for p in paths_of(node) if p)
            raise ValueError(
                f"skip names {path!r}, which computes nothing here (no such module, or one that is "
                f"folded into another); expected some of {', '.join(known)}."
            )
