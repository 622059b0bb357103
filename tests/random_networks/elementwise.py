"""Statements for tensors of any shape."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from random_networks.pen import Function, Pen

# Functions of one tensor: as modules, functions and methods, chains and written out.
TABLES: dict[str, list[Function]] = {
    "relu": [nn.ReLU(), F.relu, torch.relu, lambda x: x.relu(), lambda x: x.clamp(min=0)],
    "relu6": [nn.ReLU6(), F.relu6, lambda x: x.clamp(0, 6), nn.Hardtanh(0, 6)],
    "silu": [nn.SiLU(), F.silu, lambda x: x * torch.sigmoid(x), lambda x: x.sigmoid() * x],
    "hardswish": [nn.Hardswish(), F.hardswish, lambda x: x * F.relu6(x + 3) / 6],
    "hardsigmoid": [nn.Hardsigmoid(), F.hardsigmoid, lambda x: F.relu6(x + 3) / 6],
    "sigmoid": [nn.Sigmoid(), torch.sigmoid, F.sigmoid, lambda x: 1 / (1 + torch.exp(-x))],
    "gelu": [nn.GELU(), F.gelu, nn.GELU("tanh"), lambda x: F.gelu(x, approximate="tanh")],
    "tanh": [nn.Tanh(), torch.tanh, lambda x: x.tanh()],
    "leaky": [nn.LeakyReLU(0.1), lambda x: F.leaky_relu(x, 0.2), lambda x: torch.max(x, 0.1 * x)],
    "elu": [nn.ELU(), F.elu, nn.SELU(), nn.CELU(0.7)],
    "softplus": [nn.Softplus(), F.softplus, nn.Mish(), lambda x: x * torch.tanh(F.softplus(x))],
    "softsign": [nn.Softsign(), F.softsign, nn.LogSigmoid(), nn.Tanhshrink()],
    "clamp": [lambda x: x.clamp(-1, 1), lambda x: torch.clip(x, -0.5, 2), nn.Hardtanh()],
    "affine": [lambda x: x * 2 + 1, lambda x: (x - 0.45) / 0.22, lambda x: 2 * x - 1],
    "reversed": [lambda x: 1 - x, lambda x: -x, lambda x: torch.rsub(x, 0.5), torch.neg],
    "power": [lambda x: x**2, torch.square, lambda x: x.pow(2), lambda x: (x * x + 0.1).sqrt()],
    "absolute": [torch.abs, lambda x: abs(x), lambda x: x.abs()],
    "chain": [
        lambda x: ((x * 2 + 1).clamp(-1, 3) - 0.5) / 3,
        lambda x: F.silu(F.leaky_relu(x, 0.1)) + 0.25,
        lambda x: torch.exp(-x.abs()),
        lambda x: torch.sin(x) + torch.cos(2 * x),
    ],
    "nothing": [nn.Identity(), nn.Dropout(), lambda x: x.contiguous(), lambda x: x.detach() + 0],
}
# What may be done to memory that nothing else reads; the result is thrown away, or not.
IN_PLACE: list[Function] = [
    nn.ReLU(inplace=True),
    nn.Hardswish(inplace=True),
    lambda x: x.clamp_(-1, 2),
    lambda x: x.mul_(0.5),
    lambda x: F.leaky_relu_(x, 0.1),
    lambda x: F.relu(x, inplace=True),
    lambda x: torch.clamp(x, -2, 3, out=x),
    lambda x: x.add_(1).sigmoid_(),
]


def table(pen: Pen, x: Tensor) -> Function:
    return pen.kept(pen.one(*pen.one(*TABLES.values())))


def prelu(pen: Pen, x: Tensor) -> Function:
    return pen.layer(nn.PReLU(pen.one(1, x.shape[1])))


def batch_norm(pen: Pen, x: Tensor) -> Function:
    return pen.layer((nn.BatchNorm2d if x.ndim == 4 else nn.BatchNorm1d)(x.shape[1]), x)


def by_channel(pen: Pen, x: Tensor) -> Function:
    a, b = (pen.parameter(x.shape[1], *[1] * (x.ndim - 2), low=0.2) for _ in "ab")
    return pen.one(
        lambda x: x * a(), lambda x: x + b(), lambda x: a() * F.relu(x) - b(), lambda x: b() - x
    )


def constant_map(pen: Pen, x: Tensor) -> Function:
    one = pen.parameter(1, *x.shape[1:])
    return pen.one(lambda x: x + one(), lambda x: x * one(), lambda x: one() - x)


def with_older(pen: Pen, x: Tensor, y: Tensor) -> Function | None:
    ways: list[Function] = []
    if x.shape == y.shape:
        ways = [lambda x, y: x + y, lambda x, y: y - x, lambda x, y: x * y, _added_in_place]
        ways += [lambda x, y: F.relu(y + x), lambda x, y: torch.stack([x, y], 1).mean(1)]
    if x.ndim == y.ndim and x.shape[2:] == y.shape[2:]:
        ways += [lambda x, y: torch.cat([x, y], 1), lambda x, y: torch.cat((y, x), dim=1).relu()]
    if x.ndim == y.ndim == 4 and x.shape[1] == y.shape[1] and y.shape[2:] == (1, 1):
        ways += [lambda x, y: x * y, lambda x, y: x + y.sigmoid()]
    if x.ndim == y.ndim == 4 and x.shape[2:] != y.shape[2:]:
        size = tuple(x.shape[2:])
        ways += [lambda x, y: torch.cat([x, F.interpolate(y, size=size)], 1)]
        ways += [lambda x, y: torch.cat([x, F.adaptive_avg_pool2d(y, size)], 1)]
    return pen.one(*ways) if ways else None


def _added_in_place(x: Tensor, y: Tensor) -> Tensor:
    x = x * 0.5
    x += y
    return x
