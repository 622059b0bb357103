"""What a network does in training mode only: trained with, and gone from the integers."""

import pytest
import torch
import torch.nn.functional as F
from torch import fx, nn

from labkit.linear import Scheme
from labkit.ptq import fold_batchnorm, quantize_model
from labkit.qat import activation_quantizers, compare, convert, prepare, train

SCHEMES = (Scheme(8, symmetric=True, narrow=True), Scheme(8, signed=False))


class Classifier(nn.Module):
    """Convolution, normalization, ReLU and a head, with something put between them."""

    def __init__(self, drop, between=nn.Identity):
        super().__init__()
        self.conv, self.between, self.norm = nn.Conv2d(1, 6, 3), between(), nn.BatchNorm2d(6)
        self.relu, self.conv2, self.fc = nn.ReLU(True), nn.Conv2d(6, 6, 1), nn.Linear(6, 3)
        self.drop, self.rate = drop, 0.5
        self.layer = drop() if isinstance(drop, type) else None

    def forward(self, x):
        x = self.relu(self.norm(self.between(self.conv(x))))
        dropped = self.layer(self.conv2(x)) if self.layer else self.drop(self, self.conv2(x))
        return self.fc(F.adaptive_avg_pool2d(F.relu(dropped + x), 1).flatten(1))


def stochastic_depth(x, rate, training):
    if not training or rate == 0:
        return x
    return x * torch.empty(len(x), 1, 1, 1).bernoulli_(1 - rate) / (1 - rate)


hidden_depth = stochastic_depth
fx.wrap("hidden_depth")


class Depth(nn.Module):
    """Stochastic depth as most packages have it: a module around a function."""

    def forward(self, x):
        return stochastic_depth(x, 0.5, self.training)


class HiddenDepth(nn.Module):
    """The same, with the function hidden from tracing, as torchvision's is."""

    def forward(self, x):
        return hidden_depth(x, 0.5, self.training)


class Noise(nn.Module):
    """Noise while it is trained."""

    def forward(self, x):
        if self.training:
            x = x + torch.randn_like(x)
        return x


DROPS = {
    "Dropout": nn.Dropout,
    "Dropout2d": nn.Dropout2d,
    "AlphaDropout": nn.AlphaDropout,
    "inside": lambda net, x: net.inside(x),
    "F.dropout": lambda net, x: F.dropout(x, 0.3, net.training),
    "F.dropout in place": lambda net, x: F.dropout(x, training=net.training, inplace=True),
    "F.dropout2d": lambda net, x: F.dropout2d(x, training=net.training),
    "F.alpha_dropout": lambda net, x: F.alpha_dropout(x, net.rate, net.training and True),
    "Depth": Depth,
    "HiddenDepth": HiddenDepth,
    "Noise": Noise,
}


def network(drop, between=nn.Identity):
    torch.manual_seed(0)
    model = Classifier(drop, between)
    model.inside = nn.Sequential(nn.Identity(), nn.Dropout(inplace=True))
    with torch.no_grad():
        model.norm.running_mean.normal_()
        model.norm.running_var.uniform_(0.5, 2)
    return model.eval()


def images():
    return torch.randn(12, 1, 7, 7, generator=torch.Generator().manual_seed(1))


def prepared(model):
    made = prepare(model, *SCHEMES)
    with torch.no_grad():
        made.eval()(images())  # quantizers start with what dropout leaves alone
    return made.train()


@pytest.mark.parametrize("name", DROPS)
def test_it_is_done_in_training_mode_and_gone_from_the_integers(name):
    with_drop, without = (prepared(network(d)) for d in (DROPS[name], lambda net, x: x))
    assert list(activation_quantizers(with_drop)) == list(activation_quantizers(without))
    with torch.no_grad():
        assert not torch.equal(with_drop(images()), with_drop(images()))
        assert torch.equal(without(images()), without(images()))
        real = with_drop.eval()(images())
        assert torch.equal(real, without.eval()(images()))
    integers, other = convert(with_drop), convert(without)
    assert integers.steps == other.steps
    assert torch.equal(integers(images()), other(images()))
    assert max(found.farthest for found in compare(with_drop, integers, images())) < 1e-3


@pytest.mark.parametrize("name", ["Dropout", "F.dropout in place", "HiddenDepth"])
def test_gradients_pass_through_it(name):
    model = prepared(network(DROPS[name]))
    before = model.conv.parametrizations.weight.original.detach().clone()
    train(model, images(), torch.arange(12) % 3, batch_size=6)
    assert not torch.equal(model.conv.parametrizations.weight.original, before)
    assert torch.isfinite(convert(model)(images())).all()


def test_normalization_is_folded_past_it():
    model = network(lambda net, x: x, between=nn.Dropout2d)
    folded = fold_batchnorm(model, for_training=True)
    kinds = [type(layer) for layer in folded.modules()]
    assert nn.BatchNorm2d not in kinds
    assert nn.Dropout2d in kinds
    with torch.no_grad():
        torch.testing.assert_close(folded(images()), model(images()))
    steps = convert(prepared(model)).steps
    assert steps == convert(prepared(network(lambda net, x: x))).steps


def test_what_is_switched_off_stays_off():
    for off in (lambda net, x: F.dropout(x, 0.5, False), lambda net, x: F.dropout(x, 0, False)):
        model = prepared(network(off))
        with torch.no_grad():
            assert torch.equal(model(images()), model(images()))


def test_a_network_is_left_as_it_was():
    model = network(Depth)
    prepare(model, *SCHEMES)
    assert all(module.training is False for module in model.modules())
    assert type(model.layer) is Depth


def test_after_training_too_it_is_gone():
    for drop in (HiddenDepth, DROPS["F.dropout2d"]):
        model = quantize_model(network(drop), [images()], observer="minmax")
        assert [step.kind for step in model.steps].count("conv2d") == 2
