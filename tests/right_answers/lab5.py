"""Right answers of other styles to the exercises of lab 5."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# 5.1 ---------------------------------------------------------------------------------------------


def fake_by_torch(x, scale, zero_point, qmin, qmax):
    return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, qmin, qmax)


def fake_in_numpy(x, scale, zero_point, qmin, qmax):
    q = np.clip(np.rint(x.numpy().astype(np.float64) / scale) + zero_point, qmin, qmax)
    return (q - zero_point) * scale


def fake_value_by_value(x, scale, zero_point, qmin, qmax):
    values = []
    for v in x.flatten().tolist():
        q = max(qmin, min(qmax, round(v / scale) + zero_point))
        values.append((q - zero_point) * scale)
    return torch.tensor(values).reshape(x.shape)


def fake_from_the_codes(x, scale, zero_point, qmin, qmax):
    low, high = qmin - zero_point, qmax - zero_point
    return torch.round(x * (1 / scale)).clamp(low, high) * scale


def fake_with_the_clamp_first(x, scale, zero_point, qmin, qmax):
    steps = (x * (1 / scale)).clamp(qmin - zero_point, qmax - zero_point)
    return torch.floor(steps + 0.5).mul_(scale)


def fake_by_the_nearest_grid_point(x, scale, zero_point, qmin, qmax):
    grid = (torch.arange(qmin, qmax + 1, dtype=torch.float32) - zero_point) * scale
    return grid[(x.flatten()[:, None] - grid).abs().argmin(1)].reshape(x.shape)


# 5.2 ---------------------------------------------------------------------------------------------


class Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.floor(x + 0.5)

    @staticmethod
    def backward(ctx, dy):
        return 1.0 * dy


def loss_by_a_function(x, target):
    x = x.clone().requires_grad_()
    loss = F.mse_loss(Through.apply(x), target, reduction="sum")
    loss.backward()
    return loss, x.grad


def loss_by_detaching(x, target):
    x = x.clone().requires_grad_()
    y = x + (x.round() - x).detach()
    loss = ((y - target) ** 2).sum()
    return loss.item(), torch.autograd.grad(loss, x)[0]


def loss_in_numpy(x, target):
    error = np.rint(x.numpy()) - target.numpy()
    return (error**2).sum(), 2 * error


def loss_by_a_hook(x, target):
    y = torch.round(x).requires_grad_()
    loss = (y - target).pow(2).sum()
    loss.backward()
    return [loss, y.grad]


def loss_by_a_detached_leaf(x, target):
    x = x.detach().requires_grad_()
    loss = F.mse_loss(x + (x.round() - x).detach(), target, reduction="sum")
    loss.backward()
    return loss, x.grad


# 5.3 ---------------------------------------------------------------------------------------------


def clip_by_torch(x, scale, zero_point, qmin, qmax, dy):
    x = x.clone().requires_grad_()
    torch.fake_quantize_per_tensor_affine(x, scale, zero_point, qmin, qmax).backward(dy)
    return x.grad


def clip_by_autograd(x, scale, zero_point, qmin, qmax, dy):
    x = x.clone().requires_grad_()
    y = (x / scale + zero_point).clamp(qmin, qmax) * scale
    return torch.autograd.grad(y, x, dy)[0]


def clip_in_numpy(x, scale, zero_point, qmin, qmax, dy):
    low, high = (qmin - zero_point) * scale, (qmax - zero_point) * scale
    return np.where((x.numpy() > low) & (x.numpy() < high), dy.numpy(), 0)


def clip_half_a_step_later(x, scale, zero_point, qmin, qmax, dy):
    outside = (x / scale < qmin - zero_point - 0.5) | (x / scale > qmax - zero_point + 0.5)
    return dy.masked_fill(outside, 0.0)


def clip_on_a_copy(x, scale, zero_point, qmin, qmax, dy):
    code, dy = x.div(scale).round_().add_(zero_point), dy.clone()
    dy[code != code.clamp(qmin, qmax)] = 0
    return dy


# 5.4 ---------------------------------------------------------------------------------------------


def step_by_torch(x, scale, qmin, qmax, dy):
    step = torch.tensor([scale], requires_grad=True)
    factor = 1 / math.sqrt(x.numel() * qmax)
    zero = torch.zeros(1)
    torch._fake_quantize_learnable_per_tensor_affine(
        x.clone().requires_grad_(), step, zero, qmin, qmax, factor
    ).backward(dy)
    return step.grad


def step_by_autograd(x, scale, qmin, qmax, dy):
    step = torch.tensor(scale, requires_grad=True)
    real = (x / step).clamp(qmin, qmax)
    code = real + (real.round() - real).detach()
    return torch.autograd.grad(code * step, step, dy)[0] / (x.numel() * qmax) ** 0.5


def step_as_in_the_paper(x, scale, qmin, qmax, dy):
    v = (x / scale).double()
    slope = torch.where(v <= qmin, float(qmin), torch.where(v >= qmax, float(qmax), v.round() - v))
    return (slope * dy).sum().item() / math.sqrt(x.numel() * qmax)


def step_value_by_value(x, scale, qmin, qmax, dy):
    total = 0.0
    for v, d in zip(x.flatten().tolist(), dy.flatten().tolist(), strict=True):
        code = round(v / scale)
        if code < qmin:
            total += d * qmin
        elif code > qmax:
            total += d * qmax
        else:
            total += d * (code - v / scale)
    return total / math.sqrt(x.numel() * qmax)


def step_by_euler(x, scale, qmin, qmax, dy):
    y = torch.fake_quantize_per_tensor_affine(x, scale, 0, qmin, qmax).double()
    inside = (x.double() / scale).round().clamp(qmin, qmax) == (x.double() / scale).round()
    return ((y - x * inside) * dy).sum() / scale / math.sqrt(x.numel() * qmax)


# 5.5 ---------------------------------------------------------------------------------------------


def on_grid(w, bits):
    qmax = 2 ** (bits - 1) - 1
    scale = w.abs().amax(1, keepdim=True) / qmax
    return (w / scale).round().clamp(-qmax, qmax) * scale


def tree(weights):
    layers = []
    for item in weights:
        if isinstance(item, list):
            layers.append(tree(item))
            continue
        layer = nn.Linear(item.shape[1], item.shape[0], bias=False)
        layer.weight = nn.Parameter(item)
        layers.append(layer)
    return nn.Sequential(*layers)


class Wrapped(nn.Module):
    def __init__(self, layer, bits):
        super().__init__()
        self.layer, self.bits = layer, bits

    def forward(self, x):
        return F.linear(x, on_grid(self.layer.weight, self.bits))


def swap_by_children(weights, x, bits):
    def swap(model):
        for name, child in model.named_children():
            if isinstance(child, nn.Linear):
                setattr(model, name, Wrapped(child, bits))
            else:
                swap(child)
        return model

    return swap(tree(weights))(x)


def swap_by_submodules(weights, x, bits):
    model = tree(weights)
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.Linear):
            model.set_submodule(name, Wrapped(layer, bits))
    return model(x)


def swap_by_parametrizing(weights, x, bits):
    class Grid(nn.Module):
        def forward(self, w):
            return on_grid(w, bits)

    model = tree(weights)
    for layer in model.modules():
        if type(layer) is nn.Linear:
            nn.utils.parametrize.register_parametrization(layer, "weight", Grid())
    return model(x)


def swap_in_numpy(weights, x, bits):
    def forward(items, y):
        for item in items:
            if isinstance(item, list):
                y = forward(item, y)
            else:
                w = item.numpy().astype(np.float64)
                s = np.abs(w).max(axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
                y = y @ (np.rint(w / s) * s).T
        return y

    return forward(weights, x.numpy().astype(np.float64))


def swap_by_hooks(weights, x, bits):
    model = tree(weights)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(
                lambda layer, given, result: F.linear(given[0], on_grid(layer.weight, bits))
            )
    with torch.no_grad():
        return model(x)


# 5.6 ---------------------------------------------------------------------------------------------


def tune_with_an_optimizer(w, x, labels, scale, steps, rate):
    real = nn.Parameter(w.clone())
    optimizer = torch.optim.SGD([real], lr=rate)
    for _ in range(steps):
        ternary = real + ((real / scale).round().clamp(-1, 1) * scale - real).detach()
        optimizer.zero_grad()
        F.cross_entropy(x @ ternary.t(), labels).backward()
        optimizer.step()
    return real


def tune_with_the_gradient_of_the_shadow(w, x, labels, scale, steps, rate):
    w = w.clone()
    for _ in range(steps):
        shadow = (torch.round(w / scale).clamp(-1, 1) * scale).requires_grad_()
        loss = -(x @ shadow.t()).log_softmax(1)[range(len(labels)), labels].mean()
        w -= rate * torch.autograd.grad(loss, shadow)[0]
    return w


def tune_in_numpy(w, x, labels, scale, steps, rate):
    w, x, labels = (v.numpy() for v in (w, x, labels))
    w = w.astype(np.float64)
    for _ in range(steps):
        logits = x @ (np.clip(np.rint(w / scale), -1, 1) * scale).T
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p[np.arange(len(labels)), labels] -= 1
        w = w - rate * p.T @ x / len(x)
    return w


def tune_in_double(w, x, labels, scale, steps, rate):
    w, x = w.double().requires_grad_(), x.double()
    while steps > 0:
        shadow = w + ((w / scale).round().clamp(-1, 1) * scale - w).detach()
        F.nll_loss((x @ shadow.t()).log_softmax(1), labels).backward()
        with torch.no_grad():
            w -= rate * w.grad
        w.grad, steps = None, steps - 1
    return w


# 5.7 ---------------------------------------------------------------------------------------------


def layer_by_rows(w, w_scale, bias, x_scale, y_scale, qmax):
    q_w, q_b, m = [], [], []
    for row, s, b in zip(w.tolist(), w_scale.tolist(), bias.tolist(), strict=True):
        q_w.append([max(-qmax, min(qmax, round(v / s))) for v in row])
        q_b.append(round(b / (s * x_scale)))
        m.append(s * x_scale / y_scale)
    return torch.tensor(q_w), torch.tensor(q_b), torch.tensor(m)


def layer_in_numpy(w, w_scale, bias, x_scale, y_scale, qmax):
    s = w_scale.numpy().astype(np.float64)
    q_w = np.clip(np.rint(w.numpy() / s[:, None]), -qmax, qmax).astype(np.int8)
    return q_w, np.rint(bias.numpy() / (s * x_scale)).astype(np.int64), s * x_scale / y_scale


def layer_transposed(w, w_scale, bias, x_scale, y_scale, qmax):
    q_w = (w.t() / w_scale).round().clamp(min=-qmax, max=qmax).t().to(torch.int8)
    return [
        q_w,
        (bias / w_scale / x_scale).round().int(),
        w_scale * (x_scale / y_scale),
    ]


# 5.8 ---------------------------------------------------------------------------------------------


def binary_by_comparing(w):
    scale = w.abs().mean(dim=tuple(range(1, w.ndim)))
    return 2 * (w >= 0).to(torch.int32) - 1, scale


def binary_in_numpy(w):
    w = w.numpy().reshape(len(w), -1), w.shape
    signs = np.where(w[0] >= 0, 1, -1).astype(np.int64).reshape(w[1])
    return signs, np.abs(w[0]).mean(axis=1)


def binary_by_least_squares(w):
    signs = torch.ones(w.shape, dtype=torch.int8)
    signs[w < 0] = -1
    rows, directions = w.reshape(len(w), -1), signs.reshape(len(w), -1).float()
    return signs, (rows * directions).sum(1) / directions.square().sum(1)


def binary_row_by_row(w):
    signs, scales = torch.ones(w.shape, dtype=torch.int8), []
    for row, weights in enumerate(w):
        signs[row][weights < 0] = -1
        scales.append((weights * signs[row]).mean())
    return signs, torch.stack(scales)


# 5.9 ---------------------------------------------------------------------------------------------


def ternary_rows(w, size):
    scale = size * w.abs().mean(1, keepdim=True)
    return (w / scale).round().clamp(-1, 1) * scale


def train_with_momentum(w, x, labels):
    w, velocity, best, most = w.clone(), torch.zeros_like(w), w, -1
    for step in range(150):
        shadow = ternary_rows(w, 1.4).requires_grad_()
        logits = x @ shadow.t()
        right = int((logits.argmax(1) == labels).sum())
        if right > most:
            best, most = shadow.detach(), right
        gradient = torch.autograd.grad(F.cross_entropy(logits, labels), shadow)[0]
        velocity = 0.9 * velocity + gradient
        w = w - 0.5 * (1 - step / 150) * velocity
    return best


def train_and_return_codes(w, x, labels):
    real, found = nn.Parameter(w.clone()), []
    optimizer = torch.optim.Adam([real], lr=0.03)
    for _ in range(150):
        scale = 1.4 * real.detach().abs().mean()
        codes = (real.detach() / scale).round().clamp(-1, 1)
        logits = x @ (real + (codes * scale - real).detach()).t()
        found.append((int((logits.argmax(1) == labels).sum()), codes.to(torch.int8)))
        optimizer.zero_grad()
        F.cross_entropy(logits, labels).backward()
        optimizer.step()
    return max(found, key=lambda pair: pair[0])[1]


def train_by_trying(w, x, labels):
    """No gradient at all: change one code where that makes the loss smaller."""
    x64, w, labels = x.numpy().astype(np.float64), w.numpy(), labels.numpy()
    codes = np.clip(np.rint(w / (1.4 * np.abs(w).mean(1, keepdims=True))), -1, 1)
    logits = x64 @ codes.T

    def loss(logits):
        own = logits[np.arange(len(labels)), labels]
        return (
            np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1) - own
        ).mean()

    now = loss(logits)
    for place in 2 * list(np.ndindex(*codes.shape)):
        row, column = place
        for code in (-1.0, 0.0, 1.0):
            new = logits.copy()
            new[:, row] += (code - codes[place]) * x64[:, column]
            if loss(new) < now:
                logits, codes[place], now = new, code, loss(new)
    return codes


# 5.10 --------------------------------------------------------------------------------------------


def fake_quantize_test_with_asserts(fake_quantize):
    for scale, zero_point, qmin, qmax in ((0.5, 3, -8, 7), (0.25, 90, 0, 255), (4.0, 0, -8, 7)):
        for code in (qmin, qmin + 1, zero_point, qmax):
            at = (code - zero_point) * scale
            for off in (-0.4, 0.0, 0.4):
                x = torch.tensor([at + off * scale])
                assert abs(float(fake_quantize(x, scale, zero_point, qmin, qmax)) - at) < 1e-5
        low = (qmin - zero_point) * scale
        assert float(fake_quantize(torch.tensor([-1e4]), scale, zero_point, qmin, qmax)) == low
    assert float(fake_quantize(torch.tensor([2.0**34]), 1.0, 0, 0, 2**40)) == 2.0**34


def fake_quantize_test_against_torch(fake_quantize):
    x = torch.linspace(-30.03, 30.07, 400)
    for grid in ((0.3, 4, 0, 15), (0.11, 0, -128, 127), (0.15, 40, 0, 255), (2.0, -1, -8, 7)):
        wanted = torch.fake_quantize_per_tensor_affine(x, *grid).double()
        if (fake_quantize(x, *grid).double() - wanted).abs().max() > 1e-3:
            return False
    return bool(fake_quantize(torch.tensor([2.0**36]), 1.0, 0, 0, 2**40) == 2.0**36)


def fake_quantize_test_by_nearest_level(fake_quantize):
    x = torch.linspace(-12.01, 12.03, 300)
    for scale, zero_point, qmin, qmax in ((0.4, -2, -8, 7), (1.7, 6, 0, 15), (0.1, 200, 0, 255)):
        levels = (torch.arange(qmin, qmax + 1) - zero_point) * scale
        nearest = levels[(x[:, None] - levels).abs().argmin(1)].numpy()
        found = np.asarray(fake_quantize(x, scale, zero_point, qmin, qmax))
        if np.abs(found - nearest).max() > 1e-3:
            return False
    return float(fake_quantize(torch.tensor([2.0**40]), 1.0, 0, 0, 2**41)) == 2.0**40


# 5.11 --------------------------------------------------------------------------------------------


def gradient_slip_by_the_quotient(x, scale, qmin, qmax, dy, dx):
    quotient, steps = dx / dy, x / scale
    inside = (steps >= qmin) & (steps <= qmax)
    if bool((quotient == 0).all()):
        return "cut off"
    if bool((quotient == 1).all()):
        return "not clipped"
    if bool((quotient[inside] == 0).all()):
        return "outside instead of inside"
    if bool((quotient[~inside] != 0).any() or (quotient[inside] == 0).any()):
        return "x compared with codes"
    return "right" if torch.equal(dx[inside], dy[inside]) else "times the scale"


def gradient_slip_in_numpy(x, scale, qmin, qmax, dy, dx):
    v, up, down = x.numpy(), dy.numpy(), dx.numpy()
    mask = (v / scale >= qmin) & (v / scale <= qmax)
    table = {
        "right": up * mask,
        "not clipped": up,
        "cut off": np.zeros_like(up),
        "outside instead of inside": up * ~mask,
        "x compared with codes": up * ((v >= qmin) & (v <= qmax)),
        "times the scale": scale * up * mask,
    }
    return next(name for name, found in table.items() if np.allclose(found, down, atol=1e-6))


def gradient_slip_by_counting(x, scale, qmin, qmax, dy, dx):
    passed = [bool(g) for g in dx.tolist()]
    inside = [qmin * scale <= v <= qmax * scale for v in x.tolist()]
    if not any(passed):
        return "cut off"
    if all(passed):
        return "not clipped"
    if passed == inside:
        same = (dx - dy)[torch.tensor(inside)].abs().max() < 1e-6
        return "right" if same else "times the scale"
    turned = [not each for each in inside]
    return "outside instead of inside" if passed == turned else "x compared with codes"


def gradient_slip_nearest_by_rounded_codes(x, scale, qmin, qmax, dy, dx):
    codes = torch.round(x / scale)
    inside = ((codes >= qmin) & (codes <= qmax)).float()
    kept = ((x >= qmin) & (x <= qmax)).float()
    factors = {
        "right": inside,
        "not clipped": torch.ones_like(dy),
        "cut off": torch.zeros_like(dy),
        "outside instead of inside": 1 - inside,
        "x compared with codes": kept,
        "times the scale": scale * inside,
    }
    return min(factors, key=lambda name: (factors[name] * dy - dx).square().sum().item())


# 5.12 --------------------------------------------------------------------------------------------


def adaround_with_backward(v, w, x, scale, qmin, qmax, beta, weight):
    v = v.clone().requires_grad_()
    h = torch.clamp(torch.sigmoid(v) * 1.2 - 0.1, 0, 1)
    w_hat = torch.clamp(torch.floor(w / scale) + h, qmin, qmax) * scale
    loss = F.mse_loss(F.linear(x, w_hat), F.linear(x, w))
    loss = loss + weight * (1 - (2 * h - 1).abs().pow(beta)).sum()
    loss.backward()
    return loss.item(), v.grad


def adaround_in_closed_form(v, w, x, scale, qmin, qmax, beta, weight):
    v, w, x = v.double(), w.double(), x.double()
    s = torch.sigmoid(v)
    soft = 1.2 * s - 0.1
    h = soft.clamp(0, 1)
    codes = torch.floor(w / scale) + h
    off = x @ (codes.clamp(qmin, qmax) * scale - w).t()
    u = 2 * h - 1
    loss = (off**2).mean() + weight * (1 - u.abs() ** beta).sum()
    with_h = 2 * off.t() @ x / off.numel() * scale * ((codes >= qmin) & (codes <= qmax))
    with_h = with_h - weight * beta * u.abs() ** (beta - 1) * 2 * u.sign()
    return loss, with_h * ((soft >= 0) & (soft <= 1)) * 1.2 * s * (1 - s)


def adaround_by_jacobian(v, w, x, scale, qmin, qmax, beta, weight):
    def loss(v):
        h = torch.nn.functional.hardtanh(1.2 / (1 + torch.exp(-v)) - 0.1, 0.0, 1.0)
        w_hat = scale * (torch.floor(w / scale) + h).clamp(qmin, qmax)
        error = ((x @ (w_hat - w).t()) ** 2).mean()
        return error + weight * (1 - torch.abs(2 * h - 1) ** beta).sum()

    gradient, value = torch.func.grad_and_value(loss)(v)
    return value, gradient


# 5.13 --------------------------------------------------------------------------------------------


def batchnorm_by_torch(x, w, gamma, beta, mean, var, eps, bits, frozen):
    factor = gamma / (var + eps).sqrt()
    folded = w * factor.reshape(-1, 1)
    scale = folded.abs().max() / (2 ** (bits - 1) - 1)
    y = F.linear(x, (folded / scale).round() * scale / factor.reshape(-1, 1))
    return F.batch_norm(y, mean.clone(), var.clone(), gamma, beta, training=not frozen, eps=eps)


def batchnorm_in_numpy(x, w, gamma, beta, mean, var, eps, bits, frozen):
    x, w, gamma, beta, mean, var = (t.double().numpy() for t in (x, w, gamma, beta, mean, var))
    factor = gamma / np.sqrt(var + eps)
    folded = (w.T * factor).T
    scale = np.abs(folded).max() / (2 ** (bits - 1) - 1)
    y = x @ (np.rint(folded / scale) * scale / factor[:, None]).T
    if not frozen:
        mean, var = y.mean(axis=0), y.var(axis=0)
    return (y - mean) / np.sqrt(var + eps) * gamma + beta


def batchnorm_folded_after_all(x, w, gamma, beta, mean, var, eps, bits, frozen):
    std = (var + eps) ** 0.5
    folded = w * (gamma / std)[:, None]
    scale = folded.abs().max() / (2 ** (bits - 1) - 1)
    y = x @ (torch.round(folded / scale) * scale).t()  # of the chip, without its bias
    if frozen:
        return y + beta - mean * gamma / std
    y = y * (std / gamma)
    centred = y - y.mean(0)
    return gamma * centred / ((centred**2).mean(0) + eps).sqrt() + beta


# 5.14 --------------------------------------------------------------------------------------------


def gain_review_with_patterns(script):
    import re

    text = "\n".join(script)
    patterns = {
        "tuned for one only": r"^rates = .*(best_rate.*: 0\.|: 0\..*best_rate)",
        "best epoch on the test images": r"^watched = test$",
        "too few seeds": r"range\([0-4]\):",
        "rounding off": r"\(qat, on=False\)",
        "statistics of the batch": r"qat\.train\(\)",
    }
    found = [name for name, pattern in patterns.items() if re.search(pattern, text, re.M)]
    if len(set(re.findall(r"epochs=(\d+)", text))) == 2:
        found.append("other number of epochs")
    return found


def gain_review_line_by_line(script):
    errors, epochs = set(), []
    for line in map(str.strip, script):
        if line.startswith("rates") and line.count("best_rate") not in (0, 2):
            errors.add("tuned for one only")
        if line.startswith("watched") and line.split()[-1] == "test":
            errors.add("best epoch on the test images")
        if line.startswith("for ") and int("".join(c for c in line if c.isdigit())) < 5:
            errors.add("too few seeds")
        if "epochs=" in line:
            epochs.append(line.partition("epochs=")[2].partition(",")[0])
        if line.startswith("rounding(qat") and not line.endswith("True)"):
            errors.add("rounding off")
        if line.startswith("ptq.") and not ("eval(), qat.eval()" in line or "False" in line):
            errors.add("statistics of the batch")
    return list(errors if epochs[0] == epochs[1] else errors | {"other number of epochs"})


def gain_review_by_running(script):
    seen = {"seeds": [], "epochs": {}, "mode": {}, "on": {}}

    class Network:
        def __init__(self, name):
            self.name = name

        def eval(self):
            seen["mode"][self.name] = False

        def train(self, mode=True):
            seen["mode"][self.name] = mode

    def train(network, epochs, rate, best_on):
        seen["epochs"][network.name] = epochs
        seen["watched"], seen.setdefault("rates", {})[network.name] = best_on, rate
        return network

    def network(seed):
        seen["seeds"].append(seed)
        return Network("real")

    names = {"network": network, "train": train, "test": "test", "held_out": "held out"}
    names |= {"rounded": lambda network: Network("rounded"), "best_rate": lambda kind: "best"}
    names["rounding"] = lambda network, on: seen["on"].update({network.name: on})
    names |= {"accuracy": lambda network, part: 0.5, "mean": sum, "stdev": sum, "print": str}
    exec("\n".join(script), names)
    rates, epochs = seen["rates"], seen["epochs"]
    conditions = {
        "tuned for one only": (rates["real"] == "best") != (rates["rounded"] == "best"),
        "best epoch on the test images": seen["watched"] == "test",
        "too few seeds": len(set(seen["seeds"])) < 5,
        "other number of epochs": epochs["real"] != epochs["rounded"],
        "rounding off": seen["on"].get("rounded") is False,
        "statistics of the batch": seen["mode"]["rounded"],
    }
    return [name for name, there in conditions.items() if there]


RIGHT_ANSWERS = {
    "5.1": [
        fake_by_torch,
        fake_in_numpy,
        fake_value_by_value,
        fake_from_the_codes,
        fake_with_the_clamp_first,
        fake_by_the_nearest_grid_point,
    ],
    "5.2": [
        loss_by_a_function,
        loss_by_detaching,
        loss_in_numpy,
        loss_by_a_hook,
        loss_by_a_detached_leaf,
    ],
    "5.3": [
        clip_by_torch,
        clip_by_autograd,
        clip_in_numpy,
        clip_half_a_step_later,
        clip_on_a_copy,
    ],
    "5.4": [
        step_by_torch,
        step_by_autograd,
        step_as_in_the_paper,
        step_value_by_value,
        step_by_euler,
    ],
    "5.5": [
        swap_by_children,
        swap_by_submodules,
        swap_by_parametrizing,
        swap_in_numpy,
        swap_by_hooks,
    ],
    "5.6": [
        tune_with_an_optimizer,
        tune_with_the_gradient_of_the_shadow,
        tune_in_numpy,
        tune_in_double,
    ],
    "5.7": [layer_by_rows, layer_in_numpy, layer_transposed],
    "5.8": [binary_by_comparing, binary_in_numpy, binary_by_least_squares, binary_row_by_row],
    "5.9": [train_with_momentum, train_and_return_codes, train_by_trying],
    "5.10": [
        fake_quantize_test_with_asserts,
        fake_quantize_test_against_torch,
        fake_quantize_test_by_nearest_level,
    ],
    "5.11": [
        gradient_slip_by_the_quotient,
        gradient_slip_in_numpy,
        gradient_slip_by_counting,
        gradient_slip_nearest_by_rounded_codes,
    ],
    "5.12": [adaround_with_backward, adaround_in_closed_form, adaround_by_jacobian],
    "5.13": [batchnorm_by_torch, batchnorm_in_numpy, batchnorm_folded_after_all],
    "5.14": [gain_review_with_patterns, gain_review_line_by_line, gain_review_by_running],
}
