"""An ONNX runtime as on a processor with AVX2 and no VNNI, in numpy: it shows on any processor what
an exported file gives there.

A product whose operands are all dequantized is computed on their codes. uint8 times int8 adds two
neighbours in int16, which saturates; int8 inputs are first moved to uint8, as ONNX Runtime does;
uint8 times uint8 is exact.
"""

from collections.abc import Mapping

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

DOMAIN = "codes"


def run(model: onnx.ModelProto, images: np.ndarray, saturating: bool = True) -> np.ndarray:
    """Return the logits, from the processor's products or from exact ones."""
    return run_all(model, {model.graph.input[0].name: images}, saturating)[0]


def run_all(
    model: onnx.ModelProto, inputs: Mapping[str, np.ndarray], saturating: bool = True
) -> list[np.ndarray]:
    """Return all results, of inputs by name."""
    Codes.saturating = saturating
    evaluator = ReferenceEvaluator(_on_codes(model), new_ops=[Conv, Gemm, MatMul, Pad])
    return evaluator.run(None, dict(inputs))


def with_int8_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a file whose weights of zero point 128 are int8 instead: the same numbers."""
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    for tensor in changed.graph.initializer:
        if ".weight.codes" in tensor.name or ".weight.zero_point" in tensor.name:
            shifted = numpy_helper.to_array(tensor).astype(np.int16) - 128
            tensor.CopyFrom(numpy_helper.from_array(shifted.astype(np.int8), tensor.name))
    return changed


def _on_codes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose products read the codes of their operands."""
    makers = {name: node for node in model.graph.node for name in node.output}
    nodes = []
    for node in model.graph.node:
        operands = [makers.get(name) for name in node.input]
        real = node.op_type == "MatMul" and None in operands  # with fixed weights: no layer
        if node.op_type in ("Conv", "Gemm", "MatMul") and not real:
            assert all(maker.op_type == "DequantizeLinear" for maker in operands)
            inputs = [name for maker in operands[:2] for name in maker.input] + node.input[2:]
            settings = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            node = helper.make_node(node.op_type, inputs, node.output, domain=DOMAIN, **settings)
        nodes.append(node)
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    changed.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return changed


class Codes(OpRun):
    """A product of codes, dequantized."""

    op_domain = DOMAIN
    saturating = True

    def product(self, x, x_zero_point, w, w_zero_point) -> np.ndarray:
        """Return the products of rows and weights [out, in], [..., rows, out]."""
        if x.dtype == np.int8:
            x, x_zero_point = _as_uint8(x), _as_uint8(x_zero_point)
        multiply = _in_pairs if w.dtype == np.int8 and self.saturating else _exactly
        x, w = x.astype(np.float64), w.astype(np.float64)
        # sum((x - Zx) (w - Zw)) from the product of the codes themselves.
        x_zero_point, w_zero_point = float(x_zero_point), np.float64(w_zero_point)
        along_rows = w_zero_point * (x.sum(-1, keepdims=True) - x.shape[-1] * x_zero_point)
        return multiply(x, w) - x_zero_point * w.sum(-1) - along_rows


def _exactly(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return x @ w.T


def _in_pairs(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    if x.shape[-1] % 2:
        x, w = (np.concatenate([part, 0 * part[..., :1]], -1) for part in (x, w))
    sums = [x[..., 0::2] * row[0::2] + x[..., 1::2] * row[1::2] for row in w]
    return np.stack([pairs.clip(-(2**15), 2**15 - 1).sum(-1) for pairs in sums], -1)


class Gemm(Codes):
    """Rows times weights [out, in]."""

    def _run(self, x, x_scale, x_zero_point, w, w_scale, w_zero_point, bias=None, **_):
        real = self.product(x, x_zero_point, w, w_zero_point) * (x_scale * w_scale)
        return (np.float32(real + (0 if bias is None else bias)),)


class MatMul(Codes):
    """Rows times weights [in, out]."""

    def _run(self, x, x_scale, x_zero_point, w, w_scale, w_zero_point, **_):
        return (np.float32(self.product(x, x_zero_point, w.T, w_zero_point) * (x_scale * w_scale)),)


class Conv(Codes):
    """A convolution, one group after the other."""

    def _run(self, x, x_scale, x_zero_point, w, w_scale, w_zero_point, bias=None, group=1, **moves):
        if x.ndim == 3:  # a sequence is an image of one row
            before, behind = moves["pads"]
            row = {name: [1, *moves[name]] for name in ("kernel_shape", "strides", "dilations")}
            moves |= row | {"pads": [0, before, 0, behind]}
            operands = (x[:, :, None], x_scale, x_zero_point, w[:, :, None], w_scale, w_zero_point)
            return (self._run(*operands, bias, group, **moves)[0][:, :, 0],)
        shape = (len(w), *([1] * (w.ndim - 2)))
        parts = [
            self._group(*operands, x_zero_point, moves)
            for operands in zip(
                np.split(x, group, 1),
                np.split(w, group),
                np.split(np.broadcast_to(w_zero_point, len(w)), group),
                strict=True,
            )
        ]
        real = np.concatenate(parts, 1) * (x_scale * np.broadcast_to(w_scale, len(w))).reshape(
            shape
        )
        return (np.float32(real + (0 if bias is None else bias.reshape(shape))),)

    def _group(self, x, w, w_zero_point, x_zero_point, moves):
        top, left, bottom, right = moves["pads"]
        window, stride, dilation = moves["kernel_shape"], moves["strides"], moves["dilations"]
        border = (left, right, top, bottom)
        padded = F.pad(torch.from_numpy(x.astype(np.float32)), border, value=float(x_zero_point))
        size = [
            (n - d * (k - 1) - 1) // s + 1
            for n, d, k, s in zip(padded.shape[2:], dilation, window, stride, strict=True)
        ]
        columns = F.unfold(padded, window, dilation, 0, stride).transpose(1, 2).numpy()
        rows = w.reshape(len(w), -1)
        acc = self.product(columns.astype(x.dtype), x_zero_point, rows, w_zero_point)
        return acc.transpose(0, 2, 1).reshape(len(x), len(w), *size)


class Pad(OpRun):
    """The plain operator, which also takes away: the evaluator's own only adds."""

    def _run(self, x, pads, border=None, axes=None, mode=None):
        pairs = np.stack(np.split(pads, 2), 1)[::-1].ravel().tolist()
        return (F.pad(torch.from_numpy(x), pairs, value=float(border)).numpy(),)


def _as_uint8(codes: np.ndarray) -> np.ndarray:
    return (codes.astype(np.int16) + 128).astype(np.uint8)
