"""What a network costs: bytes, multiply-adds, and the energy of arithmetic and of memory traffic.

The energies are those of Horowitz, "Computing's energy problem (and what we can do about it)",
ISSCC 2014, pages 10-14, figure 1.1.9, doi 10.1109/ISSCC.2014.6757323: rough costs in picojoules
(1 pJ = 1e-12 J) in a 45 nm process at 0.9 V. Newer chips need less of everything; what lasts is the
ratios, and those are what these functions are for. The same paper puts fetching and decoding an
instruction at about 70 pJ, which is not counted here.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from labkit.format_table import Format, find_format

__all__ = [
    "ADD_PJ",
    "MEMORY_PJ",
    "MULTIPLY_PJ",
    "InferenceEnergy",
    "count_macs",
    "inference_energy",
    "mac_energy",
    "memory_energy",
    "model_bytes",
]

ADD_PJ = {"int8": 0.03, "int32": 0.1, "fp16": 0.4, "fp32": 0.9}
"""Energy of one addition, in pJ."""

MULTIPLY_PJ = {"int8": 0.2, "int32": 3.1, "fp16": 1.1, "fp32": 3.7}
"""Energy of one multiplication, in pJ."""

MEMORY_PJ = {
    "sram_8kb": 10.0,
    "sram_32kb": 20.0,
    "sram_1mb": 100.0,
    "dram_low": 1300.0,
    "dram_high": 2600.0,
}
"""Energy of one 64-bit access, in pJ: to a cache of that size, or to DRAM (given as 1.3-2.6 nJ)."""

_ACCESS_BYTES = 8
_ACCUMULATOR = {"int8": "int32", "uint8": "int32", "fp16": "fp32", "fp32": "fp32"}


class InferenceEnergy(NamedTuple):
    """The energy of an inference in pJ: what computes, and what moves data."""

    compute: float
    memory: float

    @property
    def total(self) -> float:
        """``compute + memory``, in pJ."""
        return self.compute + self.memory


def mac_energy(format: Format | str) -> float:
    """Return the energy of one multiply-add whose operands are in a format.

    ``multiply(format) + add(accumulator)``: products are summed in the 32-bit format of their kind,
    int32 for int8 and uint8 (which cost the same), fp32 for fp16 and fp32.

    Parameters
    ----------
    format : Format or str
        A format that the table has: fp32, fp16, int8 or uint8.

    Returns
    -------
    float
        Energy in pJ.

    Raises
    ------
    ValueError
        If the source has no figure for arithmetic in the format.
    """
    name = find_format(format).name
    if name not in _ACCUMULATOR:
        raise ValueError(
            f"the energy table has no arithmetic in {name}, only in {', '.join(_ACCUMULATOR)}; for "
            f"weights stored in {name} give the format they are multiplied in, and count their "
            f"bytes with model_bytes(model, {name!r})"
        )
    return MULTIPLY_PJ[name.replace("uint8", "int8")] + ADD_PJ[_ACCUMULATOR[name]]


def memory_energy(bytes_moved: float, memory: str = "dram_low") -> float:
    """Return the energy of moving bytes between a memory and the processor.

    ``bytes_moved / 8 * MEMORY_PJ[memory]``: every 64-bit access carries eight useful bytes.

    Parameters
    ----------
    bytes_moved : float
        Bytes read and written, 0 or more.
    memory : str
        A name in `MEMORY_PJ`. The default is the lower figure for DRAM, so that the cost of memory
        is understated rather than overstated.

    Returns
    -------
    float
        Energy in pJ.

    Raises
    ------
    ValueError
        If the memory is unknown or ``bytes_moved`` is negative, NaN or infinite.
    """
    if memory not in MEMORY_PJ:
        raise ValueError(f"memory is {memory!r}; expected one of {', '.join(MEMORY_PJ)}")
    _check_count("bytes_moved", bytes_moved)
    return bytes_moved / _ACCESS_BYTES * MEMORY_PJ[memory]


def inference_energy(
    macs: int, bytes_moved: float, format: Format | str, memory: str = "dram_low"
) -> InferenceEnergy:
    """Return the energy of an inference from its multiply-adds and its memory traffic.

    ``compute = macs * mac_energy(format)`` and ``memory = memory_energy(bytes_moved, memory)``.
    Instructions, registers and leakage are left out.

    Parameters
    ----------
    macs : int
        Multiply-adds, such as `count_macs` counts.
    bytes_moved : float
        Bytes that go through ``memory``: at least every weight once, so
        ``labkit.formats.model_bytes(model, format)``.
    format : Format or str
        What is multiplied: fp32, fp16, int8 or uint8.
    memory : str
        A name in `MEMORY_PJ`.

    Returns
    -------
    InferenceEnergy
        ``compute``, ``memory`` and ``total`` in pJ.

    Raises
    ------
    ValueError
        If a count is negative, NaN or infinite; else as `mac_energy` and `memory_energy`.
    """
    _check_count("macs", macs)
    return InferenceEnergy(macs * mac_energy(format), memory_energy(bytes_moved, memory))


def model_bytes(model: nn.Module | int, format: Format | str) -> int:
    """Return the bytes that a network's parameters take in a format.

    ``sum over tensors of ceil(numel * bits / 8)``: formats below 8 bits are packed, and every
    tensor starts at a whole byte. Scales and zero points, buffers and the file's header are not
    counted; a parameter that two layers share is counted once.

    Parameters
    ----------
    model : nn.Module or int
        A network, or a number of parameters, which counts as one tensor.
    format : Format or str
        A format or its name in `FORMATS`.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    TypeError
        If ``model`` is neither.
    ValueError
        If the number of parameters is negative, or the format is unknown.
    """
    format = find_format(format)
    if isinstance(model, nn.Module):
        counts = [parameter.numel() for parameter in model.parameters()]
    elif isinstance(model, int) and not isinstance(model, bool):
        counts = [model]
    else:
        raise TypeError(f"model is a {type(model).__name__}; expected a network or an int")
    if min(counts, default=0) < 0:
        raise ValueError(f"a network has 0 parameters or more, got {model}")
    return sum(-(-count * format.bits // 8) for count in counts)  # -(-a // b) is ceil(a / b)


def count_macs(model: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Count the multiply-adds of a network's convolutions and linear layers in one forward pass.

    Each element of a layer's output is one dot product with a row of its weight, so a call makes
    ``output.numel() * weight[0].numel()``, where ``weight[0]`` is [in] for a linear layer and
    [in / groups, kh, kw] for a convolution. A layer called twice counts twice. Biases, activations,
    pooling and normalization are not counted, nor what a forward multiplies without a layer
    (``torch.matmul``).

    Parameters
    ----------
    model : nn.Module
        The network. Run once on zeros in eval mode, and left in the mode it was in.
    input_shape : tuple of int
        The shape of the network's input with its batch dimension, such as (1, 1, 28, 28).

    Returns
    -------
    int
        Multiply-adds for the whole batch.

    Raises
    ------
    ValueError
        If the network has a layer with a weight matrix but neither of these, or no layer to count.
    """
    macs = 0

    def count(layer: nn.Linear | _ConvNd, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        macs += output.numel() * layer.weight[0].numel()

    hooks = [layer.register_forward_hook(count) for layer in _counted_layers(model)]
    modes = [(layer, layer.training) for layer in model.modules()]
    like = next(model.parameters())
    try:
        model.eval()
        with torch.no_grad():
            model(torch.zeros(input_shape, dtype=like.dtype, device=like.device))
    finally:
        for hook in hooks:
            hook.remove()
        for layer, training in modes:
            layer.training = training
    return macs


def _counted_layers(model: nn.Module) -> list[nn.Linear | _ConvNd]:
    """Return the linear and convolution layers; refuse other layers that hold a weight matrix."""
    counted: list[nn.Linear | _ConvNd] = []
    for layer in model.modules():
        if isinstance(layer, nn.Linear | _ConvNd) and not isinstance(layer, _ConvTransposeNd):
            counted.append(layer)
        elif any(parameter.dim() >= 2 for parameter in layer.parameters(recurse=False)):
            raise ValueError(
                "count_macs counts Linear and Conv layers; it does not know how often a "
                f"{type(layer).__name__} multiplies. Count the network without that layer"
            )
    if not counted:
        raise ValueError("the network has no Linear or Conv layer with float weights to count")
    return counted


def _check_count(name: str, count: float) -> None:
    """Refuse what cannot be a number of things: negative, NaN or infinite."""
    if not 0 <= count < float("inf"):
        raise ValueError(f"{name} is {count}; expected a finite number, 0 or more")
