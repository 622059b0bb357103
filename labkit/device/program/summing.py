"""What runs over several codes of one tensor: sums, means, extremes, interpolation."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from labkit.device.program.layers import grid
from labkit.device.program.memory import Placed, natural, positions
from labkit.device.program.writer import Writer, window_fields
from labkit.ptq.fixed_point import SUMS, Matrices
from labkit.ptq.functions import decoded
from labkit.ptq.plan import Step


def write_average_pool(writer: Writer, step: Step) -> None:
    """Write the mean of windows."""
    operation, tensor = writer.operation(step.name), writer.tensors[step.inputs[0]]
    number, channels, height, width = tensor.shape
    if operation.uneven((height, width)):
        _write_matrices(writer, step, operation.matrices, tensor, operation.output_size)
    else:
        kernel, stride = operation.window(tensor.shape)
        rounding = operation.rescale.rounding(kernel[0] * kernel[1])
        rows, columns = (
            (n + 2 * p - k) // s + 1
            for n, p, k, s in zip((height, width), operation.padding, kernel, stride, strict=True)
        )
        shape = (number, channels, rows, columns)
        source = writer.read(tensor, natural(4), step.name)
        output = writer.make(step.name, math.prod(shape))
        constants = writer.struct(
            "average_pool",
            step.name,
            window=window_fields(tensor.shape, shape, kernel, stride, operation.padding, [1, 1]),
            **_rounded(writer, step, rounding),
        )
        writer.call("average_pool", [source], output, constants, note=step.name)
        writer.tensors[step.name] = Placed(output, positions(shape, natural(4)))
    if operation.flat:
        placed = writer.tensors[step.name]
        writer.tensors[step.name] = Placed(placed.buffer, placed.places.flatten(1))


def write_combine(writer: Writer, step: Step) -> None:
    """Write a sum, a mean, sums so far, or what two matrices do."""
    operation, tensor = writer.operation(step.name), writer.tensors[step.inputs[0]]
    name, values = step.settings["function"], [writer.values[n] for n in step.inputs]
    if name in SUMS:
        result = writer.values[step.name]
        rounding = operation.rescale.rounding(operation.terms(values[0], result))
        kernel = "running_sum" if name == "cumsum" else "sum"
        fields = _rounded(writer, step, rounding)
        _write_along(writer, step, kernel, "sum", fields)
        return
    matrices = operation.matrices(values[0], values[1:])
    shape = writer.values[step.name].shape
    if tensor.places.ndim == 4:
        _write_matrices(writer, step, matrices, tensor, shape[2:])
        return
    row = Placed(tensor.buffer, tensor.places.unsqueeze(2))
    _write_matrices(writer, step, matrices, row, (1, shape[-1]))
    placed = writer.tensors[step.name]
    writer.tensors[step.name] = Placed(placed.buffer, placed.places.squeeze(2))


def write_extreme(writer: Writer, step: Step) -> None:
    """Write the largest or smallest code along some axes."""
    kernel = {"amax": "largest", "amin": "smallest"}[step.settings["function"]]
    _write_along(writer, step, kernel, "extreme", {})


def _rounded(writer: Writer, step: Step, rounding: Any) -> dict[str, Any]:
    return {
        "x_zero_point": writer.zero_point(step.inputs[0]),
        "mantissa": rounding.mantissas[0],
        "shift": rounding.shift,
        "y": grid(writer, step),
    }


def _axes(writer: Writer, step: Step) -> tuple[list[int], bool]:
    """Return the axes that a step runs along, and whether they stay, with one number each."""
    values = [writer.values[name] for name in step.inputs]
    arguments = list(decoded(list(step.settings["arguments"]), values))[1:]
    words = dict(zip(("dim", "keepdim"), arguments, strict=False))
    words |= {k: decoded(v, values) for k, v in step.settings.get("keywords", {}).items()}
    dim = words.get("dim", words.get("axis"))
    dimensions = values[0].ndim
    if dim is None or dim == ():
        dim = list(range(dimensions))
    axes = [dim] if isinstance(dim, int) else list(dim)
    keep = bool(words.get("keepdim", words.get("keepdims", False)))
    return [axis % dimensions for axis in axes], keep


def _write_along(writer: Writer, step: Step, kernel: str, kind: str, fields: dict) -> None:
    """Call a kernel that runs along some axes, for all places in the others.

    In memory there are ``outer`` pieces of ``count`` times ``inner`` numbers; the kernel runs over
    ``count``.
    """
    tensor, (axes, keep) = writer.tensors[step.inputs[0]], _axes(writer, step)
    shape, order = tensor.shape, natural(len(tensor.shape))
    if not _neighbours(shape, order, axes):
        order = (*(axis for axis in order if axis not in axes), *axes)
    source = writer.read(tensor, order, step.name)
    where = [i for i, axis in enumerate(order) if axis in axes and shape[axis] > 1]
    first, last = (where[0], where[-1] + 1) if where else (0, 0)
    outer, count, inner = (
        math.prod(shape[axis] for axis in part)
        for part in (order[:first], order[first:last], order[last:])
    )
    output = writer.make(step.name, writer.values[step.name].numel())
    constants = writer.struct(kind, step.name, outer=outer, count=count, inner=inner, **fields)
    writer.call(kernel, [source], output, constants, note=step.name)
    if kernel == "running_sum":
        writer.put(step.name, output, order)
        return
    kept = [axis for axis in order if axis not in axes]
    ones = [1 if axis in axes else size for axis, size in enumerate(shape)]
    places = positions(ones, (*kept, *axes))
    if not keep:
        places = places.reshape(writer.values[step.name].shape)
    writer.tensors[step.name] = Placed(output, places)


def _neighbours(shape: Sequence[int], order: Sequence[int], axes: Sequence[int]) -> bool:
    """Tell whether some axes lie side by side in memory."""
    where = [i for i, axis in enumerate(a for a in order if shape[a] > 1) if axis in axes]
    return not where or where[-1] - where[0] + 1 == len(where)


def _write_matrices(
    writer: Writer, step: Step, matrices: Matrices, tensor: Placed, size: Sequence[int]
) -> None:
    number, channels, height, width = tensor.shape
    down, along, rounding = matrices.of(height, width)
    largest = int(down.abs().sum(1).max()) * int(along.abs().sum(0).max()) * 255
    if largest >= 2**62 or int(down.abs().max()) >= 2**31 or int(along.abs().max()) >= 2**31:
        raise ValueError("its sums do not fit into int64; expected a smaller image.")
    shape = (number, channels, *size)
    source = writer.read(tensor, natural(4), step.name)
    output = writer.make(step.name, math.prod(shape))
    constants = writer.struct(
        "combine",
        step.name,
        images=number,
        height=height,
        width=width,
        channels=channels,
        out_height=size[0],
        out_width=size[1],
        down=writer.array(f"{step.name}_down", down.to(torch.int32).numpy().reshape(-1)),
        along=writer.array(f"{step.name}_along", along.t().to(torch.int32).numpy().reshape(-1)),
        x_zero_point=writer.zero_point(step.inputs[0]),
        shift=rounding.shift,
        y=grid(writer, step),
    )
    writer.call("combine", [source], output, constants, note=step.name)
    writer.tensors[step.name] = Placed(output, positions(shape, natural(4)))
