"""Right answers to lab 1 in other styles than the reference's: the checks must accept them all."""

import functools
import math

import numpy as np
import torch

# 1.1 ---------------------------------------------------------------------------------------------


def range_by_counting(bits, signed, narrow):
    codes = list(range(2**bits))
    if signed:
        codes = [code - 2 ** (bits - 1) for code in codes]
    return codes[1 if narrow else 0], codes[-1]


def range_in_numpy(b, s, n):
    info = np.int64(1) << np.int64(b - 1)
    ends = np.array([-info if s else 0, info - 1 if s else 2 * info - 1])
    return np.add(ends, [int(n), 0]).tolist()


def range_as_tensors(bits, signed=True, narrow=False):
    low = torch.tensor(-(1 << bits - 1) if signed else 0)
    return low + narrow, low + (1 << bits) - 1


# 1.2 ---------------------------------------------------------------------------------------------


def scale_as_tensors(rmin, rmax, qmin, qmax):
    ends = torch.tensor([rmin, 0.0, rmax], dtype=torch.float64)
    scale = (ends.max() - ends.min()) / (qmax - qmin)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return scale, torch.round(qmin - ends.min() / scale).clamp(qmin, qmax).int()


def scale_from_the_other_end(rmin, rmax, qmin, qmax):
    rmin, rmax = min(0, rmin), max(0, rmax)
    if rmin == rmax:
        return 1, qmin
    scale = (rmax - rmin) / (qmax - qmin)
    return scale, max(qmin, min(qmax, math.floor(qmax - rmax / scale + 0.5)))


def scale_with_zero_for_zeros(rmin, rmax, qmin, qmax):
    rmin, rmax = min(0, rmin), max(0, rmax)
    if rmin == rmax:
        return 1.0, 0
    scale = (rmax - rmin) / (qmax - qmin)
    return scale, round(qmax - rmax / scale)


def scale_in_numpy(rmin, rmax, qmin, qmax):
    low, high = np.minimum(rmin, 0), np.maximum(rmax, 0)
    scale = np.float32((high - low) / (qmax - qmin)) if high > low else np.float32(1)
    return scale, np.rint(np.clip(qmin - low / scale, qmin, qmax))


# 1.3 ---------------------------------------------------------------------------------------------


def quantize_as_in_the_lecture(x, S, Z, qmin, qmax):
    return torch.clamp(torch.round(x / S + Z), qmin, qmax).to(torch.int16)


def quantize_by_the_reciprocal(x, scale, zero_point, qmin, qmax):
    return ((x * (1 / scale)).round() + zero_point).clip(qmin, qmax).long()


def quantize_in_numpy(x, scale, zero_point, qmin, qmax):
    q = np.rint(x.numpy() / np.float32(scale)) + zero_point
    return np.clip(q, qmin, qmax).astype(np.int16)


def quantize_half_up_in_a_loop(x, scale, zero_point, qmin, qmax):
    q = [math.floor(v / scale + 0.5) + zero_point for v in x.flatten().tolist()]
    return torch.tensor([min(max(v, qmin), qmax) for v in q]).reshape(x.shape)


def quantize_in_place_on_a_copy(x, scale, zero_point, qmin, qmax):
    q = x.clone().double()
    q.div_(scale).round_().add_(zero_point).clamp_(min=qmin, max=qmax)
    return q.to(torch.int8 if qmin < 0 else torch.uint8)


class Quantizer:
    def __call__(self, *args):
        return quantize_as_in_the_lecture(*args)


# 1.4 ---------------------------------------------------------------------------------------------


def dequantize_in_numpy(q, scale, zero_point):
    return ((q.numpy().astype(np.float64) - zero_point) * scale).astype(np.float32)


def dequantize_multiplied_out(q, scale, zero_point):
    return (q.double() * scale - zero_point * scale).float()


def dequantize_multiplied_out_in_float32(q, scale, zero_point):
    return q * scale - zero_point * scale


def dequantize_in_a_loop(q, scale, zero_point):
    values = [(int(code) - zero_point) * scale for code in q.reshape(-1)]
    return torch.tensor(values).reshape(q.shape)


# 1.5 ---------------------------------------------------------------------------------------------


def ties_by_torch(x):
    return torch.round(x)


def ties_in_python(x):
    return torch.tensor([float(round(v)) for v in x.flatten().tolist()]).reshape(x.shape)


def ties_in_numpy(x):
    return np.rint(x.numpy())


def ties_by_parity(x):
    down, up = torch.floor(x), torch.ceil(x)
    even = torch.where(down.remainder(2) == 0, down, up)
    return torch.where(x - down == up - x, even, torch.where(x - down < up - x, down, up))


# 1.6 ---------------------------------------------------------------------------------------------


def symmetric_in_numpy(x, bits):
    values, top = x.numpy(), 2 ** (bits - 1) - 1
    scale = np.abs(values).max() / top
    scale = scale if scale > 0 else 1.0
    return np.clip(np.rint(values / scale), -top, top).astype(int), scale


def symmetric_as_a_list(x, bits):
    top = (1 << (bits - 1)) - 1
    largest = max(-x.min(), x.max())
    scale = largest / top if largest else torch.tensor(1.0)
    return [torch.round(x / scale).int(), scale]


def symmetric_lecture(x, bits):
    levels = torch.tensor(2.0).pow(bits - 1).sub(1)
    scale = x.abs().amax().clamp(min=0) / levels
    scale = scale + (scale == 0)
    q = torch.floor(x / scale + 0.5)
    return q.clamp(-levels, levels).to(torch.int16), scale.item()


# 1.7 ---------------------------------------------------------------------------------------------


def errors_in_numpy(x, scale, zero_point, qmin, qmax):
    v = x.numpy().astype(np.float64)
    q = np.clip(np.rint(v / scale) + zero_point, qmin, qmax)
    e = (v - (q - zero_point) * scale) ** 2
    outside = (v < (qmin - zero_point) * scale) | (v > (qmax - zero_point) * scale)
    clipping = np.where(outside, e, 0).mean()
    rounding = np.where(outside, 0, e).mean()
    return clipping, rounding, 10 * np.log10((v**2).mean() / e.mean())


def errors_in_a_loop(x, scale, zero_point, qmin, qmax):
    low, high = (qmin - zero_point) * scale, (qmax - zero_point) * scale
    clipping = rounding = signal = 0.0
    for v in x.flatten().tolist():
        q = min(max(round(v / scale) + zero_point, qmin), qmax)
        e = (v - (q - zero_point) * scale) ** 2
        clipping, rounding = (
            (clipping, rounding + e) if low <= v <= high else (clipping + e, rounding)
        )
        signal += v * v
    n = x.numel()
    sqnr = 20 * math.log10(math.sqrt(signal) / math.sqrt(clipping + rounding))
    return clipping / n, rounding / n, sqnr


def errors_by_clamping_x(x, scale, zero_point, qmin, qmax):
    kept = x.clamp((qmin - zero_point) * scale, (qmax - zero_point) * scale)
    back = torch.round(kept / scale) * scale
    squared, outside = (x - back).square(), kept != x
    total = squared.mean()
    clipping = squared[outside].sum() / x.numel()
    sqnr = 10 * (x.square().mean().log10() - total.log10())
    return clipping, squared[~outside].sum() / x.numel(), sqnr


# 1.8 ---------------------------------------------------------------------------------------------


def channels_in_a_loop(w, axis, bits):
    top = 2 ** (bits - 1) - 1
    codes, scales = [], []
    for channel in w.unbind(axis):
        scale = channel.abs().max() / top
        scale = scale if scale > 0 else torch.tensor(1.0)
        codes.append(torch.round(channel / scale))
        scales.append(scale)
    return torch.stack(codes, axis).int(), torch.stack(scales)


def channels_in_numpy(w, axis, bits):
    values, top = w.numpy(), 2 ** (bits - 1) - 1
    others = tuple(d for d in range(values.ndim) if d != axis)
    scale = np.abs(values).max(axis=others, keepdims=True) / top
    scale[scale == 0] = 1
    return np.rint(values / scale).astype(np.int16), scale.reshape(-1)


def channels_moved_to_the_end(w, axis, bits):
    top = 2 ** (bits - 1) - 1
    moved = w.movedim(axis, -1)
    largest = moved.reshape(-1, w.shape[axis]).abs().max(dim=0).values
    scale = largest.where(largest > 0, torch.full_like(largest, top)) / top
    return (moved / scale).round().clamp(-top, top).movedim(-1, axis).to(torch.int16), scale


# 1.9 ---------------------------------------------------------------------------------------------


def groups_in_a_loop(w, group_size, bits):
    top, (rows, columns) = 2 ** (bits - 1) - 1, w.shape
    q = torch.zeros(rows, columns, dtype=torch.int32)
    scale = torch.ones(rows, math.ceil(columns / group_size))
    for row in range(rows):
        for group, start in enumerate(range(0, columns, group_size)):
            part = w[row, start : start + group_size]
            if part.abs().max() > 0:
                scale[row, group] = part.abs().max() / top
            q[row, start : start + group_size] = torch.round(part / scale[row, group]).int()
    return q, scale


def groups_by_padding(w, group_size, bits):
    top, (rows, columns) = 2 ** (bits - 1) - 1, w.shape
    padded = torch.nn.functional.pad(w, (0, -columns % group_size)).reshape(rows, -1, group_size)
    scale = padded.abs().amax(-1) / top
    scale = scale.masked_fill(scale == 0, 1.0)
    q = torch.round(padded / scale[..., None]).to(torch.int16)
    return q.reshape(rows, -1)[:, :columns], scale


def groups_in_numpy(w, group_size, bits):
    values, top = w.numpy().astype(np.float64), 2 ** (bits - 1) - 1
    parts = np.split(values, range(group_size, values.shape[1], group_size), axis=1)
    scale = np.stack([np.abs(part).max(axis=1) for part in parts], axis=1) / top
    scale = np.where(scale > 0, scale, 1)
    spread = np.repeat(scale, group_size, axis=1)[:, : values.shape[1]]
    return np.rint(values / spread).astype(np.int64), scale


# 1.10 --------------------------------------------------------------------------------------------


def pack_in_a_loop(q, bits):
    packed, per_byte = [], 8 // bits
    for start in range(0, len(q), per_byte):
        byte = 0
        for place, code in enumerate(q[start : start + per_byte].tolist()):
            byte |= (code % 2**bits) << (place * bits)
        packed.append(byte)
    return torch.tensor(packed, dtype=torch.uint8)


def pack_by_text(q, bits):
    text = "".join(format(int(code) % 2**bits, f"0{bits}b")[::-1] for code in q)
    text += "0" * (-len(text) % 8)
    return torch.tensor([int(text[i : i + 8][::-1], 2) for i in range(0, len(text), 8)]).byte()


def pack_in_numpy(q, bits):
    codes = q.numpy().astype(np.int16) & (2**bits - 1)
    planes = (codes[:, None] >> np.arange(bits)) & 1
    return np.packbits(planes.astype(np.uint8).reshape(-1), bitorder="little")


# 1.11 --------------------------------------------------------------------------------------------


def unpack_in_a_loop(packed, bits, count, signed):
    codes = []
    for byte in packed.tolist():
        for shift in range(0, 8, bits):
            code = byte >> shift & (1 << bits) - 1
            codes.append(code - (1 << bits) if signed and code >> bits - 1 else code)
    return torch.tensor(codes[:count])


def unpack_by_shifting_the_sign(packed, bits, count, signed):
    fields = torch.stack([packed.int() << 24 + 8 - bits - s for s in range(0, 8, bits)], 1)
    codes = fields >> (32 - bits)
    return (codes if signed else codes & (1 << bits) - 1).reshape(-1)[:count].to(torch.int8)


def unpack_in_numpy(packed, bits, count, signed):
    planes = np.unpackbits(packed.numpy(), bitorder="little").reshape(-1, bits).astype(int)
    weights = 2 ** np.arange(bits)
    if signed:
        weights[-1] *= -1
    return (planes * weights).sum(1)[:count]


# 1.12 --------------------------------------------------------------------------------------------


def quantize_test_with_asserts(quantize):
    for zero_point in (-4, 0, 3):
        for code in range(-8, 8):
            for off in (-0.3, 0.0, 0.45):
                x = torch.tensor([(code - zero_point + off) * 0.25])
                assert int(quantize(x, 0.25, zero_point, -8, 7)) == code
    assert quantize(torch.tensor([1e4, -1e4]), 0.25, 3, -8, 7).tolist() == [7, -8]
    assert int(quantize(torch.tensor([100.0]), 0.5, 40, 0, 255)) == 240
    assert int(quantize(torch.tensor([200.0]), 0.5, 40, 0, 255)) == 255
    assert quantize(torch.tensor([170.0, -170.0]), 1.0, 3, -128, 127).tolist() == [127, -128]


def quantize_test_by_the_formula(quantize):
    x = torch.linspace(-200.0, 200.0, 403)
    for grid in ((0.7, 3, -8, 7), (1.3, 90, 0, 255), (0.9, -5, -128, 127)):
        q = np.asarray(quantize(x, *grid)).astype(np.float64)
        wanted = np.clip(np.rint(x.double().numpy() / grid[0]) + grid[1], *grid[2:])
        if np.abs(q - wanted).max() > 0:
            return False
    return np.bool_(True)


def quantize_test_by_properties(quantize):
    x = torch.linspace(-9.03, 9.05, 200)
    for scale, zero_point, qmin, qmax in (
        (0.25, 3, -8, 7),
        (0.05, 0, -128, 127),
        (0.07, 20, 0, 255),
    ):
        q = quantize(x, scale, zero_point, qmin, qmax).double()
        back = (q - zero_point) * scale
        ends = [(e - zero_point) * scale for e in (qmin, qmax)]
        if q.min() < qmin or q.max() > qmax:
            return torch.tensor(False)
        if (back - x.clamp(*ends)).abs().max() > scale / 2 + 1e-4:
            return torch.tensor(False)
    return torch.tensor(True)


# 1.13 --------------------------------------------------------------------------------------------


def slip_by_traces(x, scale, zero_point, qmin, qmax, q):
    off = q - (torch.round(x / scale) + zero_point).clamp(qmin, qmax)
    if bool(((q > qmax) | (q < qmin)).any()):
        return "not clamped"
    if not bool(off.any()):
        return "right"
    if int(off.abs().max()) == 1:
        cut = torch.trunc(x / scale + zero_point).clamp(qmin, qmax)
        return "cut off" if torch.equal(q.float(), cut) else "rounded down"
    return "no zero point" if bool((off * zero_point <= 0).all()) else "wrapped"


def slip_in_numpy(x, scale, zero_point, qmin, qmax, q):
    steps = x.double().numpy() / scale
    wide = np.rint(steps) + zero_point
    table = {
        "right": np.clip(wide, qmin, qmax),
        "not clamped": wide,
        "wrapped": (wide + 128) % 256 - 128,
        "rounded down": np.clip(np.floor(steps) + zero_point, qmin, qmax),
        "cut off": np.trunc(np.clip(steps + zero_point, qmin, qmax)),
        "no zero point": np.clip(np.rint(steps), qmin, qmax),
    }
    return next(name for name, codes in table.items() if np.array_equal(codes, q.numpy()))


def slip_by_distance(x, scale, zero_point, qmin, qmax, q):
    def codes(f, z=zero_point):
        return (f(x / scale) + z).clamp(qmin, qmax)

    tries = [
        (codes(torch.round), "right"),
        (torch.round(x / scale) + zero_point, "not clamped"),
        ((torch.round(x / scale) + zero_point).int().to(torch.int8), "wrapped"),
        (codes(torch.floor), "rounded down"),
        ((x / scale + zero_point).clamp(qmin, qmax).int(), "cut off"),
        (codes(torch.round, 0), "no zero point"),
    ]
    return min(tries, key=lambda t: float((t[0].double() - q.double()).abs().sum()))[1]


# 1.14 --------------------------------------------------------------------------------------------


def sqnr_review_with_patterns(script):
    import re

    text = "\n".join(script)
    patterns = {
        "no seed": r"randperm\(len\(w\)\)\[",
        "not all layers": r"weights\[-?\d*:-?\d*\]",
        "changed in place": r"^ *x\.\w+_\(",
        "wrong signal": r"signal\.append\(float\(\(?back",
        "mean of decibels": r"log10\(s / n\)",
        "scales not counted": r"stored \+= \d \* \w\.numel\(\)$",
    }
    return [name for name, pattern in patterns.items() if re.search(pattern, text, re.M)]


def sqnr_review_line_by_line(script):
    errors = set()
    for line in map(str.strip, script):
        if line.startswith("x = ") and "(len(w))" in line:
            errors.add("no seed")
        if line.startswith("for ") and line.endswith("]:") and "::" not in line:
            errors.add("not all layers")
        if line.startswith("x.clamp_"):
            errors.add("changed in place")
        if line.startswith("signal.append") and "back" in line:
            errors.add("wrong signal")
        if line.startswith("sqnr") and "zip" in line:
            errors.add("mean of decibels")
        if line.startswith("stored +=") and " 32" not in line:
            errors.add("scales not counted")
    return list(errors)


def sqnr_review_by_words(script):
    words = "\n".join(script).split()
    loop = script[2]
    found = ["no seed"] if "generator=g)[" not in script[3] and "perm" in script[3] else []
    found += ["not all layers"] if loop.count(":") == 2 else []
    found += ["changed in place"] if "x.clamp_(-limit," in words else []
    found += ["wrong signal"] if any("append(float(back." in w for w in words) else []
    found += ["wrong signal"] if any("append(float((back**2" in w for w in words) else []
    found += ["mean of decibels"] if "zip(signal," in words else []
    return tuple(found + (["scales not counted"] if script[-4].count("32") == 0 else []))


RIGHT_ANSWERS = {
    "1.1": [range_by_counting, range_in_numpy, range_as_tensors],
    "1.2": [
        scale_as_tensors,
        scale_from_the_other_end,
        scale_with_zero_for_zeros,
        scale_in_numpy,
    ],
    "1.3": [
        quantize_as_in_the_lecture,
        quantize_by_the_reciprocal,
        quantize_in_numpy,
        quantize_half_up_in_a_loop,
        quantize_in_place_on_a_copy,
        Quantizer(),
        functools.partial(quantize_as_in_the_lecture),
    ],
    "1.4": [
        dequantize_in_numpy,
        dequantize_multiplied_out,
        dequantize_multiplied_out_in_float32,
        dequantize_in_a_loop,
    ],
    "1.5": [ties_by_torch, ties_in_python, ties_in_numpy, ties_by_parity],
    "1.6": [symmetric_in_numpy, symmetric_as_a_list, symmetric_lecture],
    "1.7": [errors_in_numpy, errors_in_a_loop, errors_by_clamping_x],
    "1.8": [channels_in_a_loop, channels_in_numpy, channels_moved_to_the_end],
    "1.9": [groups_in_a_loop, groups_by_padding, groups_in_numpy],
    "1.10": [pack_in_a_loop, pack_by_text, pack_in_numpy],
    "1.11": [unpack_in_a_loop, unpack_by_shifting_the_sign, unpack_in_numpy],
    "1.12": [quantize_test_with_asserts, quantize_test_by_the_formula, quantize_test_by_properties],
    "1.13": [slip_by_traces, slip_in_numpy, slip_by_distance],
    "1.14": [sqnr_review_with_patterns, sqnr_review_line_by_line, sqnr_review_by_words],
}
