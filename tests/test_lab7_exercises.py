"""What lab 7 asks for beside the package's own: on the layers of a real model, the same numbers."""

import pytest
import torch

from labkit import language
from labkit.checks import lab7
from labkit.checks.calling import call_all
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.verdict import State, judge
from labkit.linear import Scheme, dequantize, fake_quantize

ASKED = {exercise.function: exercise.reference for exercise in lab7.EXERCISES}
LAYER = language.real_layers()["q"]
X, W = LAYER.held_out[:40], LAYER.weight[:24]
FOUR = Scheme(4, symmetric=True, narrow=True)
H = language.hessian(LAYER.calibration)


def test_perplexity_and_its_error() -> None:
    rng = torch.Generator().manual_seed(0)
    logits, tokens = torch.randn(30, 9, generator=rng), torch.randint(9, (30,), generator=rng)
    found = language.perplexity(logits, tokens)
    asked = ASKED["perplexity"](logits, tokens)
    assert asked == pytest.approx((found.value, found.standard_error), rel=1e-5)


def test_outliers_and_their_split() -> None:
    channels, tokens = ASKED["maxima"](X)
    assert torch.equal(channels, language.channel_maxima(X))
    assert torch.equal(tokens, language.token_maxima(X))
    codes, scale = ASKED["quantize_tokens"](X)
    assert torch.equal(codes * scale[:, None], fake_quantize(X, language.token_grid(X)))
    asked = ASKED["split_linear"](X, W, 6.0)
    assert torch.allclose(asked, language.split_linear(X, W, 6.0), atol=1e-4)


def test_smoothing_and_groups() -> None:
    x_maxima = language.channel_maxima(X)
    norm, (w,) = language.smooth(LAYER.norm, [W], x_maxima, 0.7)
    asked = ASKED["smooth"](LAYER.norm, W, x_maxima, 0.7)
    assert torch.allclose(asked[0], norm)
    assert torch.allclose(asked[1], w)
    codes, scale, bits = ASKED["quantize_groups"](W, 4, 64)
    grid = language.group_grid(W, FOUR, 64)
    back = codes * scale.repeat_interleave(64, dim=1)
    assert torch.allclose(back, fake_quantize(W, grid), atol=1e-6)
    assert bits == language.bits_per_weight(FOUR, 64)


def test_the_search_of_awq() -> None:
    asked = ASKED["awq_errors"](W, X, [0.0, 0.5, 1.0], 4, 64)
    size, h = X.abs().mean(0).clamp(min=1e-4), language.hessian(X)
    found = language.awq(W, size, h, FOUR, 64, (0.0, 0.5, 1.0)).errors
    assert asked.tolist() == pytest.approx([e / len(W) for e in found.values()], rel=2e-2)


def test_the_factor_and_the_loop_of_gptq() -> None:
    u = ASKED["inverse_factor"](H)
    assert torch.allclose(u.double(), language.inverse_factor(H), rtol=1e-3, atol=1e-4)
    grid = language.group_grid(W, FOUR, 64)
    scale = grid.expand_to(W.shape)[0]
    asked = ASKED["gptq"](W, u, scale, 4)
    found = dequantize(language.gptq(W, H, grid), grid)
    errors = [language.layer_error(W, v, H).sum() for v in (asked * scale, found)]
    assert float(errors[0]) == pytest.approx(float(errors[1]), rel=0.05)


def test_damping_in_place_is_almost_right_where_double_makes_no_copy() -> None:
    exercise = next(e for e in lab7.EXERCISES if e.function == "inverse_factor")

    def damped_in_place(hessian):
        h = hessian.double()
        h.diagonal().add_(0.01 * h.diagonal().mean())
        return torch.linalg.cholesky(torch.linalg.inv(h), upper=True)

    cases = exercise.draw(NOTEBOOK_SEED)
    assert judge(exercise, cases, call_all(damped_in_place, cases)).state is State.ALMOST


def test_the_rotation_and_the_cache() -> None:
    assert torch.allclose(ASKED["rotate"](X[:, :512]), language.rotate(X[:, :512]), atol=1e-4)
    keys, values, size = ASKED["cache_round"](X[:, :64], X[:, 64:128], 4)
    grid = language.key_grid(X[:, :64], FOUR, len(X))
    assert torch.allclose(keys, fake_quantize(X[:, :64], grid), atol=1e-6)
    grid = language.value_grid(X[:, 64:128], FOUR)
    assert torch.allclose(values, fake_quantize(X[:, 64:128], grid), atol=1e-6)
    cache = language.KVCache(FOUR, len(X))
    cache.append(X[:, :64], X[:, 64:128])
    assert size == cache.bytes
