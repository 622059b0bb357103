"""Down to the device: what it takes to run an integer network as a C program.

- `door`: bytes of a camera in, a class and its margin out, without a float; `tables`: any function
  of one code;
- `shifts`: integers as C has them; `loops`: a convolution as C computes it; `packing`: weights in
  the order in which a kernel reads them;
- `planner`: one arena for all tensors; `lifetimes`: when each is needed;
- `program` writes a network as C; `compiling` and `running` have it compiled and run here,
  `emulation` on an emulated microcontroller;
- `chips` and `estimate`: what a network takes on a microcontroller.
"""

from labkit.device.chips import CHIPS, Chip, chip_of
from labkit.device.compiling import Compiler, build, find_compiler
from labkit.device.door import Answer, enter, input_table, read_out
from labkit.device.emulation import Emulated, emulate
from labkit.device.estimate import Estimate, LayerCost, estimate, layer_costs
from labkit.device.lifetimes import IN_PLACE, lifetimes_of
from labkit.device.loops import convolve
from labkit.device.packing import pack_weights, reading_order, unpack_weights
from labkit.device.planner import (
    Arena,
    Lifetime,
    live_bytes,
    peak_bytes,
    plan_arena,
    smallest_arena,
    tight_arena,
)
from labkit.device.program import Exported, export_c
from labkit.device.running import Program
from labkit.device.shifts import (
    arithmetic_right_shift,
    c_divide,
    c_remainder,
    logical_right_shift,
    rounding_right_shift,
    saturate,
    wrap,
)
from labkit.device.tables import activation_table

__all__ = [
    "CHIPS",
    "IN_PLACE",
    "Answer",
    "Arena",
    "Chip",
    "Compiler",
    "Emulated",
    "Estimate",
    "Exported",
    "LayerCost",
    "Lifetime",
    "Program",
    "activation_table",
    "arithmetic_right_shift",
    "build",
    "c_divide",
    "c_remainder",
    "chip_of",
    "convolve",
    "emulate",
    "enter",
    "estimate",
    "export_c",
    "find_compiler",
    "input_table",
    "layer_costs",
    "lifetimes_of",
    "live_bytes",
    "logical_right_shift",
    "pack_weights",
    "peak_bytes",
    "plan_arena",
    "read_out",
    "reading_order",
    "rounding_right_shift",
    "saturate",
    "smallest_arena",
    "tight_arena",
    "unpack_weights",
    "wrap",
]
