"""Messages: which argument, what was given, what is expected, what to do."""

import re

import numpy as np
import pytest
import torch

from labkit.validation import (
    INTEGER_DTYPES,
    axis_of,
    codes_within,
    finite,
    first_wrong,
    instance_of,
    integer_tensor,
    ordered_range,
    real_numbers,
    real_tensor,
    true_or_false,
    whole_number,
    whole_numbers,
)

NAN = float("nan")
INF = float("inf")
SHAPE = torch.Size((2, 3))
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn)

REFUSED = {
    "list for x": (
        lambda: real_tensor([1.0], "x"),
        TypeError,
        "x is of type list; expected torch.Tensor. "
        "Convert it first, for example torch.as_tensor(x).",
    ),
    "array for x": (
        lambda: real_tensor(np.ones(2), "x"),
        TypeError,
        "x is of type ndarray; expected torch.Tensor. "
        "Convert it first, for example torch.as_tensor(x).",
    ),
    "integers for x": (
        lambda: real_tensor(torch.ones(2).int(), "weight"),
        TypeError,
        "weight has dtype int32; expected a floating-point tensor. "
        "Convert it first, for example weight.float().",
    ),
    "complex x": (
        lambda: real_tensor(torch.ones(2).to(torch.complex64), "x"),
        TypeError,
        "x has dtype complex64; expected a floating-point tensor. "
        "Convert it first, for example x.float().",
    ),
    "empty x": (
        lambda: real_tensor(torch.ones(3, 0), "x"),
        ValueError,
        "x is empty (shape (3, 0)); expected at least one value. "
        "Look for a slice or a filter that leaves nothing.",
    ),
    "NaN": (
        lambda: real_tensor(torch.tensor([[1.0, 2.0], [INF, NAN]]), "x"),
        ValueError,
        "x has 2 of 4 values wrong, the first x[1, 0] = inf; expected finite numbers that float32 "
        "can hold. Find out where NaN and infinity come from: they have no place on an integer "
        "grid.",
    ),
    "single NaN": (
        lambda: real_tensor(torch.tensor(NAN, dtype=torch.float64), "x"),
        ValueError,
        "x is nan; expected finite numbers that float64 can hold. Find out where NaN and infinity "
        "come from: they have no place on an integer grid.",
    ),
    "minus infinity": (
        lambda: ordered_range(-INF, 0.0),
        ValueError,
        "rmin is -inf; expected finite numbers that float32 can hold. "
        "Remove NaN and infinity from what was observed.",
    ),
    "beyond the dtype": (
        lambda: finite(torch.tensor([1e39], dtype=torch.float64), "x", torch.float32, "Shrink it."),
        ValueError,
        "x has 1 of 1 values wrong, the first x[0] = 1e+39; expected finite numbers that float32 "
        "can hold. Shrink it.",
    ),
    "reals for q": (
        lambda: integer_tensor(torch.ones(2), "q"),
        TypeError,
        "q has dtype float32; expected an integer tensor of dtype int8, uint8, int16, uint16, "
        "int32, int64. Quantize real values first, or convert whole numbers with "
        "q.to(torch.int32).",
    ),
    "bools for q": (
        lambda: integer_tensor(torch.ones(2).bool(), "q"),
        TypeError,
        "q has dtype bool; expected an integer tensor of dtype int8, uint8, int16, uint16, int32, "
        "int64. Quantize real values first, or convert whole numbers with q.to(torch.int32).",
    ),
    "codes too large": (
        lambda: codes_within(torch.tensor([3, -9, 70]), -8, 7, "q"),
        ValueError,
        "q has codes from -9 to 70; expected -8 to 7. "
        "Clamp before you convert, or use a scheme with more bits.",
    ),
    "word for a number": (
        lambda: real_numbers("three", "rmin", torch.float32),
        TypeError,
        "rmin is of type str; expected a number or a tensor of numbers.",
    ),
    "None for a number": (
        lambda: whole_numbers(None, "zero_point"),
        TypeError,
        "zero_point is of type NoneType; expected a number or a tensor of numbers.",
    ),
    "rmin above rmax": (
        lambda: ordered_range([0.0, 2.0, 9.0], [1.0, 1.0, 1.0]),
        ValueError,
        "rmin has 2 of 3 values wrong, the first rmin[1] = 2, above rmax; expected rmin <= rmax. "
        "Are the two swapped?",
    ),
    "ranges of other shapes": (
        lambda: ordered_range([0.0, 0.0], [1.0, 1.0, 1.0]),
        ValueError,
        "rmin has shape (2,) and rmax (3,); expected one rmax for each rmin.",
    ),
    "infinite rmax": (
        lambda: ordered_range(0.0, INF),
        ValueError,
        "rmax is inf; expected finite numbers that float32 can hold. "
        "Remove NaN and infinity from what was observed.",
    ),
    "float for an integer": (
        lambda: whole_number(8.0, "bits"),
        TypeError,
        "bits is 8.0; expected a whole number, of type int.",
    ),
    "bool for an integer": (
        lambda: whole_number(True, "bits"),
        TypeError,
        "bits is True; expected a whole number, of type int.",
    ),
    "word for a bool": (
        lambda: true_or_false("unsigned", "signed"),
        TypeError,
        "signed is 'unsigned'; expected True or False.",
    ),
    "integer for a bool": (
        lambda: true_or_false(1, "narrow"),
        TypeError,
        "narrow is 1; expected True or False.",
    ),
    "another class": (
        lambda: instance_of((1, 2), Exception, "error", "Exception('why')"),
        TypeError,
        "error is of type tuple; expected Exception. Make one with Exception('why').",
    ),
    "axis too large": (
        lambda: axis_of(2, SHAPE, "x"),
        ValueError,
        "axis is 2, but x has 2 dimensions (shape (2, 3)); expected an axis from -2 to 1.",
    ),
    "axis too small": (
        lambda: axis_of(-3, SHAPE, "x"),
        ValueError,
        "axis is -3, but x has 2 dimensions (shape (2, 3)); expected an axis from -2 to 1.",
    ),
    "axis of a number": (
        lambda: axis_of(0, torch.Size(()), "x"),
        ValueError,
        "axis is 0, but x is a single number; expected axis=None.",
    ),
    "axis by name": (
        lambda: axis_of("rows", SHAPE, "x"),
        TypeError,
        "axis is 'rows'; expected a whole number, of type int.",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_message(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()


def test_a_message_about_a_long_tensor_stays_short():
    x = torch.full((100, 1000), NAN)
    with pytest.raises(ValueError, match="100000 of 100000") as refused:
        real_tensor(x, "x")
    assert len(str(refused.value)) < 250


def test_first_wrong_names_the_first_in_row_major_order():
    values = torch.tensor([[1.0, 2.0], [3.0, 4.5]])
    assert (
        first_wrong(values, values > 1.5, "x") == "x has 3 of 4 values wrong, the first x[0, 1] = 2"
    )
    assert first_wrong(values[1, 1], values[1, 1] > 0, "x") == "x is 4.5"


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_real_tensor_keeps_values_in_float32_or_better(dtype):
    x = torch.tensor([1.5, -0.25, 448.0]).to(dtype)
    result = real_tensor(x, "x")
    assert result.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert result.tolist() == [1.5, -0.25, 448.0]


def test_real_tensor_lets_no_gradient_through():
    assert not real_tensor(torch.ones(2, requires_grad=True), "x").requires_grad
    assert not real_tensor(torch.nn.Parameter(torch.ones(2).half()), "x").requires_grad


def test_real_tensor_takes_the_largest_and_the_smallest_numbers():
    limits = torch.finfo(torch.float32)
    x = torch.tensor([limits.max, limits.min, limits.tiny, limits.smallest_normal / 2, 0.0])
    assert torch.equal(real_tensor(x, "x"), x)


@pytest.mark.parametrize("dtype", INTEGER_DTYPES, ids=str)
def test_integer_tensor_and_codes_within_take_every_integer_dtype(dtype):
    q = torch.tensor([0, 7, 127]).to(dtype)
    assert integer_tensor(q, "q") is q
    assert codes_within(q, 0, 127, "q") is q
    with pytest.raises(ValueError, match="from 0 to 127; expected 0 to 126"):
        codes_within(q, 0, 126, "q")
    with pytest.raises(ValueError, match="from 0 to 127; expected 1 to 127"):
        codes_within(q, 1, 127, "q")


def test_codes_within_sees_the_whole_range_of_wide_dtypes():
    with pytest.raises(ValueError, match="from 0 to 65535"):
        codes_within(torch.tensor([0, 65535], dtype=torch.uint16), 0, 65534, "q")
    with pytest.raises(ValueError, match=f"from 0 to {2**40}"):
        codes_within(torch.tensor([0, 2**40]), 0, 255, "q")


def test_real_numbers_keeps_the_precision_that_is_asked_for():
    assert real_numbers(0.1, "rmin", torch.float64).item() == 0.1
    assert real_numbers([0.1, 1], "rmin", torch.float64).tolist() == [0.1, 1.0]
    assert real_numbers(np.float64(0.1), "rmin", torch.float64).item() == 0.1
    assert not real_numbers(torch.ones(2, requires_grad=True), "rmin", torch.float64).requires_grad


def test_ordered_range_gives_both_ends_one_shape():
    low, high = ordered_range(-1, torch.tensor([2.0, 3.0]))
    assert low.tolist() == [-1.0, -1.0]
    assert high.tolist() == [2.0, 3.0]
    assert low.dtype == high.dtype == torch.float64
    assert ordered_range(3.0, 3.0) == (3.0, 3.0)


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint16(3), np.int64(3)])
def test_whole_number_takes_numpys_integers(value):
    result = whole_number(value, "bits")
    assert result == 3
    assert type(result) is int


@pytest.mark.parametrize("value", [True, np.True_, np.bool_(1)])
def test_true_or_false_takes_numpys_bool(value):
    assert true_or_false(value, "signed") is True


def test_axis_of_counts_from_the_front():
    assert [axis_of(axis, SHAPE, "x") for axis in (-2, -1, 0, 1)] == [0, 1, 0, 1]


def test_instance_of_returns_the_instance():
    error = KeyError("k")
    assert instance_of(error, LookupError, "error", "KeyError()") is error
