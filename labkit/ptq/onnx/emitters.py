"""What each kind of step is in ONNX."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from labkit.kernels import quantize_bias
from labkit.ptq.functions import decoded
from labkit.ptq.onnx.export import Export
from labkit.ptq.onnx.places import write_by_axes, write_constant, write_move, write_table
from labkit.ptq.onnx.weights import STORED
from labkit.ptq.operators import Pad
from labkit.ptq.steps import Step

Emitter = Callable[[Export, Step], str]
"""Writes the nodes of a step on dequantized tensors; returns the name of the exact result."""


def emit(export: Export, step: Step) -> None:
    """Write a step: what it computes, and its rounding.

    Raises
    ------
    ValueError
        If it cannot be written; the message names it.
    """
    graph, windows = export.graph, windows_of(export, step)
    if step.kind == "number":
        return  # what it gives is known, for images of one size
    if windows:
        write_by_axes(export, step, windows)
        return
    if step.kind in ("table", "move", "constant"):
        moved = {"table": write_table, "move": write_move, "constant": write_constant}
        moved[step.kind](export, step)
        return
    if step.kind not in (*EMITTERS, "clamp"):
        raise ValueError(
            f"step {step.name!r} is of kind {step.kind!r}, which ONNX has no place for here; "
            f"expected one of {', '.join(EMITTERS)}."
        )
    qparams = export.model.qparams[step.name]
    low = int(qparams.zero_point) if step.settings.get("relu") else None
    high = export.ceiling(step)
    if step.kind == "clamp":
        graph.clamp(step.name, graph.codes(step.inputs[0]), low, high)
        return
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
    window["ceil_mode"] = int(step.settings.get("ceil_mode", False))
    x = export.graph.real(step.inputs[0])
    return export.graph.node("MaxPool", [x], f"{step.name}.exact", **window)


def _window(step: Step) -> dict[str, Any]:
    settings = step.settings
    return {
        "kernel_shape": settings["kernel_size"],
        "strides": settings["stride"],
        "pads": [*settings["padding"], *settings["padding"]],
    }


def _pad(export: Export, step: Step) -> str:
    inputs, qparams = [export.values[name] for name in step.inputs], export.model.qparams[step.name]
    padding = list(decoded(list(step.settings["padding"]), inputs))
    ends = [0] * (2 * inputs[0].ndim - len(padding)) + padding[::-1]
    # torch counts from the last axis, before and behind; ONNX has all before, then all behind.
    pads = np.array([*ends[1::2], *ends[::2]], np.int64)
    code = Pad(qparams, step.settings["padding"], step.settings.get("value", 0.0)).code
    real = np.float32((code - int(qparams.zero_point)) * float(qparams.scale))
    constants = [("pads", pads), ("border", real)]
    operands = [export.graph.constant(f"{step.name}.{name}", value) for name, value in constants]
    return export.graph.node(
        "Pad", [export.graph.real(step.inputs[0]), *operands], f"{step.name}.exact"
    )


def _add(export: Export, step: Step) -> str:
    terms = []
    factors = step.settings.get("factors", [1, 1])
    for i, (name, factor) in enumerate(zip(step.inputs, factors, strict=True)):
        real = export.graph.real(name)
        if factor != 1:
            constant = export.graph.constant(f"{step.name}.factor{i}", np.float32(factor))
            real = export.graph.node("Mul", [real, constant], f"{step.name}.term{i}")
        terms.append(real)
    return export.graph.node("Add", terms, f"{step.name}.exact")


def _concatenate(export: Export, step: Step) -> str:
    graph, axis = export.graph, step.settings.get("dim", 1)
    reals = [graph.real(name) for name in step.inputs]
    if step.settings.get("stack"):
        axes = graph.constant(f"{step.name}.axes", np.array([axis], np.int64))
        reals = [
            graph.node("Unsqueeze", [real, axes], f"{step.name}.part{i}")
            for i, real in enumerate(reals)
        ]
    return graph.node("Concat", reals, f"{step.name}.exact", axis=axis)


def windows_of(export: Export, step: Step) -> Mapping[str, Any] | None:
    """Return the call of what averages windows of several sizes, if a step does that."""
    out = step.settings.get("output_size")
    if step.kind == "combine":
        return None if step.settings["function"] in SUMS else step.settings
    if step.kind != "average_pool" or not out:
        return None
    image = export.shapes[step.inputs[0]][2:]
    if all(size % number == 0 for size, number in zip(image, out, strict=True)):
        return None
    return {"function": "adaptive_avg_pool2d", "arguments": [{"input": 0}, out]}


def _combine(export: Export, step: Step) -> str:
    name = step.settings["function"]
    axes, keep = sum_arguments(export, step)
    constant = np.array(axes[0] if name == "cumsum" else axes, np.int64)
    return export.graph.node(
        SUMS[name],
        [export.graph.real(step.inputs[0]), export.graph.constant(f"{step.name}.axes", constant)],
        f"{step.name}.exact",
        **({} if name == "cumsum" else {"keepdims": keep}),
    )


def sum_arguments(export: Export, step: Step) -> tuple[list[int], int]:
    """Return the axes along which a step sums, and whether it keeps them."""
    settings = step.settings
    values = [export.values[source] for source in step.inputs]
    arguments = list(decoded(list(settings["arguments"]), values))[1:]
    words = dict(zip(("dim", "keepdim"), arguments, strict=False))
    words |= {k: decoded(v, values) for k, v in settings.get("keywords", {}).items()}
    dim = words.get("dim", words.get("axis"))
    axes = list(range(values[0].ndim)) if dim is None else dim
    return (
        [axes] if isinstance(axes, int) else list(axes),
        int(words.get("keepdim", words.get("keepdims", False))),
    )


SUMS = {"sum": "ReduceSum", "mean": "ReduceMean", "cumsum": "CumSum"}


def _as(operator: str, **attributes: int) -> Emitter:
    """Return an emitter of one node that takes the step's inputs as they are."""

    def emitter(export: Export, step: Step) -> str:
        operands = [export.graph.real(name) for name in step.inputs]
        return export.graph.node(operator, operands, f"{step.name}.exact", **attributes)

    return emitter


EMITTERS: dict[str, Emitter] = {
    "conv2d": _conv2d,
    "linear": _linear,
    "conv1d": _conv2d,
    "add": _add,
    "multiply": _as("Mul"),
    "concatenate": _concatenate,
    "combine": _combine,
    "flatten": _as("Flatten"),
    "average_pool": _average_pool,
    "max_pool": _max_pool,
    "pad": _pad,
}
"""By the kind of step. A clamp is no arithmetic: `emit` limits the codes."""
