"""What takes two tensors or more: sums, products, and tensors side by side."""

import math
from typing import Any

from labkit.device.program.layers import grid
from labkit.device.program.memory import Placed, joined, natural, steps_of
from labkit.device.program.writer import Writer
from labkit.ptq.plan import Step

MOST_AXES = 4


def write_add(writer: Writer, step: Step) -> None:
    """Write a sum of two tensors."""
    rounding = writer.operation(step.name).rounding
    _write_two(
        writer,
        step,
        "add",
        a_mantissa=rounding.mantissas[0],
        b_mantissa=rounding.mantissas[1],
        shift=rounding.shift,
    )


def write_multiply(writer: Writer, step: Step) -> None:
    """Write a product of two tensors, number by number."""
    rounding = writer.operation(step.name).rounding
    _write_two(writer, step, "multiply", mantissa=rounding.mantissas[0], shift=rounding.shift)


def _write_two(writer: Writer, step: Step, kernel: str, **fields: Any) -> None:
    shape = tuple(writer.values[step.name].shape)
    order = natural(len(shape))
    tensors = [writer.tensors[name] for name in step.inputs]
    orders = [natural(len(tensor.shape)) for tensor in tensors]
    sources = [
        writer.read(tensor, own, step.name) for tensor, own in zip(tensors, orders, strict=True)
    ]
    steps = [
        steps_of(tensor.shape, own, shape) for tensor, own in zip(tensors, orders, strict=True)
    ]
    sizes, (a, b) = joined([shape[axis] for axis in order], *([s[i] for i in order] for s in steps))
    if len(sizes) > MOST_AXES:
        raise ValueError(f"its operands repeat in {len(sizes)} ways; expected {MOST_AXES} at most.")
    before = [0] * (MOST_AXES - len(sizes))
    output = writer.make(step.name, math.prod(shape))
    constants = writer.struct(
        kernel,
        step.name,
        size=[1 for _ in before] + sizes,
        a_step=before + a,
        b_step=before + b,
        a_zero_point=writer.zero_point(step.inputs[0]),
        b_zero_point=writer.zero_point(step.inputs[1]),
        **fields,
        y=grid(writer, step),
    )
    whole = [
        source
        for source, tensor in zip(sources, tensors, strict=True)
        if tuple(tensor.shape) == shape
    ]
    writer.call(kernel, sources, output, constants, whole, step.name)
    writer.put(step.name, output, order)


def write_concatenate(writer: Writer, step: Step) -> None:
    """Write tensors side by side, each moved to the grid of the result."""
    operation, shape = writer.operation(step.name), writer.values[step.name].shape
    order = natural(len(shape))
    axis = operation.dim % len(shape)
    tensors = [writer.tensors[name] for name in step.inputs]
    if step.settings.get("stack"):
        tensors = [Placed(tensor.buffer, tensor.places.unsqueeze(axis)) for tensor in tensors]
    inner = math.prod(shape[a] for a in order[order.index(axis) + 1 :])
    sources = [writer.read(tensor, order, step.name) for tensor in tensors]
    output = writer.make(step.name, math.prod(shape))
    start = 0
    parts = zip(step.inputs, tensors, sources, operation.rescales, strict=True)
    for name, tensor, source, rescale in parts:
        run = tensor.shape[axis] * inner
        fields = {
            "count": source.size // run,
            "run": run,
            "step": shape[axis] * inner,
            "start": start,
        }
        start += run
        if rescale.same:
            kernel = "place"
        else:
            kernel = "rescale"
            rounding = rescale.rounding()
            fields |= {
                "x_zero_point": writer.zero_point(name),
                "mantissa": rounding.mantissas[0],
                "shift": rounding.shift,
                "y": grid(writer, step),
            }
        constants = writer.struct(kernel, f"{step.name}_part", **fields)
        writer.call(kernel, [source], output, constants, note=step.name)
    writer.put(step.name, output, order)
