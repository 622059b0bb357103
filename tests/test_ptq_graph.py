"""Tracing and folding: the function stays, whatever a network is written like."""

import copy

import pytest
import torch
import torch.nn.functional as F
from other_networks import NETWORKS, network, pictures, settled
from torch import nn
from torch.testing import assert_close

from labkit import zoo
from labkit.ptq import fold_batchnorm, lower, trace
from labkit.ptq.graph import BATCH_NORMS, layer_of, weighted_layer


def norms(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, BATCH_NORMS)]


def unchanged(model: nn.Module, images: torch.Tensor) -> nn.Module:
    """Fold `model`; what it computes and what it holds must stay."""
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        expected = model(images)
        folded = fold_batchnorm(model)
        traced = trace(model)(images)
        real = folded(images)
    assert torch.equal(traced, expected)
    assert_close(real, expected, rtol=1e-4, atol=1e-5)
    assert torch.isfinite(real).all()
    assert not model.training
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
    return folded


class Layers(nn.Module):
    """Some layers, and a forward that is given."""

    def __init__(self, forward, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self._forward = forward

    def forward(self, x):
        return self._forward(self, x)


@pytest.mark.parametrize("name", NETWORKS)
def test_other_peoples_networks_are_folded(name):
    assert norms(network(name))
    assert not norms(unchanged(network(name), pictures(4)))


@pytest.mark.parametrize("name", zoo.MODELS)
def test_the_networks_of_the_zoo_are_folded(name):
    images, _ = zoo.load_data("fashion_mnist", "test")
    model = zoo.load_model(name)
    folded = unchanged(model, images[:20])
    assert not norms(folded)
    assert [key for key in folded.state_dict() if "running" in key] == []


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("kind", ["conv", "grouped", "linear"])
def test_folding_is_the_formula(kind, affine, bias):
    torch.manual_seed(0)
    layer, norm, x = {
        "conv": lambda: (nn.Conv2d(3, 6, 3, bias=bias), nn.BatchNorm2d(6), torch.randn(8, 3, 5, 5)),
        "grouped": lambda: (
            nn.Conv2d(6, 6, 3, groups=3, bias=bias),
            nn.BatchNorm2d(6),
            torch.randn(8, 6, 5, 5),
        ),
        "linear": lambda: (nn.Linear(4, 6, bias=bias), nn.BatchNorm1d(6), torch.randn(8, 4)),
    }[kind]()
    if not affine:
        norm = type(norm)(6, affine=False, eps=0.1)
    model = settled(nn.Sequential(layer, norm), x)
    folded = unchanged(model, x)
    factor = [1 / (v + norm.eps) ** 0.5 for v in norm.running_var.double().tolist()]
    gamma = norm.weight.tolist() if affine else [1.0] * 6
    beta = norm.bias.tolist() if affine else [0.0] * 6
    old = layer.bias.tolist() if bias else [0.0] * 6
    new = weighted_layer(folded, "0")
    for i in range(6):
        assert_close(new.weight[i].double(), layer.weight[i].double() * gamma[i] * factor[i])
        shifted = (old[i] - norm.running_mean[i].item()) * gamma[i] * factor[i] + beta[i]
        assert new.bias[i].item() == pytest.approx(shifted, abs=1e-6)


def test_dead_channels_stay_finite():
    model = settled(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU()), pictures(4))
    with torch.no_grad():
        model[1].running_var[0] = 0
        model[0].weight[1] = 0
        model[1].running_var[1] = 1e-40
    unchanged(model, pictures(4))


def test_two_norms_in_a_row_are_both_folded():
    layers = [nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)]
    assert not norms(unchanged(settled(nn.Sequential(*layers)), pictures(4)))


@pytest.mark.parametrize(
    "forward",
    [
        lambda net, x: net.norm(net.conv(x)) + net.conv(x),
        lambda net, x: net.norm(net.conv(net.conv(x))),
        lambda net, x: net.norm(y := net.conv(x)) + y,
        lambda net, x: net.conv(net.norm(x)),
        lambda net, x: net.norm(F.relu(net.conv(x))),
    ],
    ids=["shared", "chained", "two users", "before", "behind a ReLU"],
)
def test_what_cannot_be_folded_stays_and_becomes_a_table(forward):
    model = Layers(forward, conv=nn.Conv2d(3, 3, 1), norm=nn.BatchNorm2d(3))
    folded = unchanged(settled(model), pictures(2))
    assert len(norms(folded)) == 1
    (table,) = (step for step in lower(folded)[1] if step.kind == "table")
    assert "norm" in table.settings["chain"]
    assert table.settings["axis"] == -3


def test_a_norm_of_other_channels_than_the_layers_is_left_alone():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(4, 4), nn.BatchNorm2d(4))
    unchanged(settled(model, pictures(8, 4)), pictures(4, 4))
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)).eval()
    unchanged(model, pictures(2))


def test_a_norm_used_twice_is_folded_into_both():
    model = Layers(
        lambda net, x: net.norm(net.a(x)) + net.norm(net.b(x)),
        a=nn.Conv2d(3, 4, 1),
        b=nn.Conv2d(3, 4, 3, padding=1),
        norm=nn.BatchNorm2d(4),
    )
    assert not norms(unchanged(settled(model), pictures(4)))


def test_layers_that_share_a_parameter_are_folded_apart():
    model = Layers(
        lambda net, x: net.norm(net.a(x)) + net.b(x) + F.conv2d(x, net.a.weight),
        a=nn.Conv2d(3, 4, 1),
        b=nn.Conv2d(3, 4, 1),
        norm=nn.BatchNorm2d(4),
    )
    model.b.weight = model.a.weight
    assert not norms(unchanged(settled(model), pictures(4)))


def shortcut_of_what_was_overwritten(net, x):
    x = net.conv(x)
    shortcut = x
    y = net.conv2(net.relu(x))
    return y + shortcut


def overwritten_by_method(net, x):
    x = net.conv(x)
    x.relu_()
    return net.conv2(x)


def overwritten_by_function(net, x):
    x = net.conv(x)
    F.relu(x, True)
    return net.conv2(x) + F.relu6(x, inplace=True)


def overwritten_sum(net, x):
    x = net.conv(x)
    same = net.drop(x)
    same.add_(net.conv2(x))
    same.add_(same)
    return x


@pytest.mark.parametrize(
    "forward",
    [
        shortcut_of_what_was_overwritten,
        overwritten_by_method,
        overwritten_by_function,
        overwritten_sum,
    ],
)
def test_what_is_overwritten_is_read_as_overwritten(forward):
    layers = {"conv": nn.Conv2d(3, 3, 1), "conv2": nn.Conv2d(3, 3, 1), "relu": nn.ReLU(True)}
    torch.manual_seed(0)
    model = Layers(forward, drop=nn.Dropout(), **layers).eval()
    folded = unchanged(model, pictures(2))
    for node in folded.graph.nodes:
        assert node.users or node.op == "output"
    _, steps = lower(folded)
    # The integers know no overwriting: as steps, too, the sum is that of the ReLU's result.
    if forward is shortcut_of_what_was_overwritten:
        assert steps[-1].inputs == ("relu", "relu")


def test_functions_on_parameters_become_layers():
    traced = trace(network("functional"))
    kinds = {node.name: type(layer_of(node, traced)) for node in traced.graph.nodes}
    assert kinds["conv2d_layer"] is nn.Conv2d
    assert kinds["linear_layer"] is nn.Linear
    assert not [node for node in traced.graph.nodes if node.op == "get_attr"]


@pytest.mark.parametrize(
    "forward",
    [
        lambda net, x: F.conv2d(x, net.conv.weight, None, 2, 1, 1, 1),
        lambda net, x: F.conv2d(x, net.conv.weight, bias=net.conv.bias, padding="same"),
        lambda net, x: F.conv2d(input=x, weight=net.conv.weight, dilation=(2, 1)),
        lambda net, x: torch.conv2d(x, net.conv.weight, net.conv.bias, stride=(1, 2)),
        lambda net, x: F.linear(x.flatten(1)[:, :9], net.line.weight, net.line.bias),
    ],
)
def test_arguments_of_functions_are_taken_wherever_they_are(forward):
    model = Layers(forward, conv=nn.Conv2d(3, 4, 3), line=nn.Linear(9, 2)).eval()
    unchanged(model, pictures(2, 9))


def test_dropout_and_identity_are_gone():
    model = Layers(
        lambda net, x: F.dropout2d(net.drop(net.same(x)), training=net.training).contiguous() + x,
        same=nn.Identity(),
        drop=nn.Dropout2d(),
    ).eval()
    nodes = [node.name for node in unchanged(model, pictures(2)).graph.nodes]
    assert nodes == ["x", "add", "output"]


def test_dropout_that_is_always_on_is_refused():
    model = Layers(lambda net, x: F.dropout(net.conv(x), 0.5), conv=nn.Conv2d(3, 3, 1)).eval()
    with pytest.raises(ValueError, match=r"node 'dropout' \(dropout\)"):
        lower(fold_batchnorm(model))


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (lambda net, x: x if x.sum() > 0 else -x, "control flow"),
        (lambda net, x: x * float(x.mean()), "float"),
        (lambda net, x: sum(x[i] for i in range(len(x))), "len"),
        (lambda net, x: torch.zeros(x.shape[0], int(x.sum())), "int"),
    ],
)
def test_what_depends_on_values_is_refused(forward, reason):
    with pytest.raises(ValueError, match=f"cannot be written as a fixed graph .*{reason}"):
        trace(Layers(forward).eval())


def test_what_is_no_network_in_eval_mode_is_refused():
    with pytest.raises(TypeError, match="model is of type str; expected Module"):
        trace("resnet")
    with pytest.raises(ValueError, match=r"training mode; call model\.eval"):
        trace(nn.Sequential(nn.Conv2d(3, 3, 1)))
    model = copy.deepcopy(network("VGG"))
    next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d)).train()
    with pytest.raises(ValueError, match=r"training mode; call model\.eval"):
        fold_batchnorm(model)


def test_computed_weights_and_odd_first_arguments_are_named():
    scaled = Layers(lambda net, x: F.conv2d(x, net.conv.weight * x.mean()), conv=nn.Conv2d(3, 3, 1))
    with pytest.raises(ValueError, match=r"node 'conv2d' .* computes its weight \('mul'\)"):
        trace(scaled.eval())
    biased = Layers(
        lambda net, x: F.linear(x, net.l.weight, x.mean() - net.l.bias), l=nn.Linear(3, 3)
    )
    with pytest.raises(
        ValueError, match=r"'linear' \(test_ptq_graph.py, line \d+\) computes its bi"
    ):
        trace(biased.eval())


def test_weighted_layer_finds_layers_only():
    folded = fold_batchnorm(network("VGG"))
    assert isinstance(weighted_layer(folded, "classifier.4"), nn.Linear)
    with pytest.raises(TypeError, match="'avgpool' is a AdaptiveAvgPool2d; expected a Conv2d or"):
        weighted_layer(folded, "avgpool")
