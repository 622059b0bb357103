"""What computes new values, written so that a runtime gives the very integers of `labkit`.

Products of codes become ConvInteger and MatMulInteger, whose int32 sums are exact on every
processor, and what follows is float32 node by node, in the order of `labkit.kernels`: nothing is
left to a runtime's own rounding.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from labkit.kernels import QuantizedConv2d, QuantizedLinear
from labkit.ptq.onnx.emitters import SUMS, sum_arguments, windows_of
from labkit.ptq.onnx.export import Export
from labkit.ptq.onnx.places import matrices_of
from labkit.ptq.onnx.weights import as_uint8
from labkit.ptq.operators import Add, AveragePool, Combination, Concatenate, Multiply, Rescale
from labkit.ptq.steps import Step

FLOAT, UINT8, DOUBLE = 1, 2, 11  # of onnx.TensorProto


def emit_exact(export: Export, step: Step, operation: Any) -> bool:
    """Write a step, if it computes new values; tell whether it does.

    Parameters
    ----------
    export : Export
    step : Step
    operation : nn.Module
        What computes it in `labkit`, whose constants are taken.

    Raises
    ------
    ValueError
        If it cannot be written; the message names it.
    """
    if step.kind not in EXACT:
        return False
    kind, write = EXACT[step.kind]
    # Inside of what limits its codes, or takes sequences for images.
    own = next(module for module in operation.modules() if isinstance(module, kind))
    windows = windows_of(export, step)
    if windows:
        _by_axes(_Writer(export, step), own.rescale, windows)
    else:
        write(_Writer(export, step), own)
    return True


class _Writer:
    """Writes the nodes of a step, in float32 or another type of real numbers."""

    def __init__(self, export: Export, step: Step) -> None:
        self.export, self.step, self.graph = export, step, export.graph
        self._count = 0

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node under a name of its own."""
        self._count += 1
        name = f"{self.step.name}.{kind.lower()}{self._count}"
        return self.graph.node(kind, list(inputs), name, **attributes)

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Add a constant under a name of its own."""
        self._count += 1
        return self.graph.constant(f"{self.step.name}.constant{self._count}", dtype(values))

    def shifted(self, tensor: str, zero_point: float, kind: int = FLOAT) -> str:
        """Return ``q - Z`` of a tensor as real numbers; a zero point of 0 gives its codes."""
        dtype = np.float32 if kind == FLOAT else np.float64
        real = self.node("Cast", self.graph.codes(tensor), to=kind)
        centre = zero_point - self.export.model.qparams[tensor].scheme.qmin
        return self.node("Sub", real, self.constant(centre, dtype)) if centre else real

    def finish(self, real: str, low: int, high: int, dtype: Any = np.float32) -> None:
        """Round to codes between two of them: the result of the step."""
        name, lowest = self.step.name, self.export.model.qparams[self.step.name].scheme.qmin
        ceiling = min(high, self.export.ceiling(self.step))
        ends = [self.constant(end, dtype) for end in (low, ceiling)]
        real = self.node("Clip", self.node("Round", real), *ends)
        if lowest:
            real = self.node("Sub", real, self.constant(lowest, dtype))
        self.graph.hold(name, self.node("Cast", real, to=UINT8))

    def scaled(self, real: str, multiplier: Any, offset: Any, dtype: Any = np.float32) -> str:
        """Return ``real * multiplier + offset``."""
        real = self.node("Mul", real, self.constant(multiplier, dtype))
        return self.node("Add", real, self.constant(offset, dtype))


def _layer(write: _Writer, layer: QuantizedConv2d | QuantizedLinear) -> None:
    stage: Any = layer.output_stage
    step, export = write.step, write.export
    weights, x = export.model.weights[step.layer or ""], export.model.qparams[step.inputs[0]]
    q_w, zero_points = as_uint8(weights, x)
    if len(np.unique(zero_points)) > 1:
        raise ValueError(
            f"step {step.name!r}: its weights have several zero points; expected one with "
            "exact=True. Quantize with weight_scheme=Scheme(8, symmetric=True)."
        )
    rows = step.kind == "linear"
    operands = [
        write.graph.codes(step.inputs[0]),
        write.constant(q_w.T if rows else q_w, np.ascontiguousarray),
        write.constant(int(x.zero_point) - x.scheme.qmin, np.uint8),
        write.constant(zero_points.flat[0], np.uint8),
    ]
    if rows:
        acc = write.node("MatMulInteger", *operands)
    else:
        moves = step.settings
        acc = write.node(
            "ConvInteger",
            *operands,
            strides=moves["stride"],
            pads=[*moves["padding"], *moves["padding"]],
            dilations=moves["dilation"],
            group=moves["groups"],
            kernel_shape=list(q_w.shape[2:]),
        )
    shape = [-1] if rows else [-1, *[1] * (q_w.ndim - 2)]
    per_output = (stage.multiplier.expand(stage.offset.shape), stage.offset)
    multiplier, offset = (v.reshape(shape).numpy() for v in per_output)
    real = write.scaled(write.node("Cast", acc, to=FLOAT), multiplier, offset)
    if len(step.inputs) > 1:
        real = write.node("Add", real, write.shifted(step.inputs[1], 0))
        real = write.node("Mul", real, write.constant(1 / stage.step))
    write.finish(real, stage.low, stage.high)


def _add(write: _Writer, add: Add) -> None:
    terms = [
        write.node("Mul", write.shifted(name, float(zero_point)), write.constant(scale.numpy()))
        for name, (zero_point, scale) in zip(write.step.inputs, add.terms, strict=True)
    ]
    real = write.node("Add", write.node("Add", *terms), write.constant(add.zero_point.numpy()))
    write.finish(real, add.low, add.high)


def _multiply(write: _Writer, multiply: Multiply) -> None:
    pairs = zip(write.step.inputs, multiply.zero_points, strict=True)
    product = write.node("Mul", *(write.shifted(name, zero_point) for name, zero_point in pairs))
    real = write.scaled(product, multiply.multiplier, multiply.zero_point)
    write.finish(real, multiply.low, multiply.high)


def _concatenate(write: _Writer, concatenate: Concatenate) -> None:
    parts = []
    for name, rescale in zip(write.step.inputs, concatenate.rescales, strict=True):
        real = write.shifted(name, rescale.x_zero_point)  # type: ignore[arg-type]
        if rescale.same:
            real = write.node("Add", real, write.constant(rescale.zero_point))
        else:
            real = write.scaled(real, rescale.multiplier, rescale.zero_point)
        if write.step.settings.get("stack"):
            axes = write.constant([concatenate.dim], np.int64)
            real = write.node("Unsqueeze", real, axes)
        parts.append(real)
    scheme = write.export.model.qparams[write.step.name].scheme
    real = write.node("Concat", *parts, axis=concatenate.dim)
    write.finish(real, scheme.qmin, scheme.qmax)


def _average_pool(write: _Writer, pool: AveragePool) -> None:
    source, rescale = write.step.inputs[0], pool.rescale
    shape = write.export.shapes[source]
    kernel, stride = pool.window(shape)
    real = write.shifted(source, rescale.x_zero_point)
    if kernel == list(shape[2:]) and not any(pool.padding):
        total = write.node("ReduceSum", real, write.constant([2, 3], np.int64), keepdims=1)
    else:
        # A sum, which a convolution with ones gives exactly; AveragePool would divide first.
        ones = write.constant(np.ones((shape[1], 1, *kernel)))
        pads = [*pool.padding, *pool.padding]
        window = {"kernel_shape": kernel, "strides": stride, "pads": pads, "group": shape[1]}
        total = write.node("Conv", real, ones, **window)
    real = write.scaled(total, rescale.multiplier / (kernel[0] * kernel[1]), rescale.zero_point)
    real = write.node("Flatten", real) if pool.flat else real
    write.finish(real, rescale.scheme.qmin, rescale.scheme.qmax)


def _by_axes(write: _Writer, rescale: Rescale, windows: Mapping[str, Any]) -> None:
    real = write.shifted(write.step.inputs[0], rescale.x_zero_point, DOUBLE)
    for side, matrix in matrices_of(write.export, write.step, windows).items():
        constant = write.constant(matrix.numpy(), np.float64)
        operands = [constant, real] if side == "down" else [real, constant]
        real = write.node("MatMul", *operands)
    real = write.scaled(real, rescale.multiplier, rescale.zero_point, np.float64)
    write.finish(real, rescale.scheme.qmin, rescale.scheme.qmax, np.float64)


def _combination(write: _Writer, combination: Combination) -> None:
    name, rescale = write.step.settings["function"], combination.rescale
    real = write.shifted(write.step.inputs[0], rescale.x_zero_point, DOUBLE)
    axes, keep = sum_arguments(write.export, write.step)
    constant = write.constant(axes[0] if name == "cumsum" else axes, np.int64)
    keywords = {} if name == "cumsum" else {"keepdims": keep}
    total = write.node(SUMS[name], real, constant, **keywords)
    real = write.scaled(total, rescale.multiplier, rescale.zero_point, np.float64)
    write.finish(real, rescale.scheme.qmin, rescale.scheme.qmax, np.float64)


EXACT: dict[str, tuple[Any, Callable[..., None]]] = {
    "conv2d": (QuantizedConv2d, _layer),
    "conv1d": (QuantizedConv2d, _layer),
    "linear": (QuantizedLinear, _layer),
    "add": (Add, _add),
    "multiply": (Multiply, _multiply),
    "concatenate": (Concatenate, _concatenate),
    "average_pool": (AveragePool, _average_pool),
    "combine": (Combination, _combination),
}
"""By the kind of step: what computes it in `labkit`, and what writes that."""
