"""Equalization shares out ranges, and leaves what the network computes."""

import copy
import itertools

import pytest
import torch
from other_networks import NETWORKS, network, pictures
from test_ptq_graph import Layers
from torch import nn
from torch.testing import assert_close

from labkit import zoo
from labkit.ptq import equalize, fold_batchnorm
from labkit.ptq.graph import weighted_layer


def ranges(network, first, second):
    """Largest |weight| of each channel: as an output of one layer, as an input of the next."""
    out = weighted_layer(network, first).weight.detach().abs().flatten(1).amax(1)
    layer = weighted_layer(network, second)
    depthwise = isinstance(layer, nn.Conv2d) and layer.groups > 1
    weight = layer.weight.detach()
    weight = weight if depthwise else weight.transpose(0, 1)
    return out, weight.abs().flatten(1).amax(1)


@pytest.mark.parametrize("name", ["ResNet-18", "VGG", "Dense", "functional"])
def test_the_function_stays_where_pairs_have_no_ceiling(name):
    model, images = network(name), pictures(4)
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        assert_close(equalize(model)(images), model(images), rtol=1e-3, atol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_relu6_between_a_pair_becomes_a_relu():
    """That changes what is above 6, and nothing else."""
    layers = [nn.Conv2d(3, 8, 1), nn.ReLU6(), nn.Conv2d(8, 2, 1), nn.ReLU6()]
    model, images = nn.Sequential(*layers).eval(), pictures(4)
    equal = equalize(model)
    kinds = [type(layer) for layer in equal.modules()]
    assert kinds.count(nn.ReLU) == kinds.count(nn.ReLU6) == 1
    with torch.no_grad():
        assert model[0](images).max() < 6
        assert_close(equal(images), model(images), rtol=1e-4, atol=1e-5)
        layers[0].bias.fill_(10)
        relu = nn.Sequential(layers[0], nn.ReLU(), *layers[2:]).eval()
        assert_close(equalize(model)(images), relu(images), rtol=1e-4, atol=1e-4)


def test_ranges_become_equal():
    folded, equal = fold_batchnorm(network("ResNet-18")), equalize(network("ResNet-18"))
    pairs = [(f"layer{i}.{j}.conv1", f"layer{i}.{j}.conv2") for i in range(1, 5) for j in (0, 1)]
    for pair in pairs:
        r1, r2 = ranges(equal, *pair)
        assert_close(r1, r2, rtol=1e-2, atol=0)
        before = [r.amax() / r.amin() for r in ranges(folded, *pair)]
        assert (r1.amax() / r1.amin()) ** 2 <= before[0] * before[1] * 1.01


def test_ranges_along_a_chain_of_depthwise_layers_agree_within_a_few_percent():
    model = zoo.load_model("mobilenet")
    folded, equal = fold_batchnorm(model), equalize(model)
    apart = 0.0
    paths = ["stem.0", *(f"blocks.{i}.{j}" for i in range(7) for j in (0, 3))]
    for first, second in itertools.pairwise(paths):
        r1, r2 = ranges(equal, first, second)
        alive = (r1 > 1e-6) & (r2 > 1e-6)
        assert alive.sum() > len(alive) / 2
        assert ((r1 / r2)[alive].log().abs() < 0.1).all(), (first, second)
        f1, f2 = ranges(folded, first, second)
        apart = max(apart, float((f1 / f2)[alive].log().abs().max()))
    assert apart > 2


def test_one_round_is_the_formula():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
    equal = equalize(model)
    first, second = model[0], model[2]
    for i in range(5):
        r1, r2 = first.weight[i].abs().max(), second.weight[:, i].abs().max()
        s = (r1 * r2).sqrt() / r2
        assert_close(weighted_layer(equal, "0").weight[i], first.weight[i] / s)
        assert_close(weighted_layer(equal, "0").bias[i], first.bias[i] / s)
        assert_close(weighted_layer(equal, "2").weight[:, i], second.weight[:, i] * s)


def test_dead_channels_stay_as_they_are():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1)).eval()
    with torch.no_grad():
        model[0].weight[0] = 0
        model[2].weight[:, 1] = 0
    equal, images = equalize(model), pictures(2)
    with torch.no_grad():
        assert_close(equal(images), model(images), rtol=1e-4, atol=1e-5)
    assert torch.equal(weighted_layer(equal, "0").weight[:2], model[0].weight[:2])


@pytest.mark.parametrize(
    "forward",
    [
        lambda net, x: net.b(y := net.relu(net.a(x))) + y,
        lambda net, x: net.b(net.a(x)) + net.a(x),
        lambda net, x: net.b(net.a(net.b(x))),
        lambda net, x: net.line(net.a(x)),
        lambda net, x: net.grouped(net.a(x)),
        lambda net, x: net.tied(net.relu(net.a(x))),
    ],
    ids=["shortcut", "shared first", "shared second", "line on the width", "groups", "tied"],
)
def test_what_is_no_pair_stays(forward):
    torch.manual_seed(0)
    model = Layers(
        forward,
        a=nn.Conv2d(4, 4, 1),
        b=nn.Conv2d(4, 4, 1),
        tied=nn.Conv2d(4, 4, 1),
        grouped=nn.Conv2d(4, 4, 1, groups=2),
        line=nn.Linear(4, 4),
        relu=nn.ReLU(),
    ).eval()
    model.tied.weight = model.a.weight
    images = torch.randn(2, 4, 4, 4)
    with torch.no_grad():
        assert_close(equalize(model)(images), model(images), rtol=1e-4, atol=1e-5)


def test_all_networks_have_something_to_equalize():
    for name in NETWORKS:
        folded, equal = fold_batchnorm(network(name)), equalize(network(name))
        changed = [
            key
            for key, value in folded.state_dict().items()
            if key in equal.state_dict() and not torch.equal(value, equal.state_dict()[key])
        ]
        assert changed or name in ("Dense", "functional")


RELUS = {
    "F.relu": nn.functional.relu,
    "torch.relu": torch.relu,
    "method": lambda x: x.relu(),
    "in place": lambda x: x.relu_(),
    "F.relu in place": lambda x: nn.functional.relu(x, inplace=True),
    "by name": lambda x: nn.functional.relu(input=x),
    "leaky": lambda x: nn.functional.leaky_relu(x, 0.1),
    "LeakyReLU": nn.LeakyReLU(),
}


class Chain(nn.Module):
    def __init__(self, relu):
        super().__init__()
        self.a, self.b, self.relu = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), relu

    def forward(self, x):
        return self.b(self.relu(self.a(x)))


@pytest.mark.parametrize("name", RELUS)
def test_a_relu_is_seen_however_it_is_written(name):
    torch.manual_seed(0)
    model = Chain(RELUS[name]).eval()
    model.b.weight.data.mul_(torch.logspace(-2, 2, 8).reshape(1, 8, 1, 1))
    x = torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        balanced = equalize(model)
        torch.testing.assert_close(balanced(x), model(x), rtol=1e-3, atol=1e-3)
        ranges = balanced.get_submodule("b").weight.abs().amax((0, 2, 3))
        assert ranges.max() / ranges.min() < 1000


def test_a_ceiling_goes_however_it_is_written():
    torch.manual_seed(0)
    model = Chain(nn.functional.relu6).eval()
    x = 50 * torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        expected = model.b(torch.relu(model.a(x)))
        torch.testing.assert_close(equalize(model)(x), expected, rtol=1e-3, atol=1e-3)
