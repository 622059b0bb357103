"""What a network will take on a microcontroller: an estimate, from what others were measured to.

Time is that of the slower of two: the processor, ``multiply-adds * cycles per multiply-add``, or
the flash, from which each weight comes once, ``bytes / bytes per cycle``. The cycles are those of
published kernels (`labkit.device.chips`), which use instructions that multiply several numbers at
once; plain C loops take several times as many.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from labkit.device.chips import Chip, chip_of
from labkit.device.lifetimes import ZOO_IMAGE, example_values, lifetimes_of
from labkit.device.planner import tight_arena
from labkit.ptq.network import QuantizedModel
from labkit.ptq.plan import WEIGHTED, Step

__all__ = ["Estimate", "LayerCost", "estimate", "layer_costs"]

# Of each output: an int32 bias, an int32 mantissa, and a shift in a byte.
BYTES_AN_OUTPUT = 4 + 4 + 1


class LayerCost(NamedTuple):
    """What a layer takes on a chip.

    Attributes
    ----------
    name : str
    macs : int
        Multiply-adds.
    weight_bytes : int
        Codes, packed.
    depthwise : bool
    compute_cycles, memory_cycles : float
        Of the processor, and of the flash.
    """

    name: str
    macs: int
    weight_bytes: int
    depthwise: bool
    compute_cycles: float
    memory_cycles: float

    @property
    def cycles(self) -> float:
        """Those of the slower of the two."""
        return max(self.compute_cycles, self.memory_cycles)

    @property
    def memory_bound(self) -> bool:
        """Whether the processor waits for the flash."""
        return self.memory_cycles > self.compute_cycles


class Estimate(NamedTuple):
    """What a network takes on a chip; estimated, not measured.

    Attributes
    ----------
    chip : Chip
    flash : int
        Bytes of weights, biases, multipliers and tables; the program's code comes on top.
    ram : int
        Bytes of the arena; the stack comes on top.
    macs : int
        Multiply-adds of an image.
    seconds, joules : float
        Of an image.
    """

    chip: Chip
    flash: int
    ram: int
    macs: int
    seconds: float
    joules: float

    @property
    def fits(self) -> bool:
        """Whether the chip has the flash and the RAM."""
        return self.flash <= self.chip.flash and self.ram <= self.chip.ram

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{self.chip.name} ({self.chip.core}, {self.chip.hertz / 1e6:.0f} MHz), estimated: "
            f"{self.flash / 1024:.1f} KiB flash, {self.ram / 1024:.1f} KiB RAM, "
            f"{_short(self.macs / 1e6, 1)} million multiply-adds, "
            f"{_short(1e3 * self.seconds, 0)} ms, {_short(1e3 * self.joules, 1)} mJ"
        )


def _short(value: float, decimals: int) -> str:
    """Write a number with so many decimals, or with one digit that is not 0."""
    return f"{value:.{decimals}f}" if value >= 10.0**-decimals else f"{value:.1g}"


def estimate(model: QuantizedModel, chip: Chip | str, shape: Sequence[int] = ZOO_IMAGE) -> Estimate:
    """Estimate what an integer network takes on a chip, for one image.

    Parameters
    ----------
    model : QuantizedModel
        With integers from the input to the logits.
    chip : Chip or str
        One of `CHIPS` by name.
    shape : sequence of int
        Of an image [C, H, W].

    Returns
    -------
    Estimate
        Energy is time times the power that the chip was measured to take.

    Raises
    ------
    TypeError, ValueError
        If the chip is unknown, or as `lifetimes_of`.
    """
    chip = chip_of(chip)
    layers = layer_costs(model, chip, shape)
    outputs = sum(len(model.weights[s.layer or ""].q_w) for s in model.steps if s.kind in WEIGHTED)
    constants = sum(table.numel() for table in model.constants.values())
    seconds = sum(layer.cycles for layer in layers) / chip.hertz
    return Estimate(
        chip,
        sum(layer.weight_bytes for layer in layers) + BYTES_AN_OUTPUT * outputs + constants,
        tight_arena(lifetimes_of(model, shape)).size,
        sum(layer.macs for layer in layers),
        seconds,
        seconds * chip.watts,
    )


def layer_costs(
    model: QuantizedModel, chip: Chip | str, shape: Sequence[int] = ZOO_IMAGE
) -> list[LayerCost]:
    """Return what each layer with weights takes on a chip, in the order in which they run.

    Arguments and errors as `estimate`.
    """
    chip = chip_of(chip)
    values = example_values(model, shape)
    return [
        _cost(step, model, values[step.name].numel(), chip)
        for step in model.steps
        if step.kind in WEIGHTED
    ]


def _cost(step: Step, model: QuantizedModel, results: int, chip: Chip) -> LayerCost:
    weights = model.weights[step.layer or ""]
    macs = results * weights.q_w[0].numel()
    depthwise = step.settings.get("groups", 1) > 1 and weights.q_w.shape[1] == 1
    packed = math.ceil(weights.q_w[0].numel() * _bits(weights.qparams.scheme.bits) / 8)
    size = packed * len(weights.q_w)
    cycles = chip.cycles_per_depthwise_mac if depthwise else chip.cycles_per_mac
    flash = size / chip.flash_bytes_per_cycle
    return LayerCost(step.name, macs, size, depthwise, macs * cycles, flash)


def _bits(bits: int) -> int:
    """Return how many bits a code takes in the flash: the next power of two."""
    return 1 << (bits - 1).bit_length()
