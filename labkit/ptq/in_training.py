"""What a network does in training mode only: dropout, stochastic depth, noise.

A quantized network has none of it. Quantization-aware training needs it where it was.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, fx, nn

from labkit.ptq.calls import DROPOUTS, operation_of


class EvalMode(int):
    """What ``self.training`` is while a network is traced: false, but no False that is written."""

    def __repr__(self) -> str:
        return "False"


class InTraining(nn.Module):
    """What is done in training mode only; in eval mode it gives its input.

    Parameters
    ----------
    layer : callable
        What is done: a module, or a function that has its other arguments.
    """

    def __init__(self, layer: Callable[..., Tensor]) -> None:
        super().__init__()
        self.layer = layer
        self.eval()

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the layer in training mode."""
        return self.layer(x, *args, **kwargs) if self.training else x


def is_in_training(node: fx.Node, network: fx.GraphModule) -> bool:
    """Tell whether a node calls a module that does something in training mode only."""
    if node.op != "call_module":
        return False
    layer = network.get_submodule(str(node.target))
    return isinstance(layer, InTraining) or operation_of(node, network) in DROPOUTS


def functions_in_training(network: fx.GraphModule) -> None:
    """Let modules do what functions do that are told ``training=self.training``."""
    for node in list(network.graph.nodes):
        arguments = (node.args, node.kwargs)
        args, kwargs = _with_mode(arguments, True)
        told = (args, kwargs) != _with_mode(arguments, False)
        if not told or operation_of(node, network) not in DROPOUTS:
            node.args, node.kwargs = _with_mode(arguments, False)
            continue
        kwargs = dict(kwargs)
        source = args[0] if args else kwargs.pop("input")
        settings = {k: v for k, v in kwargs.items() if k != "inplace"}
        function: Any = node.target
        layer: Any = InTraining(_Rest(function, args[1:], settings))
        # Not that it overwrites anything: who reads the source later is to read the result.
        layer.inplace = bool(kwargs.get("inplace"))
        network.add_module(f"{node.name}_layer", layer)
        with network.graph.inserting_before(node):
            call = network.graph.call_module(f"{node.name}_layer", (source,))
        call.meta.update(node.meta)
        node.replace_all_uses_with(call)
        network.graph.erase_node(node)


class _Rest(nn.Module):
    """A function with all arguments but its first."""

    def __init__(self, function: Callable[..., Tensor], args: tuple, kwargs: dict) -> None:
        super().__init__()
        self._function, self._args, self._kwargs = function, args, kwargs

    def forward(self, x: Tensor) -> Tensor:
        """Call the function."""
        return self._function(x, *self._args, **self._kwargs)

    def extra_repr(self) -> str:
        """Show the function."""
        words = [*map(str, self._args), *(f"{k}={v}" for k, v in self._kwargs.items())]
        return f"{self._function.__name__}({', '.join(words)})"


def _with_mode(arguments: Any, mode: bool) -> Any:
    """Return arguments with a mode in place of the one that the network was traced in."""
    return fx.node.map_aggregate(arguments, lambda a: mode if isinstance(a, EvalMode) else a)
