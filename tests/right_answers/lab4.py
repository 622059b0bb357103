"""Right answers to lab 4 in other styles than the reference's: the checks must accept them all."""

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

# 4.1 ---------------------------------------------------------------------------------------------


def fold_in_numpy(weight, bias, mean, var, gamma, beta, eps):
    w, b, m, v, g, shift = (
        t.numpy().astype(np.float64) for t in (weight, bias, mean, var, gamma, beta)
    )
    factor = g / np.sqrt(v + eps)
    return (w.T * factor).T, (b - m) * factor + shift


def fold_in_a_loop(weight, bias, mean, var, gamma, beta, eps):
    w, b = weight.clone(), torch.empty_like(bias)
    for i in range(len(weight)):
        factor = gamma[i] / (var[i] + eps) ** 0.5
        w[i] = weight[i] * factor
        b[i] = bias[i] * factor + (beta[i] - mean[i] * factor)
    return [w, b]


def fold_by_probing(weight, bias, mean, var, gamma, beta, eps):
    """Batch normalization itself, applied to the columns of the weights."""
    rows = weight.flatten(1)
    columns = torch.cat([rows, torch.zeros(len(rows), 1)], 1).t()
    out = F.batch_norm(columns + bias, mean, var, gamma, beta, eps=eps)
    return nn.Parameter((out[:-1] - out[-1]).t().reshape(weight.shape)), out[-1]


def fold_with_rsqrt(weight, bias, mean, var, gamma, beta, eps):
    factor = torch.rsqrt(var.double() + eps) * gamma
    return torch.einsum("o...,o->o...", weight.double(), factor), beta + factor * (bias - mean)


def fold_by_torchs_own_helper(weight, bias, mean, var, gamma, beta, eps):
    return fuse_conv_bn_weights(weight, bias, mean, var, eps, gamma, beta)


# 4.2 ---------------------------------------------------------------------------------------------


def grid_with_match(kind, low, high, x_scale, w_scale):
    match kind:
        case "weight":
            return abs(max(low, high, key=abs)) / 127, 0, -127, 127
        case "activation":
            low, high = min(low, 0), max(high, 0)
            scale = (high - low) / 255
            return scale, int(0.5 - low / scale), 0, 255
    return x_scale * w_scale, 0, -(1 << 31), (1 << 31) - 1


def grid_as_tensors(kind, low, high, x_scale, w_scale):
    ends = torch.tensor([low, high, 0.0], dtype=torch.float64)
    if kind == "weight":
        return ends.abs().max() / 127, torch.tensor(0), torch.tensor(-127), torch.tensor(127)
    if kind == "bias":
        info = torch.iinfo(torch.int32)
        return torch.tensor(x_scale) * torch.tensor(w_scale), 0.0, info.min, info.max
    scale = (ends.max() - ends.min()) / 255
    return scale, torch.round(-ends.min() / scale).int(), 0, 255


def grid_in_numpy(kind, low, high, x_scale, w_scale):
    table = {
        "weight": (np.abs([low, high]).max() / 127, 0, -127, 127),
        "bias": (np.float64(x_scale) * w_scale, 0, np.iinfo(np.int32).min, np.iinfo(np.int32).max),
    }
    rmin, rmax = np.minimum(low, 0), np.maximum(high, 0)
    scale = (rmax - rmin) / 255
    table["activation"] = (scale, np.rint(-rmin / scale), 0, 255)
    return table[kind]


# 4.3 ---------------------------------------------------------------------------------------------


def calibrate_in_numpy(layers, batches):
    low, high = np.zeros(len(layers) + 1), np.zeros(len(layers) + 1)
    for x in batches:
        x = x.numpy().astype(np.float64)
        low[0], high[0] = min(low[0], x.min()), max(high[0], x.max())
        for i, (w, b) in enumerate(layers, 1):
            x = x @ w.numpy().T + b.numpy()
            x = np.maximum(x, 0) if i < len(layers) else x
            low[i], high[i] = min(low[i], x.min()), max(high[i], x.max())
    scale = (high - low) / 255
    return scale, np.rint(-low / scale).astype(np.uint8)


def calibrate_with_hooks(layers, batches):
    modules = []
    for weight, bias in layers:
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight.data, linear.bias.data = weight, bias
        modules += [linear, nn.ReLU()]
    network, seen = nn.Sequential(*modules[:-1]), {}

    def watch(number):
        def hook(module, inputs, output):
            seen.setdefault(number, []).append(output.detach().flatten())

        return hook

    watched = [*range(1, len(network) - 1, 2), len(network) - 1]
    for number, index in enumerate(watched, 1):
        network[index].register_forward_hook(watch(number))
    network(torch.cat(list(batches)))
    values = [torch.cat([x.flatten() for x in batches])]
    values += [torch.cat(seen[number]) for number in range(1, len(layers) + 1)]
    low = [min(0.0, float(v.min())) for v in values]
    scales = [(max(0.0, float(v.max())) - lo) / 255 for v, lo in zip(values, low, strict=True)]
    zero_points = [round(-lo / scale) for lo, scale in zip(low, scales, strict=True)]
    return torch.tensor(scales), torch.tensor(zero_points)


def calibrate_all_batches_at_once(layers, batches):
    x, grids = torch.cat(list(batches)), []
    for i in range(len(layers) + 1):
        low, high = min(float(x.min()), 0), max(float(x.max()), 0)
        grids.append(((high - low) / 255, int(255 * -low / (high - low) + 0.5)))
        if i < len(layers):
            x = F.linear(x, *layers[i])
            x = F.relu(x) if i < len(layers) - 1 else x
    return tuple(torch.tensor(column) for column in zip(*grids, strict=True))


# 4.4 ---------------------------------------------------------------------------------------------


def layer_in_numpy(weight, bias, x_scale):
    w = weight.numpy().astype(np.float64)
    largest = np.abs(w).reshape(len(w), -1).max(axis=1)
    scale = np.where(largest > 0, largest / 127, 1.0)
    q_w = np.rint(w / np.expand_dims(scale, tuple(range(1, w.ndim))))
    q_bias = np.rint(bias.numpy() / (x_scale * scale))
    return q_w.astype(np.int8), scale, q_bias.astype(np.int32)


def layer_in_a_loop(weight, bias, x_scale):
    q_w, scales, q_bias = [], [], []
    for row, b in zip(weight, bias, strict=True):
        largest = max(abs(v) for v in row.flatten().tolist())
        scale = largest / 127 if largest else 1.0
        q_w.append(torch.round(row / scale).to(torch.int32))
        scales.append(scale)
        q_bias.append(round(b.item() / x_scale / scale))
    return torch.stack(q_w), torch.tensor(scales), torch.tensor(q_bias)


def layer_with_one_over_scale(weight, bias, x_scale):
    rows = weight.double().flatten(1)
    scale = torch.linalg.vector_norm(rows, float("inf"), dim=1) / 127
    scale[scale == 0] = 1
    q_w = (rows * (1 / scale[:, None])).round().char().reshape(weight.shape)
    return q_w, scale.float(), (bias.double() / scale / x_scale).round().long()


def layer_with_wide_integers(weight, bias, x_scale):
    shape = (-1, *[1] * (weight.ndim - 1))
    largest = torch.linalg.vector_norm(weight.double().flatten(1), torch.inf, dim=1)
    w_scale = largest / 127 + (largest == 0)
    steps = bias.double() / w_scale / x_scale
    return (weight / w_scale.reshape(shape)).round().long(), w_scale, steps.round().long()


# 4.5 ---------------------------------------------------------------------------------------------


def add_with_two_factors(q_a, a, q_b, b, y, relu):
    q = (q_a.int() - a[1]) * (a[0] / y[0]) + (q_b.int() - b[1]) * (b[0] / y[0]) + y[1]
    q = q.round().clamp(0, 255)
    return (q.clamp(min=y[1]) if relu else q).byte()


def add_in_numpy(q_a, a, q_b, b, y, relu):
    real = a[0] * (q_a.numpy().astype(int) - a[1]) + b[0] * (q_b.numpy().astype(int) - b[1])
    real = np.maximum(real, 0) if relu else real
    return np.clip(np.rint(real / y[0] + y[1]), 0, 255).astype(np.uint8)


def add_in_fixed_point(q_a, a, q_b, b, y, relu):
    """Integers only: both factors with 30 bits behind the point, one rounding shift."""
    ma, mb = round(a[0] / y[0] * 2**30), round(b[0] / y[0] * 2**30)
    acc = (q_a.long() - a[1]) * ma + (q_b.long() - b[1]) * mb
    return (((acc + 2**29) >> 30) + y[1]).clamp(y[1] if relu else 0, 255)


def add_with_one_offset(q_a, a, q_b, b, y, relu):
    offset = y[1] - (a[0] * a[1] + b[0] * b[1]) / y[0]
    q = torch.floor(q_a.double() * a[0] / y[0] + q_b.double() * b[0] / y[0] + offset + 0.5)
    return torch.clamp(q, [0, y[1]][relu], 255).to(torch.int32)


# 4.6 ---------------------------------------------------------------------------------------------


def int4_group_by_group(x, packed, scales):
    out, groups = scales.shape
    codes = torch.zeros(out, 2 * packed.shape[1])
    codes[:, 0::2] = (packed % 16).float()
    codes[:, 1::2] = (packed // 16).float()
    codes[codes >= 8] -= 16
    y = torch.zeros(len(x), out)
    parts = zip(x.chunk(groups, 1), codes.chunk(groups, 1), strict=True)
    for group, (part, weights) in enumerate(parts):
        y += part @ weights.t() * scales[:, group]
    return y


def int4_in_numpy(x, packed, scales):
    p = packed.numpy()
    codes = np.dstack([(p << 4).astype(np.int8) >> 4, p.astype(np.int8) >> 4]).reshape(len(p), -1)
    w = codes.reshape(*scales.shape, -1) * scales.numpy()[..., None]
    return x.numpy() @ w.reshape(len(p), -1).T


def int4_by_table(x, packed, scales):
    table = torch.tensor([0.0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1])
    low, high = table[packed.long() & 15], table[packed.long() >> 4]
    weights = torch.stack((low, high), 2).view(scales.shape[0], scales.shape[1], -1)
    return torch.einsum("mgk,ngk,ng->mn", x.view(len(x), scales.shape[1], -1), weights, scales)


def int4_by_arithmetic_shifts(x, packed, scales):
    signed = packed.view(torch.int8)  # shifting to the right keeps the sign
    groups = torch.stack([(signed << 4) >> 4, signed >> 4], 2).flatten(1)
    groups = groups.unflatten(1, (scales.shape[1], -1)).double()
    return torch.einsum(
        "mgk,ngk,ng->mn", x.double().reshape(len(x), *groups.shape[1:]), groups, scales.double()
    )


# 4.7 ---------------------------------------------------------------------------------------------


def sensitivity_in_numpy(layers, x, bits):
    real = [(w.numpy().astype(np.float64), b.numpy()) for w, b in layers]

    def run(chosen):
        y = x.numpy().astype(np.float64)
        for i, (w, b) in enumerate(chosen):
            y = y @ w.T + b
            if i + 1 < len(chosen):
                y[y < 0] = 0
        return y

    y, found = run(real), []
    for i, (w, b) in enumerate(real):
        scale = np.abs(w).max() / (2 ** (bits - 1) - 1)
        noise = run([*real[:i], (np.rint(w / scale) * scale, b), *real[i + 1 :]]) - y
        found.append(10 * np.log10(np.mean(y**2) / np.mean(noise**2)))
    return np.array(found)


def sensitivity_by_recursion(layers, x, bits):
    def run(chosen, values):
        (w, b), *rest = chosen
        values = F.linear(values, w, b)
        return run(rest, F.relu(values)) if rest else values

    y, decibels = run(layers, x), []
    for i, (w, b) in enumerate(layers):
        qmax = (1 << (bits - 1)) - 1
        scale = w.abs().max().item() / qmax
        copy = list(layers)
        copy[i] = ((w / scale).round().clamp(-qmax, qmax) * scale, b)
        ratio = y.norm() / (run(copy, x) - y).norm()
        decibels.append(20 * ratio.log10().item())
    return torch.tensor(decibels)


def sensitivity_of_a_module(layers, x, bits):
    modules = []
    for w, b in layers:
        linear = nn.Linear(w.shape[1], w.shape[0])
        linear.weight.data, linear.bias.data = w.clone(), b.clone()
        modules += [linear, nn.ReLU()]
    network, result = nn.Sequential(*modules[:-1]), torch.empty(len(layers))
    with torch.no_grad():
        y = network(x)
        for i, linear in enumerate(network[::2]):
            kept = linear.weight.data
            scale = kept.abs().max() / (2 ** (bits - 1) - 1)
            linear.weight.data = torch.round(kept / scale) * scale
            result[i] = 10 * torch.log10(y.pow(2).mean() / (network(x) - y).pow(2).mean())
            linear.weight.data = kept
    return result


# 4.8 ---------------------------------------------------------------------------------------------


def correct_over_dims(bias, y, y_quantized):
    error = y_quantized - y
    return bias - error.mean(dim=[d for d in range(error.ndim) if d != 1])


def correct_in_numpy(bias, y, y_quantized):
    error = np.moveaxis((y - y_quantized).numpy().astype(np.float64), 1, 0)
    return bias.numpy() + error.reshape(len(bias), -1).mean(1)


def correct_with_two_means(bias, y, y_quantized):
    def mean(values):
        return values.flatten(2).mean((0, 2)) if values.ndim > 2 else values.mean(0)

    return bias + mean(y) - mean(y_quantized)


# 4.9 ---------------------------------------------------------------------------------------------


def factors_as_the_paper_writes_them(w1, w2):
    r1 = w1.abs().flatten(1).max(1).values
    r2 = w2.abs().amax(dim=[d for d in range(w2.ndim) if d != 1])
    s = torch.sqrt(r1 * r2) / r2
    s[(r1 == 0) | (r2 == 0)] = 1
    return s


def factors_in_a_loop(w1, w2):
    s = []
    for i in range(len(w1)):
        r1, r2 = w1[i].abs().max().item(), w2[:, i].abs().max().item()
        s.append((r1 / r2) ** 0.5 if r1 and r2 else 1)
    return np.array(s)


def factors_in_numpy(w1, w2):
    a, b = np.abs(w1.numpy()), np.abs(w2.numpy())
    r1, r2 = a.max(axis=tuple(range(1, a.ndim))), np.moveaxis(b, 1, 0).reshape(len(a), -1).max(1)
    alive = r1 * r2 > 0
    return np.sqrt(np.where(alive, r1, 1) / np.where(alive, r2, 1))


def factors_by_logarithms(w1, w2):
    first = w1.abs().flatten(1).amax(1).log2()
    second = torch.stack([w2.select(1, i).abs().max() for i in range(w2.shape[1])]).log2()
    usable = torch.isfinite(first) & torch.isfinite(second)
    return torch.where(usable, torch.exp2((first - second) / 2), torch.ones_like(first))


# 4.10 --------------------------------------------------------------------------------------------


def front_in_two_loops(sizes, accuracies):
    points = list(zip(sizes.tolist(), accuracies.tolist(), strict=True))
    beaten = [
        any(s <= size and a >= accuracy and (s, a) != (size, accuracy) for s, a in points)
        for size, accuracy in points
    ]
    return ~torch.tensor(beaten)


def front_by_sorting(sizes, accuracies):
    points = sorted({(s, -a) for s, a in zip(sizes.tolist(), accuracies.tolist(), strict=True)})
    front, best = set(), 1.0
    for size, negative in points:
        if negative < best:
            front.add((size, negative))
            best = negative
    pairs = zip(sizes.tolist(), accuracies.tolist(), strict=True)
    return torch.tensor([(s, -a) in front for s, a in pairs])


def front_in_numpy(sizes, accuracies):
    s, a = sizes.numpy(), accuracies.numpy()
    mask = np.zeros(len(s), dtype=bool)
    for i in range(len(s)):
        mask[i] = not (((s < s[i]) & (a >= a[i])) | ((s <= s[i]) & (a > a[i]))).any()
    return mask


def front_by_both_extremes(sizes, accuracies):
    others = [(float(s), float(a)) for s, a in zip(sizes, accuracies, strict=True)]
    best = [max(a for s, a in others if s <= size) for size, _ in others]
    least = [min(s for s, a in others if a >= right) for _, right in others]
    alone = [(s, a) == (m, b) for (s, a), m, b in zip(others, least, best, strict=True)]
    return np.array(alone)


# 4.11 --------------------------------------------------------------------------------------------


def bits_by_trying_everything(layers, x, budget):
    """Run the network with every choice that fits."""

    def run(chosen):
        y = x
        for (w, b), bits in zip(layers[:-1], chosen, strict=False):
            y = F.relu(F.linear(y, quantized(w, bits), b))
        return F.linear(y, quantized(layers[-1][0], chosen[-1]), layers[-1][1])

    def quantized(w, bits):
        if bits is None:
            return w
        scale = w.abs().max() / (2 ** (bits - 1) - 1)
        return (w / scale).round() * scale

    real, best = run([None] * len(layers)), (torch.inf, None)
    for chosen in itertools.product((2, 4, 8), repeat=len(layers)):
        bits = sum(w.numel() * b for (w, _), b in zip(layers, chosen, strict=True))
        if bits <= 8 * budget:
            best = min(best, ((run(chosen) - real).square().mean().item(), chosen))
    return np.array(best[1])


def bits_in_one_table(layers, x, budget):
    """All choices as the rows of one array."""
    options = np.array([2, 4, 8])
    noise = np.stack([10 ** (-sensitivity_in_numpy(layers, x, int(b)) / 10) for b in options])
    chosen = np.indices((3,) * len(layers)).reshape(len(layers), -1).T
    taken = options[chosen] @ np.array([w.numel() for w, _ in layers]) / 8
    total = noise[chosen, np.arange(len(layers))].sum(1)
    return torch.from_numpy(options[chosen[np.where(taken <= budget, total, np.inf).argmin()]])


def bits_by_recursion(layers, x, budget):
    """Search recursively, a layer at a time, with the bits that are left."""
    noise = [sensitivity_in_numpy(layers, x, b) for b in (2, 4, 8)]
    table = {b: 10.0 ** (-n / 10) for b, n in zip((2, 4, 8), noise, strict=True)}
    sizes = [w.numel() for w, _ in layers]

    def search(i, left):
        if i == len(layers):
            return 0.0, ()
        found = [(np.inf, ())]
        for b in (8, 4, 2):
            if sizes[i] * b <= left:
                rest, chosen = search(i + 1, left - sizes[i] * b)
                found.append((rest + table[b][i], (b, *chosen)))
        return min(found)

    return torch.tensor(search(0, 8 * budget + 7)[1], dtype=torch.float32)


def bits_by_counting_classes(layers, x, budget):
    """No noise: which choice leaves most of the given inputs in their class?"""

    def run(chosen):
        y = x
        for i, ((weight, bias), bits) in enumerate(zip(layers, chosen, strict=True)):
            if bits:
                scale = weight.abs().max() / (2 ** (bits - 1) - 1)
                weight = torch.round(weight / scale) * scale
            y = F.linear(y, weight, bias)
            y = y if i == len(layers) - 1 else F.relu(y)
        return y.argmax(1)

    real, best, most = run([0] * len(layers)), None, (-1, 0)
    for chosen in itertools.product((8, 4, 2), repeat=len(layers)):
        taken = sum(w.numel() * b for (w, _), b in zip(layers, chosen, strict=True))
        if taken <= 8 * budget:
            found = int((run(chosen) == real).sum()), taken
            if found > most:
                best, most = chosen, found
    return np.array(best, dtype=np.uint8)


# 4.12 --------------------------------------------------------------------------------------------


def _layers_and_norms():
    torch.manual_seed(1)
    for layer, norm, x in (
        (torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4, eps=0.03), torch.randn(6, 3)),
        (torch.nn.Conv1d(3, 4, 3), torch.nn.BatchNorm1d(4, eps=0.03), torch.randn(2, 3, 8)),
        (torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4, eps=0.03), torch.randn(2, 3, 6, 6)),
    ):
        norm.weight.data = torch.tensor([1.0, -2.0, 0.5, 3.0])
        norm.bias.data = torch.tensor([0.3, -0.4, 1.0, 2.0])
        norm.running_mean = torch.tensor([1.0, -1.0, 0.5, 0.2])
        norm.running_var = torch.tensor([0.0, 0.2, 1.5, 3.0])
        yield layer, norm.eval(), x


def _numbers(layer, norm):
    statistics = norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data
    return layer.weight.data.clone(), layer.bias.data.clone(), *statistics, norm.eps


def folding_test_with_modules(fold_batchnorm):
    with torch.no_grad():
        for layer, norm, x in _layers_and_norms():
            before = norm(layer(x))
            weight, bias = fold_batchnorm(*_numbers(layer, norm))
            layer.weight.data, layer.bias.data = weight, bias
            torch.testing.assert_close(layer(x), before, atol=1e-3, rtol=1e-3)


def folding_test_with_names(fold_batchnorm):
    names = ("weight", "bias", "mean", "var", "gamma", "beta", "eps")
    for layer, norm, x in _layers_and_norms():
        given = dict(zip(names, _numbers(layer, norm), strict=True))
        before = norm(layer(x)).detach()
        layer.weight.data, layer.bias.data = fold_batchnorm(**given)
        if not np.allclose(layer(x).detach().numpy(), before.numpy(), atol=1e-3):
            return False
    return True


def folding_test_by_the_formula(fold_batchnorm):
    for layer, norm, _ in _layers_and_norms():
        weight, bias, mean, var, gamma, beta, eps = _numbers(layer, norm)
        new_weight, new_bias = fold_batchnorm(weight, bias, mean, var, gamma, beta, eps)
        for i in range(4):
            factor = float(gamma[i]) / math.sqrt(float(var[i]) + eps)
            assert torch.allclose(new_weight[i], weight[i] * factor, atol=1e-4)
            wanted = (float(bias[i]) - float(mean[i])) * factor + float(beta[i])
            assert abs(float(new_bias[i]) - wanted) < 1e-3
    return True


# 4.13 --------------------------------------------------------------------------------------------


def layer_slip_by_traces(weight, bias, x, y):
    real = x @ weight.t() + bias
    if y.min() < -0.01:
        return "no ReLU"
    if 0.49 * real.max() <= y.max() <= 0.51 * real.max() and (y == y.max()).sum() > 1:
        return "range too small"
    tries = {"no bias": real - bias, "bias twice": real + bias, "right": real}
    scale = weight.abs().amax(1, keepdim=True)
    tries["weights of 2 bits"] = x @ (torch.round(weight / scale) * scale).t() + bias
    return min(tries, key=lambda name: float((tries[name].relu() - y).square().sum()))


def layer_slip_in_numpy(weight, bias, x, y):
    w, b, inputs, outputs = (t.double().numpy() for t in (weight, bias, x, y))
    top = np.abs(w).max(1, keepdims=True)
    real = inputs @ w.T
    tries = {
        "right": np.maximum(real + b, 0),
        "no bias": np.maximum(real, 0),
        "bias twice": np.maximum(real + 2 * b, 0),
        "no ReLU": real + b,
        "range too small": np.clip(real + b, 0, (real + b).max() / 2),
        "weights of 2 bits": np.maximum(inputs @ (np.rint(w / top) * top).T + b, 0),
    }
    errors = {name: np.abs(tried - outputs).max() for name, tried in tries.items()}
    return min(errors, key=errors.get)


def layer_slip_with_8_bits(weight, bias, x, y):
    def layer(bits, times=1.0):
        top = weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
        return F.linear(x, (weight / top).round() * top, times * bias)

    tries = [
        ("right", layer(8).relu()),
        ("no bias", layer(8, 0.0).relu()),
        ("bias twice", layer(8, 2.0).relu()),
        ("no ReLU", layer(8)),
        ("range too small", layer(8).clamp(0, float(F.linear(x, weight, bias).max()) / 2)),
        ("weights of 2 bits", layer(2).relu()),
    ]
    return next(name for name, wanted in tries if torch.allclose(wanted, y, atol=1e-4))


# 4.14 --------------------------------------------------------------------------------------------


def deployment_review_with_patterns(script):
    import re

    text = "\n".join(script)
    patterns = {
        "training mode": r"\.train\(\)",
        "simulation timed": r"^timed = simulated$",
        "other batch": r"timed, x\[:",
        "optimizer in the file": r"^state = .*optimizer",
    }
    found = [name for name, pattern in patterns.items() if re.search(pattern, text, re.M)]
    if len(set(re.findall(r"set_num_threads\((\d+)\)", text))) > 1:
        found.append("other threads")
    first, last = map(int, re.search(r"slice\((\d+), (\d+)\)", text).groups())
    return [*found, "too few images"] if last - first < 1000 else found


def deployment_review_line_by_line(script):
    errors, threads = set(), []
    for line in script:
        if line.startswith("real = ") and line.endswith("train()"):
            errors.add("training mode")
        if "num_threads" in line:
            threads.append(line)
        if line.startswith("timed") and "small" not in line:
            errors.add("simulation timed")
        if line.startswith("small_ms") and "[" in line:
            errors.add("other batch")
        if line.startswith("state") and "optimizer" in line:
            errors.add("optimizer in the file")
        if line.startswith("part") and len(range(10_000)[eval(line[7:])]) < 1000:
            errors.add("too few images")
    return list(errors if threads[0] == threads[-1] else errors | {"other threads"})


def deployment_review_by_running(script):
    seen = {"threads": [], "timed": {}, "batches": []}

    class Network(str):
        def eval(self):
            return Network("evaluating")

        def train(self, mode=True):
            return Network("training" if mode else "evaluating")

        def state_dict(self):
            return self

    def milliseconds(network, x):
        seen["timed"][network] = seen["threads"][-1]
        seen["batches"].append(len(x))
        return 1.0

    def right(network, part):
        seen["images"] = len(range(10_000)[part])

    names = {"networks": {"mobilenet": Network("r"), "resnet": Network("r")}, "few": [0] * 500}
    names |= {"small": Network("small"), "simulated": Network("simulated"), "print": str}
    names |= {"milliseconds": milliseconds, "right": right, "optimizer": Network("optimizer")}
    names["bytes_of"] = lambda what: seen.setdefault("state", what) and 1
    names["difference"] = lambda one, other: (0, 0)
    text = "\n".join(script).replace("torch.set_num_threads", "threads.append")
    text = text.replace("copy.deepcopy", "").replace("x.clone()", "x")
    exec(text, names | {"threads": seen["threads"]})
    conditions = {
        "training mode": "training" in seen["timed"],
        "other threads": len(set(seen["timed"].values())) > 1,
        "simulation timed": "simulated" in seen["timed"],
        "other batch": len(set(seen["batches"])) > 1,
        "optimizer in the file": "optimizer" in seen["state"],
        "too few images": seen["images"] < 1000,
    }
    return [name for name, there in conditions.items() if there]


RIGHT_ANSWERS = {
    "4.1": [
        fold_in_numpy,
        fold_in_a_loop,
        fold_by_probing,
        fold_with_rsqrt,
        fold_by_torchs_own_helper,
    ],
    "4.2": [grid_with_match, grid_as_tensors, grid_in_numpy],
    "4.3": [calibrate_in_numpy, calibrate_with_hooks, calibrate_all_batches_at_once],
    "4.4": [layer_in_numpy, layer_in_a_loop, layer_with_one_over_scale, layer_with_wide_integers],
    "4.5": [add_with_two_factors, add_in_numpy, add_in_fixed_point, add_with_one_offset],
    "4.6": [int4_group_by_group, int4_in_numpy, int4_by_table, int4_by_arithmetic_shifts],
    "4.7": [sensitivity_in_numpy, sensitivity_by_recursion, sensitivity_of_a_module],
    "4.8": [correct_over_dims, correct_in_numpy, correct_with_two_means],
    "4.9": [
        factors_as_the_paper_writes_them,
        factors_in_a_loop,
        factors_in_numpy,
        factors_by_logarithms,
    ],
    "4.10": [front_in_two_loops, front_by_sorting, front_in_numpy, front_by_both_extremes],
    "4.11": [
        bits_by_trying_everything,
        bits_in_one_table,
        bits_by_recursion,
        bits_by_counting_classes,
    ],
    "4.12": [folding_test_with_modules, folding_test_with_names, folding_test_by_the_formula],
    "4.13": [layer_slip_by_traces, layer_slip_in_numpy, layer_slip_with_8_bits],
    "4.14": [
        deployment_review_with_patterns,
        deployment_review_line_by_line,
        deployment_review_by_running,
    ],
}
