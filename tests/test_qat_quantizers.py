"""FakeQuantize, LSQ and Binary: grids, ranges that move and freeze, gradients, state."""

import pytest
import torch
from torch.nn.utils import parametrize

from labkit.linear import Scheme, choose_qparams, dequantize, fake_quantize, quantize
from labkit.qat import LSQ, Binary, FakeQuantize

SYMMETRIC = Scheme(4, symmetric=True, narrow=True)
UNSIGNED = Scheme(4, signed=False)
QUANTIZERS = [
    lambda: FakeQuantize(UNSIGNED),
    lambda: FakeQuantize(SYMMETRIC, axis=0, momentum=0),
    lambda: LSQ(UNSIGNED),
    lambda: LSQ(SYMMETRIC, axis=0),
    Binary,
]


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("make", QUANTIZERS)
def test_the_output_is_what_the_codes_stand_for(make) -> None:
    quantizer, x = make(), randn(0, 6, 5, 3, 3)
    y = quantizer(x)
    qparams = quantizer.qparams()
    assert y.shape == x.shape
    torch.testing.assert_close(y, dequantize(quantize(y, qparams), qparams), rtol=1e-6, atol=0)


@pytest.mark.parametrize("make", QUANTIZERS)
def test_a_loaded_state_goes_on_where_it_was(make) -> None:
    first, second = make(), make()
    second(randn(1, 6, 5))
    first(3 * randn(0, 6, 5))
    first(2 * randn(2, 6, 5))
    second.load_state_dict(first.state_dict())
    x = randn(3, 6, 5)
    assert torch.equal(first(x), second(x))


@pytest.mark.parametrize("make", QUANTIZERS)
def test_no_grid_before_the_first_tensor(make) -> None:
    with pytest.raises(ValueError, match="seen no tensor yet"):
        make().qparams()


@pytest.mark.parametrize("make", QUANTIZERS)
@pytest.mark.parametrize("bad", [torch.tensor([1.0, torch.nan]), torch.zeros(0)])
def test_a_bad_first_tensor_is_refused_and_leaves_nothing(make, bad: torch.Tensor) -> None:
    quantizer = make()
    with pytest.raises(ValueError, match="x "):
        quantizer(bad)
    assert not quantizer.started


@pytest.mark.parametrize("make", [FakeQuantize, LSQ])
def test_wrong_arguments_are_refused(make) -> None:
    with pytest.raises(TypeError, match="expected Scheme"):
        make(4)
    with pytest.raises(TypeError, match="axis"):
        make(SYMMETRIC, axis="channels")


def test_fake_quantize_agrees_with_the_range_of_a_tensor() -> None:
    x = randn(0, 4, 9)
    for scheme, axis in ((UNSIGNED, None), (SYMMETRIC, 0), (Scheme(8), 1)):
        expected = fake_quantize(x, choose_qparams(x, scheme, axis))
        assert torch.equal(FakeQuantize(scheme, axis)(x), expected)


def test_the_range_follows_the_batches_in_training_only() -> None:
    quantizer = FakeQuantize(UNSIGNED, momentum=0.75)
    quantizer(torch.tensor([0.0, 4.0]))
    quantizer(torch.tensor([-4.0, 8.0]))
    assert (float(quantizer.rmin), float(quantizer.rmax)) == (-1, 5)
    quantizer.eval()
    quantizer(torch.tensor([-100.0, 100.0]))
    quantizer.train()
    quantizer.frozen = True
    quantizer(torch.tensor([-100.0, 100.0]))
    assert (float(quantizer.rmin), float(quantizer.rmax)) == (-1, 5)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, float("nan")])
def test_momentum_outside_0_to_1_is_refused(momentum: float) -> None:
    with pytest.raises(ValueError, match="momentum"):
        FakeQuantize(UNSIGNED, momentum=momentum)


def test_lsq_starts_with_the_smallest_squared_error() -> None:
    x = randn(0, 500)
    x[0] = 30.0
    quantizer = LSQ(SYMMETRIC)
    error = (quantizer(x) - x).square().mean()
    start = float(quantizer.scale.detach())
    for factor in (0.5, 0.8, 0.95, 1.05, 1.25, 2.0):
        quantizer.scale.data.fill_(factor * start)
        assert (quantizer(x) - x).square().mean() > error


def test_lsq_scales_its_gradient_by_the_values_that_share_a_step() -> None:
    weights, images = randn(0, 6, 5), randn(1, 8, 5)
    for x, quantizer, sharing in (
        (weights, LSQ(SYMMETRIC, axis=0), 5),
        (images, LSQ(UNSIGNED), 5),
    ):
        quantizer(x).sum().backward()
        scale, qparams = quantizer.scale.detach(), quantizer.qparams()
        code = quantize(x, qparams).float() - qparams.expand_to(x.shape)[1]
        real = x / qparams.expand_to(x.shape)[0]
        inside = code == real.round()
        plain = (code - real * inside).sum(1 if quantizer.axis == 0 else (0, 1))
        expected = plain / (sharing * quantizer.scheme.qmax) ** 0.5
        assert quantizer.scale.grad.shape == scale.shape
        torch.testing.assert_close(quantizer.scale.grad, expected, rtol=1e-4, atol=1e-4)


def test_a_learned_scale_that_a_step_made_negative_still_makes_a_grid() -> None:
    quantizer, x = LSQ(SYMMETRIC), randn(0, 50)
    y = quantizer(x)
    quantizer.scale.data.neg_()
    assert torch.equal(quantizer(x), y)
    assert quantizer.qparams().scale > 0


def test_learning_the_scale_alone_lowers_the_error() -> None:
    quantizer, x = LSQ(SYMMETRIC), randn(0, 2000)
    quantizer(x)
    quantizer.scale.data.mul_(2)
    optimizer = torch.optim.SGD(quantizer.parameters(), 0.5)
    errors = []
    for _ in range(50):
        error = (quantizer(x) - x).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
    assert errors[-1] < 0.5 * errors[0]


def test_binary_weights_are_signs_times_the_mean_size() -> None:
    w = torch.tensor([[1.0, -2.0, 3.0], [0.0, 0.5, -0.1]])
    y = Binary()(w)
    torch.testing.assert_close(y, torch.tensor([[2.0, -2, 2], [0.2, 0.2, -0.2]]))
    best = [(w[0] - s * w[0].sign()).square().sum() for s in (1.9, 2.0, 2.1)]
    assert best[1] == min(best)


def test_binary_codes_are_minus_one_and_one() -> None:
    quantizer, w = Binary(), randn(0, 6, 4, 3, 3)
    assert set(quantize(quantizer(w), quantizer.qparams()).flatten().tolist()) == {-1, 1}


def test_the_scale_of_binary_weights_has_its_own_gradient() -> None:
    w = randn(0, 2, 4).requires_grad_()
    dy = randn(1, 2, 4)
    Binary()(w).backward(dy)
    scale, signs = w.detach().abs().mean(1, keepdim=True), w.detach().sign()
    expected = scale * dy + signs * (dy * signs).mean(1, keepdim=True)
    torch.testing.assert_close(w.grad, expected)


def test_a_quantizer_can_parametrize_a_weight() -> None:
    layer = torch.nn.Linear(5, 3)
    weight = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", LSQ(SYMMETRIC, axis=0))
    layer(randn(0, 2, 5)).sum().backward()
    assert layer.parametrizations.weight.original.grad is not None
    assert len(layer.weight[0].unique()) <= 15
    assert torch.equal(layer.parametrizations.weight.original, weight)
