"""Layers with weights: their constants as a kernel reads them."""

import math
from typing import Any

import torch
from torch import Tensor

from labkit.device.packing import pack_weights
from labkit.device.program.memory import Placed, natural, positions
from labkit.device.program.writer import Writer, window_fields
from labkit.kernels.choosing import is_depthwise
from labkit.kernels.output_stage import INT32_MAX
from labkit.ptq.operators import code_of
from labkit.ptq.plan import Step

PACKED = (2, 4)


def write_conv2d(writer: Writer, step: Step) -> None:
    """Write a convolution of images, and what is added to it."""
    tensors = [writer.tensors[name] for name in step.inputs]
    _write(writer, step, tensors, writer.values[step.name].shape)


def write_conv1d(writer: Writer, step: Step) -> None:
    """Write a convolution of sequences: of images with one row."""
    tensors = [writer.tensors[name] for name in step.inputs]
    rows = [Placed(tensor.buffer, tensor.places.unsqueeze(2)) for tensor in tensors]
    number, outputs, length = writer.values[step.name].shape
    buffer = _write(writer, step, rows, (number, outputs, 1, length))
    places = positions((number, outputs, 1, length), natural(4))
    writer.tensors[step.name] = Placed(buffer, places.squeeze(2))


def _write(writer: Writer, step: Step, tensors: list[Placed], shape: Any) -> Any:
    layer = writer.operation(step.name)
    order = natural(4)
    sources = [writer.read(tensor, order, step.name) for tensor in tensors]
    window = layer.window
    output = writer.make(step.name, math.prod(shape))
    kernel = _kernel(writer, step, _kind(layer), len(sources) > 1)
    constants = writer.struct(
        "conv2d",
        step.name,
        window=window_fields(
            tensors[0].shape,
            shape,
            layer.q_w.shape[2:],
            window.stride,
            window.padding,
            window.dilation,
        ),
        groups=window.groups,
        layer=_weights(writer, step, layer) | _residual(writer, step, layer),
    )
    # Other places still read the input, so what is added to itself stays.
    free = [source for source in sources[1:] if source is not sources[0]]
    writer.call(kernel, sources, output, constants, free, step.name)
    writer.tensors[step.name] = Placed(output, positions(shape, order))
    return output


def write_linear(writer: Writer, step: Step) -> None:
    """Write a product with a matrix."""
    layer, shape = writer.operation(step.name), writer.values[step.name].shape
    tensor = writer.tensors[step.inputs[0]]
    order = tuple(range(len(shape)))
    source = writer.read(tensor, order, step.name)
    output = writer.make(step.name, writer.values[step.name].numel())
    constants = writer.struct(
        "linear",
        step.name,
        rows=source.size // layer.q_w.shape[1],
        layer=_weights(writer, step, layer),
    )
    kernel = _kernel(writer, step, "linear", False)
    writer.call(kernel, [source], output, constants, note=step.name)
    writer.put(step.name, output, order)


def _kind(layer: Any) -> str:
    """Name the kernel that computes a layer."""
    if layer.window is None:
        return "linear"
    if layer.window.groups == 1 and layer.window.dilation[1] == 1:
        return "conv2d"
    return "depthwise" if is_depthwise(layer._layer) else "grouped"


def _bits(writer: Writer, step: Step) -> int:
    bits = writer.model.weights[step.layer or ""].qparams.scheme.bits
    return bits if bits in PACKED else 8


def _kernel(writer: Writer, step: Step, kind: str, residual: bool) -> str:
    """Name the kernel for weights of so many bits, with zero points or without."""
    affine = bool((writer.operation(step.name)._layer.w_zero_point != _middle(writer, step)).any())
    suffix = f"w{_bits(writer, step)}{'_affine' if affine else ''}"
    return f"{kind}{'_add' if residual else ''}_{suffix}"


def _middle(writer: Writer, step: Step) -> int:
    """Return what is taken off weights without a sign, so that all have one."""
    scheme = writer.model.weights[step.layer or ""].qparams.scheme
    return 0 if scheme.signed else 2 ** (scheme.bits - 1)


def _weights(writer: Writer, step: Step, layer: Any) -> dict[str, Any]:
    """Return the fields of weights, bias, multipliers and grids."""
    middle, bits, name = _middle(writer, step), _bits(writer, step), step.layer or step.name
    q_w = (layer.q_w.to(torch.int16) - middle).to(torch.int8)
    z_w = (layer._layer.w_zero_point.flatten().expand(len(q_w)) - middle).to(torch.int32)
    rows = q_w.flatten(1).t() if _kind(layer) == "depthwise" else q_w  # channels last there, too
    packed = pack_weights(rows, bits)
    stored = packed.view(torch.int8) if bits == 8 else packed
    output = layer._layer.output
    _check_accumulators(writer, step, layer)
    fields: dict[str, Any] = {
        "outputs": len(q_w),
        "inputs": q_w.shape[1],
        "x_zero_point": writer.zero_point(step.inputs[0]),
        "q_w": writer.array(f"{name}_weights", stored.numpy()),
    }
    if bool(z_w.any()):
        fields["w_zero_point"] = writer.array(f"{name}_zero_points", z_w.numpy())
    fields |= {
        "q_b": writer.array(f"{name}_bias", _by_output(output.bias, len(q_w)).numpy()),
        "mantissa": writer.array(
            f"{name}_mantissas", _by_output(output.mantissa, len(q_w)).numpy()
        ),
        "shift": writer.array(
            f"{name}_shifts", _by_output(output.shift, len(q_w)).to(torch.uint8).numpy()
        ),
        "y": grid(writer, step),
    }
    return fields


def _by_output(values: Tensor, outputs: int) -> Tensor:
    return values.reshape(-1).to(torch.int32).expand(outputs)


def grid(writer: Writer, step: Step) -> dict[str, int]:
    """Return the fields of a result's grid: its zero point, and where codes end."""
    qparams, lowest = writer.model.qparams[step.name], writer.lowest(step.name)
    relu = bool(step.settings.get("relu"))
    return {
        "zero_point": writer.zero_point(step.name),
        "low": writer.zero_point(step.name) if relu else 0,
        "high": code_of(step.settings.get("ceiling"), qparams) - lowest,
    }


def _residual(writer: Writer, step: Step, layer: Any) -> dict[str, Any]:
    output = layer._layer.output
    if output.residual_mantissa is None:
        return {}
    mantissas = _by_output(output.residual_mantissa, len(layer.q_w))
    name = step.layer or step.name
    return {
        "r_zero_point": writer.zero_point(step.inputs[1]),
        "r_mantissa": writer.array(f"{name}_residual_mantissas", mantissas.numpy()),
    }


def _check_accumulators(writer: Writer, step: Step, layer: Any) -> None:
    """Refuse a layer whose sums could leave int32, whatever its input."""
    scheme, zero_point = layer.x_qparams.scheme, int(layer.x_qparams.zero_point)
    reach = max(scheme.qmax - zero_point, zero_point - scheme.qmin)
    weight = layer.q_w.to(torch.int64) - layer._layer.w_zero_point
    bias = layer._layer.output.bias.to(torch.int64).reshape(-1).abs()
    largest = int((weight.abs().flatten(1).sum(1) * reach + bias).max())
    if largest > INT32_MAX:
        raise ValueError(
            f"its accumulators can reach {largest}, and int32 ends at {INT32_MAX}; expected "
            "shorter sums, fewer bits or a smaller bias."
        )
