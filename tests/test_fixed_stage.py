"""Fixed-point requantization of layers and steps: mantissas that share a shift, one rounding."""

from fractions import Fraction

import pytest
import torch

from labkit.kernels import QuantizedConv2d, QuantizedLinear, quantize_multiplier, requantize
from labkit.kernels.fixed_stage import FixedStage, quantize_multipliers
from labkit.qparams import QParams, Scheme

U8, S8 = Scheme(8, signed=False), Scheme(8, symmetric=True)
OUT = QParams(0.03, 100, U8)


def away(x):
    """Round a fraction to the nearest integer, ties away from zero."""
    whole = (abs(x) + Fraction(1, 2)).__floor__()
    return whole if x >= 0 else -whole


@pytest.fixture
def draw():
    return torch.Generator().manual_seed(0)


def test_one_multiplier_is_that_of_the_rule_single(draw):
    m = torch.rand(1000, generator=draw, dtype=torch.float64) * 2.0 ** torch.randint(
        -30, 20, (1000,), generator=draw
    )
    (mantissa,), shift = quantize_multipliers([m])
    expected, right = quantize_multiplier(m)
    assert torch.equal(mantissa, expected)
    assert torch.equal(shift, right + 31)


def test_several_share_the_shift_of_the_largest():
    small, large = torch.tensor(1e-4, dtype=torch.float64), torch.tensor(-0.7, dtype=torch.float64)
    (one, two), shift = quantize_multipliers([small, large])
    assert 2**30 <= -int(two) < 2**31
    assert abs(int(one) / 2 ** int(shift) - 1e-4) <= 2.0 ** -int(shift) / 2
    assert abs(int(two) / 2 ** int(shift) + 0.7) <= 2.0 ** -int(shift) / 2


def test_a_stage_is_requantize_with_the_rule_single(draw):
    acc = torch.randint(-(2**20), 2**20, (50, 8), generator=draw, dtype=torch.int32)
    bias = torch.randint(-(2**16), 2**16, (8,), generator=draw, dtype=torch.int32)
    m = torch.rand(8, generator=draw, dtype=torch.float64) / 1000
    for relu in (False, True):
        found = FixedStage.of(m, OUT, bias, relu)(acc)
        assert torch.equal(found, requantize(acc, m, OUT, "single", bias, relu))


def test_a_residual_is_rounded_together_with_the_sum(draw):
    residual = QParams(0.05, 30, U8)
    acc = torch.randint(-(2**16), 2**16, (300,), generator=draw, dtype=torch.int32)
    q_r = torch.randint(0, 256, (300,), generator=draw, dtype=torch.uint8)
    m = torch.tensor(0.0004, dtype=torch.float64)
    stage = FixedStage.of(m, OUT, None, False, residual)
    found = stage(acc, q_r)
    for a, r, q in zip(acc.tolist(), q_r.tolist(), found.tolist(), strict=True):
        total = a * int(stage.mantissa) + (r - 30) * int(stage.residual_mantissa)
        exact = away(Fraction(total, 2 ** int(stage.shift))) + 100
        assert q == min(max(exact, 0), 255)


def test_accumulators_with_their_bias_must_fit_into_int32():
    stage = FixedStage.of(torch.tensor(0.1), OUT, torch.tensor(2**30, dtype=torch.int32))
    with pytest.raises(ValueError, match=r"acc \+ bias .* int32"):
        stage(torch.tensor([2**30], dtype=torch.int32))


@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_layers_in_fixed_point_give_one_answer(backend, draw):
    q_w = torch.randint(-127, 128, (6, 4, 3, 3), generator=draw, dtype=torch.int8)
    w_qparams = QParams(torch.rand(6, generator=draw) / 100 + 0.001, [0] * 6, S8, axis=0)
    x_qparams = QParams(0.02, 128, U8)
    q_x = torch.randint(0, 256, (2, 4, 7, 7), generator=draw, dtype=torch.uint8)
    bias = torch.randn(6, generator=draw)
    operands = (q_w, w_qparams, bias, x_qparams, OUT, True, backend)
    layer = QuantizedConv2d(*operands, padding=1, requantization="fixed")
    acc = torch.nn.functional.conv2d(q_x.double() - 128, q_w.double(), padding=1)
    m = (x_qparams.scale.double() * w_qparams.scale.double() / OUT.scale.double()).reshape(6, 1, 1)
    q_b = torch.round(bias.double() / (x_qparams.scale.double() * w_qparams.scale.double()))
    expected = requantize(acc.int(), m, OUT, "single", q_b.int().reshape(6, 1, 1), relu=True)
    assert torch.equal(layer(q_x), expected)
    flat = QuantizedLinear(
        q_w.flatten(1), w_qparams, bias, x_qparams, OUT, True, backend, requantization="fixed"
    )
    columns = q_x[:, :, :3, :3].flatten(1)
    rows = (columns.double() - 128) @ q_w.flatten(1).double().t()
    assert torch.equal(
        flat(columns), requantize(rows.int(), m.flatten(), OUT, "single", q_b.int(), relu=True)
    )


def test_an_unknown_rule_is_refused():
    q_w = torch.zeros(1, 2, dtype=torch.int8)
    with pytest.raises(ValueError, match="requantization is 'half'; expected one of float, fixed"):
        QuantizedLinear(q_w, QParams(0.1, 0, S8), None, OUT, OUT, requantization="half")
