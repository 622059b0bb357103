"""How values travel into and out of the sandbox: a small binary format of our own.

Each value is one byte that names its kind, then its content; all lengths are checked against what
is left before anything is allocated, and nothing in it can name a type, a module or a function. The
one thing that is code, an implementation to be tested, is read on the way in only.
What comes out of a sandbox is written by a student's process: `decode` takes any bytes and either
returns plain values or raises `WireError`. (Unpickling, by contrast, runs code.)
"""

import math
import os
import struct
from typing import Any

import numpy as np
import torch

from labkit.checks.implementation import Implementation

# The position in this tuple is what is written; add new ones at the end.
DTYPES = (
    *("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    *("float32", "float64", "float16", "bfloat16"),
)
TENSORS_ONLY = ("bfloat16",)
DEEPEST = 12
LARGEST = 1 << 24  # bytes in a frame
MOST_VALUES = 1 << 16  # in a frame; an array counts as one
LONGEST_INT = 16  # bytes: larger integers come from no exercise
MOST_AXES = 16
LENGTH = struct.Struct("<Q")


class WireError(ValueError):
    """Bytes that are not a value, or a value that cannot be sent."""


def encode(value: object) -> bytes:
    """Write None, bool, int, float, str, array, tensor, implementation, and tuples of these.

    Tensors keep their strides, so that a transposed input arrives as one.

    Raises
    ------
    WireError
        For anything else, and for what `decode` would refuse.
    """
    parts: list[bytes] = []
    _write(value, parts, 0)
    data = b"".join(parts)
    if len(data) > LARGEST:
        raise WireError(f"a value of {len(data)} bytes; at most {LARGEST} can be sent.")
    return data


def decode(data: bytes, tensors: bool = True) -> Any:
    """Read what `encode` wrote.

    Parameters
    ----------
    data : bytes
        From anyone.
    tensors : bool
        Whether there may be tensors and implementations in it; results hold arrays only.

    Raises
    ------
    WireError
        If `data` is anything else.
    """
    reader = _Reader(data, tensors)
    value = reader.value(0)
    if reader.left:
        raise WireError(f"{reader.left} bytes too many.")
    return value


def write_frame(descriptor: int, data: bytes) -> None:
    """Write `data` behind its length."""
    view = memoryview(LENGTH.pack(len(data)) + data)
    while view:
        view = view[os.write(descriptor, view) :]


def read_frame(descriptor: int) -> bytes | None:
    """Read one frame from a writer that is trusted; None at the end of the stream."""
    head = _read_exactly(descriptor, LENGTH.size)
    return None if head is None else _read_exactly(descriptor, LENGTH.unpack(head)[0])


def _read_exactly(descriptor: int, count: int) -> bytes | None:
    parts = []
    while count:
        part = os.read(descriptor, min(count, 1 << 20))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _write(value: object, parts: list[bytes], depth: int) -> None:
    if depth > DEEPEST or len(parts) == MOST_VALUES:
        raise WireError(f"more than {MOST_VALUES} values, or nested more than {DEEPEST} deep.")
    # One part a value.
    if value is None:
        parts.append(b"N")
    elif type(value) is bool:
        parts.append(b"T" if value else b"F")
    elif type(value) is int:
        size = (value if value >= 0 else ~value).bit_length() // 8 + 1
        if size > LONGEST_INT:
            raise WireError(f"an int of {value.bit_length()} bits")
        parts.append(b"I" + bytes([size]) + value.to_bytes(size, "little", signed=True))
    elif type(value) is float:
        parts.append(b"D" + struct.pack("<d", value))
    elif type(value) is str:
        text = value.encode("utf-8", "replace")
        parts.append(b"S" + LENGTH.pack(len(text)) + text)
    elif type(value) in (tuple, list):
        items = list(value)  # type: ignore[call-overload]
        parts.append((b"(" if type(value) is tuple else b"[") + LENGTH.pack(len(items)))
        for item in items:
            _write(item, parts, depth + 1)
    elif type(value) is np.ndarray:
        content = np.ascontiguousarray(value).tobytes()
        parts.append(b"A" + _head(value.dtype.name, value.shape, "array") + content)
    elif isinstance(value, torch.Tensor):
        parts.append(_tensor(value))
    elif type(value) is Implementation:
        parts.append(b"P")
        _write((value.name, value.parameters, value.program), parts, depth + 1)
    else:
        raise WireError(f"a {type(value).__name__}")


def _head(dtype: str, shape: tuple[int, ...], kind: str) -> bytes:
    if dtype not in DTYPES or (kind == "array" and dtype in TENSORS_ONLY):
        raise WireError(f"an {kind} of dtype {dtype}" if kind == "array" else f"a {dtype} tensor")
    if len(shape) > MOST_AXES:
        raise WireError(f"{len(shape)} axes; at most {MOST_AXES} can be sent.")
    return struct.pack(f"<BB{len(shape)}Q", DTYPES.index(dtype), len(shape), *shape)


def _tensor(value: torch.Tensor) -> bytes:
    value = value.detach()
    head = _head(str(value.dtype).removeprefix("torch."), tuple(value.shape), "tensor")
    span = _span(tuple(value.shape), value.stride())
    flat = value.as_strided((span,), (1,)).clone().view(torch.uint8)
    strides = struct.pack(f"<{value.ndim}Q", *value.stride())
    return b"X" + head + strides + flat.numpy().tobytes()


def _span(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Return how many neighbouring elements in memory a strided tensor reaches over."""
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))


class _Reader:
    """Reads values from bytes that anyone may have written."""

    def __init__(self, data: bytes, tensors: bool) -> None:
        if len(data) > LARGEST:
            raise WireError(f"{len(data)} bytes; at most {LARGEST} are read.")
        self._data = data
        self._tensors = tensors
        self._at = 0
        self._values = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def value(self, depth: int) -> Any:
        self._values += 1
        if depth > DEEPEST or self._values > MOST_VALUES:
            raise WireError(f"more than {MOST_VALUES} values, or nested more than {DEEPEST} deep.")
        kind = self._take(1)
        if kind in b"NTF":
            return {b"N": None, b"T": True, b"F": False}[kind]
        if kind == b"I":
            size = self._take(1)[0]
            if not 1 <= size <= LONGEST_INT:
                raise WireError(f"an int of {size} bytes.")
            return int.from_bytes(self._take(size), "little", signed=True)
        if kind == b"D":
            return struct.unpack("<d", self._take(8))[0]
        if kind == b"S":
            try:
                return self._take(self._length()).decode("utf-8")
            except UnicodeDecodeError as error:
                raise WireError(f"text that is none: {error.reason}.") from None
        if kind in b"([":
            items = [self.value(depth + 1) for _ in range(self._length())]
            return tuple(items) if kind == b"(" else items
        if kind == b"A":
            return self._array()
        if kind == b"X" and self._tensors:
            return self._tensor()
        if kind == b"P" and self._tensors:
            return self._implementation(self.value(depth + 1))
        raise WireError(f"unknown kind {kind!r}.")

    def _implementation(self, content: object) -> Implementation:
        match content:
            case (str(name), (*parameters,), str(program)):
                return Implementation(name, tuple(map(str, parameters)), program)
        raise WireError("an implementation without a name, parameters and a program.")

    def _take(self, count: int) -> bytes:
        if count > self.left:
            raise WireError(f"{count} bytes announced, {self.left} left.")
        self._at += count
        return self._data[self._at - count : self._at]

    def _length(self) -> int:
        length = LENGTH.unpack(self._take(LENGTH.size))[0]
        if length > self.left:
            # Every item takes a byte at least, so no honest length is larger than what is left.
            raise WireError(f"{length} items announced, {self.left} bytes left.")
        return length

    def _head(self) -> tuple[str, tuple[int, ...]]:
        code, axes = self._take(2)
        if code >= len(DTYPES) or axes > MOST_AXES:
            raise WireError(f"dtype {code} with {axes} axes.")
        return DTYPES[code], struct.unpack(f"<{axes}Q", self._take(8 * axes))

    def _array(self) -> np.ndarray:
        name, shape = self._head()
        if name in TENSORS_ONLY:
            raise WireError(f"an array of dtype {name}.")
        dtype = np.dtype(name)
        self._small_enough(shape)
        content = self._take(math.prod(shape) * dtype.itemsize)
        if name == "bool":
            # Any byte but 0 and 1 would be a bool that is neither True nor False.
            return (np.frombuffer(content, np.uint8) != 0).reshape(shape)
        return np.frombuffer(content, dtype).reshape(shape).copy()

    def _tensor(self) -> torch.Tensor:
        name, shape = self._head()
        strides = struct.unpack(f"<{len(shape)}Q", self._take(8 * len(shape)))
        self._small_enough(shape)
        if max(strides, default=0) > LARGEST:
            raise WireError(f"a tensor with strides {strides}.")
        dtype = getattr(torch, name)
        span = _span(shape, strides)
        content = bytearray(self._take(span * dtype.itemsize))
        if not content:
            return torch.empty(shape, dtype=dtype)
        flat = torch.frombuffer(content, dtype=torch.uint8).view(dtype)
        return flat.as_strided(shape, strides)

    def _small_enough(self, shape: tuple[int, ...]) -> None:
        # Zeros hide the size of the other axes: (2**60, 0) takes no bytes.
        if math.prod(max(size, 1) for size in shape) > LARGEST:
            raise WireError(f"an array of shape {shape}.")
