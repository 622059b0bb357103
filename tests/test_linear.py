"""The references of lab 1 against exact fractions, against torch, and by their properties."""

import math
import re
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from torch.testing import assert_close

from labkit.linear import (
    LARGEST,
    SMALLEST_SCALE,
    QParams,
    Scheme,
    choose_qparams,
    dequantize,
    fake_quantize,
    from_range,
    quantization_error,
    quantize,
)
from labkit.qparams import BITS

pytestmark = pytest.mark.slow

INF = float("inf")
NAN = float("nan")
INT8 = Scheme()
UINT16 = Scheme(16, signed=False)

SCHEMES = [
    Scheme(bits, signed, symmetric, narrow)
    for bits in BITS
    for signed in (True, False)
    for symmetric in (True, False)
    for narrow in (True, False)
]
schemes = st.sampled_from(SCHEMES)
reals = st.floats(-LARGEST, LARGEST, width=32)


@st.composite
def tensors(draw, min_dims=0, elements=reals):
    shape = draw(npst.array_shapes(min_dims=min_dims, max_dims=3, max_side=5))
    return torch.as_tensor(draw(npst.arrays(np.float32, shape, elements=elements)))


def draw_tensor(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def some_qparams(scheme, scale=0.37):
    """An odd zero point off the middle, unless the scheme fixes it."""
    zero_point = scheme.middle if scheme.symmetric else scheme.qmin + 1
    return QParams(scale, zero_point, scheme)


def half_a_step(qparams, x):
    """scale / 2 for each value of x, in float64, and what float32 arithmetic may add.

    A quotient of up to 2^bits steps, a product of as many and the scale itself are each rounded
    to 24 bits.
    """
    scale, _ = qparams.expand_to(x.shape)
    return scale.double() * (0.5 + 2.0 ** (qparams.scheme.bits - 22))


# ---- from_range and choose_qparams ----


@given(reals, reals, schemes)
def test_scale_and_zero_point_are_the_formulas_in_exact_fractions(a, b, scheme):
    assume(a != b)
    rmin, rmax = min(a, b, 0.0), max(a, b, 0.0)
    qparams = from_range(min(a, b), max(a, b), scheme)
    if scheme.symmetric:
        assert qparams.zero_point == (0 if scheme.signed else 2 ** (scheme.bits - 1))
        steps = min(scheme.qmax - scheme.middle, scheme.middle - scheme.qmin)
        expected = max(Fraction(rmax), -Fraction(rmin)) / steps
    else:
        expected = (Fraction(rmax) - Fraction(rmin)) / (scheme.qmax - scheme.qmin)
    scale = Fraction(qparams.scale.item())
    if expected < SMALLEST_SCALE:
        assert scale == SMALLEST_SCALE
    else:
        assert abs(scale - expected) <= expected * Fraction(1.0001) / 2**24
    if not scheme.symmetric:
        exact = scheme.qmin - Fraction(rmin) / scale
        nearest = min(max(exact, scheme.qmin), scheme.qmax)
        assert abs(qparams.zero_point.item() - nearest) <= Fraction(1, 2) + Fraction(1, 2**30)


# The lecture's example, and one of each other kind by hand.
BY_HAND = [
    (-1.08, 2.12, Scheme(2), 3.2 / 3, -1),
    (-1.0, 1.0, Scheme(8, symmetric=True), 1 / 127, 0),
    (-1.0, 1.0, Scheme(8, symmetric=True, narrow=True), 1 / 127, 0),
    (-1.0, 3.0, Scheme(8, signed=False), 4 / 255, 64),
    (-2.0, 4.0, Scheme(8, signed=False, narrow=True), 6 / 254, 86),
    (-1.0, 3.0, Scheme(8, signed=False, symmetric=True), 3 / 127, 128),
    (2.0, 3.0, Scheme(8, signed=False), 3 / 255, 0),
    (-3.0, -2.0, Scheme(8, signed=False), 3 / 255, 255),
    (-3.0, -2.0, Scheme(8), 3 / 255, 127),
    (0.0, 6.0, Scheme(4), 6 / 15, -8),
    (0.0, 6.0, UINT16, 6 / 65535, 0),
    (-6.0, 0.0, UINT16, 6 / 65535, 65535),
    # -rmin/scale = 2.5 and 1.5: ties go to the even neighbour.
    (-2.5, 12.5, Scheme(4, signed=False), 1.0, 2),
    (-1.5, 13.5, Scheme(4, signed=False), 1.0, 2),
]


@pytest.mark.parametrize(("rmin", "rmax", "scheme", "scale", "zero_point"), BY_HAND, ids=str)
def test_from_range_by_hand(rmin, rmax, scheme, scale, zero_point):
    qparams = from_range(rmin, rmax, scheme)
    assert qparams.scale.item() == np.float32(scale)
    assert qparams.zero_point == zero_point
    assert (qparams.scale.dtype, qparams.zero_point.dtype) == (torch.float32, torch.int32)
    assert (qparams.scheme, qparams.axis, qparams.group_size) == (scheme, None, None)


def test_from_range_takes_a_number_for_one_end():
    qparams = from_range(0.0, torch.tensor([1.0, 2.0]), INT8, axis=0)
    assert torch.equal(qparams.scale, torch.tensor([1.0, 2.0]) / 255)
    assert qparams.zero_point.tolist() == [-128, -128]


@given(tensors(), schemes)
def test_the_range_of_a_tensor_is_its_minimum_and_maximum(x, scheme):
    qparams = choose_qparams(x, scheme)
    expected = from_range(x.min().item(), x.max().item(), scheme)
    assert torch.equal(qparams.scale, expected.scale)
    assert torch.equal(qparams.zero_point, expected.zero_point)


@given(tensors(elements=st.floats(-1e6, 1e6, width=32)), schemes, st.sampled_from((0.25, 8.0)))
def test_a_power_of_two_scales_the_scale_and_keeps_the_codes(x, scheme, factor):
    assume(choose_qparams(x, scheme).scale > 1e-30)  # else the smallest scale stands in
    assume((x == 0).all() or x.abs().max() > 1e-30)
    qparams, scaled = choose_qparams(x, scheme), choose_qparams(x * factor, scheme)
    if (x == 0).all():
        assert scaled.scale == qparams.scale
    else:
        assert scaled.scale == qparams.scale * factor
    assert torch.equal(quantize(x * factor, scaled), quantize(x, qparams))


# ---- quantize and dequantize ----


@given(reals, st.floats(2.0**-100, 2.0**100, width=32), schemes)
def test_a_code_is_the_nearest_in_exact_fractions(value, scale, scheme):
    qparams = some_qparams(scheme, scale)
    q = quantize(torch.tensor(value), qparams).item()
    exact = Fraction(value) / Fraction(scale) + qparams.zero_point.item()
    nearest = min(max(exact, scheme.qmin), scheme.qmax)
    # The quotient is rounded to 24 bits before it is rounded to an integer.
    assert abs(q - nearest) <= Fraction(1, 2) + Fraction(1, 2 ** (24 - scheme.bits))


@pytest.mark.parametrize("zero_point", [-1, 0, 1, 2])
def test_ties_go_to_the_even_quotient_before_the_zero_point_is_added(zero_point):
    quotients = torch.arange(-40, 40) + 0.5
    even = [round(value) for value in quotients.tolist()]  # Python rounds half to even
    q = quantize(quotients * 0.25, QParams(0.25, zero_point, INT8))
    assert q.tolist() == [value + zero_point for value in even]


@given(tensors(), tensors(), schemes)
def test_codes_are_of_the_schemes_dtype_shape_and_range(x, calibration, scheme):
    q = quantize(x, choose_qparams(calibration, scheme))
    assert (q.dtype, q.shape) == (scheme.dtype, x.shape)
    codes = q.to(torch.int32)
    assert scheme.qmin <= codes.min()
    assert codes.max() <= scheme.qmax


@given(tensors(), schemes)
def test_round_trip_of_the_observed_range_errs_by_half_a_step(x, scheme):
    qparams = choose_qparams(x, scheme)
    restored = dequantize(quantize(x, qparams), qparams)
    assert (restored.dtype, restored.shape) == (torch.float32, x.shape)
    assert ((restored.double() - x.double()).abs() <= half_a_step(qparams, x)).all()


@given(tensors(), schemes)
def test_zero_maps_to_the_zero_point_and_back_exactly(x, scheme):
    qparams = choose_qparams(x, scheme)
    q = quantize(torch.zeros(1), qparams)
    assert q.int() == qparams.zero_point
    assert dequantize(q, qparams) == 0.0


@given(tensors(min_dims=1), tensors(), schemes)
def test_larger_values_never_get_smaller_codes(x, calibration, scheme):
    codes = quantize(x.flatten().sort().values, choose_qparams(calibration, scheme))
    assert (codes.to(torch.int32).diff() >= 0).all()


@pytest.mark.parametrize("scale", [0.1, SMALLEST_SCALE])
def test_every_code_survives_the_way_back_and_forth(scale):
    for scheme in [scheme for scheme in SCHEMES if not scheme.symmetric]:
        codes = torch.arange(scheme.qmin, scheme.qmax + 1).to(scheme.dtype)
        qparams = some_qparams(scheme, scale)
        assert torch.equal(quantize(dequantize(codes, qparams), qparams), codes), scheme


@given(tensors(), tensors(), schemes)
def test_fake_quantize_is_both_ways_and_changes_nothing_the_second_time(x, calibration, scheme):
    qparams = choose_qparams(calibration, scheme)
    once = fake_quantize(x, qparams)
    assert torch.equal(once, dequantize(quantize(x, qparams), qparams))
    assert torch.equal(fake_quantize(once, qparams), once)


@given(tensors(), st.sampled_from(BITS))
def test_a_symmetric_narrow_grid_is_odd(x, bits):
    qparams = choose_qparams(x, Scheme(bits, symmetric=True, narrow=True))
    assert torch.equal(quantize(-x, qparams), -quantize(x, qparams))


def test_dequantize_takes_every_integer_dtype():
    qparams = QParams(0.5, 3, Scheme(4, signed=False))
    expected = torch.tensor([-1.5, 0.0, 6.0])
    for dtype in (torch.int8, torch.uint8, torch.int16, torch.uint16, torch.int32, torch.int64):
        assert torch.equal(dequantize(torch.tensor([0, 3, 15]).to(dtype), qparams), expected)


# ---- channels and groups ----


def number_at(qparams, *index):
    """The QParams of a single channel or group."""
    return QParams(qparams.scale[index], qparams.zero_point[index], qparams.scheme)


@given(tensors(min_dims=1), schemes, st.data())
def test_per_channel_is_per_tensor_on_each_slice(x, scheme, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    qparams = choose_qparams(x, scheme, axis)
    assert qparams.scale.shape == (x.shape[axis],)
    q, restored = quantize(x, qparams), fake_quantize(x, qparams)
    for channel in range(x.shape[axis]):
        part = x.select(axis, channel)
        alone = choose_qparams(part, scheme)
        assert torch.equal(qparams.scale[channel], alone.scale)
        assert torch.equal(qparams.zero_point[channel], alone.zero_point)
        assert torch.equal(q.select(axis, channel), quantize(part, alone))
        assert torch.equal(restored.select(axis, channel), fake_quantize(part, alone))


@given(tensors(min_dims=1), schemes, st.integers(1, 6), st.data())
def test_per_group_is_per_tensor_on_each_group(x, scheme, group_size, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    qparams = choose_qparams(x, scheme, axis, group_size)
    rows, scales = x.movedim(axis, -1), qparams.scale.movedim(axis, -1)
    assert scales.shape == (*rows.shape[:-1], math.ceil(x.shape[axis] / group_size))
    q = quantize(x, qparams).movedim(axis, -1)
    restored = fake_quantize(x, qparams).movedim(axis, -1)
    for index in np.ndindex(*scales.shape):
        row, group = index[:-1], index[-1]
        members = (*row, slice(group * group_size, (group + 1) * group_size))
        alone = choose_qparams(rows[members], scheme)
        assert torch.equal(scales[index], alone.scale)
        assert torch.equal(q[members], quantize(rows[members], alone))
        assert torch.equal(restored[members], fake_quantize(rows[members], alone))


def test_the_last_group_may_be_partial_and_is_not_padded():
    x = torch.tensor([[1.0, 2.0, 3.0, 100.0, 200.0], [5.0, 5.0, 5.0, -1.0, -3.0]])
    qparams = choose_qparams(x, Scheme(8, signed=False), axis=1, group_size=3)
    expected = torch.tensor([[3 / 255, 200 / 255], [5 / 128, 3 / 255]])
    assert_close(qparams.scale, expected)
    assert qparams.zero_point.tolist() == [[0, 0], [0, 255]]


def test_a_group_as_long_as_the_axis_is_a_channel_of_the_other():
    x = draw_tensor(4, 6)
    groups = choose_qparams(x, INT8, axis=1, group_size=6)
    channels = choose_qparams(x, INT8, axis=0)
    assert torch.equal(groups.scale.flatten(), channels.scale)
    assert torch.equal(quantize(x, groups), quantize(x, channels))


# ---- the error ----


@given(tensors(elements=st.floats(-1e6, 1e6, width=32)), st.floats(0.01, 3.0), schemes)
def test_error_is_that_of_a_loop_over_the_values(x, scale, scheme):
    qparams = some_qparams(scheme, scale)
    step, zero_point = qparams.scale.item(), qparams.zero_point.item()
    ends = np.float32([scheme.qmin - zero_point, scheme.qmax - zero_point])
    low, high = (ends * np.float32(step)).tolist()
    clipping = rounding = signal = 0.0
    clipped = 0
    values = zip(x.flatten().tolist(), fake_quantize(x, qparams).flatten().tolist(), strict=True)
    for value, restored in values:
        signal += value**2
        if low <= value <= high:
            rounding += (value - restored) ** 2
        else:
            clipping += (value - restored) ** 2
            clipped += 1
    error = quantization_error(x, qparams)
    n = x.numel()
    assert error.clipping == pytest.approx(clipping / n)
    assert error.rounding == pytest.approx(rounding / n)
    assert error.total == error.clipping + error.rounding
    assert error.clipped_fraction == clipped / n
    noise = clipping + rounding
    expected = 10 * math.log10(signal / noise) if noise else INF
    assert error.sqnr == pytest.approx(expected)


def test_error_by_hand():
    # Codes -2 to 1, so [-2, 1]: 0.5 rounds to the even 0, 4.0 is clipped to 1.
    error = quantization_error(torch.tensor([0.5, 4.0, -2.0, 1.0]), QParams(1.0, 0, Scheme(2)))
    assert error.rounding == 0.25 / 4
    assert error.clipping == 9.0 / 4
    assert error.total == 9.25 / 4
    assert error.clipped_fraction == 0.25
    assert error.sqnr == pytest.approx(10 * math.log10((0.25 + 16 + 4 + 1) / 9.25))


def test_a_bit_is_worth_six_decibels():
    x = torch.rand(10_000, generator=torch.Generator().manual_seed(0)) * 2 - 1
    sqnr = [quantization_error(x, choose_qparams(x, Scheme(bits))).sqnr for bits in range(3, 9)]
    # A uniform signal loses nothing to clipping: 20 log10(2) dB for each bit.
    assert np.diff(sqnr) == pytest.approx(20 * math.log10(2), abs=0.7)


def test_the_largest_value_of_a_symmetric_range_is_not_clipped():
    x = torch.tensor([-0.3, 1.1])
    qparams = choose_qparams(x, Scheme(symmetric=True))
    # In exact arithmetic its code is a rounding error of the scale short of it.
    assert 127 * Fraction(qparams.scale.item()) < Fraction(x[1].item())
    assert quantization_error(x, qparams).clipped_fraction == 0.0


def test_without_error_sqnr_is_infinite():
    for x in torch.zeros(5), torch.tensor([1.0, -2.0, 3.0]):
        error = quantization_error(x, QParams(1.0, 0, INT8))
        assert (error.total, error.clipped_fraction, error.sqnr) == (0.0, 0.0, INF)


def test_error_per_channel_uses_each_channels_range():
    x = torch.tensor([[1.0, 10.0], [1.0, 10.0]])
    error = quantization_error(x, QParams([0.1, 0.01], [-128, -128], INT8, axis=0))
    assert error.clipped_fraction == 0.25  # 10 is beyond 255 * 0.01


# ---- torch's own, as a second opinion ----


@pytest.fixture
def quiet():
    """Quantized tensors are deprecated in torch, but still what its engines are built on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def differences(ours, theirs, x, qparams):
    """How far codes differ from torch's, which multiplies by 1/scale, away from ties."""
    scale, _ = qparams.expand_to(x.shape)
    quotient = (x / scale).double()
    near_tie = ((quotient - quotient.floor()) - 0.5).abs() < 1e-3
    difference = (ours.int() - theirs.int()).abs()
    assert difference.max() <= 1
    return int(difference[~near_tie].sum())


@pytest.mark.parametrize(("signed", "dtype"), [(True, torch.qint8), (False, torch.quint8)])
def test_codes_are_torchs_per_tensor_and_per_channel(quiet, signed, dtype):
    x = draw_tensor(31, 5, 77) * 3
    scheme = Scheme(8, signed)
    for factor in 1.0, 0.4:  # the second clips
        whole = choose_qparams(x * factor, scheme)
        theirs = torch.quantize_per_tensor(x, whole.scale, whole.zero_point, dtype).int_repr()
        assert differences(quantize(x, whole), theirs, x, whole) == 0
        for axis in range(3):
            channels = choose_qparams(x * factor, scheme, axis)
            theirs = torch.quantize_per_channel(
                x, channels.scale.double(), channels.zero_point.long(), axis, dtype
            )
            assert differences(quantize(x, channels), theirs.int_repr(), x, channels) == 0
            assert_close(dequantize(theirs.int_repr(), channels), theirs.dequantize())


@pytest.mark.parametrize(("signed", "dtype"), [(True, torch.qint8), (False, torch.quint8)])
@pytest.mark.parametrize("scale", [0.125, 1.0, 4.0])
def test_ties_are_torchs_where_the_inverse_of_the_scale_is_exact(quiet, signed, dtype, scale):
    x = (torch.arange(-700, 700) / 2) * scale
    scheme = Scheme(8, signed)
    # Even, since some of torch's engines round after they have added the zero point.
    zero_point = scheme.qmin + 100
    theirs = torch.quantize_per_tensor(x, scale, zero_point, dtype).int_repr()
    assert torch.equal(quantize(x, QParams(scale, zero_point, scheme)), theirs)


def test_fake_quantize_is_torchs_for_every_scheme():
    x = draw_tensor(7, 9)
    for scheme in SCHEMES:
        limits = (scheme.qmin, scheme.qmax)
        qparams = choose_qparams(x, scheme)
        # To a power of two, whose inverse is exact: torch multiplies by it.
        scale = 2 ** qparams.scale.log2().round()
        whole = QParams(scale, qparams.zero_point, scheme)
        theirs = torch.fake_quantize_per_tensor_affine(x, scale, whole.zero_point, *limits)
        assert torch.equal(fake_quantize(x, whole), theirs), scheme
        scales, zero_points = scale.repeat(9), qparams.zero_point.repeat(9)
        channels = QParams(scales, zero_points, scheme, axis=1)
        theirs = torch.fake_quantize_per_channel_affine(x, scales, zero_points, 1, *limits)
        assert torch.equal(fake_quantize(x, channels), theirs), scheme


# ---- edges ----


@given(st.floats(-LARGEST, LARGEST, width=32), schemes)
def test_a_constant_comes_back_exactly(value, scheme):
    x = torch.full((2, 3), value)
    for axis, group_size in (None, None), (0, None), (1, 2):
        qparams = choose_qparams(x, scheme, axis, group_size)
        if value == 0:
            assert (qparams.scale == 1).all()
        restored = fake_quantize(x, qparams)
        if 0 < abs(value) < SMALLEST_SCALE:  # its scale would be subnormal
            assert (qparams.scale == SMALLEST_SCALE).all()
            assert ((restored - x).abs() <= SMALLEST_SCALE / 2).all()
        else:
            assert torch.equal(restored, x)


def test_constants_of_all_sizes_get_a_power_of_two_of_them_as_scale():
    x = torch.cat([draw_tensor(500), 2.0 ** torch.arange(-60, 60), -(3.0 ** torch.arange(-30, 30))])
    for scheme in SCHEMES:
        qparams = choose_qparams(x, scheme, axis=0)
        assert torch.equal(fake_quantize(x, qparams), x), scheme
        steps = 2 ** (scheme.bits - 1 - scheme.symmetric)
        assert torch.equal(qparams.scale * steps, x.abs()), scheme


EXTREMES = {
    "zero": [0.0],
    "zeros": [0.0, 0.0],
    "subnormal": [1e-40],
    "smallest": [1e-45, -1e-45],
    "large": [3e38, -3e38],
    "largest": [LARGEST, -LARGEST],
    "largest negative": [-LARGEST],
    "smallest and large": [1e-45, 3e38],
    # At 2 bits the zero point is rounded so that the grid ends at -4e38.
    "lopsided": [-LARGEST, 0.6e38],
}


@pytest.mark.parametrize("values", EXTREMES.values(), ids=EXTREMES)
def test_extreme_tensors_get_a_normal_scale_and_err_by_half_a_step(values):
    x = torch.tensor(values)
    for scheme in SCHEMES:
        qparams = choose_qparams(x, scheme)
        assert SMALLEST_SCALE <= qparams.scale < INF, scheme
        restored = fake_quantize(x, qparams)
        assert torch.isfinite(restored).all(), scheme
        assert ((restored.double() - x).abs() <= half_a_step(qparams, x)).all(), scheme
        assert 0 <= quantization_error(x, qparams).total < INF, scheme


def test_dequantize_saturates_at_the_largest_float32():
    restored = dequantize(torch.tensor([-128, -100, 127]), QParams(3e36, 0, INT8))
    assert restored.tolist() == pytest.approx([-LARGEST, -3e38, LARGEST])


def test_values_far_outside_saturate():
    x = torch.tensor([-3e38, 3e38])
    assert quantize(x, QParams(1e-30, 0, INT8)).tolist() == [-128, 127]
    assert quantize(x.double() * 1e200, QParams(1e-30, 0, INT8)).tolist() == [-128, 127]
    assert quantize(x, QParams(1.0, 40000, UINT16)).tolist() == [0, 65535]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("axis", "group_size"), [(None, None), (1, None), (0, 2)])
def test_half_precision_is_computed_in_float32(dtype, axis, group_size):
    x = draw_tensor(3, 4).to(dtype)
    qparams = choose_qparams(x, INT8, axis, group_size)
    assert torch.equal(qparams.scale, choose_qparams(x.float(), INT8, axis, group_size).scale)
    assert torch.equal(quantize(x, qparams), quantize(x.float(), qparams))
    assert fake_quantize(x, qparams).dtype == torch.float32
    assert quantization_error(x, qparams) == quantization_error(x.float(), qparams)


def test_float64_is_computed_in_float64():
    x = torch.tensor([0.5 + 1e-9], dtype=torch.float64)
    qparams = QParams(1.0, 0, INT8)
    assert quantize(x, qparams) == 1
    assert quantize(x.float(), qparams) == 0  # float32 puts it on the tie
    assert from_range(x, x * 3, INT8, axis=0).scale.dtype == torch.float32
    assert fake_quantize(x, qparams).dtype == torch.float32
    assert quantization_error(x, qparams).rounding == pytest.approx(0.25)


def test_strides_make_no_difference():
    x = draw_tensor(6, 8)
    views = x.T, x[::2, 1::3], x.expand(2, 6, 8), x.unfold(1, 3, 2)
    for view in views:
        for axis, group_size in (None, None), (-1, None), (0, 4):
            qparams = choose_qparams(view, INT8, axis, group_size)
            copy = choose_qparams(view.contiguous(), INT8, axis, group_size)
            assert torch.equal(qparams.scale, copy.scale)
            codes = quantize(view, qparams)
            assert torch.equal(codes, quantize(view.contiguous(), copy))
            strided = torch.empty_like(codes.repeat_interleave(2, -1))[..., ::2].copy_(codes)
            assert torch.equal(dequantize(strided, qparams), fake_quantize(view, qparams))
            assert quantization_error(view, qparams) == quantization_error(view.contiguous(), copy)


def test_inputs_are_left_alone():
    x = draw_tensor(3, 4)
    before = x.clone()
    qparams = choose_qparams(x, INT8, 0)
    q = quantize(x, qparams)
    codes = q.clone()
    dequantize(q, qparams)
    quantization_error(x, qparams)
    assert torch.equal(x, before)
    assert torch.equal(q, codes)


def test_a_single_number():
    x = torch.tensor(-2.5)
    qparams = choose_qparams(x, INT8)
    assert qparams.scale.shape == quantize(x, qparams).shape == ()
    assert fake_quantize(x, qparams) == -2.5
    assert quantization_error(x, qparams).sqnr == INF


@pytest.mark.filterwarnings("error")
def test_a_weight_that_learns_is_quantized_as_any_other():
    weight = torch.nn.Parameter(draw_tensor(3, 4))
    qparams = choose_qparams(weight, INT8, 0)
    assert torch.equal(qparams.scale, choose_qparams(weight.detach(), INT8, 0).scale)
    assert not qparams.scale.requires_grad
    assert not fake_quantize(weight, qparams).requires_grad
    assert quantization_error(weight, qparams) == quantization_error(weight.detach(), qparams)
    assert not from_range(weight.min(), weight.max(), INT8).scale.requires_grad
    learned = QParams(torch.tensor(0.1, requires_grad=True), 0, INT8)
    assert not dequantize(quantize(weight, learned), learned).requires_grad


@pytest.mark.parametrize(("axis", "group_size"), [(None, None), (-2, None), (1, 4)])
def test_uint16_works_throughout(axis, group_size):
    x = draw_tensor(5, 7, 3)
    qparams = choose_qparams(x, UINT16, axis, group_size)
    q = quantize(x.mT.mT, qparams)
    assert q.dtype == torch.uint16
    assert q.int().max() > 2**15
    restored = dequantize(q[:, :, :], qparams)
    assert ((restored - x).abs() <= half_a_step(qparams, x)).all()
    assert quantization_error(x, qparams).sqnr > 80
    assert torch.equal(quantize(restored, qparams), q)


X = draw_tensor(2, 3)
Q = torch.zeros(2, 3, dtype=torch.int8)
ONE = QParams(0.1, 0, INT8)
INFINITE = torch.tensor([[0.0, INF, NAN]])
NOT_FINITE = (
    "x has 2 of 3 values wrong, the first x[0, 1] = inf; expected finite numbers that float32 can "
    "hold. Find out where NaN and infinity come from: they have no place on an integer grid."
)
NOT_REAL = (
    "x has dtype int8; expected a floating-point tensor. Convert it first, for example x.float()."
)
NOT_QPARAMS = "qparams is of type tuple; expected QParams. Make one with choose_qparams(x, scheme)."
NOTHING = (
    "{} is empty (shape (0,)); expected at least one value. "
    "Look for a slice or a filter that leaves nothing."
)
REFUSED = {
    "choose_qparams, NaN": (lambda: choose_qparams(INFINITE, INT8), ValueError, NOT_FINITE),
    "quantize, NaN": (lambda: quantize(INFINITE, ONE), ValueError, NOT_FINITE),
    "fake_quantize, NaN": (lambda: fake_quantize(INFINITE, ONE), ValueError, NOT_FINITE),
    "quantization_error, NaN": (lambda: quantization_error(INFINITE, ONE), ValueError, NOT_FINITE),
    "choose_qparams, codes": (lambda: choose_qparams(Q, INT8), TypeError, NOT_REAL),
    "quantize, codes": (lambda: quantize(Q, ONE), TypeError, NOT_REAL),
    "quantization_error, codes": (lambda: quantization_error(Q, ONE), TypeError, NOT_REAL),
    "choose_qparams, empty": (
        lambda: choose_qparams(torch.ones(0), INT8),
        ValueError,
        NOTHING.format("x"),
    ),
    "quantize, empty": (lambda: quantize(torch.ones(0), ONE), ValueError, NOTHING.format("x")),
    "dequantize, empty": (
        lambda: dequantize(torch.ones(0).int(), ONE),
        ValueError,
        NOTHING.format("q"),
    ),
    "quantize, a pair": (lambda: quantize(X, (0.1, 0)), TypeError, NOT_QPARAMS),
    "dequantize, a pair": (lambda: dequantize(Q, (0.1, 0)), TypeError, NOT_QPARAMS),
    "quantization_error, a pair": (
        lambda: quantization_error(X, (0.1, 0)),
        TypeError,
        NOT_QPARAMS,
    ),
    "from_range, bits": (
        lambda: from_range(-1.0, 1.0, 8),
        TypeError,
        "scheme is of type int; expected Scheme. Make one with Scheme(bits=8).",
    ),
    "choose_qparams, bits": (
        lambda: choose_qparams(X, 8),
        TypeError,
        "scheme is of type int; expected Scheme. Make one with Scheme(bits=8).",
    ),
    "from_range, swapped": (
        lambda: from_range(1.0, -1.0, INT8),
        ValueError,
        "rmin is 1, above rmax; expected rmin <= rmax. Are the two swapped?",
    ),
    "from_range, NaN": (
        lambda: from_range(NAN, 1.0, INT8),
        ValueError,
        "rmin is nan; expected finite numbers that float32 can hold. "
        "Remove NaN and infinity from what was observed.",
    ),
    "from_range, beyond float32": (
        lambda: from_range(0.0, 1e39, INT8),
        ValueError,
        "rmax is 1e+39; expected finite numbers that float32 can hold. "
        "Remove NaN and infinity from what was observed.",
    ),
    "from_range, vectors without an axis": (
        lambda: from_range(torch.zeros(3), torch.ones(3), INT8),
        ValueError,
        "scale has shape (3,) with axis=None; expected a single number for the whole tensor "
        "(axis=None), or a vector with one number per channel (axis given).",
    ),
    "choose_qparams, axis": (
        lambda: choose_qparams(X, INT8, axis=2),
        ValueError,
        "axis is 2, but x has 2 dimensions (shape (2, 3)); expected an axis from -2 to 1.",
    ),
    "choose_qparams, axis of a number": (
        lambda: choose_qparams(torch.tensor(1.0), INT8, axis=0),
        ValueError,
        "axis is 0, but x is a single number; expected axis=None.",
    ),
    "choose_qparams, groups of none": (
        lambda: choose_qparams(X, INT8, axis=1, group_size=0),
        ValueError,
        "group_size is 0; expected 1 or more values per group.",
    ),
    "choose_qparams, groups without an axis": (
        lambda: choose_qparams(X, INT8, group_size=2),
        ValueError,
        "group_size is 2 without an axis; expected the axis to cut into groups, for example "
        "axis=-1.",
    ),
    "dequantize, reals": (
        lambda: dequantize(X, ONE),
        TypeError,
        "q has dtype float32; expected an integer tensor of dtype int8, uint8, int16, uint16, "
        "int32, int64. Quantize real values first, or convert whole numbers with "
        "q.to(torch.int32).",
    ),
    "dequantize, code out of range": (
        lambda: dequantize(torch.tensor([7, 8]), QParams(0.1, 0, Scheme(4))),
        ValueError,
        "q has codes from 7 to 8; expected -8 to 7. "
        "Clamp before you convert, or use a scheme with more bits.",
    ),
    "quantize, another number of channels": (
        lambda: quantize(X, choose_qparams(X.T, INT8, axis=0)),
        ValueError,
        "scale has shape (3,); a tensor of shape (2, 3) with axis=0, group_size=None expects (2,).",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_message(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()
