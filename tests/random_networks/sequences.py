"""Statements for sequences, [N, C, L] for some layers and [N, L, C] for others, and for vectors."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from random_networks.pen import Function, Pen


def sequence_layer(pen: Pen, x: Tensor) -> Function:
    _, channels, length = x.shape
    kernel = pen.one(*(k for k in (1, 2, 3, 5) if k <= length))
    if pen.one(True, False):
        layer: nn.Module = nn.Linear(length, pen.one(4, 6, 9), bias=pen.one(True, False))
    else:
        groups = pen.one(1, channels)
        more = {"padding": pen.one(0, 1), "stride": pen.one(1, 2), "bias": pen.one(True, False)}
        layer = nn.Conv1d(channels, groups * pen.one(1, 2), kernel, groups=groups, **more)
    kept = pen.layer(layer)
    if pen.one(True, False):
        return kept
    norm = pen.layer(nn.BatchNorm1d(kept(x).shape[1]), kept(x).detach())
    return lambda x: F.relu(norm(kept(x)))


def sequence_step(pen: Pen, x: Tensor) -> Function:
    way = pen.one(
        nn.MaxPool1d(2),
        nn.MaxPool1d(3, 2, 1),
        nn.AvgPool1d(2),
        nn.AdaptiveAvgPool1d(3),
        lambda x: x.transpose(1, 2),
        lambda x: x.mean(1, keepdim=True) + x,
        lambda x: x * x.mean(2, keepdim=True).sigmoid(),
        lambda x: x - x.roll(1, -1),
        lambda x: F.pad(x, (1, 2)),
        lambda x: torch.cat([x, x.flip(2)], dim=-1),
        lambda x: torch.cat(x.split(1, 1)[::-1], 1),
        lambda x: x[:, :, ::2],
    )
    return pen.kept(way)


def to_image(pen: Pen, x: Tensor) -> Function | None:
    return (lambda x: x.unflatten(2, (2, -1))) if x.shape[2] % 2 == 0 else None


def to_vector(pen: Pen, x: Tensor) -> Function:
    return pen.one(
        lambda x: x.flatten(1),
        lambda x: x.mean(-1),
        lambda x: x.contiguous().view(x.size(0), -1),
        lambda x: x[:, -1],
        lambda x: torch.reshape(x, (len(x), -1)),
        lambda x: x.amax(1),
    )


# Vectors.


def linear(pen: Pen, x: Tensor) -> Function:
    layer = pen.layer(nn.Linear(x.shape[1], pen.one(5, 8), bias=pen.one(True, False)))
    if pen.one(True, False):
        return layer
    norm = pen.layer(nn.BatchNorm1d(layer(x).shape[1]), layer(x).detach())
    return pen.one(lambda x: F.relu(norm(layer(x))), lambda x: norm(layer(x)))


def vector_step(pen: Pen, x: Tensor) -> Function | None:
    size = x.shape[1]
    ways: list[Function] = [
        lambda x: torch.cat([x, x.mean(1, keepdim=True)], -1),
        lambda x: x - x.mean(-1, keepdim=True),
        lambda x: x.unsqueeze(1).expand(-1, 2, -1).reshape(x.size(0), -1),
        lambda x: x.repeat(1, 2),
        lambda x: x * x.sum(1, keepdim=True).tanh(),
        lambda x: x[:, 1:] if size > 1 else x,
    ]
    if size % 2 == 0:
        ways += [
            lambda x: x.chunk(2, -1)[0] * x.chunk(2, -1)[1].sigmoid(),
            lambda x: x.reshape(-1, size // 2, 2).transpose(1, 2).flatten(1),
        ]
    return pen.one(*ways)


def logits(pen: Pen, x: Tensor) -> Function:
    return pen.layer(nn.Linear(x.shape[-1], 6))
