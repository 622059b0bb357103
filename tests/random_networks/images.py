"""Statements for images, [N, C, H, W]."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from random_networks.elementwise import TABLES
from random_networks.pen import Function, Pen


def convolution(pen: Pen, x: Tensor) -> Function:
    inputs, size = x.shape[1], min(x.shape[2:])
    groups = pen.one(*(g for g in (1, 1, 2, inputs) if inputs % g == 0))
    outputs = groups * pen.one(*range(max(1, 4 // groups), max(12 // groups, 1) + 1))
    kernel = pen.one(*(k for k in (1, 1, 2, 3, 3, (1, 3), 5) if _at_most(k, size)))
    more = {
        "stride": pen.one(1, 1, 2),
        "padding": pen.one(0, 1, 2),
        "dilation": pen.one(1, 1, 1, 2),
        "bias": pen.one(True, False),
        "padding_mode": pen.one("zeros", "zeros", "zeros", "zeros", "reflect", "replicate"),
    }
    if pen.chance.random() < 0.15:
        more |= {"stride": 1, "padding": "same"}
    layer = pen.layer(nn.Conv2d(inputs, outputs, kernel, groups=groups, **more))
    if pen.chance.random() < 0.5:
        return layer
    norm = pen.layer(nn.BatchNorm2d(outputs), layer(x).detach())
    function = pen.kept(pen.one(*pen.one(*TABLES.values())))
    return lambda x: function(norm(layer(x)))


def _at_most(kernel: Any, size: int) -> bool:
    return max(kernel if isinstance(kernel, tuple) else [kernel]) <= size


def functional_convolution(pen: Pen, x: Tensor) -> Function:
    kernel = pen.parameter(6, x.shape[1], 1, 1)
    bias = pen.one(None, pen.parameter(6))
    return lambda x: F.conv2d(x, kernel(), bias and bias())


def transposed_convolution(pen: Pen, x: Tensor) -> Function:
    inputs, stride = x.shape[1], pen.one(1, 2)
    more = {"output_padding": pen.one(0, stride - 1), "groups": pen.one(1, 2 - inputs % 2)}
    kernel, padding = pen.one((2, 0), (3, 1), (4, 1))
    return pen.layer(nn.ConvTranspose2d(inputs, 4, kernel, stride, padding, **more))


def residual(pen: Pen, x: Tensor) -> Function:
    """A layer that is called twice, and what it is added to."""
    channels = x.shape[1]
    layer = pen.layer(nn.Conv2d(channels, channels, 3, padding=1, bias=False))
    norm, relu = pen.layer(nn.BatchNorm2d(channels), layer(x).detach()), pen.layer(nn.ReLU())

    def added(x: Tensor) -> Tensor:
        out = norm(layer(x))
        out += x
        return relu(out)

    return pen.one(
        added,
        lambda x: x + norm(layer(x)),
        lambda x: relu(norm(layer(x)) + x),
        lambda x: layer(relu(layer(x))),
        lambda x: layer(x) - layer(F.max_pool2d(x, 3, 1, 1)),
        lambda x: torch.add(x, layer(x), alpha=0.5),
    )


def squeeze_and_excitation(pen: Pen, x: Tensor) -> Function:
    channels = x.shape[1]
    one, two = (pen.layer(nn.Conv2d(a, b, 1)) for a, b in ((channels, 3), (3, channels)))
    first, second = (pen.layer(nn.Linear(a, b)) for a, b in ((channels, 3), (3, channels)))
    gate = pen.one(torch.sigmoid, F.hardsigmoid, torch.tanh)

    def by_vectors(x: Tensor) -> Tensor:
        n, c, *_ = x.shape
        scale = gate(second(F.relu(first(x.mean((2, 3))))))
        return x * scale.view(n, c, 1, 1).expand_as(x)

    return pen.one(
        lambda x: x * gate(two(F.silu(one(F.adaptive_avg_pool2d(x, 1))))),
        lambda x: gate(two(F.relu(one(x.mean((2, 3), keepdim=True))))) * x,
        by_vectors,
    )


def arithmetic(pen: Pen, x: Tensor) -> Function:
    return pen.one(
        lambda x: x - F.max_pool2d(x, 3, 1, 1),
        lambda x: torch.rsub(x, x.mean(1, keepdim=True)),
        lambda x: torch.add(F.relu(x), x.mean((2, 3), True), alpha=-2),
        lambda x: sum([x, F.max_pool2d(x, 1), F.relu(x)]),
        lambda x: x * x.mean((2, 3), keepdim=True),
        lambda x: x.mul(F.avg_pool2d(x, 3, 1, 1)).add(x),
        lambda x: x + x,
        lambda x: x.cumsum(1) / 4,
    )


def reduction(pen: Pen, x: Tensor) -> Function:
    return pen.one(
        lambda x: x.mean(1, keepdim=True) + x,
        lambda x: x.sum(1, True),
        lambda x: torch.mean(x, dim=(1, 2), keepdim=True) - x,
        lambda x: x.amax((2, 3), keepdim=True) - x,
        lambda x: torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1),
    )


def shuffled(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def windows(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(n, h // 2, 2, w // 2, 2, c)
    return x.permute(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, -1).permute(0, 3, 1, 2)


def move(pen: Pen, x: Tensor) -> Function | None:
    c, h, w = x.shape[1:]
    ways: list[Function] = [
        lambda x: x.flip(3),
        lambda x: x.roll(1, 2),
        lambda x: x.transpose(2, 3),
        lambda x: x.permute(0, 1, 3, 2),
        lambda x: torch.stack([x, F.relu(x)], 2).flatten(1, 2),
        lambda x: x[:, :, ::2, 1:] if w > 2 else x,
        lambda x: x[..., : w // 2 + 1],
        lambda x: x.unsqueeze(1).expand(-1, 2, -1, -1, -1).flatten(1, 2),
        lambda x: torch.narrow(x, 1, 0, c // 2 + 1),
        lambda x: x.repeat_interleave(2, 1),
        nn.Upsample(scale_factor=2),
        lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest"),
        lambda x: F.interpolate(x, size=(h + 1, w)),
    ]
    if c % 2 == 0:
        ways += [
            shuffled,
            nn.ChannelShuffle(2),
            lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
            lambda x: torch.cat([F.relu(part) for part in x.split([c // 2, c // 2], 1)], -3),
            lambda x: x[:, : c // 2] * x[:, c // 2 :].sigmoid(),
            lambda x: x.unflatten(1, (2, c // 2)).mean(1),
        ]
    if c % 4 == 0:
        ways.append(nn.PixelShuffle(2))
    if h % 2 == 0 and w % 2 == 0:
        ways += [nn.PixelUnshuffle(2), windows]
    way = pen.one(*ways)
    return pen.kept(way)


def padding(pen: Pen, x: Tensor) -> Function:
    way = pen.one(
        nn.ZeroPad2d((0, 1, 0, 1)),
        nn.ConstantPad2d((1, 0, 2, 1), 0.5),
        nn.ReflectionPad2d(1),
        nn.ReplicationPad2d((1, 0, 0, 1)),
        lambda x: F.pad(x, (1, 1, 1, 1)),
        lambda x: F.pad(x, (1, 0, 0, 1), value=-0.75),
        lambda x: F.pad(x, (0, 0, 0, 0, 1, 1)),
        lambda x: F.pad(x, (1, 1, 1, 1), mode="circular"),
        lambda x: F.pad(x, (-1, 0, 0, 0)),
    )
    return pen.kept(way)


def pool(pen: Pen, x: Tensor) -> Function:
    way = pen.one(
        nn.MaxPool2d(2),
        nn.MaxPool2d(3, 2, 1),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.MaxPool2d(2, 1, dilation=2),
        nn.MaxPool2d((1, 3), (1, 2), (0, 1)),
        nn.AvgPool2d(2),
        nn.AvgPool2d(3, 1, 1),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        nn.AdaptiveAvgPool2d((3, 2)),
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveMaxPool2d(1),
        nn.AdaptiveAvgPool2d((None, 2)),
        lambda x: F.avg_pool2d(x, x.size()[2:]),
        lambda x: -F.max_pool2d(-x, 2, 1),
    )
    return pen.kept(way)


def bilinear(pen: Pen, x: Tensor) -> Function:
    corners = pen.one(True, False)
    return lambda x: F.interpolate(x, size=(5, 7), mode="bilinear", align_corners=corners)


def to_sequence(pen: Pen, x: Tensor) -> Function:
    return pen.one(
        lambda x: x.flatten(2),
        lambda x: x.flatten(2).transpose(1, 2),
        lambda x: x.reshape(x.shape[0], x.shape[1], -1),
        lambda x: x.permute(0, 2, 3, 1).flatten(1, 2),
        lambda x: x.mean(3),
        lambda x: x[:, :, 0],
    )
