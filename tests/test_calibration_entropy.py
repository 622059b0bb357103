"""The entropy search against the textbook's loop over candidates."""

import math

import numpy as np
import pytest
import torch
from calibration_data import KINDS, draw
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.calibration import Entropy, Histogram, entropy_range, histogram
from labkit.calibration.entropy import CLIPPED, kl_divergences, kl_threshold
from labkit.linear import Scheme

TIE = 1e-12


def textbook(counts, levels):
    """KL(P || Q) of every candidate, as Migacz's slides describe the search."""
    divergences = []
    for kept in range(levels, len(counts) + 1):
        p = np.array(counts[:kept], dtype=float)
        p[-1] += sum(counts[kept:])
        level = np.arange(kept) * levels // kept
        filled = np.array(counts[:kept]) > 0
        sums = np.bincount(level, counts[:kept], levels)
        bins = np.bincount(level, filled, levels)
        q = np.where(filled, sums[level] / np.maximum(bins[level], 1), 0.0)
        if (q[p > 0] == 0).any():
            divergences.append(math.inf)
            continue
        p, q = p / p.sum(), q / q.sum()
        divergences.append(float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum()))
    return np.array(divergences)


def widest_best(divergences, levels):
    return levels + int(np.flatnonzero(divergences <= divergences.min() + TIE)[-1])


@settings(deadline=None)  # a busy machine is no bug
@given(
    st.lists(st.integers(0, 50) | st.just(0) | st.integers(0, 10**7), min_size=1, max_size=60),
    st.integers(1, 20),
)
def test_divergences_are_the_textbooks(counts, levels):
    counts = counts + [1] * max(1, levels - len(counts))
    expected = textbook(counts, levels)
    np.testing.assert_allclose(kl_divergences(counts, levels), expected, rtol=0, atol=TIE)
    assert kl_threshold(counts, levels) == widest_best(expected, levels)


def test_the_example_of_the_slides():
    # Eight bins on two levels: Q is 6/3 = 2 on the filled ones of the first four, then 16/4 = 4.
    p = np.array([1, 0, 2, 3, 5, 3, 1, 7])
    q = np.array([2, 0, 2, 2, 4, 4, 4, 4])
    by_hand = sum(a / 22 * math.log(a / b) for a, b in zip(p, q, strict=True) if a)
    assert kl_divergences(p, 2)[-1] == pytest.approx(by_hand, abs=1e-14)


def test_what_lies_beyond_is_piled_onto_the_last_bin():
    # Two bins kept of three, two levels: P = (4, 4 + 2) / 10, Q = (4, 4) / 8.
    expected = 0.4 * math.log(0.4 / 0.5) + 0.6 * math.log(0.6 / 0.5)
    assert kl_divergences([4, 4, 2], 2)[0] == pytest.approx(expected, abs=1e-14)


def test_an_empty_last_bin_cannot_hold_what_lies_beyond():
    divergences = kl_divergences([4, 0, 4, 2], 1)
    assert math.isinf(divergences[1])
    assert np.isfinite(divergences[[0, 2, 3]]).all()


def test_of_equally_good_thresholds_the_widest_wins():
    assert kl_threshold([5, 5, 5, 0, 0, 0], 2) == 6


@pytest.mark.parametrize("bins", [1, 7, 8])
def test_no_more_bins_than_levels_clip_nothing(bins):
    assert kl_threshold([3] * bins, 8) == bins


@pytest.mark.parametrize(
    ("counts", "levels", "message"),
    [
        ([1, -1], 1, "none below 0"),
        ([1, math.nan], 1, "none below 0"),
        ([[1, 2]], 1, "one row"),
        ([0, 0], 1, "all bins are empty"),
        ([1, 2], 3, "2 bins for 3 levels"),
        ([1, 2], 0, "levels is 0"),
    ],
)
def test_what_is_no_histogram_is_refused(counts, levels, message):
    with pytest.raises(ValueError, match=message):
        kl_divergences(counts, levels)


def of(x):
    seen = Histogram()
    seen.observe(x)
    return seen


@pytest.mark.parametrize("kind", ["normal", "relu", "heavy tails", "gelu", "uniform"])
@pytest.mark.parametrize("bits", [4, 8])
def test_the_threshold_on_raw_data_is_the_textbooks(kind, bits):
    x = draw(kind, 20_000)
    sizes = x[x != 0].abs().double().numpy()
    counts, edges = np.histogram(sizes, 2048, (0, sizes.max()))
    levels = 2 ** (bits - 1)
    divergences = textbook(counts, levels)
    beyond = counts.sum() - np.cumsum(counts)[levels - 1 :]
    divergences[beyond > CLIPPED * counts.sum()] = math.inf
    expected = edges[widest_best(divergences, levels)]
    low, high = entropy_range(of(x), Scheme(bits, symmetric=True))
    assert -low == high == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", ["normal", "relu", "heavy tails", "gelu", "uniform"])
def test_counting_in_buckets_hardly_moves_the_divergence(kind, monkeypatch):
    x = draw(kind, 300_000)
    scheme = Scheme(symmetric=True)
    exact = of(x)
    monkeypatch.setattr(histogram, "KEPT", 0)
    counted = of(x)
    counts, width = exact.magnitudes(2048)
    divergences = kl_divergences(counts, 128)
    chosen = round(entropy_range(counted, scheme)[1] / width)
    near = divergences[max(0, chosen - 128 - 3) : chosen - 128 + 4]
    assert near.min() <= 1.03 * divergences.min()


def test_zeros_do_not_count():
    x = draw("normal", 5000)
    with_zeros = torch.cat([x, torch.zeros(50_000)])
    for scheme in (Scheme(), Scheme(symmetric=True)):
        assert entropy_range(of(x), scheme) == entropy_range(of(with_zeros), scheme)


@pytest.mark.parametrize(
    ("kind", "scheme", "levels"),
    [
        ("relu", Scheme(4), 16),
        ("negative", Scheme(4, signed=False), 16),
        ("relu", Scheme(4, symmetric=True), 8),
        ("normal", Scheme(4, symmetric=True, signed=False, narrow=True), 8),
    ],
)
def test_levels_are_the_codes_for_the_sizes(kind, scheme, levels):
    seen = of(draw(kind, 5000))
    counts, width = seen.magnitudes(2048)
    low, high = entropy_range(seen, scheme)
    assert max(-low, high) == pytest.approx(kl_threshold(counts, levels) * width)


def test_an_affine_range_clips_the_longer_side_first():
    x = torch.cat([3 * draw("normal", 5000).abs(), -draw("normal", 5000, seed=1).abs()])
    width = float(x.abs().max()) / 2048
    below = math.ceil(-float(x.min()) / width)
    edges = np.arange(-below, 2049) * width
    counts = np.histogram(x.double().numpy(), edges)[0]
    above = kl_threshold(
        counts, 16, least=int(np.argmax(np.cumsum(counts) >= (1 - CLIPPED) * 10_000)) + 1
    )
    low, high = entropy_range(of(x), Scheme(4))
    assert high == pytest.approx((above - below) * width)
    assert float(x.min()) <= low < 0


OFFSETS = {
    "temperatures": lambda n: 15 + 20 * torch.rand(n),
    "around 10": lambda n: 10 + torch.randn(n),
    "below 0": lambda n: -1 - torch.rand(n),
    "far below 0": lambda n: -300 + torch.randn(n),
    "a background": lambda n: torch.where(torch.rand(n) < 0.6, -0.81, torch.rand(n) * 2.8 - 0.8),
    "a bright background": lambda n: torch.where(torch.rand(n) < 0.6, 1.0, torch.rand(n)),
    "two clusters": lambda n: torch.where(torch.rand(n) < 0.5, -7.0, 2.0) + torch.randn(n) / 9,
    "two values": lambda n: torch.where(torch.rand(n) < 0.5, -0.5, 3.0),
    "three values": lambda n: (torch.rand(n) * 3).floor() + 4,
    "whole numbers": lambda n: (torch.rand(n) * 11).floor(),
}


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("name", OFFSETS)
def test_a_small_share_is_clipped_wherever_the_values_lie(name, bits, symmetric, kept, monkeypatch):
    torch.manual_seed(0)
    x = OFFSETS[name](4000)
    if not kept:
        monkeypatch.setattr(histogram, "KEPT", 0)
    low, high = entropy_range(of(x), Scheme(bits, symmetric=symmetric))
    assert low < high
    edge = 0 if kept else float(x.abs().max()) / 512  # as wide as a bucket
    outside = ((x < low - edge) | (x > high + edge)).float().mean()
    assert outside <= CLIPPED + 1e-6


def test_channels_away_from_zero_get_ranges_of_their_own():
    torch.manual_seed(0)
    x = torch.stack([make(2000) for make in OFFSETS.values()])
    observer = Entropy(axis=0)
    observer.observe(x)
    low, high = observer.range(Scheme(8, signed=False))
    outside = ((x < low[:, None]) | (x > high[:, None])).float().mean(1)
    assert (low < high).all()
    assert outside.max() <= CLIPPED


def test_what_must_be_kept_is_kept():
    counts = [9, 9, 9, 1, 1, 1, 1]
    assert kl_threshold(counts, 2) == 6
    assert kl_threshold(counts, 2, least=7) == 7
    assert kl_threshold(counts, 2, least=9) == 7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", [Scheme(), Scheme(symmetric=True), Scheme(2), Scheme(16)])
def test_the_range_never_exceeds_what_was_observed(kind, scheme):
    seen = of(draw(kind, 999))
    low, high = entropy_range(seen, scheme)
    assert low <= high
    assert max(-low, high) <= max(-seen.min, seen.max)
    if scheme.bits == 16:  # with more levels than bins nothing is clipped
        assert max(-low, high) == max(-seen.min, seen.max)


def test_a_scheme_is_expected():
    with pytest.raises(TypeError, match="scheme is of type int"):
        entropy_range(of(torch.ones(3)), 8)


def test_before_any_data_there_is_no_range():
    with pytest.raises(ValueError, match="nothing was observed yet"):
        entropy_range(Histogram(), Scheme())
