"""Percentiles against numpy's, and what is cut from which end."""

import numpy as np
import pytest
import torch
from calibration_data import KINDS, draw
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from labkit.calibration import METHODS, Histogram, minmax_range, percentile_range
from labkit.linear import Scheme

AFFINE, SYMMETRIC = Scheme(), Scheme(symmetric=True)
whole = st.integers(-20, 20).map(float)
rows = npst.arrays(np.float32, st.integers(1, 60), elements=whole)


def of(x):
    seen = Histogram()
    seen.observe(torch.as_tensor(x))
    return seen


@settings(deadline=None)  # a busy machine is no bug
@given(rows, st.sampled_from([25, 50, 90, 99.9, 100]))
def test_a_symmetric_percentile_is_numpys(x, percent):
    low, high = percentile_range(of(x), SYMMETRIC, percent)
    expected = np.percentile(np.abs(x), percent, method="inverted_cdf")
    assert -low == high == (expected or np.abs(x).max())


@settings(deadline=None)  # a busy machine is no bug
@given(rows.map(np.abs), st.sampled_from([25, 50, 90, 99.9, 100]))
def test_one_sided_values_are_cut_at_the_far_end_only(x, percent):
    expected = np.percentile(x, percent, method="inverted_cdf")
    if expected or x.min():
        assert percentile_range(of(x), AFFINE, percent) == (x.min(), expected)
        assert percentile_range(of(-x), AFFINE, percent) == (-expected, -x.min())


@settings(deadline=None)  # a busy machine is no bug
@given(rows, st.sampled_from([50, 90, 99, 100]))
def test_two_sided_values_are_cut_alike_at_both_ends(x, percent):
    x = np.append(x, np.float32([-1, 1]))
    low, high = percentile_range(of(x), AFFINE, percent)
    up_to = 50 + percent / 2
    cut = (
        -np.percentile(-x, up_to, method="inverted_cdf"),
        np.percentile(x, up_to, method="inverted_cdf"),
    )
    assert (low, high) == (cut if any(cut) else (x.min(), x.max()))


def test_a_percentile_means_what_it_says():
    # 99.9 % of 1000 values are 999; in floating point 99.9 / 100 * 1000 is above 999.
    assert percentile_range(of(torch.arange(1.0, 1001)), AFFINE, 99.9) == (1, 999)


def test_a_range_of_zeros_only_is_the_full_range():
    x = torch.cat([torch.zeros(999), torch.tensor([-2.0, 5.0])])
    assert percentile_range(of(x), AFFINE, 90) == (-2, 5)
    assert percentile_range(of(x), SYMMETRIC, 90) == (-5, 5)
    assert percentile_range(of(torch.zeros(3)), AFFINE) == (0, 0)


@pytest.mark.parametrize("percent", [0, -1, 100.1, float("nan")])
def test_a_percentile_out_of_range_is_refused(percent):
    with pytest.raises(ValueError, match=f"percent is {percent}; expected more than 0"):
        percentile_range(of(torch.ones(3)), AFFINE, percent)


@pytest.mark.parametrize("kind", KINDS)
def test_minmax_is_what_was_seen(kind):
    x = draw(kind, 500)
    assert minmax_range(of(x), AFFINE) == (float(x.min()), float(x.max()))


@pytest.mark.parametrize("method", METHODS.values())
def test_no_method_answers_before_any_data(method):
    with pytest.raises(ValueError, match="nothing was observed yet"):
        method(Histogram(), AFFINE)


def test_a_scheme_is_expected():
    with pytest.raises(TypeError, match="scheme is of type str"):
        percentile_range(of(torch.ones(3)), "int8")
