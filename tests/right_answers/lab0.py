"""Right answers to lab 0 in other styles than the reference's: the checks must accept them all."""

import math
import struct

import numpy as np
import torch


def fields_from_text(pattern):
    bits = f"{pattern:032b}"
    return int(bits[0], 2), int(bits[1:9], 2), int(bits[9:], 2)


def fields_by_division(pattern):
    sign, rest = divmod(pattern, 2**31)
    return (sign, *divmod(rest, 2**23))


def fields_as_a_list_of_tensors(pattern):
    p = torch.tensor(pattern)
    return [p >> 31, p >> 23 & 0xFF, p & 0x7FFFFF]


def fields_in_numpy(pattern):
    p = np.uint32(pattern)
    return p >> np.uint32(31), (p << np.uint32(1)) >> np.uint32(24), p & np.uint32(2**23 - 1)


def value_in_one_line(s, E, M, e, m):
    return (-1.0) ** s * (min(E, 1) + M * 2.0**-m) * 2.0 ** (max(E, 1) - 2 ** (e - 1) + 1)


def value_by_ldexp(s, E, M, e, m):
    whole = M + (2**m if E else 0)
    return math.ldexp(-whole if s else whole, max(E, 1) - (2 ** (e - 1) - 1) - m)


def value_as_a_tensor(sign, exponent, mantissa, exponent_bits, mantissa_bits):
    power = torch.tensor(2.0, dtype=torch.float64) ** (max(exponent, 1) - 2 ** (exponent_bits - 1))
    steps = 2**mantissa_bits * (exponent > 0) + mantissa
    return (1 - 2 * sign) * 2 * power * steps / 2**mantissa_bits


def range_by_fields(e, m):
    return value_by_ldexp(0, 2**e - 2, 2**m - 1, e, m), value_by_ldexp(0, 1, 0, e, m)


def range_as_a_sum(e, m):
    bias = 2 ** (e - 1) - 1
    return sum(2.0 ** (bias - i) for i in range(m + 1)), 0.5 ** (bias - 1)


def range_in_numpy(e, m):
    bias = 2 ** (e - 1) - 1
    return [np.float64(2) ** (bias + 1) - np.float64(2) ** (bias - m), np.float64(2) ** (1 - bias)]


def gap_by_log2(x, e, m):
    lowest = 2 - 2 ** (e - 1)
    k = max(math.floor(math.log2(abs(x))), lowest) if x else lowest
    return 2.0 ** (k - m)


def gap_by_doubling(x, e, m):
    start = 2.0 ** (2 - 2 ** (e - 1))
    while 2 * start <= abs(x):
        start *= 2
    return start / 2**m


def gap_in_torch(x, e, m):
    at = torch.tensor(x, dtype=torch.float64).abs().clamp(min=2.0 ** (2 - 2 ** (e - 1)))
    return 2.0 ** (torch.floor(torch.log2(at)) - m)


def bf16_by_cases(pattern):
    upper, lower = divmod(pattern, 2**16)
    if lower < 0x8000 or (lower == 0x8000 and upper % 2 == 0):
        return upper
    return upper + 1


def bf16_by_torch(pattern):
    signed = torch.tensor(pattern - 2**32 * (pattern >> 31), dtype=torch.int32)
    return signed.view(torch.float32).to(torch.bfloat16).view(torch.int16).int() & 0xFFFF


def twos_from_bytes(value, bits):
    wide = int.from_bytes(struct.pack(">q", value), "big")
    return wide & (1 << bits) - 1


def bytes_in_a_loop(shapes, bits):
    total = 0
    for shape in shapes:
        count = 1
        for size in shape:
            count *= size
        total += (count * bits + 7) // 8
    return total


def energy_as_a_list(macs, bytes_moved, multiply_pj, add_pj, access_pj):
    return [macs * multiply_pj + macs * add_pj, access_pj * bytes_moved * 8 / 64]


def energy_in_torch(macs, bytes_moved, multiply_pj, add_pj, access_pj):
    count = torch.tensor([macs, bytes_moved], dtype=torch.float64)
    price = torch.tensor([multiply_pj + add_pj, access_pj / 8], dtype=torch.float64)
    return tuple(count * price)


def energy_in_float32(macs, bytes_moved, multiply_pj, add_pj, access_pj):
    f = np.float32
    return f(macs) * (f(multiply_pj) + f(add_pj)), f(bytes_moved) / f(8) * f(access_pj)


RIGHT_ANSWERS = {
    "0.1": [
        lambda b: 1 << b,
        lambda bits: np.int64(1) << bits,
        lambda bits: torch.tensor(2) ** bits,
        lambda bits: len(range(2**bits)),
    ],
    "0.2": [fields_from_text, fields_by_division, fields_as_a_list_of_tensors, fields_in_numpy],
    "0.3": [value_in_one_line, value_by_ldexp, value_as_a_tensor],
    "0.4": [range_by_fields, range_as_a_sum, range_in_numpy],
    "0.5": [gap_by_log2, gap_by_doubling, gap_in_torch],
    "0.6": [bf16_by_cases, bf16_by_torch, lambda p: round(p / 2**16)],
    "0.7": [
        twos_from_bytes,
        lambda v, b: v if v >= 0 else 2**b + v,
        lambda v, b: torch.tensor(v) & 2**b - 1,
        lambda v, b: ~(-v) + 1 & 2**b - 1,
    ],
    "0.8": [
        bytes_in_a_loop,
        lambda s, b: sum((torch.Size(x).numel() * b + 7) // 8 for x in s),
        lambda s, b: int(sum(np.ceil(np.prod(x) * b / 8) for x in s)),
    ],
    "0.9": [energy_as_a_list, energy_in_torch, energy_in_float32],
}
