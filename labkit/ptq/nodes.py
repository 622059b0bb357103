"""One node of a graph as a step, on integers or on real numbers."""

from typing import Any

from torch import Tensor, fx, nn

from labkit.ptq.calls import argument, measures, operation_of
from labkit.ptq.elementwise import Chain, is_logical, relu_ceiling
from labkit.ptq.functions import COMBINATIONS, MOVES, encoded, real_function
from labkit.ptq.graph import layer_of
from labkit.ptq.plan import Step
from labkit.ptq.settings import (
    ARGUMENTS,
    OPERATIONS,
    Elsewhere,
    Unsupported,
    conv_settings,
    values_of,
)

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
LAYERS = {nn.Conv1d: "conv1d", nn.Conv2d: "conv2d", nn.Linear: "linear"}
SIGNS = {"add": (1, 1), "sub": (1, -1), "rsub": (-1, 1)}
NEAREST = ("nearest", "nearest-exact")
# What joins along a dimension of its own, if the tensors have it.
STACKS = {"hstack": 1, "column_stack": 1, "vstack": 0, "row_stack": 0, "dstack": 2}
# Modules on real numbers that have a function of one tensor, and no arguments that matter.
ACTIVATIONS = ("sigmoid", "tanh", "relu", "relu6", "silu", "hardswish", "hardsigmoid", "mish")


class Maker:
    """Makes steps of nodes.

    Parameters
    ----------
    network : fx.GraphModule
    named : dict of str to fx.Node
        The nodes by name; those that are added for a module's own tensors go in, too.
    """

    def __init__(self, network: fx.GraphModule, named: dict[str, fx.Node]) -> None:
        self._network, self._named = network, named

    def step(self, node: fx.Node, chain: Chain | None) -> Step:
        """Return what a node becomes, on integers; `chain` is its function of one tensor, if any.

        Raises
        ------
        Unsupported
            If integers cannot compute it here.
        """
        network = self._network
        layer: Any = layer_of(node, network)
        for layer_type, word in LAYERS.items():
            if isinstance(layer, layer_type):
                source, own = node.all_input_nodes[0], layer_of(node, network)
                settings = conv_settings(own) if isinstance(own, CONVOLUTIONS) else {}
                return Step(node.name, word, (source.name,), settings, str(node.target))
        name = operation_of(node, network)
        if is_logical(node, network):
            raise Unsupported("it gives true or false, which is no number.")
        if chain:
            return self._function(node, chain)
        if name in ("add", "sub", "rsub", "mul"):
            return self._of_two(node, name)
        if name in ("cat", "stack", *STACKS):
            return self._joining(node, name)
        try:
            if name in OPERATIONS:
                kind, settings_of = OPERATIONS[name]
                settings = settings_of(values_of(node, network), node)
                return Step(node.name, kind, (node.all_input_nodes[0].name,), settings)
        except Elsewhere:
            pass
        if name == "pad":
            return self._padding(node)
        if name == "adaptive_max_pool2d":
            return self._largest(node)
        mode = values_of(node, network).get("mode", "nearest") if name == "interpolate" else None
        if name in COMBINATIONS and mode not in NEAREST:
            return self.called(node, "combine", name)
        if name in MOVES:
            return self.called(node, "move", name)
        if name == "batch_norm":
            raise Unsupported(
                "it normalizes each batch by its own statistics; expected running ones, "
                "track_running_stats=True."
            )
        raise Unsupported("")

    def _function(self, node: fx.Node, chain: Chain) -> Step:
        relu, ceiling = relu_ceiling(node, self._network)
        if relu and len(chain.nodes) == 1:
            return Step(node.name, "clamp", (chain.root.name,), {"relu": True, "ceiling": ceiling})
        settings: dict[str, Any] = {"chain": [n.name for n in chain.nodes]}
        if chain.axis is not None:
            settings["axis"] = chain.axis
        return Step(node.name, "table", (chain.root.name,), settings)

    def _of_two(self, node: fx.Node, name: str) -> Step:
        a, b = argument(node, 0, "input"), argument(node, 1, "other")
        if not (isinstance(a, fx.Node) and isinstance(b, fx.Node)):
            raise Unsupported("it takes something that is no tensor.")
        if any(measures(n, self._network) for n in (a, b)):
            raise Unsupported("it takes a number that depends on the size of the images.")
        if name == "mul":
            return Step(node.name, "multiply", (a.name, b.name))
        alpha = argument(node, 2, "alpha", 1)
        if not isinstance(alpha, int | float):
            raise Unsupported("its alpha is computed; expected a number.")
        first, second = SIGNS[name]
        factors = [first * alpha, second] if name == "rsub" else [first, second * alpha]
        settings = {} if factors == [1, 1] else {"factors": factors}
        return Step(node.name, "add", (a.name, b.name), settings)

    def _joining(self, node: fx.Node, name: str) -> Step:
        tensors = argument(node, 0, "tensors")
        dim = values_of(node, self._network).get("dim", 0)
        if isinstance(tensors, fx.Node):
            raise Unsupported(f"it joins the parts of {tensors.name!r}; expected tensors.")
        if name in STACKS:
            dim, name = STACKS[name], "cat"
            if any(len(tensor.meta.get("shape", ())) <= dim for tensor in tensors):
                raise Unsupported("it adds a dimension; expected torch.stack.")
        if not isinstance(dim, int):
            raise Unsupported("its dim is computed; expected a number.")
        settings = {} if (name, dim) == ("cat", 1) else {"dim": dim}
        settings |= {"stack": True} if name == "stack" else {}
        return Step(node.name, "concatenate", tuple(t.name for t in tensors), settings)

    def _padding(self, node: fx.Node) -> Step:
        values = values_of(node, self._network)
        source = node.all_input_nodes[0]
        padding, value = values["padding"], values.get("value")
        padding = [padding] * 4 if isinstance(padding, int) else list(padding)
        inputs = [source]
        settings = {"padding": encoded(padding, _places(inputs))}
        mode = values.get("mode", "constant")
        if mode != "constant":
            settings = {
                "function": "pad",
                "arguments": [{"input": 0}, settings["padding"], mode],
            }
            return Step(node.name, "move", tuple(n.name for n in inputs), settings)
        if not isinstance(value, int | float | None):
            raise Unsupported("its value is computed; expected a number.")
        settings |= {"value": encoded(float(value), _places(inputs))} if value else {}
        return Step(node.name, "pad", tuple(n.name for n in inputs), settings)

    def _largest(self, node: fx.Node) -> Step:
        if values_of(node, self._network)["output_size"] not in (1, (1, 1), [1, 1]):
            raise Unsupported("it pools to more than one pixel; expected 1, or a MaxPool2d.")
        settings = {"function": "amax", "arguments": [{"input": 0}, [-2, -1], True]}
        return Step(node.name, "move", (node.all_input_nodes[0].name,), settings)

    def called(self, node: fx.Node, kind: str, name: str) -> Step:
        """Return a step that calls a function by its name."""
        inputs: list[fx.Node] = []
        refer = _places(inputs)
        args, kwargs = self._arguments(node, name)
        try:
            settings = {"function": name, "arguments": encoded(args, refer)}
            if kwargs:
                settings["keywords"] = {k: encoded(v, refer) for k, v in kwargs.items()}
        except ValueError as error:
            raise Unsupported(str(error)) from None
        return Step(node.name, kind, tuple(n.name for n in inputs), settings)

    def _arguments(self, node: fx.Node, name: str) -> tuple[list[Any], dict[str, Any]]:
        if node.op == "call_module":
            values = values_of(node, self._network)
            tensors = {k: v for k, v in values.items() if isinstance(v, Tensor)}
            values |= {k: self._attribute(node, k) for k in tensors}
            return [*node.args], {k: v for k, v in values.items() if v is not None}
        args, kwargs = list(node.args), dict(node.kwargs)
        if node.target is getattr:
            args = args[:1]
        if not args and "input" in kwargs:
            args = [kwargs.pop("input")]
        for word in ("inplace", "_stacklevel", "out"):
            kwargs.pop(word, None)
        return args, kwargs

    def _attribute(self, node: fx.Node, name: str) -> fx.Node:
        """Return a module's own tensor as a node."""
        target = f"{node.target}.{name}"
        for other in self._network.graph.nodes:
            if other.op == "get_attr" and other.target == target:
                return other
        with self._network.graph.inserting_before(node):
            made = self._network.graph.get_attr(target)
        self._named[made.name] = made
        return made

    def real_step(self, node: fx.Node) -> Step:
        """Return what a node becomes, on real numbers."""
        name = operation_of(node, self._network)
        if node.op == "call_module" and name not in ARGUMENTS and name not in ACTIVATIONS:
            raise Unsupported("it has no form on real numbers here either.")
        if node.op == "call_module" and name == "batch_norm":
            raise Unsupported("")
        layer: Any = layer_of(node, self._network)
        if name == "instance_norm" and getattr(layer, "track_running_stats", False):
            raise Unsupported("it has running statistics; expected those of each image.")
        if not name:
            raise Unsupported("it is a function that is not torch's.")
        real_function(name)
        return self.called(node, "real", name)


def _places(inputs: list[fx.Node]) -> Any:
    """Return what gives each node its place among a step's inputs."""

    def refer(node: fx.Node) -> int:
        if node not in inputs:
            inputs.append(node)
        return inputs.index(node)

    return refer
