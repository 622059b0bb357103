"""Lab 5, quantization-aware training: one file an exercise.

Each holds a reference, the inputs it is called with, and the mistakes that people make.
Where these are many, they stand in a file of their own, `..._slips.py`, and the answer whose parts
they replace may stand in `..._parts.py`.
"""

from labkit.checks.lab5.adaround_loss import ADAROUND_LOSS
from labkit.checks.lab5.binary_weights import BINARY_WEIGHTS
from labkit.checks.lab5.clipping_gradient import CLIPPING_GRADIENT
from labkit.checks.lab5.fake_quantize import FAKE_QUANTIZE
from labkit.checks.lab5.fake_quantize_is_right import FAKE_QUANTIZE_IS_RIGHT
from labkit.checks.lab5.fine_tune import FINE_TUNE
from labkit.checks.lab5.folded_batchnorm import FOLDED_BATCHNORM
from labkit.checks.lab5.integer_layer import INTEGER_LAYER
from labkit.checks.lab5.learned_step import LEARNED_STEP
from labkit.checks.lab5.review_gain import REVIEW_GAIN
from labkit.checks.lab5.round_straight_through import ROUND_STRAIGHT_THROUGH
from labkit.checks.lab5.slip_of_gradient import SLIP_OF_GRADIENT
from labkit.checks.lab5.swap_layers import SWAP_LAYERS
from labkit.checks.lab5.ternary_network import TERNARY_NETWORK

TITLE = "Quantization-aware training"
SENTENCE = "Train a network for its few bits, when rounding it afterwards costs too much."
# The picture that stands for the lab, by words that describe it and no other one.
PICTURE = "bits of weights and activations"

EXERCISES = (
    FAKE_QUANTIZE,
    ROUND_STRAIGHT_THROUGH,
    CLIPPING_GRADIENT,
    LEARNED_STEP,
    SWAP_LAYERS,
    FINE_TUNE,
    INTEGER_LAYER,
    BINARY_WEIGHTS,
    TERNARY_NETWORK,
    FAKE_QUANTIZE_IS_RIGHT,
    SLIP_OF_GRADIENT,
    ADAROUND_LOSS,
    FOLDED_BATCHNORM,
    REVIEW_GAIN,
)
