"""Smoothing and rotation leave the product where it was, and make outliers small."""

import itertools

import pytest
import torch

from labkit.language import (
    channel_maxima,
    hadamard,
    rotate,
    rotate_back,
    smooth,
    smoothing_scales,
    tensor_grid,
)
from labkit.linear import fake_quantize

G = torch.Generator().manual_seed(2)


def outliers(tokens: int, width: int) -> torch.Tensor:
    x = torch.randn(tokens, width, generator=G)
    x[:, width // 2] *= 60
    return x


def test_smoothing_keeps_the_product_and_evens_out_both_sides() -> None:
    hidden, norm = outliers(30, 24), 1 + torch.rand(24, generator=G)
    x, weights = hidden * norm, [torch.randn(n, 24, generator=G) for n in (5, 8)]
    new_norm, new_weights = smooth(norm, weights, channel_maxima(x))
    for w, new in zip(weights, new_weights, strict=True):
        assert torch.allclose(hidden * new_norm @ new.T, x @ w.T, atol=1e-3)
    largest = channel_maxima(hidden * new_norm)
    assert torch.allclose(largest, channel_maxima(torch.cat(new_weights)), rtol=1e-4)
    assert largest.max() / largest.median() < 0.3 * channel_maxima(x).max() / x.abs().median()


def test_alpha_decides_who_carries_the_difficulty() -> None:
    a, b = torch.tensor([4.0, 100.0, 0.0, 2.0]), torch.tensor([1.0, 4.0, 3.0, 0.0])
    assert smoothing_scales(a, b, 0.5).tolist() == pytest.approx([2, 5, 1, 1])
    assert smoothing_scales(a, b, 1.0).tolist() == pytest.approx([4, 100, 1, 1])
    assert smoothing_scales(a, b, 0.0).tolist() == pytest.approx([1, 0.25, 1, 1])


def test_smoothing_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        smoothing_scales(torch.ones(2), torch.ones(2), 2)
    with pytest.raises(ValueError, match="expected \\[in\\] each"):
        smoothing_scales(torch.ones(2), torch.ones(3))
    with pytest.raises(ValueError, match="at least one layer"):
        smooth(torch.ones(2), [], torch.ones(2))
    with pytest.raises(ValueError, match="\\[in\\] and \\[out, in\\]"):
        smooth(torch.ones(2), [torch.ones(4, 3)], torch.ones(3))


@pytest.mark.parametrize("n", [1, 2, 4, 12, 20, 24, 64, 96, 128, 352, 576])
def test_a_hadamard_matrix_is_orthogonal_with_entries_of_one_size(n: int) -> None:
    h = hadamard(n).double()
    assert torch.allclose(h @ h.T, torch.eye(n, dtype=torch.float64), atol=1e-5)
    assert torch.allclose(h.abs(), torch.full((n, n), n**-0.5, dtype=torch.float64), atol=1e-6)


def test_powers_of_2_are_doubled() -> None:
    h = torch.ones(1, 1)
    for n in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        assert torch.allclose(hadamard(n), h / n**0.5)
        h = torch.kron(torch.tensor([[1.0, 1.0], [1.0, -1.0]]), h)


@pytest.mark.parametrize("n", [16, 24, 1536])
def test_rotating_is_multiplying_with_the_matrix_and_can_be_undone(n: int) -> None:
    x = torch.randn(2, 3, n, generator=G)
    assert torch.allclose(rotate(x), x @ hadamard(n), atol=1e-4)
    assert torch.allclose(rotate_back(rotate(x)), x, atol=1e-4)


def test_small_orders_are_those_of_the_definition() -> None:
    for n, rows in ((2, 2), (4, 4)):
        signs = (hadamard(n) * n**0.5).round().tolist()
        assert all(
            sum(a * b for a, b in zip(*two, strict=True)) == 0
            for two in itertools.combinations(signs, 2)
        )
        assert signs[0] == [1.0] * rows


def test_rotation_keeps_the_product_and_spreads_an_outlier() -> None:
    x, w = outliers(40, 96), torch.randn(9, 96, generator=G)
    assert torch.allclose(rotate(x) @ rotate(w).T, x @ w.T, atol=1e-3)
    read, write = torch.randn(96, 12, generator=G), torch.randn(9, 96, generator=G)
    assert torch.allclose(rotate(write) @ rotate(read.T).T, write @ read, atol=1e-3)

    def error(x: torch.Tensor, w: torch.Tensor) -> float:
        return float((fake_quantize(x, tensor_grid(x)) @ w.T - x @ w.T).square().mean())

    assert error(rotate(x), rotate(w)) < 0.2 * error(x, w)


@pytest.mark.parametrize("n", [3, 6, 46, 0, -4])
def test_orders_without_a_construction_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match=r"Rotate blocks|1 or more"):
        hadamard(n)
