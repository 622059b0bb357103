"""Rounding and bits against torch's own types, ml_dtypes and numpy, pattern by pattern."""

import struct

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from labkit.formats import FORMATS, Format, bit_fields, cast, decode, gap, model_bytes, values

TORCH_FLOATS = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp8_e4m3": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}
STORAGE = {1: torch.uint8, 2: torch.int16, 4: torch.int32}  # by bytes, for Tensor.view
SMALL = [name for name in FORMATS if name != "fp32"]
SMALL_FLOATS = [name for name in TORCH_FLOATS if name != "fp32"]
finite = st.floats(allow_nan=False, allow_infinity=False)


def stored_bits(x):
    """The bits that torch stores ``x`` in, as unsigned integers."""
    return x.view(STORAGE[x.itemsize]).long() & (2 ** (8 * x.itemsize) - 1)


def differences(ours, theirs):
    """How many float32 values differ: in a bit, signed zeros included, unless both are NaN."""
    same = (stored_bits(ours) == stored_bits(theirs)) | (ours.isnan() & theirs.isnan())
    return int((~same).sum())


@pytest.fixture(scope="module")
def patterns():
    """All 2^16 upper halves of a float32 with lower halves at and beside ties, and a million more.

    The lower half 0x8000 is a tie of bf16 and odd multiples of 0x1000 are ties of fp16, whose
    subnormals have theirs higher up. The fp8 formats' ties are upper halves above a 0.
    """
    upper = np.arange(2**16, dtype=np.uint32) << 16
    beside_ties = [at + step for at in (0x1000, 0x3000, 0x8000) for step in (-1, 0, 1)]
    lower = np.array([0, 1, *beside_ties, 0x2000, 0x4000, 0xFFFF], dtype=np.uint32)
    rng = np.random.default_rng(0)
    random = rng.integers(0, 2**32, 2**20, dtype=np.uint32)
    bits = np.concatenate([(upper[:, None] | lower).ravel(), random])
    return torch.from_numpy(bits.view(np.float32))


@pytest.mark.parametrize("name", TORCH_FLOATS)
def test_cast_is_torchs_bit_for_bit(patterns, name):
    assert differences(cast(patterns, name), patterns.to(TORCH_FLOATS[name]).float()) == 0


@pytest.mark.parametrize("name", TORCH_FLOATS)
def test_bit_fields_are_the_bits_torch_stores(patterns, name):
    stored = patterns.to(TORCH_FLOATS[name])
    number = ~stored.float().isnan()
    assert torch.equal(bit_fields(patterns, name).pattern[number], stored_bits(stored)[number])


@pytest.mark.parametrize(
    ("format", "dtype"),
    [
        ("fp16", np.float16),
        ("bf16", ml_dtypes.bfloat16),
        ("fp8_e5m2", ml_dtypes.float8_e5m2),
        (Format("e4m3", 8, "float", exponent_bits=4, has_infinity=True), ml_dtypes.float8_e4m3),
        (Format("e3m4", 8, "float", exponent_bits=3, has_infinity=True), ml_dtypes.float8_e3m4),
    ],
)
@pytest.mark.filterwarnings("ignore:.*encountered in cast:RuntimeWarning")
def test_cast_is_ml_dtypes_bit_for_bit(patterns, format, dtype):
    theirs = torch.from_numpy(patterns.numpy().astype(dtype).astype(np.float32))
    assert differences(cast(patterns, format), theirs) == 0


@pytest.mark.filterwarnings("ignore:.*encountered in cast:RuntimeWarning")
def test_fp8_e4m3_differs_from_ml_dtypes_only_where_it_saturates(patterns):
    theirs = patterns.numpy().astype(ml_dtypes.float8_e4m3fn).astype(np.float32)
    ours = cast(patterns, "fp8_e4m3")
    saturated = torch.from_numpy(np.isnan(theirs)) & ~patterns.isnan()
    assert torch.equal(ours[saturated], 448 * patterns[saturated].sign())
    assert differences(ours[~saturated], torch.from_numpy(theirs)[~saturated]) == 0


@pytest.mark.parametrize(("name", "dtype"), [("fp32", np.float32), ("fp16", np.float16)])
@pytest.mark.filterwarnings("ignore:.*encountered in cast:RuntimeWarning")
def test_float64_is_rounded_once(name, dtype):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2**64, 2**17, dtype=np.uint64).view(np.float64)
    near_ties = (rng.integers(0, 2**15, 2**15) + 0.5) * 2.0**-24 * (1 + rng.choice([-1, 1]) * 1e-14)
    x = np.concatenate([x, rng.standard_normal(2**15), near_ties])
    assert differences(cast(x, name), torch.from_numpy(x.astype(dtype).astype(np.float32))) == 0
    # Rounded to float32 first, this would be a tie and go down.
    assert cast(1 + 2.0**-8 + 2.0**-40, "bf16") == 1 + 2.0**-7


@pytest.mark.parametrize(
    ("x", "name", "expected"),
    [
        (1 + 2.0**-8, "bf16", 1.0),
        (1 + 3 * 2.0**-8, "bf16", 1 + 2.0**-6),
        (65519.0, "fp16", 65504.0),
        (65520.0, "fp16", float("inf")),
        (464.0, "fp8_e4m3", 448.0),
        (-1e30, "fp8_e4m3", -448.0),
        (float("-inf"), "fp8_e4m3", -448.0),
        (61440.0, "fp8_e5m2", float("inf")),
        (2.0**-10, "fp8_e4m3", 0.0),
        (3 * 2.0**-10, "fp8_e4m3", 2.0**-8),
        (2.5, "int8", 2.0),
        (3.5, "int8", 4.0),
        (-128.5, "int8", -128.0),
        (127.5, "int8", 127.0),
        (300.0, "int8", 127.0),
        (float("inf"), "uint8", 255.0),
        (-0.6, "uint8", 0.0),
        (7.6, "int4", 7.0),
        (-1e9, "int2", -2.0),
        (1e-30, "binary", 1.0),
        (0.0, "binary", 1.0),
        (-0.0, "binary", 1.0),
        (-1e-30, "binary", -1.0),
    ],
)
def test_cast_at_ties_and_limits(x, name, expected):
    assert cast(x, name).item() == expected


@given(st.floats(-1000, 1000), st.sampled_from(["int8", "uint8", "int4", "int2"]))
def test_integer_cast_rounds_then_clamps(x, name):
    format = FORMATS[name]
    rounded = cast(x, name)
    assert rounded == min(max(round(x), format.min), format.max)
    assert not rounded.signbit() or rounded < 0


@given(finite, st.sampled_from(list(FORMATS)))
def test_cast_again_changes_nothing(x, name):
    once = cast(x, name)
    assert torch.equal(cast(once, name), once)


@given(finite, finite, st.sampled_from(list(FORMATS)))
def test_cast_keeps_order(x, y, name):
    assert cast(min(x, y), name) <= cast(max(x, y), name)


@given(st.floats(0, 1), st.booleans(), st.sampled_from(list(FORMATS)))
def test_cast_moves_at_most_half_a_gap(fraction, negative, name):
    x = fraction * (FORMATS[name].min if negative else FORMATS[name].max)
    assert abs(cast(x, name).double() - x) <= gap(x, name).double() / 2


@pytest.mark.parametrize("name", SMALL)
def test_gap_is_the_distance_between_values(name):
    line = values(name)
    upward = line[line >= 0] if FORMATS[name].kind == "float" else line
    assert torch.equal(gap(upward[:-1], name), upward.diff())
    if FORMATS[name].kind == "float":
        assert torch.equal(gap(-upward, name), gap(upward, name))


def test_gap_between_values_and_in_fp32():
    assert gap([1.0, 1.99, 2.0, 0.0, 2.0**-130], "fp32").tolist() == [
        2.0**-23,
        2.0**-23,
        2.0**-22,
        2.0**-149,
        2.0**-149,
    ]
    assert gap(1.9999999, "bf16") == 2.0**-7


@pytest.mark.parametrize("name", SMALL_FLOATS)
def test_decode_reads_every_pattern_as_torch_does(name):
    dtype = TORCH_FLOATS[name]
    pattern = torch.arange(2 ** FORMATS[name].bits)
    stored = pattern.to(STORAGE[dtype.itemsize])  # torch wraps, which keeps the bits
    assert differences(decode(pattern, name), stored.view(dtype).float()) == 0


def test_decode_reads_one_pattern():
    assert decode(0b0_01111111_1000000, "bf16") == 1.5
    assert decode(0b1_11111_00, "fp8_e5m2") == -float("inf")
    assert decode(0b0_1111_111, "fp8_e4m3").isnan()


def test_decode_reads_fp32_as_torch_does(patterns):
    assert differences(decode(stored_bits(patterns), "fp32"), patterns) == 0


@pytest.mark.parametrize(
    ("name", "dtype"), [("int8", np.int8), ("int4", ml_dtypes.int4), ("int2", ml_dtypes.int2)]
)
def test_twos_complement_is_ml_dtypes(name, dtype):
    integers = np.arange(FORMATS[name].min, FORMATS[name].max + 1)
    stored = integers.astype(dtype).view(np.uint8).astype(np.int64) % 2 ** FORMATS[name].bits
    assert bit_fields(integers, name).pattern.tolist() == stored.tolist()
    assert decode(stored, name).tolist() == integers.tolist()


@pytest.mark.parametrize("name", SMALL)
def test_decode_undoes_bit_fields(name):
    line = values(name)
    assert torch.equal(decode(bit_fields(line, name).pattern, name), line)


@given(st.floats(width=32))
def test_fields_of_fp32_are_those_of_its_bytes(x):
    if x != x:
        return
    (stored,) = struct.unpack(">I", struct.pack(">f", x))
    fields = bit_fields(x, "fp32")
    assert fields.pattern == stored
    assert fields.sign << 31 | fields.exponent << 23 | fields.mantissa == stored
    assert str(fields).replace(" ", "") == f"{stored:032b}"


def test_bit_fields_as_text():
    assert str(bit_fields(0.15625, "fp32")) == "0 01111100 01000000000000000000000"
    assert str(bit_fields([1.5, -6.5, 2.0**-133], "bf16")) == (
        "0 01111111 1000000\n1 10000001 1010000\n0 00000000 0000001"
    )
    assert str(bit_fields(-3, "int8")) == "11111101"
    assert str(bit_fields([200, 300], "uint8")) == "11001000\n11111111"
    assert str(bit_fields([-0.2, 0.0], "binary")) == "0\n1"


def test_bit_fields_of_infinity_and_nan():
    special = [float("inf"), float("-inf"), float("nan"), -0.0]
    assert str(bit_fields(special, "fp8_e5m2")).split("\n") == [
        "0 11111 00",
        "1 11111 00",
        "0 11111 10",
        "1 00000 00",
    ]
    assert str(bit_fields(special, "fp8_e4m3")).split("\n") == [
        "0 1111 110",
        "1 1111 110",
        "0 1111 111",
        "1 0000 000",
    ]
    stored = torch.tensor(special[2]).to(torch.bfloat16)
    assert bit_fields(special[2], "bf16").pattern == stored_bits(stored)


def test_integers_have_no_float_fields():
    fields = bit_fields(5, "int4")
    assert fields.sign is fields.exponent is fields.mantissa is None


@pytest.mark.parametrize("name", SMALL)
def test_values_are_all_and_in_order(name):
    format, line = FORMATS[name], values(name)
    mantissas, exponents = 2**format.mantissa_bits, 2**format.exponent_bits
    count = {
        "float": 2 * (exponents - 1) * mantissas - 1 if format.has_infinity else 2 * 127 - 1,
        "binary": 2,
    }.get(format.kind, 2**format.bits)
    assert len(line) == count
    assert (line.diff() > 0).all()
    assert (line[0], line[-1]) == (format.min, format.max)
    assert torch.equal(cast(line, name), line)
    assert not line[line == 0].signbit().any()


def test_cast_takes_every_real_input():
    x = torch.tensor([[0.1, -2.5, 300.0], [4.0, -0.75, 1e-3]])
    expected = cast(x, "bf16")
    assert expected.dtype == torch.float32
    assert torch.equal(cast(x.t(), "bf16"), expected.t())
    assert torch.equal(cast(x.numpy()[:, ::-1], "bf16"), expected.flip(1))
    assert torch.equal(cast(x.clone().requires_grad_(), "bf16"), expected)
    assert not cast(x.clone().requires_grad_(), "bf16").requires_grad
    assert torch.equal(cast(x.half(), "fp32"), x.half().float())
    assert torch.equal(cast(torch.tensor([257, 259]), "bf16"), torch.tensor([256.0, 260.0]))
    assert cast(3, "fp16").shape == ()
    assert cast(torch.empty(2, 0), "int8").shape == (2, 0)


def test_nothing_given_is_changed():
    x, pattern = torch.tensor([-3.7, 500.0]), torch.tensor([255, 3])
    cast(x, "int8"), bit_fields(x, "fp8_e4m3"), decode(pattern, "int8"), decode(pattern, "uint8")
    assert_close(x, torch.tensor([-3.7, 500.0]))
    assert pattern.tolist() == [255, 3]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cast(1.0, "float16"), ValueError, "'float16'; expected a Format or one of fp32"),
        (lambda: cast(float("nan"), "int8"), ValueError, "NaN, for which int8 has no bits"),
        (lambda: cast(float("nan"), "binary"), ValueError, "NaN, for which binary has no bits"),
        (lambda: cast(True, "bf16"), TypeError, "torch.bool; expected real numbers"),
        (lambda: cast(1j, "bf16"), TypeError, "complex128; expected real numbers"),
        (lambda: cast("1.5", "bf16"), TypeError, "numpy"),
        (lambda: cast(2**53 + 2, "fp32"), ValueError, r"integers beyond 2\^53"),
        (lambda: gap(float("nan"), "bf16"), ValueError, "NaN or numbers outside"),
        (lambda: gap([1.0, 65505.0], "fp16"), ValueError, r"outside \[-65504.0, 65504.0\]"),
        (lambda: gap(-1, "uint8"), ValueError, r"outside \[0, 255\]"),
        (lambda: decode(1.0, "bf16"), TypeError, "torch.float32; expected integers"),
        (lambda: decode(256, "int8"), ValueError, "patterns 0 to 255, got 256 to 256"),
        (lambda: decode(-1, "int8"), ValueError, "pattern & 0xff"),
        (lambda: values("fp32"), ValueError, "at most 16 bits"),
        (lambda: model_bytes(-1, "int8"), ValueError, "got -1"),
        (lambda: model_bytes(1e6, "int8"), TypeError, "float; expected a network or an int"),
        (lambda: model_bytes(True, "int8"), TypeError, "bool; expected a network or an int"),
    ],
)
def test_errors_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_model_bytes_packs_each_tensor():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))  # tensors of 9, 3, 3 and 3
    assert model_bytes(model, "fp32") == 18 * 4
    assert model_bytes(model, "bf16") == 18 * 2
    assert model_bytes(model, "int8") == 18
    assert model_bytes(model, "int4") == 5 + 2 + 2 + 2
    assert model_bytes(model, "int2") == 3 + 1 + 1 + 1
    assert model_bytes(model, "binary") == 2 + 1 + 1 + 1


def test_model_bytes_of_a_count_and_of_shared_parameters():
    assert model_bytes(1_000_001, "int4") == 500_001
    assert model_bytes(0, "fp32") == model_bytes(nn.ReLU(), "fp32") == 0
    shared = nn.Linear(4, 4, bias=False)
    assert model_bytes(nn.Sequential(shared, nn.ReLU(), shared), "fp16") == 32
