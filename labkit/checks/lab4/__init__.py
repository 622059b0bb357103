"""Lab 4, post-training quantization: one file an exercise.

Each holds a reference, the inputs it is called with, and the mistakes that people make.
Where these are many, they stand in a file of their own, `..._slips.py`, and the answer whose parts
they replace may stand in `..._parts.py`.
"""

from labkit.checks.lab4.add_codes import ADD_CODES
from labkit.checks.lab4.calibrate import CALIBRATE
from labkit.checks.lab4.choose_bits import CHOOSE_BITS
from labkit.checks.lab4.choose_grid import CHOOSE_GRID
from labkit.checks.lab4.correct_bias import CORRECT_BIAS
from labkit.checks.lab4.equalization_factors import EQUALIZATION_FACTORS
from labkit.checks.lab4.fold_batchnorm import FOLD_BATCHNORM
from labkit.checks.lab4.folding_is_right import FOLDING_IS_RIGHT
from labkit.checks.lab4.int4_linear import INT4_LINEAR
from labkit.checks.lab4.pareto_front import PARETO_FRONT
from labkit.checks.lab4.quantize_layer import QUANTIZE_LAYER
from labkit.checks.lab4.review_deployment import REVIEW_DEPLOYMENT
from labkit.checks.lab4.sensitivity import SENSITIVITY
from labkit.checks.lab4.slip_of_layer import SLIP_OF_LAYER

TITLE = "Post-training quantization"
SENTENCE = "A whole trained network in 8 bits and fewer, and the tricks that rescue it."
# The picture that stands for the lab, by words that describe it and no other one.
PICTURE = "first layer, its outputs; second layer, its inputs"

EXERCISES = (
    FOLD_BATCHNORM,
    CHOOSE_GRID,
    CALIBRATE,
    QUANTIZE_LAYER,
    ADD_CODES,
    INT4_LINEAR,
    SENSITIVITY,
    CORRECT_BIAS,
    EQUALIZATION_FACTORS,
    PARETO_FRONT,
    CHOOSE_BITS,
    FOLDING_IS_RIGHT,
    SLIP_OF_LAYER,
    REVIEW_DEPLOYMENT,
)
