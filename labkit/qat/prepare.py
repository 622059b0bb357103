"""Putting quantizers into a network, at the points where its integer version rounds."""

import copy
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from labkit.ptq.convert import with_ends
from labkit.ptq.graph import fold_batchnorm, layer_of, replace
from labkit.ptq.in_training import is_in_training
from labkit.ptq.steps import COMPUTING, Planner
from labkit.qat.norms import fix_norms
from labkit.qat.quantizers import LSQ, Binary, Quantizer
from labkit.qat.straight_through import fake_quantize
from labkit.qparams import Scheme
from labkit.validation import instance_of

__all__ = ["BINARY", "activation_quantizers", "prepare", "weight_quantizers"]

BINARY = "binary"
"""In place of a weight scheme: one bit a weight."""

MakeQuantizer = Callable[[Scheme, int | None], Quantizer]
INT32 = torch.iinfo(torch.int32)
OUT_OF_PLACE = {torch.relu_: torch.relu, F.relu_: F.relu, operator.iadd: operator.add}
MAYBE_IN_PLACE = (F.relu, F.relu6)


def prepare(
    model: nn.Module,
    weight_scheme: Scheme | str,
    activation_scheme: Scheme,
    quantizer: MakeQuantizer = LSQ,
    end_bits: int | None = 8,
    example: Sequence[Tensor] | None = None,
    islands: bool = False,
) -> fx.GraphModule:
    """Return a copy of a network that computes with fake-quantized weights and activations.

    Batch normalization is folded first (where no layer is left for it, its statistics stay as
    well), and everything that the integer network rounds is rounded:
    the input, the weights of each convolution and linear layer (one scale for each output channel),
    its bias (to steps of S_x S_w), and each tensor that is computed, after the residual and the
    ReLU that are computed with it. What the network does in training mode only (dropout, stochastic
    depth: a function that is told ``training=self.training``, or a module that gives its input in
    eval mode) stays where it is; what stands in an ``if self.training`` outside of such a module is
    not seen.

    Parameters
    ----------
    model : nn.Module
        Trained, and in eval mode; it stays as it is. What is frozen in it (``requires_grad``) stays
        frozen, with the scale of its weights; a layer that is used twice has one quantizer.
    weight_scheme : Scheme or "binary"
        The integers of the weights.
    activation_scheme : Scheme
        The integers of the activations.
    quantizer : callable
        ``quantizer(scheme, axis)`` makes a quantizer: `LSQ` or `FakeQuantize`.
    end_bits : int, optional
        At least so many bits at both ends of the network: for the input, the result, and the
        weights of the first and of the last layer, which are few and matter most. None: as
        everywhere else.
    example : sequence of Tensor, optional
        Inputs, one tensor for each, of whose shapes the forward may make its branches and loops;
        needed where what a tensor's dimensions are tells what an operation does.
    islands : bool
        Let what integers cannot compute here run on real numbers, unrounded, as in
        `labkit.ptq.quantize_model`; what it takes and gives is rounded where integers are.

    Returns
    -------
    fx.GraphModule
        In training mode. The activations' quantizers start with the first batch that it sees.

    Raises
    ------
    TypeError, ValueError
        If a scheme is none, or `labkit.ptq.quantize_model` could not quantize the model.

    Notes
    -----
    Jacob et al. 2018, section 3. Both ends at 8 bits: Esser et al. 2020 (arXiv:1902.08153),
    section 3. Weights and frozen normalization that are trained apart, and folded in every step,
    reach the same accuracy (``tests/benchmarks/qat.md``), so the simpler way is taken.
    """
    instance_of(activation_scheme, Scheme, "activation_scheme", "Scheme(4, signed=False)")
    if weight_scheme != BINARY:
        instance_of(weight_scheme, Scheme, "weight_scheme", "Scheme(4, symmetric=True)")
    network = fold_batchnorm(model, example, for_training=True)
    _out_of_place(network)
    fix_norms(network)
    planner = Planner(layers_alone(network), islands)
    plan = planner.plan()
    steps = plan.steps
    real = _real(network, {node.name for node in planner.real})
    tensors = [*plan.inputs, *(step.name for step in steps if step.kind in COMPUTING)]
    schemes = with_ends(activation_scheme, len(tensors), end_bits)
    grids = {name: quantizer(s, None) for name, s in zip(tensors, schemes, strict=True)}
    nodes = {node.name: node for node in network.graph.nodes}
    for name, activation in grids.items():
        _insert_after(nodes[name], activation, network, real)
    for step in steps:
        if step.inputs and step.inputs[0] in grids:  # else it is a constant, or real
            grids.setdefault(step.name, grids[step.inputs[0]])
    inputs: dict[str, list[Quantizer]] = {}  # of each layer, in each place where it is used
    for step in steps:
        if step.layer is not None:
            inputs.setdefault(step.layer, []).append(grids[step.inputs[0]])
    weights = _weight_quantizers(weight_scheme, len(inputs), end_bits, quantizer)
    for (path, x_quantizers), weight in zip(inputs.items(), weights, strict=True):
        layer = network.get_submodule(path)
        trained = _trained(path, layer, model)
        parametrize.register_parametrization(layer, "weight", weight)
        # A bias that is used in several places has no steps of its own.
        if layer.bias is not None and len(set(x_quantizers)) == 1:
            rounding = BiasRounding(x_quantizers[0], weight)
            parametrize.register_parametrization(layer, "bias", rounding)
        for name, trains in trained.items():
            for parameter in _parameters(layer, name):
                parameter.requires_grad_(trains)
    network.recompile()
    return network.train()


def layers_alone(network: fx.GraphModule) -> fx.GraphModule:
    """Return what integers compute of a network: no quantizers, and nothing for training only.

    The layers are shared, not copied.
    """
    plain = fx.GraphModule(network, copy.deepcopy(network.graph))
    for node in list(plain.graph.nodes):
        if isinstance(layer_of(node, plain), Quantizer) or is_in_training(node, plain):
            replace(node, node.all_input_nodes[0])
    plain.recompile()
    return plain


def _trained(path: str, layer: nn.Module, model: nn.Module) -> dict[str, bool]:
    """Tell which parameters of a folded layer train: those that do in the network it comes from.

    A bias that came from folding trains as the weights do. The scale of frozen weights is frozen.
    """
    try:
        origin = model.get_submodule(path)
    except AttributeError:  # a function on bare parameters
        origin = layer
    own: Any = getattr(origin, "weight", layer.weight)
    bias: Tensor | None = getattr(origin, "bias", None)
    return {
        "weight": own.requires_grad,
        "bias": own.requires_grad if bias is None else bias.requires_grad,
    }


def _parameters(layer: nn.Module, name: str) -> list[nn.Parameter]:
    """Return a parameter of a layer, with what its quantizer learns."""
    if parametrize.is_parametrized(layer, name):
        return list(layer.get_submodule(f"parametrizations.{name}").parameters())
    return [value for key, value in layer.named_parameters(recurse=False) if key == name]


def _out_of_place(network: fx.GraphModule) -> None:
    """Let nothing overwrite what a gradient needs; no node reads an overwritten tensor any more."""
    for module in network.modules():
        if getattr(module, "inplace", False):
            setattr(module, "inplace", False)  # noqa: B010 (a Module declares no such attribute)
    for node in network.graph.nodes:
        plain = str(getattr(node.target, "__name__", node.target)).removesuffix("_")
        if node.op == "call_method" and node.target in (f"{plain}_",) and hasattr(Tensor, plain):
            node.target = plain
        elif node.op == "call_function" and node.target in OUT_OF_PLACE:
            node.target = OUT_OF_PLACE[node.target]
        if node.op == "call_function" and node.target in MAYBE_IN_PLACE:
            node.args = node.args[:1] or node.args
            node.kwargs = {k: v for k, v in node.kwargs.items() if k != "inplace"}
    network.recompile()


class BiasRounding(nn.Module):
    """Round a bias to the steps of the accumulator, ``S_x S_w``, straight-through backward.

    An integer layer adds it there, as an int32.

    Parameters
    ----------
    x_quantizer, w_quantizer : Quantizer
        Of the layer's input and of its weights.
    """

    def __init__(self, x_quantizer: Quantizer, w_quantizer: Quantizer) -> None:
        super().__init__()
        # In a tuple, so that they are not registered as parts of this module as well.
        self._quantizers = (x_quantizer, w_quantizer)

    def forward(self, bias: Tensor) -> Tensor:
        """Return the bias as the integer layer adds it; as it is before the first batch."""
        x_quantizer, w_quantizer = self._quantizers
        if not x_quantizer.started:
            return bias
        step = (x_quantizer.step() * w_quantizer.step()).detach()
        return fake_quantize(bias, step, torch.tensor(0), INT32.min, INT32.max)


def activation_quantizers(network: fx.GraphModule) -> dict[str, Quantizer]:
    """Return the quantizers of a prepared network's tensors, by the name of the tensor."""
    found = {}
    for node in network.graph.nodes:
        layer = layer_of(node, network)
        if isinstance(layer, Quantizer):
            found[node.args[0].name] = layer
    return found


def weight_quantizers(network: fx.GraphModule) -> dict[str, Quantizer]:
    """Return the quantizers of a prepared network's weights, by the name of the layer."""
    found = {}
    for name, layer in network.named_modules():
        if parametrize.is_parametrized(layer, "weight"):
            *_, quantizer = layer.get_submodule("parametrizations.weight").children()
            if isinstance(quantizer, Quantizer):
                found[name] = quantizer
    return found


def _weight_quantizers(
    scheme: Scheme | str, number: int, end_bits: int | None, quantizer: MakeQuantizer
) -> list[Quantizer]:
    """Return a quantizer for each of `number` layers."""
    if isinstance(scheme, Scheme):
        return [quantizer(s, 0) for s in with_ends(scheme, number, end_bits)]
    ends = () if end_bits is None else (0, number - 1)
    last = Scheme(end_bits or 8, symmetric=True, narrow=True)
    return [quantizer(last, 0) if i in ends else Binary() for i in range(number)]


def _real(network: fx.GraphModule, names: set[str]) -> set[fx.Node]:
    """Return the nodes on real numbers: by their names, and what works on them in training only."""
    real = {node for node in network.graph.nodes if node.name in names}
    for node in reversed(network.graph.nodes):
        if is_in_training(node, network) and real.issuperset(node.users):
            real.add(node)
    return real


def _insert_after(
    node: fx.Node, quantizer: Quantizer, network: fx.GraphModule, real: set[fx.Node]
) -> None:
    name = f"{node.name}_quantizer"
    network.add_module(name, quantizer)
    with network.graph.inserting_after(node):
        quantized = network.graph.call_module(name, (node,))
    is_real = node in real or node.op == "get_attr"  # and read as it is by other real numbers

    def reads_codes(user: fx.Node) -> bool:
        return not (user is quantized or (is_real and (user in real or user.op == "output")))

    node.replace_all_uses_with(quantized, delete_user_cb=reads_codes)
