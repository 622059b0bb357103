"""Lab 1, linear quantization: one file an exercise.

Each holds a reference, the inputs it is called with, and the mistakes that people make.
"""

from labkit.checks.lab1.dequantize import DEQUANTIZE
from labkit.checks.lab1.integer_range import INTEGER_RANGE
from labkit.checks.lab1.pack import PACK
from labkit.checks.lab1.quantization_error import QUANTIZATION_ERROR
from labkit.checks.lab1.quantize import QUANTIZE
from labkit.checks.lab1.quantize_is_right import QUANTIZE_IS_RIGHT
from labkit.checks.lab1.quantize_per_channel import QUANTIZE_PER_CHANNEL
from labkit.checks.lab1.quantize_per_group import QUANTIZE_PER_GROUP
from labkit.checks.lab1.quantize_symmetric import QUANTIZE_SYMMETRIC
from labkit.checks.lab1.review_sqnr import REVIEW_SQNR
from labkit.checks.lab1.round_half_even import ROUND_HALF_EVEN
from labkit.checks.lab1.scale_and_zero_point import SCALE_AND_ZERO_POINT
from labkit.checks.lab1.slip_of_quantize import SLIP_OF_QUANTIZE
from labkit.checks.lab1.unpack import UNPACK

TITLE = "Linear quantization"
SENTENCE = "Scale and zero point: from real numbers to integers and back, and what the way costs."
# The picture that stands for the lab, by words that describe it and no other one.
PICTURE = "codes q. Across: column"

EXERCISES = (
    INTEGER_RANGE,
    SCALE_AND_ZERO_POINT,
    QUANTIZE,
    DEQUANTIZE,
    ROUND_HALF_EVEN,
    QUANTIZE_SYMMETRIC,
    QUANTIZATION_ERROR,
    QUANTIZE_PER_CHANNEL,
    QUANTIZE_PER_GROUP,
    PACK,
    UNPACK,
    QUANTIZE_IS_RIGHT,
    SLIP_OF_QUANTIZE,
    REVIEW_SQNR,
)
