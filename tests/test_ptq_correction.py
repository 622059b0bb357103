"""Bias correction against a plain loop, and that it does what it is for."""

import copy

import pytest
import torch
import torch.nn.functional as F
from other_networks import NETWORKS, network, pictures
from test_ptq_graph import Layers
from torch import nn
from torch.testing import assert_close

from labkit.linear import choose_qparams, fake_quantize
from labkit.ptq import correct_biases, fold_batchnorm, quantize_model, trace
from labkit.ptq.graph import weighted_layer
from labkit.qparams import Scheme

COARSE = Scheme(3, symmetric=True)


def grids(folded):
    return {
        name: choose_qparams(layer.weight, COARSE, axis=0)
        for name, layer in folded.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_the_mean_error_of_every_layer_becomes_0(name):
    folded = fold_batchnorm(network(name))
    corrected, weights = copy.deepcopy(folded), grids(folded)
    batches = [pictures(3, seed=1), pictures(5, seed=2)]
    correct_biases(corrected, weights, batches)
    inputs: dict[str, list[torch.Tensor]] = {path: [] for path in weights}
    hooks = [
        folded.get_submodule(path).register_forward_pre_hook(
            lambda _, args, path=path: inputs[path].append(args[0].clone())
        )
        for path in weights
    ]
    with torch.no_grad():
        for batch in batches:
            folded(batch)
        for hook in hooks:
            hook.remove()
        for path, grid in weights.items():
            real, rounded = weighted_layer(folded, path), weighted_layer(corrected, path)
            assert torch.equal(rounded.weight, real.weight)
            rounded.weight = nn.Parameter(fake_quantize(rounded.weight, grid))
            error = torch.cat([rounded(x) - real(x) for x in inputs[path]])
            mean = error.transpose(0, 1).flatten(1).double().mean(1)
            assert mean.abs().max() < 1e-5 * max(1, real(inputs[path][0]).abs().max())


def test_it_is_the_formula():
    """b' = b - mean((w' - w) * x), image by image, pixel by pixel."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 2, stride=2)).eval()
    batches = [(torch.rand(2, 2, 4, 6), torch.zeros(2)), (torch.rand(1, 2, 4, 4), None)]
    traced = trace(model)
    weights = grids(traced)
    correct_biases(traced, weights, batches)
    error = fake_quantize(model[0].weight, weights["0"]) - model[0].weight
    for channel in range(3):
        total, count = 0.0, 0
        for images, _ in batches:
            for image in images:
                for i in range(0, image.shape[1], 2):
                    for j in range(0, image.shape[2], 2):
                        total += (error[channel] * image[:, i : i + 2, j : j + 2]).sum().item()
                        count += 1
        expected = model[0].bias[channel].item() - total / count
        assert weighted_layer(traced, "0").bias[channel].item() == pytest.approx(expected, abs=1e-6)


def test_a_layer_without_a_bias_gets_one_and_one_called_twice_a_common_one():
    torch.manual_seed(0)
    model = Layers(
        lambda net, x: net.conv(F.relu(net.conv(x))), conv=nn.Conv2d(3, 3, 1, bias=False)
    ).eval()
    traced, images = trace(model), pictures(2)
    weights = grids(traced)
    correct_biases(traced, weights, [images[:1], images[1:]])
    with torch.no_grad():
        inputs = torch.cat([images, F.relu(model.conv(images))])
        error = F.conv2d(inputs, fake_quantize(model.conv.weight, weights["conv"])) - F.conv2d(
            inputs, model.conv.weight
        )
    assert_close(weighted_layer(traced, "conv").bias, -error.mean((0, 2, 3)), rtol=1e-4, atol=1e-6)


def test_linear_layers_have_their_channels_last():
    model = nn.Sequential(nn.Linear(4, 3)).eval()
    traced = trace(model)
    x = torch.rand(5, 7, 4)
    weights = grids(traced)
    correct_biases(traced, weights, [x])
    error = F.linear(x, fake_quantize(model[0].weight, weights["0"]) - model[0].weight)
    assert_close(weighted_layer(traced, "0").bias, model[0].bias - error.mean((0, 1)))


def test_corrected_networks_are_nearer():
    model, images = network("VGG"), [pictures(16), pictures(16, seed=3)]
    test = pictures(16, seed=2)
    with torch.no_grad():
        real = model(test)
    bias = []
    for corrected in (False, True):
        quantized = quantize_model(model, iter(images), COARSE, corrected=corrected)
        bias.append((quantized(test) - real).mean(0).abs().mean())
    assert bias[1] < 0.7 * bias[0]


def test_no_batch_is_refused():
    traced = trace(nn.Sequential(nn.Conv2d(3, 3, 1)).eval())
    with pytest.raises(ValueError, match="batches is empty; expected at least one batch"):
        correct_biases(traced, grids(traced), [])
    assert not traced.get_submodule("0")._forward_pre_hooks
