"""What each kind of step is in C."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from labkit.device.program.joining import write_add, write_concatenate, write_multiply
from labkit.device.program.layers import write_conv1d, write_conv2d, write_linear
from labkit.device.program.memory import Placed, in_memory, natural
from labkit.device.program.summing import write_average_pool, write_combine, write_extreme
from labkit.device.program.windows import write_max_pool
from labkit.device.program.writer import BORDER, Writer
from labkit.ptq.functions import MOVES, called, decoded
from labkit.ptq.plan import Step

Emitter = Callable[[Writer, Step], None]
"""Writes a step into a program: its constants, its memory and the call of its kernel."""


def emit(writer: Writer, step: Step) -> None:
    """Write a step.

    Raises
    ------
    ValueError
        If it cannot be written; the message names it.
    """
    if step.kind == "number":
        return  # what it gives is known, for images of one size
    if step.kind not in EMITTERS:
        raise ValueError(
            f"step {step.name!r} is of kind {step.kind!r}, which has no place in a program of "
            f"integers; expected one of {', '.join(EMITTERS)}."
        )
    try:
        EMITTERS[step.kind](writer, step)
    except ValueError as error:
        raise ValueError(f"step {step.name!r}: {error}") from None


def _constant(writer: Writer, step: Step) -> None:
    codes = writer.model.constants[step.name].to(torch.int64) - writer.lowest(step.name)
    order = natural(codes.ndim)
    writer.put(step.name, writer.constant(step.name, in_memory(codes, order)), order)


def _move(writer: Writer, step: Step) -> None:
    """Say where the codes lie that the step moves: it costs nothing until someone needs them."""
    function = step.settings["function"]
    if function in ("amax", "amin"):
        write_extreme(writer, step)
        return
    tensor = writer.tensors[step.inputs[0]]
    values = [writer.values[name] for name in step.inputs]
    # Functions that torch has for real numbers alone hold places up to 2^24 exactly.
    parts = tensor if isinstance(tensor, tuple | list) else [tensor]
    places = [part.places for part in parts]
    first = places if isinstance(tensor, tuple | list) else places[0]
    moved = called(MOVES[function], step.settings, [first, *values[1:]])
    writer.tensors[step.name] = _placed(parts[0], moved)


def _placed(tensor: Placed, moved: Any) -> Any:
    if isinstance(moved, tuple | list):
        return [_placed(tensor, part) for part in moved]
    return Placed(tensor.buffer, moved.to(torch.int64))


def _flatten(writer: Writer, step: Step) -> None:
    tensor = writer.tensors[step.inputs[0]]
    writer.tensors[step.name] = Placed(tensor.buffer, tensor.places.flatten(1))


def _pad(writer: Writer, step: Step) -> None:
    tensor, operation = writer.tensors[step.inputs[0]], writer.operation(step.name)
    numbers = [tensor.places, *(writer.values[name] for name in step.inputs[1:])]
    padding = decoded(list(operation.padding), numbers)
    border = operation.code - writer.lowest(step.name)
    if tensor.places.ndim == 4 and len(padding) <= 4 and min(padding) >= 0:
        _frame(writer, step, padding, border)
        return
    padded = torch.nn.functional.pad(tensor.places, padding, value=BORDER)
    order = natural(padded.ndim)
    buffer = writer.gather(tensor, in_memory(padded, order), step.name, border)
    writer.put(step.name, buffer, order)


def _frame(writer: Writer, step: Step, padding: Sequence[int], border: int) -> None:
    """Call the kernel for images; `padding` counts the last axis first."""
    tensor, order = writer.tensors[step.inputs[0]], natural(4)
    images, channels, height, width = tensor.shape
    shape = writer.values[step.name].shape
    source = writer.read(tensor, order, step.name)
    output = writer.make(step.name, shape.numel())
    constants = writer.struct(
        "frame",
        step.name,
        images=images,
        height=height,
        width=width,
        channels=channels,
        out_height=shape[2],
        out_width=shape[3],
        top=padding[2] if len(padding) > 2 else 0,
        left=padding[0],
        border=border,
    )
    writer.call("frame", [source], output, constants, note=step.name)
    writer.put(step.name, output, order)


def _clamp(writer: Writer, step: Step) -> None:
    operation, lowest = writer.operation(step.name), writer.lowest(step.name)
    constants = writer.struct(
        "clamp",
        step.name,
        count=writer.values[step.name].numel(),
        low=operation.low - lowest,
        high=operation.high - lowest,
    )
    _number_by_number(writer, step, "clamp", constants)


def _table(writer: Writer, step: Step) -> None:
    operation, axis = writer.operation(step.name), step.settings.get("axis")
    codes = operation.table.to(torch.int64) - writer.lowest(step.name)
    table = writer.array(f"{step.name}_table", codes.to(torch.uint8).numpy())
    shape = writer.values[step.name].shape
    count = writer.values[step.name].numel()
    if axis is None:
        constants = writer.struct("table", step.name, count=count, table=table)
        _number_by_number(writer, step, "table", constants)
        return
    order = natural(len(shape))
    source = writer.read(writer.tensors[step.inputs[0]], order, step.name)
    behind = order[order.index(len(shape) + axis) + 1 :]
    constants = writer.struct(
        "channel_table",
        step.name,
        count=count,
        inner=int(torch.Size([shape[a] for a in behind]).numel()),
        channels=shape[axis],
        codes=codes.shape[1],
        table=table,
    )
    output = writer.make(step.name, count)
    writer.call("channel_table", [source], output, constants, [source], step.name)
    writer.put(step.name, output, order)


def _number_by_number(writer: Writer, step: Step, kernel: str, constants: str) -> None:
    """Call a kernel that treats all numbers alike, in whatever order they lie."""
    tensor = writer.tensors[step.inputs[0]]
    if not tensor.fills():
        order = natural(len(tensor.shape))
        source = writer.read(tensor, order, step.name)
        writer.put(step.inputs[0], source, order)
        tensor = writer.tensors[step.inputs[0]]
    output = writer.make(step.name, tensor.buffer.size)
    writer.call(kernel, [tensor.buffer], output, constants, [tensor.buffer], step.name)
    writer.tensors[step.name] = Placed(output, tensor.places)


EMITTERS: dict[str, Emitter] = {
    "conv1d": write_conv1d,
    "conv2d": write_conv2d,
    "linear": write_linear,
    "add": write_add,
    "multiply": write_multiply,
    "concatenate": write_concatenate,
    "average_pool": write_average_pool,
    "combine": write_combine,
    "table": _table,
    "constant": _constant,
    "max_pool": write_max_pool,
    "flatten": _flatten,
    "clamp": _clamp,
    "pad": _pad,
    "move": _move,
}
"""By the kind of step."""
