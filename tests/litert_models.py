"""One-layer int8 models for LiteRT: the oracle of the fixed-point rules, without TensorFlow."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

KERNELS = {
    "xnnpack": OpResolverType.AUTO,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
}
INT8, INT32 = schema.TensorType.INT8, schema.TensorType.INT32


def run(layer, kernels, x, weight, bias, x_scale, w_scales, out_scale, zero_points=(0, 0)):
    """Codes that LiteRT's ``kernels`` give for one layer.

    ``layer`` is "linear", with x [M, in] and weight [out, in], or "conv2d", with x [N, H, W, in]
    and weight [out, height, width, in]; all int8, bias int32, one scale of weights or one per
    output; ``zero_points`` of x and of the result.
    """
    model = _model(layer, x, weight, bias, x_scale, w_scales, out_scale, zero_points)
    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=KERNELS[kernels], num_threads=1
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def _model(layer, x, weight, bias, x_scale, w_scales, out_scale, zero_points):
    out = len(weight)
    if layer == "linear":
        shape = (len(x), out)
        code, options = schema.BuiltinOperator.FULLY_CONNECTED, schema.FullyConnectedOptionsT()
        kind = schema.BuiltinOptions.FullyConnectedOptions
    else:
        height, width = (n - k + 1 for n, k in zip(x.shape[1:3], weight.shape[1:3], strict=True))
        shape = (len(x), height, width, out)
        code, options = schema.BuiltinOperator.CONV_2D, schema.Conv2DOptionsT()
        kind = schema.BuiltinOptions.Conv2DOptions
        options.padding, options.strideH, options.strideW = schema.Padding.VALID, 1, 1
        options.dilationHFactor = options.dilationWFactor = 1
    bias_scales = [x_scale * s for s in w_scales]
    tensors = [
        _tensor(x.shape, INT8, [x_scale], [zero_points[0]], buffer=0),
        _tensor(weight.shape, INT8, w_scales, [0] * len(w_scales), buffer=1),
        _tensor(bias.shape, INT32, bias_scales, [0] * len(w_scales), buffer=2),
        _tensor(shape, INT8, [out_scale], [zero_points[1]], buffer=0),
    ]
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, 2], [3]
    operator.builtinOptionsType, operator.builtinOptions = kind, options
    graph = schema.SubGraphT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = tensors, [operator], [0], [3]
    model, opcode = schema.ModelT(), schema.OperatorCodeT()
    opcode.builtinCode, opcode.deprecatedBuiltinCode, opcode.version = code, code, 4
    model.version, model.operatorCodes, model.subgraphs = 3, [opcode], [graph]
    model.buffers = [_buffer(np.empty(0, np.int8)), _buffer(weight), _buffer(bias)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(shape, dtype, scales, zero_points, buffer):
    quantization = schema.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = list(scales), list(zero_points)
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.buffer = list(shape), dtype, buffer
    tensor.quantization, tensor.name = quantization, f"tensor{buffer}"
    return tensor


def _buffer(array):
    buffer = schema.BufferT()
    if array.size:
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
    return buffer
