"""The kernels: references against numpy's int64, and every road against the references.

``LABKIT_EXAMPLES=1000 pytest tests/test_kernels.py`` looks longer.
"""

import copy
import os
import pickle
import random
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import PATTERNS, accumulators, codes, oracle, random_layer
from torch.testing import assert_close

from labkit.kernels import (
    QuantizedConv2d,
    QuantizedLinear,
    add,
    conv2d,
    engines,
    gemm,
    im2col,
    linear,
    quantize_bias,
    roads,
)
from labkit.linear import choose_qparams, dequantize, quantize
from labkit.qparams import QParams, Scheme

pytestmark = pytest.mark.slow

UINT8, UINT7, INT8 = Scheme(8, signed=False), Scheme(7, signed=False), Scheme(8)
WEIGHTS = Scheme(8, symmetric=True)
EXAMPLES = int(os.environ.get("LABKIT_EXAMPLES", "25"))

often = settings(max_examples=EXAMPLES, deadline=None)
# hypothesis owns the generator: it shrinks a failing layer to a small one.
generators = st.randoms(use_true_random=False)


def per_tensor(scale, zero_point, scheme):
    return QParams(scale, zero_point, scheme)


def linear_arguments(inputs=24, out=8, activations=UINT8, weights=WEIGHTS, **changes):
    rng = random.Random(0)
    arguments = {
        "q_w": codes(rng, weights, (out, inputs), "random"),
        "w_qparams": QParams(
            torch.full((out,), 0.01), torch.full((out,), weights.middle), weights, 0
        ),
        "bias": torch.linspace(-1, 1, out),
        "x_qparams": per_tensor(0.02, activations.qmin + 3, activations),
        "out_qparams": per_tensor(0.11, 4, UINT8),
    }
    return arguments | changes


def conv_arguments(inputs=8, out=8, kernel=(3, 3), groups=1, activations=UINT8, **changes):
    arguments = linear_arguments(inputs, out, activations) | {"groups": groups, "padding": 1}
    arguments["q_w"] = codes(random.Random(1), WEIGHTS, (out, inputs // groups, *kernel), "random")
    return arguments | changes


def some_input(arguments, *shape):
    return codes(random.Random(2), arguments["x_qparams"].scheme, shape, "random")


def outputs_last(q):
    return q.movedim(1, -1) if q.ndim == 4 else q


# gemm


@given(st.data())
@settings(deadline=None)
def test_gemm_is_the_sum_of_corrected_products(data):
    rows, length, columns = (data.draw(st.integers(1, 12)) for _ in range(3))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    kinds = [(np.int8, -128, 127), (np.uint8, 0, 255), (np.int16, -(2**15), 2**15 - 1)]
    (left, *left_range), (right, *right_range) = (data.draw(st.sampled_from(kinds)) for _ in "ab")
    lhs = rng.integers(*left_range, (rows, length), endpoint=True).astype(left)
    rhs = rng.integers(*right_range, (length, columns), endpoint=True).astype(right)
    z_lhs = rng.integers(*left_range, data.draw(st.sampled_from([(), (1,), (rows,)])))
    z_rhs = rng.integers(*right_range, data.draw(st.sampled_from([(), (1,), (columns,)])))
    exact = (lhs.astype(np.int64) - np.reshape(z_lhs, (-1, 1))) @ (rhs.astype(np.int64) - z_rhs)
    if np.abs(exact).max() >= 2**31:
        return
    operands = (torch.as_tensor(value) for value in (lhs, rhs, z_lhs, z_rhs))
    result = gemm(*operands)
    assert result.dtype == torch.int32
    assert np.array_equal(result.numpy(), exact)


def test_gemm_reads_transposed_and_strided_operands():
    q = torch.arange(-60, 60, dtype=torch.int8).reshape(10, 12)
    assert torch.equal(gemm(q.t()[::2], q[:, ::3]), q.t()[::2].int() @ q[:, ::3].int())


@pytest.mark.parametrize(("length", "sign"), [(133_152, 1), (131_072, -1)])
def test_an_overflow_of_int32_is_detected_at_the_first_product_too_many(length, sign):
    """127 * 127 fits 133,144 times into int32; (-128) * 128 exactly 131,072 times, as -2^31."""
    lhs = torch.full((1, length), sign * 127 if sign > 0 else -128, dtype=torch.int8)
    rhs = torch.full((length, 1), 127 if sign > 0 else 128, dtype=torch.uint8)
    fits = (2**31 - (sign > 0)) // (127 * 127 if sign > 0 else 128 * 128)
    assert int(gemm(lhs[:, :fits], rhs[:fits])) == fits * (127 * 127 if sign > 0 else -(2**14))
    lhs, rhs = (torch.cat([t, t[:1, :1].expand_as(t)], d) for t, d in ((lhs, 1), (rhs, 0)))
    with pytest.raises(ValueError, match="an int32 accumulator overflows, and would wrap"):
        gemm(lhs[:, : fits + 1], rhs[: fits + 1])


def test_gemm_says_what_it_expects():
    q = torch.zeros(2, 3, dtype=torch.int8)
    with pytest.raises(ValueError, match=r"q_lhs has shape \(2, 3\) and q_rhs \(2, 3\)"):
        gemm(q, q)
    with pytest.raises(TypeError, match="q_rhs has dtype float32; expected an integer tensor"):
        gemm(q, q.t().float())
    with pytest.raises(
        ValueError, match=r"lhs_zero_point has shape \(3,\); expected one number, or"
    ):
        gemm(q, q.t(), lhs_zero_point=torch.zeros(3, dtype=torch.int32))
    with pytest.raises(ValueError, match="codes from 0 to 100000; expected -32768 to 65535"):
        gemm(torch.tensor([[0, 100000]]), torch.zeros(2, 1, dtype=torch.int8))
    with pytest.raises(ValueError, match="inner dimension is 1048577"):
        gemm(
            torch.zeros(1, 2**20 + 1, dtype=torch.int8), torch.zeros(2**20 + 1, 1, dtype=torch.int8)
        )


# im2col


def test_im2col_by_hand():
    q_x = torch.arange(9, dtype=torch.uint8).reshape(1, 1, 3, 3)
    assert im2col(q_x, 2).tolist() == [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]
    padded = im2col(q_x, (1, 3), stride=2, padding=(0, 1), zero_point=77)
    assert padded.tolist() == [[77, 1, 77, 7], [0, 2, 6, 8], [1, 77, 7, 77]]
    assert padded.dtype == torch.uint8


def test_im2col_puts_images_side_by_side():
    q_x = torch.randint(0, 256, (3, 2, 6, 5)).to(torch.uint8)
    columns = im2col(q_x, 3, dilation=(2, 1), padding=1, zero_point=9)
    one_by_one = [im2col(image[None], 3, dilation=(2, 1), padding=1, zero_point=9) for image in q_x]
    assert torch.equal(columns, torch.cat(one_by_one, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 4}, "does not fit into an image of"),
        ({"kernel_size": 2, "stride": 0}, "stride is 0; expected 1 or more"),
        ({"kernel_size": 2, "padding": -1}, "padding is -1; expected 0 or more"),
        ({"kernel_size": (2, 0)}, r"kernel_size is \(2, 0\); expected 1 or more"),
    ],
)
def test_im2col_refuses_windows_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        im2col(torch.zeros(1, 1, 3, 3, dtype=torch.int8), **arguments)


# The bias


def test_the_bias_is_counted_in_steps_of_both_scales():
    x, w = per_tensor(0.5, 3, UINT8), QParams([0.25, 0.5, 2.0], [0, 0, 0], WEIGHTS, axis=0)
    assert quantize_bias(torch.tensor([1.0, 0.6, -0.5]), x, w).tolist() == [8, 2, 0]
    assert quantize_bias(torch.tensor([1.0, 0.6, -0.5]), x, w).dtype == torch.int32


def test_a_bias_that_int32_cannot_hold_is_refused():
    x, w = per_tensor(1e-6, 3, UINT8), QParams([1e-6, 1.0], [0, 0], WEIGHTS, axis=0)
    with pytest.raises(ValueError, match=r"the first bias\[0\] = 3, more than 2\^31 steps|bias"):
        quantize_bias(torch.tensor([3.0, 3.0]), x, w)


# References


@often
@given(generators)
def test_references_are_the_formula_in_numpy(rng):
    module, arguments, inputs = random_layer(rng)
    result = module(**arguments, backend="reference")(*inputs)
    assert result.dtype == arguments["out_qparams"].scheme.dtype
    assert np.array_equal(outputs_last(result).numpy(), oracle(arguments, inputs))


@often
@given(generators)
def test_codes_stand_for_the_real_layer(rng):
    """Dequantized, the result is that of torch's float64 layer, rounded and clipped once."""
    module, arguments, inputs = random_layer(rng, patterns=("random",))
    arguments.pop("residual_qparams", None)
    x = dequantize(inputs[0], arguments["x_qparams"]).double()
    weight = dequantize(arguments["q_w"], arguments["w_qparams"]).double()
    bias = None if arguments["bias"] is None else arguments["bias"].double()
    if module is QuantizedLinear:
        real = F.linear(x, weight, bias)
    else:
        moves = {k: arguments[k] for k in ("stride", "padding", "dilation", "groups")}
        real = F.conv2d(x, weight, bias, **moves)
    real = real.relu() if arguments["relu"] else real
    qparams, scheme = arguments["out_qparams"], arguments["out_qparams"].scheme
    low, high = (
        float((q - qparams.zero_point) * qparams.scale) for q in (scheme.qmin, scheme.qmax)
    )
    result = dequantize(module(**arguments)(inputs[0]), qparams)
    # Half a step of the result, and half a step of the accumulators' grid for the bias.
    steps = qparams.scale + (arguments["x_qparams"].scale * arguments["w_qparams"].scale).max()
    assert_close(result.double(), real.clamp(low, high), atol=float(steps) * 0.501, rtol=0)


def test_functions_and_modules_are_the_same():
    arguments = linear_arguments()
    q_x = some_input(arguments, 5, 24)
    for backend in ("reference", "torch"):
        module = QuantizedLinear(**arguments, relu=True, backend=backend)
        assert torch.equal(linear(q_x, **arguments, relu=True, backend=backend), module(q_x))
    arguments = conv_arguments(stride=2, residual_qparams=per_tensor(0.2, 7, UINT8))
    q_x, q_residual = some_input(arguments, 2, 8, 6, 6), some_input(arguments, 2, 8, 3, 3)
    expected = QuantizedConv2d(**arguments)(q_x, q_residual)
    assert torch.equal(conv2d(q_x, **arguments, q_residual=q_residual), expected)


# The fast backend


@often
@given(generators)
def test_both_backends_give_the_same_integers(rng):
    module, arguments, inputs = random_layer(rng)
    expected = module(**arguments, backend="reference")(*inputs)
    assert torch.equal(module(**arguments)(*inputs), expected)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("inputs", [2, 255, 700])
def test_full_range_operands_do_not_saturate(pattern, inputs):
    arguments = linear_arguments(inputs, 33)
    for weight_pattern in PATTERNS:
        arguments["q_w"] = codes(random.Random(3), WEIGHTS, (33, inputs), weight_pattern)
        arguments["out_qparams"] = per_tensor(0.02 * inputs, 128, UINT8)
        q_x = codes(random.Random(4), UINT8, (9, inputs), pattern)
        expected = linear(q_x, **arguments)
        assert torch.equal(linear(q_x, **arguments, backend="torch"), expected)


@pytest.mark.parametrize("engine", torch.backends.quantized.supported_engines)
def test_torchs_choice_of_engine_changes_nothing(engine, monkeypatch):
    monkeypatch.setattr(torch.backends.quantized, "engine", engine)
    rng = random.Random(5)
    for _ in range(5):
        module, arguments, inputs = random_layer(rng, patterns=("extremes",))
        expected = module(**arguments, backend="reference")(*inputs)
        assert torch.equal(module(**arguments)(*inputs), expected)


@pytest.mark.parametrize(
    "size", [(14, 5), (3, 4), (1, 2), (9, 1)], ids=lambda size: f"{size[0]}x{size[1]}"
)
@pytest.mark.parametrize("inputs", [1, 8])
def test_windows_at_the_edge(size, inputs):
    """One channel with a stride, windows in the padding alone, images smaller than a step."""
    for kernel, moves in [
        ((3, 4), {"stride": (1, 2), "padding": (1, 2)}),
        ((1, 1), {"stride": (1, 2), "padding": (0, 1)}),
        ((2, 2), {"dilation": (1, 3), "padding": (1, 3)}),
        ((1, 2), {"padding": (3, 4)}),
    ]:
        arguments = conv_arguments(inputs, 16, kernel, **moves)
        q_x = some_input(arguments, 2, inputs, *size)
        if size[0] + 2 * moves["padding"][0] >= kernel[0]:
            expected = conv2d(q_x, **arguments)
            assert torch.equal(conv2d(q_x, **arguments, backend="torch"), expected)


@pytest.mark.parametrize(
    ("inputs", "out", "kernel", "size", "moves"),
    [
        (1, 25, (1, 1), (7, 1), {"stride": (1, 2), "padding": (0, 1)}),
        (31, 34, (4, 1), (3, 1), {"stride": (1, 2), "padding": (1, 1), "dilation": (1, 3)}),
        (30, 37, (1, 2), (3, 1), {"stride": (3, 2), "padding": (1, 3), "dilation": (1, 2)}),
    ],
)
def test_windows_that_end_the_process_in_the_engine(inputs, out, kernel, size, moves):
    """On AVX-512, where the window lies in the padding alone; so the engine must not see them."""
    arguments = conv_arguments(inputs, out, kernel, **moves)
    q_x = some_input(arguments, 3, inputs, *size)
    assert torch.equal(conv2d(q_x, **arguments, backend="torch"), conv2d(q_x, **arguments))


def test_inputs_in_any_memory_layout():
    arguments = conv_arguments()
    q_x = some_input(arguments, 2, 8, 6, 5)
    module = QuantizedConv2d(**arguments)
    expected = conv2d(q_x, **arguments)
    for same in (
        q_x.contiguous(memory_format=torch.channels_last),
        q_x.transpose(2, 3).contiguous().transpose(2, 3),
        torch.cat([q_x, q_x], 3)[..., :5],
    ):
        assert torch.equal(module(same), expected)
    arguments = linear_arguments()
    q_x = some_input(arguments, 4, 6, 24)
    expected = linear(q_x, **arguments)
    for same in (q_x.transpose(0, 1).contiguous().transpose(0, 1), torch.cat([q_x, q_x], 1)[:, :6]):
        assert torch.equal(linear(same, **arguments, backend="torch"), expected)
    strided = arguments | {"q_w": arguments["q_w"].t().contiguous().t()}
    assert torch.equal(linear(q_x, **strided, backend="torch"), expected)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_residual_is_left_as_it_was(layout):
    arguments = conv_arguments(residual_qparams=per_tensor(0.2, 7, UINT8))
    q_x, q_residual = some_input(arguments, 1, 8, 4, 4), some_input(arguments, 1, 8, 4, 4)
    q_residual = q_residual.contiguous(memory_format=layout)
    before = q_residual.clone()
    QuantizedConv2d(**arguments)(q_x, q_residual)
    assert torch.equal(q_residual, before)


@pytest.mark.skipif(not engines.usable(), reason="torch has no oneDNN operators here")
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("out", [UINT8, UINT7, INT8, Scheme(7), Scheme(4, signed=False)])
@pytest.mark.parametrize("residual", [None, UINT8, UINT7, INT8, Scheme(7)])
def test_the_engine_itself_computes_ordinary_images(monkeypatch, relu, out, residual):
    """Without the exact road to fall back on, for every way in which a result is clamped."""

    def used(*arguments):
        raise AssertionError("the exact road was taken")

    monkeypatch.setattr(roads.ExactRoad, "__call__", used)
    arguments = conv_arguments(relu=relu, out_qparams=per_tensor(0.1, out.qmin + 2, out))
    q_x = some_input(arguments, 2, 8, 7, 6)
    inputs = [q_x]
    if residual:
        arguments["residual_qparams"] = per_tensor(0.3, residual.qmin + 5, residual)
        inputs.append(codes(random.Random(7), residual, q_x.shape, "random"))
    for zero_point in (out.qmin + 2, max(out.qmin, 0)):
        arguments["out_qparams"] = per_tensor(0.1, zero_point, out)
        expected = QuantizedConv2d(**arguments, backend="reference")(*inputs)
        assert torch.equal(QuantizedConv2d(**arguments)(*inputs), expected)


# Roads


def chosen(monkeypatch, saturates, kind=QuantizedLinear, usable=True, **arguments):
    monkeypatch.setattr(engines, "usable", lambda: usable)
    monkeypatch.setattr(engines, "saturates", lambda depthwise=False: saturates and not depthwise)
    return kind(**arguments).road


@pytest.mark.skipif(not engines.usable(), reason="torch has no oneDNN operators here")
@pytest.mark.parametrize(
    ("activations", "weights", "road"),
    [
        (UINT8, WEIGHTS, "int8 half twice"),
        (INT8, WEIGHTS, "int8 half twice"),
        (UINT7, WEIGHTS, "int8"),
        (Scheme(7), WEIGHTS, "int8"),
        (UINT8, Scheme(7, symmetric=True), "int8"),
        (UINT8, Scheme(8, signed=False, symmetric=True), "int8 half twice"),
        (UINT8, Scheme(4, signed=False), "int8"),
    ],
)
def test_the_road_follows_from_what_the_operands_can_hold(monkeypatch, activations, weights, road):
    arguments = linear_arguments(activations=activations, weights=weights)
    assert chosen(monkeypatch, saturates=True, **arguments) == road
    assert chosen(monkeypatch, saturates=False, **arguments) == "int8"
    assert chosen(monkeypatch, saturates=True, usable=False, **arguments) == "float32"


@pytest.mark.skipif(not engines.usable(), reason="torch has no oneDNN operators here")
def test_the_road_of_grouped_convolutions(monkeypatch):
    saturating = {"monkeypatch": monkeypatch, "saturates": True, "kind": QuantizedConv2d}
    assert chosen(**saturating, **conv_arguments()) == "int8 twice"
    assert chosen(**saturating, **conv_arguments(groups=8)) == "int8"
    assert chosen(**saturating, **conv_arguments(groups=2)) == "float32"
    assert chosen(**saturating, **conv_arguments(groups=2, activations=UINT7)) == "int8"
    assert chosen(**saturating, **conv_arguments(6, 6, groups=2, activations=UINT7)) == "float32"


def test_weights_that_need_nine_bits_and_sums_that_need_33_take_the_exact_road():
    scheme = Scheme(8, signed=False)
    w_qparams = per_tensor(0.01, 0, scheme)
    q_w = torch.full((4, 24), 200, dtype=torch.uint8)
    assert (
        QuantizedLinear(**linear_arguments(out=4, q_w=q_w, w_qparams=w_qparams)).road == "float32"
    )
    long = linear_arguments(
        70_000, 1, bias=None, q_w=torch.full((1, 70_000), 127, dtype=torch.int8)
    )
    assert QuantizedLinear(**long).road == "float32"


@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_both_backends_detect_an_accumulator_overflow(backend):
    arguments = linear_arguments(70_000, 1, bias=None)
    arguments["q_w"] = torch.full((1, 70_000), 127, dtype=torch.int8)
    module = QuantizedLinear(**arguments, backend=backend)
    fits = torch.full((1, 70_000), 200, dtype=torch.uint8)
    assert module(fits).tolist() == [[255]]
    with pytest.raises(ValueError, match="an int32 accumulator overflows"):
        module(torch.full((1, 70_000), 255, dtype=torch.uint8))


def test_an_engine_that_errs_for_an_image_size_is_not_used_for_it(monkeypatch):
    """The look at random codes is what notices; the kernel itself is made to err here."""
    if not engines.usable():
        pytest.skip("torch has no oneDNN operators here")
    run = engines.Convolution.__call__
    monkeypatch.setattr(
        engines.Convolution,
        "__call__",
        lambda self, x, q_residual=None: run(self, x, q_residual) ^ (x.shape[3] == 5),
    )
    arguments = conv_arguments(activations=UINT7)
    module = QuantizedConv2d(**arguments)
    assert module.road == "int8"
    for width in (5, 6):
        q_x = some_input(arguments, 3, 8, 7, width)
        assert torch.equal(module(q_x), conv2d(q_x, **arguments))


# Without an engine, and in unusual surroundings


@often
@given(generators)
def test_without_an_engine_the_integers_are_the_same(rng):
    module, arguments, inputs = random_layer(rng)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "usable", lambda: False)
        fast = module(**arguments)
    assert fast.road == "float32"
    assert torch.equal(fast(*inputs), module(**arguments, backend="reference")(*inputs))


@pytest.fixture
def exact_road(monkeypatch):
    monkeypatch.setattr(engines, "usable", lambda: False)


@pytest.mark.parametrize("inputs", [514, 515, 1500])
@pytest.mark.usefixtures("exact_road")
def test_long_sums_are_cut_where_float32_ends(inputs):
    """255 * 128 * 514 is the last sum below 2^24."""
    arguments = linear_arguments(inputs, 3, x_qparams=per_tensor(0.02, 0, UINT8))
    arguments["q_w"] = torch.full((3, inputs), -128, dtype=torch.int8)
    arguments["q_w"][1, -1] = 127
    arguments["out_qparams"] = per_tensor(2.0**-8, 0, UINT8)
    module = QuantizedLinear(**arguments)
    q_x = torch.full((2, inputs), 255, dtype=torch.uint8)
    acc = module._road.accumulators(q_x)
    assert np.array_equal(acc.numpy(), accumulators(arguments, q_x))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.usefixtures("exact_road")
def test_long_sums_of_a_convolution_are_cut(groups):
    still = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": groups}
    arguments = conv_arguments(200, 2, (3, 3), **still, x_qparams=per_tensor(0.02, 0, UINT8))
    arguments["q_w"] = torch.full((2, 200 // groups, 3, 3), -128, dtype=torch.int8)
    arguments["q_w"][0, ::3] = 127
    q_x = some_input(arguments, 1, 200, 5, 5)
    q_x[:, ::2] = 255
    acc = QuantizedConv2d(**arguments)._road.accumulators(q_x)
    assert np.array_equal(acc.movedim(1, -1).numpy(), accumulators(arguments, q_x))


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
@pytest.mark.usefixtures("exact_road")
def test_the_exact_road_is_exact_in_unusual_surroundings():
    """Winograd convolutions, bfloat16 products and another default dtype would all change it."""
    arguments = conv_arguments(64, 16)
    q_x = some_input(arguments, 16, 64, 12, 12)
    expected = conv2d(q_x, **arguments)
    module = QuantizedConv2d(**arguments)
    with torch.backends.mkldnn.flags(enabled=False):
        assert torch.equal(module(q_x), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(module(q_x), expected)
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(QuantizedConv2d(**arguments)(q_x), expected)
    finally:
        torch.set_default_dtype(torch.float32)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(module(q_x), expected)
    finally:
        torch.set_float32_matmul_precision(before)


def test_kernels_run_under_autograd_and_leave_no_graph():
    arguments = linear_arguments()
    arguments["bias"] = arguments["bias"].requires_grad_()
    result = QuantizedLinear(**arguments)(some_input(arguments, 3, 24))
    assert not result.requires_grad


# Addition


@given(generators)
@settings(deadline=None)
def test_add_is_its_formula_in_float32(rng):
    draw = np.random.default_rng(rng.getrandbits(32))
    schemes = [Scheme(rng.choice([4, 7, 8]), signed=rng.random() < 0.5) for _ in range(3)]
    a, b, out = (
        per_tensor(rng.uniform(0.01, 0.1), rng.randint(s.qmin, s.qmax), s) for s in schemes
    )
    q_a, q_b = (codes(rng, q.scheme, (3, 4, 5), "random") for q in (a, b))
    relu = bool(draw.integers(2))
    terms = [
        (q.numpy().astype(np.float32) - np.float32(p.zero_point))
        * np.float32(np.float64(p.scale) / np.float64(out.scale))
        for q, p in ((q_a, a), (q_b, b))
    ]
    real = terms[0] + terms[1] + np.float32(out.zero_point)
    low = int(out.zero_point) if relu else out.scheme.qmin
    result = add(q_a, a, q_b, b, out, relu)
    assert np.array_equal(result.numpy(), np.clip(np.rint(real), low, out.scheme.qmax))
    assert result.dtype == out.scheme.dtype


def test_add_leaves_its_operands_and_refuses_other_shapes():
    q, qparams = torch.tensor([1, 2, 3], dtype=torch.uint8), per_tensor(0.1, 0, UINT8)
    assert add(q, qparams, q, qparams, per_tensor(0.2, 0, UINT8)).tolist() == [1, 2, 3]
    assert q.tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match=r"q_a has shape \(3,\) and q_b \(2,\)"):
        add(q, qparams, q[:2], qparams, qparams)
    with pytest.raises(TypeError, match="q_b has dtype int8; expected uint8"):
        add(q, qparams, q.to(torch.int8), qparams, qparams)


# Modules


def test_modules_can_be_copied_and_sent():
    arguments = conv_arguments()
    module = QuantizedConv2d(**arguments)
    q_x = some_input(arguments, 1, 8, 5, 5)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(twin(q_x), module(q_x))
        assert twin.road == module.road
    with pytest.raises(TypeError, match="has no state_dict"):
        module.state_dict()
    assert "q_w=(8, 8, 3, 3)" in repr(module)


def test_seven_bit_activations_leave_a_layer_as_seven_bits():
    arguments = linear_arguments(out_qparams=per_tensor(0.001, 0, UINT7))
    result = QuantizedLinear(**arguments, relu=True)(some_input(arguments, 64, 24))
    assert int(result.max()) == 127


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize(
    ("q_x", "error", "message"),
    [
        (torch.zeros(2, 24), TypeError, "q_x has dtype float32; expected an integer tensor"),
        (torch.zeros(2, 24, dtype=torch.int8), TypeError, "q_x has dtype int8; expected uint8"),
        (torch.zeros(2, 23, dtype=torch.uint8), ValueError, r"expected \[..., 24\]"),
        (
            torch.full((2, 24), 128, dtype=torch.uint8),
            ValueError,
            "codes from 128 to 128; expected 0",
        ),
        (torch.zeros(0, 24, dtype=torch.uint8), ValueError, "q_x is empty"),
        ([[0] * 24], TypeError, "q_x is of type list; expected torch.Tensor"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(backend, q_x, error, message):
    module = QuantizedLinear(**linear_arguments(activations=UINT7), backend=backend)
    with pytest.raises(error, match=message):
        module(q_x)


def test_images_and_residuals_that_do_not_fit_are_refused():
    image = torch.zeros(1, 8, 5, 5, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"q_x has shape \(1, 7, 5, 5\); expected \[N, 8, H, W\]"):
        QuantizedConv2d(**conv_arguments())(image[:, :7])
    with pytest.raises(ValueError, match="q_residual is given; expected one exactly if"):
        QuantizedConv2d(**conv_arguments())(image, image)
    with_residual = QuantizedConv2d(**conv_arguments(residual_qparams=per_tensor(0.1, 0, UINT8)))
    with pytest.raises(ValueError, match="q_residual is missing"):
        with_residual(image)
    with pytest.raises(ValueError, match=r"q_residual has shape .*; expected \(1, 8, 5, 5\)"):
        with_residual(image, image[..., :4])
    with pytest.raises(ValueError, match="does not fit into"):
        QuantizedConv2d(**conv_arguments(padding=0))(image[:, :, :2])


GROUPED = QParams(torch.full((8, 2), 0.01), torch.zeros(8, 2, dtype=torch.int32), WEIGHTS, 1, 12)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"w_qparams": GROUPED}, ValueError, "axis=1, group_size=12"),
        ({"w_qparams": 0.1}, TypeError, "w_qparams is of type float"),
        ({"w_qparams": per_tensor(0.1, 0, Scheme(16))}, ValueError, "w_qparams have 16 bits"),
        ({"x_qparams": per_tensor(0.1, 0, Scheme(16))}, ValueError, "x_qparams have 16 bits"),
        ({"x_qparams": GROUPED}, ValueError, "x_qparams are per channel"),
        ({"q_w": torch.zeros(7, 24, dtype=torch.int8)}, ValueError, "7"),
        ({"q_w": torch.zeros(8, 24, dtype=torch.uint8)}, TypeError, "q_w has dtype uint8"),
        ({"q_w": torch.zeros(8, 24, 1, dtype=torch.int8)}, ValueError, r"expected \[out, in\]"),
        ({"bias": torch.zeros(7)}, ValueError, r"bias has shape \(7,\); expected \(8,\)"),
        ({"bias": torch.full((8,), torch.nan)}, ValueError, "bias"),
        ({"backend": "fast"}, ValueError, "backend is 'fast'; expected 'reference' or 'torch'"),
        ({"relu": None}, TypeError, "relu is None; expected True or False"),
    ],
)
def test_layers_that_do_not_fit_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        QuantizedLinear(**linear_arguments() | changes)


def test_groups_that_do_not_divide_the_outputs_are_refused():
    with pytest.raises(ValueError, match="q_w has 8 outputs, which groups=3 cannot divide"):
        QuantizedConv2d(**conv_arguments(groups=3))
    with pytest.raises(ValueError, match="groups is 0; expected 1 or more"):
        QuantizedConv2d(**conv_arguments() | {"groups": 0})


# ONNX's published node tests


@pytest.fixture(scope="module")
def node_tests():
    node = pytest.importorskip("onnx.backend.test.case.node")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of ONNX's own, while it makes all of its cases
        return {case.name: case for case in node.collect_testcases(None)}


def as_qparams(scale, zero_point):
    """From ONNX's scale and zero point; its weights' scale [out] is one per channel."""
    signed = zero_point.dtype == np.int8
    return QParams(
        torch.tensor(float(scale.reshape(()))),
        torch.tensor(int(zero_point.reshape(()))),
        Scheme(8, signed),
    )


@pytest.mark.parametrize(
    "name",
    [
        f"test_qlinearmatmul_{rank}_{dtype}_{scales}"
        for rank in ("2D", "3D")
        for dtype in ("uint8", "int8")
        for scales in ("float32", "float16")
    ],
)
@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_onnx_qlinearmatmul(node_tests, name, backend):
    (a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero), (expected,) = node_tests[
        name
    ].data_sets[0]
    a_qparams, b_qparams, y_qparams = (
        as_qparams(s, z) for s, z in ((a_scale, a_zero), (b_scale, b_zero), (y_scale, y_zero))
    )
    for q_a, q_b, q_y in zip(*(np.atleast_3d(t.T).T for t in (a, b, expected)), strict=True):
        q_w = torch.tensor(q_b.T)
        result = linear(
            torch.tensor(q_a), a_qparams, q_w, b_qparams, None, y_qparams, backend=backend
        )
        assert np.array_equal(result.numpy(), q_y)


@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_onnx_qlinearconv(node_tests, backend):
    (x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero), (expected,) = node_tests[
        "test_qlinearconv"
    ].data_sets[0]
    result = conv2d(
        torch.tensor(x),
        as_qparams(x_scale, x_zero),
        torch.tensor(w),
        as_qparams(w_scale, w_zero),
        None,
        as_qparams(y_scale, y_zero),
        backend=backend,
    )
    assert np.array_equal(result.numpy(), expected)


def test_onnx_matmulinteger(node_tests):
    operands, (expected,) = node_tests["test_matmulinteger"].data_sets[0]
    assert np.array_equal(gemm(*(torch.tensor(t) for t in operands)).numpy(), expected)


@pytest.mark.parametrize(
    "name", ["test_convinteger_without_padding", "test_convinteger_with_padding"]
)
def test_onnx_convinteger(node_tests, name):
    (x, w, x_zero, *w_zero), (expected,) = node_tests[name].data_sets[0]
    padding = (expected.shape[2] - x.shape[2] + w.shape[2] - 1) // 2
    columns = im2col(torch.tensor(x), w.shape[2:], padding=padding, zero_point=int(x_zero))
    acc = gemm(
        torch.tensor(w).flatten(1), columns, torch.tensor(w_zero[0] if w_zero else 0), int(x_zero)
    )
    assert np.array_equal(acc.reshape(expected.shape).numpy(), expected)


# A layer end to end


def test_a_quantized_layer_follows_its_float_layer():
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(16, 32, 3, stride=2, padding=1).eval()
    x = torch.randn(4, 16, 20, 20).relu()
    with torch.no_grad():
        y = layer(x).relu()
    x_qparams, y_qparams = choose_qparams(x, UINT8), choose_qparams(y, UINT8)
    w_qparams = choose_qparams(layer.weight, WEIGHTS, axis=0)
    module = QuantizedConv2d(
        quantize(layer.weight, w_qparams),
        w_qparams,
        layer.bias,
        x_qparams,
        y_qparams,
        relu=True,
        stride=2,
        padding=1,
    )
    q_y = module(quantize(x, x_qparams))
    error = dequantize(q_y, y_qparams) - y
    assert float(error.square().mean().sqrt()) < 0.02 * float(y.std())
    assert roads.choose_road(module._layer, "reference")(quantize(x, x_qparams)).equal(q_y)
