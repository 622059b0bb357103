"""Lab 0, number formats: one file an exercise.

Each holds a reference, the inputs it is called with, and the mistakes that people make.
"""

from labkit.checks.lab0.count_values import COUNT_VALUES
from labkit.checks.lab0.float_fields import FLOAT_FIELDS
from labkit.checks.lab0.float_gap import FLOAT_GAP
from labkit.checks.lab0.float_range import FLOAT_RANGE
from labkit.checks.lab0.float_value import FLOAT_VALUE
from labkit.checks.lab0.inference_energy import INFERENCE_ENERGY
from labkit.checks.lab0.network_bytes import NETWORK_BYTES
from labkit.checks.lab0.round_to_bf16 import ROUND_TO_BF16
from labkit.checks.lab0.twos_complement import TWOS_COMPLEMENT

TITLE = "Number formats"
SENTENCE = "Take floats apart bit by bit, and count what a network costs in bytes and energy."
# The picture that stands for the lab, by words that describe it and no other one.
PICTURE = "orange: subnormal, blue: normal"

EXERCISES = (
    COUNT_VALUES,
    FLOAT_FIELDS,
    FLOAT_VALUE,
    FLOAT_RANGE,
    FLOAT_GAP,
    ROUND_TO_BF16,
    TWOS_COMPLEMENT,
    NETWORK_BYTES,
    INFERENCE_ENERGY,
)
