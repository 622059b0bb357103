"""Codebooks: levels, k-means beside the optimum, Huffman codes, what is stored, training."""

import heapq
import time
from collections.abc import Callable

import pytest
import torch
from torch import nn

from labkit import zoo
from labkit.codebooks import (
    INITS,
    CodebookLayer,
    CodebookTensor,
    centroid_gradient,
    codebook_linear,
    entropy_bits,
    fine_tune,
    huffman_bits,
    huffman_lengths,
    kmeans,
    lloyd_step,
    lookup,
    nearest,
    normal_float,
    optimal_levels,
    optimal_levels_by_trying,
    pack_codes,
    share_weights,
    squared_error,
    unpack_codes,
)
from labkit.codebooks.kmeans import kmeans_of_each
from labkit.codebooks.optimal import optimal_levels_of_each

# bitsandbytes' table of NF4: facts, to be met to the last digit.
NF4 = [
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
]


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_value_on_a_midpoint_gets_the_lower_code() -> None:
    levels = torch.tensor([-1.0, 0.0, 3.0])
    x = torch.tensor([-9.0, -0.5, -0.49, 1.5, 1.51, 9.0])
    assert nearest(x, levels).tolist() == [0, 0, 1, 1, 2, 2]
    assert lookup(nearest(x, levels), levels).tolist() == [-1, -1, 0, 0, 3, 3]


def test_the_nearest_level_is_nearest() -> None:
    x, levels = randn(500).double(), randn(9, seed=1).double().sort().values
    distances = (x[:, None] - levels).abs()
    assert torch.equal(nearest(x, levels), distances.argmin(1))
    assert torch.equal(nearest(torch.ones(2, 3), torch.ones(1)), torch.zeros(2, 3, dtype=int))


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        (torch.tensor([1.0, 1.0]), "expected increasing numbers"),
        (torch.ones(2, 2), "expected one dimension"),
        (torch.tensor([float("nan")]), "expected finite numbers"),
    ],
)
def test_bad_levels_are_refused(levels: torch.Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        nearest(torch.ones(3), levels)


def test_normal_float_is_the_published_table() -> None:
    assert torch.equal(normal_float(4), torch.tensor(NF4))


@pytest.mark.parametrize("bits", range(2, 9))
def test_normal_float_has_one_level_more_above_zero(bits: int) -> None:
    levels = normal_float(bits)
    assert (levels > 0).sum() == 2 ** (bits - 1)
    assert (levels == 0).sum() == 1
    assert (levels[0], levels[-1], len(levels)) == (-1, 1, 2**bits)
    assert torch.equal(levels, levels.sort().values)


def test_normal_weights_fall_equally_often_to_each_side_of_normal_float() -> None:
    """Not so for the levels with the smallest squared error, which lie further outside."""
    x = randn(100_000)
    scaled = normal_float(4) * 1.848  # the outermost quantile, Q(0.9677)
    counts = torch.bincount(nearest(x, scaled), minlength=16)[1:-1].float()
    assert counts.max() / counts.min() < 1.45
    best = optimal_levels(x[:5000], 16)
    assert squared_error(x, best) < 0.8 * squared_error(x, scaled)


def test_one_step_of_lloyd_by_hand() -> None:
    x = torch.tensor([0.0, 1.0, 2.0, 9.0, 12.0, 21.0])
    assert lloyd_step(x, torch.tensor([0.0, 12.0])).tolist() == [1, 14]
    # Nobody is nearest to 5: it moves to 21, which is farthest from the mean of its cluster, 14.
    assert lloyd_step(x, torch.tensor([0.0, 5.0, 12.0])).tolist() == [1, 14, 21]


@pytest.mark.parametrize("init", INITS)
def test_kmeans_ends_where_no_step_changes_anything(init: str) -> None:
    x = randn(2000) ** 3
    levels = kmeans(x.double(), 7, init)
    assert torch.allclose(lloyd_step(x, levels), levels, atol=1e-9)


@pytest.mark.parametrize(
    ("each", "one"), [(kmeans_of_each, kmeans), (optimal_levels_of_each, optimal_levels_by_trying)]
)
@pytest.mark.parametrize("k", [1, 2, 5])
def test_sets_side_by_side_have_the_levels_that_each_has_alone(
    each: Callable, one: Callable, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = (40, 1, 7, 64, 3, 2, 65, 6, 128)
    groups = [(randn(n + i)[:n] ** 3).round(decimals=i % 3 + 1) for i, n in enumerate(sizes)]
    alone = [one(x, k) for x in groups]
    for numbers in (1 << 22, 300):  # all at once, and a few at a time
        monkeypatch.setattr("labkit.codebooks.optimal.SIDE_BY_SIDE", numbers)
        for found, levels in zip(each(groups, k), alone, strict=True):
            assert torch.equal(found, levels)


def test_kmeans_on_sorted_values_takes_the_plain_steps() -> None:
    x = (randn(300) ** 3).round(decimals=2)
    levels = torch.linspace(x.min(), x.max(), 20).double()
    for steps in range(1, 6):
        levels = lloyd_step(x, levels)
        assert torch.allclose(kmeans(x.double(), 20, "linear", steps=steps), levels)


@pytest.mark.parametrize("k", [1, 2, 3, 8, 16])
@pytest.mark.parametrize("seed", range(6))
def test_dynamic_programming_is_optimal(k: int, seed: int) -> None:
    x = randn(70, seed=seed) ** 3
    x = x.round(decimals=1) if seed % 2 else x
    best = optimal_levels(x, k)
    assert torch.allclose(best, optimal_levels_by_trying(x, k), atol=1e-6)
    for init in INITS:
        assert squared_error(x, kmeans(x, k, init)) >= squared_error(x, best) * (1 - 1e-6)


def test_few_values_are_their_own_levels() -> None:
    x = torch.tensor([[2.0, -1.0], [2.0, 0.5]])
    for find in (kmeans, optimal_levels, optimal_levels_by_trying):
        assert find(x, 3).tolist() == [-1, 0.5, 2]
        assert find(torch.full((9,), 3.0), 4).tolist() == [3]
        assert find(torch.zeros(9), 2).tolist() == [0]


@pytest.mark.parametrize("k", [8, 16])
def test_kmeans_is_next_to_optimal_on_the_zoos_weights(k: int) -> None:
    for name in ("resnet", "mobilenet"):
        layers = [m for m in zoo.load_model(name).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        for layer in layers:
            w = layer.weight.detach()
            if w.numel() < 5_000:  # the others take a while, and are no harder
                best = squared_error(w, optimal_levels(w, k))
                assert squared_error(w, kmeans(w, k)) <= 1.01 * best


def test_many_values_take_seconds() -> None:
    x = randn(30_000)
    start = time.process_time()
    best = squared_error(x, optimal_levels(x, 16))
    assert time.process_time() - start < 1  # and 300,000 take under ten times as long
    assert squared_error(x, kmeans(x, 16)) <= 1.01 * best


def test_bad_arguments_are_refused() -> None:
    x = torch.ones(3)
    with pytest.raises(ValueError, match="k is 0; expected 1 or more levels"):
        kmeans(x, 0)
    with pytest.raises(ValueError, match="init is 'random'; expected one of coarse"):
        kmeans(x, 2, "random")
    with pytest.raises(ValueError, match="expected finite numbers"):
        optimal_levels(torch.tensor([1.0, torch.inf]), 2)
    with pytest.raises(ValueError, match="bits is 9; expected 2 to 8"):
        normal_float(9)


def total_by_merging(counts: list[int]) -> int:
    """Each merge costs its sum: the bits of all codes together."""
    heap, total = list(counts), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        total += merged
        heapq.heappush(heap, merged)
    return total


def test_huffman_codes_are_shortest_and_fit_into_a_tree() -> None:
    for seed in range(20):
        g = torch.Generator().manual_seed(seed)
        counts = torch.randint(1, 100, (2 + seed,), generator=g)
        lengths = huffman_lengths(counts)
        assert int((counts * lengths).sum()) == total_by_merging(counts.tolist())
        assert (0.5 ** lengths.double()).sum() == 1  # Kraft
        codes = torch.repeat_interleave(torch.arange(len(counts)), counts)
        assert entropy_bits(codes) <= huffman_bits(codes) < entropy_bits(codes) + len(codes)


def test_huffman_codes_at_the_edges() -> None:
    assert huffman_lengths(torch.tensor([0, 5, 0])).tolist() == [0, 1, 0]
    assert huffman_bits(torch.zeros(7, dtype=torch.uint8)) == 7
    assert huffman_bits(torch.tensor([0, 1, 3, 3])) == 6
    with pytest.raises(ValueError, match="codes has -1"):
        huffman_bits(torch.tensor([1, -1]))


@pytest.mark.parametrize("bits", range(1, 9))
def test_codes_are_packed_without_gaps(bits: int) -> None:
    codes = torch.randint(0, 2**bits, (101,), generator=torch.Generator().manual_seed(bits))
    packed = pack_codes(codes, bits)
    assert len(packed) == -(-101 * bits // 8)
    assert torch.equal(unpack_codes(packed, bits, 101), codes)


@pytest.mark.parametrize(("k", "group_size"), [(16, None), (8, None), (4, 32), (3, 7)])
def test_a_tensor_as_codes_and_levels(k: int, group_size: int | None) -> None:
    x = randn(5, 4, 9)
    stored = CodebookTensor.of(x, k, group_size)
    groups = x.flatten().split(group_size or x.numel())
    back = stored.decode().flatten().split(group_size or 180)
    for group, restored in zip(groups, back, strict=True):
        levels = kmeans(group, k)
        assert torch.equal(restored, lookup(nearest(group, levels), levels))
    bits = {16: 4, 8: 3, 4: 2, 3: 2}[k]
    assert stored.bits_per_weight == bits + 32 * k * len(groups) / 180
    assert stored.huffman_bits_per_weight < stored.bits_per_weight + 0.1
    assert stored.packed.shape[0] == len(groups)


def test_a_product_reads_codes_and_levels() -> None:
    x, levels = randn(3, 50).double(), torch.tensor([-1.0, 0.5, 2.0, 7.0])
    codes = torch.randint(0, 4, (6, 50), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(codebook_linear(x, codes, levels), x @ levels[codes].double().t())


def test_the_gradient_of_a_level_is_the_sum_over_its_weights() -> None:
    codes = torch.tensor([[0, 2], [2, 2]])
    dw = torch.tensor([[1.0, 2.0], [3.0, -0.5]])
    assert centroid_gradient(dw, codes, 4).tolist() == [1, 0, 4.5, 0]
    with pytest.raises(ValueError, match="expected one code for each gradient"):
        centroid_gradient(dw, codes[0], 4)
    layer = CodebookLayer(nn.Conv2d(3, 4, 3, padding=1), 5)
    layer(randn(2, 3, 6, 6)).square().sum().backward()
    auto = layer.levels.detach().clone().requires_grad_()
    real = nn.functional.conv2d(randn(2, 3, 6, 6), auto[layer.codes], layer.layer.bias, padding=1)
    real.square().sum().backward()
    assert torch.allclose(layer.levels.grad, auto.grad, rtol=1e-4)


def test_every_channel_may_have_levels_of_its_own() -> None:
    conv = nn.Conv2d(2, 3, 3)
    layer = CodebookLayer(conv, 4, per_channel=True)
    assert layer.levels.shape == (3, 4)
    for row, weight in zip(layer.weight, conv.weight.detach(), strict=True):
        levels = kmeans(weight, 4)
        assert torch.equal(row, lookup(nearest(weight, levels), levels))
    assert layer.bits_per_weight == 2 + 32 * 4 / 18
    layer(randn(1, 2, 5, 5)).sum().backward()
    assert layer.levels.grad.shape == (3, 4)


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 6, 3, 4), nn.ReLU(), nn.Flatten(), nn.Linear(294, 10))
    network[3].weight.data *= 30  # or all answers would be alike
    return network.eval()


def test_training_levels_brings_the_answers_back() -> None:
    network, images = small_network(), zoo.load_data("fashion_mnist", "calibration")[0][:128]
    shared = share_weights(network, 3)
    assert len(shared[0].levels) == 3
    assert len(shared[0].weight.unique()) == 3
    assert shared[3].bits_per_weight == 2 + 32 * 3 / network[3].weight.numel()
    before = {name: value.clone() for name, value in shared.state_dict().items()}
    losses = fine_tune(shared, images, network, steps=25, batch_size=32)
    assert sum(losses[-5:]) < sum(losses[:5])
    changed = {n for n, v in shared.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == {"0.levels", "3.levels"}


def test_nothing_to_share_or_to_train_is_said() -> None:
    network, images = small_network(), torch.ones(4, 1, 28, 28)
    with pytest.raises(ValueError, match="there is nothing to share"):
        share_weights(nn.Sequential(nn.ReLU()), 4)
    with pytest.raises(ValueError, match="make it with share_weights"):
        fine_tune(network, images, network)
    with pytest.raises(ValueError, match="batch_size is 32 for 4 images"):
        fine_tune(share_weights(network, 4), images, network)
    with pytest.raises(ValueError, match="method is 'best'; expected one of kmeans, optimal"):
        share_weights(network, 4, method="best")
