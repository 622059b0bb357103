"""What all observers share: formulas, channels, merging, and data of every shape."""

import copy

import numpy as np
import pytest
import torch
from calibration_data import KINDS, draw
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from labkit.calibration import (
    MSE,
    Entropy,
    Histogram,
    MinMax,
    MovingAverage,
    Percentile,
    entropy_range,
    histogram,
    minmax_range,
    mse_range,
    percentile_range,
)
from labkit.linear import Scheme, choose_qparams, fake_quantize, from_range

pytestmark = pytest.mark.slow

ALL = (MinMax, MovingAverage, Percentile, Entropy, MSE)
MERGEABLE = (MinMax, Percentile, Entropy, MSE)
SCHEMES = [
    Scheme(),
    Scheme(symmetric=True),
    Scheme(4, signed=False),
    Scheme(2),
    Scheme(2, symmetric=True, narrow=True),
    Scheme(16),
]
batches = npst.arrays(
    np.float32,
    st.integers(1, 12),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


def after(observer, *seen):
    for x in seen:
        observer.observe(torch.as_tensor(x))
    return observer


@pytest.mark.parametrize("scheme", SCHEMES[:-1], ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("observer", ALL)
def test_all_data_gets_a_usable_range(observer, kind, scheme):
    x = draw(kind, 600)
    watching = after(observer(), x[:200], x[200:])
    low, high = watching.range(scheme)
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert np.isfinite([low, high]).all()
    assert low <= high
    qparams = watching.qparams(scheme)
    assert torch.equal(qparams.scale, from_range(low, high, scheme).scale)
    restored = fake_quantize(x, qparams)
    assert torch.isfinite(restored).all()
    if observer is not MovingAverage:
        assert float(restored.abs().max()) <= float(x.abs().max()) * 2.5 + float(qparams.scale)
    if kind in ("all zero", "constant"):
        assert torch.equal(restored, x)


@pytest.mark.parametrize("observer", ALL)
def test_a_first_batch_of_zeros_does_no_harm(observer):
    x = draw("normal", 1000)
    watching = after(observer(), torch.zeros(100), x)
    scale = float(watching.qparams(Scheme()).scale)
    assert 0.0005 < scale < 0.05
    if observer in (Entropy, MinMax):  # which do not look at zeros
        assert watching.range(Scheme()) == after(observer(), x).range(Scheme())


@pytest.mark.parametrize("observer", MERGEABLE)
def test_batches_of_very_different_ranges_count_in_any_order(observer):
    x = [draw("normal", 300) * size for size in (1e-30, 1.0, 1e20)]
    expected = after(observer(), *x).range(Scheme(4))
    assert after(observer(), *x[::-1]).range(Scheme(4)) == expected
    assert np.isfinite(expected).all()


@settings(deadline=None, max_examples=60)  # a busy machine is no bug
@given(st.lists(batches, min_size=1, max_size=5), st.sampled_from(MERGEABLE), st.randoms())
def test_merged_observers_are_as_one(x, observer, random):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histogram, "KEPT", random.choice([0, 10, 1000]))
        whole = after(observer(), *x)
        shuffled = random.sample(x, len(x))
        cut = random.randint(0, len(x))
        merged = after(observer(), *shuffled[:cut])
        merged.merge(after(observer(), *shuffled[cut:]))
        for scheme in (Scheme(4), Scheme(symmetric=True)):
            assert repr(merged.range(scheme)) == repr(whole.range(scheme))


@pytest.mark.parametrize("observer", MERGEABLE)
def test_merging_by_channel(observer):
    x = torch.stack([draw("normal", 200), draw("relu", 200), draw("uniform", 200)])
    whole = after(observer(axis=0), x)
    for parts in ((x[:, :50], x[:, 50:]), (x,)):
        merged = observer(axis=0)
        for part in parts:
            merged.merge(after(observer(axis=0), part))
        for a, b in zip(merged.range(Scheme()), whole.range(Scheme()), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("observer", ALL)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_channel_is_observed_as_if_alone(observer, axis):
    x = draw("normal", 4 * 5 * 6).reshape(4, 5, 6) * torch.arange(1.0, 7)
    watching = after(observer(axis=axis), x, x * 2)
    low, high = watching.range(Scheme())
    assert low.dtype == high.dtype == torch.float64
    alone = [
        after(observer(), x.select(axis, i), 2 * x.select(axis, i)).range(Scheme())
        for i in range(x.shape[axis])
    ]
    assert list(zip(low.tolist(), high.tolist(), strict=True)) == alone
    qparams = watching.qparams(Scheme())
    assert qparams.axis == axis
    assert fake_quantize(x, qparams).shape == x.shape


def test_a_vector_can_be_all_channels():
    low, high = after(MSE(axis=0), torch.tensor([1.0, -2.0])).range(Scheme())
    assert low.tolist() == high.tolist() == [1, -2]


@pytest.mark.parametrize("kind", KINDS)
def test_minmax_is_the_range_of_all_batches(kind):
    x = draw(kind, 300)
    for scheme in SCHEMES:
        observed = after(MinMax(), x[:100], x[100:]).qparams(scheme)
        expected = choose_qparams(x, scheme)
        assert torch.equal(observed.scale, expected.scale)
        assert torch.equal(observed.zero_point, expected.zero_point)


def test_moving_average_by_hand():
    watching = after(MovingAverage(0.75), [-1.0, 4.0], [-2.0, 8.0], [0.0, 0.0])
    assert watching.range(Scheme()) == (-1.25 * 0.75, 5.0 * 0.75)
    assert after(MovingAverage(0), [-1.0, 4.0], [2.0, 3.0]).range(Scheme()) == (2, 3)


def test_moving_averages_cannot_be_merged():
    with pytest.raises(TypeError, match="depends on the order of its batches"):
        MovingAverage().merge(MovingAverage())


@pytest.mark.parametrize(
    ("observer", "method"),
    [
        (MinMax(), minmax_range),
        (Percentile(99), lambda h, s: percentile_range(h, s, 99)),
        (Entropy(512), lambda h, s: entropy_range(h, s, 512)),
        (MSE(), mse_range),
    ],
)
def test_observers_answer_with_their_method(observer, method):
    x = draw("gelu", 3000)
    seen = Histogram()
    seen.observe(x)
    for scheme in SCHEMES[:3]:
        assert after(copy.deepcopy(observer), x).range(scheme) == method(seen, scheme)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("observer", ALL)
def test_other_float_formats_are_welcome(observer, dtype):
    x = draw("normal", 100).to(dtype).requires_grad_()
    expected = after(observer(), x.detach().float()).range(Scheme())
    assert after(observer(), x).range(Scheme()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("observer", ALL)
@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.tensor([[1.0, 2.0], [float("nan"), 3.0]]), ValueError, r"1 of 4 .* x\[1, 0\] = nan"),
        (torch.tensor([[1.0], [float("inf")]]), ValueError, r"1 of 2 .* x\[1, 0\] = inf"),
        (torch.tensor([[1.0], [-1e39]], dtype=torch.float64), ValueError, r"x\[1, 0\] = -1e\+39"),
        (torch.zeros(2, 0), ValueError, "empty"),
        (torch.ones(2, 2, dtype=torch.int32), TypeError, "int32; expected a floating-point"),
        ("x", TypeError, "str; expected torch.Tensor"),
    ],
)
def test_what_cannot_be_observed_is_refused_and_leaves_no_trace(observer, axis, x, error, message):
    watching = after(observer(axis=axis), torch.tensor([[-1.0, 2.0], [3.0, 4.0]]))
    before = repr(watching.range(Scheme()))
    with pytest.raises(error, match=message):
        watching.observe(x)
    assert repr(watching.range(Scheme())) == before


@pytest.mark.parametrize("observer", ALL)
def test_every_batch_has_the_same_channels(observer):
    watching = after(observer(axis=1), torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"x has 4 channels along axis 1; expected 3"):
        watching.observe(torch.ones(2, 4))
    with pytest.raises(ValueError, match="axis"):
        watching.observe(torch.ones(3))


@pytest.mark.parametrize("observer", MERGEABLE)
def test_a_merged_observer_knows_its_channels(observer):
    merged = observer(axis=0)
    merged.merge(after(observer(axis=0), torch.ones(3, 2)))
    with pytest.raises(ValueError, match=r"x has 4 channels along axis 0; expected 3"):
        merged.observe(torch.ones(4, 2))


@pytest.mark.parametrize("observer", MERGEABLE)
def test_only_alike_observers_merge(observer):
    with pytest.raises(ValueError, match="other has axis=0; expected None"):
        observer().merge(observer(axis=0))
    with pytest.raises(TypeError, match=f"other is a list; expected a {observer.__name__}"):
        observer().merge([])
    with pytest.raises(ValueError, match="other has 2 channels along axis 0; expected 3"):
        after(observer(axis=0), torch.ones(3)).merge(after(observer(axis=0), torch.ones(2)))


@pytest.mark.parametrize("observer", ALL)
@pytest.mark.parametrize("axis", [None, 0])
def test_before_any_data_there_is_no_range(observer, axis):
    for ask in (observer(axis=axis).range, observer(axis=axis).qparams):
        with pytest.raises(ValueError, match=r"nothing was observed yet; call observe\(x\)"):
            ask(Scheme())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MovingAverage(1), ValueError, "momentum is 1"),
        (lambda: MovingAverage(-0.1), ValueError, "momentum is -0.1"),
        (lambda: MovingAverage(float("nan")), ValueError, "momentum is nan"),
        (lambda: Percentile(0), ValueError, "percent is 0"),
        (lambda: Entropy(0), ValueError, "bins is 0"),
        (lambda: Entropy(2.5), TypeError, "bins is 2.5"),
        (lambda: MSE(axis=0.5), TypeError, "axis is 0.5"),
    ],
)
def test_settings_out_of_range_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
