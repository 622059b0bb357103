"""Schemes against a table, QParams against what it must refuse."""

import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from labkit.qparams import BITS, QParams, Scheme

NAN = float("nan")
INT8 = Scheme()

# bits, signed, narrow: qmin, qmax, dtype, as the lecture's tables have them.
RANGES = {
    (2, True, False): (-2, 1, torch.int8),
    (2, True, True): (-1, 1, torch.int8),
    (2, False, False): (0, 3, torch.uint8),
    (2, False, True): (1, 3, torch.uint8),
    (3, True, False): (-4, 3, torch.int8),
    (4, True, False): (-8, 7, torch.int8),
    (4, True, True): (-7, 7, torch.int8),
    (4, False, False): (0, 15, torch.uint8),
    (7, False, False): (0, 127, torch.uint8),
    (8, True, False): (-128, 127, torch.int8),
    (8, True, True): (-127, 127, torch.int8),
    (8, False, False): (0, 255, torch.uint8),
    (8, False, True): (1, 255, torch.uint8),
    (16, True, False): (-32768, 32767, torch.int16),
    (16, True, True): (-32767, 32767, torch.int16),
    (16, False, False): (0, 65535, torch.uint16),
}


@pytest.mark.parametrize(("arguments", "expected"), RANGES.items(), ids=str)
def test_range_and_dtype(arguments, expected):
    bits, signed, narrow = arguments
    scheme = Scheme(bits, signed, narrow=narrow)
    assert (scheme.qmin, scheme.qmax, scheme.dtype) == expected


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", BITS)
def test_every_scheme_uses_its_bits_and_its_dtype_holds_it(bits, signed, narrow):
    scheme = Scheme(bits, signed, narrow=narrow)
    assert scheme.qmax - scheme.qmin + 1 == 2**bits - narrow
    assert torch.iinfo(scheme.dtype).min <= scheme.qmin <= scheme.qmax
    assert scheme.qmax <= torch.iinfo(scheme.dtype).max
    assert scheme.qmin <= scheme.middle <= scheme.qmax
    above, below = scheme.qmax - scheme.middle, scheme.middle - scheme.qmin
    assert below - above == (0 if narrow else 1)


def test_the_default_is_signed_affine_int8():
    assert Scheme() == Scheme(bits=8, signed=True, symmetric=False, narrow=False)


@pytest.mark.parametrize("number", [np.int8, np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("bits", BITS)
def test_numpys_numbers_make_the_same_scheme(bits, number):
    made = Scheme(number(bits), np.bool_(False), np.bool_(True), np.bool_(True))
    assert made == Scheme(bits, False, True, True)
    assert hash(made) == hash(Scheme(bits, False, True, True))
    assert (type(made.qmin), type(made.qmax), type(made.middle)) == (int, int, int)
    assert (made.qmin, made.qmax) == (1, 2**bits - 1)


def per_channel(scale=(0.1, 0.2), zero_point=(0, 0), axis=0, **options):
    return QParams(torch.tensor(scale), torch.tensor(zero_point), INT8, axis, **options)


REFUSED = {
    "9 bits": (lambda: Scheme(9), ValueError, "bits is 9; expected 2 to 8, or 16."),
    "1 bit": (lambda: Scheme(1), ValueError, "bits is 1; expected 2 to 8, or 16."),
    "bits as float": (
        lambda: Scheme(8.0),
        TypeError,
        "bits is 8.0; expected a whole number, of type int.",
    ),
    "signed by name": (
        lambda: Scheme(8, "unsigned"),
        TypeError,
        "signed is 'unsigned'; expected True or False.",
    ),
    "symmetric as number": (
        lambda: Scheme(symmetric=0),
        TypeError,
        "symmetric is 0; expected True or False.",
    ),
    "narrow as None": (
        lambda: Scheme(narrow=None),
        TypeError,
        "narrow is None; expected True or False.",
    ),
    "bits for a scheme": (
        lambda: QParams(0.1, 0, 8),
        TypeError,
        "scheme is of type int; expected Scheme. Make one with Scheme(bits=8).",
    ),
    "zero scale": (
        lambda: QParams(0.0, 0, INT8),
        ValueError,
        "scale is 0; expected positive finite numbers in float32, as from_range and "
        "choose_qparams give them.",
    ),
    "scale that float32 rounds to zero": (
        lambda: QParams(1e-50, 0, INT8),
        ValueError,
        "scale is 0; expected positive finite numbers in float32, as from_range and "
        "choose_qparams give them.",
    ),
    "one bad scale of three": (
        lambda: per_channel((0.1, NAN, -2.0), (0, 0, 0)),
        ValueError,
        "scale has 2 of 3 values wrong, the first scale[1] = nan; expected positive finite "
        "numbers in float32, as from_range and choose_qparams give them.",
    ),
    "no scale": (
        lambda: QParams(None, 0, INT8),
        TypeError,
        "scale is of type NoneType; expected a number or a tensor of numbers.",
    ),
    "zero point as float": (
        lambda: QParams(0.1, 3.0, INT8),
        TypeError,
        "zero_point has dtype float32; expected an integer tensor of dtype int8, uint8, int16, "
        "uint16, int32, int64. Quantize real values first, or convert whole numbers with "
        "zero_point.to(torch.int32).",
    ),
    "zero point out of range": (
        lambda: QParams(0.1, 128, INT8),
        ValueError,
        "zero_point has codes from 128 to 128; expected -128 to 127. "
        "Clamp before you convert, or use a scheme with more bits.",
    ),
    "zero point that wraps to 0 in int32": (
        lambda: QParams(0.1, 2**32, INT8),
        ValueError,
        "zero_point has codes from 4294967296 to 4294967296; expected -128 to 127. "
        "Clamp before you convert, or use a scheme with more bits.",
    ),
    "zero point off the middle": (
        lambda: QParams(0.1, 3, Scheme(symmetric=True)),
        ValueError,
        "zero_point is 3; expected 0 in a symmetric scheme. "
        "Use symmetric=False for a zero point elsewhere.",
    ),
    "more scales than zero points": (
        lambda: per_channel((0.1, 0.2, 0.3), (0, 0)),
        ValueError,
        "scale has shape (3,) and zero_point (2,); expected one zero point for each scale.",
    ),
    "no channels": (
        lambda: QParams(torch.ones(0), torch.ones(0).int(), INT8, axis=0),
        ValueError,
        "zero_point is empty (shape (0,)); expected at least one value. "
        "Look for a slice or a filter that leaves nothing.",
    ),
    "vector without an axis": (
        lambda: per_channel(axis=None),
        ValueError,
        "scale has shape (2,) with axis=None; expected a single number for the whole tensor "
        "(axis=None), or a vector with one number per channel (axis given).",
    ),
    "number with an axis": (
        lambda: QParams(0.1, 0, INT8, axis=0),
        ValueError,
        "scale has shape () with axis=0; expected a single number for the whole tensor "
        "(axis=None), or a vector with one number per channel (axis given).",
    ),
    "axis as float": (
        lambda: per_channel(axis=1.0),
        TypeError,
        "axis is 1.0; expected a whole number, of type int.",
    ),
    "groups without an axis": (
        lambda: per_channel(axis=None, group_size=2),
        ValueError,
        "group_size is 2 without an axis; expected the axis to cut into groups, for example "
        "axis=-1.",
    ),
    "groups of none": (
        lambda: per_channel(group_size=0),
        ValueError,
        "group_size is 0; expected 1 or more values per group.",
    ),
    "groups of a half": (
        lambda: per_channel(group_size=0.5),
        TypeError,
        "group_size is 0.5; expected a whole number, of type int.",
    ),
    "too few channels": (
        lambda: per_channel().expand_to(torch.Size((3, 4))),
        ValueError,
        "scale has shape (2,); a tensor of shape (3, 4) with axis=0, group_size=None expects (3,).",
    ),
    "too few groups": (
        lambda: per_channel(group_size=3).expand_to(torch.Size((7,))),
        ValueError,
        "scale has shape (2,); a tensor of shape (7,) with axis=0, group_size=3 expects (3,).",
    ),
    "no such axis": (
        lambda: per_channel(axis=2).expand_to(torch.Size((2, 2))),
        ValueError,
        "axis is 2, but the tensor has 2 dimensions (shape (2, 2)); expected an axis from -2 to 1.",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_message(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()


def test_a_message_about_a_long_scale_stays_short():
    with pytest.raises(ValueError, match="5000 of 5000 values wrong") as refused:
        QParams(torch.zeros(5000), torch.zeros(5000).int(), INT8, axis=0)
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("scale", [0.1, np.float64(0.1), np.array(0.1), torch.tensor(0.1).double()])
@pytest.mark.parametrize("zero_point", [3, np.int64(3), np.array(3), torch.tensor(3).short()])
def test_numbers_and_arrays_become_float32_and_int32(scale, zero_point):
    qparams = QParams(scale, zero_point, INT8)
    assert torch.equal(qparams.scale, torch.tensor(0.1))
    assert torch.equal(qparams.zero_point, torch.tensor(3, dtype=torch.int32))


def test_uint16_zero_points():
    scheme = Scheme(16, signed=False)
    zero_point = torch.tensor([0, 40000, 65535], dtype=torch.uint16)
    qparams = QParams(torch.ones(3), zero_point, scheme, axis=0)
    assert qparams.zero_point.tolist() == [0, 40000, 65535]
    assert qparams.zero_point.dtype == torch.int32


def test_no_gradient_flows_into_the_parameters():
    qparams = QParams(torch.tensor(0.1, requires_grad=True), 0, INT8)
    assert not qparams.scale.requires_grad


def test_numpys_axis_and_group_size_become_ints():
    qparams = per_channel(axis=np.int64(0), group_size=np.int8(3))
    assert (type(qparams.axis), type(qparams.group_size)) == (int, int)
    scale, _ = qparams.expand_to(torch.Size((5,)))
    assert torch.equal(scale, torch.tensor([0.1, 0.1, 0.1, 0.2, 0.2]))


def test_two_of_them_can_be_compared_and_hashed():
    first, second = per_channel(), per_channel()
    assert first == first
    assert first != second
    assert len({first, second, first}) == 2


@pytest.mark.parametrize(("made", "name"), [(INT8, "bits"), (per_channel(), "scale")])
def test_they_cannot_be_changed(made, name):
    with pytest.raises(FrozenInstanceError):
        setattr(made, name, 4)


@pytest.mark.parametrize("axis", [1, -2])
def test_expand_to_puts_channels_on_their_axis(axis):
    qparams = per_channel((0.1, 0.2, 0.3), (4, 5, 6), axis=axis)
    scale, zero_point = qparams.expand_to(torch.Size((2, 3, 5)))
    assert scale.shape == zero_point.shape == (1, 3, 1)
    assert zero_point.flatten().tolist() == [4, 5, 6]


@pytest.mark.parametrize("axis", [1, -1])
def test_expand_to_repeats_groups_and_cuts_the_last(axis):
    groups = torch.tensor([[1, 2, 3], [4, 5, 6]])
    qparams = QParams(groups.float(), groups, INT8, axis, group_size=2)
    scale, zero_point = qparams.expand_to(torch.Size((2, 5)))
    assert zero_point.tolist() == [[1, 1, 2, 2, 3], [4, 4, 5, 5, 6]]
    assert torch.equal(scale, zero_point.float())
