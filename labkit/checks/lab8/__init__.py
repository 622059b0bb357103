"""Lab 8, down to the device: one file an exercise.

Each holds a reference, the inputs it is called with, and the mistakes that people make.
Where these are many, they stand in a file of their own, `..._slips.py`, and the answer whose parts
they replace may stand in `..._parts.py`.
"""

from labkit.checks.lab8.convolve import CONVOLVE
from labkit.checks.lab8.input_table import INPUT_TABLE
from labkit.checks.lab8.layer_time import LAYER_TIME
from labkit.checks.lab8.live_ranges import LIVE_RANGES
from labkit.checks.lab8.pack_weights import PACK_WEIGHTS
from labkit.checks.lab8.peak_bytes import PEAK_BYTES
from labkit.checks.lab8.place_tensors import PLACE_TENSORS
from labkit.checks.lab8.read_out import READ_OUT
from labkit.checks.lab8.saturate_and_wrap import SATURATE_AND_WRAP
from labkit.checks.lab8.shift_like_c import SHIFT_LIKE_C
from labkit.checks.lab8.silu_table import SILU_TABLE

TITLE = "Down to the device"
SENTENCE = (
    "A network as a C program for a microcontroller: the door, the arena, the kernels, the chip."
)
# The picture that stands for the lab, by words that describe it and no other one.
PICTURE = "270 bytes; live at once"

EXERCISES = (
    INPUT_TABLE,
    READ_OUT,
    SILU_TABLE,
    SHIFT_LIKE_C,
    SATURATE_AND_WRAP,
    LIVE_RANGES,
    PEAK_BYTES,
    PLACE_TENSORS,
    CONVOLVE,
    PACK_WEIGHTS,
    LAYER_TIME,
)
