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
from labkit.ptq.onnx.exact import emit_exact
from labkit.ptq.onnx.export import Export
from labkit.ptq.onnx.graph import Graph
from labkit.ptq.onnx.weights import STORED
from labkit.ptq.plan import placed_outputs
from labkit.validation import instance_of

INPUT, OUTPUT = "images", "logits"
BATCHES = (2, 3)  # two sizes of batch tell which sizes of a tensor depend on it


def export_onnx(
    model: QuantizedModel,
    path: str | os.PathLike,
    image_shape: Sequence[Any] = (1, 28, 28),
    weights: str = "uint8",
    exact: bool = False,
) -> int:
    """Write an integer network as an ONNX file in QDQ form.

    Parameters
    ----------
    model : QuantizedModel
    path : path
        The file, which is replaced if it exists.
    image_shape : sequence of int, or sequence of such
        The sizes of one input, for images channels, height and width; their number is left open.
        Of several inputs, a sequence for each.
    weights : str
        How the weights are stored. "uint8": right on every processor, whatever the bits of the
        network. "int8": refused where it could be wrong, which leaves weights or activations of at
        most 7 bits, ``Scheme(7, symmetric=True)``; faster where the processor has VNNI.
    exact : bool
        True: not in QDQ form, but so that every runtime gives the very integers of `model`, to the
        last code (`labkit.ptq.onnx.exact`); several times slower. In QDQ form a runtime rounds by
        its own rules, and some codes in a million differ by one; a network that spreads errors,
        as one of random weights does, can make other classes of that.

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
    One input is called "images" and one result "logits"; several have the names of the forward's
    arguments, and of the places in what it returns: "features.0" for ``{"features": [x]}``, with
    ".result" behind it if an input has that name.

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
    if exact and model.requantization != "float":
        raise ValueError(
            f"the network requantizes by {model.requantization!r}; expected 'float' with "
            'exact=True. Export model.using(requantization="float").'
        )
    outputs = _outputs(model)
    shapes, sizes, values = _shapes(model, _image_shapes(model, image_shape))
    inputs = {_input(model, name): name for name in model.input_names}
    graph = Graph(onnx, model.qparams)
    for given, name in inputs.items():
        graph.quantize(name, given)
    export = Export(model, graph, shapes, sizes, values, weights)
    for step, operation in zip(model.steps, model.operations, strict=True):
        if not (exact and emit_exact(export, step, operation)):
            emit(export, step)
    for result, name in outputs.items():
        graph.dequantize(name, result)
    described = [{key: sizes[name] for key, name in ends.items()} for ends in (inputs, outputs)]
    content = graph.model(*described).SerializeToString()
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)
    return len(content)


def _input(model: QuantizedModel, name: str) -> str:
    return INPUT if len(model.input_names) == 1 else name


def _image_shapes(model: QuantizedModel, given: Sequence[Any]) -> list[tuple[int, ...]]:
    """Return the sizes of each input."""
    shapes = [given] if all(isinstance(size, int) for size in given) else given
    if len(shapes) != len(model.input_names):
        raise ValueError(
            f"image_shape is {given}, for {len(shapes)} inputs; expected the sizes of each of "
            f"{', '.join(model.input_names)}: [(3, 32, 32), (1, 32, 32)]."
        )
    return [tuple(shape) for shape in shapes]


def _outputs(model: QuantizedModel) -> dict[str, str]:
    """Return the tensor of each result, by the name that it gets; refuse what is no integer."""
    real = [step.name for step in model.steps if step.kind == "real"]
    if real:
        raise ValueError(
            f"step {real[0]!r} computes with real numbers; expected integers from the images to "
            "the result. Export the network without what follows its last layer, or its islands."
        )
    if isinstance(model.outputs, str):
        return {OUTPUT: model.outputs}
    inputs = {_input(model, name) for name in model.input_names}
    places = [(".".join(place), name) for place, name in placed_outputs(model.outputs)]
    return {f"{key}.result" if key in inputs else key: name for key, name in places}


def _shapes(
    model: QuantizedModel, image_shapes: Sequence[tuple[int, ...]]
) -> tuple[dict[str, list[int]], dict[str, list[int | str]], dict[str, Any]]:
    """Return the shape of every tensor, with "N" for what depends on the batch, and the values."""
    found, values = [], []
    for number in BATCHES:
        try:
            with torch.inference_mode():
                values.append(model.values(*(torch.zeros(number, *s) for s in image_shapes)))
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"image_shape is {', '.join(map(str, image_shapes))}, which does not fit the "
                f"network: {error} Expected the sizes of one of its images, such as (3, 224, 224)."
            ) from error
        tensors = {n: v for n, v in values[-1].items() if isinstance(v, torch.Tensor)}
        found.append({name: list(codes.shape) for name, codes in tensors.items()})
    few, more = found
    sizes = {
        name: [a if a == b else "N" for a, b in zip(shape, more[name], strict=True)]
        for name, shape in few.items()
    }
    return few, sizes, values[0]
