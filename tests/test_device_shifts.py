"""C's integers in torch, beside ctypes and beside torch's own."""

import ctypes

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labkit.device import (
    arithmetic_right_shift,
    c_divide,
    c_remainder,
    convolve,
    logical_right_shift,
    pack_weights,
    reading_order,
    saturate,
    unpack_weights,
    wrap,
)
from labkit.kernels import gemm

INT64 = st.integers(-(2**40), 2**40)
TYPES = {
    (8, True): ctypes.c_int8,
    (8, False): ctypes.c_uint8,
    (16, True): ctypes.c_int16,
    (16, False): ctypes.c_uint16,
    (32, True): ctypes.c_int32,
    (32, False): ctypes.c_uint32,
}


@given(INT64, st.integers(1, 1000), st.sampled_from([-1, 1]))
def test_c_divides_towards_zero(a, b, sign):
    quotient = int(c_divide(torch.tensor(a), sign * b))
    assert quotient == (abs(a) // b) * (1 if a * sign >= 0 else -1)
    remainder = int(c_remainder(torch.tensor(a), sign * b))
    assert quotient * sign * b + remainder == a
    assert remainder == 0 or (remainder > 0) == (a > 0)


@given(INT64, st.sampled_from(sorted(TYPES)))
def test_wrapping_is_a_c_conversion(x, kind):
    assert int(wrap(torch.tensor(x), *kind)) == TYPES[kind](x).value


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 31))
def test_shifts_copy_the_sign_or_bring_zeros(x, shift):
    assert int(arithmetic_right_shift(torch.tensor(x), shift)) == x >> shift
    assert int(logical_right_shift(torch.tensor(x), shift)) == (x % 2**32) >> shift


def test_saturation_stops_at_the_ends():
    x = torch.tensor([-300, -128, -1, 0, 127, 128, 300])
    assert saturate(x, 8).tolist() == [-128, -128, -1, 0, 127, 127, 127]
    assert saturate(x, 8, signed=False).tolist() == [0, 0, 0, 0, 127, 128, 255]


def test_what_c_leaves_undefined_is_refused():
    x = torch.tensor([1])
    with pytest.raises(ValueError, match="division by 0"):
        c_divide(x, 0)
    with pytest.raises(ValueError, match="undefined in C"):
        logical_right_shift(x, 32)
    with pytest.raises(ValueError, match="undefined in C"):
        arithmetic_right_shift(x, -1)
    with pytest.raises(ValueError, match="expected 1 to 62"):
        wrap(x, 63)
    with pytest.raises(TypeError, match="integer tensor"):
        saturate(torch.tensor([1.0]), 8)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 1), (2, 1), (3, 2)])
def test_loops_give_torchs_convolution(stride, padding):
    g = torch.Generator().manual_seed(stride)
    q_x = torch.randint(0, 256, (7, 6, 3), generator=g).to(torch.uint8)
    q_w = torch.randint(-128, 128, (4, 3, 3, 2), generator=g).to(torch.int8).transpose(2, 3)
    q_bias = torch.randint(-1000, 1000, (4,), generator=g)
    acc = convolve(q_x, q_w.contiguous(), q_bias, 131, stride, padding)
    x = (q_x.double() - 131).permute(2, 0, 1).unsqueeze(0)
    w = q_w.double().permute(0, 3, 1, 2)
    wanted = torch.nn.functional.conv2d(x, w, q_bias.double(), stride, padding)
    assert torch.equal(acc.double(), wanted[0].permute(1, 2, 0))


def test_a_kernel_of_one_pixel_is_a_product_of_matrices():
    g = torch.Generator().manual_seed(0)
    q_x = torch.randint(0, 256, (2, 3, 5), generator=g).to(torch.uint8)
    q_w = torch.randint(-128, 128, (4, 1, 1, 5), generator=g).to(torch.int8)
    acc = convolve(q_x, q_w, torch.zeros(4, dtype=torch.int32), 9, 1, 0)
    assert torch.equal(acc.flatten(0, 1), gemm(q_x.flatten(0, 1), q_w.flatten(1).t(), 9))


def test_shapes_that_do_not_fit_are_refused():
    x, bias = torch.zeros(4, 4, 3, dtype=torch.uint8), torch.zeros(2, dtype=torch.int32)
    with pytest.raises(ValueError, match=r"expected \[H, W, C\]"):
        convolve(x, torch.zeros(2, 3, 3, 4, dtype=torch.int8), bias, 0, 1, 1)
    with pytest.raises(TypeError, match="q_bias"):
        convolve(x, torch.zeros(2, 3, 3, 3, dtype=torch.int8), bias.float(), 0, 1, 1)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("signed", [False, True])
def test_packed_weights_come_back(bits, signed):
    low = -(2 ** (bits - 1)) if signed else 0
    g = torch.Generator().manual_seed(bits)
    q_w = torch.randint(low, low + 2**bits, (5, 3, 3, 3), generator=g)
    q_w[:, 0, 0, 0] = low  # every output has a negative code, or none
    q_w = q_w.to(torch.int8 if signed else torch.uint8)
    packed = pack_weights(q_w, bits)
    assert packed.shape == (5, -(-27 * bits // 8))
    back = unpack_weights(packed, bits, (5, 3, 3, 3), signed)
    assert back.dtype == q_w.dtype
    assert torch.equal(back, q_w.permute(0, 2, 3, 1))


def test_a_kernel_reads_channels_first_then_columns_then_rows():
    q_w = torch.arange(2 * 3 * 2 * 2, dtype=torch.int8).reshape(2, 3, 2, 2)
    assert reading_order(q_w)[0].flatten().tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    assert reading_order(q_w).is_contiguous()
    assert torch.equal(reading_order(q_w.flatten(1)), q_w.flatten(1))
    with pytest.raises(ValueError, match="two or four dimensions"):
        reading_order(q_w[0])
    nibbles = pack_weights(torch.tensor([[1, 2, 3]], dtype=torch.int8), 4)
    assert nibbles.tolist() == [[0x21, 0x03]]
