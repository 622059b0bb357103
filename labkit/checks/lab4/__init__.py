"""Lab 4, post-training quantization: one file an exercise.

Each holds a reference, the inputs it is called with, and the mistakes that people make.
"""

from labkit.checks.lab4.choose_grid import CHOOSE_GRID
from labkit.checks.lab4.fold_batchnorm import FOLD_BATCHNORM

TITLE = "Post-training quantization"

EXERCISES = (
    FOLD_BATCHNORM,
    CHOOSE_GRID,
)
