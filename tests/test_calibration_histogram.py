"""The streaming histogram: exact, independent of order and split, constant in memory."""

import copy
import pickle

import numpy as np
import pytest
import torch
from calibration_data import KINDS, draw
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from labkit.calibration import Histogram, buckets, histogram

LARGEST = torch.finfo(torch.float32).max
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
rows = npst.arrays(np.float32, st.integers(1, 40), elements=floats)


@pytest.fixture(params=["kept", "counted"])
def mode(request, monkeypatch):
    """Whether the histogram still keeps its values, or counts from the first on."""
    if request.param == "counted":
        monkeypatch.setattr(histogram, "KEPT", 0)
    return request.param


def of(*batches):
    seen = Histogram()
    for batch in batches:
        seen.observe(torch.as_tensor(batch))
    return seen


def same(a, b):
    """Whether two histograms hold the same, to the bit."""
    return bits_of(a) == bits_of(b)


def bits_of(seen):
    arrays = [*seen.buckets(), *seen.magnitudes(37), seen.total, seen.min, seen.max]
    return [np.asarray(array).tobytes() for array in arrays]


@pytest.mark.parametrize("kind", KINDS)
def test_kept_values_are_exact(kind):
    x = draw(kind, 3001)
    values, counts = of(x[:1000], x[1000:]).points()
    expected, expected_counts = np.unique(x.numpy(), return_counts=True)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(counts, expected_counts)


@pytest.mark.parametrize("kind", KINDS)
def test_buckets_hold_their_values(kind, monkeypatch):
    monkeypatch.setattr(histogram, "KEPT", 0)
    x = draw(kind, 3001)
    seen = of(x)
    lower, upper, counts = seen.buckets()
    assert counts.sum() == seen.total == 3001
    assert (counts > 0).all()
    assert (lower <= upper).all()
    assert (upper[:-1] <= lower[1:]).all()
    assert (seen.min, seen.max) == (lower[0], upper[-1]) == (float(x.min()), float(x.max()))
    size = np.minimum(np.abs(lower), np.abs(upper))
    assert (upper - lower <= size / 512 + 2.0**-135).all()
    sorted_x = np.sort(torch.where(x.abs() < 2.0**-135, 0, x).numpy().astype(np.float64))
    # Buckets are closed towards zero: the upper edge belongs to a bucket below zero.
    begins = np.searchsorted(sorted_x, lower, side="left")
    ends = np.searchsorted(sorted_x, upper, side="right")
    assert (ends - begins >= counts).all()
    inside = [((sorted_x > a) & (sorted_x < b)).sum() for a, b in zip(lower, upper, strict=True)]
    assert (inside <= counts).all()


def test_one_value_more_than_is_kept_changes_what_is_held_but_not_what_was_seen(monkeypatch):
    monkeypatch.setattr(histogram, "KEPT", 5)
    x = torch.tensor([1.0, 2, 3, 4, 1 + 2**-10])
    kept = of(x)
    assert list(kept.points()[0]) == [1, 1 + 2**-10, 2, 3, 4]
    kept.observe(torch.tensor([2.5]))
    assert kept.total == 6
    assert list(kept.points()[1]) == [2, 1, 1, 1, 1]


@settings(deadline=None)  # a busy machine is no bug
@given(st.lists(rows, min_size=1, max_size=5), st.randoms(), st.sampled_from([0, 20, 1000]))
def test_neither_order_nor_split_nor_merging_matters(batches, random, kept):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histogram, "KEPT", kept)
        whole = of(np.concatenate(batches))
        shuffled = random.sample(batches, len(batches))
        assert same(of(*shuffled), whole)
        merged = Histogram()
        cut = random.randint(0, len(batches))
        for part in (of(*shuffled[:cut]), of(*shuffled[cut:])):
            merged.merge(part)
        assert same(merged, whole)


def test_merging_leaves_the_other_as_it_was(mode):
    a, b = of(draw("normal", 100)), of(draw("relu", 70))
    before = copy.deepcopy(b)
    a.merge(b)
    a.observe(draw("uniform", 10))
    assert same(b, before)
    b.merge(b)
    assert same(b, of(draw("relu", 70), draw("relu", 70)))


def test_a_histogram_can_be_merged_with_itself(monkeypatch):
    monkeypatch.setattr(histogram, "KEPT", 5)
    for x in ([1.0, 2.0], [1.0, 2.0, 3.0], [1.0] * 7):
        seen = of(x)
        seen.merge(seen)
        assert same(seen, of(x, x))


def test_merging_refuses_anything_else():
    with pytest.raises(TypeError, match="other is a list; expected a Histogram"):
        of([1.0]).merge([1.0])


@pytest.mark.parametrize("kind", KINDS)
def test_magnitudes_of_kept_values_are_numpys_histogram(kind):
    x = draw(kind, 3001)
    counts, width = of(x).magnitudes(64)
    sizes = np.abs(x.numpy().astype(np.float64))
    expected, _ = np.histogram(sizes[sizes > 0], 64, (0, sizes.max() or 1))
    np.testing.assert_array_equal(counts, expected)
    assert width * 64 == pytest.approx(sizes.max())


@pytest.mark.parametrize("kind", KINDS)
def test_magnitudes_of_counted_values_are_near(kind, monkeypatch):
    monkeypatch.setattr(histogram, "KEPT", 0)
    x = draw(kind, 3001)
    seen = of(x)
    counts, _ = seen.magnitudes(64)
    sizes = np.abs(x.numpy().astype(np.float64))
    nonzero = sizes[sizes >= 2.0**-135]  # what is smaller shares its bucket with 0
    assert counts.min() >= 0
    assert counts.sum() == pytest.approx(len(nonzero))
    # A bin's edge may cut a bucket: compare below every edge, moved by a bucket to either side.
    edges = np.linspace(0, seen.max if seen.max > -seen.min else -seen.min, 65)
    below = np.append(0, np.cumsum(counts))
    least = [(nonzero < edge * (1 - 1 / 500) - 2.0**-135).sum() for edge in edges]
    most = [(nonzero <= edge * (1 + 1 / 500) + 2.0**-135).sum() for edge in edges]
    assert (below + 1e-6 >= least).all()
    assert (below - 1e-6 <= most).all()


def test_memory_does_not_grow():
    seen = Histogram()
    sizes = set()
    for seed in range(4):
        seen.observe(draw("all sizes", 400_000, seed))
        sizes.add(len(pickle.dumps(seen)) // 2**20)
    assert max(sizes) <= 4
    assert len(pickle.dumps(seen)) < 2.1 * 2**20


def test_compact_loses_nothing_but_memory():
    seen, expected = Histogram(), Histogram()
    for seed in range(3):
        x = draw("normal", 400_000, seed)
        seen.observe(x)
        expected.observe(x)
        seen.compact()
        seen.compact()
    assert seen.nbytes < expected.nbytes / 5
    assert same(seen, expected)
    assert seen.nbytes == expected.nbytes == 2**21  # asking brings the table back
    seen.compact()
    both = Histogram()
    both.merge(seen)
    both.merge(seen)
    assert both.total == 2 * expected.total
    assert (both.points()[1] == 2 * expected.points()[1]).all()


def test_what_was_observed_may_change_afterwards(mode):
    x = draw("normal", 100)
    seen, expected = of(x), of(x.clone())
    x.relu_()
    assert same(seen, expected)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.reshape(6, 5, 4).transpose(0, 2),
        lambda x: torch.stack([x, -x], 1)[:, 0],
        lambda x: x.double(),
        lambda x: x.requires_grad_(),
        lambda x: x.flip(0),
    ],
)
def test_only_the_values_matter(view, mode):
    x = draw("normal", 120)
    assert same(of(view(x.clone())), of(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_narrow_formats_count_as_float32(dtype, mode):
    x = draw("normal", 100).to(dtype)
    assert same(of(x), of(x.float()))


def test_a_single_number_is_a_batch(mode):
    assert same(of(torch.tensor(2.5)), of([2.5]))


def test_zero_is_exact(mode):
    assert list(of([0.0, -1.0, 1.0]).points()[0]) == pytest.approx([-1, 0, 1], rel=1 / 512, abs=0)


def test_zero_has_no_sign(mode):
    assert same(of([-0.0, 1.0], [0.0]), of([0.0], [1.0, -0.0]))
    assert str(of([-0.0]).min) == str(of([-0.0]).max) == "0.0"


def test_the_largest_float_has_a_bucket(mode):
    seen = of([LARGEST, -LARGEST, 1.0])
    assert seen.points()[0][[0, -1]] == pytest.approx([-LARGEST, LARGEST], rel=1 / 512)
    assert np.isfinite(np.concatenate(seen.buckets())).all()


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.tensor([[1.0, 2.0], [float("nan"), 3.0]]), ValueError, r"1 of 4 .* x\[1, 0\] = nan"),
        (torch.tensor([1.0, float("inf"), -float("inf")]), ValueError, r"2 of 3 .* x\[1\] = inf"),
        (torch.tensor([1.0, 1e39], dtype=torch.float64), ValueError, r"1 of 2 .* x\[1\] = 1e\+39"),
        (torch.zeros(0), ValueError, "empty"),
        (torch.tensor([1, 2]), TypeError, "int64; expected a floating-point"),
        ([1.0], TypeError, "list; expected torch.Tensor"),
    ],
)
def test_what_cannot_be_counted_is_refused_and_leaves_no_trace(x, error, message, mode):
    seen = of(draw("normal", 10))
    before = copy.deepcopy(seen)
    with pytest.raises(error, match=message):
        seen.observe(x)
    assert same(seen, before)


@pytest.mark.parametrize("place", range(10))
def test_every_piece_of_a_batch_is_looked_at(place, monkeypatch):
    monkeypatch.setattr(histogram, "KEPT", 0)
    monkeypatch.setattr(buckets, "_PIECE", 3)
    seen = of(torch.arange(10.0), [5.0])
    before = copy.deepcopy(seen)
    for wrong in (float("nan"), float("inf"), -float("inf")):
        x = torch.arange(10.0)
        x[place] = wrong
        with pytest.raises(ValueError, match=rf"x\[{place}\]"):
            seen.observe(x)
    assert same(seen, before)
    assert (seen.min, seen.max, seen.total) == (0, 9, 11)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing_but_the_time(threads, monkeypatch):
    monkeypatch.setattr(buckets, "_SHARE", 100)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    values = torch.randn(1013).numpy()
    counts = np.full(buckets.BUCKETS, 2**40)
    assert buckets.count(counts, values) == (values.min(), values.max())
    expected = np.bincount(buckets.bucket(values), minlength=buckets.BUCKETS)
    assert (counts - 2**40 == expected).all()
    buckets.count(counts, values, times=-1)
    assert (counts == 2**40).all()
    values[-1] = np.nan
    assert np.isnan(buckets.count(counts, values)).all()


def test_a_refused_batch_does_not_end_the_keeping(monkeypatch):
    monkeypatch.setattr(histogram, "KEPT", 4)
    seen = of([1.001, 1.002])
    with pytest.raises(ValueError, match="nan"):
        seen.observe(torch.tensor([1.0, 2.0, float("nan")]))
    seen.observe(torch.tensor([1.003]))
    assert list(seen.points()[1]) == [1, 1, 1]


@pytest.mark.parametrize("ask", [Histogram.buckets, Histogram.points, lambda h: h.magnitudes(8)])
def test_before_any_data_there_is_nothing_to_say(ask):
    with pytest.raises(ValueError, match=r"nothing was observed yet; call observe"):
        ask(Histogram())
