"""Which road a layer takes, why, and what would let it take a faster one.

What decides is what the operands can hold (the scheme of the activations, the codes of the
weights), never what a calibration saw.
"""

from typing import NamedTuple

import torch
from torch import Tensor

import labkit.kernels.engines as engines
import labkit.kernels.qnnpack as qnnpack
from labkit.kernels.fixed_stage import FixedStage
from labkit.kernels.layer import Layer
from labkit.kernels.output_stage import INT32_MAX
from labkit.kernels.pairs import INT16_MAX, Split, halves, split

PAIRS = "the processor adds pairs of products in int16, which they may leave"
FASTER = 'Use activations of 7 bits: `Scheme(7, signed=False)`, in a network "fast".'


class Choice(NamedTuple):
    """How a layer is computed.

    Attributes
    ----------
    road : str
        "int8", "int8 half twice", "int8 twice", "float32" or "reference"; `labkit.kernels.roads`
        explains them.
    reason : str
        Why.
    remedy : str
        What would let the layer take a faster road; empty if there is none.
    """

    road: str
    reason: str
    remedy: str = ""


def choice(layer: Layer, backend: str = "torch", saturates: bool | None = None) -> Choice:
    """Choose the fastest road that is exact for whatever the operands may hold.

    Parameters
    ----------
    layer : Layer
        What to compute.
    backend : str
        "reference" for the formulas, "torch" for speed.
    saturates : bool, optional
        For an x86 processor whose engine adds pairs of products in int16, as on AVX2 without VNNI,
        or for one whose does not; None: for this machine, which is measured.

    Raises
    ------
    ValueError
        If there is no such backend.
    """
    return chosen(layer, backend, saturates)[0]


def chosen(
    layer: Layer, backend: str, saturates: bool | None = None
) -> tuple[Choice, Split | None]:
    """Return the `choice`, and the weights as an engine gets them; None where no engine computes.

    Raises
    ------
    ValueError
        If there is no such backend.
    """
    known = _whatever_the_pairs(layer, backend, saturates)
    if known is not None:
        return known, Split(_in_int8(layer)) if known.road == "int8" else None
    weights = _split(layer)
    if weights.copied is None:
        reason = "no sum of two neighbouring channels' products can leave int16"
        return Choice("int8", reason), weights
    road = "int8 twice" if weights.copied == slice(None) else "int8 half twice"
    return Choice(road, PAIRS, FASTER), weights


def _whatever_the_pairs(layer: Layer, backend: str, saturates: bool | None) -> Choice | None:
    """Return the choice, unless it depends on which weights are neighbours."""
    if backend == "reference":
        return Choice("reference", "the formulas were asked for", 'Use the backend "torch".')
    if backend != "torch":
        raise ValueError(f"backend is {backend!r}; expected 'reference' or 'torch'.")
    weight = layer.q_w.to(torch.int16) - layer.w_zero_point
    smallest_w, largest_w = (int(w) for w in weight.aminmax())
    scheme = layer.x_qparams.scheme
    largest_x = scheme.qmax - scheme.qmin
    if isinstance(layer.output, FixedStage):
        return Choice(
            "float32",
            "the engine cannot requantize in fixed point",
            'Requantize in "float", for networks that run on this machine.',
        )
    has_onednn = saturates is not None or engines.usable()
    if not (has_onednn or qnnpack.usable()):
        return Choice("float32", "torch has no exact int8 operators for this processor")
    if smallest_w < -128 or largest_w > 127:
        return Choice(
            "float32",
            f"weights less their zero points go from {smallest_w} to {largest_w}: 9 bits",
            "Use symmetric weights.",
        )
    if largest_x * int(weight.abs().flatten(1).sum(1).max()) > INT32_MAX:
        return Choice("float32", "accumulators may leave int32", "Use fewer bits.")
    if not has_onednn:
        if qnnpack.multiplies_rows(layer.q_w.shape[2:], layer.window):
            return Choice("int8", "QNNPACK multiplies rows exactly")
        return Choice("float32", "QNNPACK rounds what is no product of rows by another rule")
    if not _has_fast_kernel(layer):
        return Choice(
            "float32",
            "the engine has no fast kernel for groups of so few channels",
            "Use groups of a multiple of 4 channels, or one channel each.",
        )
    if 2 * largest_x * max(largest_w, -smallest_w) <= INT16_MAX:
        return Choice("int8", "no sum of two products can leave int16")
    if saturates is None:
        saturates = engines.saturates(depthwise=is_depthwise(layer))
    if not saturates:
        return Choice("int8", "the processor does not add pairs of products in int16")
    if layer.window is not None and layer.window.groups > 1:
        return Choice("float32", PAIRS, FASTER)
    return None


def _split(layer: Layer) -> Split:
    """Return the weights that a processor multiplies which adds pairs of products in int16."""
    weight, scheme = _in_int8(layer), layer.x_qparams.scheme
    # In fours the channels come to the engine; what it does with a rest is its own affair.
    if weight.shape[1] % 4 or (engines.usable() and not engines.adds_neighbours()):
        return halves(weight)
    return split(weight, scheme.qmax - scheme.qmin)


def _in_int8(layer: Layer) -> Tensor:
    """Return the weights less their zero points, where 8 bits hold them."""
    return (layer.q_w.to(torch.int16) - layer.w_zero_point).to(torch.int8)


def is_depthwise(layer: Layer) -> bool:
    """Tell whether each output channel of a convolution reads one input channel of its own."""
    groups = layer.window.groups if layer.window else 1
    return groups > 1 and layer.q_w.shape[1] == 1 and len(layer.q_w) == groups


def _has_fast_kernel(layer: Layer) -> bool:
    """Tell whether oneDNN computes these groups other than by plain loops (seen on AVX2)."""
    groups = layer.window.groups if layer.window else 1
    outputs, inputs = len(layer.q_w) // groups, layer.q_w.shape[1]
    return groups == 1 or is_depthwise(layer) or (inputs % 4 == 0 and outputs % 4 == 0)
