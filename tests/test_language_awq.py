"""Groups of weights and what they cost; the search of AWQ."""

import pytest
import torch

from labkit.language import (
    awq,
    awq_scales,
    best_grid,
    bits_per_weight,
    group_grid,
    hessian,
    layer_error,
)
from labkit.linear import Scheme, choose_qparams, fake_quantize

G = torch.Generator().manual_seed(3)
W = torch.randn(12, 40, generator=G)
X = (
    torch.randn(200, 40, generator=G)
    * torch.logspace(-1.5, 1.5, 40)[torch.randperm(40, generator=G)]
)


def test_a_group_has_a_scale_of_its_own() -> None:
    grid = group_grid(W, Scheme(4), 16)
    assert grid.scale.shape == (12, 3)
    first = choose_qparams(W[:, :16], Scheme(4), axis=0)
    assert torch.equal(grid.scale[:, 0], first.scale)
    assert torch.equal(fake_quantize(W, grid)[:, :16], fake_quantize(W[:, :16], first))


def test_scales_and_zero_points_count() -> None:
    assert bits_per_weight(Scheme(4, symmetric=True), 32) == 4.5
    assert bits_per_weight(Scheme(4), 64) == 4 + 20 / 64
    assert bits_per_weight(Scheme(3), 128, scale_bits=32) == 3 + 35 / 128


@pytest.mark.parametrize("importance", [None, X.square().mean(0)])
@pytest.mark.parametrize("size", [8, 16])
def test_a_smaller_range_may_be_better_and_is_found(importance, size) -> None:
    def error(grid):
        weights = torch.ones(40) if importance is None else importance
        squared = weights * (W - fake_quantize(W, grid)).square()
        return torch.stack([group.sum(1) for group in squared.split(size, 1)], dim=1)

    best = best_grid(W, Scheme(3), size, importance)
    assert bool((error(best) <= error(group_grid(W, Scheme(3), size)) + 1e-9).all())
    assert error(best).sum() < 0.95 * error(group_grid(W, Scheme(3), size)).sum()
    tried = torch.stack(
        [error(best_grid(W, Scheme(3), size, importance, (f,))) for f in (1.0, 0.9, 0.8)]
    ).amin(0)
    few = best_grid(W, Scheme(3), size, importance, (1.0, 0.9, 0.8))
    assert torch.allclose(error(few), tried)


def test_the_search_of_one_number_finds_the_best_that_it_tries() -> None:
    magnitude, h = X.abs().mean(0), hessian(X)
    found = awq(W, magnitude, h, Scheme(3), 20)

    def error(alpha):
        s = awq_scales(magnitude, alpha)
        rounded = fake_quantize(W * s, group_grid(W * s, Scheme(3), 20))
        return float(((X / s) @ rounded.T - X @ W.T).square().sum(1).mean())

    assert found.errors[0.0] == pytest.approx(error(0.0), rel=1e-4)
    assert (
        found.errors[found.alpha]
        == min(found.errors.values())
        == pytest.approx(error(found.alpha), rel=1e-4)
    )
    assert found.errors[found.alpha] < 0.7 * found.errors[0.0]
    assert torch.equal(found.scales, awq_scales(magnitude, found.alpha))
    plain = layer_error(W, fake_quantize(W, group_grid(W, Scheme(3), 20)), h).sum()
    assert found.errors[0.0] == pytest.approx(float(plain))


def test_scales_are_centred_and_survive_dead_channels() -> None:
    assert torch.equal(awq_scales(X.abs().mean(0), 0.0), torch.ones(40))
    s = awq_scales(torch.tensor([1.0, 16.0, 4.0]), 0.5)
    assert s.tolist() == pytest.approx([0.5, 2, 1])
    dead = awq_scales(torch.tensor([0.0, 1.0, 2.0]), 1.0)
    assert bool((dead > 0).all())
    assert bool(dead.isfinite().all())
    assert torch.equal(awq_scales(torch.zeros(3), 0.5), torch.ones(3))


def test_what_does_not_fit_is_refused() -> None:
    h = hessian(X)
    with pytest.raises(ValueError, match="exponents"):
        awq(W, X.abs().mean(0), h, Scheme(3), 20, alphas=())
    with pytest.raises(ValueError, match="0 or more"):
        awq_scales(X[0], 0.5)
    with pytest.raises(ValueError, match="importance"):
        best_grid(W, Scheme(3), 8, torch.ones(3))
    with pytest.raises(ValueError, match="factors"):
        best_grid(W, Scheme(3), 8, shrink=(1.5,))
    with pytest.raises(ValueError, match="scale_bits"):
        bits_per_weight(Scheme(4), 32, -1)
