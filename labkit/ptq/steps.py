"""From a graph to steps: what each node becomes, what is joined, and what stays real."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from torch import fx

from labkit.ptq.calls import check_paths, inside, measures, operation_of
from labkit.ptq.elementwise import Chain, chain_of, is_logical
from labkit.ptq.functions import NUMBERS
from labkit.ptq.graph import layer_of
from labkit.ptq.nodes import LAYERS, Maker
from labkit.ptq.plan import (
    COMPUTING,
    KEEPING,
    SUPPORTED,
    WEIGHTED,
    Plan,
    Step,
    described,
    output_names,
)
from labkit.ptq.settings import Unsupported
from labkit.ptq.tracing import line_of

__all__ = ["COMPUTING", "SUPPORTED", "WEIGHTED", "Planner", "Step", "lower", "plan_of"]

# What can take a ReLU along, and round once.
WITH_RELU = ("conv1d", "conv2d", "linear", "add", "multiply")


def lower(
    network: fx.GraphModule, islands: bool = False, skip: Collection[str] = ()
) -> tuple[Any, list[Step]]:
    """Write a folded network as steps.

    Parameters
    ----------
    network : fx.GraphModule
        As `fold_batchnorm` returns it.
    islands : bool
        What integers cannot compute here runs on real numbers, between steps "dequantize" and
        "quantize".
    skip : collection of str
        Modules, by their paths, that run on real numbers though integers could compute them.

    Returns
    -------
    input_name : str
        The tensor of the images; of several inputs, a tuple.
    steps : list of Step
        In the order in which they run.

    Raises
    ------
    ValueError
        If the network has a node that integers cannot compute here; the message names it and what
        is supported. What only the results need, such as a softmax at the end, runs on real
        numbers in any case.
    """
    plan = plan_of(network, islands, skip)
    return plan.inputs[0] if len(plan.inputs) == 1 else plan.inputs, plan.steps


def plan_of(network: fx.GraphModule, islands: bool = False, skip: Collection[str] = ()) -> Plan:
    """Write a folded network as steps, with its inputs and results; as `lower`."""
    return Planner(network, islands, skip).plan()


class Planner:
    """Finds out what each node of a folded network becomes.

    Attributes
    ----------
    refused : dict of fx.Node to str
        Why integers cannot compute a node.
    real : set of fx.Node
        What runs on real numbers.
    """

    def __init__(
        self, network: fx.GraphModule, islands: bool = False, skip: Collection[str] = ()
    ) -> None:
        self._network, self._islands = network, islands
        self._nodes = [node for node in network.graph.nodes if node.op.startswith("call_")]
        self._named = {node.name: node for node in network.graph.nodes}
        self._maker = Maker(network, self._named)
        self._chains: dict[fx.Node, Chain] = {}
        self._steps: dict[str, Step] = {}
        self.refused: dict[fx.Node, str] = {}
        self.real: set[fx.Node] = set()
        self._inner: set[fx.Node] = set()  # what gives true or false, within functions
        self._skipped = {n for n in self._nodes if inside(n, skip)}
        check_paths(skip, self._nodes)
        self._find_refused()
        self._before_layers = self._leading_to_layers()

    def plan(self) -> Plan:
        """Return the plan, or refuse the first node that cannot be computed."""
        inputs = [n for n in self._network.graph.nodes if n.op == "placeholder"]
        for node in self.refused:
            if not (self._islands or self.only_for_results(node)):
                self._refuse(node)
        self.find_real()
        for node in self._nodes:
            self._add(node)
        (output,) = (n for n in self._network.graph.nodes if n.op == "output")
        steps, outputs = self._finished(output.args[0])
        if not steps and not self.real:
            raise ValueError("the network returns its input; expected at least one operation.")
        if not any(step.kind in (*COMPUTING[:-2], *KEEPING) for step in steps):
            self._refuse(next(iter(self.refused or self.real)))
        return Plan(tuple(node.name for node in inputs), steps, outputs)

    def only_for_results(self, node: fx.Node) -> bool:
        """Tell whether a node is no layer with weights, and none needs it."""
        return node not in self._before_layers and not self._is_layer(node)

    def _refuse(self, node: fx.Node) -> None:
        layer: Any = layer_of(node, self._network)
        what = type(layer).__name__ if layer is not None else operation_of(node, self._network)
        what = what or getattr(node.target, "__name__", str(node.target))
        reason = self.refused.get(node, "").rstrip(".")
        raise ValueError(
            f"cannot quantize node {node.name!r} ({what}){line_of(node)}"
            f"{': ' + reason if reason else ''}; supported are {SUPPORTED}. Let it run on real "
            "numbers with islands=True (or skip=, by its module) where that is offered, replace it "
            "in the network, or use weight_only, which leaves everything but the weights as it is."
        )

    def _find_refused(self) -> None:
        for node in self._nodes:
            if measures(node, self._network):
                continue
            chain = chain_of(node, self._network, self._chains)
            if chain:
                self._chains[node] = chain
            try:
                self._maker.step(node, self._chains.get(node))
            except Unsupported as error:
                self.refused[node] = str(error)
        for node in reversed(self._nodes):
            if is_logical(node, self._network) and self._is_within(node):
                self.refused.pop(node, None)
                self._inner.add(node)
        self._chains.clear()

    def _is_within(self, node: fx.Node) -> bool:
        """Tell whether a node is nothing but a part of functions of one tensor."""
        chains = [self._chains.get(user) for user in node.users if user not in self.refused]
        return len(chains) == len(node.users) and all(c and node in c.nodes for c in chains)

    def _leading_to_layers(self) -> set[fx.Node]:
        """Return the nodes whose results a layer with weights needs."""
        found: set[fx.Node] = set()
        for node in reversed(self._nodes):
            for user in node.users:
                if user in found or self._is_layer(user):
                    found.add(node)
        return found

    def _is_layer(self, node: fx.Node) -> bool:
        return node not in self._skipped and isinstance(
            layer_of(node, self._network), tuple(LAYERS)
        )

    def find_real(self) -> None:
        """Find what runs on real numbers: what must, what only follows it, what lies between."""
        network, real = self._network, self.real
        for node in self._nodes:
            if measures(node, network):
                continue
            follows = self.only_for_results(node) and real.intersection(node.all_input_nodes)
            if node in self._skipped or node in self.refused or follows:
                self._check_real(node)
                real.add(node)
        between: set[fx.Node] = set()
        for node in self._nodes:
            sources = [s for s in node.all_input_nodes if not measures(s, network)]
            follow = sources and all(s in real | between or s.op == "get_attr" for s in sources)
            free = not (self._is_layer(node) or node in real or measures(node, network))
            if follow and free and self._can_be_real(node):
                between.add(node)
        for node in reversed(self._nodes):
            if node in between and real.intersection(node.users):
                real.add(node)

    def _can_be_real(self, node: fx.Node) -> bool:
        try:
            self._maker.real_step(node)
        except (Unsupported, ValueError):
            return False
        return True

    def _check_real(self, node: fx.Node) -> None:
        try:
            self._maker.real_step(node)
        except (Unsupported, ValueError) as error:
            self.refused[node] = f"{self.refused.get(node, '')} {error}".strip()
            self._refuse(node)

    def _add(self, node: fx.Node) -> None:
        network = self._network
        if measures(node, network):
            if operation_of(node, network) not in NUMBERS:
                self._refuse(node)
            self._put(self._maker.called(node, "number", operation_of(node, network)))
        elif node in self.real:
            step = self._maker.real_step(node)
            self._put(replace(step, name=f"{node.name}.real"))
        else:
            chain = chain_of(node, network, self._chains)
            if chain and not any(n in self.real for n in chain.nodes):
                self._chains[node] = chain
            if node in self._inner:
                return
            try:
                made = self._maker.step(node, self._chains.get(node))
            except Unsupported as error:  # what was one function is joined to a layer in part
                self.refused[node] = str(error)
                self._refuse(node)
            joined, step = self._joined(node, made)
            if joined:
                self._chains.pop(node, None)
            self._put(replace(step, name=node.name))

    def _put(self, step: Step) -> None:
        self._steps[step.name] = step

    def _joined(self, node: fx.Node, step: Step) -> tuple[bool, Step]:
        """Join a ReLU or an addition to the step before it, if nothing else needs its result."""
        network = self._network
        for source in node.all_input_nodes:
            before = self._steps.get(source.name)
            users = [user for user in source.users if not measures(user, network)]
            if before is None or len(users) > 1 or before.settings.get("relu"):
                continue
            if step.kind == "clamp" and before.kind in WITH_RELU:
                del self._steps[source.name]
                return True, replace(before, settings={**before.settings, **step.settings})
            plain = step.kind == "add" and not step.settings and before.kind == "conv2d"
            if plain and len(before.inputs) == 1 and source.name in step.inputs:
                other = step.inputs[1 - step.inputs.index(source.name)]
                if other != source.name and self._fits(node, source, self._named[other]):
                    del self._steps[source.name]
                    return True, replace(before, inputs=(*before.inputs, other))
        return False, step

    def _fits(self, node: fx.Node, source: fx.Node, other: fx.Node) -> bool:
        """Tell whether a convolution's result has the shape of the sum, and so has the other."""
        if other.op == "get_attr":
            return False
        shapes = [n.meta.get("shape") for n in (node, source, other)]
        return None in shapes or shapes[0] == shapes[1] == shapes[2]

    def _finished(self, result: Any) -> tuple[list[Step], Any]:
        """Return the steps that the results need, with what lies between codes and real numbers."""
        final: dict[str, Step] = {}
        for step in self._steps.values():
            wants = {"real": "real", "number": "any"}.get(step.kind, "codes")
            inputs = tuple(self._input(final, name, wants) for name in step.inputs)
            final[step.name] = replace(step, inputs=inputs)

        outputs = described(result, lambda node: self._input(final, node.name, "any"))
        needed = set(output_names(outputs))
        for step in reversed(final.values()):
            if step.name in needed:
                needed.update(step.inputs)
        return [step for step in final.values() if step.name in needed], outputs

    def _input(self, final: dict[str, Step], name: str, wants: str) -> str:
        """Return the name of a value as codes or as real numbers, after adding how to get it."""
        node, real = self._named[name], f"{name}.real"
        if measures(node, self._network):
            return name
        if node.op == "get_attr":
            value: Any = self._network
            for part in str(node.target).split("."):
                value = getattr(value, part)
            if wants == "codes" and value.is_floating_point():
                final.setdefault(name, Step(name, "constant"))
                return name
            final.setdefault(real, Step(real, "parameter"))
            return real
        if wants == "any":
            return real if node in self.real else name
        if wants == "real":
            if node not in self.real:
                final.setdefault(real, Step(real, "dequantize", (name,)))
            return real
        if node in self.real:
            final.setdefault(name, Step(name, "quantize", (real,)))
        return name
