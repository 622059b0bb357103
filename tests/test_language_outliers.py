"""Outliers: their maxima, grids that live with them, and the split of LLM.int8."""

import pytest
import torch

from labkit.language import (
    channel_maxima,
    split_linear,
    split_outliers,
    tensor_grid,
    token_grid,
    token_maxima,
)
from labkit.linear import fake_quantize

G = torch.Generator().manual_seed(1)
X = torch.randn(20, 48, generator=G).clamp(-4, 4)
X[:, 5] *= 50
W = torch.randn(7, 48, generator=G)


def test_maxima_are_those_of_channels_and_of_tokens() -> None:
    batch = X.reshape(4, 5, 48)
    assert channel_maxima(batch).tolist() == [max(map(abs, c)) for c in X.T.tolist()]
    assert token_maxima(batch).flatten().tolist() == [max(map(abs, t)) for t in X.tolist()]
    assert token_maxima(batch).shape == (4, 5)


def test_each_token_has_a_grid_that_reaches_its_own_largest_value() -> None:
    grid = token_grid(X)
    assert torch.allclose(grid.scale, token_maxima(X) / 127)
    assert float(tensor_grid(channel_maxima(X)).scale) == pytest.approx(float(X.abs().max()) / 127)
    error = [(X - fake_quantize(X, g)).square().sum() for g in (grid, tensor_grid(X))]
    assert error[0] < error[1]


def test_channels_from_the_threshold_on_are_outliers() -> None:
    assert split_outliers(X).nonzero().flatten().tolist() == [5]
    assert split_outliers(torch.tensor([[6.0, -6.0, 5.9]])).tolist() == [True, True, False]


def test_the_split_multiplies_codes_and_lets_outliers_through() -> None:
    y = X.double() @ W.T.double()
    inner = torch.arange(48) != 5
    x_grid = token_grid(X[:, inner])
    w_scale = W[:, inner].abs().amax(1, keepdim=True) / 127
    rounded = fake_quantize(X[:, inner], x_grid) @ (torch.round(W[:, inner] / w_scale) * w_scale).T
    expected = X[:, ~inner] @ W[:, ~inner].T + rounded
    assert torch.allclose(split_linear(X, W), expected, rtol=1e-5, atol=1e-4)
    error, whole = ((split_linear(X, W, t) - y).abs().mean() for t in (6.0, 1e9))
    assert error < 0.2 * whole


def test_without_outliers_or_with_nothing_else_it_works_too() -> None:
    assert torch.allclose(split_linear(X, W, 0.0), X @ W.T)
    assert torch.equal(split_linear(X[:, :5], W[:, :5]), split_linear(X[:, :5], W[:, :5], 99.0))
    assert torch.equal(split_linear(torch.zeros(2, 3), torch.ones(4, 3)), torch.zeros(2, 4))


def test_sums_of_codes_are_exact_in_wide_layers() -> None:
    x, w = torch.ones(1, 3001), torch.ones(1, 3001)
    assert split_linear(x, w).item() == pytest.approx(3001, rel=1e-7)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="expected as many"):
        split_linear(X, W[:, 1:])
    with pytest.raises(ValueError, match="expected two dimensions"):
        token_grid(X[0])
    with pytest.raises(ValueError, match="0 or more"):
        split_outliers(X, float("nan"))
    with pytest.raises(ValueError, match="single number"):
        channel_maxima(torch.tensor(1.0))
