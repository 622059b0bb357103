"""What ONNX needs no arithmetic for: tables, and codes that come from other places.

For images of one size, whatever moves codes about is a list of where each code comes from; and what
sums them with fixed weights, axis by axis, is a product with two matrices.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labkit.ptq.functions import COMBINATIONS, MOVES, called
from labkit.ptq.onnx.export import Export
from labkit.ptq.plan import Step

LARGEST = {"amax": "ReduceMax", "amin": "ReduceMin"}


def write_table(export: Export, step: Step) -> None:
    """Write a function of one code: the code is the place of the result in a table."""
    graph, name, axis = export.graph, step.name, step.settings.get("axis")
    table = export.model.constants[name]
    lowest = export.model.qparams[name].scheme.qmin
    codes = (table.to(torch.int32) - lowest).numpy().astype(np.uint8)
    where = graph.node("Cast", [graph.codes(step.inputs[0])], f"{name}.where", to=INT32)
    if axis is not None:
        starts = np.arange(len(codes), dtype=np.int32) * codes.shape[1]
        starts = starts.reshape(-1, *[1] * (-axis - 1))
        operands = [where, graph.constant(f"{name}.starts", starts)]
        where = graph.node("Add", operands, f"{name}.place")
    flat = graph.constant(f"{name}.table", codes.reshape(-1))
    graph.clamp(name, graph.node("Gather", [flat, where], f"{name}.found"))


def write_constant(export: Export, step: Step) -> None:
    """Write the codes of a parameter, or of what is made of it: repeated for each image, or not.

    Raises
    ------
    ValueError
        If its sizes depend on the number of images in another way.
    """
    graph, name = export.graph, step.name
    export.fixed.add(name)
    value, sizes = export.values[name], export.sizes.get(name, [])
    if not isinstance(value, Tensor):
        return  # parts, which other steps take
    repeated = sizes[:1] == ["N"] and torch.equal(value[:1].expand_as(value), value)
    if "N" in sizes[repeated:]:
        raise _mixed(step)
    lowest = export.model.qparams[name].scheme.qmin
    codes = (value[:1] if repeated else value).to(torch.int32) - lowest
    constant = graph.constant(f"{name}.constant", codes.numpy().astype(np.uint8))
    if repeated:
        rest = graph.constant(f"{name}.sizes", np.array(sizes[1:], np.int64))
        shape = graph.node("Concat", [graph.images(), rest], f"{name}.shape", axis=0)
        constant = graph.node("Expand", [constant, shape], f"{name}.repeated")
    graph.clamp(name, constant)


def write_move(export: Export, step: Step) -> None:
    """Write what moves codes: each is gathered from where it was in its image.

    Raises
    ------
    ValueError
        If it mixes the images of a batch.
    """
    graph, name = export.graph, step.name
    source, values = step.inputs[0], [export.values[n] for n in step.inputs]
    if source in export.fixed:
        write_constant(export, step)
        return
    if step.settings["function"] in LARGEST:
        _write_largest(export, step)
        return
    origin, places = export.places.get(source, (source, None))
    if places is None:
        places = torch.arange(values[0].numel(), dtype=torch.float64).reshape(values[0].shape)
    moved = called(MOVES[step.settings["function"]], step.settings, [places, *values[1:]])
    if not isinstance(moved, Tensor):
        export.places[name] = origin, moved  # parts, which other steps take apart
        return
    size = export.values[origin].numel() // 2
    where = moved.reshape(2, -1).to(torch.int64) if moved.numel() % 2 == 0 else moved[:0]
    if not len(where) or where[0].max() >= size:
        raise _mixed(step)
    if not torch.equal(where[0] + size, where[1]) or moved.shape[0] % 2:
        raise _mixed(step)
    rows = graph.node("Flatten", [graph.codes(origin)], f"{name}.rows")
    if not torch.equal(where[0], torch.arange(size)):
        index = graph.constant(f"{name}.places", where[0].numpy())
        rows = graph.node("Gather", [rows, index], f"{name}.gathered", axis=1)
    shape = graph.constant(f"{name}.shape", np.array([-1, *moved.shape[1:]], np.int64))
    graph.clamp(name, graph.node("Reshape", [rows, shape], f"{name}.moved"))


def _mixed(step: Step) -> ValueError:
    return ValueError(f"step {step.name!r} mixes the images of a batch; expected each on its own.")


def _write_largest(export: Export, step: Step) -> None:
    graph, settings = export.graph, step.settings
    arguments = settings["arguments"][1:]
    words = dict(zip(("dim", "keepdim"), arguments, strict=False)) | settings.get("keywords", {})
    dim = words.get("dim", words.get("axis", []))
    axes = np.array([dim] if isinstance(dim, int) else dim, np.int64)
    operands = [graph.real(step.inputs[0]), graph.constant(f"{step.name}.axes", axes)]
    kind = LARGEST[settings["function"]]
    keep = int(bool(words.get("keepdim", words.get("keepdims"))))
    graph.quantize(step.name, graph.node(kind, operands, f"{step.name}.exact", keepdims=keep))


def matrices_of(export: Export, step: Step, settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return a matrix for each axis of images: "down", on the left, and "along", on the right.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    shape = export.shapes[step.inputs[0]]
    numbers = [export.values[name] for name in step.inputs[1:]]

    def applied(x: Tensor) -> Tensor:
        return called(COMBINATIONS[settings["function"]], settings, [x.double(), *numbers])

    matrices: dict[str, Tensor] = {}
    if len(shape) == 3:
        matrices["along"] = applied(torch.eye(shape[2])[:, None])[:, 0]
    elif len(shape) == 4:
        high, wide = shape[2:]
        down = torch.eye(high)[:, None, :, None].expand(high, 1, high, wide)
        along = torch.eye(wide)[:, None, None, :].expand(wide, 1, high, wide)
        matrices["down"] = applied(down)[:, 0, :, 0].t()
        matrices["along"] = applied(along)[:, 0, 0]
    probe = torch.rand(1, *shape[1:], dtype=torch.float64)
    found = matrices["down"] @ probe if "down" in matrices else probe
    found = found @ matrices["along"] if matrices else found
    expected = applied(probe)
    if not matrices or found.shape != expected.shape or not torch.allclose(found, expected):
        raise ValueError(
            f"{settings['function']} of {len(shape)} dimensions does not go axis by axis; expected "
            "what treats all rows, and all columns, of an image alike."
        )
    return matrices


def write_by_axes(export: Export, step: Step, settings: Mapping[str, Any]) -> None:
    """Write a mean over windows of several sizes, or an interpolation: a matrix for each axis.

    It works on codes, whose halves and quarters are exact, and so are the ties between two pixels.
    """
    graph, matrices = export.graph, matrices_of(export, step, settings)
    name, x = step.name, export.model.qparams[step.inputs[0]]
    zero_point = np.float32(int(x.zero_point) - x.scheme.qmin)
    multiplier = np.float32(x.scale.double() / export.model.qparams[name].scale.double())
    codes = graph.node("Cast", [graph.codes(step.inputs[0])], f"{name}.float", to=FLOAT)
    centre = graph.constant(f"{name}.centre", zero_point)
    result = graph.node("Sub", [codes, centre], f"{name}.shifted")
    for side, matrix in matrices.items():
        constant = graph.constant(f"{name}.{side}", matrix.float().numpy())
        operands = [constant, result] if side == "down" else [result, constant]
        result = graph.node("MatMul", operands, f"{name}.by.{side}")
    constant = graph.constant(f"{name}.multiplier", multiplier)
    graph.quantize_steps(name, graph.node("Mul", [result, constant], f"{name}.steps"))


FLOAT, INT32 = 1, 6  # of onnx.TensorProto
