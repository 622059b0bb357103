"""What each kind of step is in ONNX."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from labkit.kernels import quantize_bias
from labkit.ptq.network import QuantizedModel
from labkit.ptq.onnx.graph import Graph
from labkit.ptq.onnx.weights import STORED
from labkit.ptq.operators import code_of
from labkit.ptq.steps import Step


@dataclass(frozen=True)
class Export:
    """What an emitter works with.

    Attributes
    ----------
    model : QuantizedModel
    graph : Graph
        Where it writes.
    shapes : mapping of str to sequence of int
        Of every tensor, for a batch of two.
    weights : str
        The dtype that they are stored in, one of `STORED`.
    """

    model: QuantizedModel
    graph: Graph
    shapes: Mapping[str, Sequence[int]]
    weights: str


Emitter = Callable[[Export, Step], str]
"""Writes the nodes of a step on dequantized tensors; returns the name of the exact result."""


def emit(export: Export, step: Step) -> None:
    """Write a step: what it computes, and its rounding.

    Raises
    ------
    ValueError
        If it cannot be written; the message names it.
    """
    graph, qparams = export.graph, export.model.qparams[step.name]
    low = int(qparams.zero_point) if step.settings.get("relu") else None
    high = code_of(step.settings.get("ceiling"), qparams)
    if step.kind == "clamp":
        graph.clamp(step.name, graph.codes(step.inputs[0]), low, high)
        return
    if step.kind not in EMITTERS:
        raise ValueError(
            f"step {step.name!r} is of kind {step.kind!r}, which ONNX has no place for here; "
            f"expected one of {', '.join(EMITTERS)}."
        )
    try:
        exact = EMITTERS[step.kind](export, step)
    except ValueError as error:
        raise ValueError(f"step {step.name!r}: {error}") from None
    graph.quantize(step.name, exact, low, high)


def _conv2d(export: Export, step: Step) -> str:
    moves = step.settings
    product = export.graph.node(
        "Conv",
        [export.graph.real(step.inputs[0]), _weight(export, step), *_bias(export, step)],
        f"{step.name}.product",
        strides=moves["stride"],
        pads=[*moves["padding"], *moves["padding"]],
        dilations=moves["dilation"],
        group=moves["groups"],
        kernel_shape=list(export.model.weights[step.layer or ""].q_w.shape[2:]),
    )
    if len(step.inputs) == 1:
        return product
    residual = export.graph.real(step.inputs[1])
    return export.graph.node("Add", [product, residual], f"{step.name}.sum")


def _linear(export: Export, step: Step) -> str:
    graph, x, bias = export.graph, export.graph.real(step.inputs[0]), _bias(export, step)
    name = f"{step.name}.product"
    if len(export.shapes[step.inputs[0]]) == 2:
        return graph.node("Gemm", [x, _weight(export, step), *bias], name, transB=1)
    # Gemm takes matrices only.
    product = graph.node("MatMul", [x, _weight(export, step, transposed=True)], name)
    return graph.node("Add", [product, *bias], f"{step.name}.sum") if bias else product


def _weight(export: Export, step: Step, transposed: bool = False) -> str:
    weights = export.model.weights[step.layer or ""]
    q_w, zero_point = STORED[export.weights](weights, export.model.qparams[step.inputs[0]])
    name = f"{step.name}.weight"
    operands = [
        export.graph.constant(f"{name}.codes", q_w.T if transposed else q_w),
        export.graph.constant(f"{name}.scale", weights.qparams.scale.numpy()),
        export.graph.constant(f"{name}.zero_point", zero_point),
    ]
    along = {"axis": int(transposed)} if zero_point.ndim else {}
    return export.graph.node("DequantizeLinear", operands, name, **along)


def _bias(export: Export, step: Step) -> list[str]:
    """Write the bias on the grid of the accumulators, if there is one."""
    weights = export.model.weights[step.layer or ""]
    if weights.bias is None:
        return []
    x_qparams, name = export.model.qparams[step.inputs[0]], f"{step.name}.bias"
    scale = (x_qparams.scale.double() * weights.qparams.scale.double()).float()
    q_b = quantize_bias(weights.bias, x_qparams, weights.qparams)
    operands = [
        export.graph.constant(f"{name}.codes", q_b.numpy()),
        export.graph.constant(f"{name}.scale", scale.numpy()),
    ]
    along = {"axis": 0} if scale.ndim else {}
    return [export.graph.node("DequantizeLinear", operands, name, **along)]


def _average_pool(export: Export, step: Step) -> str:
    settings, x = step.settings, export.graph.real(step.inputs[0])
    name = f"{step.name}.exact"
    if settings.get("output_size") == [1, 1]:
        pooled = export.graph.node("GlobalAveragePool", [x], f"{step.name}.mean")
        return export.graph.node("Flatten", [pooled], name) if settings.get("flat") else pooled
    if settings.get("output_size"):
        image = export.shapes[step.inputs[0]][2:]
        kernel = [size // out for size, out in zip(image, settings["output_size"], strict=True)]
        window = {"kernel_shape": kernel, "strides": kernel}
    else:
        window = _window(step)
    return export.graph.node("AveragePool", [x], name, count_include_pad=1, **window)


def _max_pool(export: Export, step: Step) -> str:
    window = {"dilations": step.settings["dilation"], **_window(step)}
    x = export.graph.real(step.inputs[0])
    return export.graph.node("MaxPool", [x], f"{step.name}.exact", **window)


def _window(step: Step) -> dict[str, list[int]]:
    settings = step.settings
    return {
        "kernel_shape": settings["kernel_size"],
        "strides": settings["stride"],
        "pads": [*settings["padding"], *settings["padding"]],
    }


def _pad(export: Export, step: Step) -> str:
    left, right, top, bottom = step.settings["padding"]
    pads = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
    operands = [export.graph.real(step.inputs[0]), export.graph.constant(f"{step.name}.pads", pads)]
    return export.graph.node("Pad", operands, f"{step.name}.exact")


def _as(operator: str, **attributes: int) -> Emitter:
    """Return an emitter of one node that takes the step's inputs as they are."""

    def emitter(export: Export, step: Step) -> str:
        operands = [export.graph.real(name) for name in step.inputs]
        return export.graph.node(operator, operands, f"{step.name}.exact", **attributes)

    return emitter


EMITTERS: dict[str, Emitter] = {
    "conv2d": _conv2d,
    "linear": _linear,
    "add": _as("Add"),
    "concatenate": _as("Concat", axis=1),
    "flatten": _as("Flatten"),
    "average_pool": _average_pool,
    "max_pool": _max_pool,
    "pad": _pad,
}
"""By the kind of step. A clamp is no arithmetic: `emit` limits the codes."""
