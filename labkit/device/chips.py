"""Microcontrollers by name, and what networks were measured to take on them.

Speeds, energies, clocks, flash and RAM are those of MLPerf Tiny v1.0 (Banbury et al. 2021,
arXiv:2106.07597), closed division, submissions of STMicroelectronics with X-CUBE-AI 7.3.0
(github.com/mlcommons/tiny_results_v1.0, closed/STMicroelectronics, results and systems): median
throughput and median energy of an inference, on two networks whose multiply-adds are known. RAM of
the H7A3, there rounded to 1.19 MB, is that of its data sheet.

Wait states at that clock are those that ST's drivers set (STM32CubeL4, -U5 and -H7,
``LL_SetFlashLatency``). How much a read of the flash gives is in ST's reference manuals RM0432,
RM0456 and RM0455: 128 bits, and 64 on the STM32L4R5 in dual-bank mode, in which it was measured.
"""

from typing import NamedTuple

from labkit.validation import instance_of

__all__ = ["CHIPS", "Chip", "Run", "chip_of"]


class Run(NamedTuple):
    """A network that was measured on a chip.

    Attributes
    ----------
    inferences_per_second : float
    microjoules : float
        Energy of an inference.
    """

    inferences_per_second: float
    microjoules: float


# Multiply-adds of an inference: those of a depthwise convolution, and all others.
RESNET8_MACS = (0, 12_501_632)  # on CIFAR-10, 32 x 32
MOBILENET_MACS = (798_336, 6_691_328)  # MobileNetV1, width 0.25, 96 x 96


class Chip(NamedTuple):
    """A microcontroller.

    Attributes
    ----------
    name, core : str
    hertz : float
        The clock at which it was measured.
    flash, ram : int
        Bytes.
    flash_bytes : int
        How many a read of the flash gives at once.
    wait_states : int
        Clocks that a read takes beyond the first, at that clock.
    resnet8, mobilenet : Run
        Of the two networks above.
    """

    name: str
    core: str
    hertz: float
    flash: int
    ram: int
    flash_bytes: int
    wait_states: int
    resnet8: Run
    mobilenet: Run

    @property
    def cycles_per_mac(self) -> float:
        """Clocks for a multiply-add outside of depthwise layers, all other work included."""
        return self.hertz / self.resnet8.inferences_per_second / sum(RESNET8_MACS)

    @property
    def cycles_per_depthwise_mac(self) -> float:
        """Clocks for a multiply-add of a depthwise layer: what mobilenet takes besides."""
        depthwise, others = MOBILENET_MACS
        cycles = self.hertz / self.mobilenet.inferences_per_second
        return (cycles - self.cycles_per_mac * others) / depthwise

    @property
    def flash_bytes_per_cycle(self) -> float:
        """Bytes a clock that come from the flash at best."""
        return self.flash_bytes / (1 + self.wait_states)

    @property
    def watts(self) -> float:
        """Power while it computes: the mean of both runs."""
        runs = (self.resnet8, self.mobilenet)
        return sum(r.inferences_per_second * r.microjoules * 1e-6 for r in runs) / len(runs)


CHIPS = {
    chip.name: chip
    for chip in (
        Chip(
            "STM32L4R5ZI", "Cortex-M4", 120e6, 2 << 20, 640 << 10, 8, 5,
            Run(4.407, 10681.623), Run(4.339, 10066.628),
        ),
        Chip(
            "STM32U575ZI", "Cortex-M33", 160e6, 2 << 20, 768 << 10, 16, 4,
            Run(7.158, 3641.998), Run(7.496, 3364.456),
        ),
        Chip(
            "STM32H7A3ZI", "Cortex-M7", 280e6, 2 << 20, 1184 << 10, 16, 6,
            Run(18.401, 8707.284), Run(19.722, 7978.465),
        ),
    )
}  # fmt: skip
"""By name; clock, memory and measured runs."""


def chip_of(chip: Chip | str) -> Chip:
    """Return a chip by its name in `CHIPS`, or as it is.

    Raises
    ------
    TypeError, ValueError
        If it is neither.
    """
    if isinstance(chip, str):
        if chip not in CHIPS:
            raise ValueError(f"chip is {chip!r}; expected one of {', '.join(CHIPS)}, or a Chip.")
        return CHIPS[chip]
    return instance_of(chip, Chip, "chip", "CHIPS['STM32L4R5ZI']")
