"""GGUF files, written and read back, by ourselves and by the package."""

import sys

import gguf
import numpy as np
import pytest
import torch

from labkit.blocks import BLOCK_FORMATS, BlockTensor, read_gguf, write_gguf

X = torch.randn(4, 512, generator=torch.Generator().manual_seed(0))
IN_GGUF = [name for name in BLOCK_FORMATS if name not in ("mxfp8", "nf4")]


def test_what_is_written_is_read(tmp_path) -> None:
    path = tmp_path / "model.gguf"
    stored = {name: BlockTensor.of(X, name) for name in IN_GGUF}
    plain = {"float": X, "half": X.half()}
    facts = {"labkit.note": "a text", "labkit.layers": 3, "labkit.rate": 0.25, "labkit.yes": True}
    write_gguf(path, {**stored, **plain}, facts, architecture="test")
    file = read_gguf(path)
    assert file.metadata == {"general.architecture": "test", **facts}
    assert list(file.tensors) == [*stored, *plain]
    for name, tensor in stored.items():
        found = file.tensors[name]
        assert (found.format, found.shape) == (name, (4, 512))
        assert found.bits_per_weight == BLOCK_FORMATS[name].bits_per_weight
        assert torch.equal(found.decode(), tensor.decode())
    assert torch.equal(file.tensors["float"].decode(), X)
    assert torch.equal(file.tensors["half"].decode(), X.half().float())
    for tensor in gguf.GGUFReader(path).tensors:
        theirs = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(4, 512)
        assert np.array_equal(theirs, file.tensors[tensor.name].decode().numpy())


def test_formats_that_are_not_ours_are_read_with_the_package(tmp_path) -> None:
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "test")
    raw = np.random.default_rng(0).integers(0, 50, (2, 210), dtype=np.uint8)
    writer.add_tensor("w", raw, raw_dtype=gguf.GGMLQuantizationType.Q6_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = read_gguf(path).tensors["w"]
    assert (found.format, found.shape, found.bits_per_weight) == ("q6_k", (2, 256), 6.5625)
    theirs = gguf.dequantize(raw, gguf.GGMLQuantizationType.Q6_K)
    assert np.array_equal(found.decode().numpy(), theirs)


def test_what_gguf_does_not_have_is_refused(tmp_path) -> None:
    path = tmp_path / "model.gguf"
    with pytest.raises(ValueError, match="w is in nf4, which GGUF does not have; expected one of"):
        write_gguf(path, {"w": BlockTensor.of(X, "nf4")})
    with pytest.raises(ValueError, match="w has rows of 3 values; GGUF expects whole blocks of 32"):
        write_gguf(path, {"w": BlockTensor.of(X[:, :3], "q4_0")})
    with pytest.raises(TypeError, match=r"w has dtype torch\.int64; expected float32 or float16"):
        write_gguf(path, {"w": torch.ones(3, dtype=torch.int64)})
    with pytest.raises(TypeError, match="metadata 'a' is of type dict"):
        write_gguf(path, {"w": X}, {"a": {1: 2}})


def test_a_file_that_is_none_is_refused(tmp_path) -> None:
    path = tmp_path / "model.gguf"
    for content in (b"", b"PK\x03\x04" * 30, b"GGUF"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read as a GGUF file"):
            read_gguf(path)
    with pytest.raises(FileNotFoundError):
        read_gguf(tmp_path / "nowhere.gguf")


def test_a_missing_package_is_said(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ImportError, match=r"install it with pip install -e"):
        read_gguf(tmp_path / "model.gguf")
