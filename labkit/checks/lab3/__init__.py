"""Lab 3, int8 kernels: one file an exercise.

Each holds a reference, the inputs it is called with, and the mistakes that people make.
Where these are many, they stand in a file of their own, `..._slips.py`, and the answer whose parts
they replace may stand in `..._parts.py`.
"""

from labkit.checks.lab3.activation_range import ACTIVATION_RANGE
from labkit.checks.lab3.channel_linear import CHANNEL_LINEAR
from labkit.checks.lab3.fold_zero_point import FOLD_ZERO_POINT
from labkit.checks.lab3.gemm import GEMM
from labkit.checks.lab3.gemm_with_zero_points import GEMM_WITH_ZERO_POINTS
from labkit.checks.lab3.im2col import IM2COL
from labkit.checks.lab3.integer_linear import INTEGER_LINEAR
from labkit.checks.lab3.overflow_length import OVERFLOW_LENGTH
from labkit.checks.lab3.quantize_bias import QUANTIZE_BIAS
from labkit.checks.lab3.quantize_multiplier import QUANTIZE_MULTIPLIER
from labkit.checks.lab3.requantize import REQUANTIZE
from labkit.checks.lab3.review_timing import REVIEW_TIMING
from labkit.checks.lab3.rounding_right_shift import ROUNDING_RIGHT_SHIFT
from labkit.checks.lab3.shift_is_right import SHIFT_IS_RIGHT
from labkit.checks.lab3.slip_of_gemm import SLIP_OF_GEMM

TITLE = "int8 kernels"
SENTENCE = "A linear layer and a convolution in integers only, and how fast they are."
# The picture that stands for the lab, by words that describe it and no other one.
PICTURE = "product of codes. Across"

EXERCISES = (
    OVERFLOW_LENGTH,
    GEMM,
    GEMM_WITH_ZERO_POINTS,
    FOLD_ZERO_POINT,
    QUANTIZE_MULTIPLIER,
    ROUNDING_RIGHT_SHIFT,
    REQUANTIZE,
    QUANTIZE_BIAS,
    INTEGER_LINEAR,
    IM2COL,
    ACTIVATION_RANGE,
    SHIFT_IS_RIGHT,
    SLIP_OF_GEMM,
    REVIEW_TIMING,
    CHANNEL_LINEAR,
)
