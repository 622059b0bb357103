"""Right answers to lab 7 in other styles than the reference's: the checks must accept them all."""

import math
import statistics

import numpy as np
import torch

# 7.1 ---------------------------------------------------------------------------------------------


def perplexity_by_cross_entropy(logits, tokens):
    losses = torch.nn.functional.cross_entropy(logits[:-1], tokens[1:], reduction="none")
    value = losses.mean().exp()
    return value, value * losses.std() / len(losses) ** 0.5


def perplexity_in_numpy(logits, tokens):
    rows = logits.numpy().astype(np.float64)[:-1]
    rows = rows - rows.max(1, keepdims=True)
    p = np.exp(rows) / np.exp(rows).sum(1, keepdims=True)
    losses = -np.log(p[np.arange(len(p)), tokens.numpy()[1:]])
    value = np.exp(losses.mean())
    return value, value * losses.std(ddof=1) / np.sqrt(len(losses))


def perplexity_in_a_loop(logits, tokens):
    losses = []
    for row, target in zip(logits[:-1], tokens[1:], strict=True):
        losses.append(float(row.double().logsumexp(0) - row.double()[target]))
    value = math.exp(statistics.fmean(losses))
    return [value, value * statistics.stdev(losses) / math.sqrt(len(losses))]


# 7.2 ---------------------------------------------------------------------------------------------


def maxima_with_max(x):
    return x.abs().max(dim=0).values, x.abs().max(dim=1).values


def maxima_in_numpy(x):
    return np.abs(x.numpy()).max(axis=0), np.abs(x.numpy()).max(axis=1)


def maxima_as_norms(x):
    return [x.norm(torch.inf, dim=0), x.norm(torch.inf, dim=1)]


def maxima_as_lists(x):
    rows = x.tolist()
    columns = torch.tensor([max(map(abs, column)) for column in zip(*rows, strict=True)])
    return columns, torch.tensor([max(map(abs, row)) for row in rows])


# 7.3 ---------------------------------------------------------------------------------------------


def tokens_with_keepdim(x):
    scale = x.abs().amax(1, keepdim=True) / 127
    scale = scale.masked_fill(scale == 0, 1.0)
    return (x / scale).round().clamp(-127, 127).to(torch.int8), scale.squeeze(1)


def tokens_in_numpy(x):
    rows = x.numpy().astype(np.float64)
    scale = np.abs(rows).max(1) / 127
    scale[scale == 0] = 1
    return np.rint(rows / scale[:, None]).astype(np.int32), scale


def tokens_in_a_loop(x):
    codes, scales = [], []
    for token in x:
        scale = float(token.abs().max()) / 127 or 1.0
        scales.append(scale)
        codes.append([round(value / scale) for value in token.tolist()])
    return torch.tensor(codes), torch.tensor(scales)


def tokens_by_the_reciprocal(x):
    largest = x.abs().amax(-1)
    inverse = torch.where(largest > 0, 127 / largest, 1.0)
    return torch.round(x * inverse[:, None]).short(), 1 / inverse


# 7.4 ---------------------------------------------------------------------------------------------


def split_with_integers(x, w, threshold):
    outlier = (x.abs() >= threshold).any(0)
    y = x[:, outlier] @ w[:, outlier].T
    if bool(outlier.all()):
        return y
    (q, s), (r, t) = (tokens_with_keepdim(m[:, ~outlier]) for m in (x, w))
    return y + (q.int() @ r.int().T) * s[:, None] * t


def split_with_zeros(x, w, threshold):
    inner = (x.abs().amax(0) < threshold).float()
    (q, s), (r, t) = tokens_with_keepdim(x * inner), tokens_with_keepdim(w * inner)
    outer = 1 - inner
    return (x * outer) @ (w * outer).T + torch.outer(s, t) * (q.double() @ r.double().T)


def split_in_numpy(x, w, threshold):
    inner = [c for c in range(x.shape[1]) if float(x[:, c].abs().max()) < threshold]
    outer = [c for c in range(x.shape[1]) if c not in inner]
    y = x.numpy()[:, outer] @ w.numpy()[:, outer].T
    if inner:
        (q, s), (r, t) = tokens_in_numpy(x[:, inner]), tokens_in_numpy(w[:, inner])
        y = y + s[:, None] * (q @ r.T) * t[None]
    return y


# 7.5 ---------------------------------------------------------------------------------------------


def smooth_with_masks(norm, w, x_maxima, alpha):
    largest = w.abs().max(0).values
    s = x_maxima.pow(alpha) / largest.pow(1 - alpha)
    s[(x_maxima == 0) | (largest == 0)] = 1
    return norm / s, w * s[None]


def smooth_by_logarithms(norm, w, x_maxima, alpha):
    largest = w.abs().amax(0)
    s = (alpha * x_maxima.log() - (1 - alpha) * largest.log()).exp()
    s = torch.where(x_maxima * largest > 0, s, torch.ones_like(s))
    return norm * (1 / s), w @ torch.diag(s)


def smooth_in_a_loop(norm, w, x_maxima, alpha):
    norm, w = norm.clone(), w.clone()
    for c in range(len(norm)):
        a, b = float(x_maxima[c]), float(w[:, c].abs().max())
        if a and b:
            s = a**alpha / b ** (1 - alpha)
            norm[c] /= s
            w[:, c] *= s
    return norm, w


# 7.6 ---------------------------------------------------------------------------------------------


def groups_by_unflatten(w, bits, group_size):
    groups = w.unflatten(1, (-1, group_size))
    scale = groups.abs().amax(2) / (2 ** (bits - 1) - 1)
    scale[scale == 0] = 1
    codes = torch.round(groups / scale[..., None]).flatten(1).to(torch.int8)
    return codes, scale, bits + 16 / group_size


def groups_as_rows(w, bits, group_size):
    top = 2 ** (bits - 1) - 1
    rows = w.reshape(-1, group_size)
    scale = torch.where(rows.any(1), rows.abs().amax(1) / top, 1.0)
    codes = torch.round(rows / scale[:, None]).clamp(-top, top).long().reshape(w.shape)
    return codes, scale.reshape(len(w), -1), (bits * group_size + 16) / group_size


def groups_in_numpy(w, bits, group_size):
    out, width = w.shape
    groups = w.numpy().astype(np.float64).reshape(out, width // group_size, group_size)
    scale = np.abs(groups).max(-1) / (2 ** (bits - 1) - 1)
    scale[scale == 0] = 1
    codes = np.rint(groups / scale[..., None]).reshape(out, width).astype(np.int8)
    return codes, scale, np.float64(bits) + 16 / group_size


# 7.7 ---------------------------------------------------------------------------------------------


def rounded(w, bits, group_size):
    codes, scale, _ = groups_by_unflatten(w, bits, group_size)
    return codes * scale.repeat_interleave(group_size, 1)


def awq_with_scaled_inputs(w, x, alphas, bits, group_size):
    errors = []
    for alpha in alphas:
        s = x.abs().mean(0).clamp(min=1e-4) ** alpha
        errors.append(((x / s) @ rounded(w * s, bits, group_size).T - x @ w.T).pow(2).mean())
    return torch.stack(errors)


def awq_with_centred_scales(w, x, alphas, bits, group_size):
    m = x.abs().mean(0).clamp(min=1e-4)
    result = torch.zeros(len(alphas), dtype=torch.float64)
    for k, alpha in enumerate(alphas):
        s = m**alpha
        s = s / (s.max() * s.min()).sqrt()
        back = rounded(w * s, bits, group_size) / s
        result[k] = torch.nn.functional.mse_loss(x @ back.T, x @ w.T)
    return result


def awq_by_the_hessian(w, x, alphas, bits, group_size):
    h, m = x.double().T @ x.double() / len(x), x.abs().mean(0).clamp(min=1e-4)
    found = []
    for alpha in alphas:
        d = (rounded(w * m**alpha, bits, group_size) / m**alpha - w).double()
        found.append(float(torch.trace(d @ h @ d.T)) / len(w))
    return torch.tensor(found)


# 7.8 ---------------------------------------------------------------------------------------------


def correct_by_solving(w, hessian, i, rounded):
    """The others, so that the gradient of the error is 0 in their places."""
    others = [j for j in range(len(w)) if j != i]
    result = w.clone()
    result[i] = rounded
    if others:
        pull = hessian[others, i] * (w[i] - rounded)
        result[others] += torch.linalg.solve(hessian[others][:, others], pull)
    return result


def correct_with_a_unit_vector(w, hessian, i, rounded):
    unit = torch.zeros(len(w), dtype=torch.float64)
    unit[i] = 1
    column = torch.linalg.solve(hessian.double(), unit)
    return w + (rounded - w[i]) * column / column[i]


def correct_in_numpy(w, hessian, i, rounded):
    inverse = np.linalg.inv(hessian.numpy().astype(np.float64))
    return w.numpy() - (float(w[i]) - rounded) / inverse[i, i] * inverse[:, i]


# 7.9 ---------------------------------------------------------------------------------------------


def factor_by_cholesky_inverse(hessian):
    h = hessian.double().clone()
    h.diagonal().add_(0.01 * h.diagonal().mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(h))
    return torch.linalg.cholesky(inverse).T


def factor_in_numpy(hessian):
    h = hessian.numpy().astype(np.float64)
    h = h + 0.01 * np.trace(h) / len(h) * np.eye(len(h))
    return np.linalg.cholesky(np.linalg.inv(h)).T


def factor_from_the_back(hessian):
    """The inverse of a lower factor of the Hessian turned round, turned round again."""
    h = hessian.double()
    h = h + 0.01 * h.diagonal().mean() * torch.eye(len(h), dtype=h.dtype)
    lower = torch.linalg.cholesky(h.flip(0, 1)).flip(0, 1)
    return torch.linalg.inv(lower)


# 7.10 --------------------------------------------------------------------------------------------


def gptq_to_the_end_of_the_row(w, u, scale, bits):
    w, top = w.double().clone(), 2 ** (bits - 1) - 1
    codes = torch.zeros(w.shape, dtype=torch.int8)
    for i in range(w.shape[1]):
        code = torch.clamp(torch.round(w[:, i] / scale[:, i]), -top, top)
        codes[:, i] = code.to(torch.int8)
        error = (w[:, i] - code * scale[:, i]) / u[i, i]
        w[:, i:] -= torch.outer(error, u[i, i:].double())
    return codes


def gptq_row_by_row(w, u, scale, bits):
    top, factor, result = 2 ** (bits - 1) - 1, u.numpy().astype(np.float64), []
    for row, steps in zip(w.numpy().astype(np.float64), scale.numpy(), strict=True):
        left, codes = row.copy(), []
        for i, step in enumerate(steps):
            codes.append(int(np.clip(np.rint(left[i] / step), -top, top)))
            left -= (left[i] - codes[-1] * step) / factor[i, i] * factor[i]
        result.append(codes)
    return torch.tensor(result)


def gptq_in_blocks(w, u, scale, bits):
    w, top, size = w.clone(), 2 ** (bits - 1) - 1, 3
    codes = torch.empty_like(w)
    for start in range(0, w.shape[1], size):
        end = min(start + size, w.shape[1])
        errors = torch.zeros(len(w), end - start)
        for i in range(start, end):
            codes[:, i] = (w[:, i] / scale[:, i]).round().clamp(-top, top)
            errors[:, i - start] = (w[:, i] - codes[:, i] * scale[:, i]) / u[i, i]
            w[:, i:end] -= errors[:, i - start, None] * u[i, i:end]
        w[:, end:] -= errors @ u[start:end, end:]
    return codes.int()


def gptq_with_an_inverse_for_each_column(w, u, scale, bits):
    """Optimal Brain Surgeon as it is written: the Hessian of what is left, inverted anew."""
    h = torch.linalg.inv(u.double().T @ u.double())
    w, top, codes = w.double().clone(), 2 ** (bits - 1) - 1, torch.empty(w.shape, dtype=torch.long)
    for i in range(w.shape[1]):
        inverse = torch.linalg.inv(h[i:, i:])
        codes[:, i] = torch.round(w[:, i] / scale[:, i]).clamp(-top, top).long()
        error = (w[:, i] - codes[:, i] * scale[:, i]) / inverse[0, 0]
        w[:, i:] -= error[:, None] * inverse[0]
    return codes


# 7.11 --------------------------------------------------------------------------------------------


def rotate_with_kron(x):
    h = torch.ones(1, 1)
    while len(h) < x.shape[1]:
        h = torch.kron(torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / 2**0.5, h)
    return x @ h


def rotate_by_butterflies(x):
    x, step = x.clone().double(), 1
    while step < x.shape[1]:
        pairs = x.unflatten(1, (-1, 2, step))
        a, b = pairs[:, :, 0], pairs[:, :, 1]
        x = torch.stack([a + b, a - b], dim=2).flatten(1)
        step *= 2
    return x / math.sqrt(x.shape[1])


def rotate_one_half_at_a_time(x):
    half = x.shape[1] // 2
    if half == 0:
        return x.numpy()
    a, b = x[:, :half], x[:, half:]
    parts = rotate_one_half_at_a_time(a + b), rotate_one_half_at_a_time(a - b)
    return np.concatenate(parts, axis=1) / np.sqrt(2)


def rotate_by_counting_bits(x):
    n = x.shape[1]
    signs = [[(-1.0) ** (i & j).bit_count() for j in range(n)] for i in range(n)]
    return x @ torch.tensor(signs) * n**-0.5


# 7.12 --------------------------------------------------------------------------------------------


def cache_with_transposes(keys, values, bits):
    def by_row(x):
        scale = x.abs().max(1, keepdim=True).values / (2 ** (bits - 1) - 1)
        return (x / scale).round() * scale

    codes = keys.numel() + values.numel()
    return by_row(keys.T).T, by_row(values), (codes * bits + 16 * sum(keys.shape)) / 8


def cache_in_numpy(keys, values, bits):
    top, found = 2 ** (bits - 1) - 1, []
    for x, axis in ((keys.numpy(), 0), (values.numpy(), 1)):
        scale = np.abs(x).max(axis, keepdims=True) / top
        found.append(np.rint(x / scale) * scale)
    tokens, width = keys.shape
    return *found, tokens * width * bits / 4 + 2 * (width + tokens)


def cache_in_loops(keys, values, bits):
    top, k, v = 2 ** (bits - 1) - 1, keys.clone(), values.clone()
    scales = 0
    for rows in [*k.T, *v]:
        scale = rows.abs().max() / top
        rows.copy_(torch.round(rows / scale) * scale)
        scales += 1
    return [k, v, (bits * (k.numel() + v.numel()) + 16 * scales) / 8]


# 7.13 --------------------------------------------------------------------------------------------


def seconds_with_if(tokens, weights, bits, bandwidth, throughput):
    reading, multiplying = weights * bits / (8 * bandwidth), 2 * tokens * weights / throughput
    return reading if reading > multiplying else multiplying


def seconds_with_numpy(tokens, weights, bits, bandwidth, throughput):
    return np.maximum(weights * (bits / 8) / bandwidth, tokens * weights / (throughput / 2))


def seconds_as_a_tensor(tokens, weights, bits, bandwidth, throughput):
    both = torch.tensor([bits / 8 / bandwidth, 2 * tokens / throughput], dtype=torch.float64)
    return weights * both.max()


RIGHT_ANSWERS = {
    "7.1": [perplexity_by_cross_entropy, perplexity_in_numpy, perplexity_in_a_loop],
    "7.2": [maxima_with_max, maxima_in_numpy, maxima_as_norms, maxima_as_lists],
    "7.3": [tokens_with_keepdim, tokens_in_numpy, tokens_in_a_loop, tokens_by_the_reciprocal],
    "7.4": [split_with_integers, split_with_zeros, split_in_numpy],
    "7.5": [smooth_with_masks, smooth_by_logarithms, smooth_in_a_loop],
    "7.6": [groups_by_unflatten, groups_as_rows, groups_in_numpy],
    "7.7": [awq_with_scaled_inputs, awq_with_centred_scales, awq_by_the_hessian],
    "7.8": [correct_by_solving, correct_with_a_unit_vector, correct_in_numpy],
    "7.9": [factor_by_cholesky_inverse, factor_in_numpy, factor_from_the_back],
    "7.10": [
        gptq_to_the_end_of_the_row,
        gptq_row_by_row,
        gptq_in_blocks,
        gptq_with_an_inverse_for_each_column,
    ],
    "7.11": [
        rotate_with_kron,
        rotate_by_butterflies,
        rotate_one_half_at_a_time,
        rotate_by_counting_bits,
    ],
    "7.12": [cache_with_transposes, cache_in_numpy, cache_in_loops],
    "7.13": [seconds_with_if, seconds_with_numpy, seconds_as_a_tensor],
}
