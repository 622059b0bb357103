"""Integer networks as ONNX files, in QDQ form: for ONNX Runtime and what else reads them.

Every tensor of the file is float, between a DequantizeLinear and a QuantizeLinear with the grids of
the network; a runtime joins an operation with those around it to one integer kernel. It rounds by
its own rules, so that a code can differ by one where `labkit` sees a tie.

Needs the package `onnx` (``pip install labkit[onnx]``).
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from labkit.ptq.network import QuantizedModel
from labkit.ptq.onnx.emitters import emit
from labkit.ptq.onnx.export import Export
from labkit.ptq.onnx.graph import Graph
from labkit.ptq.onnx.weights import STORED
from labkit.validation import instance_of

INPUT, OUTPUT = "images", "logits"
BATCHES = (2, 3)  # two sizes of batch tell which sizes of a tensor depend on it


def export_onnx(
    model: QuantizedModel,
    path: str | os.PathLike,
    image_shape: Sequence[int] = (1, 28, 28),
    weights: str = "uint8",
) -> int:
    """Write an integer network as an ONNX file in QDQ form.

    Parameters
    ----------
    model : QuantizedModel
    path : path
        The file, which is replaced if it exists.
    image_shape : sequence of int
        The sizes of one input, for images channels, height and width; their number is left open.
    weights : str
        How the weights are stored. "uint8": right on every processor, whatever the bits of the
        network. "int8": refused where it could be wrong, which leaves weights or activations of at
        most 7 bits, ``Scheme(7, symmetric=True)``; faster where the processor has VNNI.

    Returns
    -------
    int
        The size of the file in bytes.

    Raises
    ------
    TypeError
        If `model` is no QuantizedModel.
    ValueError
        If images of that shape do not fit the network, a step has no form in ONNX, or int8 weights
        would not be safe; nothing is written then.
    ImportError
        If the package `onnx` is missing.

    Notes
    -----
    ONNX operators QuantizeLinear and DequantizeLinear, opset 19. Codes of all activations are
    stored as uint8, counted from the lowest, and weights as ``q_w - Z_w + 128``; those of fewer
    than 8 bits take 8 in the file.

    Why not int8 weights: where a processor has AVX2 but not VNNI, the fastest product of uint8 with
    int8 adds two neighbours in int16, which saturates (``255 * 127 + 255 * 127 > 32767``), and ONNX
    Runtime takes it. Products of uint8 with uint8 are exact there, and
    everywhere else. So are products of which one side has 7 bits.
    """
    instance_of(model, QuantizedModel, "model", "quantize_model(model, batches)")
    if weights not in STORED:
        raise ValueError(f"weights is {weights!r}; expected one of {', '.join(map(repr, STORED))}.")
    try:
        import onnx
    except ImportError as error:
        raise ImportError("export_onnx needs the package onnx: pip install labkit[onnx]") from error
    _check(model)
    shapes, sizes, values = _shapes(model, tuple(image_shape))
    graph = Graph(onnx, model.qparams)
    graph.quantize(model.input_name, INPUT)
    export = Export(model, graph, shapes, values, weights)
    for step in model.steps:
        emit(export, step)
    last = model.outputs
    graph.dequantize(last, OUTPUT)
    content = graph.model(INPUT, ["N", *image_shape], OUTPUT, sizes[last]).SerializeToString()
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)
    return len(content)


def _check(model: QuantizedModel) -> None:
    """Refuse what has no place in a file of integers."""
    real = [step.name for step in model.steps if step.kind == "real"]
    if real:
        raise ValueError(
            f"step {real[0]!r} computes with real numbers; expected integers from the images to "
            "the result. Export the network without what follows its last layer, or its islands."
        )
    if len(model.input_names) > 1 or not isinstance(model.outputs, str):
        raise ValueError(
            f"the network takes {', '.join(model.input_names)} and returns {model.outputs}; "
            "expected one tensor each."
        )


def _shapes(
    model: QuantizedModel, image_shape: tuple[int, ...]
) -> tuple[dict[str, list[int]], dict[str, list[int | str]], dict[str, Any]]:
    """Return the shape of every tensor, with "N" for what depends on the batch, and the values."""
    found, values = [], []
    for number in BATCHES:
        try:
            with torch.inference_mode():
                values.append(model.values(torch.zeros(number, *image_shape)))
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"image_shape is {image_shape}, which does not fit the network: {error} Expected "
                "the sizes of one of its images, for example (3, 224, 224)."
            ) from error
        tensors = {n: v for n, v in values[-1].items() if isinstance(v, torch.Tensor)}
        found.append({name: list(codes.shape) for name, codes in tensors.items()})
    few, more = found
    sizes = {
        name: [a if a == b else "N" for a, b in zip(shape, more[name], strict=True)]
        for name, shape in few.items()
    }
    return few, sizes, values[0]
