"""Straight-through gradients against torch's operators, autograd and finite differences."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit import linear
from labkit.linear import QParams, Scheme
from labkit.qat import fake_quantize, sign

SCHEMES = [Scheme(2, symmetric=True, narrow=True), Scheme(4, signed=False), Scheme(8)]


def draw(seed: int, dtype: torch.dtype, zero_point: int = 0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    x = 3 * torch.randn(4, 7, dtype=dtype, generator=generator)
    # Steps of a power of two: torch multiplies by 1 / S, so that elsewhere ties could differ.
    scale = torch.tensor(0.25, dtype=dtype)
    dy = torch.randn(4, 7, dtype=dtype, generator=generator)
    return x.requires_grad_(), scale.requires_grad_(), torch.tensor(zero_point), dy


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(deadline=None)  # a busy machine is no bug
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 10))
def test_forward_is_that_of_linear(scheme: Scheme, seed: int, scale: float) -> None:
    x = 3 * torch.randn(50, generator=torch.Generator().manual_seed(seed))
    zero_point = scheme.middle if scheme.symmetric else scheme.qmin + 3
    qparams = QParams(scale, zero_point, scheme)
    y = fake_quantize(x, qparams.scale, qparams.zero_point, scheme.qmin, scheme.qmax)
    assert torch.equal(y, linear.fake_quantize(x, qparams))


@pytest.mark.parametrize("zero_point", [0, 3])
@settings(deadline=None)  # a busy machine is no bug
@given(seed=st.integers(0, 10**6))
def test_gradients_are_those_of_torch_per_tensor(zero_point: int, seed: int) -> None:
    x, scale, z, dy = draw(seed, torch.float32, zero_point)
    fake_quantize(x, scale, z, 0, 15, gradient_scale=0.3).backward(dy)
    own = x.grad, scale.grad
    x.grad = None
    torch.fake_quantize_per_tensor_affine(x, 0.25, zero_point, 0, 15).backward(dy)
    assert torch.equal(own[0], x.grad)
    x.grad = None
    learned = torch.tensor([0.25], requires_grad=True)
    torch._fake_quantize_learnable_per_tensor_affine(
        x, learned, torch.tensor([float(zero_point)]), 0, 15, 0.3
    ).backward(dy)
    assert torch.equal(own[0], x.grad)
    torch.testing.assert_close(own[1], learned.grad[0], rtol=1e-4, atol=1e-4)


@settings(deadline=None)  # a busy machine is no bug
@given(seed=st.integers(0, 10**6))
def test_gradients_are_those_of_torch_per_channel(seed: int) -> None:
    x, _, _, dy = draw(seed, torch.float32)
    steps = torch.tensor([0.25, 0.5, 1.0, 2.0])
    own_scale = steps.reshape(4, 1).clone().requires_grad_()
    fake_quantize(x, own_scale, torch.zeros(4, 1), -7, 7, gradient_scale=0.1).backward(dy)
    own = x.grad, own_scale.grad.flatten()
    x.grad = None
    torch.fake_quantize_per_channel_affine(
        x, steps, torch.zeros(4, dtype=torch.int32), 0, -7, 7
    ).backward(dy)
    assert torch.equal(own[0], x.grad)
    x.grad = None
    learned = steps.clone().requires_grad_()
    torch._fake_quantize_learnable_per_channel_affine(
        x, learned, torch.zeros(4), 0, -7, 7, 0.1
    ).backward(dy)
    assert torch.equal(own[0], x.grad)
    torch.testing.assert_close(own[1], learned.grad, rtol=1e-4, atol=1e-4)


@settings(deadline=None)  # a busy machine is no bug
@given(seed=st.integers(0, 10**6))
def test_gradients_are_those_of_the_formula_by_autograd(seed: int) -> None:
    x, scale, _, dy = draw(seed, torch.float64)
    fake_quantize(x, scale, torch.tensor(0), -7, 7).backward(dy)
    own = x.grad, scale.grad
    x.grad, scale.grad = None, None
    real = x / scale
    code = real + (real.round() - real).detach()
    (code.clamp(-7, 7) * scale).backward(dy)
    torch.testing.assert_close(own, (x.grad, scale.grad), rtol=1e-12, atol=1e-12)


@settings(deadline=None)  # a busy machine is no bug
@given(seed=st.integers(0, 10**6))
def test_gradients_are_the_slopes_of_the_smooth_part(seed: int) -> None:
    """With the rounding error of each value held fixed, all is smooth but for two kinks."""
    x, scale, _, dy = draw(seed, torch.float64)
    x, scale = x.detach(), scale.detach()
    rounding = (x / scale).round() - x / scale
    # Values that round to a code at the end sit on a kink, where a small move shows two slopes.
    dy = dy * ((x / scale).round().abs() != 7)

    def smooth(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return (dy * (x / scale + rounding).clamp(-7, 7) * scale).sum()

    values, learned = x.clone().requires_grad_(), scale.clone().requires_grad_()
    fake_quantize(values, learned, torch.tensor(0), -7, 7).backward(dy)
    h = 1e-6
    slope = (smooth(x + h, scale) - smooth(x - h, scale)) / (2 * h)
    assert slope == pytest.approx(float(values.grad.sum()), abs=1e-6)
    slope = (smooth(x, scale + h) - smooth(x, scale - h)) / (2 * h)
    assert slope == pytest.approx(float(learned.grad), abs=1e-5)


def test_a_value_that_rounds_to_the_last_code_learns_and_one_beyond_does_not() -> None:
    x = torch.tensor([7.4, 7.6, -7.4, -7.6, 100.0], requires_grad=True)
    fake_quantize(x, torch.tensor(1.0), torch.tensor(0), -7, 7).sum().backward()
    assert x.grad.tolist() == [1, 0, 1, 0, 0]


def test_clipped_values_pull_the_scale_with_all_their_codes() -> None:
    scale = torch.tensor(1.0, requires_grad=True)
    fake_quantize(torch.tensor([100.0, -100.0]), scale, torch.tensor(2), 0, 15).sum().backward()
    assert float(scale.grad) == (15 - 2) + (0 - 2)


def test_the_sign_passes_its_gradient_straight_through() -> None:
    x = torch.tensor([-2.0, -0.0, 0.0, 3.0], requires_grad=True)
    y = sign(x)
    assert y.tolist() == [-1, 1, 1, 1]
    y.backward(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert x.grad.tolist() == [1, 2, 3, 4]
