"""The integers and reals that ONNX publishes for its own operators, bit for bit."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case import node as onnx_cases
from onnx.backend.test.case.node import (  # noqa: F401
    dequantizelinear,
    dynamicquantizelinear,
    quantizelinear,
)
from onnx.reference import ReferenceEvaluator
from torch.testing import assert_close

from labkit.linear import QParams, Scheme, choose_qparams, dequantize, quantize

pytestmark = pytest.mark.slow

SCHEMES = {
    TensorProto.INT2: Scheme(2),
    TensorProto.UINT2: Scheme(2, signed=False),
    TensorProto.INT4: Scheme(4),
    TensorProto.UINT4: Scheme(4, signed=False),
    TensorProto.INT8: Scheme(8),
    TensorProto.UINT8: Scheme(8, signed=False),
    TensorProto.INT16: Scheme(16),
    TensorProto.UINT16: Scheme(16, signed=False),
}
# Not integers: ONNX casts to a float format here, which has no zero point and no even steps.
FLOATS = {
    TensorProto.FLOAT8E4M3FN,
    TensorProto.FLOAT8E5M2,
    TensorProto.FLOAT4E2M1,
}
OPERATORS = ("QuantizeLinear", "DequantizeLinear")
# What onnx 1.23 publishes. A later release may add cases, which run too; none of these may vanish.
INTEGER_CASES = {
    "test_quantizelinear",
    "test_quantizelinear_axis",
    "test_quantizelinear_uint16",
    "test_quantizelinear_int16",
    "test_quantizelinear_uint4",
    "test_quantizelinear_int4",
    "test_quantizelinear_uint2",
    "test_quantizelinear_int2",
    "test_quantizelinear_blocked_asymmetric",
    "test_quantizelinear_blocked_symmetric",
    "test_dequantizelinear",
    "test_dequantizelinear_axis",
    "test_dequantizelinear_uint16",
    "test_dequantizelinear_int16",
    "test_dequantizelinear_uint4",
    "test_dequantizelinear_int4",
    "test_dequantizelinear_uint2",
    "test_dequantizelinear_int2",
    "test_dequantizelinear_blocked",
}
FLOAT_CASES = {
    "test_quantizelinear_e4m3fn",
    "test_quantizelinear_e5m2",
    "test_quantizelinear_float4e2m1",
    "test_dequantizelinear_e4m3fn",
    "test_dequantizelinear_e4m3fn_float16",
    "test_dequantizelinear_e4m3fn_zero_point",
    "test_dequantizelinear_e5m2",
    "test_dequantizelinear_float4e2m1",
}


@pytest.fixture(scope="module")
def published():
    """ONNX's node test cases, by operator and name."""
    with pytest.MonkeyPatch.context() as patch:
        # A case enters the list when its module is imported, and the three needed are. To
        # import those of all other operators would take seconds.
        patch.setattr(onnx_cases, "import_recursive", lambda package: None)
        cases = onnx_cases.collect_testcases(None)
    by_operator = {}
    for case in cases:
        by_operator.setdefault(case.model.graph.node[0].op_type, {})[case.name] = case
    return by_operator


def code_type(case):
    """The ONNX type of the case's codes: what QuantizeLinear returns, DequantizeLinear takes."""
    graph = case.model.graph
    quantizes = graph.node[0].op_type == "QuantizeLinear"
    codes = graph.output[0] if quantizes else graph.input[0]
    return codes.type.tensor_type.elem_type


def tensor(value):
    """An ONNX test value as a tensor, 2 and 4 bit integers in bytes."""
    array = numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)
    if array.dtype.kind != "f":
        array = array.astype(np.int32)
    return torch.from_numpy(array)


def differs(case):
    """Whether labkit gives another integer, or another float, than the case expects."""
    node = case.model.graph.node[0]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    ((inputs, (expected,)),) = case.data_sets
    x, scale, *rest = map(tensor, inputs)
    # Absent, the zero point is 0; some cases give the one of a tensor as a vector of one.
    zero_point = rest[0].reshape(scale.shape) if rest else torch.zeros_like(scale).int()
    scheme = SCHEMES[code_type(case)]
    axis = attributes.get("axis", 1) if scale.ndim else None
    qparams = QParams(scale, zero_point, scheme, axis, attributes.get("block_size"))
    if node.op_type == "QuantizeLinear":
        return not torch.equal(quantize(x, qparams).int(), tensor(expected))
    return not torch.equal(dequantize(x, qparams), tensor(expected))


def test_every_published_integer_case_is_identical(published):
    cases = [case for op in OPERATORS for case in published[op].values()]
    integers = [case for case in cases if code_type(case) not in FLOATS]
    assert [case.name for case in integers if differs(case)] == []
    ran = {case.name for case in integers}
    assert len(integers) == len(ran) >= len(INTEGER_CASES) == 19
    assert ran >= INTEGER_CASES


def test_only_float_codes_are_left_out(published):
    left_out = {
        case.name
        for op in OPERATORS
        for case in published[op].values()
        if code_type(case) in FLOATS
    }
    assert left_out >= FLOAT_CASES
    assert not left_out & INTEGER_CASES


def test_the_comparison_would_notice_another_code(published):
    case = published["QuantizeLinear"]["test_quantizelinear"]
    (((x, *rest), (expected,)),) = case.data_sets
    altered = type(case)(**{**vars(case), "data_sets": [((x, *rest), (expected ^ 1,))]})
    assert differs(altered)


def test_choose_qparams_agrees_with_dynamic_quantization(published):
    cases = published["DynamicQuantizeLinear"].values()
    assert len(cases) >= 3
    for case in cases:
        (((x,), (codes, scale, zero_point)),) = case.data_sets
        qparams = choose_qparams(tensor(x), Scheme(8, signed=False))
        assert_close(qparams.scale, tensor(scale))
        assert qparams.zero_point == tensor(zero_point)
        assert torch.equal(quantize(tensor(x), qparams).int(), tensor(codes))


def evaluate(operator, code_type, x, qparams):
    """Run one node in ONNX's reference evaluator."""
    value = helper.make_tensor_value_info
    in_type, out_type = TensorProto.FLOAT, code_type
    if operator == "DequantizeLinear":
        in_type, out_type = out_type, in_type
    attributes = {} if qparams.axis is None else {"axis": qparams.axis}
    if qparams.group_size is not None:
        attributes["block_size"] = qparams.group_size
    node = helper.make_node(operator, ["x", "scale", "zero_point"], ["y"], **attributes)
    inputs = [
        value("x", in_type, None),
        value("scale", TensorProto.FLOAT, None),
        value("zero_point", code_type, None),
    ]
    graph = helper.make_graph([node], operator, inputs, [value("y", out_type, None)])
    opset = max(onnx.defs.get_schema(op).since_version for op in OPERATORS)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    dtype = helper.tensor_dtype_to_np_dtype(code_type)
    x = x.numpy() if operator == "QuantizeLinear" else x.numpy().astype(dtype)
    zero_point = qparams.zero_point.numpy().astype(dtype)
    feeds = {"x": x, "scale": qparams.scale.numpy(), "zero_point": zero_point}
    (result,) = ReferenceEvaluator(model).run(None, feeds)
    return tensor(result)


@pytest.mark.parametrize("grid", [(None, None), (0, None), (2, None), (1, 3), (2, 1)])
@pytest.mark.parametrize("code_type", SCHEMES, ids=TensorProto.DataType.Name)
def test_reference_evaluator_agrees_on_random_values_ties_and_outliers(code_type, grid):
    axis, group_size = grid
    scheme = SCHEMES[code_type]
    x = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(1)) * 3
    qparams = choose_qparams(x, scheme, axis, group_size)
    scale, _ = qparams.expand_to(x.shape)
    ties = (torch.arange(x.numel()).reshape(x.shape) - 50.5) * scale
    for values in x, ties, 4 * x:
        q = quantize(values, qparams)
        assert torch.equal(q.int(), evaluate("QuantizeLinear", code_type, values, qparams))
        restored = evaluate("DequantizeLinear", code_type, q.int(), qparams)
        assert torch.equal(dequantize(q, qparams), restored)
