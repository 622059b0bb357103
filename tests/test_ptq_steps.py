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
        self.attention = nn.MultiheadAttention(4, 2)

    def forward(self, x):
        return self.attention(x, x, x)[0]


UNSUPPORTED = {
    "sigmoid": (lambda net, x: torch.sigmoid(x), r"'sigmoid' \(sigmoid\)"),
    "method": (lambda net, x: x.sigmoid(), r"'sigmoid' \(sigmoid\)"),
    "hardswish": (nn.Hardswish(), r"\(Hardswish\)"),
    "silu": (lambda net, x: F.silu(x), r"'silu' \(silu\)"),
    "layer norm": (nn.LayerNorm(8), r"\(LayerNorm\)"),
    "group norm": (nn.GroupNorm(3, 3), r"\(GroupNorm\)"),
    "transposed": (nn.ConvTranspose2d(3, 3, 2), r"\(ConvTranspose2d\)"),
    "attention": (Attention(), r"\(MultiheadAttention\)"),
    "product": (lambda net, x: x * x, r"'mul' \(mul\)"),
    "matmul": (lambda net, x: x @ x, r"\(matmul\)"),
    "softmax": (nn.Softmax(1), r"\(Softmax\)"),
    "slice": (lambda net, x: x[:, 1:], r"'getitem' \(getitem\)"),
    "constant": (lambda net, x: x + 1, "'add': it adds a constant"),
    "right constant": (lambda net, x: 1 + x, "'add': it adds a constant"),
    "scaled": (lambda net, x: torch.add(x, x, alpha=2), "'add': it adds a constant"),
    "parameter": (lambda net, x: x + net.conv.bias, "'add': it takes a constant, 'conv_bias'"),
    "size": (lambda net, x: x + x.size(0), "'add': it takes a constant, 'size'"),
    "joined parameter": (
        lambda net, x: torch.cat([x, net.conv.weight], 1),
        "'cat': it takes a constant, 'conv_weight'",
    ),
    "ceil mode": (nn.MaxPool2d(2, ceil_mode=True), "'_0': ceil_mode or return_indices"),
    "indices": (lambda net, x: F.max_pool2d(x, 2, ceil_mode=True), "'max_pool2d': ceil_mode"),
    "average ceil mode": (nn.AvgPool2d(2, ceil_mode=True), "'_0': ceil_mode or divisor_override"),
    "divisor": (nn.AvgPool2d(2, divisor_override=3), "'_0': ceil_mode or divisor_override"),
    "uncounted": (nn.AvgPool2d(3, padding=1, count_include_pad=False), "'_0': count_include_pad"),
    "reflect": (conv(3, 3, 3, padding=1, padding_mode="reflect"), "padding_mode is 'reflect'"),
    "uneven": (conv(3, 3, 2, padding="same"), "'_0': padding='same' is uneven"),
    "adaptive": (nn.AdaptiveAvgPool2d((None, 1)), "'_0': output_size holds None"),
    "mean": (lambda net, x: x.mean(1), "'mean': it takes the mean over dim=1"),
    "mean of all": (lambda net, x: x.mean(), "'mean': it takes the mean over dim=None"),
    "join": (lambda net, x: torch.cat([x, x]), "'cat': it joins along dim=0"),
    "chunks": (lambda net, x: torch.cat(x.chunk(2, 1), 1), r"'chunk' \(chunk\)"),
    "flatten": (nn.Flatten(2), "'_0': it flattens other dimensions"),
    "view": (lambda net, x: x.view(-1, 192), "'view': it changes the shape"),
    "other view": (lambda net, x: x.view(x.size(1), -1), "'view': it changes the shape"),
    "shuffle": (lambda net, x: x.view(x.size(0), 3, 8, 8), "'view': it changes the shape"),
    "window": (
        lambda net, x: F.avg_pool2d(x, x.size()[2:]),
        "'avg_pool2d': it computes a size or a window",
    ),
    "windows": (
        lambda net, x: F.avg_pool2d(x, (x.size(2), x.size(3))),
        "'avg_pool2d': it computes a size or a window",
    ),
    "pad": (lambda net, x: F.pad(x, (1, 1, 1, 1), mode="reflect"), "'pad': it pads with something"),
    "pad value": (lambda net, x: F.pad(x, (1, 1, 1, 1), value=1.0), "'pad': it pads with somethi"),
    "pad channels": (lambda net, x: F.pad(x, (0, 0, 0, 0, 1, 1)), r"'pad': padding is \[0, 0, 0"),
    "pad computed": (lambda net, x: F.pad(x, (0, x.size(0), 0, 0)), "'pad': it computes a size"),
    "identity": (nn.Identity(), "returns its input"),
    "several results": (lambda net, x: (x, F.relu(x)), "returns several tensors"),
    "dictionary": (lambda net, x: {"logits": F.relu(x)}, "returns several tensors"),
}


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
    assert "expected" in text or SUPPORTED in text
    assert "\n" not in text


def test_several_inputs_are_refused():
    class Two(nn.Module):
        def forward(self, x, y):
            return x + y

    with pytest.raises(ValueError, match="the network has 2 inputs; expected one, the images"):
        lower(fold_batchnorm(Two().eval()))


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
