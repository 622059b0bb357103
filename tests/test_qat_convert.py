"""The integer network is the one that was trained: same codes, but for values on a tie."""

import pytest
import torch
import torch.nn.functional as F
from qat_networks import small_data, small_network
from torch import nn

from labkit import zoo
from labkit.linear import Scheme
from labkit.qat import (
    LSQ,
    FakeQuantize,
    activation_quantizers,
    compare,
    convert,
    prepare,
    train,
    weight_quantizers,
)

pytestmark = pytest.mark.slow

TIE = 1e-3  # of a step: float32 rounding in sums of some hundred products
SCHEMES = {
    "W8A8": (Scheme(8, symmetric=True, narrow=True), Scheme(8, signed=False)),
    "W4A4": (Scheme(4, symmetric=True, narrow=True), Scheme(4, signed=False)),
    "W2A8": (Scheme(2, symmetric=True, narrow=True), Scheme(8, signed=False)),
    "W1A8": ("binary", Scheme(8, signed=False)),
    "affine": (Scheme(4), Scheme(6)),
}


@pytest.mark.parametrize("quantizer", [LSQ, FakeQuantize])
@pytest.mark.parametrize("name", SCHEMES)
def test_after_training_the_integers_agree_but_for_ties(name: str, quantizer) -> None:
    images, labels = small_data()
    network = prepare(small_network(), *SCHEMES[name], quantizer)
    train(network, images, labels, epochs=4, batch_size=20, peak=1e-2)
    quantized = convert(network)
    found = compare(network, quantized, images)
    assert [agreement.tensor for agreement in found] == list(activation_quantizers(network))
    assert all(agreement.farthest < TIE for agreement in found)
    assert sum(a.differ for a in found) <= 1e-4 * sum(a.codes for a in found)
    with torch.no_grad():
        step = activation_quantizers(network)["head_2"].qparams().scale
        torch.testing.assert_close(quantized(images), network(images), rtol=0, atol=2.01 * step)


@pytest.mark.parametrize("model", zoo.MODELS)
def test_the_networks_of_the_zoo_predict_the_same_classes(model: str) -> None:
    images, _ = zoo.load_data("fashion_mnist", "test")
    network = prepare(zoo.load_model(model), *SCHEMES["W4A4"])
    with torch.no_grad():
        network(images[:64])
        network.eval()
        quantized = convert(network)
        same = (network(images[:200]).argmax(1) == quantized(images[:200]).argmax(1)).float()
    assert same.mean() >= 0.995
    assert all(agreement.farthest < TIE for agreement in compare(network, quantized, images[:20]))


def test_compare_finds_what_is_no_tie() -> None:
    images, _ = small_data()
    network = prepare(small_network(), *SCHEMES["W8A8"])
    with torch.no_grad():
        network(images)
    quantized = convert(network)
    network.eval()
    with torch.no_grad():
        network.conv.parametrizations.weight.original.add_(0.2)
    found = {a.tensor: a for a in compare(network, quantized, images)}
    assert found["relu"].differ > 100
    assert found["relu"].farthest > 0.4
    assert found["head_2"].farthest < TIE


def test_binary_weights_are_stored_as_signs() -> None:
    network = prepare(small_network(), *SCHEMES["W1A8"], end_bits=None)
    with torch.no_grad():
        network(small_data()[0])
        network.conv.parametrizations.weight.original.mul_(3)  # a step after the last forward
    quantized = convert(network)
    for name, quantizer in weight_quantizers(network).items():
        assert set(quantized.weights[name].q_w.flatten().tolist()) == {-1, 1}
        assert torch.equal(quantized.weights[name].qparams.scale, quantizer.qparams().scale)


def test_both_backends_compute_the_same() -> None:
    images, _ = small_data()
    network = prepare(small_network(), *SCHEMES["W2A8"])
    with torch.no_grad():
        network(images)
    one, other = convert(network, "torch"), convert(network, "reference")
    assert torch.equal(one(images), other(images))


def test_conversion_leaves_the_network_as_it_was() -> None:
    images, _ = small_data()
    network = prepare(small_network(), *SCHEMES["W4A4"], FakeQuantize)
    network(images)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    convert(network)
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    network(images).sum().backward()


def test_what_cannot_be_converted_is_refused() -> None:
    network = prepare(small_network(), *SCHEMES["W4A4"])
    with pytest.raises(ValueError, match="seen no tensor yet"):
        convert(network)
    with pytest.raises(TypeError, match="expected GraphModule"):
        convert(small_network())
    with pytest.raises(ValueError, match="no quantizers"):
        convert(torch.fx.symbolic_trace(small_network()))
    with torch.no_grad():
        network(small_data()[0])
    with pytest.raises(ValueError, match="training mode"):
        compare(network, convert(network), small_data()[0])


class Shared(nn.Module):
    """One layer in two places, behind a concatenation and a ReLU that overwrites it."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.fc = (
            nn.Conv2d(4, 2, 3, padding=1),
            nn.ReLU(True),
            nn.Linear(4, 3),
        )

    def forward(self, x):
        x = self.relu(torch.cat([x, x], 1))
        x = F.relu(torch.cat([self.conv(x), self.conv(x + x)], 1), True)
        return self.fc(F.avg_pool2d(x, 9).relu_().flatten(1))


def test_a_shared_layer_has_one_quantizer_and_nothing_is_overwritten():
    torch.manual_seed(0)
    network = prepare(Shared().eval(), Scheme(4, symmetric=True), Scheme(8, signed=False))
    assert len(network.conv.parametrizations.weight) == 1
    assert set(weight_quantizers(network)) == {"conv", "fc"}
    images, labels = torch.randn(16, 2, 9, 9), torch.arange(16) % 3
    train(network, images, labels, batch_size=8)
    quantized = convert(network)
    assert max(found.farthest for found in compare(network, quantized, images)) < 1e-3


@pytest.mark.parametrize("bias", [True, False])
def test_what_is_frozen_stays_frozen(bias):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(1, 4, 3, bias=bias), nn.BatchNorm2d(4), nn.ReLU(True))
    model = nn.Sequential(backbone, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    backbone.requires_grad_(False)
    network = prepare(model, Scheme(4, symmetric=True), Scheme(8, signed=False))
    images, labels = small_data()
    layer = network.get_submodule("0.0")
    network(images[:4])
    frozen = (layer.weight, layer.parametrizations.bias.original)
    before = [value.detach().clone() for value in frozen]
    head = network.get_submodule("3").parametrizations.weight.original.detach().clone()
    train(network, images, labels, batch_size=20)
    after = [layer.weight, layer.parametrizations.bias.original]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not torch.equal(network.get_submodule("3").parametrizations.weight.original, head)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(5, 4)

    def forward(self, image, numbers):
        zeros = torch.zeros(image.shape[0], 1, *image.shape[2:])
        image = torch.cat([self.conv(image), zeros], 1)[:, :4]
        return {"map": image * self.linear(numbers).sigmoid()[..., None, None]}


def test_several_inputs_and_shapes_that_an_example_tells():
    torch.manual_seed(0)
    inputs = torch.randn(4, 3, 6, 6), torch.randn(4, 5)
    schemes = Scheme(8, symmetric=True), Scheme(8, signed=False)
    prepared = prepare(TwoInputs().eval(), *schemes, example=inputs)
    prepared(*inputs)["map"].square().mean().backward()
    prepared.eval()
    quantized = convert(prepared)
    assert torch.allclose(prepared(*inputs)["map"], quantized(*inputs)["map"], atol=1e-5)
    assert not any(found.differ for found in compare(prepared, quantized, *inputs))


def test_a_table_for_each_channel_of_a_sequence_needs_an_example():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(1, 4, 5), nn.BatchNorm1d(4), nn.PReLU(4), nn.Conv1d(4, 2, 3))
    x, schemes = torch.randn(4, 1, 20), (Scheme(8, symmetric=True), Scheme(8, signed=False))
    prepared = prepare(model.eval(), *schemes, example=(x,))
    prepared(x)
    prepared.eval()
    assert torch.allclose(prepared(x), convert(prepared)(x), atol=1e-5)
