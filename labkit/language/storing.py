"""Language models in safetensors files: tensors, and all else as metadata. No code is in them.

A layer whose weights are rounded is stored as its codes, two of 4 bits or four of 2 in a byte, with
scales and zero points; other weights in the dtype that they have.
"""

import json
import os
from dataclasses import asdict
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from labkit.language.cache import cache_bytes
from labkit.language.few_bit import (
    FewBitLinear,
    TensorGrid,
    TokenGrid,
    few_bit_copy,
    few_bit_layers,
    linear_layers,
)
from labkit.language.model import Config, LanguageModel
from labkit.language.outliers import INT8
from labkit.language.tokenizers import CharacterTokenizer
from labkit.linear import QParams, Scheme, pack, unpack

__all__ = ["bytes_by_kind", "read_model", "save_model"]

PACKED = (2, 4)
SCALE_BITS = 16


def bytes_by_kind(
    model: LanguageModel, float_bits: int = 16, cache_bits: float = 16
) -> dict[str, float]:
    """Return what a model takes: "weights" of the blocks, "embedding", "cache a token".

    Parameters
    ----------
    model : LanguageModel
    float_bits : int
        Of a weight that is not rounded; the embedding's, and the head's if it has its own matrix.
    cache_bits : float
        Of a key or value, scales included.

    Returns
    -------
    dict of str to float
        Bytes. Rounded weights count with their scales (16 bits each) and, where the scheme is not
        symmetric, zero points (as many bits as a code). Of a layer that multiplies as LLM.int8
        does, all columns count as rounded.
    """
    bits = sum(_bits(layer, float_bits) for layer in linear_layers(model).values())
    matrices = {id(w): w for w in (model.embedding.weight, model.head.weight)}.values()
    c = model.config
    return {
        "weights": bits / 8,
        "embedding": float_bits / 8 * sum(w.numel() for w in matrices),
        "cache a token": cache_bytes(1, c.blocks, c.kv_heads, c.head_width, 0, cache_bits),
    }


def _bits(layer: nn.Linear, float_bits: int) -> int:
    """Return what the weights of a layer take."""
    scheme, scales = None, 0
    if isinstance(layer, FewBitLinear) and layer.qparams is not None:
        scheme, scales = layer.qparams.scheme, layer.qparams.scale.numel()
    elif isinstance(layer, FewBitLinear) and layer.threshold is not None:
        scheme, scales = INT8, layer.out_features
    if scheme is None:
        return float_bits * layer.weight.numel()
    beside = SCALE_BITS + (0 if scheme.symmetric else scheme.bits)
    return scheme.bits * layer.weight.numel() + beside * scales


def save_model(
    model: LanguageModel, path: str | PathLike, tokenizer: CharacterTokenizer | None = None
) -> int:
    """Write a model to a file, whole or not at all; return its size in bytes.

    Parameters
    ----------
    model : LanguageModel
        Rounded or not. A head that is the embedding's matrix is written once.
    path : path
        Replaced if it exists.
    tokenizer : CharacterTokenizer, optional
        Written too.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    layers = few_bit_layers(model)
    tensors: dict[str, Tensor] = {}
    described: dict[str, dict[str, Any]] = {}
    for name, layer in layers.items():
        described[name] = _describe(layer)
        if layer.q is not None and layer.qparams is not None:
            tensors |= {f"{name}.{key}": t for key, t in _tensors(layer.q, layer.qparams).items()}
    for name, parameter in model.named_parameters():
        if described.get(name.removesuffix(".weight"), {}).get("scheme") is None:
            tensors[name] = parameter.detach().contiguous()
    metadata = {"config": json.dumps(asdict(model.config)), "layers": json.dumps(described)}
    if tokenizer is not None:
        metadata["characters"] = json.dumps(tokenizer.characters)
    new = Path(f"{fspath(path)}.{os.getpid()}.new")
    try:
        save_file(tensors, new, metadata)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
    return Path(path).stat().st_size


def read_model(path: str | PathLike) -> tuple[LanguageModel, CharacterTokenizer | None]:
    """Read what `save_model` wrote: the model as float32, in eval mode, and its tokenizer.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is of another kind, or damaged.
    """
    try:
        with safe_open(fspath(path), "pt") as file:
            metadata: dict[str, Any] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = Config(**json.loads(metadata["config"]))
        described = json.loads(metadata.get("layers", "{}"))
        characters = json.loads(metadata.get("characters", "null"))
        codes = {
            name: _codes(tensors, name, entry)
            for name, entry in described.items()
            if entry["scheme"] is not None
        }
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{fspath(path)} cannot be read as a language model ({error!r}); expected a file from "
            "labkit.language.save_model."
        ) from error
    with torch.device("meta"):
        model = LanguageModel(config)
    for name, (q, _) in codes.items():
        tensors[f"{name}.weight"] = torch.empty(q.shape)
    model.place({name: tensor.float() for name, tensor in tensors.items()})
    if described:
        model = few_bit_copy(model)
    for name, layer in few_bit_layers(model).items():
        if name in codes:
            layer.store(*codes[name])
        layer.rotated = described[name]["rotated"]
        layer.threshold = described[name]["threshold"]
        layer.activation = _activation(described[name]["activation"])
    return model.eval(), None if characters is None else CharacterTokenizer(characters)


def _describe(layer: FewBitLinear) -> dict[str, Any]:
    """Return all but the tensors, as JSON can hold it."""
    activation: Any = None
    if isinstance(layer.activation, TokenGrid):
        activation = {"scheme": asdict(layer.activation.scheme)}
    elif isinstance(layer.activation, TensorGrid):
        grid = layer.activation.qparams
        activation = {
            "scheme": asdict(grid.scheme),
            "scale": float(grid.scale),
            "zero_point": int(grid.zero_point),
        }
    entry: dict[str, Any] = {"rotated": layer.rotated, "threshold": layer.threshold}
    entry |= {"activation": activation, "scheme": None}
    if layer.qparams is not None:
        entry["scheme"] = asdict(layer.qparams.scheme)
        entry["shape"] = list(layer.weight.shape)
        entry["axis"], entry["group_size"] = layer.qparams.axis, layer.qparams.group_size
    return entry


def _tensors(q: Tensor, qparams: QParams) -> dict[str, Tensor]:
    bits = qparams.scheme.bits
    tensors = {"q": pack(q, bits) if bits in PACKED else q.contiguous(), "scale": qparams.scale}
    if not qparams.scheme.symmetric:
        tensors["zero_point"] = qparams.zero_point.to(qparams.scheme.dtype)
    return tensors


def _codes(tensors: dict[str, Tensor], name: str, entry: dict) -> tuple[Tensor, QParams]:
    """Take a layer's codes and grid out of the tensors of a file."""
    scheme = Scheme(**entry["scheme"])
    q, scale = tensors.pop(f"{name}.q"), tensors.pop(f"{name}.scale")
    if scheme.bits in PACKED:
        q = unpack(q, scheme.bits, entry["shape"], scheme.signed)
    middle = torch.full(scale.shape, scheme.middle)
    zero_point = middle if scheme.symmetric else tensors.pop(f"{name}.zero_point").int()
    return q, QParams(scale, zero_point, scheme, entry["axis"], entry["group_size"])


def _activation(entry: dict | None) -> TokenGrid | TensorGrid | None:
    if entry is None:
        return None
    scheme = Scheme(**entry["scheme"])
    if "scale" not in entry:
        return TokenGrid(scheme)
    return TensorGrid(QParams(entry["scale"], entry["zero_point"], scheme))
