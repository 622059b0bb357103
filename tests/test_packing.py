"""Bytes against ONNX's and numpy's, and back."""

import math
import re

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from onnx import numpy_helper

from labkit.packing import pack, unpack
from labkit.validation import INTEGER_DTYPES

ONNX_DTYPES = {
    (2, True): ml_dtypes.int2,
    (2, False): ml_dtypes.uint2,
    (4, True): ml_dtypes.int4,
    (4, False): ml_dtypes.uint4,
}


@st.composite
def packable(draw, signs=(True, False)):
    """Codes of any shape and dtype that `bits` hold, as (q, bits, signed)."""
    bits = draw(st.sampled_from((1, 2, 4)))
    signed = draw(st.sampled_from(signs))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    shape = draw(npst.array_shapes(min_dims=0, max_dims=3, max_side=5))
    codes = draw(npst.arrays(np.int64, shape, elements=st.integers(low, high)))
    wide_enough = [dtype for dtype in INTEGER_DTYPES if torch.iinfo(dtype).min <= low]
    return torch.as_tensor(codes).to(draw(st.sampled_from(wide_enough))), bits, signed


@given(packable())
def test_unpack_undoes_pack(case):
    q, bits, signed = case
    packed = pack(q, bits)
    assert packed.dtype == torch.uint8
    assert packed.shape == (math.ceil(q.numel() * bits / 8),)
    restored = unpack(packed, bits, q.shape, signed)
    assert restored.dtype == (torch.int8 if signed else torch.uint8)
    assert torch.equal(restored.long(), q.long())


@given(st.binary(min_size=1, max_size=9), st.sampled_from((1, 2, 4)), st.booleans())
def test_pack_undoes_unpack(data, bits, signed):
    packed = torch.tensor(list(data), dtype=torch.uint8)
    q = unpack(packed, bits, (len(data) * 8 // bits,), signed)
    assert torch.equal(pack(q, bits), packed)


@given(packable())
def test_bytes_are_numpys_and_onnxs(case):
    q, bits, signed = case
    codes = q.long().numpy()
    if bits == 1:
        expected = np.packbits(codes.astype(bool).ravel(), bitorder="little").tobytes()
    else:
        expected = numpy_helper.from_array(codes.astype(ONNX_DTYPES[bits, signed])).raw_data
    assert bytes(pack(q, bits).tolist()) == expected


def test_first_code_lies_in_the_lowest_bits():
    assert pack(torch.tensor([0x1, 0xE, 0x7]), 4).tolist() == [0xE1, 0x07]
    assert pack(torch.tensor([0, 1, 2, 3, 1]), 2).tolist() == [0b11_10_01_00, 0b01]
    assert pack(torch.tensor([1, 0, 0, 1, 0, 0, 0, 0, 1]), 1).tolist() == [0b1001, 1]


def test_negative_codes_keep_their_twos_complement():
    assert pack(torch.tensor([-8, 7, -1, 0], dtype=torch.int8), 4).tolist() == [0x78, 0x0F]
    assert pack(torch.tensor([-2, -1, 1, 0], dtype=torch.int8), 2).tolist() == [0b00_01_11_10]


def test_order_is_row_major_whatever_the_strides():
    q = torch.arange(6).reshape(2, 3)
    assert torch.equal(pack(q.T, 4), pack(q.T.contiguous(), 4))
    assert not torch.equal(pack(q.T, 4), pack(q, 4))
    assert torch.equal(unpack(pack(q.T, 4), 4, (3, 2), signed=False), q.T)


def test_bits_and_sizes_may_be_numpys():
    packed = pack(torch.tensor([-8, 7]), np.int8(4))
    assert unpack(packed, np.uint8(4), [np.int64(2)], np.True_).tolist() == [-8, 7]


@pytest.mark.parametrize("bits", [2, 4])
def test_the_same_byte_read_with_and_without_sign(bits):
    highest = torch.tensor([2**bits - 1])
    packed = pack(highest, bits)
    assert unpack(packed, bits, (1,), signed=False).item() == 2**bits - 1
    assert unpack(packed, bits, (1,), signed=True).item() == -1


TWO_BYTES = torch.zeros(2, dtype=torch.uint8)
REFUSED = {
    "3 bits": (
        lambda: pack(torch.tensor([1]), 3),
        ValueError,
        "bits is 3; expected 1, 2 or 4, which divide a byte evenly.",
    ),
    "8 bits": (
        lambda: unpack(TWO_BYTES, 8, (2,), True),
        ValueError,
        "bits is 8; expected 1, 2 or 4, which divide a byte evenly.",
    ),
    "bits as float": (
        lambda: pack(torch.tensor([1]), 4.0),
        TypeError,
        "bits is 4.0; expected a whole number, of type int.",
    ),
    "reals": (
        lambda: pack(torch.tensor([1.0]), 4),
        TypeError,
        "q has dtype float32; expected an integer tensor of dtype int8, uint8, int16, uint16, "
        "int32, int64. Quantize real values first, or convert whole numbers with "
        "q.to(torch.int32).",
    ),
    "nothing": (
        lambda: pack(torch.tensor([]).int(), 4),
        ValueError,
        "q is empty (shape (0,)); expected at least one value. "
        "Look for a slice or a filter that leaves nothing.",
    ),
    "too large": (
        lambda: pack(torch.tensor([0, 16]), 4),
        ValueError,
        "q has codes from 0 to 16; expected 0 to 15. "
        "Clamp before you convert, or use a scheme with more bits.",
    ),
    "too small": (
        lambda: pack(torch.tensor([-9, 0]), 4),
        ValueError,
        "q has codes from -9 to 0; expected -8 to 7. "
        "Clamp before you convert, or use a scheme with more bits.",
    ),
    "signed and unsigned at once": (
        lambda: pack(torch.tensor([-1, 8]), 4),
        ValueError,
        "q has codes from -1 to 8; expected -8 to 7. "
        "Clamp before you convert, or use a scheme with more bits.",
    ),
    "int8 for bytes": (
        lambda: unpack(TWO_BYTES.to(torch.int8), 4, (4,), True),
        TypeError,
        "packed has dtype int8; expected uint8, as pack returns it.",
    ),
    "too many bytes": (
        lambda: unpack(TWO_BYTES, 4, (1, 2), True),
        ValueError,
        "packed has shape (2,); expected (1,) for 2 codes with bits=4, shape (1, 2). "
        "Give the shape that the codes had before pack.",
    ),
    "too few bytes": (
        lambda: unpack(TWO_BYTES, 1, (17,), True),
        ValueError,
        "packed has shape (2,); expected (3,) for 17 codes with bits=1, shape (17,). "
        "Give the shape that the codes had before pack.",
    ),
    "bytes in a matrix": (
        lambda: unpack(TWO_BYTES.reshape(1, 2), 4, (4,), True),
        ValueError,
        "packed has shape (1, 2); expected (2,) for 4 codes with bits=4, shape (4,). "
        "Give the shape that the codes had before pack.",
    ),
    "a number for the shape": (
        lambda: unpack(TWO_BYTES, 4, 4, True),
        TypeError,
        "shape is of type int; expected a tuple or list of whole numbers, for example (3, 4).",
    ),
    "an unknown size": (
        lambda: unpack(TWO_BYTES, 4, (-1,), True),
        ValueError,
        "shape is (-1,); expected sizes of 1 or more.",
    ),
    "half a size": (
        lambda: unpack(TWO_BYTES, 4, (3.5,), True),
        TypeError,
        "a size in shape is 3.5; expected a whole number, of type int.",
    ),
    "a word for the sign": (
        lambda: unpack(TWO_BYTES, 4, (4,), "signed"),
        TypeError,
        "signed is 'signed'; expected True or False.",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_message(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()
