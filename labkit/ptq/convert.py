"""From a trained float network to its integer network: fold, calibrate, quantize, convert."""

import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from labkit.calibration import Observer
from labkit.linear import quantize
from labkit.progress_bar import progress_bar
from labkit.ptq.batches import check_runs, check_same, input_names, with_first
from labkit.ptq.correction import correct_biases
from labkit.ptq.elementwise import table_of
from labkit.ptq.equalization import equalize
from labkit.ptq.given import given
from labkit.ptq.graph import fold_batchnorm, weighted_layer
from labkit.ptq.network import QuantizedModel
from labkit.ptq.observing import OBSERVERS, choose_grids, observe_tensors, observer_named
from labkit.ptq.padding import check_padding, widened_for_padding
from labkit.ptq.plan import COMPUTING, KEEPING, Step, Weights
from labkit.ptq.steps import plan_of
from labkit.ptq.weights import weight_qparams
from labkit.qparams import QParams, Scheme
from labkit.validation import instance_of

__all__ = ["OBSERVERS", "convert", "observe_tensors", "observer_named", "quantize_model"]

WEIGHT_SCHEME = Scheme(8, symmetric=True, narrow=True)
ACTIVATION_SCHEME = Scheme(8, signed=False)
# With weights of 8 bits no sum of two products leaves int16: 2 * 127 * 127 < 2^15.
FAST_SCHEME = Scheme(7, signed=False)
LARGEST_BIAS = 2**30  # in steps; half of what int32 holds, so that sums fit beside it


def quantize_model(
    model: nn.Module,
    batches: Iterable[Any],
    weight_scheme: Scheme = WEIGHT_SCHEME,
    activation_scheme: Scheme | str = ACTIVATION_SCHEME,
    observer: str | Callable[..., Observer] = "mse",
    per_channel: bool = True,
    progress: bool = False,
    backend: str = "torch",
    weight_method: str = "mse",
    end_bits: int | None = None,
    equalized: bool = False,
    corrected: bool = False,
    islands: bool = False,
    skip: Collection[str] = (),
) -> QuantizedModel:
    """Quantize a trained network after training (PTQ), to integers from input to logits.

    Batch normalization is folded, the activations of the folded network are observed on the
    batches, the weights are rounded to the nearest code, and every operation becomes its integer
    kernel.

    Parameters
    ----------
    model : nn.Module
        In eval mode; it stays as it is. `labkit.ptq.steps.SUPPORTED` says what it may hold.
    batches : iterable
        What to calibrate on: image tensors, sequences whose first element is one, mappings that
        hold one; a data set, or one tensor, which is one batch. Memory is bounded if they can be
        gone through several times, as a list or a DataLoader can (`choose_grids`).
    weight_scheme, activation_scheme : Scheme
        The integers; 8 bits at most. "fast" stands for activations of 7 bits, with which every
        layer keeps the engine's fast road on any processor, also on one that saturates int16
        (`labkit.kernels.backend_info`); `QuantizedModel.roads` says who takes which.
    observer : str or callable
        How the activations' ranges are chosen: a name in `OBSERVERS`, or what makes an observer.
    per_channel : bool
        One scale for each output channel of the weights, rather than one for each layer.
    progress : bool
        Show progress bars: a step a layer, a step a batch, then a step a tensor.
    backend : str
        "torch" or "reference": the same integers, fast or as the formulas.
    weight_method : str
        How the weights' ranges are chosen: "mse" or "minmax".
    end_bits : int, optional
        At least so many bits at both ends: for the images, the logits, and the weights of the first
        and of the last layer. None: as everywhere else.
    equalized : bool
        First balance the ranges of channels across layers (`equalize`).
    corrected : bool
        Take the mean error that rounding the weights makes out of each bias (`correct_biases`).
    islands : bool
        Let what integers cannot compute here (normalization over a layer or group, attention) run
        on real numbers, between a dequantize and a quantize. `explain` says what that would be.
    skip : collection of str
        Modules, by their paths, that run on real numbers though integers could compute them.

    Returns
    -------
    QuantizedModel

    Raises
    ------
    TypeError, ValueError
        If an argument is none of those above, the network holds what integers cannot compute here
        (the message names the node), or a batch cannot be quantized.

    Notes
    -----
    Krishnamoorthi 2018 (arXiv:1806.08342), section 3; Nagel et al. 2021 (arXiv:2106.08295),
    section 3.
    """
    instance_of(weight_scheme, Scheme, "weight_scheme", "Scheme(8, symmetric=True)")
    activation_scheme = _activations(activation_scheme)
    make = observer_named(observer)
    model = given(model)
    names = input_names(model)
    example, all_batches = with_first(batches, names)
    batches = list(all_batches) if corrected else all_batches
    network = fold_batchnorm(model, example)
    check_same(model, network, example)
    if equalized:
        plan_of(network, islands, skip)  # what it refuses it names by the lines of the model
        network = fold_batchnorm(equalize(network), example)
    plan = plan_of(network, islands, skip)
    layers = list(dict.fromkeys(step.layer for step in plan.steps if step.layer))
    layer_schemes = with_ends(weight_scheme, len(layers), end_bits)
    weights = {
        layer: _weight_grid(network, layer, scheme, per_channel, weight_method)
        for layer, scheme in zip(
            progress_bar(layers, "weights", progress, unit="layer"), layer_schemes, strict=True
        )
    }
    if corrected:
        correct_biases(network, weights, batches)
    names = [*plan.inputs, *(step.name for step in plan.steps if step.kind in COMPUTING)]
    schemes = with_ends(activation_scheme, len(names), end_bits)
    by_name = dict(zip(names, schemes, strict=True))
    qparams = choose_grids(network, batches, by_name, make, progress)
    qparams |= widened_for_padding(plan.steps, qparams)
    found = convert(network, weights, qparams, backend, islands, skip)
    check_runs(found, model, example)
    return found


def _activations(scheme: Scheme | str) -> Scheme:
    if scheme == "fast":
        return FAST_SCHEME
    if not isinstance(scheme, Scheme):
        raise TypeError(
            f"activation_scheme is {scheme!r}; expected a Scheme, such as "
            'Scheme(8, signed=False), or "fast".'
        )
    return scheme


def convert(
    network: fx.GraphModule,
    weights: Mapping[str, QParams],
    qparams: Mapping[str, QParams],
    backend: str = "torch",
    islands: bool = False,
    skip: Collection[str] = (),
) -> QuantizedModel:
    """Build the integer network of a folded one, from grids that are given.

    Parameters
    ----------
    network : fx.GraphModule
        As `fold_batchnorm` returns it.
    weights : mapping of str to QParams
        For each convolution and linear layer, by its path. A scale under which the layer's bias
        would not fit into int32 is widened (`holding_bias`).
    qparams : mapping of str to QParams
        For the input and for each tensor that is computed, by the name of its node: of the last
        one that a step joins (the ReLU of ``relu(conv(x) + residual)``). An average pool may be
        left out and then keeps the grid of its input.
    backend : str
        "torch" or "reference".
    islands, skip
        As in `quantize_model`.

    Returns
    -------
    QuantizedModel

    Raises
    ------
    ValueError
        If a layer or a tensor has no grid, or cannot be computed with integers.
    """
    plan = plan_of(network, islands, skip)
    layers: dict[str, Weights] = {}
    constants: dict[str, Tensor] = {}
    grids = _inherited(plan.steps, qparams)
    check_padding(plan.steps, grids)
    for step in plan.steps:
        if step.kind in ("table", "constant", "parameter"):
            constants[step.name] = _constant(step, network, grids)
        if step.layer is None:
            continue
        if step.layer not in weights:
            raise ValueError(f"layer {step.layer!r} has no QParams in weights; expected them.")
        layer = weighted_layer(network, step.layer)
        bias = None if layer.bias is None else layer.bias.detach().clone()
        grid = layers[step.layer].qparams if step.layer in layers else weights[step.layer]
        if bias is not None and step.inputs[0] in grids:
            grid = holding_bias(grid, bias, grids[step.inputs[0]])
        layers[step.layer] = Weights(quantize(layer.weight, grid), grid, bias)
    return QuantizedModel(plan.inputs, plan.steps, layers, grids, backend, constants, plan.outputs)


def _weight_grid(
    network: fx.GraphModule, path: str, scheme: Scheme, per_channel: bool, method: str
) -> QParams:
    try:
        return weight_qparams(weighted_layer(network, path).weight, scheme, per_channel, method)
    except (TypeError, ValueError) as error:
        raise type(error)(f"the weights of layer {path!r}: {error}") from error


def _constant(step: Step, network: fx.GraphModule, grids: Mapping[str, QParams]) -> Tensor:
    """Return the table of a function, or the codes or values of a parameter."""
    if step.kind == "table":
        x, out = (_grid(grids, name, step.kind) for name in (step.inputs[0], step.name))
        return table_of(network, step.settings["chain"], step.settings.get("axis"), x, out)
    name = step.name.removesuffix(".real")
    (node,) = (n for n in network.graph.nodes if n.name == name)
    value = operator.attrgetter(str(node.target))(network).detach()
    if step.kind == "constant":
        return quantize(value, _grid(grids, name, step.kind))
    return value.float() if value.is_floating_point() else value.clone()


def _grid(grids: Mapping[str, QParams], name: str, kind: str) -> QParams:
    if name not in grids:
        raise ValueError(f"there is no grid for {name!r} ({kind}); expected its QParams.")
    return grids[name]


def with_ends(scheme: Scheme, number: int, end_bits: int | None) -> list[Scheme]:
    """Return `number` schemes, the first and the last of them of at least `end_bits` bits."""
    ends = scheme if end_bits is None else replace(scheme, bits=max(scheme.bits, end_bits))
    return [ends if i in (0, number - 1) else scheme for i in range(number)]


def holding_bias(grid: QParams, bias: Tensor, x_qparams: QParams) -> QParams:
    """Widen the scales of weights under which the bias leaves int32.

    ::

        S_w >= |b| / (S_x 2^30)

    That happens to dead channels, whose weights are next to nothing: on the wider grid they are 0,
    and the bias, all that is left of the channel, stays.
    """
    least = bias.detach().double().abs() / (x_qparams.scale.double() * LARGEST_BIAS)
    if grid.axis is None:
        least = least.max()
    scale = torch.maximum(grid.scale.double(), least).to(torch.float32)
    return replace(grid, scale=scale)


def _inherited(steps: list[Step], qparams: Mapping[str, QParams]) -> dict[str, QParams]:
    """Add the grids of tensors that keep their input's, and of average pools without one."""
    found = dict(qparams)
    for step in steps:
        inherits = step.kind in (*KEEPING, "average_pool")
        if inherits and step.name not in found and step.inputs[0] in found:
            found[step.name] = found[step.inputs[0]]
    return found
