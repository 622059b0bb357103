"""Formats against what torch and ml_dtypes say about their own types."""

import ml_dtypes
import numpy as np
import pytest
import torch

from labkit.format_table import FORMATS, Format, find_format

TORCH_FLOATS = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp8_e4m3": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}
ML_FLOATS = {
    "fp32": np.float32,
    "fp16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
}
ML_INTEGERS = {
    "int8": np.int8,
    "uint8": np.uint8,
    "int4": ml_dtypes.int4,
    "int2": ml_dtypes.int2,
}


def test_table_holds_the_lectures_formats():
    assert list(FORMATS) == [*ML_FLOATS, *ML_INTEGERS, "binary"]
    assert all(FORMATS[name].name == name for name in FORMATS)


@pytest.mark.parametrize("name", TORCH_FLOATS)
def test_float_limits_are_torchs(name):
    format, limits = FORMATS[name], torch.finfo(TORCH_FLOATS[name])
    assert (format.bits, format.min, format.max) == (limits.bits, limits.min, limits.max)
    assert format.smallest_normal == limits.smallest_normal
    assert 2.0**-format.mantissa_bits == limits.eps


@pytest.mark.parametrize("name", ML_FLOATS)
def test_float_fields_are_ml_dtypes(name):
    format, limits = FORMATS[name], ml_dtypes.finfo(ML_FLOATS[name])
    assert (format.exponent_bits, format.mantissa_bits) == (limits.nexp, limits.nmant)
    assert format.smallest_subnormal == float(limits.smallest_subnormal)
    assert format.bias == 1 - limits.minexp


@pytest.mark.parametrize("name", ML_INTEGERS)
def test_integer_limits_are_ml_dtypes(name):
    format, limits = FORMATS[name], ml_dtypes.iinfo(ML_INTEGERS[name])
    assert (format.bits, format.min, format.max) == (limits.bits, limits.min, limits.max)
    assert format.exponent_bits == format.mantissa_bits == format.bias == 0
    assert format.smallest_normal is None
    assert format.smallest_subnormal is None


def test_binary_is_plus_and_minus_one():
    assert (FORMATS["binary"].min, FORMATS["binary"].max) == (-1, 1)


def test_bytes_are_packed():
    assert [f.bytes for f in FORMATS.values()] == [4, 2, 2, 1, 1, 1, 1, 0.5, 0.25, 0.125]


@pytest.mark.parametrize(
    ("format", "dtype"),
    [
        (Format("e4m3", 8, "float", exponent_bits=4, has_infinity=True), ml_dtypes.float8_e4m3),
        (Format("e3m4", 8, "float", exponent_bits=3, has_infinity=True), ml_dtypes.float8_e3m4),
    ],
)
def test_a_format_of_ones_own_follows_from_its_fields(format, dtype):
    limits = ml_dtypes.finfo(dtype)
    assert (format.max, format.smallest_normal) == (float(limits.max), float(limits.tiny))


@pytest.mark.parametrize(
    "fields",
    [
        ("x", 8, "posit"),
        ("x", 8, "float"),
        ("x", 8, "float", 1),
        ("x", 8, "float", 7),
        ("x", 16, "float", 9),
        ("x", 33, "float", 8),
        ("x", 32, "int"),
        ("x", 1, "int"),
        ("x", 0, "uint"),
        ("x", 2, "binary"),
        ("x", 8, "int", 4),
        ("x", 8, "uint", 0, True),
    ],
)
def test_impossible_formats_are_refused(fields):
    with pytest.raises(ValueError, match="expected a float of 2-8 exponent"):
        Format(*fields)


def test_find_format_takes_a_name_or_a_format():
    mine = Format("mine", 6, "int")
    assert find_format("bf16") is FORMATS["bf16"]
    assert find_format(mine) is mine
    with pytest.raises(ValueError, match=r"'float16'; expected a Format or one of fp32, fp16"):
        find_format("float16")
