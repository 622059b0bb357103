"""The search for the smallest squared error against brute force on the raw data."""

import tracemalloc

import numpy as np
import pytest
import torch
from calibration_data import KINDS, draw
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from labkit.calibration import MSE, Histogram, histogram, mse_range
from labkit.linear import Scheme, choose_qparams, fake_quantize, from_range, quantization_error

pytestmark = pytest.mark.slow

SCHEMES = [
    Scheme(2),
    Scheme(2, symmetric=True),
    Scheme(2, symmetric=True, narrow=True),
    Scheme(3, signed=False),
    Scheme(4),
    Scheme(4, symmetric=True),
    Scheme(5, signed=False, symmetric=True, narrow=True),
    Scheme(6, narrow=True),
    Scheme(8),
    Scheme(8, symmetric=True),
]
KEPT = histogram.KEPT
CONTINUOUS = ["normal", "relu", "uniform", "negative", "gelu", "heavy tails", "bimodal"]


def of(x):
    seen = Histogram()
    seen.observe(x)
    return seen


def error_of(x, scheme, low, high):
    return quantization_error(x, from_range(low, high, scheme)).total


def brute_force(x, scheme, scales):
    """Return the smallest mean squared error of all scales with all zero points."""
    x = x.double().numpy()
    zero_points = range(scheme.qmin, scheme.qmax + 1)
    best = np.inf
    for zero_point in [scheme.middle] if scheme.symmetric else zero_points:
        q = np.rint(x / scales[:, None]) + zero_point
        restored = (q.clip(scheme.qmin, scheme.qmax) - zero_point) * scales[:, None]
        best = min(best, ((x - restored) ** 2).mean(axis=1).min())
    return best


def full_scale(x, scheme):
    """The smallest scale that clips nothing."""
    return float(choose_qparams(x, scheme).scale)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("kind", CONTINUOUS)
def test_nothing_on_a_fine_grid_of_scales_is_better(kind, scheme):
    x = draw(kind, 300)
    scales = full_scale(x, scheme) * np.linspace(0, 2.2, 221)[1:]
    found = error_of(x, scheme, *mse_range(of(x), scheme))
    assert found <= 1.001 * brute_force(x, scheme, scales)


@pytest.mark.parametrize("scheme", [Scheme(3), Scheme(4, symmetric=True), Scheme(8)], ids=str)
@pytest.mark.parametrize("kind", CONTINUOUS)
def test_counting_in_buckets_is_as_good(kind, scheme, monkeypatch):
    x = draw(kind, 60_000)
    exact = error_of(x, scheme, *mse_range(of(x), scheme))
    monkeypatch.setattr(histogram, "KEPT", 0)
    counted = error_of(x, scheme, *mse_range(of(x), scheme))
    # Where a value lies within its bucket is unknown. The error from that shrinks with the root of
    # n, to less than 0.1 % by the time that there are more values than are kept.
    assert counted <= (1 + 0.001 * (KEPT / len(x)) ** 0.5) * exact


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_data_on_a_grid_of_its_own_is_kept_whole(bits):
    whole = draw("whole numbers", 3000)
    for x, scheme in ((whole, Scheme(bits)), (whole - 5, Scheme(bits, symmetric=True))):
        assert error_of(x, scheme, *mse_range(of(x), scheme)) < 1e-12
    pixels = draw("pixels", 3000)
    assert error_of(pixels, Scheme(8), *mse_range(of(pixels), Scheme(8))) < 1e-12


@settings(deadline=None)  # a busy machine is no bug
@given(
    npst.arrays(
        np.float32,
        st.integers(1, 30),
        elements=st.floats(-(2.0**127), 2.0**127, width=32),
    ),
    st.sampled_from(SCHEMES),
)
def test_never_worse_than_clipping_nothing(x, scheme):
    x = torch.as_tensor(x)
    low, high = mse_range(of(x), scheme)
    assert low <= high
    largest = quantization_error(x, choose_qparams(x, scheme))
    found = quantization_error(x, from_range(low, high, scheme))
    # float32 arithmetic rounds either error a little.
    slack = 1e-6 * float(x.double().square().mean()) * 2.0**-scheme.bits
    assert found.total <= largest.total * (1 + 1e-5) + slack


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_from_range_gets_the_grid_back(kind, scheme):
    x = draw(kind, 400)
    low, high = mse_range(of(x), scheme)
    qparams = from_range(low, high, scheme)
    if kind in ("all zero", "constant"):
        assert (low, high) == (float(x[0]), float(x[0]))
    elif kind not in ("subnormal", "huge"):  # there the smallest scale or largest float steps in
        scale, zero_point = float(qparams.scale), int(qparams.zero_point)
        assert (scheme.qmax - zero_point) * scale == pytest.approx(high, rel=1e-6)
        if not scheme.symmetric:
            assert (scheme.qmin - zero_point) * scale == pytest.approx(low, rel=1e-6)


def test_an_outlier_is_clipped_only_if_that_pays():
    x = draw("normal", 100_000)
    clipped = torch.cat([x, torch.tensor([6.0])])
    kept = torch.cat([x, torch.tensor([600.0])])
    assert mse_range(of(clipped), Scheme(4, symmetric=True))[1] < 4
    assert mse_range(of(kept), Scheme(4, symmetric=True))[1] > 20


@pytest.mark.parametrize("kind", ["normal", "one outlier"])
def test_sixteen_bits_take_no_more_memory_than_is_bearable(kind):
    seen = of(draw(kind, 2000))
    tracemalloc.start()
    low, high = mse_range(seen, Scheme(16))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 250e6
    step = (high - low) / 65535
    assert low == pytest.approx(seen.min, rel=0.01, abs=step)
    assert high == pytest.approx(seen.max, rel=0.01, abs=step)


@pytest.mark.parametrize("scheme", [Scheme(2), Scheme(4, symmetric=True), Scheme(8)], ids=str)
def test_no_end_is_beyond_float32(scheme):
    largest = torch.finfo(torch.float32).max
    x = torch.tensor([-1.0, 0.4, 0.1, 1.0]) * largest
    low, high = mse_range(of(x), scheme)
    assert -largest <= low <= high <= largest
    assert high - low > 0.6 * 2 * largest


def test_a_scheme_is_expected():
    with pytest.raises(TypeError, match="scheme is of type NoneType"):
        mse_range(of(torch.ones(3)), None)


def test_before_any_data_there_is_no_range():
    with pytest.raises(ValueError, match="nothing was observed yet"):
        mse_range(Histogram(), Scheme())


FEW = {
    "0 and 1": ([0.0, 1.0], 1 / 255),
    "0 and 5": ([0.0, 5.0], 5 / 255),
    "-2 and 0": ([-2.0, 0.0], 2 / 255),
    "-1 and 1": ([-1.0, 1.0], 1 / 127),
    "0, 1 and 2": ([0.0, 1.0, 2.0], 1 / 127),
}


@pytest.mark.parametrize("values", FEW)
def test_of_many_grids_without_error_the_finest_is_taken(values):
    few, scale = FEW[values]
    observer = MSE()
    observer.observe(torch.tensor(few).repeat(50))
    qparams = observer.qparams(Scheme(8, signed=False))
    assert float(qparams.scale) == pytest.approx(scale)
    x = torch.tensor(few)
    assert torch.allclose(fake_quantize(x, qparams), x, atol=1e-6)
