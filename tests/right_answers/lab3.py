"""Right answers to lab 3 in other styles than the reference's: the checks must accept them all."""

import fractions
import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F

# 3.1 ---------------------------------------------------------------------------------------------


def length_by_shifting(largest_x, largest_w, bits):
    return ((1 << (bits - 1)) - 1) // (largest_x * largest_w)


def length_by_floor(x, w, bits):
    return math.floor(fractions.Fraction(2 ** (bits - 1) - 1, x * w))


def length_in_numpy(largest_x, largest_w, bits):
    return np.int64(2 ** (bits - 1) - 1) // np.int64(largest_x) // np.int64(largest_w)


def length_as_tensor(largest_x, largest_w, bits):
    top = torch.tensor(2 ** (bits - 1) - 1)
    return torch.div(top, largest_x * largest_w, rounding_mode="floor")


def length_by_counting(largest_x, largest_w, bits):
    length, total = 0, largest_x * largest_w
    while total < 2 ** (bits - 1):
        length, total = length + 1, total + largest_x * largest_w
    return length


def length_as_a_float(largest_x, largest_w, bits):
    return (2 ** (bits - 1) - 1 - (2 ** (bits - 1) - 1) % (x := largest_x * largest_w)) / x


# 3.2 ---------------------------------------------------------------------------------------------


def gemm_in_numpy(a, b):
    return a.numpy().astype(np.int32) @ b.numpy().astype(np.int32)


def gemm_in_float64(q_lhs, q_rhs):
    return (q_lhs.double() @ q_rhs.double()).to(torch.int32)


def gemm_by_broadcasting(q_lhs, q_rhs):
    return (q_lhs.int()[:, :, None] * q_rhs.int()[None]).sum(1)


def gemm_in_loops(q_lhs, q_rhs):
    rows, columns = q_lhs.tolist(), q_rhs.t().tolist()
    return torch.tensor(
        [[sum(x * w for x, w in zip(r, c, strict=True)) for c in columns] for r in rows]
    )


def gemm_by_einsum(q_lhs, q_rhs):
    return torch.einsum("mk,kn->mn", q_lhs.long(), q_rhs.long())


# 3.3 ---------------------------------------------------------------------------------------------


def zero_points_subtracted_first(q_lhs, q_rhs, lhs_zero_point, rhs_zero_point):
    return (q_lhs.int() - lhs_zero_point) @ (q_rhs.int() - rhs_zero_point)


def zero_points_in_numpy(q_lhs, q_rhs, z_a, z_b):
    a, b = q_lhs.numpy().astype(np.int64), q_rhs.numpy().astype(np.int64)
    correction = np.add.outer(z_b * a.sum(1), z_a * b.sum(0))
    return a @ b - correction + a.shape[1] * z_a * z_b


def zero_points_as_one_more_column(q_lhs, q_rhs, z_a, z_b):
    """[a, -Z_a] [b - Z_b; sum(b - Z_b)]: one of the two folded as if it were an input more."""
    b = q_rhs.long() - z_b
    left = torch.cat([q_lhs.long(), torch.full((len(q_lhs), 1), -z_a)], 1)
    return left @ torch.cat([b, b.sum(0, keepdim=True)])


# 3.4 ---------------------------------------------------------------------------------------------


def fold_in_numpy(q_bias, q_w, x_zero_point):
    return q_bias.numpy() - np.int32(x_zero_point) * q_w.numpy().astype(np.int32).sum(axis=-1)


def fold_by_an_input_of_zero_points(q_bias, q_w, x_zero_point):
    return q_bias.long() - q_w.long() @ torch.full((q_w.shape[1],), x_zero_point)


def fold_in_a_loop(q_bias, q_w, x_zero_point):
    pairs = zip(q_bias.tolist(), q_w.tolist(), strict=True)
    return torch.tensor([b - x_zero_point * sum(row) for b, row in pairs], dtype=torch.int32)


# 3.5 ---------------------------------------------------------------------------------------------


def multiplier_by_doubling(multiplier):
    shift = 0
    while multiplier < 0.5:
        multiplier, shift = multiplier * 2, shift + 1
    while multiplier >= 1:
        multiplier, shift = multiplier / 2, shift - 1
    mantissa = math.floor(multiplier * 2**31 + 0.5)
    return (mantissa // 2, shift - 1) if mantissa == 2**31 else (mantissa, shift)


def multiplier_by_logarithm(m):
    shift = -(math.floor(math.log2(m)) + 1)
    mantissa = round(m * 2.0 ** (31 + shift))
    if mantissa >= 2**31:
        mantissa >>= 1
        shift -= 1
    return mantissa, shift


def multiplier_in_numpy(multiplier):
    fraction, exponent = np.frexp(np.float64(multiplier))
    mantissa = np.int64(np.rint(fraction * 2.0**31))
    return (np.int64(2**30), -exponent - 1) if mantissa == 2**31 else (mantissa, -exponent)


def multiplier_as_tensors(multiplier):
    fraction, exponent = torch.frexp(torch.tensor(multiplier, dtype=torch.float64))
    mantissa = torch.round(fraction * 2**31).long()
    carry = (mantissa == 2**31).long()
    return mantissa >> carry, -(exponent + carry)


def multiplier_as_a_fraction(multiplier):
    exact, shift = fractions.Fraction(multiplier), 0
    while round(exact * 2**31) < 2**30:
        exact, shift = exact * 2, shift + 1
    while round(exact * 2**31) >= 2**31:
        exact, shift = exact / 2, shift - 1
    return round(exact * 2**31), shift


def multiplier_by_one_formula(multiplier):
    mantissa, shift = round(math.frexp(multiplier)[0] * 2**31), -math.frexp(multiplier)[1]
    return [(mantissa, shift), (2**30, shift - 1)][mantissa == 2**31]


# 3.6 ---------------------------------------------------------------------------------------------


def shift_with_where(x, shift):
    x, half = x.long(), (1 << shift) // 2
    return torch.where(x < 0, -((half - x) >> shift), (x + half) >> shift)


def shift_as_gemmlowp(x, shift):
    x, mask = x.long(), (1 << shift) - 1
    threshold = (mask >> 1) + (x < 0).long()
    return (x >> shift) + ((x & mask) > threshold).long()


def shift_in_python(x, shift):
    def rounded(value):
        magnitude = (abs(value) * 2 + (1 << shift)) // (2 << shift)
        return -magnitude if value < 0 else magnitude

    return torch.tensor([rounded(v) for v in x.flatten().tolist()]).reshape(x.shape)


def shift_in_numpy(x, shift):
    wide = x.numpy().astype(np.int64)
    return np.sign(wide) * ((np.abs(wide) + ((1 << shift) >> 1)) >> shift)


def shift_by_remainder(x, shift):
    x, divisor = x.long(), 2**shift
    whole = torch.div(x, divisor, rounding_mode="trunc")
    return torch.where(2 * (x - whole * divisor).abs() >= divisor, whole + x.sign(), whole)


def shift_in_place_on_a_copy(x, shift):
    magnitude = x.to(torch.int64, copy=True).abs_()
    magnitude += 2**shift // 2
    magnitude >>= shift
    return magnitude.mul_(torch.sign(x))


# 3.7 ---------------------------------------------------------------------------------------------


def requantize_in_python(acc, mantissa, shift, zero_point, qmin, qmax):
    total = 31 + shift
    codes = []
    for value in acc.flatten().tolist():
        product = value * mantissa
        rounded = (abs(product) + (1 << total - 1)) >> total
        code = (-rounded if product < 0 else rounded) + zero_point
        codes.append(min(max(code, qmin), qmax))
    return torch.tensor(codes, dtype=torch.int32).reshape(acc.shape)


def requantize_in_numpy(acc, mantissa, shift, Z, qmin, qmax):
    product = acc.numpy().astype(np.int64) * np.int64(mantissa)
    half = np.int64(1) << (30 + shift)
    q = np.where(product < 0, -((half - product) >> 31 + shift), (product + half) >> 31 + shift)
    return np.clip(q + Z, qmin, qmax).astype(np.int16)


def requantize_through_fractions(acc, mantissa, shift, zero_point, qmin, qmax):
    m = fractions.Fraction(mantissa, 2 ** (31 + shift))
    half = fractions.Fraction(1, 2)

    def code(value):
        real = m * abs(value)
        magnitude = math.floor(real + half)
        return min(max(int(math.copysign(magnitude, value)) + zero_point, qmin), qmax)

    return torch.tensor([code(v) for v in acc.flatten().tolist()]).reshape(acc.shape)


def requantize_to_its_own_dtype(acc, mantissa, shift, zero_point, qmin, qmax):
    product = acc.long() * mantissa
    up = ((product.abs() >> (30 + shift)) + 1) >> 1
    q = torch.where(product < 0, -up, up) + zero_point
    return torch.clamp(q, min=qmin, max=qmax).to(torch.int8 if qmin < 0 else torch.uint8)


# 3.8 ---------------------------------------------------------------------------------------------


def bias_in_numpy(bias, x_scale, w_scale):
    q = np.rint(bias.numpy().astype(np.float64) / (x_scale * w_scale))
    return np.clip(q, -(2**31), 2**31 - 1).astype(np.int32)


def bias_in_two_divisions(bias, x_scale, w_scale):
    q = (bias.double() / x_scale / w_scale).round().long()
    return torch.clamp(q, torch.iinfo(torch.int32).min, torch.iinfo(torch.int32).max)


def bias_in_a_loop(bias, Sx, Sw):
    codes = [round(b / (Sx * Sw)) for b in bias.tolist()]
    return torch.tensor([min(max(q, -(2**31)), 2**31 - 1) for q in codes], dtype=torch.int32)


def bias_in_float32_clamped_in_int64(bias, x_scale, w_scale):
    return torch.round(bias / (x_scale * w_scale)).long().clamp(-(2**31), 2**31 - 1).int()


def bias_by_reciprocal(bias, x_scale, w_scale):
    return (bias.double() * (1 / (x_scale * w_scale))).round().clamp(-(2.0**31), 2.0**31 - 1).int()


def bias_rounded_half_up(bias, x_scale, w_scale):
    steps = [math.floor(b / (x_scale * w_scale) + 0.5) for b in bias.tolist()]
    return torch.tensor(steps).clamp(-(2**31), 2**31 - 1)


# 3.9 ---------------------------------------------------------------------------------------------


def linear_with_zero_point_subtracted(
    q_x, q_w, q_bias, x_zero_point, mantissa, shift, zero_point, qmin, qmax
):
    acc = (q_x.long() - x_zero_point) @ q_w.long().t() + q_bias
    return requantize_in_python(acc, mantissa, shift, zero_point, qmin, qmax)


def linear_by_torch(q_x, q_w, q_bias, x_zero_point, mantissa, shift, zero_point, qmin, qmax):
    acc = F.linear(q_x.double() - x_zero_point, q_w.double(), q_bias.double()).long()
    return requantize_in_numpy(acc, mantissa, shift, zero_point, qmin, qmax)


def linear_in_numpy(q_x, q_w, q_bias, z_x, *output):
    x, w = (q.numpy().astype(np.int64) for q in (q_x, q_w))
    acc = x @ w.T - z_x * w.sum(1) + q_bias.numpy()
    return requantize_in_numpy(torch.from_numpy(acc), *output)


# 3.10 --------------------------------------------------------------------------------------------


def im2col_by_unfold(q_x, kernel_size, stride, padding, zero_point):
    padded = F.pad(q_x[None].float(), [padding] * 4, value=zero_point)
    return F.unfold(padded, kernel_size, stride=stride)[0].to(torch.int16)


def im2col_in_a_loop(q_x, k, stride, padding, zero_point):
    channels, height, width = q_x.shape
    padded = torch.full(
        (channels, height + 2 * padding, width + 2 * padding), zero_point, dtype=torch.int32
    )
    padded[:, padding : padding + height, padding : padding + width] = q_x
    tops = range(0, padded.shape[1] - k + 1, stride)
    lefts = range(0, padded.shape[2] - k + 1, stride)
    columns = [
        padded[:, i : i + k, j : j + k].reshape(-1) for i, j in itertools.product(tops, lefts)
    ]
    return torch.stack(columns, 1)


def im2col_in_numpy(q_x, kernel_size, stride, padding, zero_point):
    edges = [(0, 0), (padding, padding), (padding, padding)]
    image = np.pad(q_x.numpy(), edges, constant_values=zero_point)
    windows = np.lib.stride_tricks.sliding_window_view(image, (kernel_size,) * 2, axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    rows = len(image) * kernel_size**2
    return windows.transpose(0, 3, 4, 1, 2).reshape(rows, -1)


def im2col_shifted_by_the_zero_point(q_x, kernel_size, stride, padding, zero_point):
    """Pads with 0, but counts from the zero point."""
    shifted = (q_x.double() - zero_point).unsqueeze(0)
    return (F.unfold(shifted, kernel_size, 1, padding, stride)[0] + zero_point).to(torch.int64)


def im2col_as_stacked_slices(q_x, kernel_size, stride, padding, zero_point):
    channels, height, width = q_x.shape
    shape = (channels, height + 2 * padding, width + 2 * padding)
    framed = torch.full(shape, zero_point, dtype=torch.int16)
    framed[:, padding : padding + height, padding : padding + width] = q_x
    rows, columns = (range(0, n - kernel_size + 1, stride) for n in shape[1:])
    return torch.stack(
        [
            framed[
                c, i : i + len(rows) * stride : stride, j : j + len(columns) * stride : stride
            ].flatten()
            for c in range(channels)
            for i in range(kernel_size)
            for j in range(kernel_size)
        ]
    )


# 3.11 --------------------------------------------------------------------------------------------


def range_by_quantizing(activation, scale, zero_point, qmin, qmax):
    ends = {"none": (-math.inf, math.inf), "relu": (0, math.inf), "relu6": (0, 6)}[activation]
    real = torch.tensor(ends, dtype=torch.float64) / scale + zero_point
    return tuple(int(q) for q in torch.round(real.clamp(qmin, qmax)))


def range_in_numpy(activation, scale, zero_point, qmin, qmax):
    low = qmin if activation == "none" else zero_point
    high = np.rint(6 / scale) + zero_point if activation == "relu6" else qmax
    return np.clip([low, high], qmin, qmax).astype(int).tolist()


def range_as_tensors(activation, scale, zero_point, qmin, qmax):
    six = torch.tensor(6 / scale).round().int() + zero_point
    low = torch.tensor(zero_point if activation != "none" else qmin)
    return low, six.clamp(max=qmax) if activation.endswith("6") else torch.tensor(qmax)


def range_from_a_dictionary(activation, scale, zero_point, qmin, qmax):
    six = math.floor(6 / scale + zero_point + 0.5)
    return {
        "none": (qmin, qmax),
        "relu": (zero_point, qmax),
        "relu6": (zero_point, min(qmax, six)),
    }[activation]


# 3.12 --------------------------------------------------------------------------------------------


def shift_test_with_asserts(rounding_right_shift):
    x = torch.tensor([4, 12, 3, 5, -4, -12, -3, -5, 0, 7, -7, 20])
    assert rounding_right_shift(x, 3).tolist() == [1, 2, 0, 1, -1, -2, 0, -1, 0, 1, -1, 3]
    assert rounding_right_shift(x, 0).tolist() == x.tolist()
    large = torch.tensor([2**60 + 1, -(2**60) - 1, 2**62 - 1])
    assert rounding_right_shift(large, 0).tolist() == large.tolist()
    assert rounding_right_shift(large, 1).tolist() == [2**59 + 1, -(2**59) - 1, 2**61]
    ends = torch.tensor([2**31 - 1, -(2**31)], dtype=torch.int32)
    assert rounding_right_shift(ends, 4).tolist() == [2**27, -(2**27)]


def shift_test_with_fractions(rounding_right_shift):
    from fractions import Fraction

    for shift in (0, 1, 5, 31):
        numbers = [*range(-70, 70), *(k * 2**55 + 2**30 - 1 for k in range(-60, 60))]
        for dtype in (torch.int64, torch.int32):
            x = torch.tensor([n for n in numbers if dtype == torch.int64 or abs(n) < 2**31])
            found = rounding_right_shift(x.to(dtype), shift).tolist()
            for n, q in zip(x.tolist(), found, strict=True):
                exact = abs(Fraction(n, 2**shift))
                if q != (1 if n > 0 else -1) * math.floor(exact + Fraction(1, 2)):
                    return False
    ends = torch.tensor([2**31 - 2], dtype=torch.int32)
    return rounding_right_shift(ends, 3).tolist() == [2**28]


def shift_test_by_properties(rounding_right_shift):
    x = torch.cat([torch.arange(-100, 101), torch.tensor([2**61 + 12345, -(2**61) - 12347])])
    for shift in (0, 2, 3, 6):
        q = rounding_right_shift(x, shift)
        rest = x - q * 2**shift
        half = 2**shift / 2
        away = (q.abs() * 2**shift >= x.abs()) | (rest.abs() < half) | (shift == 0)
        if not (bool((rest.abs() <= half).all()) and bool(away.all())):
            return False
        if shift == 0 and not torch.equal(q, x):
            return False
    ends = torch.tensor([2**31 - 1, -(2**31)], dtype=torch.int32)
    return rounding_right_shift(ends, 2).tolist() == [2**29, -(2**29)]


# 3.13 --------------------------------------------------------------------------------------------


def gemm_slip_in_numpy(q_lhs, q_rhs, lhs_zero_point, rhs_zero_point, acc):
    a, b, c = q_lhs.numpy(), q_rhs.numpy(), acc.numpy()
    y, z, k = lhs_zero_point, rhs_zero_point, a.shape[1]
    tries = [
        ("right", (a - y) @ (b - z)),
        ("no zero points", a @ b),
        ("left one only", (a - y) @ b),
        ("right one only", a @ (b - z)),
        ("zero points added", (a + y) @ (b + z)),
        ("last term left out", (a - y) @ (b - z) - k * y * z),
    ]
    return next(name for name, wanted in tries if (wanted == c).all())


def gemm_slip_by_the_difference(q_lhs, q_rhs, lhs_zero_point, rhs_zero_point, acc):
    right = (q_lhs - lhs_zero_point) @ (q_rhs - rhs_zero_point)
    off = acc - right
    k = q_lhs.shape[1]
    if not bool(off.any()):
        return "right"
    if bool((off == -k * lhs_zero_point * rhs_zero_point).all()):
        return "last term left out"
    rows = rhs_zero_point * (q_lhs - lhs_zero_point).sum(1, keepdim=True)
    columns = lhs_zero_point * (q_rhs - rhs_zero_point).sum(0, keepdim=True)
    if torch.equal(off, rows.expand_as(off)):
        return "left one only"
    if torch.equal(off, columns.expand_as(off)):
        return "right one only"
    return "no zero points" if torch.equal(acc, q_lhs @ q_rhs) else "zero points added"


def gemm_slip_in_a_loop(q_lhs, q_rhs, lhs_zero_point, rhs_zero_point, acc):
    for name, left, right in (
        ("right", -1, -1),
        ("no zero points", 0, 0),
        ("left one only", -1, 0),
        ("right one only", 0, -1),
        ("zero points added", 1, 1),
    ):
        lhs, rhs = q_lhs + left * lhs_zero_point, q_rhs + right * rhs_zero_point
        if (lhs.double() @ rhs.double() - acc).abs().max() < 0.5:
            return name
    return "last term left out"


# 3.14 --------------------------------------------------------------------------------------------


def review_with_patterns(script):
    import re

    text = "\n".join(script)
    head, body = re.split(r"\n(?=for )", text)
    layers = re.findall(r"(\w+)\(\w+\)  # timed", body)
    errors = []
    if not all(re.search(rf"^{layer}\(", head, re.M) for layer in layers):
        errors.append("no warm-up")
    if len(re.findall(r"# timed\n    wait\(\)", body)) < 2:
        errors.append("not waited for")
    errors += ["conversion timed"] * ("to_codes" in body)
    errors += ["different inputs"] * (text.count("make_input") == 2)
    errors += ["too few runs"] * (int(re.search(r"range\((\d+)\)", body)[1]) < 10)
    errors += ["mean of the runs"] * bool(re.search(r"\bmean\(", body))
    return errors


def review_line_by_line(script):
    errors, called, clock, inputs = [], [], False, 0
    for line in script:
        indented = line.startswith(" ")
        line = line.strip()
        inputs += "make_input" in line
        if line.startswith("for ") and int("".join(c for c in line if c.isdigit())) < 10:
            errors.append("too few runs")
        if line == "start = clock()":
            clock, waited = True, False
        if clock and "to_codes" in line:
            errors.append("conversion timed")
        if line == "wait()":
            waited = True
        if "clock() - start" in line:
            clock = False
            if not waited:
                errors.append("not waited for")
        name = line.split("(")[0]
        if "# timed" in line and name not in called:
            errors.append("no warm-up")
        if not indented:
            called.append(name)
        if line.startswith("print(mean("):
            errors.append("mean of the runs")
    return [*errors, *["different inputs"] * (inputs > 1)]


def review_by_counting(script):
    loop = next(i for i, line in enumerate(script) if "for run in range" in line)
    layers = [line.strip().split("(")[0] for line in script if "# timed" in line]
    warm = sum(any(line.startswith(f"{name}(") for line in script[:loop]) for name in layers)
    counts = {word: sum(word in line for line in script) for word in ("make_input", "to_codes")}
    found = ["no warm-up"] if warm < 2 else []
    found += ["not waited for"] if script.count("    wait()") < 2 else []
    found += ["conversion timed"] if counts["to_codes"] > 1 else []
    found += ["different inputs"] if counts["make_input"] > 1 else []
    found += ["too few runs"] if len(range(int(script[loop][17:-2]))) < 10 else []
    return tuple(found + (["mean of the runs"] if script[-1].count("mean(") else []))


# 3.15 ---------------------------------------------------------------------------------------------


def channel_linear_in_vectors(q_x, q_w, bias, S_x, Z_x, S_w, S_y, Z_y, qmin, qmax):
    acc = (q_x.double() - Z_x) @ q_w.double().t() + torch.round(
        bias.double() / (S_x * S_w.double())
    )
    return (torch.round(acc * (S_x * S_w.double() / S_y)) + Z_y).clamp(qmin, qmax).long()


def channel_linear_in_numpy(q_x, q_w, bias, S_x, Z_x, S_w, S_y, Z_y, qmin, qmax):
    steps = S_x * S_w.numpy().astype(np.float64)
    q_bias = np.rint(bias.numpy() / steps).astype(np.int64)
    acc = (q_x.numpy().astype(np.int64) - Z_x) @ q_w.numpy().astype(np.int64).T + q_bias
    return np.clip(np.rint(acc * steps / S_y) + Z_y, qmin, qmax).astype(np.int16)


def channel_linear_with_shifts(q_x, q_w, bias, S_x, Z_x, S_w, S_y, Z_y, qmin, qmax):
    columns = []
    for row, b, s in zip(q_w.tolist(), bias.tolist(), S_w.tolist(), strict=True):
        fraction, exponent = math.frexp(S_x * s / S_y)
        mantissa, total = round(fraction * 2**31), 31 - exponent
        column = []
        for codes in q_x.tolist():
            acc = sum((x - Z_x) * w for x, w in zip(codes, row, strict=True)) + round(b / (S_x * s))
            q = (abs(acc) * mantissa + (1 << total >> 1)) >> total
            column.append(min(max((q if acc > 0 else -q) + Z_y, qmin), qmax))
        columns.append(torch.tensor(column))
    return torch.stack(columns, dim=1)


RIGHT_ANSWERS = {
    "3.1": [
        length_by_shifting,
        length_by_floor,
        length_in_numpy,
        length_as_tensor,
        length_by_counting,
        length_as_a_float,
    ],
    "3.2": [gemm_in_numpy, gemm_in_float64, gemm_by_broadcasting, gemm_in_loops, gemm_by_einsum],
    "3.3": [
        zero_points_subtracted_first,
        zero_points_in_numpy,
        zero_points_as_one_more_column,
    ],
    "3.4": [fold_in_numpy, fold_by_an_input_of_zero_points, fold_in_a_loop],
    "3.5": [
        multiplier_by_doubling,
        multiplier_by_logarithm,
        multiplier_in_numpy,
        multiplier_as_tensors,
        multiplier_as_a_fraction,
        multiplier_by_one_formula,
    ],
    "3.6": [
        shift_with_where,
        shift_as_gemmlowp,
        shift_in_python,
        shift_in_numpy,
        shift_by_remainder,
        shift_in_place_on_a_copy,
    ],
    "3.7": [
        requantize_in_python,
        requantize_in_numpy,
        requantize_through_fractions,
        requantize_to_its_own_dtype,
    ],
    "3.8": [
        bias_in_numpy,
        bias_in_two_divisions,
        bias_in_a_loop,
        bias_in_float32_clamped_in_int64,
        bias_by_reciprocal,
        bias_rounded_half_up,
    ],
    "3.9": [linear_with_zero_point_subtracted, linear_by_torch, linear_in_numpy],
    "3.10": [
        im2col_by_unfold,
        im2col_in_a_loop,
        im2col_in_numpy,
        im2col_shifted_by_the_zero_point,
        im2col_as_stacked_slices,
    ],
    "3.11": [range_by_quantizing, range_in_numpy, range_as_tensors, range_from_a_dictionary],
    "3.12": [shift_test_with_asserts, shift_test_with_fractions, shift_test_by_properties],
    "3.13": [gemm_slip_in_numpy, gemm_slip_by_the_difference, gemm_slip_in_a_loop],
    "3.14": [review_with_patterns, review_line_by_line, review_by_counting],
    "3.15": [channel_linear_in_vectors, channel_linear_in_numpy, channel_linear_with_shifts],
}
