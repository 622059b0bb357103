"""The format in which values leave the sandbox: exact for us, harmless from anyone else."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from labkit.checks.calling import Outcome
from labkit.checks.exercise import Case
from labkit.grading.judging.replies import outcomes_from, ran_from
from labkit.grading.sandbox.process import Died
from labkit.grading.wire import (
    DTYPES,
    LARGEST,
    LENGTH,
    MOST_VALUES,
    TENSORS_ONLY,
    WireError,
    decode,
    encode,
)

CALL = Case("with two arguments", (1, 2))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**126), 2**126), st.floats(), st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner), st.lists(inner).map(tuple)), max_leaves=12
)
ARRAY_DTYPES = [name for name in DTYPES if name not in TENSORS_ONLY]


def nested(depth: int) -> object:
    value: object = None
    for _ in range(depth):
        value = [value]
    return value


@given(VALUES)
def test_plain_values_come_back_as_they_were(value: object) -> None:
    try:
        data = encode(value)
    except WireError:
        return
    assert repr(decode(data)) == repr(decode(encode(decode(data))))
    assert type(decode(data)) is type(value)


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1, 2**64, 2**127 - 1, -(2**127), 1.5, "é", (1, [2.0, (None,)]), []],
)
def test_these_values_come_back_equal(value: object) -> None:
    assert decode(encode(value)) == value


@pytest.mark.parametrize("dtype", ARRAY_DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_arrays_come_back_with_dtype_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    back = decode(encode(array))
    assert back.dtype == array.dtype
    assert back.shape == shape
    np.testing.assert_array_equal(back, array)


def test_nan_comes_back_as_nan() -> None:
    assert math.isnan(decode(encode(math.nan)))


@given(arrays.arrays(np.float32, arrays.array_shapes(min_dims=0, max_dims=4)), st.randoms())
def test_tensors_keep_their_strides(array: np.ndarray, random: object) -> None:
    axes = list(range(array.ndim))
    random.shuffle(axes)  # type: ignore[attr-defined]
    tensor = torch.from_numpy(array.copy()).permute(axes)
    back = decode(encode(tensor))
    assert back.stride() == tensor.stride()
    assert torch.equal(back.nan_to_num(), tensor.nan_to_num())


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_of_every_dtype_come_back(dtype: str) -> None:
    tensor = torch.tensor([0, 1, 1]).to(getattr(torch, dtype))
    back = decode(encode(tensor))
    assert back.dtype == tensor.dtype
    assert back.tolist() == tensor.tolist()


@pytest.mark.parametrize("shape", [(0,), (3, 0), ()])
def test_empty_tensors_and_scalars_come_back(shape: tuple[int, ...]) -> None:
    assert decode(encode(torch.ones(shape))).shape == shape


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    try:
        value = decode(data)
    except WireError:
        return
    encode(value)  # what was read can be written: a grader compares results in this form


@given(st.data())
def test_a_changed_byte_is_a_value_or_refused(data: st.DataObject) -> None:
    row = ("returned", (np.arange(6, dtype=np.int8).reshape(2, 3), 1.5, "x"), "", "", (0,), True)
    good = bytearray(encode([row, row]))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        outcomes_from(decode(bytes(good), tensors=False), [CALL, CALL])
    except (WireError, Died):
        return


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Z",
        b"NN",
        b"I\x00",
        b"I\x20" + bytes(32),
        b"S" + bytes([255] * 8),
        b"[" + bytes([255, 255, 255, 127, 0, 0, 0, 0]),
        b"A\x06\x01" + bytes([0, 0, 0, 0, 0, 0, 0, 64]),
        b"A\x06\x02" + bytes([0, 0, 0, 0, 0, 0, 0, 64]) + bytes(8),
        b"A\x63\x00",
        b"A\x0c\x00\x00\x00",
        b"A\x06\xff",
        b"X\x06\x01" + bytes([2] + [0] * 7) + bytes([255] * 8),
        b"X\x06\x01" + bytes([1] + [0] * 7) + bytes([255] * 8) + bytes(4),
    ],
)
def test_announced_sizes_that_are_not_there_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(data)


@pytest.mark.parametrize(
    "value",
    [object(), 10**400, 1j, b"x", {}, nested(20), np.array([None]), np.zeros(1, complex)],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_sent_is_refused(value: object) -> None:
    with pytest.raises(WireError):
        encode(value)


def test_too_large_a_value_is_refused() -> None:
    with pytest.raises(WireError, match="at most"):
        encode("x" * (LARGEST + 1))
    with pytest.raises(WireError, match="at most"):
        decode(b"S" + bytes(LARGEST + 1))


def test_a_tensor_is_no_result() -> None:
    data = encode(torch.ones(2))
    assert torch.equal(decode(data), torch.ones(2))
    with pytest.raises(WireError, match="unknown kind"):
        decode(data, tensors=False)


def test_too_many_values_are_refused_before_they_take_time() -> None:
    values = [None] * (MOST_VALUES - 1)
    assert decode(encode(values)) == values
    with pytest.raises(WireError, match="more than"):
        encode([*values, None])
    many = b"[" + LENGTH.pack(MOST_VALUES) + b"N" * MOST_VALUES
    with pytest.raises(WireError, match="more than"):
        decode(many)


def test_an_outcome_arrives_whole() -> None:
    row = ("returned", (1, 2.5), "message", "printed", (0, 1), True)
    assert outcomes_from([row], [CALL]) == [
        Outcome("returned", (1, 2.5), "message", "printed", (0, 1), True)
    ]


@pytest.mark.parametrize(
    "reply",
    [
        None,
        [],
        [()],
        ["returned"],
        [("passed", 1, "", "", (), False)],
        [("returned", [1], "", "", (), False)],
        [("returned", torch.ones(1), "", "", (), False)],
        [("returned", 1, "", "", (True,), False)],
        [("returned", 1, "", "", (2,), False)],
        [("returned", 1, "", "", [], False)],
        [("returned", 1, 2, "", (), False)],
        [("returned", 1, "", "", (), 1)],
        [("returned", 1, "", "", (), False)] * 2,
    ],
)
def test_a_claim_of_any_other_form_counts_as_a_crash(reply: object) -> None:
    with pytest.raises(Died):
        outcomes_from(reply, [CALL])


@pytest.mark.parametrize("reply", [None, ("passed", ""), ("ran",), ("ran", 1)])
def test_a_cell_that_claims_anything_else_counts_as_a_crash(reply: object) -> None:
    with pytest.raises(Died):
        ran_from(reply)


def test_what_cannot_be_displayed_is_replaced_and_long_texts_cut() -> None:
    _, message = ran_from(("raised", "a\x1b[2J\x00\nb" + "x" * 100_000))
    assert message.startswith("a?[2J?\nb")
    assert len(message) <= 4000
