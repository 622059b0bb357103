"""Requantization against exact rational arithmetic, numpy's float32 and LiteRT's kernels."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from labkit.kernels import (
    ROUNDINGS,
    quantize_multiplier,
    requantize,
    rounding_right_shift,
    saturating_rounding_doubling_high_multiply,
)
from labkit.qparams import QParams, Scheme

INT32 = (-(2**31), 2**31 - 1)
int32s = st.integers(*INT32)
# Closer to 1, the mantissa would round up to a left shift by one.
multipliers = st.floats(2.0**-31, 1 - 2.0**-31)


def codes(zero_point=0, bits=8, signed=True):
    return QParams(1.0, zero_point, Scheme(bits, signed=signed))


def up(value):
    """Nearest, ties towards plus infinity."""
    return math.floor(value + Fraction(1, 2))


def away(value):
    """Nearest, ties away from zero."""
    return up(value) if value >= 0 else -up(-value)


def expected_by(rule, acc, mantissa, shift):
    """What a rule's words say, in exact fractions."""
    product = Fraction(acc * mantissa, 2**31)
    if rule == "single":
        return away(product / 2**shift)
    return {"gemmlowp": away, "litert": up}[rule](Fraction(up(product), 2**shift))


# The multiplier as mantissa and shift


@settings(deadline=None)
@given(st.floats(2.0**-32, 2.0**30, exclude_max=True))
@example(1 - 2.0**-40)
@example(0.5)
def test_mantissa_and_shift_are_the_multiplier(m):
    mantissa, shift = (int(t) for t in quantize_multiplier(m))
    assert 2**30 <= mantissa < 2**31
    assert (
        abs(Fraction(mantissa, 2**31) / Fraction(2) ** shift - Fraction(m)) <= Fraction(m) / 2**31
    )


@pytest.mark.parametrize(
    ("m", "mantissa", "shift"),
    [
        (0.5, 2**30, 0),
        (0.25, 2**30, 1),
        (1.0, 2**30, -1),
        (3.0, 3 * 2**29, -2),
        (0.75, 3 * 2**29, 0),
        (1 - 2.0**-40, 2**30, -1),
        (0.0072474273418460, 1992157658, 7),
        (2.0**-32, 2**30, 31),
        (2.0**-32 * (1 - 2.0**-30), 0, 0),
    ],
)
def test_multipliers_worked_by_hand(m, mantissa, shift):
    assert tuple(int(t) for t in quantize_multiplier(m)) == (mantissa, shift)


def test_the_mantissa_rounds_half_away_from_zero():
    assert int(quantize_multiplier(0.5 + 2.0**-32)[0]) == 2**30 + 1


def test_a_multiplier_per_channel_keeps_its_shape():
    m = torch.tensor([[0.3], [0.01], [1.5]])
    mantissa, shift = quantize_multiplier(m)
    assert mantissa.shape == shift.shape == (3, 1)
    assert mantissa.dtype == shift.dtype == torch.int32
    rebuilt = mantissa.double() * 2.0**-31 * 2.0 ** -shift.double()
    assert torch.allclose(rebuilt, m.double(), rtol=2.0**-31, atol=0)


@pytest.mark.parametrize("m", [0.0, -0.5, math.nan, math.inf, 2.0**30])
def test_a_multiplier_that_is_none_is_refused(m):
    with pytest.raises(ValueError, match=r"multiplier is .*; expected"):
        quantize_multiplier(m)


def test_a_multiplier_must_be_a_number():
    with pytest.raises(TypeError, match="multiplier is of type str"):
        quantize_multiplier("half")


# The two steps of gemmlowp


@settings(deadline=None)
@given(int32s, int32s)
@example(-(2**31), -(2**31))
@example(1, 2**30)
@example(-1, 2**30)
def test_high_multiply_is_the_doubled_product_rounded_once(a, b):
    result = saturating_rounding_doubling_high_multiply(torch.tensor([a]), torch.tensor([b]))
    assert int(result) == min(up(Fraction(a * b, 2**31)), INT32[1])


@settings(deadline=None)
@given(int32s, st.integers(0, 31))
@example(-1, 1)
@example(1, 1)
@example(-3, 1)
def test_right_shift_rounds_half_away_from_zero(x, shift):
    assert int(rounding_right_shift(torch.tensor([x]), shift)) == away(Fraction(x, 2**shift))


@pytest.mark.parametrize("shift", [-1, 63])
def test_a_shift_out_of_range_is_refused(shift):
    with pytest.raises(ValueError, match=f"shift is {shift}; expected 0 to 62"):
        rounding_right_shift(torch.tensor([1]), shift)


# The rules


@pytest.mark.parametrize("rule", ROUNDINGS)
@settings(deadline=None)
@given(acc=int32s, m=multipliers)
@example(acc=3, m=0.5)
@example(acc=-3, m=0.5)
@example(acc=-5, m=0.25)
@example(acc=-6, m=0.25)
@example(acc=6, m=0.25)
def test_each_fixed_point_rule_is_what_its_words_say(rule, acc, m):
    result = requantize(torch.tensor([acc]), m, codes(3), rule)
    mantissa, shift = (int(t) for t in quantize_multiplier(m))
    assert int(result) == min(max(expected_by(rule, acc, mantissa, shift) + 3, -128), 127)


@settings(deadline=None)
@given(int32s, multipliers, st.integers(-128, 127))
@example(1, 0.5, 3)
@example(3, 0.5, 3)
@example(5, 0.5, -128)
def test_float_rules_round_half_to_even_before_and_after_the_zero_point(acc, m, zero_point):
    product = np.float32(acc) * np.float32(m)
    before = np.clip(np.rint(product + np.float32(zero_point)), -128, 127)
    after = np.clip(np.rint(product) + zero_point, -128, 127)
    acc = torch.tensor([acc])
    assert int(requantize(acc, m, codes(zero_point))) == before
    assert int(requantize(acc, m, codes(zero_point), "xnnpack")) == after


def test_the_five_rules_differ_at_ties():
    """acc * 2^-k at halves: odd Z separates the float rules, negative halves the others."""
    acc, differ = torch.arange(-4000, 4000), set()
    for m in (0.5, 0.0625, 0.0123):
        results = {r: requantize(acc, m, codes(1), r) for r in ("float", "xnnpack", *ROUNDINGS)}
        differ |= {
            frozenset((a, b))
            for a, x in results.items()
            for b, y in results.items()
            if not torch.equal(x, y)
        }
        assert all((x.int() - results["float"].int()).abs().max() <= 1 for x in results.values())
    assert len(differ) == 10


def test_left_shifts_of_multipliers_above_one():
    acc = torch.tensor([-50, -3, 0, 1, 7, 40])
    for rule in ("float", "xnnpack"):
        assert requantize(acc, 2.5, codes(), rule).tolist() == [-125, -8, 0, 2, 18, 100]
    for rule in ("gemmlowp", "litert"):
        assert requantize(acc, 2.5, codes(), rule).tolist() == [-125, -7, 0, 3, 18, 100]
    assert requantize(acc, 2.5, codes(), "single").tolist() == [-125, -8, 0, 3, 18, 100]


@pytest.mark.parametrize("rule", ["float", "xnnpack", *ROUNDINGS])
def test_results_saturate_and_relu_clamps_at_the_zero_point(rule):
    acc = torch.tensor([-100000, -300, 0, 300, 100000], dtype=torch.int32)
    assert requantize(acc, 0.1, codes(10), rule).tolist() == [-128, -20, 10, 40, 127]
    assert requantize(acc, 0.1, codes(10), rule, relu=True).tolist() == [10, 10, 10, 40, 127]
    narrow = requantize(acc, 0.1, codes(0, bits=7, signed=False), rule)
    assert narrow.tolist() == [0, 0, 0, 30, 127]
    assert narrow.dtype == torch.uint8


def test_the_bias_joins_the_accumulator_or_the_product():
    """Fixed point adds it in int32; the engines add bias * m, rounded, after the product."""
    rng = np.random.default_rng(0)
    acc, bias = rng.integers(-30000, 30000, (4000, 8)), rng.integers(-3000, 3000, 8)
    m, out = rng.uniform(0.001, 0.004, 8), codes(7)
    for rule in ("xnnpack", *ROUNDINGS):
        with_bias = requantize(torch.tensor(acc), torch.tensor(m), out, rule, torch.tensor(bias))
        assert torch.equal(
            with_bias, requantize(torch.tensor(acc + bias), torch.tensor(m), out, rule)
        )
    m32 = m.astype(np.float32)
    offset = (bias * m32.astype(np.float64) + 7).astype(np.float32)
    expected = np.clip(np.rint(acc.astype(np.float32) * m32 + offset), -128, 127)
    result = requantize(torch.tensor(acc), torch.tensor(m), out, bias=torch.tensor(bias))
    assert np.array_equal(result.numpy(), expected)


def test_broadcasting_per_channel():
    acc = torch.arange(-60, 60, dtype=torch.int32).reshape(2, 3, 4, 5)
    m = torch.tensor([0.5, 0.25, 1.0]).reshape(3, 1, 1)
    for rule in ("float", *ROUNDINGS):
        whole = requantize(acc, m, codes(), rule)
        for channel in range(3):
            alone = requantize(acc[:, channel], float(m[channel]), codes(), rule)
            assert torch.equal(whole[:, channel], alone)


# What is refused


@pytest.mark.parametrize("rule", ["float", "xnnpack", *ROUNDINGS])
def test_an_accumulator_beyond_int32_is_refused(rule):
    with pytest.raises(
        ValueError, match=r"acc\[1\] = 2\.14748e\+09: an int32 accumulator overflows"
    ):
        requantize(torch.tensor([0, 2**31]), 0.5, codes(), rule)


@pytest.mark.parametrize("rule", ["xnnpack", *ROUNDINGS])
def test_a_bias_that_overflows_the_accumulator_is_refused(rule):
    acc = torch.tensor([2**31 - 10], dtype=torch.int32)
    with pytest.raises(ValueError, match="overflows"):
        requantize(acc, 0.5, codes(), rule, bias=torch.tensor([100], dtype=torch.int32))


@pytest.mark.parametrize("rule", ["gemmlowp", "litert"])
def test_a_left_shift_that_overflows_is_refused(rule):
    with pytest.raises(ValueError, match=r"acc \* 2\^-shift"):
        requantize(torch.tensor([2**30]), 3.0, codes(), rule)


def test_bad_arguments_are_named():
    acc = torch.tensor([1, 2])
    with pytest.raises(ValueError, match="rounding is 'nearest'; expected one of"):
        requantize(acc, 0.5, codes(), "nearest")
    with pytest.raises(TypeError, match="acc has dtype float32; expected an integer tensor"):
        requantize(acc.float(), 0.5, codes())
    with pytest.raises(TypeError, match="out_qparams is of type float; expected QParams"):
        requantize(acc, 0.5, 0.1)
    with pytest.raises(TypeError, match="relu is 1; expected True or False"):
        requantize(acc, 0.5, codes(), relu=1)
    with pytest.raises(ValueError, match="out_qparams have 16 bits"):
        requantize(acc, 0.5, QParams(1.0, 0, Scheme(16)))
    per_channel = QParams(torch.ones(2), torch.zeros(2, dtype=torch.int32), Scheme(8), axis=0)
    with pytest.raises(ValueError, match=r"out_qparams are per channel \(axis=0\)"):
        requantize(acc, 0.5, per_channel)
    with pytest.raises(ValueError, match="too large for float32"):
        requantize(acc, 1e300, codes())


# LiteRT


@pytest.fixture(scope="module")
def litert():
    pytest.importorskip("ai_edge_litert", reason="pip install ai-edge-litert, the oracle")
    import litert_models

    return litert_models


RULE_OF = {
    ("linear", "xnnpack"): "xnnpack",
    ("linear", "builtin"): "litert",
    ("linear", "reference"): "single",
    ("conv2d", "xnnpack"): "xnnpack",
    ("conv2d", "builtin"): "litert",
    ("conv2d", "reference"): "gemmlowp",
}


@pytest.mark.parametrize(("layer", "kernels"), RULE_OF)
@pytest.mark.parametrize(
    ("w_scale", "out_scale"),
    # Powers of two for ties, others for the rest, one multiplier above 1.
    [(1.0, 128.0), (1.0, 64.0), (1.0, 100.0), (0.731, 333.3), (0.0137, 1.9), (1.7, 1.0)],
)
def test_rules_agree_with_litert_bit_for_bit(litert, layer, kernels, w_scale, out_scale):
    rng = np.random.default_rng(int(out_scale))
    inputs, out = 16, 8
    largest = 127 if w_scale < out_scale else 1
    w_shape, x_shape = (out, inputs), (2000, inputs)
    if layer == "conv2d":
        w_shape, x_shape = (out, 1, 1, inputs), (10, 14, 15, inputs)
    x = rng.integers(-128, 128, x_shape).astype(np.int8)
    weight = rng.integers(-largest, largest + 1, w_shape).astype(np.int8)
    bias = rng.integers(-1000, 1000, out).astype(np.int32)
    scales = [w_scale] if layer == "linear" else [w_scale * (1 + i % 2) for i in range(out)]
    theirs = litert.run(layer, kernels, x, weight, bias, 1.0, scales, out_scale, (0, 5))
    acc = x.reshape(-1, inputs).astype(np.int64) @ weight.reshape(out, -1).T.astype(np.int64)
    m = torch.tensor(np.float32(scales).astype(np.float64) / np.float64(np.float32(out_scale)))
    ours = requantize(
        torch.from_numpy(acc), m, codes(5), RULE_OF[layer, kernels], bias=torch.from_numpy(bias)
    )
    assert np.array_equal(ours.numpy(), theirs.reshape(-1, out))
    assert len(np.unique(theirs)) > 20
