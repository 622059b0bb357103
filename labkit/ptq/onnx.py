"""Integer networks as ONNX files, in QDQ form: for ONNX Runtime and what else reads them.

Every tensor of the file is float, between a DequantizeLinear and a QuantizeLinear with the grids of
the network; a runtime joins an operation with those around it to one integer kernel. It rounds by
its own rules, so that a code can differ by one where `labkit` sees a tie.

Needs the package `onnx` (``pip install labkit[onnx]``).
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from labkit.kernels import quantize_bias
from labkit.ptq.network import QuantizedModel
from labkit.ptq.steps import Step
from labkit.qparams import QParams
from labkit.validation import instance_of

if TYPE_CHECKING:
    import onnx

OPSET, IR_VERSION = 19, 9
INPUT, OUTPUT = "images", "logits"
SYMBOLS = {"linear": "Gemm", "conv2d": "Conv", "add": "Add", "flatten": "Flatten"}


def export_onnx(
    model: QuantizedModel, path: str | os.PathLike, image_shape: Sequence[int] = (1, 28, 28)
) -> int:
    """Write an integer network as an ONNX file in QDQ form.

    Parameters
    ----------
    model : QuantizedModel
    path : path
        The file, which is replaced if it exists.
    image_shape : sequence of int
        Channels, height and width of the images; their number is left open.

    Returns
    -------
    int
        The size of the file in bytes.

    Raises
    ------
    TypeError
        If `model` is no QuantizedModel.
    ImportError
        If the package `onnx` is missing.

    Notes
    -----
    ONNX operators QuantizeLinear and DequantizeLinear, opset 19. Weights of fewer than 8 bits take
    8 in the file.
    """
    instance_of(model, QuantizedModel, "model", "quantize_model(model, batches)")
    try:
        import onnx
    except ImportError as error:
        raise ImportError("export_onnx needs the package onnx: pip install labkit[onnx]") from error
    writer = _Writer(onnx)
    writer.node("Identity", [INPUT], model.input_name)
    values = {model.input_name: writer.rounded(model.input_name, model.qparams[model.input_name])}
    for step in model.steps:
        operands = [values[name] for name in step.inputs]
        writer.step(step, operands, model)
        values[step.name] = writer.rounded(step.name, model.qparams[step.name])
    writer.node("Identity", [values[model.steps[-1].name]], OUTPUT)
    content = writer.model(image_shape).SerializeToString()
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)
    return len(content)


class _Writer:
    """Collects the nodes and constants of an ONNX graph."""

    def __init__(self, module: Any) -> None:
        self._onnx = module
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def model(self, image_shape: Sequence[int]) -> "onnx.ModelProto":
        """Return what was collected as a checked model."""
        helper, real = self._onnx.helper, self._onnx.TensorProto.FLOAT
        images = helper.make_tensor_value_info(INPUT, real, ["N", *image_shape])
        logits = helper.make_tensor_value_info(OUTPUT, real, ["N", "classes"])
        constants = list(self._constants.values())
        graph = helper.make_graph(self._nodes, "network", [images], [logits], constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        self._onnx.checker.check_model(model)
        return model

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node; return the name of what it gives."""
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, name: str, values: Any) -> str:
        """Add a constant array; return its name."""
        array = np.ascontiguousarray(values) if np.ndim(values) else np.asarray(values)
        self._constants[name] = self._onnx.numpy_helper.from_array(array, name)
        return name

    def rounded(self, name: str, qparams: QParams) -> str:
        """Put a tensor on its grid and back; return the name of the result."""
        scheme = qparams.scheme
        info = np.iinfo(np.int8 if scheme.signed else np.uint8)
        source = name
        if (scheme.qmin, scheme.qmax) != (info.min, info.max):
            # QuantizeLinear saturates at the ends of the dtype only.
            ends = (np.array([scheme.qmin, scheme.qmax]) - int(qparams.zero_point)) * np.float64(
                qparams.scale
            )
            source = self.clip(name, f"{name}.clipped", *ends)
        grid = self.grid(name, qparams)
        q = self.node("QuantizeLinear", [source, *grid], f"{name}.q")
        return self.node("DequantizeLinear", [q, *grid], f"{name}.real")

    def clip(self, name: str, output: str, low: float | None, high: float | None) -> str:
        """Limit a tensor."""
        ends = [
            "" if end is None else self.constant(f"{output}.{side}", np.float32(end))
            for side, end in (("low", low), ("high", high))
        ]
        return self.node("Clip", [name, *ends], output)

    def grid(self, name: str, qparams: QParams) -> tuple[str, str]:
        """Add scale and zero point as constants."""
        kind = np.int8 if qparams.scheme.signed else np.uint8
        scale = self.constant(f"{name}.scale", qparams.scale.numpy())
        return scale, self.constant(f"{name}.zero_point", qparams.zero_point.numpy().astype(kind))

    def step(self, step: Step, inputs: list[str], model: QuantizedModel) -> None:
        """Add the nodes of one step, the last of which gives ``step.name``."""
        relu = bool(step.settings.get("relu"))
        result = f"{step.name}.sum" if relu else step.name
        if step.kind in ("conv2d", "linear"):
            self._layer(step, inputs, result, model)
        elif step.kind in ("add", "flatten"):
            self.node(SYMBOLS[step.kind], inputs, result)
        elif step.kind == "concatenate":
            self.node("Concat", inputs, result, axis=1)
        elif step.kind in ("average_pool", "max_pool"):
            self._pool(step, inputs[0], result)
        elif step.kind == "pad":
            left, right, top, bottom = step.settings["padding"]
            pads = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
            self.node("Pad", [inputs[0], self.constant(f"{step.name}.pads", pads)], result)
        elif step.kind == "clamp":
            result = inputs[0]
        if relu and step.settings.get("ceiling") is None:
            self.node("Relu", [result], step.name)
        elif relu:
            self.clip(result, step.name, 0.0, step.settings["ceiling"])

    def _layer(self, step: Step, inputs: list[str], result: str, model: QuantizedModel) -> None:
        weights = model.weights[step.layer or ""]
        name, axis = f"{step.name}.weight", 0 if weights.qparams.axis == 0 else None
        along = {} if axis is None else {"axis": axis}
        q_w = self.constant(f"{name}.q", weights.q_w.numpy())
        grid = self.grid(name, weights.qparams)
        operands = [inputs[0], self.node("DequantizeLinear", [q_w, *grid], name, **along)]
        if weights.bias is not None:
            operands.append(self._bias(step, model))
        output = f"{step.name}.product" if len(inputs) > 1 else result
        if step.kind == "linear":
            self.node("Gemm", operands, output, transB=1)
        else:
            moves = step.settings
            self.node(
                "Conv",
                operands,
                output,
                strides=moves["stride"],
                pads=[*moves["padding"], *moves["padding"]],
                dilations=moves["dilation"],
                group=moves["groups"],
                kernel_shape=list(weights.q_w.shape[2:]),
            )
        if len(inputs) > 1:
            self.node("Add", [output, inputs[1]], result)

    def _bias(self, step: Step, model: QuantizedModel) -> str:
        weights, x_qparams = model.weights[step.layer or ""], model.qparams[step.inputs[0]]
        name = f"{step.name}.bias"
        q_b = quantize_bias(weights.bias, x_qparams, weights.qparams)  # type: ignore[arg-type]
        scale = (x_qparams.scale.double() * weights.qparams.scale.double()).float()
        constants = [
            self.constant(f"{name}.q", q_b.numpy()),
            self.constant(f"{name}.scale", scale.numpy()),
        ]
        along = {"axis": 0} if scale.ndim else {}
        return self.node("DequantizeLinear", constants, name, **along)

    def _pool(self, step: Step, source: str, result: str) -> None:
        settings = step.settings
        if settings.get("output_size"):
            if list(settings["output_size"]) != [1, 1]:
                raise ValueError(
                    f"step {step.name!r} pools to {settings['output_size']}; expected [1, 1] for "
                    "ONNX. Use a pool with a kernel_size."
                )
            if not settings.get("flat"):
                self.node("GlobalAveragePool", [source], result)
                return
            pooled = self.node("GlobalAveragePool", [source], f"{step.name}.pooled")
            self.node("Flatten", [pooled], result)
            return
        window = {
            "kernel_shape": settings["kernel_size"],
            "strides": settings["stride"],
            "pads": [*settings["padding"], *settings["padding"]],
        }
        if step.kind == "max_pool":
            self.node("MaxPool", [source], result, dilations=settings["dilation"], **window)
        else:
            self.node("AveragePool", [source], result, count_include_pad=1, **window)
