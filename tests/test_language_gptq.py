"""GPTQ: never worse than rounding, equal to the formula of one weight, and blind to blocks."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.language import gptq, group_grid, hessian, inverse_factor, layer_error
from labkit.linear import QParams, Scheme, choose_qparams, dequantize, quantize


def layer(seed: int, out: int, width: int, tokens: int, rank: int) -> tuple:
    rng = torch.Generator().manual_seed(seed)
    hidden = torch.randn(tokens, rank, generator=rng)
    x = hidden @ torch.randn(rank, width, generator=rng) * torch.rand(width, generator=rng) ** 3
    return torch.randn(out, width, generator=rng), x


def errors(w: torch.Tensor, h: torch.Tensor, grid: QParams, **options) -> tuple:
    found, nearest = gptq(w, h, grid, **options), quantize(w, grid)
    return tuple(layer_error(w, dequantize(q, grid), h) for q in (found, nearest))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(1, 9),
    st.integers(1, 24),
    st.integers(1, 40),
    st.integers(1, 30),
    st.sampled_from([2, 3, 4, 8]),
    st.sampled_from([None, 4, 7]),
    st.booleans(),
    st.integers(0, 3),
)
def test_no_row_is_worse_than_rounded(
    seed, out, width, tokens, rank, bits, size, act_order, dead
) -> None:
    w, x = layer(seed, out, width, tokens, rank)
    x[:, :dead] = 0
    grid = choose_qparams(w, Scheme(bits), 0 if size is None else 1, size)
    found, nearest = errors(w, hessian(x), grid, act_order=act_order)
    assert bool((found <= nearest).all())


def test_a_row_that_came_out_worse_falls_back_to_rounding() -> None:
    w, x = layer(5, 64, 24, 40, 30)
    h, grid = hessian(x), choose_qparams(w, Scheme(3, symmetric=True, narrow=True), 0)
    found, nearest = errors(w, h, grid, fall_back=False)
    worse = found > nearest
    assert 0 < int(worse.sum()) < 64
    assert torch.equal(gptq(w, h, grid)[worse], quantize(w, grid)[worse])
    assert torch.equal(gptq(w, h, grid)[~worse], gptq(w, h, grid, fall_back=False)[~worse])


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_it_halves_the_error_where_inputs_depend_on_one_another(bits: int) -> None:
    w, x = layer(3, 32, 64, 400, 16)
    found, nearest = errors(w, hessian(x), group_grid(w, Scheme(bits), 16))
    assert found.sum() < 0.5 * nearest.sum()


def test_with_independent_inputs_it_rounds() -> None:
    w, _ = layer(4, 6, 12, 1, 1)
    grid = group_grid(w, Scheme(3), 4)
    assert torch.equal(gptq(w, torch.diag(torch.arange(1.0, 13)), grid), quantize(w, grid))


def test_two_weights_by_hand() -> None:
    # H = [[2, 1], [1, 1]], H^-1 = [[1, -1], [-1, 2]]. 0.4 becomes 0; the other one moves by +0.4,
    # from 0.3 to 0.7, and becomes 1.
    h, grid = torch.tensor([[2.0, 1.0], [1.0, 1.0]]), QParams(1.0, 0, Scheme(4, symmetric=True))
    assert gptq(torch.tensor([[0.4, 0.3]]), h, grid, damping=0).tolist() == [[0, 1]]
    found, nearest = errors(torch.tensor([[0.4, 0.3]]), h, grid, damping=0)
    assert (found.item(), nearest.item()) == pytest.approx((0.25, 0.65))


def slow(w: torch.Tensor, h: torch.Tensor, scale: float) -> torch.Tensor:
    """Optimal Brain Surgeon as it is written: an inverse of what is left, for each column."""
    w, h = w.double().clone(), h.double()
    for i in range(w.shape[1]):
        inverse = torch.linalg.inv(h[i:, i:])
        rounded = torch.round(w[:, i] / scale) * scale
        w[:, i:] -= (w[:, i] - rounded)[:, None] * inverse[0] / inverse[0, 0]
        w[:, i] = rounded
    return w


@pytest.mark.parametrize("block_size", [1, 5, 128])
def test_it_is_the_surgeon_column_after_column_whatever_the_block(block_size: int) -> None:
    w, x = layer(5, 8, 20, 200, 20)
    h, grid = hessian(x) + 0.1 * torch.eye(20), QParams(0.05, 0, Scheme(8, symmetric=True))
    found = dequantize(gptq(w, h, grid, damping=0, block_size=block_size), grid)
    assert torch.allclose(found.double(), slow(w, h, 0.05), atol=1e-5)


def test_it_lies_between_rounding_and_the_best_of_all_roundings() -> None:
    w, mix = layer(6, 40, 5, 5, 5)[0], torch.eye(5) + 1
    mixed = torch.randn(50, 5, generator=torch.Generator().manual_seed(6)) @ mix
    h, grid = hessian(mixed), QParams(0.5, 0, Scheme(8, symmetric=True))
    found, nearest = errors(w, h, grid)
    down = torch.floor(w / 0.5)
    tried = [0.5 * (down + torch.tensor(up)) for up in itertools.product(range(-1, 3), repeat=5)]
    best = torch.stack([layer_error(w, one, h) for one in tried]).amin(0)
    assert bool((found >= best - 1e-9).all())
    assert best.sum() <= found.sum() < nearest.sum()


def test_the_order_of_activations_is_undone() -> None:
    w, x = layer(7, 16, 32, 300, 12)
    grid = group_grid(w, Scheme(4), 8)
    ordered = gptq(w, hessian(x), grid, act_order=True)
    order = hessian(x).diagonal().argsort(descending=True, stable=True)
    scale, zero_point = grid.expand_to(w.shape)
    columns = QParams(scale[:, order], zero_point[:, order], Scheme(4), 1, 1)
    by_hand = gptq(w[:, order], hessian(x)[order][:, order], columns)
    assert torch.equal(ordered[:, order], by_hand)


def test_the_factor_is_that_of_the_damped_inverse() -> None:
    _, x = layer(8, 1, 10, 4, 4)
    x[:, 3] = 0
    h, u = hessian(x), inverse_factor(hessian(x), 0.05)
    damped = h + 0.05 * h.diagonal().mean() * torch.eye(10)
    damped[3, 3] = h.diagonal().mean()
    assert torch.allclose(u, u.triu())
    assert torch.allclose(u.T @ u, torch.linalg.inv(damped))


def test_a_dead_column_is_rounded_and_changes_no_other() -> None:
    w, x = layer(9, 6, 12, 90, 12)
    x[:, 4] = 0
    grid, other = choose_qparams(w, Scheme(4), 1, 1), w.clone()
    other[:, 4] += 0.3
    found = gptq(w, hessian(x), grid)
    assert torch.equal(found[:, 4], quantize(w, grid)[:, 4])
    rest = torch.arange(12) != 4
    assert torch.equal(gptq(other, hessian(x), grid)[:, rest], found[:, rest])
    assert torch.equal(gptq(w, torch.zeros(12, 12), grid), quantize(w, grid))


def test_layer_error_is_the_squared_error_of_the_output() -> None:
    w, x = layer(10, 4, 6, 30, 6)
    rounded = torch.round(w)
    expected = (x @ (w - rounded).T).square().mean(0).double()
    assert torch.allclose(layer_error(w, rounded, hessian(x)), expected, rtol=1e-4)


def test_what_does_not_fit_is_refused() -> None:
    w, x = layer(11, 3, 6, 2, 2)
    grid = group_grid(w, Scheme(4), 3)
    with pytest.raises(ValueError, match="more damping"):
        gptq(w, hessian(x), grid, damping=0)
    with pytest.raises(ValueError, match=r"expected \[in, in\], \(6, 6\)"):
        gptq(w, hessian(x)[:5, :5], grid)
    with pytest.raises(ValueError, match="block_size is 0"):
        gptq(w, hessian(x), grid, block_size=0)
    with pytest.raises(ValueError, match="0 or more"):
        gptq(w, hessian(x), grid, damping=-1)
    with pytest.raises(TypeError, match="group_grid"):
        gptq(w, hessian(x), 4)  # type: ignore[arg-type]
