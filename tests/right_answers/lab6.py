"""Right answers to lab 6 in other styles than the reference's: the checks must accept them all."""

import bisect
import heapq
import itertools
import math
from fractions import Fraction
from statistics import NormalDist

import ml_dtypes
import numpy as np
import torch

# 6.1 ---------------------------------------------------------------------------------------------


def assign_by_distance(x, levels):
    return (x.unsqueeze(-1) - levels).abs().argmin(dim=-1)


def assign_in_numpy(x, levels):
    table = levels.numpy().astype(np.float64)
    return np.searchsorted((table[1:] + table[:-1]) / 2, x.numpy().astype(np.float64), side="left")


def assign_in_a_loop(x, levels):
    middles = [(a + b) / 2 for a, b in itertools.pairwise(levels.tolist())]
    codes = [bisect.bisect_left(middles, value) for value in x.flatten().tolist()]
    return torch.tensor(codes).reshape(x.shape)


def assign_by_counting(x, levels):
    codes = torch.zeros(x.shape, dtype=torch.uint8)
    for low, high in itertools.pairwise(levels):
        codes += x > (low + high) / 2
    return codes


# 6.2 ---------------------------------------------------------------------------------------------


def step_with_sums(x, levels):
    codes = assign_by_distance(x, levels).flatten()
    sums = torch.zeros(len(levels), dtype=torch.float64).index_add(0, codes, x.flatten().double())
    counts = torch.bincount(codes, minlength=len(levels))
    return torch.where(counts > 0, sums / counts.clamp(min=1), levels)


def step_in_numpy(x, levels):
    new, codes = levels.numpy().astype(np.float64), assign_in_numpy(x, levels)
    for code in np.unique(codes):
        new[code] = x.numpy()[codes == code].mean()
    return new


def step_as_a_list(x, levels):
    clusters = [[] for _ in levels]
    codes = assign_in_a_loop(x, levels).flatten().tolist()
    for value, code in zip(x.flatten().tolist(), codes, strict=True):
        clusters[code].append(value)
    return torch.tensor(
        [
            sum(c) / len(c) if c else level
            for c, level in zip(clusters, levels.tolist(), strict=True)
        ]
    )


def step_with_one_hot(x, levels):
    member = torch.nn.functional.one_hot(
        assign_by_distance(x.flatten(), levels), len(levels)
    ).float()
    counts = member.sum(0)
    means = member.t() @ x.flatten() / counts
    means[counts == 0] = levels[counts == 0]
    return means


# 6.3 ---------------------------------------------------------------------------------------------


def error_in_numpy(x, levels):
    error = levels.numpy()[assign_in_numpy(x, levels)].astype(np.float64) - x.numpy()
    return np.mean(error**2), np.max(np.abs(error))


def error_as_the_distance_to_the_nearest(x, levels):
    distance = (x.flatten()[:, None] - levels).abs().min(dim=1).values
    return [distance.pow(2).mean(), distance.max()]


def error_by_torchs_own(x, levels):
    back = levels[assign_by_distance(x, levels)]
    return torch.nn.functional.mse_loss(back, x), torch.dist(back, x, float("inf"))


# 6.4 ---------------------------------------------------------------------------------------------


def gradient_with_bincount(dw, codes, k):
    return torch.bincount(codes.flatten(), weights=dw.flatten().double(), minlength=k)


def gradient_in_numpy(dw, codes, k):
    result = np.zeros(k)
    np.add.at(result, codes.numpy(), dw.numpy())
    return result


def gradient_by_autograd(dw, codes, k):
    levels = torch.zeros(k, requires_grad=True)
    (levels[codes] * dw).sum().backward()
    return levels.grad


def gradient_in_a_loop(dw, codes, k):
    return torch.stack([dw[codes == code].sum() for code in range(k)])


# 6.5 ---------------------------------------------------------------------------------------------


def bits_with_fractions(count, code_bits, block_size, scale_bits, table_bits):
    blocks = -(-count // block_size)
    bits = Fraction(blocks * block_size * code_bits + blocks * scale_bits + table_bits)
    return float(bits / count)


def bits_in_a_loop(count, code_bits, block_size, scale_bits, table_bits):
    bits, left = table_bits, count
    while left > 0:
        bits += block_size * code_bits + scale_bits
        left -= block_size
    return torch.tensor(bits / count)


def bits_in_numpy(count, code_bits, block_size, scale_bits, table_bits):
    filled = count + -count % block_size
    return np.float64(filled * code_bits + filled // block_size * scale_bits + table_bits) / count


# 6.6 ---------------------------------------------------------------------------------------------


def total_by_lengths(counts):
    heap = [(n, i, [i]) for i, n in enumerate(counts.tolist()) if n]
    lengths = [0] * len(counts)
    heapq.heapify(heap)
    while len(heap) > 1:
        n, i, a = heapq.heappop(heap)
        m, _, b = heapq.heappop(heap)
        for symbol in a + b:
            lengths[symbol] += 1
        heapq.heappush(heap, (n + m, i, a + b))
    return sum(n * length for n, length in zip(counts.tolist(), lengths, strict=True))


def total_with_bisect(counts):
    left, total = sorted(counts[counts > 0].tolist()), 0
    while len(left) > 1:
        merged, left = left[0] + left[1], left[2:]
        bisect.insort(left, merged)
        total += merged
    return torch.tensor(total)


def total_by_two_queues(counts):
    leaves, merged, total = sorted(n for n in counts.tolist() if n), [], 0

    def smallest():
        return (leaves if not merged or (leaves and leaves[0] <= merged[0]) else merged).pop(0)

    while len(leaves) + len(merged) > 1:
        merged.append(smallest() + smallest())
        total += merged[-1]
    return total


# 6.7 ---------------------------------------------------------------------------------------------


def levels_by_the_standard_library(bits, offset):
    quantile, n = NormalDist().inv_cdf, 2 ** (bits - 1)

    def half(number):
        return [quantile(offset - i * (offset - 0.5) / number) for i in range(number)]

    levels = [*(-v for v in half(n - 1)), 0.0, *reversed(half(n))]
    return np.array(levels) / max(levels)


def levels_by_erfinv(bits, offset):
    def quantile(p):
        return math.sqrt(2) * torch.erfinv(2 * p - 1)

    n = 2 ** (bits - 1)
    up = quantile(torch.linspace(0.5, offset, n + 1, dtype=torch.float64))
    down = -quantile(torch.linspace(0.5, offset, n, dtype=torch.float64)).flip(0)
    return torch.cat([down[:-1], up]) / up[-1]


def levels_by_icdf(bits, offset):
    normal, half = torch.distributions.Normal(0.0, 1.0), 2 ** (bits - 1)
    positive = normal.icdf(torch.linspace(offset, 0.5, half + 1))[:-1]
    negative = -normal.icdf(torch.linspace(offset, 0.5, half))[:-1]
    levels, _ = torch.sort(torch.cat([positive, torch.zeros(1), negative]))
    return levels / levels[-1]


# 6.8 ---------------------------------------------------------------------------------------------


def extreme_with_min_and_max(x):
    low, high = x.min().item(), x.max().item()
    extreme = low if -low >= high else high
    scale = -extreme / 8
    steps = np.rint(x.numpy() / scale) if scale else np.zeros(len(x))
    return scale, np.clip(steps + 8, 0, 15).astype(np.int64)


def extreme_cut_off_after_adding(x):
    extreme = max(x.tolist(), key=abs)
    inverse = -8 / extreme if extreme else 0.0
    return torch.tensor(extreme / -8), (x * inverse + 8.5).floor().clamp(max=15).byte()


def extreme_in_a_loop(x):
    scale = max(x.tolist(), key=abs) / -8
    return scale, torch.tensor([min(15, 8 + round(v / scale)) if scale else 8 for v in x.tolist()])


# 6.9 ---------------------------------------------------------------------------------------------

LEVELS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def block_with_frexp(x):
    _, exponent = math.frexp(x.abs().max().item())  # one more than floor(log2)
    scale = math.ldexp(1.0, exponent - 3)
    near = [min(LEVELS, key=lambda level: abs(level - abs(v) / scale)) for v in x.tolist()]
    return exponent - 3, torch.copysign(torch.tensor(near) * scale, x)


def block_by_ml_dtypes(x):
    exponent = int(np.floor(np.log2(np.abs(x.double().numpy()).max()))) - 2
    ratio = np.clip(x.numpy() / 2.0**exponent, -6, 6)
    ratio = np.nextafter(ratio, np.float32(0))  # halfway goes to the smaller magnitude
    return exponent, ratio.astype(ml_dtypes.float4_e2m1fn).astype(np.float32) * 2.0**exponent


def block_by_rounding_in_each_binade(x):
    exponent = torch.floor(torch.log2(x.double().abs().max())).int() - 2
    y = x.double() / torch.exp2(exponent.double())
    gap = torch.where(y.abs() < 2, 0.5, torch.where(y.abs() < 4, 1.0, 2.0))
    y = torch.nextafter(y, torch.zeros_like(y))  # halfway goes to the smaller magnitude
    return exponent, (torch.round(y / gap) * gap).clamp(-6, 6) * torch.exp2(exponent.double())


# 6.10 --------------------------------------------------------------------------------------------


def scales_by_ml_dtypes(x):
    blocks = np.abs(x.numpy().astype(np.float64)).reshape(-1, 16).max(axis=1)
    tensor_scale = blocks.max() / 2688
    scales = (blocks / (6 * tensor_scale)).astype(np.float32)
    return tensor_scale, scales.astype(ml_dtypes.float8_e4m3fn).astype(np.float32)


def scales_block_by_block(x):
    largest = [max(map(abs, block.tolist())) for block in x.split(16)]
    tensor_scale = max(largest) / 448 / 6
    ratios = torch.tensor([value / 6 / tensor_scale for value in largest])
    return tensor_scale, ratios.to(torch.float8_e4m3fn).to(torch.float64)


def scales_in_units_of_the_largest(x):
    largest = x.unfold(0, 16, 16).abs().max(dim=1).values
    scales = (448 * (largest / largest.max())).to(torch.float8_e4m3fn)
    return largest.max() / 6 / 448, scales.float()


def scales_with_the_tensors_in_float32(x):
    largest = x.reshape(-1, 16).abs().amax(1)
    tensor_scale = largest.max() / torch.tensor(2688.0)
    return tensor_scale, (largest / (6 * tensor_scale)).to(torch.float8_e4m3fn).float()


# 6.11 --------------------------------------------------------------------------------------------


def trits_by_horner(trits):
    n = torch.zeros(len(trits), dtype=torch.int64)
    for digit in trits.long().t():
        n = 3 * n + digit
    return -(-256 * n // 243)


def trits_in_numpy(trits):
    n = trits.numpy().astype(np.int64) @ np.array([81, 27, 9, 3, 1])
    return np.ceil(n * 256 / 243).astype(np.uint8)


def trits_as_text(trits):
    numbers = [int("".join(map(str, row)), 3) for row in trits.tolist()]
    return torch.tensor([math.ceil(Fraction(256 * n, 243)) for n in numbers])


RIGHT_ANSWERS = {
    "6.1": [assign_by_distance, assign_in_numpy, assign_in_a_loop, assign_by_counting],
    "6.2": [step_with_sums, step_in_numpy, step_as_a_list, step_with_one_hot],
    "6.3": [error_in_numpy, error_as_the_distance_to_the_nearest, error_by_torchs_own],
    "6.4": [gradient_with_bincount, gradient_in_numpy, gradient_by_autograd, gradient_in_a_loop],
    "6.5": [bits_with_fractions, bits_in_a_loop, bits_in_numpy],
    "6.6": [total_by_lengths, total_with_bisect, total_by_two_queues],
    "6.7": [levels_by_the_standard_library, levels_by_erfinv, levels_by_icdf],
    "6.8": [extreme_with_min_and_max, extreme_cut_off_after_adding, extreme_in_a_loop],
    "6.9": [block_with_frexp, block_by_ml_dtypes, block_by_rounding_in_each_binade],
    "6.10": [
        scales_by_ml_dtypes,
        scales_block_by_block,
        scales_in_units_of_the_largest,
        scales_with_the_tensors_in_float32,
    ],
    "6.11": [trits_by_horner, trits_in_numpy, trits_as_text],
}
