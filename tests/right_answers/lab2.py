"""Right answers to lab 2 in other styles than the reference's: the checks must accept them all."""

import collections
import fractions
import functools
import itertools
import math

import numpy as np
import torch
from torch import nn

# 2.1 ---------------------------------------------------------------------------------------------


def extremes_of_all_at_once(batches):
    values = torch.cat([torch.zeros(1), *(x.flatten() for x in batches)])
    return values.aminmax()


def extremes_in_numpy(batches):
    ends = np.array([[0.0, 0.0]] + [[x.numpy().min(), x.numpy().max()] for x in batches])
    return ends[:, 0].min(), ends[:, 1].max()


def extremes_value_by_value(batches):
    low = high = 0
    for x in batches:
        for v in x.flatten().tolist():
            low, high = (v if v < low else low), (v if v > high else high)
    return [low, high]


def extremes_by_reduce(batches):
    seen = functools.reduce(
        lambda r, x: (torch.minimum(r[0], x.min()), torch.maximum(r[1], x.max())),
        batches,
        (torch.tensor(math.inf), torch.tensor(-math.inf)),
    )
    return seen[0].clamp(max=0), seen[1].clamp(min=0)


def extremes_by_sorting(batches):
    ends = sorted(float(x) for batch in batches for x in batch.aminmax())
    return min(0, ends[0]), max(0, ends[-1])


# 2.2 ---------------------------------------------------------------------------------------------


def average_with_none(batches, momentum):
    low = high = None
    for x in batches:
        a, b = x.min().item(), x.max().item()
        low = a if low is None else momentum * low + (1 - momentum) * a
        high = b if high is None else momentum * high + (1 - momentum) * b
    return low, high


def average_by_steps(batches, momentum):
    r = torch.stack(batches[0].aminmax())
    for x in batches:  # the first once more changes nothing
        r = r + (1 - momentum) * (torch.stack(x.aminmax()) - r)
    return r[0], r[1]


def average_by_weights(batches, momentum):
    n = len(batches)
    weights = np.array([(1 - momentum) * momentum ** (n - 1 - i) for i in range(n)])
    weights[0] = momentum ** (n - 1)
    ends = np.array([[x.min(), x.max()] for x in batches], dtype=np.float64)
    return tuple(weights @ ends)


def average_by_lerp(batches, momentum):
    low, high = batches[0].min(), batches[0].max()
    for x in batches[1:]:
        low, high = torch.lerp(x.min(), low, momentum), torch.lerp(x.max(), high, momentum)
    return low, high


def average_with_lerp(batches, momentum):
    ends = torch.stack(batches[0].aminmax())
    for x in batches[1:]:
        ends = torch.stack(x.aminmax()).lerp(ends, momentum)
    return tuple(ends)


def average_by_recursion(batches, momentum):
    *before, last = batches
    if not before:
        return last.min(), last.max()
    low, high = average_by_recursion(before, momentum)
    return low + (1 - momentum) * (last.min() - low), high + (1 - momentum) * (last.max() - high)


# 2.3 ---------------------------------------------------------------------------------------------


def buckets_in_numpy(batches, bits):
    counts = np.zeros(2**bits, dtype=np.int64)
    for x in batches:
        pattern = np.ascontiguousarray(x.numpy()).view(np.uint32) >> (32 - bits)
        np.add.at(counts, pattern.ravel(), 1)
    return counts


def buckets_all_at_once(batches, bits):
    values = torch.cat([x.flatten() for x in batches])
    shifted = values.view(torch.int32) >> (32 - bits)
    wrapped = torch.where(shifted < 0, shifted + 2**bits, shifted)
    return wrapped.bincount(minlength=2**bits).to(torch.int32)


def buckets_one_by_one(batches, bits):
    counts = [0] * 2**bits
    for x in batches:
        for pattern in x.view(torch.int32).flatten().tolist():
            counts[(pattern & 0xFFFFFFFF) >> (32 - bits)] += 1
    return torch.tensor(counts)


def buckets_by_unique(batches, bits):
    counts = torch.zeros(1 << bits, dtype=torch.long)
    for x in batches:
        found, times = (
            (x.view(torch.int32) >> 32 - bits).remainder(1 << bits).unique(return_counts=True)
        )
        counts[found.long()] += times
    return counts


def buckets_by_magnitude_and_sign(batches, bits):
    counts = torch.zeros(2**bits, dtype=torch.int64)
    for x in batches:
        sign = torch.signbit(x).long().flatten() << (bits - 1)
        bucket = (x.abs().view(torch.int32) >> (32 - bits)).flatten().long() + sign
        counts.scatter_add_(0, bucket, torch.ones_like(bucket))
    return counts


def buckets_as_text(batches, bits):
    found = collections.Counter(
        format(int(v), "032b")[:bits] for x in batches for v in x.numpy().ravel().view(np.uint32)
    )
    return np.array([found[format(bucket, f"0{bits}b")] for bucket in range(2**bits)])


# 2.4 ---------------------------------------------------------------------------------------------


def percentile_value_by_value(values, counts, percent):
    total, seen = int(counts.sum()), 0
    for v, n in zip(values.tolist(), counts.tolist(), strict=True):
        seen += n
        if 100 * seen >= percent * total:
            return v
    return values[-1]


def percentile_in_numpy(values, counts, percent):
    up_to = np.cumsum(counts.numpy())
    return values.numpy()[np.searchsorted(up_to, percent / 100 * up_to[-1])]


def percentile_by_rank(values, counts, percent):
    everything = values.repeat_interleave(counts)
    return everything[math.ceil(percent / 100 * len(everything)) - 1]


def percentile_by_what_lies_above(values, counts, percent):
    above = counts.sum() - counts.cumsum(0)
    inside = (above / counts.sum() <= 1 - percent / 100 + 1e-7).nonzero()
    return values[inside[0]]


def percentile_by_argmax(values, counts, percent):
    return values[(counts.cumsum(0) >= counts.sum() * percent / 100).int().argmax()].item()


def percentile_by_exact_shares(values, counts, percent):
    shares = (counts.double() / counts.sum()).cumsum(0)
    return values[torch.searchsorted(shares, percent / 100)]


def percentile_inverted_cdf(values, counts, percent):
    everything = np.repeat(values.numpy(), counts.numpy())
    return np.percentile(everything, percent, method="inverted_cdf")


def percentile_by_kth_value(values, counts, percent):
    everything = torch.repeat_interleave(values, counts)
    return everything.kthvalue(max(1, math.ceil(len(everything) * percent / 100))).values


def percentile_in_fractions(values, counts, percent):
    total = sum(counts.tolist())
    for v, seen in zip(values, itertools.accumulate(counts.tolist()), strict=True):
        if fractions.Fraction(seen, total) >= fractions.Fraction(str(percent)) / 100:
            return v


# 2.5 ---------------------------------------------------------------------------------------------


def mse_one_threshold_at_a_time(values, counts, thresholds, bits):
    top = 2 ** (bits - 1) - 1
    errors = []
    for t in thresholds:
        back = torch.round(values.clamp(-t, t) / t * top) / top * t
        errors.append(((values - back).square() * counts).sum() / counts.sum())
    return torch.stack(errors)


def mse_in_numpy(values, counts, thresholds, bits):
    x, top = values.numpy().astype(np.float64), (1 << bits - 1) - 1
    scale = thresholds.numpy().astype(np.float64)[:, None] / top
    back = np.clip(np.rint(x / scale), -top, top) * scale
    return np.average((x - back) ** 2, axis=1, weights=np.tile(counts.numpy(), (len(scale), 1)))


def mse_value_by_value(values, counts, thresholds, bits):
    top, result = 2 ** (bits - 1) - 1, []
    for t in thresholds.tolist():
        total = 0.0
        for v, n in zip(values.tolist(), counts.tolist(), strict=True):
            code = min(max(math.floor(v * top / t + 0.5), -top), top)
            total += n * (v - code * t / top) ** 2
        result.append(total / int(counts.sum()))
    return torch.tensor(result)


def mse_of_repeated_values(values, counts, thresholds, bits):
    x, top = values.repeat_interleave(counts), 2 ** (bits - 1) - 1
    steps = thresholds.div(top).tolist()
    codes = [torch.clamp(torch.round(x / s), -top, top) for s in steps]
    return torch.tensor([nn.functional.mse_loss(q * s, x) for q, s in zip(codes, steps)])  # noqa: B905


def mse_by_torch(values, counts, thresholds, bits):
    top, weights = 2 ** (bits - 1) - 1, counts / counts.sum()
    backs = [
        torch.fake_quantize_per_tensor_affine(values, t / top, 0, -top, top)
        for t in thresholds.tolist()
    ]
    return torch.stack([weights @ (values - back) ** 2 for back in backs])


def mse_in_place_on_copies(values, counts, thresholds, bits):
    top, errors = 2 ** (bits - 1) - 1, torch.zeros(len(thresholds), dtype=torch.float64)
    for i, t in enumerate(thresholds.double()):
        back = values.double().clone()
        back.mul_(top / t).add_(0.5).floor_().clamp_(-top, top).mul_(t / top)
        errors[i] = back.sub_(values).pow_(2).mul_(counts).sum() / counts.sum()
    return errors


# 2.6 ---------------------------------------------------------------------------------------------


def divergence_in_a_loop(p_counts, q_counts):
    total_p, total_q, result = float(p_counts.sum()), float(q_counts.sum()), 0.0
    for a, b in zip(p_counts.tolist(), q_counts.tolist(), strict=True):
        if a and not b:
            return math.inf
        if a:
            result += a / total_p * (math.log(a / total_p) - math.log(b / total_q))
    return result


def divergence_by_xlogy(p_counts, q_counts):
    p, q = p_counts / p_counts.sum(), q_counts / q_counts.sum()
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()


def divergence_by_torch(p_counts, q_counts):
    p, q = p_counts / p_counts.sum(), q_counts / q_counts.sum()
    # Where both are empty kl_div would give nan.
    log_q = torch.where(p > 0, q.log(), torch.zeros(()))
    return nn.functional.kl_div(log_q, p, reduction="sum")


def divergence_in_numpy(p_counts, q_counts):
    p, q = (c.numpy() / c.numpy().sum() for c in (p_counts, q_counts))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p > 0, p * np.log(p / q), 0).sum()


def divergence_by_nansum(p_counts, q_counts):
    p, q = p_counts / p_counts.sum(), q_counts / q_counts.sum()
    return torch.nansum(p * torch.log(p / q)).item()


def divergence_of_distributions(p_counts, q_counts):
    p, q = (
        torch.distributions.Categorical(probs=c.double(), validate_args=False)
        for c in (p_counts, q_counts)
    )
    return torch.distributions.kl_divergence(p, q)


# 2.7 ---------------------------------------------------------------------------------------------


def merge_by_boundaries(counts, levels):
    n = len(counts)
    spread = np.zeros(n)
    for k in range(levels):
        run = slice(math.ceil(k * n / levels), math.ceil((k + 1) * n / levels))
        part = counts[run].numpy()
        if part.any():
            spread[run] = np.where(part > 0, part.sum() / np.count_nonzero(part), 0)
    return spread


def merge_with_a_matrix(counts, levels):
    n = len(counts)
    member = torch.zeros(levels, n)
    member[[k * levels // n for k in range(n)], range(n)] = 1
    filled = (counts > 0).float()
    mean = (member @ counts) / (member @ filled).clamp(min=1)
    return (mean @ member) * filled


def merge_with_lists(counts, levels):
    values = counts.tolist()
    level = [k * levels // len(values) for k in range(len(values))]
    spread = []
    for k, v in enumerate(values):
        mates = [w for w, other in zip(values, level, strict=True) if other == level[k] and w > 0]
        spread.append(sum(mates) / len(mates) if v > 0 else 0.0)
    return torch.tensor(spread)


def merge_with_bincount(counts, levels):
    where = counts.nonzero().flatten()
    level = where * levels // counts.numel()
    total = torch.bincount(level, weights=counts[where].double(), minlength=levels)
    size = torch.bincount(level, minlength=levels)
    spread = torch.zeros(counts.numel(), dtype=torch.float64)
    spread[where] = (total / size)[level]
    return spread


def merge_in_place_on_a_copy(counts, levels):
    spread, n = counts.double().clone(), len(counts)
    edges = [-(-level * n // levels) for level in range(levels + 1)]
    for start, end in itertools.pairwise(edges):
        part = spread[start:end]
        part[part > 0] = part[part > 0].mean()
    return spread


# 2.8 ---------------------------------------------------------------------------------------------


def curve_in_numpy(counts, levels):
    h, curve = counts.numpy().astype(np.float64), []
    for kept in range(levels, len(h) + 1):
        p = np.append(h[: kept - 1], h[kept - 1 :].sum())
        q = merge_by_boundaries(torch.from_numpy(h[:kept]), levels)
        p, q = p / p.sum(), q / q.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            curve.append(np.where(p > 0, p * np.log(p / q), 0).sum())
    return np.array(curve)


def curve_by_concatenating(counts, levels):
    curve = []
    for kept in range(levels, counts.numel() + 1):
        p = torch.cat([counts[: kept - 1], counts[kept - 1 :].sum().reshape(1)])
        curve.append(divergence_by_xlogy(p, merge_with_bincount(counts[:kept], levels)))
    return torch.stack(curve)


def curve_in_lists(counts, levels):
    values = counts.tolist()
    return torch.tensor(
        [
            divergence_in_a_loop(
                torch.tensor([*values[: i - 1], sum(values[i - 1 :])]),
                merge_with_lists(torch.tensor(values[:i]), levels),
            )
            for i in range(levels, len(values) + 1)
        ]
    )


# 2.9 ---------------------------------------------------------------------------------------------


def schemes_in_numpy(x, bits):
    v = x.numpy().astype(np.float64)

    def sqnr(back):
        return 10 * np.log10((v**2).sum() / ((v - back) ** 2).sum())

    step = np.abs(v).max() / (2 ** (bits - 1) - 1)
    low, high = np.minimum(v.min(), 0), np.maximum(v.max(), 0)
    scale = (high - low) / (2**bits - 1)
    zero = np.rint(-low / scale)
    q = np.clip(np.rint(v / scale + zero), 0, 2**bits - 1)
    return sqnr(np.rint(v / step) * step), sqnr((q - zero) * scale)


def schemes_in_float32(x, bits):
    top, steps = 2 ** (bits - 1) - 1, 2**bits - 1
    s = x.abs().max() / top
    symmetric = (x / s).round().clamp(-top, top) * s
    rmin, rmax = x.min().clamp(max=0), x.max().clamp(min=0)
    a = (rmax - rmin) / steps
    zero = (-rmin / a).round()
    affine = ((x / a).round().add(zero).clamp(0, steps) - zero) * a
    signal = x.square().mean()
    return [10 * (signal / (x - back).square().mean()).log10() for back in (symmetric, affine)]


def schemes_with_signed_codes(x, bits):
    half = 2 ** (bits - 1)
    low, high = min(0.0, x.min().item()), max(0.0, x.max().item())
    scale = (high - low) / (2 * half - 1)
    zero = round(-half - low / scale)
    codes = torch.clamp(torch.round(x / scale) + zero, -half, half - 1)
    step = x.abs().max().item() / (half - 1)
    backs = (torch.round(x / step) * step, (codes - zero) * scale)
    norms = [float(x.norm() / (x - back).norm()) for back in backs]
    return tuple(20 * math.log10(ratio) for ratio in norms)


def schemes_by_torch(x, bits):
    top = 2 ** (bits - 1) - 1
    step = float(x.abs().max()) / top
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    scale = (high - low) / (2**bits - 1)
    backs = (
        torch.fake_quantize_per_tensor_affine(x, step, 0, -top, top),
        torch.fake_quantize_per_tensor_affine(x, scale, round(-low / scale), 0, 2**bits - 1),
    )
    power = x.pow(2).mean()
    return tuple(10 * torch.log10(power / (x - b).pow(2).mean()).item() for b in backs)


def schemes_value_by_value(x, bits):
    values, top, steps = x.flatten().tolist(), 2 ** (bits - 1) - 1, 2**bits - 1
    step = max(map(abs, values)) / top
    low, high = min(0, *values), max(0, *values)
    scale = (high - low) / steps
    zero = math.floor(-low / scale + 0.5)
    power = sum(v * v for v in values)
    one = sum((v - round(v / step) * step) ** 2 for v in values)
    codes = [min(max(round(v / scale + zero), 0), steps) for v in values]
    other = sum((v - (q - zero) * scale) ** 2 for v, q in zip(values, codes, strict=True))
    return 10 * math.log10(power / one), 10 * math.log10(power / other)


# 2.10 --------------------------------------------------------------------------------------------


def chain(weights):
    model = nn.Sequential()
    for w in weights:
        layer = nn.Linear(w.shape[1], w.shape[0], bias=False)
        layer.weight.data = w
        model.extend([layer, nn.ReLU(inplace=True)])
    return model


def watch_with_a_dictionary(weights, batches):
    model, ranges = chain(weights), {}

    def hook(layer, inputs, output):
        low, high = ranges.get(layer, (math.inf, -math.inf))
        ranges[layer] = min(low, output.min().item()), max(high, output.max().item())

    handles = [layer.register_forward_hook(hook) for layer in model]
    for x in batches:
        model(x)
    for handle in handles:
        handle.remove()
    return torch.tensor([ranges[layer] for layer in model])


def watch_without_hooks(weights, batches):
    ranges = None
    with torch.no_grad():
        for x in batches:
            rows = []
            for layer in chain(weights):
                x = layer(x)
                rows.append([x.min().item(), x.max().item()])
            new = np.array(rows)
            if ranges is None:
                ranges = new
            ranges = np.stack(
                [np.minimum(ranges[:, 0], new[:, 0]), np.maximum(ranges[:, 1], new[:, 1])], axis=1
            )
    return ranges


def watch_and_keep_copies(weights, batches):
    model = chain(weights)
    kept = [[] for _ in model]
    for layer, outputs in zip(model, kept, strict=True):
        layer.register_forward_hook(lambda m, i, y, outputs=outputs: outputs.append(y.clone()))
    model(torch.cat(batches))
    return torch.stack([torch.stack(torch.cat(outputs).aminmax()) for outputs in kept])


def watch_by_matrix_products(weights, batches):
    x, rows = torch.cat(batches), []
    for w in weights:
        x = torch.einsum("ni,oi->no", x, w)
        rows.append(torch.stack([x.amin(), x.amax()]))
        x = torch.maximum(x, torch.zeros(()))
        rows.append(torch.stack([x.amin(), x.amax()]))
    return torch.stack(rows)


def watch_in_inference_mode(weights, batches):
    model = chain(weights)
    ranges = torch.full((len(model), 2), torch.nan)

    def watch(layer, inputs, output, row):
        low, high = output.aminmax()
        ranges[row] = torch.stack(
            [torch.fmin(ranges[row, 0], low), torch.fmax(ranges[row, 1], high)]
        )

    for row, layer in enumerate(model):
        layer.register_forward_hook(functools.partial(watch, row=row))
    with torch.inference_mode():
        for x in batches:
            model(x)
    return ranges


# 2.11 --------------------------------------------------------------------------------------------


def percentile_test_with_asserts(percentile_threshold):
    values, counts = torch.tensor([0.0, 1.0, 5.0, 90.0]), torch.tensor([50, 30, 15, 5])
    for percent, value in (
        (1, 0),
        (49.5, 0),
        (50.5, 1),
        (79.5, 1),
        (80.5, 5),
        (94.5, 5),
        (95.5, 90),
    ):
        assert percentile_threshold(values, counts, percent) == value
    large = torch.tensor([2**24, *[1] * 40])
    assert percentile_threshold(torch.arange(41.0), large, 100 - 1e3 / 2**24) == 30


def percentile_test_by_sorting(percentile_threshold):
    values = torch.tensor([0.0, 0.25, 0.75, 2.0, 9.0])
    for counts in (torch.tensor([30, 1, 40, 20, 9]), torch.tensor([1, 2, 3, 4, 7])):
        everything = sorted(torch.repeat_interleave(values, counts).tolist())
        for percent in (3.3, 17.7, 29.9, 31.5, 44.4, 59.2, 88.8, 91.3, 99.9, 100):
            place = math.ceil(percent / 100 * len(everything)) - 1
            if abs(float(percentile_threshold(values, counts, percent)) - everything[place]) > 1e-6:
                return False
    return True


def percentile_test_by_properties(percentile_threshold):
    values = torch.tensor([0.0, 0.75, 2.25, 3.5])
    for counts in (torch.tensor([2**24, 1, 3, 5]), torch.tensor([7, 9, 30, 1])):
        for percent in (0.00003, 10.5, 33.3, 66.6, 97.1, 99.5):
            found = float(percentile_threshold(values, counts, percent))
            needed = percent / 100 * int(counts.sum())
            if not (
                int(counts[values <= found].sum()) >= needed > int(counts[values < found].sum())
            ):
                return False
            if found not in values.tolist():
                return False
    return 1


# 2.12 --------------------------------------------------------------------------------------------


def threshold_slip_by_steps(values, counts, percent, threshold):
    threshold = float(threshold)
    share = 100 * counts.double().cumsum(0) / counts.sum()
    place = int((share < percent).sum())
    if threshold == place:
        return "place, not value"
    if not bool((values.double() - threshold).abs().min() < 1e-6):
        return "share of the largest"
    found = int((values.double() - threshold).abs().argmin())
    if found == place:
        return "right"
    if found == int((share < 100 - percent).sum()):
        return "small end clipped"
    return "one value too far" if found == place + 1 else "counts ignored"


def threshold_slip_in_numpy(values, counts, percent, threshold):
    v, c = values.numpy(), counts.numpy()

    def at(weights, p):
        return int(np.searchsorted(np.cumsum(weights), p / 100 * weights.sum()))

    right = at(c, percent)
    names = {
        "right": v[right],
        "counts ignored": v[at(np.ones(len(c)), percent)],
        "share of the largest": v[-1] * percent / 100,
        "small end clipped": v[at(c, 100 - percent)],
        "one value too far": v[min(right + 1, len(v) - 1)],
        "place, not value": right,
    }
    return next(n for n, value in names.items() if math.isclose(value, threshold, rel_tol=1e-5))


def threshold_slip_by_sorting(values, counts, percent, threshold):
    def at(everything, p):
        return everything[max(math.ceil(p / 100 * len(everything)) - 1, 0)]

    weighted, v = torch.repeat_interleave(values, counts).tolist(), values.tolist()
    right = at(weighted, percent)
    tries = {"right": right, "counts ignored": at(v, percent)}
    tries |= {"share of the largest": v[-1] * percent / 100}
    tries |= {"small end clipped": at(weighted, 100 - percent)}
    tries |= {"one value too far": v[min(v.index(right) + 1, len(v) - 1)]}
    tries |= {"place, not value": v.index(right)}
    return sorted(tries, key=lambda name: abs(tries[name] - float(threshold)))[0]


# 2.13 --------------------------------------------------------------------------------------------


def shares_in_numpy(ranges, outputs):
    shares = []
    for (low, high), y in zip(ranges.numpy(), outputs, strict=True):
        shares.append(np.mean((y.numpy() < low) | (y.numpy() > high)))
    return np.array(shares)


def shares_by_clamping(ranges, outputs):
    shares = torch.zeros(len(outputs))
    for i, y in enumerate(outputs):
        low, high = ranges[i].tolist()
        shares[i] = (y.clamp(low, high) != y).sum() / y.numel()
    return shares


def shares_value_by_value(ranges, outputs):
    shares = []
    for (low, high), y in zip(ranges.tolist(), outputs, strict=True):
        values = y.flatten().tolist()
        shares.append(sum(not low <= v <= high for v in values) / len(values))
    return torch.tensor(shares)


# 2.14 --------------------------------------------------------------------------------------------


def comparison_review_with_patterns(script):
    import re

    text = "\n".join(script)
    patterns = {
        "test images seen": r"^pool = test_pixels$",
        "not normalized": r"^pool = pool\.\w+\(\)$",
        "other images for each method": r"^ {8}chosen = ",
        "too few draws": r"range\([0-4]\):",
        "tuned on the test images": r"best_percent\(.test.\)",
        "tie called a win": r"> 0 else",
    }
    return [name for name, pattern in patterns.items() if re.search(pattern, text, re.M)]


def comparison_review_line_by_line(script):
    errors, normalized, inside = set(), False, False
    for line in script:
        words = line.split()
        inside = inside or words[:2] == ["for", "method"]
        if words[0] == "pool":
            normalized |= "normalize(pool)" in words or "STD" in words
            if words[-1] == "test_pixels":
                errors.add("test images seen")
        if words[0] == "chosen" and inside:
            errors.add("other images for each method")
        if words[:2] == ["for", "draw"] and len(eval(words[-1][:-1])) < 5:
            errors.add("too few draws")
        if words[0] == "percent" and "test" in words[-1]:
            errors.add("tuned on the test images")
        if words[0] == "verdict" and "error" not in words:
            errors.add("tie called a win")
    return list(errors if normalized else errors | {"not normalized"})


def comparison_review_by_places(script):
    loop = next(i for i, line in enumerate(script) if "for method" in line)
    draws = next(line for line in script if "for draw" in line)
    found = ["test images seen"] if script[0].endswith("= test_pixels") else []
    found += ["not normalized"] if script[1].endswith("pool.float()") else []
    found += ["not normalized"] if script[1].endswith("pool.clone()") else []
    found += ["other images for each method"] if script[loop + 1].count("chosen = ") else []
    found += ["too few draws"] if int(draws[len("for draw in range(") : -2]) <= 4 else []
    found += ["tuned on the test images"] if 'best_percent("test")' in " ".join(script) else []
    return tuple(found + ([] if "error" in script[-2] else ["tie called a win"]))


RIGHT_ANSWERS = {
    "2.1": [
        extremes_of_all_at_once,
        extremes_in_numpy,
        extremes_value_by_value,
        extremes_by_reduce,
        extremes_by_sorting,
    ],
    "2.2": [
        average_with_none,
        average_by_steps,
        average_by_weights,
        average_by_lerp,
        average_with_lerp,
        average_by_recursion,
    ],
    "2.3": [
        buckets_in_numpy,
        buckets_all_at_once,
        buckets_one_by_one,
        buckets_by_unique,
        buckets_by_magnitude_and_sign,
        buckets_as_text,
    ],
    "2.4": [
        percentile_value_by_value,
        percentile_in_numpy,
        percentile_by_rank,
        percentile_by_what_lies_above,
        percentile_by_argmax,
        percentile_by_exact_shares,
        percentile_inverted_cdf,
        percentile_by_kth_value,
        percentile_in_fractions,
    ],
    "2.5": [
        mse_one_threshold_at_a_time,
        mse_in_numpy,
        mse_value_by_value,
        mse_of_repeated_values,
        mse_by_torch,
        mse_in_place_on_copies,
    ],
    "2.6": [
        divergence_in_a_loop,
        divergence_by_xlogy,
        divergence_by_torch,
        divergence_in_numpy,
        divergence_by_nansum,
        divergence_of_distributions,
    ],
    "2.7": [
        merge_by_boundaries,
        merge_with_a_matrix,
        merge_with_lists,
        merge_with_bincount,
        merge_in_place_on_a_copy,
    ],
    "2.8": [curve_in_numpy, curve_by_concatenating, curve_in_lists],
    "2.9": [
        schemes_in_numpy,
        schemes_in_float32,
        schemes_with_signed_codes,
        schemes_by_torch,
        schemes_value_by_value,
    ],
    "2.10": [
        watch_with_a_dictionary,
        watch_without_hooks,
        watch_and_keep_copies,
        watch_by_matrix_products,
        watch_in_inference_mode,
    ],
    "2.11": [
        percentile_test_with_asserts,
        percentile_test_by_sorting,
        percentile_test_by_properties,
    ],
    "2.12": [threshold_slip_by_steps, threshold_slip_in_numpy, threshold_slip_by_sorting],
    "2.13": [shares_in_numpy, shares_by_clamping, shares_value_by_value],
    "2.14": [
        comparison_review_with_patterns,
        comparison_review_line_by_line,
        comparison_review_by_places,
    ],
}
