"""Integer operations against the formula in float64, ties included."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labkit.linear import dequantize
from labkit.ptq import convert, fold_batchnorm
from labkit.ptq.functions import COMBINATIONS, called
from labkit.ptq.operators import (
    LARGEST_WINDOW,
    Add,
    AveragePool,
    Clamp,
    Combination,
    Concatenate,
    Flatten,
    MaxPool,
    Multiply,
    Pad,
    Rescale,
    Table,
    code_of,
)
from labkit.qparams import QParams, Scheme

UINT8 = Scheme(8, signed=False)
TIE = 1e-4  # of a step: how far float32 may be from float64 near a tie

often = settings(max_examples=60, deadline=None)


@st.composite
def grids(draw):
    """Scales that are powers of two hit ties exactly, in float32 as in float64."""
    scheme = Scheme(draw(st.integers(4, 8)), signed=draw(st.booleans()))
    exponent = draw(st.integers(-5, -2))
    scale = 2.0**exponent * draw(st.sampled_from([1.0, 1.0, 1.37, 1.91]))
    return QParams(scale, draw(st.integers(scheme.qmin, scheme.qmax)), scheme)


def codes(draw, grid, shape):
    seed = draw(st.integers(0, 2**32 - 1))
    values = np.random.default_rng(seed).integers(grid.scheme.qmin, grid.scheme.qmax + 1, shape)
    return torch.from_numpy(values).to(grid.scheme.dtype)


def real(q, grid):
    return (q.numpy().astype(np.float64) - int(grid.zero_point)) * float(grid.scale)


def is_power_of_two(*qparams):
    return all(np.frexp(float(grid.scale))[0] == 0.5 for grid in qparams)


def agree(q, value, out, exact, relu=False):
    """Compare with ``clamp(round(value / S + Z), low, qmax)``, ties to even."""
    assert q.dtype == out.scheme.dtype
    low = int(out.zero_point) if relu else out.scheme.qmin
    steps = value / float(out.scale) + int(out.zero_point)
    expected = np.clip(np.rint(steps), low, out.scheme.qmax)
    assert q.shape == expected.shape
    differs = q.numpy().astype(np.float64) != expected
    if exact:
        assert not differs.any()
    else:
        to_tie = np.abs(np.abs(steps - np.floor(steps)) - 0.5)
        assert (to_tie[differs] < TIE).all()
        assert (np.abs(q.numpy() - expected)[differs] == 1).all()


@given(st.data(), st.booleans())
@often
def test_addition(data, relu):
    a, b, out = (data.draw(grids()) for _ in range(3))
    q_a, q_b = (codes(data.draw, grid, (2, 3, 4, 4)) for grid in (a, b))
    q = Add([a, b], out, relu)(q_a, q_b)
    agree(q, real(q_a, a) + real(q_b, b), out, is_power_of_two(a, b, out), relu)


@given(st.data())
@often
def test_rescaling_and_concatenation(data):
    parts, out = (
        [data.draw(grids()) for _ in range(data.draw(st.integers(1, 3)))],
        data.draw(grids()),
    )
    inputs = [codes(data.draw, grid, (2, i + 1, 3, 3)) for i, grid in enumerate(parts)]
    q = Concatenate(parts, out)(*inputs)
    value = np.concatenate([real(q, grid) for q, grid in zip(inputs, parts, strict=True)], axis=1)
    agree(q, value, out, is_power_of_two(*parts, out))
    agree(Rescale(parts[0], out)(inputs[0]), real(inputs[0], parts[0]), out, False)


def test_a_grid_of_the_same_values_moves_nothing():
    grid = QParams(0.1, 3, UINT8)
    q = torch.arange(8, dtype=torch.uint8)
    assert Rescale(grid, QParams(0.1, 3, UINT8))(q) is q
    assert Rescale(grid, QParams(0.1, 4, UINT8))(q) is not q
    clipped = Rescale(grid, QParams(0.1, 3, Scheme(2, signed=False)))(q)
    assert clipped.tolist() == [0, 1, 2, 3, 3, 3, 3, 3]


@given(st.data())
@often
def test_average_pooling(data):
    x, out = data.draw(grids()), data.draw(grids())
    kernel = [data.draw(st.integers(1, 4)) for _ in "hw"]
    stride = [data.draw(st.integers(1, 3)) for _ in "hw"]
    padding = [data.draw(st.integers(0, k // 2)) for k in kernel]
    size = [data.draw(st.integers(k, 9)) for k in kernel]
    q_x = codes(data.draw, x, (2, 3, *size))
    if data.draw(st.booleans()):
        q_x = q_x.contiguous(memory_format=torch.channels_last)
    q = AveragePool(x, out, kernel, stride, padding)(q_x)
    border = [(0, 0), (0, 0), *((p, p) for p in padding)]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(real(q_x, x), border), kernel, (2, 3))
    value = windows[:, :, :: stride[0], :: stride[1]].mean((4, 5))
    pixels = kernel[0] * kernel[1]
    agree(q, value, out, is_power_of_two(x, out) and pixels & (pixels - 1) == 0)


@given(st.data(), st.booleans())
@often
def test_global_and_adaptive_average_pooling(data, flat):
    x, out = data.draw(grids()), data.draw(grids())
    output = [1, 1] if flat else [data.draw(st.integers(1, 3)) for _ in "hw"]
    factor = [data.draw(st.integers(1, 4)) for _ in "hw"]
    size = [o * f for o, f in zip(output, factor, strict=True)]
    q_x = codes(data.draw, x, (2, 3, *size))
    q = AveragePool(x, out, output_size=output, flat=flat)(q_x)
    value = real(q_x, x).reshape(2, 3, output[0], factor[0], output[1], factor[1]).mean((3, 5))
    pixels = factor[0] * factor[1]
    exact = is_power_of_two(x, out) and pixels & (pixels - 1) == 0
    agree(q, value.reshape(2, 3) if flat else value, out, exact)


def test_averages_on_a_tie_go_to_the_even_code():
    grid = QParams(0.25, 0, UINT8)
    q = torch.tensor([[0, 1], [1, 2], [2, 3], [3, 4]], dtype=torch.uint8).reshape(4, 1, 1, 2)
    pooled = AveragePool(grid, grid, output_size=[1, 1], flat=True)(q)
    assert pooled.flatten().tolist() == [0, 2, 2, 4]
    added = Add([grid, grid], QParams(0.5, 0, UINT8), False)(q[..., :1], q[..., 1:])
    assert added.flatten().tolist() == [0, 2, 2, 4]


def test_the_largest_window_is_exact_and_a_larger_one_is_refused():
    grid = QParams(1.0, 0, UINT8)
    pool = AveragePool(grid, grid, output_size=[1, 1])
    q = torch.full((1, 1, 1, LARGEST_WINDOW), 255, dtype=torch.uint8)
    assert pool(q).item() == 255
    with pytest.raises(ValueError, match=f"holds {LARGEST_WINDOW + 1} codes; expected at most"):
        pool(F.pad(q, (0, 1)))


def test_an_image_that_cannot_be_divided_evenly_has_windows_of_several_sizes():
    grid = QParams(0.25, 3, UINT8)
    q_x = torch.arange(2 * 20, dtype=torch.uint8).reshape(2, 1, 4, 5)
    q = AveragePool(grid, grid, output_size=[3, 2])(q_x)
    value = F.adaptive_avg_pool2d(torch.from_numpy(real(q_x, grid)), [3, 2])
    agree(q, value.numpy(), grid, False)


@given(st.data(), st.booleans())
@often
def test_products_and_differences_of_shapes_that_broadcast(data, relu):
    a, b, out = (data.draw(grids()) for _ in range(3))
    q_a, q_b = codes(data.draw, a, (2, 3, 4, 4)), codes(data.draw, b, (2, 3, 1, 1))
    exact = is_power_of_two(a, b, out)
    agree(Multiply([a, b], out, relu)(q_a, q_b), real(q_a, a) * real(q_b, b), out, exact, relu)
    q = Add([b, a], out, relu, [1, -1])(q_b, q_a)
    agree(q, real(q_b, b) - real(q_a, a), out, exact, relu)


@given(st.data())
@often
def test_sums_with_fixed_weights(data):
    x, out = data.draw(grids()), data.draw(grids())
    q_x = codes(data.draw, x, (2, 3, 6, 5))
    settings = data.draw(
        st.sampled_from(
            [
                {"function": "sum", "arguments": [{"input": 0}, [1]]},
                {"function": "mean", "arguments": [{"input": 0}], "keywords": {"dim": -1}},
                {"function": "interpolate", "arguments": [{"input": 0}, 7, None, "bilinear"]},
                {"function": "avg_pool2d", "arguments": [{"input": 0}, 3, 2, 1, True, False]},
            ]
        )
    )
    value = called(COMBINATIONS[settings["function"]], settings, [torch.from_numpy(real(q_x, x))])
    agree(Combination(x, out, settings)(q_x), value.numpy(), out, False)


@given(st.data(), st.booleans())
@often
def test_a_table_has_the_code_of_each_code(data, by_channel):
    x, out = data.draw(grids()), data.draw(grids())
    q_x = codes(data.draw, x, (2, 3, 4, 4))
    if data.draw(st.booleans()):
        q_x = q_x.contiguous(memory_format=torch.channels_last)
    count = x.scheme.qmax - x.scheme.qmin + 1
    table = codes(data.draw, out, (3, count) if by_channel else (count,))
    axis = -3 if by_channel else None
    q = Table(table, x, axis, "torch")(q_x)
    assert torch.equal(q, Table(table, x, axis, "reference")(q_x))
    for channel in range(3):
        own = table[channel] if by_channel else table
        assert torch.equal(q[:, channel], own[q_x[:, channel].long() - x.scheme.qmin])


@given(st.data())
@often
def test_maximum_pooling_is_that_of_the_real_values(data):
    grid = data.draw(grids())
    kernel = [data.draw(st.integers(1, 4)) for _ in "hw"]
    stride = [data.draw(st.integers(1, 3)) for _ in "hw"]
    padding = [data.draw(st.integers(0, k // 2)) for k in kernel]
    dilation = [data.draw(st.integers(1, 2)) for _ in "hw"]
    size = [
        data.draw(st.integers(d * (k - 1) + 1, 20)) for k, d in zip(kernel, dilation, strict=True)
    ]
    q_x = codes(data.draw, grid, (2, 3, *size))
    if data.draw(st.booleans()):
        q_x = q_x.contiguous(memory_format=torch.channels_last)
    q = MaxPool(kernel, stride, padding, dilation)(q_x)
    assert q.dtype == q_x.dtype
    value = F.max_pool2d(torch.from_numpy(real(q_x, grid)), kernel, stride, padding, dilation)
    assert torch.equal(torch.from_numpy(real(q, grid)), value)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8])
def test_maximum_pooling_of_large_channels_last_images(dtype):
    """`torch.max_pool2d` refuses them."""
    info = torch.iinfo(dtype)
    q = torch.randint(info.min, info.max + 1, (2, 16, 40, 40), dtype=dtype)
    q = q.contiguous(memory_format=torch.channels_last)
    pooled = MaxPool([3, 3], [2, 2], [1, 1], [1, 1])(q)
    assert pooled.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(pooled.float(), F.max_pool2d(q.float(), 3, 2, 1))


@given(st.data(), st.booleans(), st.sampled_from([None, 6.0, 1.0]))
@often
def test_clamping_codes_is_clamping_values(data, relu, ceiling):
    grid = data.draw(grids())
    q_x = codes(data.draw, grid, (2, 3, 4, 4))
    q = Clamp(grid, relu, ceiling)(q_x)
    top = code_of(ceiling, grid)
    high = np.inf if ceiling is None else (top - int(grid.zero_point)) * float(grid.scale)
    low = 0.0 if relu else -np.inf
    assert np.array_equal(real(q, grid), np.clip(real(q_x, grid), low, max(low, high)))
    if ceiling is not None and top < grid.scheme.qmax:
        assert abs(high - ceiling) <= float(grid.scale) / 2 + 1e-6


def test_padding_is_zero_and_flattening_keeps_the_order():
    grid = QParams(0.5, 7, UINT8)
    q = torch.arange(12, dtype=torch.uint8).reshape(1, 3, 2, 2)
    padded = Pad(grid, [1, 2, 0, 3])(q)
    assert torch.equal(dequantize(padded, grid), F.pad(dequantize(q, grid), [1, 2, 0, 3]))
    for layout in (torch.contiguous_format, torch.channels_last):
        flat = Flatten()(q.contiguous(memory_format=layout))
        assert flat.tolist() == [list(range(12))]


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("reach", [4.0, 6.0, 10.0])
def test_a_relu6_ends_at_6_also_where_its_grid_reaches_further(reach, backend):
    """In a layer, behind a residual, behind an addition, and on its own."""

    class Ceilings(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)
            self.relu, self.line = nn.ReLU6(), nn.Linear(2, 1)

        def forward(self, x):
            y = self.relu(self.a(x))
            y = self.relu(self.b(y) + y)
            y = self.relu(y + x)
            y = self.relu(torch.cat([y, x], 1))
            return self.relu(self.line(y.flatten(1)))

    model = Ceilings().eval()
    with torch.no_grad():
        for layer in (model.a, model.b, model.line):
            layer.weight.fill_(1.0)
            layer.bias.fill_(0.5)
    folded = fold_batchnorm(model)
    weights = {name: QParams(0.01, 0, Scheme(8, symmetric=True)) for name in ("a", "b", "line")}
    grid = QParams(reach / 255, 0, UINT8)
    names = [node.name for node in folded.graph.nodes]
    quantized = convert(folded, weights, {name: grid for name in names}, backend)
    assert [step.kind for step in quantized.steps] == [
        "conv2d",
        "conv2d",
        "add",
        "concatenate",
        "clamp",
        "flatten",
        "linear",
    ]
    images = torch.linspace(0, reach, 50).reshape(50, 1, 1, 1)
    for step in quantized.steps:
        if "relu" not in step.settings:
            continue
        value = dequantize(quantized.tensors(images)[step.name], grid)
        assert value.min() >= 0
        assert value.max() == pytest.approx(min(6.0, reach), abs=float(grid.scale) / 2)
