"""What becomes which step, and what is refused by name."""

import json
from dataclasses import asdict

import pytest
import torch
import torch.nn.functional as F
from other_networks import NETWORKS, network, pictures, settled, sqnr
from test_ptq_graph import Layers
from torch import nn

from labkit.ptq import fold_batchnorm, lower, quantize_model
from labkit.ptq.steps import COMPUTING, SUPPORTED


def steps_of(forward, **layers):
    return lower(fold_batchnorm(Layers(forward, **layers).eval()))[1]


def conv(channels_in=3, channels_out=3, kernel=1, **more):
    return nn.Conv2d(channels_in, channels_out, kernel, **more)


def kinds(steps):
    return [step.kind for step in steps]


@pytest.mark.parametrize("name", NETWORKS)
def test_steps_are_data(name):
    input_name, steps = lower(fold_batchnorm(network(name)))
    known = {input_name}
    for step in steps:
        fields = asdict(step)
        assert json.loads(json.dumps(fields)) == fields | {"inputs": list(step.inputs)}
        assert known.issuperset(step.inputs)
        known.add(step.name)
    assert len(known) == len(steps) + 1


def test_a_basic_block_is_two_convolutions():
    """The addition and the ReLU behind it round with the convolution, once."""
    _, steps = lower(fold_batchnorm(network("ResNet-18")))
    assert kinds(steps).count("add") == kinds(steps).count("clamp") == 0
    assert kinds(steps).count("conv2d") == 1 + 8 * 2 + 3
    assert sum(len(step.inputs) == 2 for step in steps) == 8
    assert all(step.settings["relu"] for step in steps if len(step.inputs) == 2)


def test_what_can_be_joined_is():
    layers = {"a": conv(), "b": conv()}
    joined = steps_of(lambda net, x: F.relu6(net.a(x) + net.b(x)), **layers)
    assert kinds(joined) == ["conv2d", "conv2d"]
    assert joined[1].inputs == ("x", "b") or joined[1].inputs == ("x", "a")
    assert joined[1].settings["ceiling"] == 6.0
    assert kinds(steps_of(lambda net, x: F.relu(net.a(x)) + x, **layers)) == ["conv2d", "add"]
    assert kinds(steps_of(lambda net, x: (y := net.a(x)) + y, **layers)) == ["conv2d", "add"]
    assert kinds(steps_of(lambda net, x: net.b(y := net.a(x)) + F.relu(y), **layers)) == [
        "conv2d",
        "clamp",
        "conv2d",
    ]
    assert kinds(steps_of(lambda net, x: F.relu6(F.relu(net.a(x))), **layers)) == [
        "conv2d",
        "clamp",
    ]
    assert kinds(steps_of(lambda net, x: F.relu(x + x).flatten(1))) == ["add", "flatten"]


@pytest.mark.parametrize(
    ("forward", "kind", "settings"),
    [
        (lambda net, x: F.max_pool2d(x, 3, 2, 1), "max_pool", {"padding": [1, 1]}),
        (lambda net, x: F.max_pool2d(x, (2, 3)), "max_pool", {"stride": [2, 3]}),
        (lambda net, x: F.avg_pool2d(x, 2), "average_pool", {"stride": [2, 2]}),
        (lambda net, x: F.avg_pool2d(x, kernel_size=3, stride=1), "average_pool", {}),
        (lambda net, x: F.adaptive_avg_pool2d(x, (4, 2)), "average_pool", {"output_size": [4, 2]}),
        (lambda net, x: x.mean((2, 3)), "average_pool", {"flat": True}),
        (lambda net, x: x.mean([-1, -2], keepdim=True), "average_pool", {"flat": False}),
        (lambda net, x: torch.mean(x, dim=(3, 2)), "average_pool", {"flat": True}),
        (lambda net, x: x.view(x.size(0), -1), "flatten", {}),
        (lambda net, x: x.reshape(x.shape[0], -1), "flatten", {}),
        (lambda net, x: x.reshape((x.size()[0], -1)), "flatten", {}),
        (lambda net, x: torch.flatten(x, start_dim=1), "flatten", {}),
        (lambda net, x: F.pad(x, (1, 2, 3, 4)), "pad", {"padding": [1, 2, 3, 4]}),
        (lambda net, x: F.pad(x, [1, 1, 0, 0], value=0), "pad", {}),
        (lambda net, x: x.relu(), "clamp", {"relu": True, "ceiling": None}),
        (lambda net, x: F.relu6(x), "clamp", {"relu": True, "ceiling": 6.0}),
        (lambda net, x: torch.add(x, x), "add", {}),
        (lambda net, x: x.add(x), "add", {}),
        (lambda net, x: torch.cat((x, x), 1), "concatenate", {}),
        (lambda net, x: torch.concat([x, x], dim=-3), "concatenate", {}),
    ],
)
def test_operations_in_all_their_spellings(forward, kind, settings):
    (step,) = steps_of(forward)
    assert step.kind == kind
    assert set(step.inputs) == {"x"}
    assert step.settings | settings == step.settings


@pytest.mark.parametrize(
    "module",
    [
        nn.MaxPool2d(3, 2, 1, dilation=2),
        nn.AvgPool2d((2, 3), padding=(1, 0)),
        nn.AvgPool2d(3, 1),
        nn.AdaptiveAvgPool2d(2),
        nn.ZeroPad2d((1, 0, 2, 3)),
        nn.Flatten(),
        nn.ReLU6(),
        conv(3, 4, (3, 2), padding="same", dilation=(1, 2)),
        conv(3, 4, 3, padding="valid", stride=2),
    ],
    ids=lambda module: type(module).__name__,
)
def test_modules_compute_what_they_do_in_float(module):
    model, images = nn.Sequential(module).eval(), pictures(4, 12)
    with torch.no_grad():
        assert sqnr(model(images), quantize_model(model, [images])(images)) > 30


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(64, 2)

    def forward(self, x):
        x = x.flatten(2)
        return self.attention(x, x, x)[0]


UNSUPPORTED = {
    "layer norm": (nn.LayerNorm(8), r"\(LayerNorm\)"),
    "group norm": (nn.GroupNorm(3, 3), r"\(GroupNorm\)"),
    "group norm in front": (lambda net, x: net.conv(F.group_norm(x, 3)), r"\(group_norm\)"),
    "attention": (Attention(), r"'matmul' \(matmul\)"),
    "matmul": (lambda net, x: x @ x, r"\(matmul\)"),
    "softmax": (nn.Softmax(1), r"\(Softmax\)"),
    "softmax in front": (
        lambda net, x: net.conv(x.softmax(1)),
        r"'softmax' \(softmax\) \(test_ptq_",
    ),
    "size": (lambda net, x: net.conv(x + x.size(0)), "'add' .* depends on the size of the images"),
    "quotient": (lambda net, x: net.conv(x / x.mean()), r"'truediv' \(div\)"),
    "item": (lambda net, x: net.conv(put_in(x)), r"\(with_item\)"),
    "random": (lambda net, x: F.dropout(net.conv(x)), "a random number"),
    "indices": (nn.MaxPool2d(2, return_indices=True), "return_indices is set"),
    "value computed": (
        lambda net, x: net.conv(F.pad(x, (1, 1, 1, 1), value=x.size(0))),
        "'pad' .*: its value is computed",
    ),
    "identity": (nn.Identity(), "returns its input"),
}


def put_in(x):
    x[:, 0] = 0
    return x


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_integers_cannot_compute_here_is_named(name):
    operation, message = UNSUPPORTED[name]
    if isinstance(operation, nn.Module):
        model = nn.Sequential(operation)
    else:
        model = Layers(operation, conv=conv(3, 3, 8))
    with pytest.raises(ValueError, match=message) as error:
        quantize_model(model.eval(), [pictures(1, 8)])
    text = str(error.value)
    assert "expected" in text or (SUPPORTED in text and "islands=True" in text)
    assert "\n" not in text


def test_what_is_computed_has_a_grid_and_what_moves_keeps_its_inputs():
    model = settled(Layers(
        lambda net, x: F.relu(torch.cat([F.max_pool2d(net.a(x), 2), F.avg_pool2d(x, 2)], 1)),
        a=conv(),
    ))  # fmt: skip
    quantized = quantize_model(model, [pictures(4)])
    grids = {step.kind: quantized.qparams[step.name] for step in quantized.steps}
    assert grids["max_pool"] is grids["conv2d"]
    assert grids["clamp"] is grids["concatenate"]
    assert len({id(grids[kind]) for kind in grids if kind in COMPUTING}) == 3
