"""Lab 2, calibration: one file an exercise.

Each holds a reference, the inputs it is called with, and the mistakes that people make.
"""

from labkit.checks.lab2.bucket_counts import BUCKET_COUNTS
from labkit.checks.lab2.clipped_shares import CLIPPED_SHARES
from labkit.checks.lab2.kl_curve import KL_CURVE
from labkit.checks.lab2.kl_divergence import KL_DIVERGENCE
from labkit.checks.lab2.merge_levels import MERGE_LEVELS
from labkit.checks.lab2.min_max_range import MIN_MAX_RANGE
from labkit.checks.lab2.moving_average_range import MOVING_AVERAGE_RANGE
from labkit.checks.lab2.mse_curve import MSE_CURVE
from labkit.checks.lab2.observe_layers import OBSERVE_LAYERS
from labkit.checks.lab2.percentile_is_right import PERCENTILE_IS_RIGHT
from labkit.checks.lab2.percentile_threshold import PERCENTILE_THRESHOLD
from labkit.checks.lab2.review_comparison import REVIEW_COMPARISON
from labkit.checks.lab2.scheme_sqnr import SCHEME_SQNR
from labkit.checks.lab2.slip_of_percentile import SLIP_OF_PERCENTILE

TITLE = "Calibration"
SENTENCE = "Watch numbers go by, and choose the range that loses least."
# The picture that stands for the lab, by words that describe it and no other one.
PICTURE = "4 bits, squared error"

EXERCISES = (
    MIN_MAX_RANGE,
    MOVING_AVERAGE_RANGE,
    BUCKET_COUNTS,
    PERCENTILE_THRESHOLD,
    MSE_CURVE,
    KL_DIVERGENCE,
    MERGE_LEVELS,
    KL_CURVE,
    SCHEME_SQNR,
    OBSERVE_LAYERS,
    PERCENTILE_IS_RIGHT,
    SLIP_OF_PERCENTILE,
    CLIPPED_SHARES,
    REVIEW_COMPARISON,
)
