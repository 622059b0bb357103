"""An ONNX graph in the making: its nodes, its constants, and each tensor as codes and as reals.

All codes are uint8, counted from the lowest one: ``q - qmin``, and the zero point likewise. The
real value, ``(q - Z) S``, stays what it is.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from labkit.qparams import QParams

if TYPE_CHECKING:
    import onnx

OPSET, IR_VERSION = 19, 9
HIGHEST = 255  # where QuantizeLinear to uint8 saturates
Sizes = Sequence[int | str]


class Graph:
    """Nodes and constants, by the names of what they make.

    Parameters
    ----------
    module : module
        `onnx`.
    qparams : mapping of str to QParams
        The grid of every tensor of the network.
    """

    def __init__(self, module: Any, qparams: Mapping[str, QParams]) -> None:
        self._onnx, self._qparams = module, qparams
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._codes: dict[str, str] = {}
        self._reals: dict[str, str] = {}
        self._images: str | None = None

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node; return the name of what it gives."""
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, name: str, values: Any) -> str:
        """Add a constant array, once; return its name."""
        array = np.ascontiguousarray(values) if np.ndim(values) else np.asarray(values)
        self._constants[name] = self._onnx.numpy_helper.from_array(array, name)
        return name

    def images(self) -> str:
        """Return the name of the number of images, a tensor of one number."""
        if self._images is None:
            first = next(iter(self._codes.values()))  # of the network's first input
            self._images = self.node("Shape", [first], "images.number", start=0, end=1)
        return self._images

    def codes(self, tensor: str) -> str:
        """Return the name of a tensor's codes."""
        return self._codes[tensor]

    def real(self, tensor: str) -> str:
        """Return the name of a tensor's values."""
        if tensor not in self._reals:
            self._reals[tensor] = self.dequantize(tensor, f"{tensor}.real")
        return self._reals[tensor]

    def dequantize(self, tensor: str, output: str) -> str:
        """Make values of a tensor's codes, under a name of their own."""
        return self.node("DequantizeLinear", [self.codes(tensor), *self._grid(tensor)], output)

    def quantize(
        self, tensor: str, exact: str, low: int | None = None, high: int | None = None
    ) -> None:
        """Put computed values on the grid of a tensor, between two of its codes."""
        rounded = self.node("QuantizeLinear", [exact, *self._grid(tensor)], f"{tensor}.rounded")
        self.clamp(tensor, rounded, low, high)

    def quantize_steps(self, tensor: str, steps: str) -> None:
        """Round what is computed in steps of a tensor's grid, from its zero point."""
        one = self.constant(f"{tensor}.step", np.float32(1))
        operands = [steps, one, self._grid(tensor)[1]]
        self.clamp(tensor, self.node("QuantizeLinear", operands, f"{tensor}.rounded"))

    def hold(self, tensor: str, codes: str) -> None:
        """Let `codes` be those of a tensor."""
        self._codes[tensor] = codes

    def clamp(
        self, tensor: str, codes: str, low: int | None = None, high: int | None = None
    ) -> None:
        """Let `codes` be those of a tensor, between two of them and within its scheme."""
        scheme = self._qparams[tensor].scheme
        ends = (scheme.qmin if low is None else low, scheme.qmax if high is None else high)
        first, last = (end - scheme.qmin for end in ends)
        if (first, last) != (0, HIGHEST):
            limits = [
                self.constant(f"{tensor}.low", np.uint8(first)),
                self.constant(f"{tensor}.high", np.uint8(last)),
            ]
            codes = self.node("Clip", [codes, *limits], f"{tensor}.codes")
        self._codes[tensor] = codes

    def model(self, inputs: Mapping[str, Sizes], outputs: Mapping[str, Sizes]) -> "onnx.ModelProto":
        """Return what was collected as a checked model, of tensors by their names and sizes."""
        helper, real = self._onnx.helper, self._onnx.TensorProto.FLOAT
        given, results = (
            [helper.make_tensor_value_info(name, real, list(s)) for name, s in ends.items()]
            for ends in (inputs, outputs)
        )
        constants = list(self._constants.values())
        graph = helper.make_graph(self._nodes, "network", given, results, constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        self._onnx.checker.check_model(model, full_check=True)
        return model

    def _grid(self, tensor: str) -> tuple[str, str]:
        qparams = self._qparams[tensor]
        zero_point = np.uint8(int(qparams.zero_point) - qparams.scheme.qmin)
        scale = self.constant(f"{tensor}.scale", qparams.scale.numpy())
        return scale, self.constant(f"{tensor}.zero_point", zero_point)
