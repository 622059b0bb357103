"""Lab 6, codebooks and block formats: one file an exercise.

Each holds a reference, the inputs it is called with, and the mistakes that people make.
"""

from labkit.checks.lab6.assign_codes import ASSIGN_CODES
from labkit.checks.lab6.bits_per_weight import BITS_PER_WEIGHT
from labkit.checks.lab6.centroid_gradient import CENTROID_GRADIENT
from labkit.checks.lab6.codebook_error import CODEBOOK_ERROR
from labkit.checks.lab6.huffman_total import HUFFMAN_TOTAL
from labkit.checks.lab6.lloyd_step import LLOYD_STEP
from labkit.checks.lab6.mxfp4_block import MXFP4_BLOCK
from labkit.checks.lab6.normal_float import NORMAL_FLOAT
from labkit.checks.lab6.nvfp4_scales import NVFP4_SCALES
from labkit.checks.lab6.pack_trits import PACK_TRITS
from labkit.checks.lab6.signed_extreme import SIGNED_EXTREME

TITLE = "Codebooks and block formats"
SENTENCE = "Levels that are learned, and the block formats in the files that people download."
# The picture that stands for the lab, by words that describe it and no other one.
PICTURE = "Drawn: weights; uniform; Lloyd"

EXERCISES = (
    ASSIGN_CODES,
    LLOYD_STEP,
    CODEBOOK_ERROR,
    CENTROID_GRADIENT,
    BITS_PER_WEIGHT,
    HUFFMAN_TOTAL,
    NORMAL_FLOAT,
    SIGNED_EXTREME,
    MXFP4_BLOCK,
    NVFP4_SCALES,
    PACK_TRITS,
)
