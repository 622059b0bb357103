"""GGUF files: what people download, opened and written through the package gguf.

GGUF is the file format of llama.cpp: metadata by name, and tensors in one of the formats of
`labkit.blocks.formats` or of others. The package is an extra: ``pip install gguf``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labkit.blocks.coding import BlockTensor
from labkit.blocks.formats import BLOCK_FORMATS
from labkit.validation import instance_of

__all__ = ["GGUFFile", "StoredTensor", "read_gguf", "write_gguf"]

MetadataValue = str | int | float | bool | np.uint32 | np.float32 | list
PLAIN = {torch.float32: "f32", torch.float16: "f16"}
NOT_IN_GGUF = ("mxfp8", "nf4")


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor as it lies in a file.

    Attributes
    ----------
    format : str
        In small letters: "q4_0", "f32", "q6_k".
    shape : tuple of int
        Of the values, in torch's order: a matrix is [out, in].
    data : Tensor
        uint8: the bytes as they are stored.
    """

    format: str
    shape: tuple[int, ...]
    data: Tensor

    def decode(self) -> Tensor:
        """Return the values, float32.

        For a format in `BLOCK_FORMATS` with `labkit.blocks.decode`, for others with the package
        gguf.
        """
        if self.format in BLOCK_FORMATS:
            format = BLOCK_FORMATS[self.format]
            blocks = self.data.reshape(*self.shape[:-1], -1, format.bytes)
            return BlockTensor(format, self.shape, blocks).decode()
        gguf = _package()
        kind = gguf.GGMLQuantizationType[self.format.upper()]
        values = gguf.dequantize(self.data.numpy().reshape(*self.shape[:-1], -1), kind)
        return torch.from_numpy(values.copy()).float().reshape(self.shape)

    @property
    def bits_per_weight(self) -> float:
        """All bits that are stored, over the values."""
        return 8 * self.data.numel() / math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class GGUFFile:
    """What a GGUF file holds.

    Attributes
    ----------
    metadata : dict
        Name to text, number, truth value, or list of these.
    tensors : dict of str to StoredTensor
        In the order of the file.
    """

    metadata: dict[str, Any]
    tensors: dict[str, StoredTensor]


def read_gguf(path: str | PathLike) -> GGUFFile:
    """Read a GGUF file; tensors stay in the bytes of the file until they are decoded.

    Parameters
    ----------
    path : path
        Of the file.

    Raises
    ------
    ImportError
        If the package gguf is not installed.
    ValueError
        If the file is no GGUF file.
    """
    gguf = _package()
    try:
        reader = gguf.GGUFReader(fspath(path))
    except FileNotFoundError:
        raise
    except Exception as error:
        # The reader fails in many ways on what is no GGUF file, all of which mean that.
        raise ValueError(
            f"{fspath(path)} cannot be read as a GGUF file ({error}); expected one that begins "
            "with the letters GGUF, whole. Was the download interrupted?"
        ) from error
    metadata = {
        name: entry.contents()
        for name, entry in reader.fields.items()
        if not name.startswith("GGUF.")
    }
    tensors = {
        tensor.name: StoredTensor(
            tensor.tensor_type.name.lower(),
            tuple(int(size) for size in reversed(tensor.shape)),
            torch.from_numpy(tensor.data.copy()).contiguous().view(torch.uint8).flatten(),
        )
        for tensor in reader.tensors
    }
    return GGUFFile(metadata, tensors)


def write_gguf(
    path: str | PathLike,
    tensors: Mapping[str, Tensor | BlockTensor],
    metadata: Mapping[str, MetadataValue] | None = None,
    architecture: str = "labkit",
) -> None:
    """Write a GGUF file.

    Parameters
    ----------
    path : path
        Of the file; one that is there is replaced.
    tensors : mapping
        Name to a float32 or float16 tensor, or to a `BlockTensor`, whose rows must be whole blocks.
    metadata : mapping, optional
        Name to text, number or truth value, or to a list of these. Whole numbers are written as
        int64 and others as float64; np.uint32 and np.float32 as what they are.
    architecture : str
        What "general.architecture" says.

    Raises
    ------
    ImportError
        If the package gguf is not installed.
    TypeError, ValueError
        If a tensor is of another kind, its format is not in GGUF (mxfp8, nf4), or its rows are not
        whole blocks.
    """
    gguf = _package()
    prepared = {name: _prepared(name, tensor) for name, tensor in tensors.items()}
    writer = gguf.GGUFWriter(fspath(path), architecture)
    for name, value in (metadata or {}).items():
        _add(writer, name, value)
    for name, (data, format) in prepared.items():
        writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType[format.upper()])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _prepared(name: str, tensor: Tensor | BlockTensor) -> tuple[Any, str]:
    """Return the bytes in the shape that the writer expects, and the name of the format."""
    if isinstance(tensor, BlockTensor):
        if tensor.format.name in NOT_IN_GGUF:
            raise ValueError(
                f"{name} is in {tensor.format.name}, which GGUF does not have; expected one of "
                f"{', '.join(f for f in BLOCK_FORMATS if f not in NOT_IN_GGUF)}."
            )
        if tensor.shape[-1] % tensor.format.block_size:
            raise ValueError(
                f"{name} has rows of {tensor.shape[-1]} values; GGUF expects whole blocks of "
                f"{tensor.format.block_size}. Store it as a float32 tensor."
            )
        return tensor.data.flatten(-2).contiguous().numpy(), tensor.format.name
    tensor = instance_of(tensor, Tensor, name, "BlockTensor.of(x, 'q4_0')").detach().contiguous()
    if tensor.dtype not in PLAIN:
        raise TypeError(f"{name} has dtype {tensor.dtype}; expected float32 or float16.")
    return tensor.numpy(), PLAIN[tensor.dtype]


def _add(writer: Any, name: str, value: MetadataValue) -> None:
    if isinstance(value, bool):
        writer.add_bool(name, value)
    elif isinstance(value, int):
        writer.add_int64(name, value)
    elif isinstance(value, float):
        writer.add_float64(name, value)
    elif isinstance(value, str):
        writer.add_string(name, value)
    elif isinstance(value, np.uint32):
        writer.add_uint32(name, int(value))
    elif isinstance(value, np.float32):
        writer.add_float32(name, float(value))
    elif isinstance(value, list) and value:
        writer.add_array(name, value)
    else:
        raise TypeError(
            f"metadata {name!r} is of type {type(value).__name__}; expected text, a number, a "
            "truth value, or a list of these that is not empty."
        )


def _package() -> ModuleType:
    try:
        import gguf
    except ImportError as error:
        raise ImportError(
            "GGUF files need the package gguf, which is not installed; install it with "
            'pip install -e ".[gguf]" in the folder of the course.'
        ) from error
    return gguf
