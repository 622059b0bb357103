"""Integer networks on disk: safetensors, with codes packed and everything else as metadata.

Tensors: ``LAYER.q_w`` (uint8, packed, for 2 and 4 bits), ``LAYER.scale``, ``LAYER.zero_point``
(where the scheme is not symmetric) and ``LAYER.bias``. Metadata: ``format``; ``network``, JSON
with the steps, the grids of the tensors between them, and scheme and shape of the weights; and
``sha256`` of the network and all tensors, so that a damaged file is no other network. No code is in
the file, and none runs when it is read.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from labkit.packing import pack, unpack
from labkit.ptq.network import QuantizedModel
from labkit.ptq.plan import Step, Weights
from labkit.qparams import QParams, Scheme
from labkit.validation import instance_of

FORMAT = "labkit integer network 1"
PACKED = (2, 4)


def save(model: QuantizedModel, path: str | os.PathLike) -> int:
    """Write an integer network to a file, whole or not at all.

    Parameters
    ----------
    model : QuantizedModel
    path : path
        The file, which is replaced if it exists.

    Returns
    -------
    int
        Its size in bytes.

    Raises
    ------
    TypeError
        If `model` is no QuantizedModel.
    OSError
        If the file cannot be written.
    """
    instance_of(model, QuantizedModel, "model", "quantize_model(model, batches)")
    tensors: dict[str, Tensor] = {}
    described = {}
    for layer, weights in model.weights.items():
        qparams = weights.qparams
        bits = qparams.scheme.bits
        tensors[f"{layer}.q_w"] = pack(weights.q_w, bits) if bits in PACKED else weights.q_w
        tensors[f"{layer}.scale"] = qparams.scale
        if not qparams.scheme.symmetric:
            tensors[f"{layer}.zero_point"] = qparams.zero_point
        if weights.bias is not None:
            # Exact, from float16 and bfloat16 too; numpy, which writes the file, has no bfloat16.
            at_least = torch.promote_types(weights.bias.dtype, torch.float32)
            tensors[f"{layer}.bias"] = weights.bias.to(at_least)
        described[layer] = {
            "shape": list(weights.q_w.shape),
            "scheme": _scheme_fields(qparams.scheme),
            "axis": qparams.axis,
        }
    # Copies: two constants may share their memory, of which a file is told once.
    tensors |= {f"{name}.constant": value.clone() for name, value in model.constants.items()}
    alone = len(model.input_names) == 1
    network = {
        "input": model.input_name if alone else list(model.input_names),
        "steps": [_without_empty(asdict(step)) for step in model.steps],
        "grids": {name: _grid(qparams) for name, qparams in model.qparams.items()},
        "weights": described,
    }
    if model.constants:
        network["constants"] = list(model.constants)
    if model.outputs != model.steps[-1].name:
        network["outputs"] = model.outputs
    if model.requantization != "float":
        network["requantization"] = model.requantization
    text = json.dumps(network, separators=(",", ":"), allow_nan=False)
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "network": text, "sha256": _digest(text, tensors)}
    content = safetensors_bytes(tensors, metadata)
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)
    return len(content)


def load(path: str | os.PathLike, backend: str = "torch") -> QuantizedModel:
    """Read an integer network from a file that `save` wrote.

    Parameters
    ----------
    path : path
    backend : str
        "torch" or "reference".

    Returns
    -------
    QuantizedModel
        It computes the same integers as the one that was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is cut off, is something else, or describes a network that cannot be.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}; expected one that save wrote.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, UnicodeDecodeError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{str(path)!r} cannot be read ({error}); expected a file that save wrote. It may be "
            "cut off: copy or save it again."
        ) from error
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{str(path)!r} has format {metadata.get('format')!r}; expected {FORMAT!r}. Only files "
            "that labkit.ptq.save wrote can be loaded."
        )
    text = metadata.get("network", "")
    if metadata.get("sha256") != _digest(text, tensors):
        raise ValueError(
            f"{str(path)!r} is damaged: its content is not what was saved. Copy or save it again."
        )
    try:
        network = json.loads(text)
        weights = {
            layer: _weights(layer, fields, tensors) for layer, fields in network["weights"].items()
        }
        steps = [Step(**{**s, "inputs": tuple(s.get("inputs", ()))}) for s in network["steps"]]
        grids = {name: _qparams(fields) for name, fields in network["grids"].items()}
        constants = {n: tensors[f"{n}.constant"] for n in network.get("constants", [])}
        outputs = network.get("outputs")
        rule = network.get("requantization", "float")
        return QuantizedModel(
            network["input"], steps, weights, grids, backend, constants, outputs, rule
        )
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(
            f"{str(path)!r} describes no network that can run ({type(error).__name__}: {error}); "
            "expected it as save wrote it. Save it again."
        ) from error


def _digest(network: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of all that a file holds."""
    digest = hashlib.sha256(network.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _grid(qparams: QParams) -> dict[str, Any]:
    return {
        "scale": float(qparams.scale),
        "zero_point": int(qparams.zero_point),
        "scheme": _scheme_fields(qparams.scheme),
    }


def _scheme_fields(scheme: Scheme) -> dict[str, Any]:
    """Return what is not the default, to keep the file small."""
    plain = asdict(Scheme())
    return {name: value for name, value in asdict(scheme).items() if value != plain[name]}


def _without_empty(step: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in step.items() if value not in (None, {}, ())}


def _qparams(fields: Mapping[str, Any]) -> QParams:
    scale, zero_point = torch.tensor(fields["scale"]), torch.tensor(fields["zero_point"])
    return QParams(scale, zero_point, Scheme(**fields["scheme"]))


def _weights(layer: str, fields: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Weights:
    scheme = Scheme(**fields["scheme"])
    scale, q_w = tensors[f"{layer}.scale"], tensors[f"{layer}.q_w"]
    if scheme.bits in PACKED:
        q_w = unpack(q_w, scheme.bits, fields["shape"], scheme.signed)
    middle = torch.full(scale.shape, scheme.middle, dtype=torch.int32)
    zero_point = tensors.get(f"{layer}.zero_point", middle)
    qparams = QParams(scale, zero_point, scheme, fields["axis"])
    return Weights(q_w, qparams, tensors.get(f"{layer}.bias"))
