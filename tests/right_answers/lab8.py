"""Right answers to lab 8 in other styles than the reference's: the checks must accept them all."""

import itertools
import math

import numpy as np
import torch

# 8.1 ---------------------------------------------------------------------------------------------


def door_in_float32(mean, std, scale, zero_point):
    mean, std = torch.tensor(mean)[:, None], torch.tensor(std)[:, None]
    x = (torch.arange(256) / 255 - mean) / std
    return (torch.round(x / scale) + zero_point).clamp(0, 255).to(torch.uint8)


def door_in_numpy(mean, std, scale, zero_point):
    x = (np.arange(256) / 255 - np.array(mean)[:, None]) / np.array(std)[:, None]
    return np.clip(np.rint(x / scale + zero_point), 0, 255).astype(np.uint8)


def door_in_a_loop(mean, std, scale, zero_point):
    table = torch.zeros(len(mean), 256, dtype=torch.uint8)
    for c, (m, s) in enumerate(zip(mean, std, strict=True)):
        for byte in range(256):
            q = round((byte / 255 - m) / s / scale) + zero_point
            table[c, byte] = min(max(q, 0), 255)
    return table


def door_row_by_row(mean, std, scale, zero_point):
    pixels = torch.linspace(0, 1, 256, dtype=torch.float64)
    rows = [(pixels - m) / (s * scale) + zero_point for m, s in zip(mean, std, strict=True)]
    return torch.stack(rows).round().clamp(0, 255).byte()


# 8.2 ---------------------------------------------------------------------------------------------


def way_out_in_numpy(codes, k):
    wide = codes.numpy().astype(int)
    order = np.argsort(-wide, kind="stable")
    return order[:k], wide[order[0]] - wide[order[1]]


def way_out_sorted(codes, k):
    pairs = sorted((-code, i) for i, code in enumerate(codes.tolist()))
    return torch.tensor([i for _, i in pairs[:k]]), pairs[1][0] - pairs[0][0]


def way_out_one_by_one(codes, k):
    left, order = codes.tolist(), []
    margin = sorted(left)[-1] - sorted(left)[-2]
    for _ in range(k):
        best = left.index(max(left))
        order.append(best)
        left[best] = -1000
    return torch.tensor(order), margin


# 8.3 ---------------------------------------------------------------------------------------------


def silu_by_torch(x_scale, x_zero_point, y_scale, y_zero_point):
    x = (torch.arange(-128, 128) - x_zero_point) * x_scale
    y = torch.nn.functional.silu(x)
    return (torch.round(y / y_scale) + y_zero_point).clamp(-128, 127).to(torch.int8)


def silu_in_numpy(x_scale, x_zero_point, y_scale, y_zero_point):
    x = (np.arange(-128, 128) - x_zero_point) * x_scale
    return np.clip(np.rint(x / (1 + np.exp(-x)) / y_scale) + y_zero_point, -128, 127).astype("i1")


def silu_in_a_loop(x_scale, x_zero_point, y_scale, y_zero_point):
    table = []
    for code in range(-128, 128):
        x = (code - x_zero_point) * x_scale
        y = x / (1 + math.exp(-x))
        table.append(max(-128, min(127, y_zero_point + round(y / y_scale))))
    return torch.tensor(table, dtype=torch.int8)


# 8.4 ---------------------------------------------------------------------------------------------


def shifts_by_signs(x, shift):
    x = x.long()
    quotient = x.sign() * (x.abs() >> shift)
    return quotient, x >> shift, (x + 2**shift // 2) >> shift


def shifts_in_numpy(x, shift):
    x = x.numpy().astype(np.int64)
    quotient = np.fix(x / 2.0**shift).astype(np.int64)
    return quotient, np.floor_divide(x, 2**shift), np.floor(x / 2**shift + 0.5).astype(int)


def shifts_in_a_loop(x, shift):
    numbers = x.tolist()
    quotient = [int(n / 2**shift) for n in numbers]
    shifted = [n // 2**shift for n in numbers]
    rounded = [(2 * n + 2**shift) // (2 * 2**shift) for n in numbers]
    return torch.tensor(quotient), torch.tensor(shifted), torch.tensor(rounded)


# 8.5 ---------------------------------------------------------------------------------------------


def narrow_in_numpy(x, bits):
    x, half = x.numpy().astype(np.int64), 2 ** (bits - 1)
    low_bits = x & (2 * half - 1)
    return np.clip(x, -half, half - 1), np.where(low_bits >= half, low_bits - 2 * half, low_bits)


def narrow_by_shifts(x, bits):
    x = x.long()
    low = torch.tensor(-(2 ** (bits - 1)))
    return torch.minimum(torch.maximum(x, low), -low - 1), (x << (64 - bits)) >> (64 - bits)


def narrow_in_a_loop(x, bits):
    half = 2 ** (bits - 1)
    pairs = [(min(max(n, -half), half - 1), (n + half) % (2 * half) - half) for n in x.tolist()]
    saturated, wrapped = zip(*pairs, strict=True)
    return torch.tensor(saturated), torch.tensor(wrapped)


# 8.6 ---------------------------------------------------------------------------------------------


def lives_with_max(inputs):
    first = [0] + [step for step, _ in enumerate(inputs)]
    last = [
        max([step for step, taken in enumerate(inputs) if tensor in taken], default=start)
        for tensor, start in enumerate(first)
    ]
    return torch.tensor(first), torch.tensor(last)


def lives_in_numpy(inputs):
    first = np.maximum(np.arange(len(inputs) + 1) - 1, 0)
    last = first.copy()
    for step, taken in enumerate(inputs):
        last[list(taken)] = step
    return first, last


def lives_backwards(inputs):
    steps = len(inputs)
    first = torch.arange(-1, steps).clamp(min=0)
    last = torch.full((steps + 1,), -1)
    for step in reversed(range(steps)):
        for tensor in inputs[step]:
            if last[tensor] < 0:
                last[tensor] = step
    return first, torch.where(last < 0, first, last)


# 8.7 ---------------------------------------------------------------------------------------------


def peak_as_a_matrix(sizes, first, last):
    steps = torch.arange(int(last.max()) + 1)[:, None]
    sums = (((first <= steps) & (steps <= last)) * sizes).sum(1)
    return sums.max(), sums.argmax()


def peak_by_events(sizes, first, last):
    change = np.zeros(int(last.max()) + 2, dtype=int)
    np.add.at(change, first.numpy(), sizes.numpy())
    np.add.at(change, last.numpy() + 1, -sizes.numpy())
    sums = change.cumsum()
    return int(sums.max()), int(sums.argmax())


def peak_in_a_loop(sizes, first, last):
    best = (0, 0)
    for step in range(int(last.max()) + 1):
        total = 0
        for size, start, end in zip(sizes.tolist(), first.tolist(), last.tolist(), strict=True):
            total += size if start <= step <= end else 0
        best = max(best, (total, -step))
    return best[0], -best[1]


# 8.8 ---------------------------------------------------------------------------------------------


def places_by_candidates(sizes, first, last):
    n, offsets = len(sizes), {}
    for i in sorted(range(n), key=lambda i: int(sizes[i]), reverse=True):
        others = [j for j in offsets if first[j] <= last[i] and first[i] <= last[j]]
        for offset in sorted({0} | {offsets[j] + int(sizes[j]) for j in others}):
            end = offset + int(sizes[i])
            if all(end <= offsets[j] or offsets[j] + int(sizes[j]) <= offset for j in others):
                offsets[i] = offset
                break
    return torch.tensor([offsets[i] for i in range(n)])


def places_in_numpy(sizes, first, last):
    offsets = np.full(len(sizes), -1)
    sizes, first, last = sizes.numpy(), first.numpy(), last.numpy()
    for i in np.argsort(-sizes, kind="stable"):
        meets = (offsets >= 0) & (first <= last[i]) & (first[i] <= last)
        offset = 0
        for j in sorted(np.flatnonzero(meets), key=lambda j: offsets[j]):
            if offsets[j] - offset >= sizes[i]:
                break
            offset = max(offset, offsets[j] + sizes[j])
        offsets[i] = offset
    return offsets


def places_on_a_map(sizes, first, last):
    used = torch.zeros(int(last.max()) + 1, int(sizes.sum()) + 1, dtype=torch.bool)
    offsets = torch.zeros_like(sizes)
    for i in torch.argsort(sizes, descending=True, stable=True).tolist():
        size, lives = int(sizes[i]), slice(int(first[i]), int(last[i]) + 1)
        taken = used[lives].any(0).long().cumsum(0)
        before = torch.cat([torch.zeros(1, dtype=torch.long), taken])
        free = before[size:-1] == before[: len(before) - size - 1]
        offsets[i] = int(free.long().argmax())
        used[lives, int(offsets[i]) : int(offsets[i]) + size] = True
    return offsets


# 8.9 ---------------------------------------------------------------------------------------------


def convolve_in_loops(q_x, q_w, q_bias, x_zero_point, stride, padding):
    (height, width, _), (outputs, rows, columns, _) = q_x.shape, q_w.shape
    out_height = (height + 2 * padding - rows) // stride + 1
    out_width = (width + 2 * padding - columns) // stride + 1
    acc = torch.zeros(out_height, out_width, outputs, dtype=torch.int32)
    x, w = q_x.int() - x_zero_point, q_w.int()
    for i, j, n in itertools.product(range(out_height), range(out_width), range(outputs)):
        total = int(q_bias[n])
        for r, s in itertools.product(range(rows), range(columns)):
            y, z = i * stride + r - padding, j * stride + s - padding
            if 0 <= y < height and 0 <= z < width:
                total += int((x[y, z] * w[n, r, s]).sum())
        acc[i, j, n] = total
    return acc


def convolve_in_numpy(q_x, q_w, q_bias, x_zero_point, stride, padding):
    x = np.pad(q_x.numpy().astype(np.int64) - x_zero_point, [(padding,) * 2] * 2 + [(0, 0)])
    w = q_w.numpy().astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[1:3], (0, 1))
    windows = windows[::stride, ::stride]
    return np.einsum("ijcrs,nrsc->ijn", windows, w) + q_bias.numpy()


def convolve_by_torchs_own(q_x, q_w, q_bias, x_zero_point, stride, padding):
    x = (q_x.double() - x_zero_point).permute(2, 0, 1)
    w = q_w.double().permute(0, 3, 1, 2)
    acc = torch.nn.functional.conv2d(x[None], w, q_bias.double(), stride, padding)
    return acc[0].permute(1, 2, 0).to(torch.int64)


# 8.10 --------------------------------------------------------------------------------------------


def packed_in_numpy(q_w):
    rows = np.moveaxis(q_w.numpy(), 1, -1).reshape(len(q_w), -1).view(np.uint8) & 15
    rows = np.pad(rows, [(0, 0), (0, rows.shape[1] % 2)])
    return rows[:, 0::2] + 16 * rows[:, 1::2]


def packed_in_a_loop(q_w):
    out, channels, height, width = q_w.shape
    packed = torch.zeros(out, -(-channels * height * width // 2), dtype=torch.uint8)
    for n in range(out):
        order = itertools.product(range(height), range(width), range(channels))
        for place, (r, s, c) in enumerate(order):
            field = int(q_w[n, c, r, s]) % 16
            packed[n, place // 2] += field << 4 * (place % 2)
    return packed


def packed_by_pairs(q_w):
    rows = q_w.permute(0, 2, 3, 1).reshape(q_w.shape[0], -1).remainder(16).to(torch.uint8)
    if rows.shape[1] % 2:
        rows = torch.cat([rows, rows.new_zeros(len(rows), 1)], dim=1)
    low, high = rows.reshape(len(rows), -1, 2).unbind(-1)
    return low + high * 16


# 8.11 --------------------------------------------------------------------------------------------


def time_as_a_tensor(macs, weight_bytes, cycles_per_mac, bytes_per_cycle, hertz):
    cycles = torch.tensor([macs * cycles_per_mac, weight_bytes / bytes_per_cycle]).double()
    return 1000 * cycles.max() / hertz, cycles.argmax() == 1


def time_in_seconds_first(macs, weight_bytes, cycles_per_mac, bytes_per_cycle, hertz):
    compute = macs / (hertz / cycles_per_mac)
    memory = weight_bytes / (bytes_per_cycle * hertz)
    return max(compute, memory) * 1e3, int(memory > compute)


def time_in_numpy(macs, weight_bytes, cycles_per_mac, bytes_per_cycle, hertz):
    times = np.array([macs * cycles_per_mac, weight_bytes / bytes_per_cycle]) / hertz * 1000
    return times.max(), bool(times.argmax())


RIGHT_ANSWERS = {
    "8.1": [door_in_float32, door_in_numpy, door_in_a_loop, door_row_by_row],
    "8.2": [way_out_in_numpy, way_out_sorted, way_out_one_by_one],
    "8.3": [silu_by_torch, silu_in_numpy, silu_in_a_loop],
    "8.4": [shifts_by_signs, shifts_in_numpy, shifts_in_a_loop],
    "8.5": [narrow_in_numpy, narrow_by_shifts, narrow_in_a_loop],
    "8.6": [lives_with_max, lives_in_numpy, lives_backwards],
    "8.7": [peak_as_a_matrix, peak_by_events, peak_in_a_loop],
    "8.8": [places_by_candidates, places_in_numpy, places_on_a_map],
    "8.9": [convolve_in_loops, convolve_in_numpy, convolve_by_torchs_own],
    "8.10": [packed_in_numpy, packed_in_a_loop, packed_by_pairs],
    "8.11": [time_as_a_tensor, time_in_seconds_first, time_in_numpy],
}
