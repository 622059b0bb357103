"""Random layers for the tests of the kernels, and an oracle in numpy that shares no code with them.

``python tests/kernel_cases.py COUNT SEED`` compares the two backends on COUNT of them and prints
how many integers differ: the tests run it on older instruction sets, which have to be chosen before
torch is loaded.
"""

import random
import sys

import numpy as np
import torch

from labkit.kernels import QuantizedConv2d, QuantizedLinear
from labkit.qparams import QParams, Scheme

PATTERNS = ("random", "largest", "smallest", "alternating", "extremes", "bell", "bell")


def codes(rng, scheme, shape, pattern):
    """Codes of ``scheme``; most patterns press on the limits of an engine."""
    draw = np.random.default_rng(rng.getrandbits(32))
    ends = np.array([scheme.qmin, scheme.qmax])
    if pattern == "largest":
        values = np.full(shape, scheme.qmax)
    elif pattern == "smallest":
        values = np.full(shape, scheme.qmin)
    elif pattern == "alternating":
        values = ends[np.indices(shape).sum(0) % 2]
    elif pattern == "extremes":
        values = ends[draw.integers(0, 2, shape)]
    elif pattern == "bell":  # as the weights of a trained layer
        values = ends.mean() + draw.normal(size=shape) * (ends[1] - ends[0]) / 6
        values = np.rint(values).clip(*ends)
    else:
        values = draw.integers(scheme.qmin, scheme.qmax + 1, shape)
    return torch.from_numpy(values).to(scheme.dtype)


def activation_scheme(rng):
    return Scheme(
        bits=rng.choice([8, 8, 8, 7, 7, 4]),
        signed=rng.random() < 0.3,
        symmetric=rng.random() < 0.2,
        narrow=rng.random() < 0.1,
    )


def weight_scheme(rng):
    return Scheme(
        bits=rng.choice([8, 8, 8, 7, 4]),
        signed=rng.random() < 0.85,
        symmetric=rng.random() < 0.85,
        narrow=rng.random() < 0.3,
    )


def qparams(rng, scheme, scale, channels=None):
    """Of the whole tensor, or of so many channels. One scale in three is a power of two."""
    count = channels or 1
    scales = [scale * (1 + rng.random()) for _ in range(count)]
    if rng.random() < 0.33:
        scales = [float(2.0 ** np.floor(np.log2(s))) for s in scales]
    zeros = [
        scheme.middle if scheme.symmetric else rng.randint(scheme.qmin, scheme.qmax)
        for _ in range(count)
    ]
    if channels is None:
        return QParams(scales[0], zeros[0], scheme)
    return QParams(torch.tensor(scales), torch.tensor(zeros), scheme, axis=0)


def random_layer(rng, kind=None, patterns=PATTERNS):
    """Keyword arguments of a module, its inputs, and the class of the module."""
    kind = kind or rng.choice(["linear", "dense", "pointwise", "depthwise", "grouped"])
    out = rng.choice([rng.randint(1, 40), rng.randint(1, 140)])
    if kind == "linear":
        inputs = rng.choice([rng.randint(1, 80), rng.randint(300, 700)])
        groups, inputs, kernel = 1, in_fours_perhaps(rng, inputs), ()
        shape = (*rng.choice([(), (2,)]), rng.randint(1, 20), inputs)
    else:
        inputs = rng.choice([rng.randint(1, 40), rng.randint(1, 140)])
        groups, inputs = 1, in_fours_perhaps(rng, inputs)
        kernel = (1, 1) if kind == "pointwise" else (rng.randint(1, 4), rng.randint(1, 4))
        if kind == "depthwise":
            groups, out = inputs, inputs
        if kind == "grouped":
            groups = rng.randint(2, 4)
            inputs, out = groups * rng.randint(1, 9), groups * rng.randint(1, 9)
        size = rng.choice(
            [(rng.randint(1, 9), rng.randint(1, 9)), (14, 14), (rng.randint(1, 30), 17)]
        )
        shape = (rng.randint(1, 3), inputs, *size)
    x_scheme, w_scheme = activation_scheme(rng), weight_scheme(rng)
    w_shape = (out, inputs // groups, *kernel)
    x_qparams = qparams(rng, x_scheme, 0.02)
    w_qparams = qparams(rng, w_scheme, 0.003, channels=rng.choice([None, out]))
    terms = int(np.prod(w_shape[1:]))
    spread = 0.02 * 0.003 * terms**0.5 * 2 ** (x_scheme.bits + w_scheme.bits - 9)
    out_qparams = qparams(rng, activation_scheme(rng), spread)
    bias = None
    if rng.random() < 0.7:
        draw = torch.Generator().manual_seed(rng.getrandbits(32))
        bias = torch.randn(out, generator=draw) * spread * rng.choice([1, 30, 1000])
    arguments = {
        "q_w": codes(rng, w_scheme, w_shape, rng.choice(patterns)),
        "w_qparams": w_qparams,
        "bias": bias,
        "x_qparams": x_qparams,
        "out_qparams": out_qparams,
        "relu": rng.random() < 0.5,
    }
    inputs = [codes(rng, x_scheme, shape, rng.choice(patterns))]
    if kind == "linear":
        return QuantizedLinear, arguments, inputs
    arguments |= window(rng, size, kernel) | {"groups": groups}
    if rng.random() < 0.3:
        residual_scheme = activation_scheme(rng)
        arguments["residual_qparams"] = qparams(rng, residual_scheme, spread)
        result = (shape[0], out, *output_size(size, kernel, arguments))
        inputs.append(codes(rng, residual_scheme, result, rng.choice(patterns)))
    return QuantizedConv2d, arguments, inputs


def in_fours_perhaps(rng, channels):
    """As many channels, or a few more that an engine takes in fours without a rest."""
    return channels + rng.choice([0, -channels % 4])


def window(rng, size, kernel):
    """Stride, dilation and a padding that is large enough."""
    dilation = (rng.randint(1, 2), rng.randint(1, 3))
    least = [
        max(0, (d * (k - 1) + 2 - n) // 2) for n, k, d in zip(size, kernel, dilation, strict=True)
    ]
    padding = tuple(low + rng.choice([0, 0, 1, 2]) for low in least)
    return {
        "stride": (rng.randint(1, 3), rng.randint(1, 2)),
        "padding": padding,
        "dilation": dilation,
    }


def output_size(size, kernel, moves):
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(
            size, kernel, moves["stride"], moves["padding"], moves["dilation"], strict=True
        )
    )


def accumulators(arguments, q_x):
    """Sums of (q_x - Z_x)(q_w - Z_w) in int64 by numpy, outputs last: [..., out]."""
    weight = arguments["q_w"].numpy().astype(np.int64)
    zero = arguments["w_qparams"].zero_point.numpy().reshape(-1, *[1] * (weight.ndim - 1))
    weight = weight - zero
    x = q_x.numpy().astype(np.int64) - int(arguments["x_qparams"].zero_point)
    if weight.ndim == 2:
        return x @ weight.T
    (top, left), groups = arguments["padding"], arguments["groups"]
    (down, right), (dy, dx) = arguments["stride"], arguments["dilation"]
    x = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    height, width = weight.shape[2:]
    span = (dy * (height - 1) + 1, dx * (width - 1) + 1)
    patches = np.lib.stride_tricks.sliding_window_view(x, span, axis=(2, 3))
    patches = patches[:, :, ::down, ::right, ::dy, ::dx]
    parts = zip(np.split(patches, groups, 1), np.split(weight, groups), strict=True)
    return np.concatenate([np.einsum("ncyxij,ocij->nyxo", p, w) for p, w in parts], axis=-1)


def oracle(arguments, inputs):
    """The formula of `labkit.kernels.conv2d` in numpy float32, outputs last."""
    scales = [
        arguments[k].scale.numpy().astype(np.float64)
        for k in ("x_qparams", "w_qparams", "out_qparams")
    ]
    zero_point, scheme = int(arguments["out_qparams"].zero_point), arguments["out_qparams"].scheme
    unit, step, residual_zero = scales[2], np.float32(1), 0
    residual = arguments.get("residual_qparams")
    if residual is not None:
        unit, residual_zero = residual.scale.numpy().astype(np.float64), int(residual.zero_point)
        step = arguments["out_qparams"].scale.numpy() / residual.scale.numpy()
    m = (scales[0] * scales[1] / unit).astype(np.float32)
    offset = zero_point * np.float64(step) - residual_zero
    if arguments["bias"] is not None:
        q_bias = np.rint(arguments["bias"].numpy().astype(np.float64) / (scales[0] * scales[1]))
        offset = q_bias * m.astype(np.float64) + offset
    acc = accumulators(arguments, inputs[0]).astype(np.float32)
    real = acc * m + np.float32(offset)
    if residual is not None:
        real = (real + np.moveaxis(inputs[1].numpy(), 1, -1)) * (np.float32(1) / step)
    low = zero_point if arguments["relu"] else scheme.qmin
    return np.clip(np.rint(real), low, scheme.qmax)


def differences(count, seed):
    """How many integers of so many random layers differ between the backends, and of how many."""
    rng, wrong, total, roads = random.Random(seed), 0, 0, {}
    for _ in range(count):
        module, arguments, inputs = random_layer(rng)
        fast = module(**arguments)
        expected = module(**arguments, backend="reference")(*inputs)
        wrong += int((fast(*inputs) != expected).sum())
        total += expected.numel()
        roads[fast.road] = roads.get(fast.road, 0) + 1
    return wrong, total, roads


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(*differences(int(sys.argv[1]), int(sys.argv[2])))
